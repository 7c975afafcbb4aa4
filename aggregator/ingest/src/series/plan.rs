//! What a source has to store.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use prost::Message as _;

use super::record::{bytes_of, Record};
use super::rise::Observed;
use super::source::{Source, Stored};
use super::Key;

/// Bytes of a part that takes no more series.
const PART_BYTES: usize = 256 * 1024;
/// Bytes of a part whose series go elsewhere if they grow.
pub const PART_BYTES_MAX: usize = 2 * PART_BYTES;
/// Parts that are written again for their age, at a time.
const REWRITTEN_MAX: usize = 32;

/// What is stored when a source rises, and what is known of it then.
pub struct Plan {
    pub(super) updates: Vec<(Key, usize, Observed)>,
    pub(super) touched: BTreeSet<usize>,
    pub(super) now: Instant,
    /// Where the first part has to be stored until then.
    pub expected: u64,
    /// What its records take, at most.
    pub bytes: usize,
}

impl Plan {
    /// How many records there are to store.
    pub fn len(&self) -> usize {
        self.touched.len()
    }

    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }
}

impl Source {
    /// What has to be stored so that these are the newest points.
    pub fn plan(&self, points: HashMap<Key, Observed>, now: Instant) -> Plan {
        let mut points: Vec<_> = points.into_iter().collect();
        points.sort_unstable_by_key(|(key, _)| *key);
        let mut bytes: Vec<usize> = self.parts.iter().map(|part| part.bytes).collect();
        let place =
            |(key, point): (Key, Observed)| (key, self.place(key, &point, &mut bytes), point);
        let updates: Vec<_> = points.into_iter().map(place).collect();
        let touched = updates.iter().map(|(_, part, _)| *part).collect();
        self.plan_of(updates, touched, now)
    }

    /// What has to be stored for its age.
    pub fn plan_again(&self, now: Instant) -> Plan {
        let touched = self.aged(now).take(REWRITTEN_MAX).collect();
        self.plan_of(Vec::new(), touched, now)
    }

    /// The part of a series: its own unless that grew too large, or one with room.
    fn place(&self, key: Key, point: &Observed, bytes: &mut Vec<usize>) -> usize {
        let more = bytes_of(point);
        if let Some((part, known)) = self.index.get(&key).zip(self.point(key)) {
            let rest = bytes[*part].saturating_sub(bytes_of(known));
            bytes[*part] = rest;
            if rest + more <= PART_BYTES_MAX {
                bytes[*part] += more;
                return *part;
            }
        }
        let room = bytes.iter().position(|bytes| *bytes < PART_BYTES);
        let part = room.unwrap_or_else(|| {
            bytes.push(0);
            bytes.len() - 1
        });
        bytes[part] += more;
        part
    }

    fn plan_of(
        &self,
        updates: Vec<(Key, usize, Observed)>,
        mut touched: BTreeSet<usize>,
        now: Instant,
    ) -> Plan {
        if !touched.is_empty() {
            touched.insert(0);
        }
        let known = touched.iter().filter_map(|part| self.parts.get(*part));
        let known: usize = known.map(|part| part.bytes).sum();
        let new: usize = updates.iter().map(|(.., point)| bytes_of(point)).sum();
        Plan {
            bytes: known + new,
            updates,
            touched,
            now,
            expected: match self.stored {
                Stored::At(sequence) | Stored::NotAt(sequence) => sequence,
                Stored::Unknown => 0,
            },
        }
    }

    /// The records of a plan by part, the first part first; none where nothing has to be stored.
    pub fn records(
        &self,
        Plan {
            updates, touched, ..
        }: &Plan,
    ) -> Vec<(usize, Vec<u8>)> {
        let is_new = |key: &Key| updates.binary_search_by_key(key, |(key, ..)| *key).is_ok();
        let mut new: HashMap<usize, Vec<(Key, &Observed)>> = HashMap::new();
        for (key, part, point) in updates {
            new.entry(*part).or_default().push((*key, point));
        }
        let version = |part: usize| {
            let before = self.parts.get(part).map_or(0, |part| part.version);
            before + u64::from(touched.contains(&part))
        };
        let parts = touched.last().map_or(0, |last| last + 1);
        let parts = parts.max(self.parts.len());
        let record = |part: &usize| {
            let known = self.parts.get(*part).map(|part| &part.entries);
            let old = known.into_iter().flatten();
            let old = old.filter(|(key, _)| !is_new(key));
            let old = old.map(|(key, entry)| (*key, &entry.point));
            let new = new.remove(part).unwrap_or_default();
            let mut record = Record::new(version(*part), old.chain(new));
            if *part == 0 {
                record.versions = (0..parts).map(version).collect();
            }
            (*part, record.encode_to_vec())
        };
        touched.iter().map(record).collect()
    }
}
