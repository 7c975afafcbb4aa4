//! Totals as they are stored in INGEST: one subject a part of a source, its newest message counts.

use std::time::{Duration, Instant, SystemTime};

use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use async_nats::jetstream::Context;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::organization::Org;
use crate::refusal::Refusal;
use crate::series::record::Record;
use crate::series::source::Found;
use crate::series::{Source, SourceId};

const STREAM: &str = "INGEST";
/// Parts of a source; no organization has room for more.
const PARTS_MAX: usize = 4_096;
/// Parts that are read at a time.
const READ_AT_ONCE: usize = 16;
/// How often a source is read that somebody else is writing.
const ATTEMPTS: usize = 5;

/// Where a part is stored.
pub fn subject(org: &Org, id: SourceId, part: usize) -> String {
    format!("totals.{org}.{id:016x}.{part}")
}

#[derive(Clone)]
pub struct Totals {
    context: Context,
}

/// The newest message of a subject.
struct Newest {
    sequence: u64,
    /// None where it is no record.
    found: Found,
}

impl Totals {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Puts into a source what is stored of it.
    pub async fn read(&self, org: &Org, id: SourceId, source: &mut Source) -> Result<(), Refusal> {
        let stream = self.context.get_stream_no_info(STREAM).await;
        let stream = stream.map_err(|error| unreadable(&error))?;
        for _ in 0..ATTEMPTS {
            let Some(root) = newest(&stream, subject(org, id, 0)).await? else {
                source.restore_nothing();
                return Ok(());
            };
            let sequence = root.sequence;
            let parts = parts(&stream, org, id, root).await?;
            // A part of another time than the first: they are being written.
            if source.restore(sequence, parts).is_ok() {
                return Ok(());
            }
        }
        let text = "the totals that are stored change all the time";
        Err(Refusal::Unavailable(text.to_owned()))
    }
}

/// The first part, and all others.
async fn parts(
    stream: &Stream<()>,
    org: &Org,
    id: SourceId,
    root: Newest,
) -> Result<Vec<Found>, Refusal> {
    let count = match &root.found {
        Some((record, _)) if record.versions.len() <= PARTS_MAX => record.versions.len(),
        _ => {
            tracing::warn!(%org, root.sequence, "what INGEST has as totals is none");
            return Ok(Vec::new());
        }
    };
    let read = |part| async move {
        let newest = newest(stream, subject(org, id, part)).await?;
        Ok(newest.and_then(|newest| newest.found))
    };
    let others = stream::iter((1..count).map(read)).buffered(READ_AT_ONCE);
    let others: Vec<Found> = others.try_collect().await?;
    Ok(std::iter::once(root.found).chain(others).collect())
}

async fn newest(stream: &Stream<()>, subject: String) -> Result<Option<Newest>, Refusal> {
    match stream.direct_get_last_for_subject(subject).await {
        Ok(message) => {
            let written = long_ago(message.time.into());
            let record = Record::read(&message.payload).ok();
            Ok(Some(Newest {
                sequence: message.sequence,
                found: record.map(|record| (record, written)),
            }))
        }
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&error)),
    }
}

/// A moment by the server's clock, as far back as it lies by this one.
fn long_ago(time: SystemTime) -> Instant {
    let age = SystemTime::now().duration_since(time);
    let now = Instant::now();
    now.checked_sub(age.unwrap_or(Duration::ZERO))
        .unwrap_or(now)
}

fn unreadable<E: std::error::Error>(error: &E) -> Refusal {
    Refusal::Unavailable(format!(
        "the totals that are stored cannot be read: {error}"
    ))
}
