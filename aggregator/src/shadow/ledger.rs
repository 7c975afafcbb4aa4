//! What this validator has judged and signed: the records that a countersignature rests on.
//!
//! One file an organization, replaced as a whole before an answer leaves the process, so that a
//! restart neither forgets a verdict nor grants a question twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ratchet_trust::{ConfigurationDigest, ModuleDigest, OrgName};
use serde::{Deserialize, Serialize};

/// Questions that one generation may ask; each answer tells something of held-back traffic.
pub const QUESTIONS_MAX: usize = 3;
/// Generations whose questions are remembered, of one organization.
pub const GENERATIONS_MAX: usize = 256;
/// Verdicts that are remembered, of one organization.
pub const VERDICTS_MAX: usize = 1024;
pub const ORGANIZATIONS_MAX: usize = 10_000;
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The longest detail of a verdict, in characters: a full page stays below the file's limit.
pub const DETAIL_CHARS_MAX: usize = 300;
const SCHEMA: u32 = 1;

/// The one word that a candidate is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    Pass,
    Fail,
    Insufficient,
}

/// One evaluation. Everything but the word is for operators of this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    pub configuration: ConfigurationDigest,
    pub module: ModuleDigest,
    pub size: u64,
    /// What served then; `None` is the baseline. A pass is a pass against this one.
    pub incumbent: Option<ModuleDigest>,
    /// A tenant brought it, and its speed was not judged.
    #[serde(default)]
    pub foreign: bool,
    pub word: Word,
    pub detail: String,
    pub generation: String,
    pub candidate: String,
    /// Repeats the evaluation's sample, order and fuzzed messages.
    pub seed: u64,
    pub messages: usize,
    pub ratio: Option<f64>,
    pub at_ms: i64,
}

/// What a question leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Answered before: no charge.
    Known(Word),
    /// To be evaluated; charged to the generation.
    Ask,
    /// The generation has asked enough.
    TooMany,
}

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{path}: {error}")]
    Io {
        path: PathBuf,
        error: std::io::Error,
    },
    /// Never repaired silently: it holds what rollbacks may go to.
    #[error("{path} is damaged: {detail}")]
    Damaged { path: PathBuf, detail: String },
    #[error("the ledger already holds {ORGANIZATIONS_MAX} organizations")]
    Full,
}

/// The records of one organization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    schema: u32,
    org: OrgName,
    /// The highest version that was countersigned.
    signed_version: u64,
    /// Oldest first.
    verdicts: Vec<Verdict>,
    /// Oldest first; the modules that each generation asked about.
    generations: Vec<Generation>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Generation {
    name: String,
    asked: Vec<ModuleDigest>,
}

/// A question, without what only the evaluation needs.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub configuration: ConfigurationDigest,
    pub module: ModuleDigest,
    pub incumbent: Option<ModuleDigest>,
    pub foreign: bool,
    pub generation: &'a str,
}

impl Page {
    pub fn new(org: OrgName) -> Self {
        Self {
            schema: SCHEMA,
            org,
            signed_version: 0,
            verdicts: vec![],
            generations: vec![],
        }
    }

    /// Decides on a question; the record of an unfinished one admits it again at no charge.
    pub fn consider(&self, question: &Question<'_>) -> Admission {
        if let Some(word) = self.answered(question) {
            return Admission::Known(word);
        }
        let asked = self.asked(question.generation);
        if asked.contains(&question.module) || asked.len() < QUESTIONS_MAX {
            Admission::Ask
        } else {
            Admission::TooMany
        }
    }

    /// The same module, against the same incumbent, has the same answer for ever; only what there
    /// was too little traffic for may be asked again by a later generation.
    fn answered(&self, question: &Question<'_>) -> Option<Word> {
        let mut newest_first = self.verdicts.iter().rev();
        let verdict = newest_first.find(|verdict| {
            verdict.configuration == question.configuration
                && verdict.module == question.module
                && verdict.foreign == question.foreign
                && (verdict.generation == question.generation
                    || (verdict.incumbent == question.incumbent
                        && verdict.word != Word::Insufficient))
        });
        verdict.map(|verdict| verdict.word)
    }

    fn asked(&self, generation: &str) -> &[ModuleDigest] {
        let found = self
            .generations
            .iter()
            .find(|entry| entry.name == generation);
        found.map_or(&[], |entry| &entry.asked)
    }

    /// Charges a question; written down before the evaluation begins.
    pub fn charge(&mut self, question: &Question<'_>) {
        let place = self
            .generations
            .iter()
            .position(|entry| entry.name == question.generation);
        let mut entry = match place {
            Some(place) => self.generations.remove(place),
            None => Generation {
                name: question.generation.to_owned(),
                asked: vec![],
            },
        };
        if !entry.asked.contains(&question.module) {
            entry.asked.push(question.module);
        }
        self.generations.push(entry);
        let surplus = self.generations.len().saturating_sub(GENERATIONS_MAX);
        self.generations.drain(..surplus);
    }

    /// Records a verdict. When there is no room, the oldest that is no pass goes first: passes are
    /// what renewals and rollbacks rest on.
    pub fn record(&mut self, verdict: Verdict) {
        self.verdicts.push(verdict);
        while self.verdicts.len() > VERDICTS_MAX {
            let others = |verdict: &Verdict| verdict.word != Word::Pass;
            let place = self.verdicts.iter().position(others).unwrap_or(0);
            self.verdicts.remove(place);
        }
    }

    /// The newest pass of a module for a configuration; what passed as a foreign one, whose speed
    /// was not judged, passed as nothing else.
    pub fn pass(
        &self,
        configuration: ConfigurationDigest,
        module: ModuleDigest,
        foreign: bool,
    ) -> Option<&Verdict> {
        self.verdicts.iter().rev().find(|verdict| {
            verdict.word == Word::Pass
                && verdict.configuration == configuration
                && verdict.module == module
                && verdict.foreign == foreign
        })
    }

    pub fn signed_version(&self) -> u64 {
        self.signed_version
    }

    pub fn sign(&mut self, version: u64) {
        self.signed_version = self.signed_version.max(version);
    }
}

/// The pages of all organizations, each in its file.
#[derive(Debug)]
pub struct Ledger {
    directory: PathBuf,
    pages: BTreeMap<OrgName, Page>,
}

impl Ledger {
    pub fn open(directory: &Path) -> Result<Self, LedgerError> {
        let io = |error| LedgerError::Io {
            path: directory.to_owned(),
            error,
        };
        fs::create_dir_all(directory).map_err(io)?;
        let mut pages = BTreeMap::new();
        for entry in fs::read_dir(directory).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let page = read(&path)?;
                pages.insert(page.org.clone(), page);
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            pages,
        })
    }

    pub fn page(&self, org: &OrgName) -> Page {
        self.pages
            .get(org)
            .cloned()
            .unwrap_or_else(|| Page::new(org.clone()))
    }

    /// Changes a page; durable once it returns, unchanged if it fails.
    pub fn update(
        &mut self,
        org: &OrgName,
        change: impl FnOnce(&mut Page),
    ) -> Result<(), LedgerError> {
        if self.pages.len() >= ORGANIZATIONS_MAX && !self.pages.contains_key(org) {
            return Err(LedgerError::Full);
        }
        let mut page = self.page(org);
        change(&mut page);
        let path = self.directory.join(format!("{org}.json"));
        let json = serde_json::to_vec(&page).map_err(|error| LedgerError::Damaged {
            path: path.clone(),
            detail: error.to_string(),
        })?;
        ratchet_trust::files::replace(&path, &json)
            .map_err(|error| LedgerError::Io { path, error })?;
        self.pages.insert(org.clone(), page);
        Ok(())
    }
}

fn read(path: &Path) -> Result<Page, LedgerError> {
    let io = |error| LedgerError::Io {
        path: path.to_owned(),
        error,
    };
    let damaged = |detail: String| LedgerError::Damaged {
        path: path.to_owned(),
        detail,
    };
    let size = fs::metadata(path).map_err(io)?.len();
    if size > FILE_BYTES_MAX {
        return Err(damaged(format!("{size} bytes")));
    }
    let bytes = fs::read(path).map_err(io)?;
    let page: Page = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if page.schema != SCHEMA {
        return Err(damaged(format!("schema {}, not {SCHEMA}", page.schema)));
    }
    if path
        .file_stem()
        .is_none_or(|stem| stem != page.org.as_str())
    {
        return Err(damaged(format!("it is about organization `{}`", page.org)));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: u8) -> ModuleDigest {
        ModuleDigest::of(&[byte])
    }

    fn ask(module: u8, incumbent: Option<u8>, generation: &str) -> Question<'_> {
        Question {
            configuration: ConfigurationDigest::of(b"rules"),
            module: digest(module),
            incumbent: incumbent.map(digest),
            foreign: false,
            generation,
        }
    }

    fn verdict(question: &Question<'_>, word: Word) -> Verdict {
        Verdict {
            configuration: question.configuration,
            module: question.module,
            size: 1,
            incumbent: question.incumbent,
            foreign: question.foreign,
            word,
            detail: String::new(),
            generation: question.generation.to_owned(),
            candidate: "c".to_owned(),
            seed: u64::MAX,
            messages: 64,
            ratio: Some(1.25),
            at_ms: 1,
        }
    }

    fn page() -> Page {
        Page::new(OrgName::new("acme").unwrap())
    }

    #[test]
    fn three_questions_a_generation() {
        let mut page = page();
        for module in 1..=3 {
            let question = ask(module, None, "acme/gen/1");
            assert_eq!(page.consider(&question), Admission::Ask);
            page.charge(&question);
            // Asked but not answered, because the process died: again, at no charge.
            assert_eq!(page.consider(&question), Admission::Ask);
            page.charge(&question);
        }
        assert_eq!(
            page.consider(&ask(4, None, "acme/gen/1")),
            Admission::TooMany
        );
        assert_eq!(page.consider(&ask(3, None, "acme/gen/1")), Admission::Ask);
        assert_eq!(page.consider(&ask(4, None, "acme/gen/2")), Admission::Ask);
    }

    #[test]
    fn answers_from_the_record() {
        let check = |recorded: (Question<'_>, Word), asked: Question<'_>, expected: Admission| {
            let mut page = page();
            page.charge(&recorded.0);
            page.record(verdict(&recorded.0, recorded.1));
            assert_eq!(page.consider(&asked), expected, "{recorded:?} {asked:?}");
        };
        let first = ask(1, Some(9), "acme/gen/1");
        let known = |word| Admission::Known(word);
        check((first, Word::Fail), first, known(Word::Fail));
        check(
            (first, Word::Insufficient),
            first,
            known(Word::Insufficient),
        );
        // A later generation, the same incumbent.
        let second = ask(1, Some(9), "acme/gen/2");
        check((first, Word::Pass), second, known(Word::Pass));
        check((first, Word::Fail), second, known(Word::Fail));
        check((first, Word::Insufficient), second, Admission::Ask);
        // Another incumbent: passing against the old one says nothing.
        check(
            (first, Word::Pass),
            ask(1, Some(8), "acme/gen/2"),
            Admission::Ask,
        );
        check(
            (first, Word::Pass),
            ask(1, None, "acme/gen/2"),
            Admission::Ask,
        );
        // The generation has its answer, whatever happened since.
        check(
            (first, Word::Pass),
            ask(1, Some(8), "acme/gen/1"),
            known(Word::Pass),
        );
        check(
            (first, Word::Pass),
            ask(2, Some(9), "acme/gen/1"),
            Admission::Ask,
        );
        // What passed as a foreign module was not judged by its speed.
        let mut foreign = first;
        foreign.foreign = true;
        check((foreign, Word::Pass), first, Admission::Ask);
        check((first, Word::Pass), foreign, Admission::Ask);
        check((foreign, Word::Pass), foreign, known(Word::Pass));
        let mut other = ask(1, Some(9), "acme/gen/1");
        other.configuration = ConfigurationDigest::of(b"other rules");
        check((first, Word::Pass), other, Admission::Ask);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut page = page();
        let early = ask(0, None, "acme/gen/0");
        page.record(verdict(&early, Word::Pass));
        for n in 0..VERDICTS_MAX + 10 {
            let name = format!("acme/gen/{n}");
            let question = ask((n % 250) as u8 + 1, None, &name);
            page.charge(&question);
            page.record(verdict(&question, Word::Fail));
        }
        assert_eq!(page.verdicts.len(), VERDICTS_MAX);
        assert_eq!(page.generations.len(), GENERATIONS_MAX);
        assert!(
            page.pass(early.configuration, early.module, false)
                .is_some(),
            "passes stay"
        );
        for n in 0..VERDICTS_MAX {
            page.record(verdict(
                &ask((n % 250) as u8 + 1, None, "acme/gen/1"),
                Word::Pass,
            ));
        }
        assert_eq!(page.verdicts.len(), VERDICTS_MAX);
        assert!(page
            .pass(early.configuration, early.module, false)
            .is_none());
        // The longest details, each character escaped in JSON.
        for verdict in &mut page.verdicts {
            verdict.detail = "\u{1}".repeat(DETAIL_CHARS_MAX);
            verdict.candidate = "\u{1}".repeat(200);
        }
        let size = serde_json::to_vec(&page).unwrap().len() as u64;
        assert!(size < FILE_BYTES_MAX, "{size} bytes");
    }

    #[test]
    fn a_restart_forgets_nothing() {
        let directory = std::env::temp_dir().join(format!("ratchet-ledger-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        let org = OrgName::new("acme").unwrap();
        let question = ask(1, Some(2), "acme/gen/1");
        let mut ledger = Ledger::open(&directory).unwrap();
        ledger.update(&org, |page| page.charge(&question)).unwrap();
        ledger
            .update(&org, |page| page.record(verdict(&question, Word::Pass)))
            .unwrap();
        ledger.update(&org, |page| page.sign(5)).unwrap();
        ledger.update(&org, |page| page.sign(4)).unwrap();
        let page = Ledger::open(&directory).unwrap().page(&org);
        assert_eq!(page, ledger.page(&org));
        assert_eq!(page.signed_version(), 5);
        assert_eq!(page.consider(&question), Admission::Known(Word::Pass));
        assert_eq!(
            page.pass(question.configuration, question.module, false)
                .unwrap()
                .seed,
            u64::MAX
        );

        let path = directory.join("acme.json");
        let good = fs::read_to_string(&path).unwrap();
        let check = |text: &str, part: &str| {
            fs::write(&path, text).unwrap();
            let error = Ledger::open(&directory).unwrap_err().to_string();
            assert!(
                error.contains("is damaged") && error.contains(part),
                "{error}"
            );
        };
        check("", "EOF");
        check(
            &good.replace("\"acme\"", "\"globex\""),
            "organization `globex`",
        );
        check(&good.replace("\"schema\":1", "\"schema\":9"), "schema 9");
        fs::remove_dir_all(directory).unwrap();
    }
}
