//! What a partition keeps across restarts, in one small file.
//!
//! Open windows are not saved. The file says from which message on the stream has to be read again
//! to rebuild them, up to which message everything was read, and, for each organization, up to
//! where its windows were closed and emitted. It is written only after what it stands for was
//! acknowledged, whole and synced, so a crash leaves the old file or the new one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const SCHEMA: u32 = 1;
const FILE_BYTES_MAX: u64 = 16 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionState {
    pub schema: u32,
    /// The stream that the numbers are of: its name and the moment it was created. A stream that
    /// was made anew starts from nothing.
    pub stream: String,
    /// Where to read from: the oldest message that has a point in an open window.
    pub position: u64,
    /// The newest message that was taken in.
    pub head: u64,
    /// The newest tick.
    pub tick_ms: Option<i64>,
    /// Windows that end here or earlier are closed, and were emitted.
    pub frontiers_ms: BTreeMap<String, i64>,
}

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("{path}: {error}")]
    Io {
        path: PathBuf,
        error: std::io::Error,
    },
    /// Never repaired silently: starting from nothing would emit closed windows a second time.
    #[error("{path} is damaged ({detail}); restore it, or remove it to read the stream anew")]
    Damaged { path: PathBuf, detail: String },
}

impl PartitionState {
    pub fn new(stream: &str) -> Self {
        Self {
            schema: SCHEMA,
            stream: stream.to_owned(),
            position: 1,
            head: 0,
            tick_ms: None,
            frontiers_ms: BTreeMap::new(),
        }
    }
}

/// The file of one partition.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    pub fn new(directory: &Path, partition: u32) -> Self {
        Self {
            path: directory.join(format!("partition-{partition}.json")),
        }
    }

    pub fn load(&self) -> Result<Option<PartitionState>, StateError> {
        let damaged = |detail: String| StateError::Damaged {
            path: self.path.clone(),
            detail,
        };
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(error)),
            Ok(meta) if meta.len() > FILE_BYTES_MAX => {
                return Err(damaged(format!("{} bytes", meta.len())));
            }
            Ok(_) => {}
        }
        let bytes = fs::read(&self.path).map_err(|error| self.io(error))?;
        let state: PartitionState =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if state.schema != SCHEMA {
            return Err(damaged(format!("schema {}, not {SCHEMA}", state.schema)));
        }
        if state.position == 0 || state.position > state.head.saturating_add(1) {
            return Err(damaged(format!(
                "position {} of head {}",
                state.position, state.head
            )));
        }
        Ok(Some(state))
    }

    pub fn save(&self, state: &PartitionState) -> Result<(), StateError> {
        let json = serde_json::to_vec(state).map_err(|error| self.io(error.into()))?;
        ratchet_trust::files::replace(&self.path, &json).map_err(|error| self.io(error))
    }

    fn io(&self, error: std::io::Error) -> StateError {
        StateError::Io {
            path: self.path.clone(),
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_state_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path(), 3);
        assert_eq!(file.load().unwrap(), None);
        let mut state = PartitionState::new("INGEST 2026-01-01");
        for position in 1..4 {
            state.position = position;
            state.head = 10 * position;
            state.tick_ms = Some(77);
            state.frontiers_ms.insert("acme".to_owned(), 1_000);
            file.save(&state).unwrap();
            assert_eq!(file.load().unwrap(), Some(state.clone()));
        }
    }

    #[test]
    fn damage_is_told_not_repaired() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(directory.path(), 0);
        let good = serde_json::to_string(&PartitionState::new("INGEST")).unwrap();
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
            fs::write(directory.path().join("partition-0.json"), &bytes).unwrap();
            let error = file.load().unwrap_err().to_string();
            assert!(error.contains(detail), "{bytes}: {error}");
        }
    }
}
