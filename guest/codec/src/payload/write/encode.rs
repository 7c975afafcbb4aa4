//! Laying out the columns of a finished message.

use super::{MessageBuilder, FIXED_COLUMNS, HEADER_LEN, TAIL_LEN};
use crate::payload::{MAGIC, SPARSE};
use crate::{streamvbyte, zigzag};
use alloc::{vec, vec::Vec};

/// The bytes of the message. Strings, tag-sets and points keep the order of their first use.
pub(super) fn message(built: &MessageBuilder) -> Vec<u8> {
    let strings = built.strings.texts();
    let mut order: Vec<usize> = (0..built.keys.len()).collect();
    order.sort_unstable_by_key(|&key| &strings[built.keys[key].0 as usize]);
    let columns = FIXED_COLUMNS + order.len();
    let mut out = vec![0; HEADER_LEN + 8 * columns];
    let mut writer = Writer {
        out: &mut out,
        column: 0,
    };

    let lengths: Vec<u32> = strings.iter().map(|s| s.len() as u32).collect();
    writer.run(&lengths);
    writer.column(&strings.concat(), 0);
    let key_ids: Vec<u32> = order.iter().map(|&key| built.keys[key].0).collect();
    let prefix = writer.run(&key_ids);
    let metrics: Vec<u32> = built.sets.iter().map(|set| set.metric).collect();
    writer.run(&metrics);
    let set_ids: Vec<u32> = built.points.iter().map(|point| point.set).collect();
    writer.run(&set_ids);
    writer.run(&timestamps(built));
    let values: Vec<u8> = built
        .points
        .iter()
        .flat_map(|p| p.value.to_le_bytes())
        .collect();
    writer.column(&values, 0);
    writer.run(&built.counts);
    for &key in &order {
        let (bytes, flag) = key_column(built, key as u32);
        writer.column(&bytes, flag);
    }
    out.resize(align8(out.len()) + TAIL_LEN, 0);
    header(&mut out, built, prefix);
    out
}

fn header(out: &mut [u8], built: &MessageBuilder, prefix: usize) {
    let counts = [
        built.strings.len(),
        built.keys.len(),
        built.sets.len(),
        built.points.len(),
    ];
    put(out, 0, MAGIC);
    put(out, 4, out.len() as u32);
    put(out, 8, prefix as u32);
    for (n, count) in counts.into_iter().enumerate() {
        put(out, 12 + 4 * n, count as u32);
    }
    out[32..40].copy_from_slice(&built.min_ts.to_le_bytes());
    out[40..48].copy_from_slice(&built.max_ts.to_le_bytes());
}

/// Zigzag codes of the differences. They fit `u32`, because a message spans at most an hour.
fn timestamps(built: &MessageBuilder) -> Vec<u32> {
    let mut last = built.min_ts;
    let mut codes = Vec::with_capacity(built.points.len());
    for point in &built.points {
        codes.push(zigzag::encode(point.ts - last) as u32);
        last = point.ts;
    }
    codes
}

/// A key's column in its shorter form, and the flag of that form.
fn key_column(built: &MessageBuilder, key: u32) -> (Vec<u8>, u32) {
    let mut dense = vec![0; built.sets.len()];
    let mut sparse = Vec::with_capacity(2 * built.keys[key as usize].1 as usize);
    let mut last = 0;
    for (index, set) in built.sets.iter().enumerate() {
        if let Ok(at) = set.tags.binary_search_by_key(&key, |&(key, _)| key) {
            let code = set.tags[at].1 + 1;
            dense[index] = code;
            sparse.extend([index as u32 - last, code]);
            last = index as u32;
        }
    }
    let dense = run(&dense);
    let mut short = (built.keys[key as usize].1).to_le_bytes().to_vec();
    short.extend(run(&sparse));
    if short.len() < dense.len() {
        (short, SPARSE)
    } else {
        (dense, 0)
    }
}

/// Control bytes, then data bytes, of a StreamVByte run.
pub(crate) fn run(values: &[u32]) -> Vec<u8> {
    let codes = values.len().div_ceil(4);
    let mut out = vec![0; codes + 4 * values.len()];
    let (control, data) = out.split_at_mut(codes);
    let used =
        streamvbyte::encode(values, control, data).expect("invariant: four bytes hold any value");
    out.truncate(codes + used);
    out
}

/// Appends columns and fills in their table entries.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    column: usize,
}

impl Writer<'_> {
    fn run(&mut self, values: &[u32]) -> usize {
        self.column(&run(values), 0)
    }

    /// Appends a column; answers where it ends.
    fn column(&mut self, bytes: &[u8], flag: u32) -> usize {
        let start = align8(self.out.len());
        self.out.resize(start, 0);
        self.out.extend_from_slice(bytes);
        let entry = HEADER_LEN + 8 * self.column;
        put(self.out, entry, start as u32);
        put(self.out, entry + 4, bytes.len() as u32 | flag);
        self.column += 1;
        self.out.len()
    }
}

fn put(out: &mut [u8], at: usize, value: u32) {
    out[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// The first multiple of eight at or after `at`.
fn align8(at: usize) -> usize {
    at.next_multiple_of(8)
}
