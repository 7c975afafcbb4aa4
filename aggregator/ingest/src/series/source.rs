//! The totals of one source of series, and the records that they are stored in.
//!
//! A source is what sends its series together: a resource, to OpenTelemetry. Its totals are stored
//! in parts, so that a large source does not write all of them for every request; series that come
//! together lie together. The first part is written with every other, and only if it is still the
//! one that was read or written last: so a record never replaces one that it did not know of.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use prost::Message as _;

use super::record::{bytes_of, NotARecord, Record};
use super::rise::Observed;
use super::Key;

/// A series that sent nothing for so long is forgotten.
pub const IDLE_MAX: Duration = Duration::from_secs(3600);
/// A record that old is written again, before INGEST is swept of it.
pub const WRITTEN_MAX: Duration = Duration::from_secs(240);
/// Bytes of a part that takes no more series.
const PART_BYTES: usize = 256 * 1024;
/// Parts that are written again for their age, at a time.
const REWRITTEN_MAX: usize = 32;

/// Names a source within its organization.
pub type SourceId = u64;

#[derive(Default)]
pub struct Source {
    entries: HashMap<Key, Entry>,
    parts: Vec<Part>,
    /// Where the first part is stored; `None` where that has to be found out.
    stored: Option<Stored>,
}

/// The sequence of a message; 0 for none.
type Stored = u64;

/// The newest point of a series.
struct Entry {
    point: Observed,
    part: usize,
    seen: Instant,
}

#[derive(Clone)]
struct Part {
    version: u64,
    bytes: usize,
    written: Instant,
}

/// What is stored when a source rises, and what is known of it then.
pub struct Plan {
    updates: Vec<(Key, Entry)>,
    parts: Vec<Part>,
    /// Where the first part has to be stored until then.
    pub expected: Stored,
    /// Records by part, the first part first; nothing where nothing has to be stored.
    pub records: Vec<(usize, Vec<u8>)>,
}

impl Source {
    /// Whether it is known what is stored.
    pub fn is_known(&self) -> bool {
        self.stored.is_some()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn point(&self, key: Key) -> Option<&Observed> {
        self.entries.get(&key).map(|entry| &entry.point)
    }

    /// Somebody else stored, or may have: what is stored has to be found out.
    pub fn doubt(&mut self) {
        self.stored = None;
    }

    /// Nothing is stored of it, or not any more: what is known here stays.
    pub fn restore_nothing(&mut self) {
        self.stored = Some(0);
    }

    /// Takes what is stored in place of what was known. A part that is not there any more was
    /// swept, for its series were silent.
    pub fn restore(
        &mut self,
        stored: Stored,
        records: Vec<Option<Record>>,
        now: Instant,
    ) -> Result<(), NotARecord> {
        let versions = records.first().and_then(Option::as_ref);
        let versions = versions.map_or_else(Vec::new, |root| root.versions.clone());
        let mut entries = HashMap::new();
        let mut parts = Vec::with_capacity(records.len());
        for (part, record) in records.into_iter().enumerate() {
            let version = versions.get(part).copied().ok_or(NotARecord)?;
            let points = match record {
                Some(record) if record.version == version => record.into_points()?,
                Some(_) => return Err(NotARecord),
                None => Vec::new(),
            };
            parts.push(Part {
                version,
                bytes: points.iter().map(|(_, point)| bytes_of(point)).sum(),
                written: now,
            });
            let seen = now;
            let entry = |point| Entry { point, part, seen };
            entries.extend(points.into_iter().map(|(key, point)| (key, entry(point))));
        }
        (self.entries, self.parts, self.stored) = (entries, parts, Some(stored));
        Ok(())
    }

    /// What has to be stored so that these are the newest points.
    pub fn plan(&self, points: HashMap<Key, Observed>, now: Instant) -> Plan {
        let mut parts = self.parts.clone();
        let mut points: Vec<_> = points.into_iter().collect();
        points.sort_unstable_by_key(|(key, _)| *key);
        let place = |(key, point)| {
            let part = self.place(key, &point, &mut parts, now);
            let seen = now;
            (key, Entry { point, part, seen })
        };
        let updates: Vec<_> = points.into_iter().map(place).collect();
        let mut touched: BTreeSet<usize> = updates.iter().map(|(_, entry)| entry.part).collect();
        touched.extend(self.aged(now).take(REWRITTEN_MAX));
        if !touched.is_empty() {
            touched.insert(0);
        }
        for part in &touched {
            parts[*part].version += 1;
            parts[*part].written = now;
        }
        Plan {
            records: self.records(&touched, &updates, &parts),
            updates,
            parts,
            expected: self.stored.unwrap_or_default(),
        }
    }

    /// A plan was stored, its first part as this message.
    pub fn commit(&mut self, plan: Plan, stored: Stored) {
        self.entries.extend(plan.updates);
        self.parts = plan.parts;
        self.stored = Some(stored);
    }

    /// Forgets idle series.
    pub fn forget_idle(&mut self, now: Instant) {
        let parts = &mut self.parts;
        self.entries.retain(|_, entry| {
            let fresh = now.duration_since(entry.seen) < IDLE_MAX;
            if !fresh {
                let part = &mut parts[entry.part];
                part.bytes = part.bytes.saturating_sub(bytes_of(&entry.point));
            }
            fresh
        });
    }

    /// Whether some record has to be written again for its age.
    pub fn is_due(&self, now: Instant) -> bool {
        self.is_known() && self.aged(now).next().is_some()
    }

    fn aged(&self, now: Instant) -> impl Iterator<Item = usize> + '_ {
        let aged =
            move |part: &Part| part.bytes > 0 && now.duration_since(part.written) >= WRITTEN_MAX;
        let parts = self.parts.iter().enumerate();
        parts.filter(move |(_, part)| aged(part)).map(|(n, _)| n)
    }

    /// The part of a series: its own, or one with room.
    fn place(&self, key: Key, point: &Observed, parts: &mut Vec<Part>, now: Instant) -> usize {
        let bytes = bytes_of(point);
        if let Some(entry) = self.entries.get(&key) {
            let part = &mut parts[entry.part];
            part.bytes = (part.bytes + bytes).saturating_sub(bytes_of(&entry.point));
            return entry.part;
        }
        let room = parts.iter().position(|part| part.bytes < PART_BYTES);
        let part = room.unwrap_or_else(|| {
            parts.push(Part {
                version: 0,
                bytes: 0,
                written: now,
            });
            parts.len() - 1
        });
        parts[part].bytes += bytes;
        part
    }

    fn records(
        &self,
        touched: &BTreeSet<usize>,
        updates: &[(Key, Entry)],
        parts: &[Part],
    ) -> Vec<(usize, Vec<u8>)> {
        let mut points: HashMap<usize, Vec<(Key, &Observed)>> = HashMap::new();
        let new = updates.iter().map(|(key, entry)| (key, entry));
        let is_new = |key: &Key| updates.binary_search_by_key(key, |(key, _)| *key).is_ok();
        let old = self.entries.iter().filter(|(key, _)| !is_new(key));
        for (key, entry) in old.chain(new) {
            if touched.contains(&entry.part) {
                let list = points.entry(entry.part).or_default();
                list.push((*key, &entry.point));
            }
        }
        let record = |part: &usize| {
            let points = points.remove(part).unwrap_or_default();
            let mut record = Record::new(parts[*part].version, points.into_iter());
            if *part == 0 {
                record.versions = parts.iter().map(|part| part.version).collect();
            }
            (*part, record.encode_to_vec())
        };
        touched.iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        fn keep(&mut self, plan: &Plan) {
            for (part, record) in &plan.records {
                self.0.resize(self.0.len().max(part + 1), None);
                self.0[*part] = Some(record.clone());
            }
        }

        fn restored(&self, now: Instant) -> Result<Source, NotARecord> {
            let records = self.0.iter().map(|record| {
                let record = record.as_deref();
                record.map(|bytes| Record::read(bytes).unwrap())
            });
            let mut source = Source::default();
            source.restore(9, records.collect(), now)?;
            Ok(source)
        }
    }

    fn parts_of(plan: &Plan) -> Vec<usize> {
        plan.records.iter().map(|(part, _)| *part).collect()
    }

    #[test]
    fn what_was_stored_comes_back() {
        let now = Instant::now();
        let (mut source, mut kept) = (Source::default(), Kept::default());
        let first = source.plan(points(0..20_000), now);
        let parts = first.records.len();
        assert!(parts > 2, "{parts}");
        kept.keep(&first);
        source.commit(first, 1);
        // One series of the last part, and a new one.
        let last = (20_000 - 1..20_001).map(|key| (key, point(-1))).collect();
        let second = source.plan(last, now);
        assert_eq!(
            (second.expected, parts_of(&second)),
            (1, vec![0, parts - 1])
        );
        kept.keep(&second);
        source.commit(second, 2);
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
        let plan = source.plan(points(0..8_000), now);
        kept.keep(&plan);
        source.commit(plan, 1);
        let before = kept.0[1].clone();
        let later = source.plan(points(7_999..8_000), now);
        assert_eq!(parts_of(&later), [0, 1]);
        kept.keep(&later);
        kept.0[1] = before;
        assert_eq!(kept.restored(now).err(), Some(NotARecord));
        kept.0[1] = None;
        let restored = kept.restored(now).unwrap();
        assert!(restored.point(0).is_some() && restored.point(7_999).is_none());
    }

    #[test]
    fn nothing_new_writes_nothing_until_it_is_old() {
        let now = Instant::now();
        let mut source = Source::default();
        source.restore_nothing();
        assert!(source.plan(HashMap::new(), now).records.is_empty());
        let plan = source.plan(points(0..3), now);
        source.commit(plan, 4);
        assert!(source.plan(HashMap::new(), now).records.is_empty());
        assert!(!source.is_due(now));
        let later = now + WRITTEN_MAX;
        assert!(source.is_due(later));
        let plan = source.plan(HashMap::new(), later);
        assert_eq!((plan.expected, parts_of(&plan)), (4, vec![0]));
        source.commit(plan, 5);
        assert!(!source.is_due(later));
        source.forget_idle(now + IDLE_MAX);
        assert!(source.is_empty() && !source.is_due(later + WRITTEN_MAX));
    }

    #[test]
    fn in_doubt_it_is_not_known_and_what_nobody_stored_stays() {
        let now = Instant::now();
        let mut source = Source::default();
        let plan = source.plan(points(0..1), now);
        source.commit(plan, 4);
        source.doubt();
        assert!(!source.is_known() && !source.is_due(now + WRITTEN_MAX));
        source.restore_nothing();
        assert_eq!(source.plan(points(0..1), now).expected, 0);
        assert_eq!(source.point(0), Some(&point(0)));
    }
}
