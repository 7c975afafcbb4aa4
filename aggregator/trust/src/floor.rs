//! The ratchet itself: the highest version accepted of each organization, kept across restarts.
//!
//! One small file an organization, replaced as a whole and synced before the module serves. Beside
//! the floor it keeps which modules were accepted, newest first: a rollback may only go to one of
//! them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::{ConfigurationDigest, ModuleDigest, StatementDigest};
use crate::files;
use crate::manifest::OrgName;
use crate::verify::Accepted;

/// How many organizations a store holds.
pub const ORGANIZATIONS_MAX: usize = 10_000;
/// How many distinct accepted modules of an organization are remembered.
pub const HISTORY_MAX: usize = 256;
const FILE_BYTES_MAX: usize = 128 * 1024;

/// The highest version accepted, and the statement that had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    pub version: u64,
    pub statement: StatementDigest,
}

/// A module that was accepted for a configuration, with the last version that did so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedModule {
    pub configuration: ConfigurationDigest,
    pub module: ModuleDigest,
    pub version: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    #[error("{path}: {error}")]
    Io {
        path: PathBuf,
        error: std::io::Error,
    },
    /// Never repaired silently: an empty floor would accept what was superseded.
    #[error("{path} is damaged: {detail}")]
    Damaged { path: PathBuf, detail: String },
    #[error("{org}: version {version} is below the floor {floor}")]
    Lower {
        org: String,
        version: u64,
        floor: u64,
    },
    #[error("{org}: the store already holds {ORGANIZATIONS_MAX} organizations")]
    Full { org: String },
}

/// The floors of all organizations; one writer (the aggregator that owns the directory).
#[derive(Debug)]
pub struct FloorStore {
    directory: PathBuf,
    records: BTreeMap<OrgName, Record>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    schema: u32,
    org: OrgName,
    version: u64,
    statement: StatementDigest,
    accepted: Vec<AcceptedModule>,
}

impl FloorStore {
    /// Opens (or makes) the directory and reads every floor in it.
    pub fn open(directory: &Path) -> Result<Self, FloorError> {
        let io = |error| FloorError::Io {
            path: directory.to_owned(),
            error,
        };
        fs::create_dir_all(directory).map_err(io)?;
        let mut records = BTreeMap::new();
        for entry in fs::read_dir(directory).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let record = read(&path)?;
            if records.len() >= ORGANIZATIONS_MAX {
                return Err(FloorError::Full {
                    org: record.org.to_string(),
                });
            }
            records.insert(record.org.clone(), record);
        }
        Ok(Self {
            directory: directory.to_owned(),
            records,
        })
    }

    pub fn get(&self, org: &str) -> Option<Floor> {
        let record = self.record(org)?;
        Some(Floor {
            version: record.version,
            statement: record.statement,
        })
    }

    /// The modules accepted so far, newest first.
    pub fn accepted(&self, org: &str) -> &[AcceptedModule] {
        self.record(org).map_or(&[], |record| &record.accepted)
    }

    /// Raises the floor to a manifest that [`crate::verify`] accepted; durable once it returns.
    pub fn raise(&mut self, accepted: &Accepted) -> Result<(), FloorError> {
        let org = &accepted.statement.predicate.org;
        let floor = accepted.floor();
        if let Some(current) = self.get(org.as_str()) {
            if floor == current {
                return Ok(());
            }
            if floor.version <= current.version {
                return Err(FloorError::Lower {
                    org: org.to_string(),
                    version: floor.version,
                    floor: current.version,
                });
            }
        } else if self.records.len() >= ORGANIZATIONS_MAX {
            return Err(FloorError::Full {
                org: org.to_string(),
            });
        }
        let record = Record {
            schema: 1,
            org: org.clone(),
            version: floor.version,
            statement: floor.statement,
            accepted: self.history_with(accepted),
        };
        self.write(&record)?;
        self.records.insert(org.clone(), record);
        Ok(())
    }

    fn record(&self, org: &str) -> Option<&Record> {
        OrgName::new(org)
            .ok()
            .and_then(|org| self.records.get(&org))
    }

    fn history_with(&self, accepted: &Accepted) -> Vec<AcceptedModule> {
        let configuration = accepted.configuration();
        let old = self.accepted(accepted.statement.predicate.org.as_str());
        let Some(module) = accepted.module() else {
            return old.to_vec();
        };
        let newest = AcceptedModule {
            configuration,
            module,
            version: accepted.version(),
        };
        let same =
            |entry: &AcceptedModule| entry.configuration == configuration && entry.module == module;
        let others = old.iter().filter(|entry| !same(entry)).copied();
        std::iter::once(newest)
            .chain(others)
            .take(HISTORY_MAX)
            .collect()
    }

    fn write(&self, record: &Record) -> Result<(), FloorError> {
        let path = self.directory.join(format!("{}.json", record.org));
        let json = serde_json::to_vec(record).map_err(|error| FloorError::Damaged {
            path: path.clone(),
            detail: error.to_string(),
        })?;
        files::replace(&path, &json).map_err(|error| FloorError::Io { path, error })
    }
}

fn read(path: &Path) -> Result<Record, FloorError> {
    let damaged = |detail: String| FloorError::Damaged {
        path: path.to_owned(),
        detail,
    };
    let bytes = files::read(path, FILE_BYTES_MAX).map_err(|error| FloorError::Io {
        path: path.to_owned(),
        error,
    })?;
    let record: Record =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if record.schema != 1 {
        return Err(damaged(format!("schema {}, not 1", record.schema)));
    }
    if path
        .file_stem()
        .is_none_or(|stem| stem != record.org.as_str())
    {
        return Err(damaged(format!(
            "it is about organization `{}`",
            record.org
        )));
    }
    if record.accepted.len() > HISTORY_MAX {
        return Err(damaged(format!(
            "{} accepted modules",
            record.accepted.len()
        )));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::accepted;

    fn store(name: &str) -> (PathBuf, FloorStore) {
        let directory = files::scratch(name);
        let store = FloorStore::open(&directory).unwrap();
        (directory, store)
    }

    #[test]
    fn rises_survives_and_never_falls() {
        let (directory, mut store) = store("floor-rises");
        assert_eq!(store.get("acme"), None);
        assert_eq!(store.get("Not A Name"), None);
        let (two, five) = (accepted("acme", 2, b"a"), accepted("acme", 5, b"b"));
        store.raise(&two).unwrap();
        store.raise(&five).unwrap();
        store.raise(&five).unwrap();
        assert_eq!(store.get("acme"), Some(five.floor()));
        assert_eq!(store.get("globex"), None);

        let mut store = FloorStore::open(&directory).unwrap();
        assert_eq!(store.get("acme"), Some(five.floor()));
        let refused = |result: Result<(), FloorError>| match result {
            Err(FloorError::Lower { version, floor, .. }) => (version, floor),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(store.raise(&two)), (2, 5));
        assert_eq!(refused(store.raise(&accepted("acme", 5, b"c"))), (5, 5));
        assert_eq!(store.get("acme"), Some(five.floor()));
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn remembers_distinct_modules_newest_first() {
        let (directory, mut store) = store("floor-history");
        for (version, module) in [(1, b"a"), (2, b"b"), (3, b"a"), (4, b"c")] {
            store.raise(&accepted("acme", version, module)).unwrap();
        }
        let store = FloorStore::open(&directory).unwrap();
        let found: Vec<_> = store
            .accepted("acme")
            .iter()
            .map(|entry| (entry.version, entry.module))
            .collect();
        let expected = [(4, b"c"), (3, b"a"), (2, b"b")];
        assert_eq!(
            found,
            expected.map(|(version, module)| (version, ModuleDigest::of(module)))
        );
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn the_history_is_bounded() {
        let (directory, mut store) = store("floor-bound");
        for version in 1..=HISTORY_MAX as u64 + 3 {
            store
                .raise(&accepted("acme", version, &version.to_le_bytes()))
                .unwrap();
        }
        assert_eq!(store.accepted("acme").len(), HISTORY_MAX);
        assert_eq!(
            FloorStore::open(&directory).unwrap().accepted("acme").len(),
            HISTORY_MAX
        );
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn damage_is_told_not_repaired() {
        let (directory, mut store) = store("floor-damage");
        store.raise(&accepted("acme", 1, b"a")).unwrap();
        let path = directory.join("acme.json");
        let good = fs::read_to_string(&path).unwrap();
        let check = |text: &str, part: &str| {
            fs::write(&path, text).unwrap();
            let error = FloorStore::open(&directory).unwrap_err().to_string();
            assert!(
                error.contains("acme.json is damaged") && error.contains(part),
                "{error}"
            );
        };
        check(&good[..20], "EOF");
        check("", "EOF");
        check(
            &good.replace("\"acme\"", "\"globex\""),
            "organization `globex`",
        );
        check(&good.replace("\"schema\":1", "\"schema\":2"), "schema 2");
        // What a crash left half written is not the floor.
        fs::write(&path, good).unwrap();
        fs::write(directory.join("acme.tmp"), "{").unwrap();
        assert_eq!(
            FloorStore::open(&directory)
                .unwrap()
                .get("acme")
                .map(|f| f.version),
            Some(1)
        );
        fs::remove_dir_all(directory).unwrap();
    }
}
