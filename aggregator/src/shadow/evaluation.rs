//! One evaluation: from a question to a recorded verdict.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use async_nats::jetstream;
use async_nats::jetstream::object_store::{GetErrorKind, ObjectStore};
use bytes::Bytes;
use parking_lot::Mutex;
use ratchet_sandbox::evaluate::{Evaluation, Evaluator, Incumbent, Options, Question};
use ratchet_trust::{ModuleDigest, OrgName, MODULE_BYTES_MAX};
use tokio::io::AsyncReadExt;

use super::held_back;
use super::ledger::{self, Admission, Ledger, LedgerError, Page, Verdict, Word};
use super::wire::{Answer, EvaluateRequest, Refused};
use super::Knowledge;
use crate::events::now_ms;

/// Everything that an evaluation needs besides the question.
pub struct Court {
    pub context: jetstream::Context,
    pub modules: ObjectStore,
    pub evaluator: Arc<Evaluator>,
    pub knowledge: Arc<dyn Knowledge>,
    pub books: Books,
}

/// The ledger, for many tasks; its writes wait for the disk, so they leave the runtime's threads.
#[derive(Clone)]
pub struct Books(Arc<Mutex<Ledger>>);

impl Books {
    pub fn new(ledger: Ledger) -> Self {
        Self(Arc::new(Mutex::new(ledger)))
    }

    pub fn page(&self, org: &OrgName) -> Page {
        self.0.lock().page(org)
    }

    pub async fn update(
        &self,
        org: &OrgName,
        change: impl FnOnce(&mut Page) + Send + 'static,
    ) -> Result<(), Refused> {
        let (ledger, org) = (self.0.clone(), org.clone());
        let write = move || ledger.lock().update(&org, change);
        let fault = |detail: String| Refused::new("ledger", detail);
        let written: Result<(), LedgerError> = tokio::task::spawn_blocking(write)
            .await
            .map_err(|error| fault(error.to_string()))?;
        written.map_err(|error| fault(error.to_string()))
    }
}

impl Court {
    /// Answers without an evaluation where that is possible; `None` means: evaluate.
    pub fn answer_from_record(&self, request: &EvaluateRequest) -> Option<Answer> {
        let org = request.org.as_str();
        if self.knowledge.rules(org, request.configuration).is_none() {
            return Some(Answer::Refusal(unknown_configuration(request)));
        }
        let incumbent = self.knowledge.serving(org, request.configuration);
        match self
            .books
            .page(&request.org)
            .consider(&question(request, incumbent))
        {
            Admission::Known(verdict) => Some(Answer::Verdict { verdict }),
            Admission::TooMany => {
                let detail = format!(
                    "{} asked {} questions already",
                    request.generation,
                    ledger::QUESTIONS_MAX
                );
                Some(Answer::Refusal(Refused::new("too-many-questions", detail)))
            }
            Admission::Ask => None,
        }
    }

    /// Evaluates, unless the record has come to know the answer while the question waited.
    pub async fn evaluate(&self, request: &EvaluateRequest) -> Answer {
        if let Some(answer) = self.answer_from_record(request) {
            return answer;
        }
        match self.judge(request).await {
            Ok(verdict) => Answer::Verdict { verdict },
            Err(refused) => Answer::Refusal(refused),
        }
    }

    async fn judge(&self, request: &EvaluateRequest) -> Result<Word, Refused> {
        let (org, configuration) = (request.org.as_str(), request.configuration);
        let rules = self
            .knowledge
            .rules(org, configuration)
            .ok_or_else(|| unknown_configuration(request))?;
        // What serves is read once: the verdict is about this one.
        let incumbent = self.knowledge.serving(org, configuration);
        // 1. The candidate's bytes, hashed here.
        let candidate = self.fetch(request.module, Some(request.size)).await?;
        let incumbent_bytes = match incumbent {
            Some(module) => Some(self.fetch(module, None).await?),
            None => None,
        };
        // 2. Held-back messages, of which a seed chooses.
        let all = held_back::read(&self.context, org, configuration)
            .await
            .map_err(|error| Refused::new("unavailable", format!("held-back messages: {error}")))?;
        let seed = RandomState::new().build_hasher().finish();
        let messages = held_back::sample(all, seed);
        // 3. The question is paid for before anything can be learnt from it.
        let charged = request.clone();
        self.books
            .update(&request.org, move |page| {
                page.charge(&question(&charged, incumbent))
            })
            .await?;
        // 4. Policy, comparison with the baseline, and timing against the incumbent.
        let case = Case {
            rules,
            messages,
            candidate,
            incumbent: incumbent_bytes,
            seed,
        };
        let evaluation = self.run(case).await?;
        // 5. The record, durable before the answer leaves.
        let verdict = verdict(request, incumbent, seed, &evaluation);
        let word = verdict.word;
        tell(request, &verdict);
        self.books
            .update(&request.org, move |page| page.record(verdict))
            .await?;
        Ok(word)
    }

    async fn run(&self, case: Case) -> Result<Evaluation, Refused> {
        let evaluator = self.evaluator.clone();
        let fault = |detail: String| Refused::new("evaluation", detail);
        tokio::task::spawn_blocking(move || case.evaluate(&evaluator))
            .await
            .map_err(|error| fault(error.to_string()))?
            .map_err(|error| fault(error.to_string()))
    }

    /// Reads a component from the object store, never more than the limit, and hashes it.
    async fn fetch(&self, module: ModuleDigest, size: Option<u64>) -> Result<Vec<u8>, Refused> {
        let object = match self.modules.get(module.to_string()).await {
            Ok(object) => object,
            Err(error) if error.kind() == GetErrorKind::NotFound => {
                return Err(Refused::new(
                    "module-missing",
                    format!("{module} is not stored"),
                ));
            }
            Err(error) => return Err(unavailable(module, &error.to_string())),
        };
        let mut bytes = Vec::new();
        let limit = MODULE_BYTES_MAX as u64;
        let read = object.take(limit + 1).read_to_end(&mut bytes).await;
        read.map_err(|error| unavailable(module, &error.to_string()))?;
        let found = bytes.len() as u64;
        if found > limit || size.is_some_and(|size| size != found) {
            let wanted = size.unwrap_or(limit);
            let detail = format!("{module} has {found} bytes; {wanted} were told");
            return Err(Refused::new("module-size", detail));
        }
        let digest = ModuleDigest::of(&bytes);
        if digest != module {
            return Err(Refused::new(
                "module-digest",
                format!("{module} holds {digest}"),
            ));
        }
        Ok(bytes)
    }
}

/// An evaluation's input, owned, to be moved to a thread of its own.
struct Case {
    rules: Bytes,
    messages: Vec<Bytes>,
    candidate: Vec<u8>,
    incumbent: Option<Vec<u8>>,
    seed: u64,
}

impl Case {
    fn evaluate(
        &self,
        evaluator: &Evaluator,
    ) -> Result<Evaluation, ratchet_sandbox::evaluate::EvaluateError> {
        let incumbent = match &self.incumbent {
            Some(bytes) => Incumbent::Component(bytes),
            None => Incumbent::Baseline,
        };
        let question = Question {
            rules: Arc::from(self.rules.as_ref()),
            messages: &self.messages,
            candidate: &self.candidate,
            incumbent,
        };
        evaluator.evaluate(
            &question,
            &Options {
                seed: self.seed,
                ..Options::default()
            },
        )
    }
}

fn question(request: &EvaluateRequest, incumbent: Option<ModuleDigest>) -> ledger::Question<'_> {
    ledger::Question {
        configuration: request.configuration,
        module: request.module,
        incumbent,
        generation: &request.generation,
    }
}

/// A refusal that passes by itself: the asker tries again.
fn unavailable(module: ModuleDigest, error: &str) -> Refused {
    Refused::new("unavailable", format!("module {module}: {error}"))
}

fn unknown_configuration(request: &EvaluateRequest) -> Refused {
    let detail = format!("`{}` has no {}", request.org, request.configuration);
    Refused::new("unknown-configuration", detail)
}

fn verdict(
    request: &EvaluateRequest,
    incumbent: Option<ModuleDigest>,
    seed: u64,
    evaluation: &Evaluation,
) -> Verdict {
    use ratchet_sandbox::evaluate::Verdict as Found;
    let (word, detail) = match &evaluation.verdict {
        Found::Pass => (Word::Pass, String::new()),
        Found::Fail(failure) => (Word::Fail, failure.to_string()),
        Found::Insufficient { messages, wanted } => (
            Word::Insufficient,
            format!("{messages} messages; {wanted} wanted"),
        ),
    };
    Verdict {
        configuration: request.configuration,
        module: request.module,
        size: request.size,
        incumbent,
        word,
        detail: detail.chars().take(ledger::DETAIL_CHARS_MAX).collect(),
        generation: request.generation.clone(),
        candidate: request.candidate.clone(),
        seed,
        messages: evaluation.held_back,
        ratio: evaluation.ratio.as_ref().map(|ratio| ratio.ratio),
        at_ms: now_ms(),
    }
}

/// To this machine's log only: figures on held-back traffic are no answer.
fn tell(request: &EvaluateRequest, verdict: &Verdict) {
    tracing::info!(
        org = %request.org,
        generation = request.generation,
        candidate = request.candidate,
        module = %request.module,
        word = ?verdict.word,
        detail = verdict.detail,
        messages = verdict.messages,
        ratio = verdict.ratio,
        seed = verdict.seed,
        "shadow verdict"
    );
}
