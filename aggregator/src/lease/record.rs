//! What the bucket `leases` holds: who is there, and who serves which partition.

use serde::{Deserialize, Serialize};

const SCHEMA: u32 = 1;
const PARTITION: &str = "partition.";
const MEMBER: &str = "member.";

/// Who serves a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    schema: u32,
    /// `None`: given back, free for whoever should have it.
    pub owner: Option<String>,
    /// Rises with every owner.
    pub epoch: u64,
}

impl Lease {
    pub fn new(owner: Option<String>, epoch: u64) -> Self {
        Self {
            schema: SCHEMA,
            owner,
            epoch,
        }
    }
}

/// One aggregator; rewritten with every heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    schema: u32,
    /// When the process started, for people.
    pub started_ms: i64,
    pub beats: u64,
}

impl Member {
    pub fn new(started_ms: i64, beats: u64) -> Self {
        Self {
            schema: SCHEMA,
            started_ms,
            beats,
        }
    }
}

/// What a key is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Partition(u32),
    Member(String),
}

impl Key {
    pub fn parse(key: &str) -> Option<Self> {
        if let Some(number) = key.strip_prefix(PARTITION) {
            return number.parse().ok().map(Self::Partition);
        }
        let member = key.strip_prefix(MEMBER)?;
        (!member.is_empty()).then(|| Self::Member(member.to_owned()))
    }
}

pub fn partition_key(partition: u32) -> String {
    format!("{PARTITION}{partition}")
}

pub fn member_key(member: &str) -> String {
    format!("{MEMBER}{member}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        assert_eq!(Key::parse(&partition_key(7)), Some(Key::Partition(7)));
        let member = Key::Member("m-1".to_owned());
        assert_eq!(Key::parse(&member_key("m-1")), Some(member));
        for other in ["", "partition.", "partition.x", "member.", "else.1"] {
            assert_eq!(Key::parse(other), None, "{other:?}");
        }
    }
}
