//! One evaluation: from a question to a recorded verdict.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use async_nats::jetstream;
use async_nats::jetstream::object_store::{GetErrorKind, ObjectStore};
use bytes::Bytes;
use parking_lot::Mutex;
use ratchet_sandbox::evaluate::{
    EvaluateError, Evaluation, Evaluator, Incumbent, Options, Question,
};
use ratchet_sandbox::policy::World;
use ratchet_trust::{module_bytes_max, ModuleDigest, OrgName, FLEET};
use tokio::io::AsyncReadExt;

use super::fleet::{self, Finding, Tour};
use super::held_back;
use super::ledger::{self, Admission, Ledger, LedgerError, Page, Verdict, Word};
use super::wire::{Answer, EvaluateRequest, Refused};
use super::{Knowledge, Tenant};
use crate::events::now_ms;

/// Of a module some hundred times as slow as others: what judges it should not take for ever.
const FOREIGN_ROUNDS: u32 = 3;
const FOREIGN_FUZZ_MESSAGES: usize = 32;

/// Everything that an evaluation needs besides the question.
pub struct Court {
    pub context: jetstream::Context,
    pub modules: ObjectStore,
    pub evaluator: Arc<Evaluator>,
    pub knowledge: Arc<dyn Knowledge>,
    pub books: Books,
    /// Whether tenants may bring modules.
    pub foreign: bool,
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
        if request.foreign && !self.foreign {
            return Some(Answer::Refusal(foreign_module(org)));
        }
        if !self.knowledge.knows(org, request.configuration) {
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
        // What serves is read once: the verdict is about this one.
        let incumbent = self
            .knowledge
            .serving(request.org.as_str(), request.configuration);
        // 1. The candidate's bytes, hashed here.
        let rivals = Rivals {
            candidate: self.fetch(request.module, Some(request.size)).await?.into(),
            foreign: request.foreign,
            incumbent: match incumbent {
                Some(module) => Some(self.fetch(module, None).await?.into()),
                None => None,
            },
        };
        let seed = RandomState::new().build_hasher().finish();
        let tenants = self.tenants(request, seed).await?;
        // 2. The question is paid for before anything can be learnt from it.
        let charged = request.clone();
        self.books
            .update(&request.org, move |page| {
                page.charge(&question(&charged, incumbent))
            })
            .await?;
        // 3. Policy, comparison with the baseline, and timing against the incumbent.
        let finding = if request.org.as_str() == FLEET {
            self.tour(&tenants, &rivals, seed).await?
        } else {
            self.one(&tenants, &rivals, seed).await?
        };
        // 4. The record, durable before the answer leaves.
        let verdict = verdict(request, incumbent, seed, finding);
        let word = verdict.word;
        tell(request, &verdict);
        self.books
            .update(&request.org, move |page| page.record(verdict))
            .await?;
        Ok(word)
    }

    /// Whose messages the question is put to.
    async fn tenants(&self, request: &EvaluateRequest, seed: u64) -> Result<Vec<Tenant>, Refused> {
        let (org, configuration) = (request.org.as_str(), request.configuration);
        if org == FLEET {
            let chosen = fleet::choose(&self.context, self.knowledge.as_ref(), seed).await;
            return chosen.map_err(|error| no_messages(&error));
        }
        let rules = self.knowledge.rules(org, configuration);
        let rules = rules.ok_or_else(|| unknown_configuration(request))?;
        Ok(vec![Tenant {
            org: org.to_owned(),
            configuration,
            rules,
        }])
    }

    async fn one(
        &self,
        tenants: &[Tenant],
        rivals: &Rivals,
        seed: u64,
    ) -> Result<Finding, Refused> {
        let options = options(seed, rivals.foreign);
        let tenant = tenants.first().ok_or_else(|| no_messages("nobody's"))?;
        Ok(Finding::from(
            &self.evaluate_on(tenant, rivals, options).await?,
        ))
    }

    /// One organization after the other, so that the messages of one are in memory at a time.
    async fn tour(
        &self,
        tenants: &[Tenant],
        rivals: &Rivals,
        seed: u64,
    ) -> Result<Finding, Refused> {
        let mut tour = Tour::default();
        for tenant in tenants {
            let options = fleet::options(seed, tenants.len());
            let evaluation = self.evaluate_on(tenant, rivals, options).await?;
            if !tour.add(&tenant.org, evaluation) {
                break;
            }
        }
        Ok(tour.finish())
    }

    /// On held-back messages of one organization, of which the seed chooses.
    async fn evaluate_on(
        &self,
        tenant: &Tenant,
        rivals: &Rivals,
        options: Options,
    ) -> Result<Evaluation, Refused> {
        let all = held_back::read(&self.context, &tenant.org, tenant.configuration).await;
        let all = all.map_err(|error| no_messages(&error))?;
        let case = Case {
            rules: tenant.rules.clone(),
            messages: held_back::sample(all, options.seed),
            rivals: rivals.clone(),
            options,
        };
        self.run(case).await
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
        // The digest says which bytes; where tenants may bring modules, one may serve already.
        let limit = module_bytes_max(self.foreign) as u64;
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

/// What runs against what; no incumbent is the baseline.
#[derive(Clone)]
struct Rivals {
    candidate: Bytes,
    /// A tenant brought the candidate.
    foreign: bool,
    incumbent: Option<Bytes>,
}

/// An evaluation's input, owned, to be moved to a thread of its own.
struct Case {
    rules: Bytes,
    messages: Vec<Bytes>,
    rivals: Rivals,
    options: Options,
}

impl Case {
    fn evaluate(&self, evaluator: &Evaluator) -> Result<Evaluation, EvaluateError> {
        let incumbent = match &self.rivals.incumbent {
            Some(bytes) => Incumbent::Component(bytes),
            None => Incumbent::Baseline,
        };
        let question = Question {
            rules: Arc::from(self.rules.as_ref()),
            messages: &self.messages,
            candidate: &self.rivals.candidate,
            world: if self.rivals.foreign {
                World::Wasi
            } else {
                World::Payload
            },
            incumbent,
        };
        evaluator.evaluate(&question, &self.options)
    }
}

fn question(request: &EvaluateRequest, incumbent: Option<ModuleDigest>) -> ledger::Question<'_> {
    ledger::Question {
        configuration: request.configuration,
        module: request.module,
        incumbent,
        foreign: request.foreign,
        generation: &request.generation,
    }
}

/// A foreign module is right or wrong as any other. It is timed, so that deadlines count, and not
/// judged by its speed.
fn options(seed: u64, foreign: bool) -> Options {
    let options = Options {
        seed,
        ..Options::default()
    };
    if !foreign {
        return options;
    }
    Options {
        ratio_min: 0.0,
        rounds: FOREIGN_ROUNDS,
        fuzz_messages: FOREIGN_FUZZ_MESSAGES,
        ..options
    }
}

fn foreign_module(org: &str) -> Refused {
    let detail = format!("a module that `{org}` brings; this aggregator runs with `--wasi none`");
    Refused::new("foreign-module", detail)
}

/// A refusal that passes by itself: the asker tries again.
fn unavailable(module: ModuleDigest, error: &str) -> Refused {
    Refused::new("unavailable", format!("module {module}: {error}"))
}

fn no_messages(error: &str) -> Refused {
    Refused::new("unavailable", format!("held-back messages: {error}"))
}

fn unknown_configuration(request: &EvaluateRequest) -> Refused {
    let detail = format!("`{}` has no {}", request.org, request.configuration);
    Refused::new("unknown-configuration", detail)
}

fn verdict(
    request: &EvaluateRequest,
    incumbent: Option<ModuleDigest>,
    seed: u64,
    finding: Finding,
) -> Verdict {
    let detail = finding.detail.chars();
    Verdict {
        configuration: request.configuration,
        module: request.module,
        size: request.size,
        incumbent,
        foreign: request.foreign,
        word: finding.word,
        detail: detail.take(ledger::DETAIL_CHARS_MAX).collect(),
        generation: request.generation.clone(),
        candidate: request.candidate.clone(),
        seed,
        messages: finding.messages,
        ratio: finding.ratio,
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
