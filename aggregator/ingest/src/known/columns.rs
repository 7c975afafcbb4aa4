//! Columns of a message as bytes: the layout of `guest/README.md`, and the choices of the codec's
//! own builder.

use ratchet_codec::payload::{FIXED_COLUMNS, HEADER_LEN, MAGIC, SPARSE, TAIL_LEN};
use ratchet_codec::{streamvbyte, zigzag};

/// Counts and times of a message.
#[derive(Clone, Copy)]
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
/// The column of times; values and counts follow, and then the keys' own columns.
const TIMES: usize = 5;

/// A message without its times and values, cut where they were.
pub struct Cut {
    before: Box<[u8]>,
    after: Box<[u8]>,
    /// Where the columns after them began.
    after_from: usize,
    prefix: usize,
    keys: usize,
}

impl Cut {
    /// Of a message that a [`Writer`] made.
    pub fn of(message: &[u8]) -> Self {
        let word = |at: usize| {
            let bytes = message[at..].first_chunk().copied();
            u32::from_le_bytes(bytes.unwrap_or_default()) as usize
        };
        let (end, keys) = (message.len() - TAIL_LEN, word(16));
        let begin = |column: usize| word(HEADER_LEN + 8 * column);
        let after_from = if keys > 0 { begin(FIXED_COLUMNS) } else { end };
        Self {
            before: message[..begin(TIMES)].into(),
            after: message[after_from..end].into(),
            after_from,
            prefix: word(8),
            keys,
        }
    }

    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.before.len() + self.after.len()
    }
}

impl Writer {
    /// One that goes on with times.
    pub fn resume(cut: &Cut, points: usize) -> Self {
        // A time takes four bytes at most and a bit of control, a value eight.
        let room = cut.before.len() + cut.after.len() + 13 * points + 64;
        let mut out = Vec::with_capacity(room);
        out.extend_from_slice(&cut.before);
        Self {
            out,
            column: TIMES,
            prefix: cut.prefix,
        }
    }

    /// The columns behind counts, from where they were to where they are now.
    pub fn rest(&mut self, cut: &Cut) {
        let columns = HEADER_LEN + 8 * self.column..HEADER_LEN + 8 * (FIXED_COLUMNS + cut.keys);
        let (from, to) = (cut.after_from as u32, self.out.len() as u32);
        for entry in self.out[columns].chunks_exact_mut(8) {
            if let Some(begin) = entry.first_chunk_mut() {
                *begin = (u32::from_le_bytes(*begin) - from + to).to_le_bytes();
            }
        }
        self.out.extend_from_slice(&cut.after);
    }

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
