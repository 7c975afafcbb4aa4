//! The totals of one source of series, and the records that they are stored in.
//!
//! A source is what sends its series together: a resource, to OpenTelemetry. Its totals are stored
//! in parts, so that a large source does not write all of them for every request; series that come
//! together lie together. The first part is written with every other, and only if it is still the
//! one that was read or written last: so a record never replaces one that it did not know of.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::plan::Plan;
use super::record::{bytes_of, NotARecord, Record};
use super::rise::Observed;
use super::Key;

/// A series that sent nothing for so long is forgotten.
pub const IDLE_MAX: Duration = Duration::from_secs(3600);
/// A record that old is written again, before INGEST is swept of it.
pub const WRITTEN_MAX: Duration = Duration::from_secs(180);

/// So many bytes weigh as much as a series.
pub const WEIGHT_BYTES: usize = 1024;

/// Names a source within its organization.
pub type SourceId = u64;

#[derive(Default)]
pub struct Source {
    /// The part of each series.
    pub(super) index: HashMap<Key, usize>,
    pub(super) parts: Vec<Part>,
    pub(super) stored: Stored,
    /// Others store it, too, or did.
    is_shared: bool,
}

/// Where the first part is stored, by the sequence of its message; 0 for nowhere.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stored {
    At(u64),
    /// It is there no more: it was swept, or others stored since.
    NotAt(u64),
    /// Something may have been stored that is not known here.
    #[default]
    Unknown,
}

#[derive(Default)]
pub(super) struct Part {
    pub entries: HashMap<Key, Entry>,
    pub version: u64,
    pub bytes: usize,
    written: Option<Instant>,
}

/// The newest point of a series.
pub(super) struct Entry {
    pub point: Observed,
    seen: Instant,
}

/// A part as it was found: its record, unless it was swept, and when that was written.
pub type Found = Option<(Record, Instant)>;

impl Source {
    /// Whether it is known what is stored.
    pub fn is_known(&self) -> bool {
        matches!(self.stored, Stored::At(_))
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// What its series weigh: each one, and one more for each KiB.
    pub fn weight(&self) -> usize {
        let bytes: usize = self.parts.iter().map(|part| part.bytes).sum();
        self.len() + bytes / WEIGHT_BYTES
    }

    pub fn point(&self, key: Key) -> Option<&Observed> {
        let part = &self.parts[*self.index.get(&key)?];
        part.entries.get(&key).map(|entry| &entry.point)
    }

    /// Something may have been stored of which no answer came: that has to be found out.
    pub fn doubt(&mut self) {
        self.stored = Stored::Unknown;
    }

    /// What is stored is not what was thought: that has to be found out.
    pub fn outdate(&mut self) {
        if let Stored::At(sequence) = self.stored {
            self.stored = Stored::NotAt(sequence);
        }
    }

    /// Nothing is stored of it any more. What was stored last is known here only if nobody else
    /// stored since: what is not certain is forgotten, so that nothing counts twice.
    pub fn restore_nothing(&mut self) {
        if self.is_shared || self.stored == Stored::Unknown {
            (self.index, self.parts) = (HashMap::new(), Vec::new());
        }
        self.stored = Stored::At(0);
    }

    /// Takes what is stored, in place of what was known. A part that is not there any more was
    /// swept, for its series were silent.
    pub fn restore(&mut self, sequence: u64, found: Vec<Found>) -> Result<(), NotARecord> {
        let root = found.first().and_then(Option::as_ref);
        let versions = root.map_or_else(Vec::new, |(root, _)| root.versions.clone());
        let mut parts = Vec::with_capacity(found.len());
        for (n, found) in found.into_iter().enumerate() {
            let version = versions.get(n).copied().ok_or(NotARecord)?;
            parts.push(match found {
                Some((record, written)) if record.version == version => {
                    self.part(record, written)?
                }
                Some(_) => return Err(NotARecord),
                None => Part {
                    version,
                    ..Part::default()
                },
            });
        }
        self.is_shared |= !matches!(self.stored, Stored::NotAt(own) if own == sequence);
        self.parts = parts;
        self.stored = Stored::At(sequence);
        self.reindex();
        Ok(())
    }

    /// A plan was stored, its first part as this message.
    pub fn commit(&mut self, plan: Plan, sequence: u64) {
        for part in &plan.touched {
            let part = self.part_mut(*part);
            part.version += 1;
            part.written = Some(plan.now);
        }
        for (key, part, point) in plan.updates {
            if let Some(old) = self.index.insert(key, part) {
                self.parts[old].remove(key);
            }
            let part = self.part_mut(part);
            part.bytes += bytes_of(&point);
            let seen = plan.now;
            part.entries.insert(key, Entry { point, seen });
        }
        self.stored = Stored::At(sequence);
    }

    /// Forgets idle series.
    pub fn forget_idle(&mut self, now: Instant) {
        for part in &mut self.parts {
            let bytes = &mut part.bytes;
            part.entries.retain(|_, entry| {
                let fresh = now.saturating_duration_since(entry.seen) < IDLE_MAX;
                if !fresh {
                    *bytes = bytes.saturating_sub(bytes_of(&entry.point));
                }
                fresh
            });
        }
        let parts = &self.parts;
        self.index
            .retain(|key, part| parts[*part].entries.contains_key(key));
    }

    /// Whether some record has to be written again for its age.
    pub fn is_due(&self, now: Instant) -> bool {
        self.aged(now).next().is_some()
    }

    pub(super) fn aged(&self, now: Instant) -> impl Iterator<Item = usize> + '_ {
        let aged = move |part: &Part| {
            let written = part.written.filter(|_| !part.entries.is_empty());
            written.is_some_and(|at| now.saturating_duration_since(at) >= WRITTEN_MAX)
        };
        let parts = self.parts.iter().enumerate();
        parts.filter(move |(_, part)| aged(part)).map(|(n, _)| n)
    }

    fn part_mut(&mut self, part: usize) -> &mut Part {
        let most = self.parts.len().max(part + 1);
        self.parts.resize_with(most, Part::default);
        &mut self.parts[part]
    }

    /// A part as it is stored. Series that have not changed were not seen since they were here.
    fn part(&self, record: Record, written: Instant) -> Result<Part, NotARecord> {
        let version = record.version;
        let points = record.into_points()?;
        let entry = |(key, point): (Key, Observed)| {
            let known = self.index.get(&key);
            let known = known.and_then(|part| self.parts[*part].entries.get(&key));
            let same = known.filter(|known| known.point == point);
            let seen = same.map_or(written, |known| known.seen);
            (key, Entry { point, seen })
        };
        Ok(Part {
            version,
            bytes: points.iter().map(|(_, point)| bytes_of(point)).sum(),
            entries: points.into_iter().map(entry).collect(),
            written: Some(written),
        })
    }

    /// Finds the part of each series. One that moved may be in the record of its old part, too: the
    /// newer point counts.
    fn reindex(&mut self) {
        self.index.clear();
        for n in 0..self.parts.len() {
            let keys: Vec<_> = self.parts[n].entries.keys().copied().collect();
            for key in keys {
                let time = |part: usize| self.parts[part].entries[&key].point.time;
                let older = match self.index.get(&key) {
                    Some(other) if time(*other) >= time(n) => n,
                    Some(other) => *other,
                    None => {
                        self.index.insert(key, n);
                        continue;
                    }
                };
                if older != n {
                    self.index.insert(key, n);
                }
                self.parts[older].remove(key);
            }
        }
    }
}

impl Part {
    fn remove(&mut self, key: Key) {
        if let Some(entry) = self.entries.remove(&key) {
            self.bytes = self.bytes.saturating_sub(bytes_of(&entry.point));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buckets::Buckets;
    use crate::series::plan::PART_BYTES_MAX;
    use crate::series::rise::Total;

    fn point(total: i64) -> Observed {
        Observed {
            start: 1,
            time: 2,
            total: Total::Int(total),
        }
    }

    fn points(range: std::ops::Range<u128>) -> HashMap<Key, Observed> {
        range.map(|key| (key, point(key as i64))).collect()
    }

    /// Records as a stream keeps them.
    #[derive(Default)]
    struct Kept(Vec<Option<Vec<u8>>>);

    impl Kept {
        fn keep(&mut self, source: &Source, plan: &Plan) {
            let records = source.records(plan);
            let bytes: usize = records.iter().map(|(_, record)| record.len()).sum();
            assert!(bytes <= plan.bytes, "{bytes}, not {}", plan.bytes);
            for (part, record) in records {
                self.0.resize(self.0.len().max(part + 1), None);
                self.0[part] = Some(record);
            }
        }

        fn found(&self, written: Instant) -> Vec<Found> {
            let read = |record: &Option<Vec<u8>>| {
                let record = record.as_deref();
                record.map(|bytes| (Record::read(bytes).unwrap(), written))
            };
            self.0.iter().map(read).collect()
        }

        fn restored(&self, now: Instant) -> Result<Source, NotARecord> {
            let mut source = Source::default();
            source.restore(9, self.found(now))?;
            Ok(source)
        }
    }

    fn parts_of(plan: &Plan) -> Vec<usize> {
        plan.touched.iter().copied().collect()
    }

    /// Stores a plan, and takes it as stored.
    fn store(source: &mut Source, kept: &mut Kept, plan: Plan, sequence: u64) {
        kept.keep(source, &plan);
        source.commit(plan, sequence);
    }

    #[test]
    fn what_was_stored_comes_back() {
        let now = Instant::now();
        let (mut source, mut kept) = (Source::default(), Kept::default());
        let first = source.plan(points(0..20_000), now);
        let parts = first.len();
        assert!(parts > 2, "{parts}");
        store(&mut source, &mut kept, first, 1);
        // One series of the last part, and a new one.
        let last = (20_000 - 1..20_001).map(|key| (key, point(-1))).collect();
        let second = source.plan(last, now);
        let expected = (1, vec![0, parts - 1]);
        assert_eq!((second.expected, parts_of(&second)), expected);
        store(&mut source, &mut kept, second, 2);
        let restored = kept.restored(now).unwrap();
        assert_eq!(restored.len(), 20_001);
        for key in 0..20_001 {
            assert_eq!(restored.point(key), source.point(key), "{key}");
        }
        assert_eq!(restored.point(20_000), Some(&point(-1)));
    }

    #[test]
    fn a_part_of_another_time_is_refused_and_a_swept_one_forgotten() {
        let now = Instant::now();
        let (mut source, mut kept) = (Source::default(), Kept::default());
        let plan = source.plan(points(0..7_000), now);
        store(&mut source, &mut kept, plan, 1);
        let before = kept.0[1].clone();
        let later = source.plan(points(6_999..7_000), now);
        assert_eq!(parts_of(&later), [0, 1]);
        kept.keep(&source, &later);
        kept.0[1] = before;
        assert_eq!(kept.restored(now).err(), Some(NotARecord));
        kept.0[1] = None;
        let restored = kept.restored(now).unwrap();
        assert!(restored.point(0).is_some() && restored.point(6_999).is_none());
    }

    fn histogram(bounds: usize, time: u64) -> Observed {
        Observed {
            start: 1,
            time,
            total: Total::Histogram {
                buckets: Box::new(Buckets {
                    bounds: vec![0.5; bounds],
                    counts: vec![u64::MAX; bounds + 1],
                }),
                sum: None,
            },
        }
    }

    #[test]
    fn series_that_grow_leave_a_part_that_is_full() {
        let now = Instant::now();
        let (mut source, mut kept) = (Source::default(), Kept::default());
        let of = |bounds, time| {
            (0..4_000)
                .map(|key| (key, histogram(bounds, time)))
                .collect()
        };
        let plan = source.plan(of(0, 1), now);
        assert_eq!(parts_of(&plan), [0, 1]);
        store(&mut source, &mut kept, plan, 1);
        let plan = source.plan(of(40, 2), now);
        let records = source.records(&plan);
        let largest = records.iter().map(|(_, record)| record.len()).max();
        assert!(largest.unwrap() <= PART_BYTES_MAX, "{largest:?}");
        // The old record of a part may still have what moved.
        let before = kept.found(now);
        store(&mut source, &mut kept, plan, 2);
        assert_eq!(
            source
                .parts
                .iter()
                .map(|part| part.entries.len())
                .sum::<usize>(),
            4_000
        );
        let mut found = kept.found(now);
        let stale = before.into_iter().next().flatten().unwrap().0;
        let mut moved = stale.into_points().unwrap();
        let version = found[2].as_ref().unwrap().0.version;
        let both = found[2].take().unwrap().0.into_points().unwrap();
        moved.retain(|(key, _)| both.iter().all(|(own, _)| own != key));
        assert!(!moved.is_empty());
        let both: Vec<_> = both.into_iter().chain(moved).collect();
        let both = Record::new(version, both.iter().map(|(key, point)| (*key, point)));
        found[2] = Some((both, now));
        let mut restored = Source::default();
        restored.restore(9, found).unwrap();
        assert_eq!(restored.len(), 4_000);
        assert!((0..4_000).all(|key| restored.point(key).is_some_and(|point| point.time == 2)));
    }

    #[test]
    fn what_is_old_is_written_again_and_what_is_idle_forgotten() {
        let now = Instant::now();
        let (mut source, mut kept) = (Source::default(), Kept::default());
        let plan = source.plan(points(0..3), now);
        store(&mut source, &mut kept, plan, 4);
        assert!(!source.is_due(now) && source.plan_again(now).is_empty());
        let later = now + WRITTEN_MAX;
        // Whoever else read it meanwhile knows as well how old it is, and who was silent.
        source.outdate();
        source.restore(4, kept.found(now)).unwrap();
        assert!(source.is_due(later));
        let plan = source.plan_again(later);
        assert_eq!((plan.expected, parts_of(&plan)), (4, vec![0]));
        store(&mut source, &mut kept, plan, 5);
        assert!(!source.is_due(later));
        source.outdate();
        source.restore(6, kept.found(later)).unwrap();
        source.forget_idle(now + IDLE_MAX);
        assert!(source.is_empty() && !source.is_due(later + WRITTEN_MAX));
    }

    #[test]
    fn what_nobody_stores_any_more_is_known_only_if_nobody_else_did() {
        let now = Instant::now();
        let mut kept = Kept::default();
        let mut check = |change: fn(&mut Source, Vec<Found>), remembered: bool| {
            let mut source = Source::default();
            source.restore_nothing();
            let plan = source.plan(points(0..1), now);
            store(&mut source, &mut kept, plan, 4);
            change(&mut source, kept.found(now));
            assert!(!source.is_known() && source.point(0).is_some());
            source.restore_nothing();
            assert!(source.is_known());
            assert_eq!(source.point(0).is_some(), remembered);
            assert_eq!(source.plan(points(0..1), now).expected, 0);
        };
        check(|source, _| source.outdate(), true);
        check(|source, _| source.doubt(), false);
        let again = |source: &mut Source, found| {
            source.outdate();
            source.restore(4, found).unwrap();
            source.outdate();
        };
        check(again, true);
        let others = |source: &mut Source, found| {
            source.outdate();
            source.restore(5, found).unwrap();
            source.outdate();
        };
        check(others, false);
    }
}
