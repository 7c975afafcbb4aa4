//! What is signed: an in-toto statement about one module (or, for a tombstone, about none).
//!
//! Everything is typed and every field is known: a statement with a field that this version does
//! not understand is refused, never half understood.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::{ConfigurationDigest, ModuleDigest, Sha256Digest, StatementDigest};
use crate::proof::Proof;

pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
pub const PREDICATE_TYPE: &str = "urn:ratchet:manifest:v1";
pub const SCHEMA: u32 = 2;
/// The largest version: what every JSON reader represents exactly.
pub const VERSION_MAX: u64 = (1 << 53) - 1;
/// The last millisecond of the year 9999: later times are mistakes.
pub const TIME_MS_MAX: i64 = 253_402_300_799_999;

/// `[a-z0-9-]{1,63}`; `fleet` names the module that serves every organization.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrgName(String);

/// A name that no organization can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an organization name ([a-z0-9-], 1 to 63 characters)")]
pub struct OrgNameError(String);

impl OrgName {
    pub fn new(name: &str) -> Result<Self, OrgNameError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if name.is_empty() || name.len() > 63 || !name.bytes().all(allowed) {
            return Err(OrgNameError(name.chars().take(80).collect()));
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OrgName {
    type Error = OrgNameError;

    fn try_from(name: String) -> Result<Self, OrgNameError> {
        Self::new(&name)
    }
}

impl From<OrgName> for String {
    fn from(name: OrgName) -> Self {
        name.0
    }
}

impl fmt::Display for OrgName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    #[serde(rename = "_type")]
    pub statement_type: String,
    pub subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    pub predicate: Predicate,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    pub name: OrgName,
    pub digest: SubjectDigest,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectDigest {
    pub sha256: ModuleDigest,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    pub schema: u32,
    pub org: OrgName,
    pub configuration: ConfigurationDigest,
    /// `None` (written as null) in a tombstone, and only there.
    #[serde(deserialize_with = "required")]
    pub module: Option<Module>,
    pub interface: String,
    pub version: u64,
    /// The statement that this one follows; for audit, see the verification order.
    #[serde(deserialize_with = "required")]
    pub previous: Option<StatementDigest>,
    pub issued_at_ms: i64,
    pub expires_at_ms: i64,
    pub kind: Kind,
    /// These six may be null in a tombstone, which ships no code; the first two are null of a
    /// foreign module, which was not built here.
    #[serde(deserialize_with = "required")]
    pub source: Option<Source>,
    #[serde(deserialize_with = "required")]
    pub toolchain: Option<Toolchain>,
    #[serde(deserialize_with = "required")]
    pub mutation: Option<Mutation>,
    #[serde(deserialize_with = "required")]
    pub proof: Option<Proof>,
    #[serde(deserialize_with = "required")]
    pub benchmark: Option<Benchmark>,
    #[serde(deserialize_with = "required")]
    pub shadow: Option<Shadow>,
    pub workflow: Workflow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    pub sha256: ModuleDigest,
    pub size: u64,
}

/// `promote` puts a module in service; `rollback` puts back, under a higher version, one that
/// served before; `tombstone` retires the organization's module, so that fleet or baseline serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Promote,
    Rollback,
    Tombstone,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Tombstone => "tombstone",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub commit: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolchain {
    pub rustc: String,
    pub kit: String,
    pub codec: Sha256Digest,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutation {
    pub mutator: Mutator,
    pub operator: String,
    #[serde(deserialize_with = "required")]
    pub prompt: Option<Sha256Digest>,
    /// Which model made it. Statements that are older than this field have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mutator {
    Builtin,
    Llm,
    Specialise,
    /// Nothing was mutated: a tenant brought the component. `operator` is its name.
    Submitted,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Benchmark {
    pub evidence: Sha256Digest,
    pub ratio: f64,
    pub ci95: [f64; 2],
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    pub verdict: ShadowVerdict,
}

/// The only verdict with which a module may be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShadowVerdict {
    Pass,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    pub id: String,
    pub run_id: String,
}

/// A statement that cannot be accepted whatever its signatures say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StatementError(String);

impl Statement {
    /// Reads a statement from the very bytes whose signatures were verified.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let statement: Self =
            serde_json::from_slice(bytes).map_err(|error| StatementError(error.to_string()))?;
        statement.check_form()?;
        statement.predicate.check_range()?;
        statement.predicate.check_kind()?;
        Ok(statement)
    }

    fn check_form(&self) -> Result<(), StatementError> {
        same("_type", &self.statement_type, STATEMENT_TYPE)?;
        same("predicateType", &self.predicate_type, PREDICATE_TYPE)?;
        let [subject] = self.subject.as_slice() else {
            return refused(format!("{} subjects, not one", self.subject.len()));
        };
        let predicate = &self.predicate;
        same(
            "subject name",
            subject.name.as_str(),
            predicate.org.as_str(),
        )?;
        let module = predicate
            .module
            .map_or(ModuleDigest::NONE, |module| module.sha256);
        if subject.digest.sha256 != module {
            return refused(format!(
                "the subject is {}, but the module is {module}",
                subject.digest.sha256
            ));
        }
        Ok(())
    }
}

impl Predicate {
    fn check_range(&self) -> Result<(), StatementError> {
        if self.schema != SCHEMA {
            return refused(format!("schema {}, not {SCHEMA}", self.schema));
        }
        if !(1..=VERSION_MAX).contains(&self.version) {
            return refused(format!(
                "version {} is not in 1..={VERSION_MAX}",
                self.version
            ));
        }
        let (issued, expires) = (self.issued_at_ms, self.expires_at_ms);
        if issued < 0 || expires <= issued || expires > TIME_MS_MAX {
            return refused(format!("issued at {issued} ms, expires at {expires} ms"));
        }
        bounded("workflow.id", &self.workflow.id, 255)?;
        bounded("workflow.run_id", &self.workflow.run_id, 255)?;
        if let Some(source) = &self.source {
            bounded("source.commit", &source.commit, 64)?;
        }
        if let Some(toolchain) = &self.toolchain {
            bounded("toolchain.rustc", &toolchain.rustc, 200)?;
            bounded("toolchain.kit", &toolchain.kit, 64)?;
        }
        if let Some(mutation) = &self.mutation {
            bounded("mutation.operator", &mutation.operator, 1024)?;
            if let Some(model) = &mutation.model {
                bounded("mutation.model", model, 100)?;
            }
        }
        self.check_proof()?;
        self.benchmark.as_ref().map_or(Ok(()), Benchmark::check)
    }

    /// Its values, and that it is of the codec that was linked.
    fn check_proof(&self) -> Result<(), StatementError> {
        let Some(proof) = &self.proof else {
            return Ok(());
        };
        if let Some(fault) = proof.fault() {
            return refused(format!("proof: {fault}"));
        }
        match (&self.toolchain, proof.codec()) {
            (Some(toolchain), Some(codec)) if toolchain.codec != codec => refused(format!(
                "the proof is of codec {codec}, but {} was linked",
                toolchain.codec
            )),
            _ => Ok(()),
        }
    }

    /// Whether it ships a component that a tenant brought.
    pub fn is_foreign(&self) -> bool {
        matches!(self.proof, Some(Proof::Foreign {}))
    }

    /// A foreign module, and no other, was submitted and has neither source nor toolchain.
    fn check_origin(&self) -> Result<(), StatementError> {
        let submitted =
            matches!(&self.mutation, Some(mutation) if mutation.mutator == Mutator::Submitted);
        let (foreign, source, toolchain) = (
            self.is_foreign(),
            self.source.is_some(),
            self.toolchain.is_some(),
        );
        if submitted == foreign && source != foreign && toolchain != foreign {
            return Ok(());
        }
        refused(format!(
            "foreign: {foreign}, submitted: {submitted}, source: {source}, toolchain: {toolchain}"
        ))
    }

    fn check_kind(&self) -> Result<(), StatementError> {
        if self.kind == Kind::Tombstone {
            return match self.module {
                None => Ok(()),
                Some(module) => refused(format!("a tombstone with module {}", module.sha256)),
            };
        }
        let Some(module) = self.module else {
            return refused(format!("a {} without a module", self.kind));
        };
        if module.sha256 == ModuleDigest::NONE || module.size == 0 {
            return refused(format!("module {} of {} bytes", module.sha256, module.size));
        }
        let built = !self.is_foreign();
        let fields = [
            ("source", !built || self.source.is_some()),
            ("toolchain", !built || self.toolchain.is_some()),
            ("mutation", self.mutation.is_some()),
            ("proof", self.proof.is_some()),
            ("benchmark", self.benchmark.is_some()),
            ("shadow", self.shadow.is_some()),
        ];
        match fields.iter().find(|(_, present)| !present) {
            None => self.check_origin(),
            Some((field, _)) => refused(format!("a {} without `{field}`", self.kind)),
        }
    }
}

impl Benchmark {
    fn check(&self) -> Result<(), StatementError> {
        let [low, high] = self.ci95;
        let figures = [self.ratio, low, high];
        let sound = figures
            .iter()
            .all(|figure| figure.is_finite() && *figure > 0.0);
        if !sound || low > high {
            return refused(format!("benchmark ratio {} in [{low}, {high}]", self.ratio));
        }
        Ok(())
    }
}

/// A field that may be null but may not be left out.
fn required<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

fn same(field: &str, found: &str, expected: &str) -> Result<(), StatementError> {
    if found == expected {
        return Ok(());
    }
    let found: String = found.chars().take(200).collect();
    refused(format!("{field} is `{found}`, not `{expected}`"))
}

fn bounded(field: &str, text: &str, max: usize) -> Result<(), StatementError> {
    let size = text.len();
    if (1..=max).contains(&size) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    refused(format!(
        "`{field}` has {size} bytes (1 to {max} printable ones are allowed)"
    ))
}

fn refused<T>(detail: String) -> Result<T, StatementError> {
    Err(StatementError(detail))
}
