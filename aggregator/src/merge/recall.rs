//! Which series the tag-sets of a message are, by the bytes that name them.
//!
//! Many senders repeat themselves: a process exports the same series in the same order every few
//! seconds. Then a message differs from one before in its points alone, and the hash of the rest
//! finds the series of all its tag-sets, without a string or a column being read.

use ratchet_codec::payload::{Column, Header, FIXED_COLUMNS, HEADER_LEN};
use ratchet_ingest::fingerprint::{entry_bytes, FingerprintMap};

use super::series::{Series, StringHasher};

/// So many tag-sets are remembered for any organization, however few its series are.
const SETS_MIN: usize = 1024;
/// So many of each series: senders may share it, or draw the line between two messages elsewhere.
const SETS_PER_SERIES: usize = 4;
/// What that costs, where messages have many tag-sets.
pub const BYTES_PER_SERIES: usize = SETS_PER_SERIES * size_of::<Series>();

/// What was found for the tag-sets of messages.
#[derive(Default)]
pub struct Recall {
    by_fingerprint: FingerprintMap<Place>,
    /// Of message after message.
    series: Vec<Series>,
    scratch: Vec<u8>,
}

/// Where the series of a message begin, and how many they are.
#[derive(Clone, Copy)]
struct Place {
    start: u32,
    sets: u32,
}

impl Place {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.sets as usize
    }
}

impl Recall {
    /// Of all that tells which series the tag-sets of a validated message are: the dictionary, the
    /// ids of keys and metrics, and the columns of keys.
    pub fn fingerprint(
        &mut self,
        payload: &[u8],
        header: &Header,
        hasher: StringHasher,
    ) -> Option<u128> {
        let entry = |column: usize| {
            let at = HEADER_LEN + 8 * column;
            let (start, rest) = payload.get(at..)?.split_first_chunk::<4>()?;
            Some((
                u32::from_le_bytes(*start) as usize,
                rest.first_chunk::<4>()?,
            ))
        };
        let text = &mut self.scratch;
        text.clear();
        for count in [header.strings, header.keys, header.sets] {
            text.extend_from_slice(&count.to_le_bytes());
        }
        for column in (0..Column::SetIds.index()).chain(FIXED_COLUMNS..header.columns()) {
            text.extend_from_slice(entry(column)?.1);
        }
        let (from, until) = (header.table_end(), entry(Column::SetIds.index())?.0);
        let keys = match header.keys {
            0 => payload.len(),
            _ => entry(FIXED_COLUMNS)?.0,
        };
        for bytes in [payload.get(from..until)?, payload.get(keys..)?] {
            text.extend_from_slice(&hasher.hash(bytes).to_le_bytes());
        }
        Some(hasher.hash(text))
    }

    /// Writes the series of a message's tag-sets, if one with these was merged before.
    pub fn get(&self, fingerprint: u128, out: &mut [Series]) {
        let place = self.by_fingerprint.get(&fingerprint);
        let known = place.and_then(|place| self.series.get(place.range()));
        if let Some(known) = known.filter(|known| known.len() == out.len()) {
            out.copy_from_slice(known);
        }
    }

    /// Remembers the series of a message's tag-sets, of an organization that has so many. What does
    /// not fit makes room: all else is forgotten.
    pub fn put(&mut self, fingerprint: u128, sets: &[Series], series: usize) {
        let place = self.by_fingerprint.get(&fingerprint);
        let known = place.and_then(|place| self.series.get_mut(place.range()));
        if let Some(known) = known.filter(|known| known.len() == sets.len()) {
            known.copy_from_slice(sets);
            return;
        }
        let sets_max = SETS_MIN.max(SETS_PER_SERIES * series);
        if sets.len() > sets_max {
            return;
        }
        if self.series.len() + sets.len() > sets_max {
            self.clear();
        }
        let place = Place {
            start: self.series.len() as u32,
            sets: sets.len() as u32,
        };
        self.series.extend_from_slice(sets);
        self.by_fingerprint.insert(fingerprint, place);
    }

    pub fn clear(&mut self) {
        self.by_fingerprint.clear();
        self.series.clear();
    }

    /// Memory, about.
    pub fn bytes(&self) -> usize {
        self.series.capacity() * size_of::<Series>()
            + self.by_fingerprint.capacity() * entry_bytes::<Place>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::series::UNRESOLVED;
    use crate::merge::SeriesTable;
    use ratchet_codec::payload::validate;
    use ratchet_codec::payload::write::MessageBuilder;

    type Point = (
        &'static str,
        &'static [(&'static str, &'static str)],
        i64,
        f64,
    );

    fn fingerprint(points: &[Point]) -> u128 {
        let mut builder = MessageBuilder::new();
        for (metric, tags, ts, value) in points {
            builder.point(metric, tags, *ts, *value).unwrap();
        }
        let payload = builder.finish().unwrap();
        let header = validate(&payload).unwrap();
        let hasher = SeriesTable::with_seed(7).hasher();
        let fingerprint = Recall::default().fingerprint(&payload, &header, hasher);
        fingerprint.unwrap()
    }

    #[test]
    fn points_make_no_difference_and_tag_sets_do() {
        let one: Point = ("cpu", &[("a", "x"), ("b", "y")], 5, 1.0);
        let two: Point = ("cpu", &[("a", "z")], 5, 1.0);
        let known = fingerprint(&[one, two]);
        let again: Point = ("cpu", &[("a", "z")], 70_000, -4.25);
        assert_eq!(fingerprint(&[one, again]), known);
        assert_eq!(fingerprint(&[one, two, one, again]), known);
        let others: [&[Point]; 8] = [
            &[one],
            &[two, one],
            &[one, ("mem", &[("a", "z")], 5, 1.0)],
            &[one, ("cpu", &[("b", "z")], 5, 1.0)],
            &[one, ("cpu", &[("a", "y")], 5, 1.0)],
            &[one, ("cpu", &[("a", "zz")], 5, 1.0)],
            &[one, ("cpu", &[], 5, 1.0)],
            &[one, two, ("cpu", &[], 5, 1.0)],
        ];
        let mut all: Vec<_> = others.map(fingerprint).into();
        all.push(known);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), others.len() + 1);
    }

    #[test]
    fn remembers_within_its_bounds() {
        let series = |row| Series { metric: 0, row };
        let mut recall = Recall::default();
        let known = |recall: &Recall, fingerprint, sets| {
            let mut out = vec![UNRESOLVED; sets];
            recall.get(fingerprint, &mut out);
            out.iter()
                .all(|series| *series != UNRESOLVED)
                .then_some(out)
        };
        recall.put(1, &[series(1), series(2)], 1);
        recall.put(2, &[series(3)], 1);
        recall.put(1, &[series(1), series(4)], 1);
        assert_eq!(known(&recall, 1, 2), Some(vec![series(1), series(4)]));
        assert_eq!(known(&recall, 2, 1), Some(vec![series(3)]));
        assert_eq!(known(&recall, 1, 1), None, "of another message");
        let many = vec![series(5); SETS_MIN - 3];
        recall.put(3, &many, 1);
        assert_eq!(known(&recall, 3, many.len()), Some(many.clone()));
        recall.put(4, &[series(6)], 1);
        let kept = [1, 2, 3, 4].map(|fingerprint| known(&recall, fingerprint, 1).is_some());
        assert_eq!(kept, [false, false, false, true], "room was made");
        recall.put(5, &vec![series(7); SETS_MIN + 1], 1);
        assert_eq!(known(&recall, 5, SETS_MIN + 1), None, "too many");
        recall.put(5, &vec![series(7); SETS_MIN + 1], SETS_MIN / 2);
        assert!(known(&recall, 5, SETS_MIN + 1).is_some());
    }
}
