//! Points of an organization that is spread over several partitions.

use std::sync::Arc;

use bytes::Bytes;
use twox_hash::XxHash3_64;

use crate::organization::Org;

/// Knows which organizations are spread, and how.
pub trait Spreads: Send + Sync {
    /// As it is known now; `None` for an organization all of whose points go home.
    fn of(&self, org: &Org) -> Option<Arc<dyn Spread>>;
}

/// How the points of one organization are spread.
pub trait Spread: Send + Sync {
    /// Where points of a series go, by the oldest and the newest and by a hash; `None` for home,
    /// which is always right. This is how requests are cut into messages: for points whose time has
    /// come it does not change, so that a request that comes again is cut as it was before.
    fn partition(&self, times_ms: (i64, i64), hash: u64) -> Option<u32>;

    /// Whether nothing can make that wrong that is not known yet. Else their message goes home.
    fn is_certain(&self, times_ms: (i64, i64)) -> bool;
}

/// A message, and the partition that is to have it; `None` for home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub partition: Option<u32>,
    pub body: Bytes,
}

impl Placed {
    pub fn home(body: Bytes) -> Self {
        Self {
            partition: None,
            body,
        }
    }

    pub fn subject(&self, org: &Org) -> String {
        match self.partition {
            None => format!("ingest.{org}"),
            Some(partition) => format!("ingest.{partition}.{org}"),
        }
    }
}

/// Names a series, in whichever order its tags come.
pub fn series_hash<K: AsRef<[u8]>, V: AsRef<[u8]>>(metric: &[u8], tags: &[(K, V)]) -> u64 {
    let tag = |(key, value): &(K, V)| {
        let seed = XxHash3_64::oneshot(key.as_ref());
        XxHash3_64::oneshot_with_seed(seed, value.as_ref())
    };
    let tags = tags.iter().map(tag);
    tags.fold(XxHash3_64::oneshot(metric), u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_its_name_and_tags() {
        let hash = |metric: &str, tags: &[(&str, &str)]| series_hash(metric.as_bytes(), tags);
        let one = hash("m", &[("a", "1"), ("b", "2")]);
        assert_eq!(one, hash("m", &[("b", "2"), ("a", "1")]));
        for other in [
            hash("n", &[("a", "1"), ("b", "2")]),
            hash("m", &[("a", "2"), ("b", "1")]),
            hash("m", &[("a", "1")]),
            hash("m", &[]),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn subjects_name_partitions() {
        let org = Org::parse("acme").unwrap();
        let placed = Placed::home(Bytes::new());
        assert_eq!(placed.subject(&org), "ingest.acme");
        let placed = Placed {
            partition: Some(3),
            ..placed
        };
        assert_eq!(placed.subject(&org), "ingest.3.acme");
    }
}
