//! Series: a metric with its tags, recognised by a 128-bit fingerprint.
//!
//! A record names its group by a tag-set of the message. The fingerprint of that tag-set leads to a
//! row of the memo, and that row, per rule, to the group: no group key is built or hashed but for
//! the first record of a series. Strings are hashed once a message, and not at all in a message
//! whose tag-sets came before ([`Recall`]); its records mostly lead where they led then. Hashes are
//! seeded by the process, so a sender cannot prepare two series that collide.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use ratchet_codec::payload::Header;
use ratchet_ingest::fingerprint::{entry_bytes, FingerprintMap};
use twox_hash::XxHash3_128;

use super::memo::{Memo, UNKNOWN};
use super::recall::{Known, Recall};
use super::route::{Route, STEP_BYTES};

/// A series: its metric and its row in the memo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    pub metric: u32,
    pub row: u32,
}

/// Stands for a tag-set that was not looked up yet, or whose metric no rule names.
pub const UNRESOLVED: Series = Series {
    metric: u32::MAX,
    row: UNKNOWN,
};

/// Hashes texts with a seed that no sender knows.
#[derive(Clone, Copy)]
pub struct StringHasher(u64);

impl StringHasher {
    #[inline]
    pub fn hash(self, bytes: &[u8]) -> u128 {
        XxHash3_128::oneshot_with_seed(self.0, bytes)
    }
}

/// The series of one organization that were seen lately.
pub struct SeriesTable {
    hasher: StringHasher,
    by_fingerprint: FingerprintMap<Series>,
    /// Number of each metric, by the hash of its name; kept for good, since rules refer to it.
    metrics: FingerprintMap<u32>,
    recall: Recall,
}

impl Default for SeriesTable {
    fn default() -> Self {
        Self::new(0)
    }
}

impl SeriesTable {
    /// A table without series. So many bytes are for what is remembered of messages.
    pub fn new(recall_bytes: usize) -> Self {
        Self::with_seed(RandomState::new().hash_one(0u64), recall_bytes)
    }

    pub fn with_seed(seed: u64, recall_bytes: usize) -> Self {
        Self {
            hasher: StringHasher(seed),
            by_fingerprint: FingerprintMap::default(),
            metrics: FingerprintMap::default(),
            recall: Recall::new(recall_bytes),
        }
    }

    pub fn hasher(&self) -> StringHasher {
        self.hasher
    }

    pub fn count(&self) -> usize {
        self.by_fingerprint.len()
    }

    /// Memory, about.
    pub fn bytes(&self) -> usize {
        self.by_fingerprint.capacity() * entry_bytes::<Series>() + self.recall.bytes()
    }

    /// How many metrics are known.
    pub fn metrics(&self) -> usize {
        self.metrics.len()
    }

    /// The number of a metric that a rule names.
    pub fn intern_metric(&mut self, name: &[u8]) -> u32 {
        let next = self.metrics.len() as u32;
        *self.metrics.entry(self.hasher.hash(name)).or_insert(next)
    }

    /// The number of a metric, if a rule names it.
    #[inline]
    pub fn metric(&self, hash: u128) -> Option<u32> {
        self.metrics.get(&hash).copied()
    }

    /// The series of a fingerprint, if it is known.
    #[inline]
    pub fn get(&self, fingerprint: u128) -> Option<Series> {
        self.by_fingerprint.get(&fingerprint).copied()
    }

    /// The series of a fingerprint, new or known.
    #[inline]
    pub fn intern(&mut self, fingerprint: u128, metric: u32, memo: &mut Memo) -> Series {
        let new = || Series {
            metric,
            row: memo.add_row(metric),
        };
        *self.by_fingerprint.entry(fingerprint).or_insert_with(new)
    }

    /// What a validated message's tag-sets are remembered by.
    pub fn fingerprint(&mut self, payload: &[u8], header: &Header) -> Option<u128> {
        self.recall.fingerprint(payload, header, self.hasher)
    }

    /// What is known of a message with tag-sets as one before.
    pub fn recall(&self, message: u128) -> Option<&Known> {
        self.recall.get(message)
    }

    /// Remembers the series of a message's tag-sets.
    pub fn remember(&mut self, message: u128, sets: &[Series]) {
        let series = self.count();
        self.recall.put(message, sets, series);
    }

    /// Remembers the way of so many records of a message, if there is one. It is made when there
    /// is room for it.
    pub fn remember_route(
        &mut self,
        message: u128,
        records: usize,
        make: impl FnOnce() -> Option<Route>,
    ) {
        if !self.recall.has_room(records * STEP_BYTES) {
            self.recall.refuse();
        } else if let Some(route) = make() {
            self.recall.put_route(message, route);
        }
    }

    /// All series that are known.
    pub fn all(&self) -> impl Iterator<Item = Series> + '_ {
        self.by_fingerprint.values().copied()
    }

    /// The ways that are remembered.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.recall.routes()
    }

    /// What has to be looked at when they are renumbered, and how much of it is new.
    pub fn steps(&self) -> (usize, usize) {
        (self.recall.steps(), self.recall.new_steps())
    }

    /// No step is new any more.
    pub fn forget_new_steps(&mut self) {
        self.recall.forget_new_steps();
    }

    /// Gives the groups that they lead to the numbers `moved[length]`.
    pub fn renumber_routes(&mut self, moved: &[Vec<u32>]) {
        self.recall.renumber(moved);
    }

    /// Forgets all series; their rows in the memo have to go as well.
    pub fn flush(&mut self) {
        self.by_fingerprint = FingerprintMap::default();
        self.recall.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_one_row() {
        let mut table = SeriesTable::with_seed(7, 0);
        let (cpu, mem) = (table.intern_metric(b"cpu"), table.intern_metric(b"mem"));
        assert_eq!((cpu, mem, table.intern_metric(b"cpu")), (0, 1, 0));
        assert_eq!(table.metric(table.hasher.hash(b"mem")), Some(1));
        assert_eq!(table.metric(table.hasher.hash(b"net")), None);
        let mut memo = Memo::new(100);
        memo.lay_out(0, vec![2, 3]);
        let rows: Vec<_> = [(10, cpu), (11, mem), (12, cpu), (10, cpu)]
            .map(|(fingerprint, metric)| table.intern(fingerprint, metric, &mut memo).row)
            .into();
        assert_eq!(rows, [0, 2, 5, 0]);
        table.flush();
        memo.clear();
        assert_eq!(table.count(), 0);
        assert_eq!(table.intern(12, cpu, &mut memo).row, 0);
    }
}
