//! Series: a metric with its tags, recognised by a 128-bit fingerprint.
//!
//! A record names its group by a tag-set of the message. The fingerprint of that tag-set leads to a
//! small number, and that number, per rule, to the group's accumulator: no group key is built or
//! hashed but for the first record of a series. Strings are hashed once a message, fingerprints are
//! made only for tag-sets that records name. Hashes are seeded by the process, so a sender cannot
//! prepare two series that collide.

use std::collections::hash_map::RandomState;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// A series: its metric and its number among the series of that metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    pub metric: u32,
    pub id: u32,
}

/// Fingerprints are uniform already: they hash to themselves.
#[derive(Default)]
pub struct FingerprintHasher(u64);

impl Hasher for FingerprintHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }
}

type FingerprintMap<V> = HashMap<u128, V, BuildHasherDefault<FingerprintHasher>>;

/// The series of one organization that were seen lately.
pub struct SeriesTable {
    seed: u64,
    by_fingerprint: FingerprintMap<Series>,
    /// Number of each metric, by the hash of its name; kept for good, since rules refer to it.
    metrics: FingerprintMap<u32>,
    /// How many series each metric has.
    sizes: Vec<u32>,
}

impl Default for SeriesTable {
    fn default() -> Self {
        Self::with_seed(RandomState::new().hash_one(0u64))
    }
}

impl SeriesTable {
    pub fn with_seed(seed: u64) -> Self {
        Self {
            seed,
            by_fingerprint: FingerprintMap::default(),
            metrics: FingerprintMap::default(),
            sizes: Vec::new(),
        }
    }

    #[inline]
    pub fn hash(&self, bytes: &[u8]) -> u128 {
        xxh3_128_with_seed(bytes, self.seed)
    }

    pub fn count(&self) -> usize {
        self.by_fingerprint.len()
    }

    /// Memory, about: hash tables keep a byte beside each entry, and an eighth of them free.
    pub fn bytes(&self) -> usize {
        self.by_fingerprint.capacity() * (size_of::<(u128, Series)>() + 1) * 8 / 7
    }

    /// How many metrics are known.
    pub fn metrics(&self) -> usize {
        self.sizes.len()
    }

    /// The number of a metric that a rule names.
    pub fn intern_metric(&mut self, name: &[u8]) -> u32 {
        let next = self.metrics.len() as u32;
        let number = *self.metrics.entry(self.hash(name)).or_insert(next);
        if number == next {
            self.sizes.push(0);
        }
        number
    }

    /// The number of a metric, if a rule names it.
    #[inline]
    pub fn metric(&self, hash: u128) -> Option<u32> {
        self.metrics.get(&hash).copied()
    }

    /// The series of a fingerprint, new or known.
    #[inline]
    pub fn intern(&mut self, fingerprint: u128, metric: u32) -> Series {
        let sizes = &mut self.sizes;
        *self.by_fingerprint.entry(fingerprint).or_insert_with(|| {
            let id = sizes[metric as usize];
            sizes[metric as usize] += 1;
            Series { metric, id }
        })
    }

    /// Forgets all series; whoever keeps ids must forget them too.
    pub fn flush(&mut self) {
        self.by_fingerprint = FingerprintMap::default();
        self.sizes.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_dense_per_metric() {
        let mut table = SeriesTable::with_seed(7);
        let (cpu, mem) = (table.intern_metric(b"cpu"), table.intern_metric(b"mem"));
        assert_eq!((cpu, mem, table.intern_metric(b"cpu")), (0, 1, 0));
        assert_eq!(table.metric(table.hash(b"mem")), Some(1));
        assert_eq!(table.metric(table.hash(b"net")), None);
        let ids: Vec<_> = [(10, cpu), (11, mem), (12, cpu), (10, cpu)]
            .map(|(fingerprint, metric)| table.intern(fingerprint, metric).id)
            .into();
        assert_eq!(ids, [0, 0, 1, 0]);
        table.flush();
        assert_eq!(table.count(), 0);
        assert_eq!(table.intern(12, cpu).id, 0);
    }
}
