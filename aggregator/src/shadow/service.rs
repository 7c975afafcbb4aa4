//! The three endpoints, and the queue between questions and the one evaluation at a time.

use std::sync::Arc;

use async_nats::service::endpoint::Endpoint;
use async_nats::service::{Request, ServiceExt};
use futures::StreamExt;
use ratchet_sandbox::evaluate::{EvaluateError, Evaluator};
use ratchet_sandbox::Limits;
use ratchet_trust::sign::countersign;
use ratchet_trust::{PrivateKey, StatementDigest, FLEET};
use tokio::sync::mpsc;

use super::decision::{self, Facts};
use super::evaluation::{Books, Court};
use super::ledger::{Ledger, LedgerError};
use super::wire::{self, Answer, EvaluateRequest, Refused, StatusRequest};
use super::{fleet, held_back};
use super::{Knowledge, ProofRequirement, Setup};
use crate::events::now_ms;

const NAME: &str = "ratchet-shadow";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Questions that wait while one is evaluated; the asker retries when there is no room.
const QUEUE_MAX: usize = 8;
/// Instances of the evaluations' own engines; one evaluation runs at a time.
const INSTANCES_MAX: u32 = 32;

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Evaluator(#[from] EvaluateError),
    #[error("the service cannot be offered: {0}")]
    Offer(String),
    #[error("the connection to NATS is gone")]
    Gone,
}

/// Serves until the connection is closed for good.
pub async fn serve(setup: Setup, knowledge: Arc<dyn Knowledge>) -> Result<(), ServiceError> {
    let offer = |error: async_nats::Error| ServiceError::Offer(error.to_string());
    let books = Books::new(Ledger::open(&setup.directory)?);
    let foreign = setup.proof.wasi.is_some();
    let limits = Limits {
        instances_max: INSTANCES_MAX,
        wasi: setup.proof.wasi.clone(),
        ..Limits::default()
    };
    let evaluator = Arc::new(Evaluator::new(limits)?);
    let service = setup
        .client
        .service_builder()
        .start(NAME, VERSION)
        .await
        .map_err(offer)?;
    let group = service.group("shadow");
    let evaluate = group.endpoint("evaluate").await.map_err(offer)?;
    let sign = group.endpoint("countersign").await.map_err(offer)?;
    let status = group.endpoint("status").await.map_err(offer)?;
    let court = Arc::new(Court {
        context: setup.context,
        modules: setup.modules,
        evaluator,
        knowledge,
        books,
        foreign,
    });
    let signer = Signer {
        key: setup.key,
        proof: setup.proof,
        court: court.clone(),
    };
    let (queue, waiting) = mpsc::channel(QUEUE_MAX);
    tracing::info!(keyid = %signer.key.keyid(), "the shadow service is offered");
    tokio::select! {
        () = take_questions(evaluate, &court, queue) => {}
        () = evaluate_in_turn(&court, waiting) => {}
        () = sign_statements(sign, &signer) => {}
        () = tell_status(status, &court) => {}
    }
    Err(ServiceError::Gone)
}

struct Waiting {
    question: EvaluateRequest,
    request: Request,
}

/// Answers what needs no evaluation, and lines up the rest.
async fn take_questions(mut endpoint: Endpoint, court: &Court, queue: mpsc::Sender<Waiting>) {
    while let Some(request) = endpoint.next().await {
        let question = match wire::evaluate_request(&request.message.payload) {
            Ok(question) => question,
            Err(refused) => {
                respond(&request, &Answer::Refusal(refused)).await;
                continue;
            }
        };
        if let Some(answer) = court.answer_from_record(&question) {
            respond(&request, &answer).await;
            continue;
        }
        if let Err(full) = queue.try_send(Waiting { question, request }) {
            let detail = format!("{QUEUE_MAX} questions wait already");
            let answer = Answer::Refusal(Refused::new("busy", detail));
            respond(&full.into_inner().request, &answer).await;
        }
    }
}

/// One evaluation at a time: two would disturb each other's timings.
async fn evaluate_in_turn(court: &Court, mut waiting: mpsc::Receiver<Waiting>) {
    while let Some(Waiting { question, request }) = waiting.recv().await {
        // Evaluated even if the asker is gone: it will ask again, and find the record.
        let answer = court.evaluate(&question).await;
        respond(&request, &answer).await;
    }
}

struct Signer {
    key: PrivateKey,
    proof: ProofRequirement,
    court: Arc<Court>,
}

async fn sign_statements(mut endpoint: Endpoint, signer: &Signer) {
    while let Some(request) = endpoint.next().await {
        let answer = match signer.sign(&request.message.payload).await {
            Ok(answer) => answer,
            Err(refused) => {
                tracing::warn!(
                    reason = refused.error,
                    detail = refused.detail,
                    "not signed"
                );
                Answer::Refusal(refused)
            }
        };
        respond(&request, &answer).await;
    }
}

impl Signer {
    async fn sign(&self, request: &[u8]) -> Result<Answer, Refused> {
        let bytes = wire::countersign_request(request)?;
        let statement = decision::parse(&bytes)?;
        let predicate = statement.predicate;
        let court = &self.court;
        let facts = Facts::gather(&predicate, court.knowledge.as_ref(), now_ms(), &self.proof);
        let page = court.books.page(&predicate.org);
        decision::decide(&predicate, StatementDigest::of(&bytes), &facts, &page)?;
        // Which versions were signed is durable before the signature exists.
        let version = predicate.version;
        court
            .books
            .update(&predicate.org, move |page| page.sign(version))
            .await?;
        tracing::info!(org = %predicate.org, version, kind = %predicate.kind, "countersigned");
        Ok(Answer::Signature(countersign(&self.key, &bytes)))
    }
}

async fn tell_status(mut endpoint: Endpoint, court: &Court) {
    while let Some(request) = endpoint.next().await {
        let answer = match wire::status_request(&request.message.payload) {
            Ok(question) => status(court, &question).await,
            Err(refused) => Err(refused),
        };
        respond(&request, &answer.unwrap_or_else(Answer::Refusal)).await;
    }
}

async fn status(court: &Court, question: &StatusRequest) -> Result<Answer, Refused> {
    let org = question.org.as_str();
    let count = |stream: &'static str| async move {
        held_back::count(&court.context, stream, org, question.configuration)
            .await
            .map_err(|error| Refused::new("unavailable", format!("{stream}: {error}")))
    };
    let accepted_version = court.knowledge.floor(org).map_or(0, |floor| floor.version);
    if org == FLEET {
        let knowledge = court.knowledge.as_ref();
        return fleet::status(&court.context, knowledge, accepted_version).await;
    }
    Ok(Answer::Status {
        held_back: count(held_back::VALIDATION).await?,
        training: count(held_back::TRAINING).await?,
        accepted_version,
    })
}

async fn respond(request: &Request, answer: &Answer) {
    if let Err(error) = request.respond(Ok(answer.to_json().into())).await {
        tracing::warn!(%error, "an answer was not sent");
    }
}
