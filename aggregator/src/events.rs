//! Events: what happened to an organization, on `evt.<org>.<kind>`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::jetstream;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::metrics::Metrics;

const QUEUE_MAX: usize = 1024;
const ATTEMPTS_MAX: u32 = 5;
const RETRY_DELAY: Duration = Duration::from_millis(500);

struct Event {
    subject: String,
    body: Vec<u8>,
}

/// Sends events without ever blocking the caller; what does not fit the queue is counted.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<Event>,
    metrics: Metrics,
}

/// The receiving end, published by [`publish`].
pub struct EventQueue(mpsc::Receiver<Event>);

impl Events {
    pub fn new(metrics: Metrics) -> (Self, EventQueue) {
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        (Self { queue, metrics }, EventQueue(receiver))
    }

    /// Sends an event; `fields` is a JSON object, and the moment is added to it.
    pub fn send(&self, org: &str, kind: &str, fields: Value) {
        let mut object = Map::new();
        object.insert("at".to_owned(), now_ms().into());
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        let body = Value::Object(object).to_string();
        tracing::info!(org, kind, event = %body, "event");
        let event = Event {
            subject: format!("evt.{org}.{kind}"),
            body: body.into_bytes(),
        };
        if self.queue.try_send(event).is_err() {
            self.metrics.events_dropped.inc();
        }
    }
}

/// Publishes events until every sender is gone.
pub async fn publish(context: jetstream::Context, mut queue: EventQueue) {
    while let Some(event) = queue.0.recv().await {
        for attempt in 1..=ATTEMPTS_MAX {
            match publish_once(&context, &event).await {
                Ok(()) => break,
                Err(error) if attempt == ATTEMPTS_MAX => {
                    tracing::warn!(subject = event.subject, %error, "event given up");
                }
                Err(_) => tokio::time::sleep(RETRY_DELAY).await,
            }
        }
    }
}

async fn publish_once(
    context: &jetstream::Context,
    event: &Event,
) -> Result<(), jetstream::context::PublishError> {
    context
        .publish(event.subject.clone(), event.body.clone().into())
        .await?
        .await?;
    Ok(())
}

pub fn now_ms() -> i64 {
    now_us() / 1_000
}

pub fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
