//! The timelines of all organizations, as the bucket `configurations` tells them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use parking_lot::RwLock;
use ratchet_trust::ConfigurationDigest;
use serde::Deserialize;

use crate::chronicle::{Chronicle, Revision};
use crate::complete::Completeness;
use crate::configuration::Configuration;
use crate::identity::Org;
use crate::settings::PARTITIONS_MAX;
use crate::timeline::{Entry, Timeline};

/// Organizations that one aggregator knows.
pub const ORGANIZATIONS_MAX: usize = 10_000;

/// Why an entry of the bucket is not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntryError {
    #[error("not a configuration entry: {0}")]
    Malformed(String),
    #[error("schema {0}, not 1")]
    Schema(u32),
    #[error("the entry of `{key}` is about `{org}`")]
    Organization { key: String, org: String },
    #[error("effective from {0} ms, which is no moment since 1970")]
    Moment(i64),
    #[error("spread over {0} partitions, not 1 to {PARTITIONS_MAX}")]
    Spread(u32),
    #[error("the rules blob is not base64: {0}")]
    Base64(String),
    #[error("the rules blob has the digest {found}, not {expected}")]
    Digest {
        found: ConfigurationDigest,
        expected: ConfigurationDigest,
    },
    #[error("the rules blob is refused: {0}")]
    Rules(String),
    #[error("there are {ORGANIZATIONS_MAX} organizations already")]
    Full,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEntry {
    schema: u32,
    org: String,
    digest: ConfigurationDigest,
    effective_from_ms: i64,
    rules: String,
    /// Over how many partitions the series are spread; one when it is not said.
    #[serde(default = "unspread")]
    spread: u32,
}

fn unspread() -> u32 {
    1
}

/// Reads one value of the bucket.
pub fn parse_entry(org: &Org, value: &[u8]) -> Result<Entry, EntryError> {
    let wire: WireEntry =
        serde_json::from_slice(value).map_err(|e| EntryError::Malformed(e.to_string()))?;
    if wire.schema != 1 {
        return Err(EntryError::Schema(wire.schema));
    }
    if wire.org != org.as_str() {
        return Err(EntryError::Organization {
            key: org.to_string(),
            org: wire.org,
        });
    }
    if wire.effective_from_ms < 0 {
        return Err(EntryError::Moment(wire.effective_from_ms));
    }
    if !(1..=PARTITIONS_MAX).contains(&wire.spread) {
        return Err(EntryError::Spread(wire.spread));
    }
    let blob = STANDARD
        .decode(&wire.rules)
        .map_err(|e| EntryError::Base64(e.to_string()))?;
    let found = ConfigurationDigest::of(&blob);
    if found != wire.digest {
        return Err(EntryError::Digest {
            found,
            expected: wire.digest,
        });
    }
    let configuration = Configuration::parse(org.clone(), blob.into())
        .map_err(|error| EntryError::Rules(error.to_string()))?;
    Ok(Entry {
        effective_from_ms: wire.effective_from_ms,
        configuration: Some(Arc::new(configuration)),
        spread: wire.spread,
    })
}

#[derive(Default)]
pub struct Directory {
    chronicles: RwLock<HashMap<Org, Arc<Chronicle>>>,
    /// Rises with every change.
    generation: AtomicU64,
    /// Organizations that are, or were, spread over several partitions.
    spread: RwLock<Vec<Org>>,
    /// How far it reaches.
    pub completeness: Completeness,
}

impl Directory {
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// With everything that is known, whether it counts for the stream yet or not.
    pub fn timeline(&self, org: &Org) -> Option<Arc<Timeline>> {
        Some(self.chronicles.read().get(org)?.newest().clone())
    }

    pub fn chronicle(&self, org: &Org) -> Option<Arc<Chronicle>> {
        self.chronicles.read().get(org).cloned()
    }

    pub fn organizations(&self) -> Vec<(Org, Arc<Timeline>)> {
        self.chronicles
            .read()
            .iter()
            .map(|(org, chronicle)| (org.clone(), chronicle.newest().clone()))
            .collect()
    }

    /// Organizations that are, or were, spread over several partitions.
    pub fn spread_organizations(&self) -> Vec<Org> {
        self.spread.read().clone()
    }

    /// Takes one revision in; true when it is new.
    pub fn apply(&self, org: &Org, revision: Revision) -> Result<bool, EntryError> {
        let mut chronicles = self.chronicles.write();
        if chronicles.len() >= ORGANIZATIONS_MAX && !chronicles.contains_key(org) {
            return Err(EntryError::Full);
        }
        let chronicle = chronicles.entry(org.clone()).or_default();
        if revision.number <= chronicle.revision() {
            return Ok(false);
        }
        let spread = revision.entry.spread > 1;
        *chronicle = Arc::new(chronicle.with(revision));
        drop(chronicles);
        let mut known = self.spread.write();
        if spread && !known.contains(org) {
            known.push(org.clone());
        }
        drop(known);
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::tests::configuration;

    #[test]
    fn entries_are_checked() {
        let org = Org::parse("acme").unwrap();
        let good = configuration("a", &[10]);
        let wire = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut value = serde_json::json!({
                "schema": 1, "org": "acme", "digest": good.digest.to_string(),
                "effective_from_ms": 60_000, "rules": STANDARD.encode(&good.blob),
            });
            change(&mut value);
            parse_entry(&org, value.to_string().as_bytes())
        };
        let entry = wire(&|_| {}).ok().unwrap();
        assert_eq!(entry.effective_from_ms, 60_000);
        assert_eq!(entry.configuration.map(|c| c.digest), Some(good.digest));
        let check = |field: &str, value: serde_json::Value, expected: &str| {
            let error = wire(&|v| v[field] = value.clone())
                .err()
                .unwrap()
                .to_string();
            assert!(error.contains(expected), "{field}: {error}");
        };
        check("schema", 2.into(), "schema 2");
        check("org", "globex".into(), "about `globex`");
        check("effective_from_ms", (-1).into(), "-1 ms");
        check("spread", 0.into(), "spread over 0");
        check("spread", 65.into(), "spread over 65");
        check("rules", "?".into(), "base64");
        check("rules", STANDARD.encode(b"x").into(), "digest");
        check(
            "digest",
            ConfigurationDigest::of(b"x").to_string().into(),
            "digest",
        );
        check("more", 1.into(), "unknown field");
        let junk = STANDARD.encode(b"junk");
        let error = wire(&|v| {
            v["rules"] = junk.clone().into();
            v["digest"] = ConfigurationDigest::of(b"junk").to_string().into();
        });
        assert!(matches!(error, Err(EntryError::Rules(_))));
    }

    #[test]
    fn revisions_apply_once() {
        let directory = Directory::default();
        let org = Org::parse("acme").unwrap();
        let apply = |number, effective_from_ms| {
            let entry = Entry {
                effective_from_ms,
                configuration: None,
                spread: 1,
            };
            let revision = Revision {
                number,
                stored_ms: 0,
                entry,
            };
            directory.apply(&org, revision)
        };
        assert_eq!(apply(5, 0), Ok(true));
        assert_eq!(apply(5, 1), Ok(false));
        assert_eq!(directory.generation(), 1);
        assert_eq!(apply(6, 1), Ok(true));
        assert_eq!(directory.timeline(&org).map(|t| t.revision()), Some(6));
    }
}
