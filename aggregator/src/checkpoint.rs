//! What a partition keeps across owners: one small value of the bucket `checkpoints`.
//!
//! Open windows are not saved. The value says from which message on the stream has to be read again
//! to rebuild them, up to which message everything was read, and, for each organization, how far
//! its time had come. It is written only after everything that it stands for was acknowledged, and
//! only over the revision that its writer knows: an owner that was replaced writes nothing more.

use std::collections::BTreeMap;

use async_nats::jetstream::kv::{Operation, Store, UpdateErrorKind};
use serde::{Deserialize, Serialize};

const SCHEMA: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    pub schema: u32,
    /// The stream that the numbers are of: its name and the moment it was created. A stream that
    /// was made anew starts from nothing.
    pub stream: String,
    /// The moment from which on the numbers hold; see [`crate::position::Position`].
    pub origin_ms: i64,
    /// The ownership under which this was written; every owner has a higher one.
    pub epoch: u64,
    /// Where to read from: the oldest message that has a point in an open window.
    pub position: u64,
    /// The newest message that everybody has come to; what it and those before it closed is
    /// emitted.
    pub head: u64,
    /// The newest tick.
    pub tick_ms: Option<i64>,
    /// How far an organization's own messages brought its time, where that is beyond the tick.
    pub times_ms: BTreeMap<String, i64>,
    /// How far the parts of an organization had come that its home folds, by partition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts_ms: BTreeMap<String, BTreeMap<u32, i64>>,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Somebody else wrote in the meantime.
    #[error("the checkpoint of partition {0} was written by another owner")]
    Conflict(u32),
    #[error("checkpoints are out of reach: {0}")]
    Unavailable(String),
    /// Never repaired silently: starting from nothing would lose what is open.
    #[error("the checkpoint of partition {partition} is damaged: {detail}")]
    Damaged { partition: u32, detail: String },
}

/// The input stream as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub stream: String,
    pub created_ms: i64,
    pub last_sequence: u64,
}

impl Checkpoint {
    pub fn new(origin: &Origin) -> Self {
        Self {
            schema: SCHEMA,
            stream: origin.stream.clone(),
            origin_ms: origin.created_ms,
            epoch: 0,
            position: 1,
            head: 0,
            tick_ms: None,
            times_ms: BTreeMap::new(),
            parts_ms: BTreeMap::new(),
        }
    }

    /// The checkpoint as it holds for the stream that is there now. A server that lost the end of
    /// the stream numbers other messages with the numbers that this one has seen: they are new, and
    /// what they emit comes after everything before.
    pub fn on(self, origin: &Origin, now_ms: i64) -> Self {
        if self.stream != origin.stream {
            tracing::warn!(
                old = self.stream,
                new = origin.stream,
                "the stream was made anew"
            );
            let epoch = self.epoch;
            return Self {
                epoch,
                ..Self::new(origin)
            };
        }
        if self.head <= origin.last_sequence {
            return self;
        }
        let (head, last) = (self.head, origin.last_sequence);
        tracing::error!(
            head,
            last,
            "the stream lost messages that were acknowledged"
        );
        Self {
            origin_ms: now_ms.max(self.origin_ms + 1),
            position: self.position.min(last + 1),
            head: last,
            ..self
        }
    }

    fn parse(partition: u32, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let damaged = |detail: String| CheckpointError::Damaged { partition, detail };
        let read: Self = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
        if read.schema != SCHEMA {
            return Err(damaged(format!("schema {}, not {SCHEMA}", read.schema)));
        }
        if read.position == 0 || read.position > read.head.saturating_add(1) {
            let Self { position, head, .. } = read;
            return Err(damaged(format!("position {position} of head {head}")));
        }
        Ok(read)
    }
}

/// The bucket `checkpoints`.
#[derive(Clone, Debug)]
pub struct Checkpoints(Store);

impl Checkpoints {
    pub fn new(bucket: Store) -> Self {
        Self(bucket)
    }

    /// The checkpoint of a partition and its revision; revision 0 when there is none.
    pub async fn load(&self, partition: u32) -> Result<(Option<Checkpoint>, u64), CheckpointError> {
        let entry = self.0.entry(key(partition)).await;
        let entry = entry.map_err(|error| CheckpointError::Unavailable(error.to_string()))?;
        match entry {
            None => Ok((None, 0)),
            Some(entry) if entry.operation != Operation::Put => Ok((None, entry.revision)),
            Some(entry) => {
                let checkpoint = Checkpoint::parse(partition, &entry.value)?;
                Ok((Some(checkpoint), entry.revision))
            }
        }
    }

    /// Writes over `revision`, and returns the new one.
    pub async fn save(
        &self,
        partition: u32,
        checkpoint: &Checkpoint,
        revision: u64,
    ) -> Result<u64, CheckpointError> {
        let json = serde_json::to_vec(checkpoint)
            .map_err(|error| CheckpointError::Unavailable(error.to_string()))?;
        let saved = self.0.update(key(partition), json.into(), revision).await;
        saved.map_err(|error| match error.kind() {
            UpdateErrorKind::WrongLastRevision => CheckpointError::Conflict(partition),
            _ => CheckpointError::Unavailable(error.to_string()),
        })
    }
}

fn key(partition: u32) -> String {
    format!("partition.{partition}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(stream: &str, last_sequence: u64) -> Origin {
        Origin {
            stream: stream.to_owned(),
            created_ms: 1_000,
            last_sequence,
        }
    }

    fn checkpoint(position: u64, head: u64) -> Checkpoint {
        Checkpoint {
            epoch: 7,
            position,
            head,
            tick_ms: Some(5),
            ..Checkpoint::new(&origin("INGEST a", 0))
        }
    }

    #[test]
    fn holds_for_the_stream_that_is_there() {
        let check = |last, expected: (i64, u64, u64)| {
            let held = checkpoint(5, 9).on(&origin("INGEST a", last), 70_000);
            assert_eq!(
                (held.origin_ms, held.position, held.head),
                expected,
                "{last}"
            );
            assert_eq!((held.epoch, held.tick_ms), (7, Some(5)));
        };
        check(9, (1_000, 5, 9));
        check(20, (1_000, 5, 9));
        check(8, (70_000, 5, 8));
        check(3, (70_000, 4, 3));
        let anew = checkpoint(5, 9).on(&origin("INGEST b", 20), 70_000);
        assert_eq!((anew.position, anew.head, anew.epoch), (1, 0, 7));
        assert_eq!(anew.tick_ms, None);
    }

    #[test]
    fn damage_is_told_not_repaired() {
        let good = serde_json::to_string(&checkpoint(1, 0)).unwrap();
        assert_eq!(
            Checkpoint::parse(0, good.as_bytes()).unwrap(),
            checkpoint(1, 0)
        );
        for (bytes, detail) in [
            (String::new(), "EOF"),
            (good[..good.len() - 1].to_owned(), "EOF"),
            (good.replace("\"schema\":1", "\"schema\":2"), "schema 2"),
            (
                good.replace("\"position\":1", "\"position\":2"),
                "position 2 of head 0",
            ),
            (
                good.replace("\"head\":0", "\"head\":0,\"more\":1"),
                "unknown field",
            ),
        ] {
            let error = Checkpoint::parse(3, bytes.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.contains(detail), "{bytes}: {error}");
        }
    }
}
