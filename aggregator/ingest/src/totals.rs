//! Totals as they are stored in INGEST: one subject a part of a source, its newest message counts.

use std::time::Instant;

use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use async_nats::jetstream::Context;

use crate::organization::Org;
use crate::refusal::Refusal;
use crate::series::record::Record;
use crate::series::{Source, SourceId};

const STREAM: &str = "INGEST";
/// Parts of a source; it has as many as its series, at a quarter of a million bytes each, need.
const PARTS_MAX: usize = 4_096;

/// Where a part is stored.
pub fn subject(org: &Org, id: SourceId, part: usize) -> String {
    format!("totals.{org}.{id:016x}.{part}")
}

#[derive(Clone)]
pub struct Totals {
    context: Context,
}

impl Totals {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Puts into a source what is stored of it.
    pub async fn read(&self, org: &Org, id: SourceId, source: &mut Source) -> Result<(), Refusal> {
        let stream = self.context.get_stream_no_info(STREAM).await;
        let stream = stream.map_err(|error| unreadable(&error))?;
        let Some((sequence, root)) = last(&stream, subject(org, id, 0)).await? else {
            source.restore_nothing();
            return Ok(());
        };
        let Some(root) = root.filter(|root| root.versions.len() <= PARTS_MAX) else {
            tracing::warn!(%org, sequence, "what INGEST has as totals is none: they begin anew");
            *source = Source::default();
            return source
                .restore(sequence, Vec::new(), Instant::now())
                .map_err(|error| unreadable(&error));
        };
        let mut records = vec![Some(root)];
        for part in 1..records[0].as_ref().map_or(0, |root| root.versions.len()) {
            let found = last(&stream, subject(org, id, part)).await?;
            records.push(found.and_then(|(_, record)| record));
        }
        // A part of another time: another gateway is writing it. The sender tries again.
        let restored = source.restore(sequence, records, Instant::now());
        restored.map_err(|error| unreadable(&error))
    }
}

fn unreadable<E: std::error::Error>(error: &E) -> Refusal {
    Refusal::Unavailable(format!(
        "the totals that are stored cannot be read: {error}"
    ))
}

/// The newest message of a subject, and the record that it is.
async fn last(
    stream: &Stream<()>,
    subject: String,
) -> Result<Option<(u64, Option<Record>)>, Refusal> {
    match stream.direct_get_last_for_subject(subject).await {
        Ok(found) => Ok(Some((found.sequence, Record::read(&found.payload).ok()))),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&error)),
    }
}
