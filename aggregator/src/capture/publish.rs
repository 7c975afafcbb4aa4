//! Publishes samples, and tells how many are held.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::HeaderMap;
use futures::TryStreamExt;
use ratchet_trust::ConfigurationDigest;

use super::{Destination, Redactor, Sample, SampleQueue};
use crate::events::Events;
use crate::identity::Org;

const REPORT_EVERY: Duration = Duration::from_secs(2);
const REPEAT_AFTER: Duration = Duration::from_secs(30);

impl Destination {
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
        }
    }

    fn stream(self) -> &'static str {
        match self {
            Self::Training => "TRAINING",
            Self::Validation => "VALIDATION",
        }
    }
}

/// An organization and a configuration.
type Key = (Org, ConfigurationDigest);

/// How many messages of a configuration the streams hold.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Held {
    training: usize,
    validation: usize,
}

/// Publishes samples until the capture is gone; tells of each change by `captured` events.
pub async fn run(context: jetstream::Context, mut queue: SampleQueue, events: Events) {
    let mut redactor = Redactor::default();
    let mut changed: BTreeSet<Key> = BTreeSet::new();
    let mut told: BTreeMap<Key, (Held, Instant)> = BTreeMap::new();
    let mut report = tokio::time::interval(REPORT_EVERY);
    loop {
        tokio::select! {
            sample = queue.samples.recv() => {
                let Some(sample) = sample else { return };
                let key = (sample.org.clone(), sample.configuration);
                match publish(&context, &queue, &mut redactor, &sample).await {
                    Ok(true) => {
                        changed.insert(key);
                    }
                    Ok(false) => {}
                    Err(error) => {
                        queue.metrics.capture_dropped.inc();
                        tracing::warn!(org = %key.0, error, "capture dropped");
                    }
                }
            }
            _ = report.tick() => {
                for key in std::mem::take(&mut changed) {
                    let Some(held) = held_of(&context, &key).await else { continue };
                    queue.plenty.tell(&key.0, key.1, held.training.min(held.validation));
                    // A full stream stays full: that is repeated, but rarely.
                    let known = told.get(&key).is_some_and(|(known, at)| {
                        *known == held && at.elapsed() < REPEAT_AFTER
                    });
                    if !known {
                        tell(&events, &key, held);
                        told.insert(key, (held, Instant::now()));
                    }
                }
            }
        }
    }
}

/// False when nothing of the message may be published.
async fn publish(
    context: &jetstream::Context,
    queue: &SampleQueue,
    redactor: &mut Redactor,
    sample: &Sample,
) -> Result<bool, String> {
    let body = match sample.destination {
        Destination::Validation => Some(sample.payload.clone()),
        Destination::Training => redactor
            .redact(&sample.payload, &sample.header, &sample.org, &queue.key)
            .map_err(|error| error.to_string())?,
    };
    let Some(body) = body else { return Ok(false) };
    let destination = sample.destination.name();
    let org = sample.org.to_string();
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", format!("{org}/{}", sample.sequence));
    let subject = subject(sample.destination, &org, sample.configuration);
    let ack = context
        .publish_with_headers(subject, headers, body)
        .await
        .map_err(|error| error.to_string())?;
    ack.await.map_err(|error| error.to_string())?;
    queue.metrics.captured(&org, destination);
    Ok(true)
}

/// Where the captured messages of a configuration lie.
fn subject(destination: Destination, org: &str, configuration: ConfigurationDigest) -> String {
    format!("{}.{org}.{}", destination.name(), configuration.0.short())
}

async fn held_of(context: &jetstream::Context, (org, configuration): &Key) -> Option<Held> {
    let org = org.as_str();
    Some(Held {
        training: held(context, Destination::Training, org, *configuration).await?,
        validation: held(context, Destination::Validation, org, *configuration).await?,
    })
}

fn tell(events: &Events, (org, configuration): &Key, held: Held) {
    let fields = serde_json::json!({
        "configuration": configuration.to_string(),
        "training": held.training,
        "validation": held.validation,
    });
    events.send(org.as_str(), "captured", fields);
}

/// How many captured messages of a configuration the stream holds; `None` when it cannot be asked.
pub async fn held(
    context: &jetstream::Context,
    destination: Destination,
    org: &str,
    configuration: ConfigurationDigest,
) -> Option<usize> {
    let stream = context
        .get_stream_no_info(destination.stream())
        .await
        .ok()?;
    let subject = subject(destination, org, configuration);
    let mut subjects = stream.info_with_subjects(&subject).await.ok()?;
    let mut held = 0;
    while let Ok(Some((_, count))) = subjects.try_next().await {
        held += count;
    }
    Some(held)
}
