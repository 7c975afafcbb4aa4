//! Lays a draft out as a valid message in one of the many ways that the format allows.

use super::draft::Draft;
use crate::random::Random;
use bytes::Bytes;
use ratchet_codec::payload::{self, FIXED_COLUMNS, HEADER_LEN, MAGIC, SPARSE, TAIL_LEN};
use ratchet_codec::{streamvbyte, zigzag};
use std::collections::{BTreeSet, HashMap};

/// `None` when the draft has no point, or does not fit a message.
pub fn message(draft: &Draft, random: &mut Random) -> Option<Bytes> {
    if draft.points.is_empty() {
        return None;
    }
    let bytes = Layout::new(draft, random).write(draft, random);
    payload::validate(&bytes).ok()?;
    Some(Bytes::from(bytes))
}

/// Which string, tag-set and key has which index.
struct Layout<'a> {
    strings: Vec<&'a [u8]>,
    ids: HashMap<&'a [u8], u32>,
    keys: Vec<&'a [u8]>,
    /// The series of each tag-set. Some occur twice, some serve no point.
    sets: Vec<usize>,
    /// For each series, its tag-sets.
    sets_of: Vec<Vec<u32>>,
}

impl<'a> Layout<'a> {
    fn new(draft: &'a Draft, random: &mut Random) -> Self {
        let mut sets: Vec<usize> = (0..draft.series.len()).collect();
        for series in 0..draft.series.len() {
            if random.chance(16) {
                sets.push(series);
            }
        }
        random.shuffle(&mut sets);
        let mut sets_of = vec![Vec::new(); draft.series.len()];
        for (at, &series) in sets.iter().enumerate() {
            sets_of[series].push(at as u32);
        }
        let tags = || draft.series.iter().flat_map(|series| &series.tags);
        let mut keys: BTreeSet<&[u8]> = tags().map(|(key, _)| &key[..]).collect();
        if random.chance(8) {
            keys.insert(b"unused.key");
        }
        let mut texts: BTreeSet<&[u8]> = keys.clone();
        texts.extend(tags().map(|(_, value)| &value[..]));
        texts.extend(draft.series.iter().map(|series| &series.metric[..]));
        if random.chance(4) {
            texts.insert(b"unused string");
        }
        let mut strings: Vec<&[u8]> = texts.into_iter().collect();
        random.shuffle(&mut strings);
        let ids = strings
            .iter()
            .enumerate()
            .map(|(id, &text)| (text, id as u32))
            .collect();
        Layout {
            strings,
            ids,
            keys: keys.into_iter().collect(),
            sets,
            sets_of,
        }
    }

    fn write(&self, draft: &Draft, random: &mut Random) -> Vec<u8> {
        let times = || draft.points.iter().map(|point| point.ts);
        let (min, max) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let mut writer = Writer::new(FIXED_COLUMNS + self.keys.len());
        writer.run(self.strings.iter().map(|text| text.len() as u32));
        writer.column(&self.strings.concat(), 0);
        let prefix = writer.run(self.keys.iter().map(|key| self.ids[key]));
        writer.run(
            self.sets
                .iter()
                .map(|&set| self.ids[&draft.series[set].metric[..]]),
        );
        let set_of = |series: usize, random: &mut Random| {
            random.pick(&self.sets_of[series]).copied().unwrap_or(0)
        };
        writer.run(
            draft
                .points
                .iter()
                .map(|point| set_of(point.series, random)),
        );
        let mut last = min;
        writer.run(times().map(|ts| {
            let step = zigzag::encode(ts - std::mem::replace(&mut last, ts));
            u32::try_from(step).unwrap_or(u32::MAX)
        }));
        let values: Vec<u8> = draft
            .points
            .iter()
            .flat_map(|p| p.value.to_le_bytes())
            .collect();
        writer.column(&values, 0);
        writer.column(&[], 0);
        for key in &self.keys {
            let column = self.key_column(draft, key);
            if random.chance(2) {
                writer.run(column.into_iter());
            } else {
                writer.column(&sparse(&column), SPARSE);
            }
        }
        let counts = [
            self.strings.len(),
            self.keys.len(),
            self.sets.len(),
            draft.points.len(),
        ];
        writer.finish(prefix, counts, min, max)
    }

    /// String id + 1 of a key's value in each tag-set.
    fn key_column(&self, draft: &Draft, key: &[u8]) -> Vec<u32> {
        let value = |&set: &usize| {
            let tag = draft.series[set]
                .tags
                .iter()
                .find(|(known, _)| known == key);
            tag.map_or(0, |(_, value)| self.ids[&value[..]] + 1)
        };
        self.sets.iter().map(value).collect()
    }
}

fn sparse(column: &[u32]) -> Vec<u8> {
    let mut pairs = Vec::new();
    let mut last = 0;
    for (set, &value) in column.iter().enumerate().filter(|(_, &value)| value != 0) {
        pairs.extend([set as u32 - last, value]);
        last = set as u32;
    }
    let mut bytes = ((pairs.len() / 2) as u32).to_le_bytes().to_vec();
    bytes.extend(run(&pairs));
    bytes
}

fn run(values: &[u32]) -> Vec<u8> {
    let codes = values.len().div_ceil(4);
    let mut bytes = vec![0; codes + 4 * values.len()];
    let (control, data) = bytes.split_at_mut(codes);
    let used =
        streamvbyte::encode(values, control, data).expect("invariant: four bytes hold any value");
    bytes.truncate(codes + used);
    bytes
}

struct Writer {
    out: Vec<u8>,
    column: usize,
}

impl Writer {
    fn new(columns: usize) -> Self {
        Writer {
            out: vec![0; HEADER_LEN + 8 * columns],
            column: 0,
        }
    }

    fn run(&mut self, values: impl Iterator<Item = u32>) -> usize {
        self.column(&run(&values.collect::<Vec<u32>>()), 0)
    }

    /// Appends a column; answers where it ends.
    fn column(&mut self, bytes: &[u8], flag: u32) -> usize {
        let start = self.out.len().next_multiple_of(8);
        self.out.resize(start, 0);
        self.out.extend_from_slice(bytes);
        let entry = HEADER_LEN + 8 * self.column;
        self.put(entry, start as u32);
        self.put(entry + 4, bytes.len() as u32 | flag);
        self.column += 1;
        self.out.len()
    }

    fn finish(mut self, prefix: usize, counts: [usize; 4], min: i64, max: i64) -> Vec<u8> {
        let end = self.out.len().next_multiple_of(8) + TAIL_LEN;
        self.out.resize(end, 0);
        self.put(0, MAGIC);
        self.put(4, end as u32);
        self.put(8, prefix as u32);
        for (at, count) in counts.into_iter().enumerate() {
            self.put(12 + 4 * at, count as u32);
        }
        self.out[32..40].copy_from_slice(&min.to_le_bytes());
        self.out[40..48].copy_from_slice(&max.to_le_bytes());
        self.out
    }

    fn put(&mut self, at: usize, value: u32) {
        self.out[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
}
