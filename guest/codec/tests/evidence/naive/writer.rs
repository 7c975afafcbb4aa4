//! The naive writer: it lays out whatever it is told, valid or not.

use super::{align, FIXED_COLUMNS, HEADER, MAGIC, SPARSE};

/// A message in parts, which need not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// As the header says them: strings, keys, tag-sets, points.
    pub counts: [u32; 4],
    pub min_ts: i64,
    pub max_ts: i64,
    pub string_lengths: Run,
    pub text: Vec<u8>,
    pub key_ids: Run,
    pub metric_ids: Run,
    pub set_ids: Run,
    pub timestamps: Run,
    /// The bits of each value.
    pub values: Vec<u64>,
    /// Nothing for a column that is empty.
    pub point_counts: Option<Run>,
    pub keys: Vec<Key>,
}

/// Numbers, and by how many bytes each is written longer than it needs, as far as four bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub numbers: Vec<u32>,
    /// Of each number; missing ones are zero.
    pub excess: Vec<u8>,
    /// The unused codes of the last control byte.
    pub unused: u8,
}

/// The column of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Dense(Run),
    /// How many pairs there are said to be, and the pairs.
    Sparse(u32, Run),
}

impl From<Vec<u32>> for Run {
    fn from(numbers: Vec<u32>) -> Self {
        Run {
            numbers,
            ..Run::default()
        }
    }
}

impl Run {
    /// Control bytes, then the numbers.
    fn bytes(&self) -> Vec<u8> {
        let mut control = vec![0; self.numbers.len().div_ceil(4)];
        let mut data = Vec::new();
        for (n, number) in self.numbers.iter().enumerate() {
            let digits = number.to_le_bytes();
            let needed = 1 + digits.iter().rposition(|&digit| digit != 0).unwrap_or(0);
            let excess = self.excess.get(n).copied().unwrap_or(0);
            let length = (needed + usize::from(excess)).min(4);
            control[n / 4] |= (length as u8 - 1) << (2 * (n % 4));
            data.extend(&digits[..length]);
        }
        let used = 2 * (self.numbers.len() % 4);
        if let (1.., Some(last)) = (used, control.last_mut()) {
            *last |= self.unused << used;
        }
        [control, data].concat()
    }
}

impl Parts {
    /// The message: each column where it belongs, and zeros between.
    pub fn write(&self) -> Vec<u8> {
        let mut out = vec![0; HEADER + 8 * (FIXED_COLUMNS + self.keys.len())];
        let mut prefix = 0;
        for (index, (bytes, flag)) in self.columns().into_iter().enumerate() {
            out.resize(align(out.len()), 0);
            let (start, length) = (out.len() as u64, bytes.len() as u64 | flag);
            out.extend(bytes);
            put(&mut out, HEADER + 8 * index, 4, start);
            put(&mut out, HEADER + 8 * index + 4, 4, length);
            if index == 2 {
                prefix = out.len() as u64;
            }
        }
        out.resize(align(out.len()) + 16, 0);
        let length = out.len() as u64;
        let counts = self.counts.map(u64::from);
        let words = [MAGIC, length, prefix].into_iter().chain(counts);
        for (n, word) in words.enumerate() {
            put(&mut out, 4 * n, 4, word);
        }
        put(&mut out, 32, 8, self.min_ts as u64);
        put(&mut out, 40, 8, self.max_ts as u64);
        out
    }

    fn columns(&self) -> Vec<(Vec<u8>, u64)> {
        let values = self.values.iter().flat_map(|bits| bits.to_le_bytes());
        let counts = self.point_counts.as_ref();
        let fixed = [
            self.string_lengths.bytes(),
            self.text.clone(),
            self.key_ids.bytes(),
            self.metric_ids.bytes(),
            self.set_ids.bytes(),
            self.timestamps.bytes(),
            values.collect(),
            counts.map(Run::bytes).unwrap_or_default(),
        ];
        let key = |key: &Key| match key {
            Key::Dense(run) => (run.bytes(), 0),
            Key::Sparse(pairs, run) => ([&pairs.to_le_bytes()[..], &run.bytes()].concat(), SPARSE),
        };
        let fixed = fixed.into_iter().map(|bytes| (bytes, 0));
        fixed.chain(self.keys.iter().map(key)).collect()
    }

    /// Every run, that of a key included.
    pub fn runs(&mut self) -> Vec<&mut Run> {
        let fixed = [
            &mut self.string_lengths,
            &mut self.key_ids,
            &mut self.metric_ids,
            &mut self.set_ids,
            &mut self.timestamps,
        ];
        let keys = self.keys.iter_mut().map(|key| match key {
            Key::Dense(run) | Key::Sparse(_, run) => run,
        });
        fixed
            .into_iter()
            .chain(&mut self.point_counts)
            .chain(keys)
            .collect()
    }
}

fn put(out: &mut [u8], at: usize, length: usize, number: u64) {
    out[at..at + length].copy_from_slice(&number.to_le_bytes()[..length]);
}
