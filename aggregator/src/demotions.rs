//! Modules that failed in production: they do not come back, not even after a restart.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use ratchet_trust::{ConfigurationDigest, ModuleDigest};
use serde::{Deserialize, Serialize};

/// How many are remembered; the oldest digests in order go first.
const DEMOTIONS_MAX: usize = 10_000;

/// A module, for an organization (or the fleet) and a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Demotion {
    pub org: String,
    pub configuration: ConfigurationDigest,
    pub module: ModuleDigest,
}

#[derive(Debug, thiserror::Error)]
#[error("{path}: {detail}")]
pub struct DemotionsError {
    path: PathBuf,
    detail: String,
}

pub struct Demotions {
    path: PathBuf,
    known: Mutex<BTreeSet<Demotion>>,
}

impl Demotions {
    pub fn open(directory: &Path) -> Result<Self, DemotionsError> {
        let path = directory.join("demotions.json");
        let fault = |detail: String| DemotionsError {
            path: path.clone(),
            detail,
        };
        let known = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| fault(e.to_string()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(fault(error.to_string())),
        };
        Ok(Self {
            path,
            known: Mutex::new(known),
        })
    }

    pub fn contains(&self, demotion: &Demotion) -> bool {
        self.known.lock().contains(demotion)
    }

    /// Remembers a demotion, durably once it returns.
    pub fn add(&self, demotion: Demotion) -> Result<(), DemotionsError> {
        let mut known = self.known.lock();
        known.insert(demotion);
        while known.len() > DEMOTIONS_MAX {
            known.pop_first();
        }
        let fault = |detail: String| DemotionsError {
            path: self.path.clone(),
            detail,
        };
        let json = serde_json::to_vec(&*known).map_err(|e| fault(e.to_string()))?;
        ratchet_trust::files::replace(&self.path, &json).map_err(|e| fault(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let demotion = |org: &str| Demotion {
            org: org.to_owned(),
            configuration: ConfigurationDigest::of(b"c"),
            module: ModuleDigest::of(b"m"),
        };
        let demotions = Demotions::open(directory.path()).unwrap();
        demotions.add(demotion("acme")).unwrap();
        let again = Demotions::open(directory.path()).unwrap();
        assert!(again.contains(&demotion("acme")));
        assert!(!again.contains(&demotion("globex")));
    }
}
