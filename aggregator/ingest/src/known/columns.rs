//! Columns of a message as bytes: the layout of `guest/README.md`, and the choices of the codec's
//! own builder.

use ratchet_codec::payload::{FIXED_COLUMNS, HEADER_LEN, MAGIC, SPARSE, TAIL_LEN};
use ratchet_codec::{streamvbyte, zigzag};

/// Counts and times of a message.
pub struct Facts {
    pub strings: usize,
    pub keys: usize,
    pub sets: usize,
    pub points: usize,
    pub min_ts: i64,
    pub max_ts: i64,
}

/// A message that columns are put into, in the order of the format.
pub struct Writer {
    out: Vec<u8>,
    column: usize,
    prefix: usize,
}

/// The column of key ids: what a guest reads first ends with it.
const KEY_IDS: usize = 2;

impl Writer {
    pub fn new(keys: usize, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        out.resize(HEADER_LEN + 8 * (FIXED_COLUMNS + keys), 0);
        Self {
            out,
            column: 0,
            prefix: 0,
        }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        let from = self.out.len();
        self.out.extend_from_slice(bytes);
        self.end(from, false);
    }

    pub fn words(&mut self, words: &[u64]) {
        let from = self.out.len();
        self.out
            .extend(words.iter().flat_map(|word| word.to_le_bytes()));
        self.end(from, false);
    }

    pub fn run(&mut self, values: &[u32]) {
        let from = self.out.len();
        append_run(&mut self.out, values);
        self.end(from, false);
    }

    pub fn times(&mut self, base: i64, times: &[i64], scratch: &mut Vec<u32>) {
        let mut last = base;
        scratch.clear();
        scratch.extend(times.iter().map(|time| {
            let code = zigzag::encode(time - last);
            last = *time;
            code as u32
        }));
        self.run(scratch);
    }

    /// The values of a key, one a tag-set and 0 where it is absent; sparse where that is shorter.
    pub fn key(&mut self, values: &[u32], scratch: &mut Vec<u32>) {
        let from = self.out.len();
        append_run(&mut self.out, values);
        let dense = self.out.len() - from;
        let present = values.iter().filter(|value| **value != 0).count();
        // No number takes less than a byte.
        if 4 + 2 * present >= dense {
            return self.end(from, false);
        }
        gaps(values, scratch);
        let sparse = self.out.len();
        self.out.extend((present as u32).to_le_bytes());
        append_run(&mut self.out, scratch);
        let shorter = self.out.len() - sparse < dense;
        if shorter {
            self.out.drain(from..sparse);
        } else {
            self.out.truncate(sparse);
        }
        self.end(from, shorter);
    }

    pub fn finish(mut self, facts: &Facts) -> Vec<u8> {
        self.out.resize(self.out.len() + TAIL_LEN, 0);
        let words = [
            MAGIC,
            self.out.len() as u32,
            self.prefix as u32,
            facts.strings as u32,
            facts.keys as u32,
            facts.sets as u32,
            facts.points as u32,
            0,
        ];
        let words = words.into_iter().flat_map(u32::to_le_bytes);
        let times = [facts.min_ts, facts.max_ts].into_iter();
        let header = words.chain(times.flat_map(i64::to_le_bytes));
        for (place, byte) in self.out.iter_mut().zip(header) {
            *place = byte;
        }
        self.out
    }

    /// Lists the column that began at `from`, and makes room for the next one.
    fn end(&mut self, from: usize, sparse: bool) {
        let length = self.out.len() - from;
        if self.column == KEY_IDS {
            self.prefix = self.out.len();
        }
        let flag = if sparse { SPARSE } else { 0 };
        let at = HEADER_LEN + 8 * self.column;
        self.out[at..at + 4].copy_from_slice(&(from as u32).to_le_bytes());
        self.out[at + 4..at + 8].copy_from_slice(&(length as u32 | flag).to_le_bytes());
        self.out.resize(self.out.len().next_multiple_of(8), 0);
        self.column += 1;
    }
}

fn append_run(out: &mut Vec<u8>, values: &[u32]) {
    let from = out.len();
    let codes = values.len().div_ceil(4);
    out.resize(from + codes + 4 * values.len(), 0);
    let (control, data) = out[from..].split_at_mut(codes);
    // Four bytes a value are always enough.
    let used = streamvbyte::encode(values, control, data).unwrap_or(0);
    out.truncate(from + codes + used);
}

/// For each value that is not 0, the gap to the one before in tag-sets, and the value.
fn gaps(values: &[u32], out: &mut Vec<u32>) {
    out.clear();
    let mut last = 0;
    for (set, value) in values.iter().enumerate().filter(|(_, value)| **value != 0) {
        out.extend([set as u32 - last, *value]);
        last = set as u32;
    }
}
