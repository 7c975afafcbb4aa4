//! Messages for tests: random ones, and one in parts that a test may change.

use ratchet_codec::payload::write::MessageBuilder;
use ratchet_codec::payload::{Header, Message};
use ratchet_codec::streamvbyte;

/// xorshift64*.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

/// A point with its texts: metric, tags by key, timestamp, bits of the value.
pub type Point = (String, Vec<(String, String)>, i64, u64);

/// A message of random shape, and its points.
pub fn random_message(random: &mut Random) -> (Vec<u8>, Vec<Point>) {
    let mut builder = MessageBuilder::new();
    let mut points = Vec::new();
    let keys = random.below(20);
    let base = random.below(2_000_000_000_000) as i64;
    let span = [1, 1_000, 3_600_000][random.below(3) as usize];
    for _ in 0..=random.below(60) {
        let metric = format!("metric.{}", random.below(4));
        let mut tags = Vec::new();
        for key in 0..keys {
            // Low keys are common, high ones rare, so that both forms of column occur.
            if random.below(key + 1) == 0 {
                let len = random.below(12) as usize;
                tags.push((
                    format!("key-{key:02}"),
                    "välue-abcdef".chars().skip(len).collect(),
                ));
            }
        }
        let (ts, bits) = (base + random.below(span) as i64, random.next() << 8);
        builder
            .point(&metric, &tags, ts, f64::from_bits(bits))
            .unwrap();
        tags.retain(|(_, value): &(String, String)| !value.is_empty());
        points.push((metric, tags, ts, bits));
    }
    (builder.finish().unwrap(), points)
}

/// The points of a valid message, by the reader.
pub fn read_back(bytes: &[u8]) -> Vec<Point> {
    let header = Header::read(bytes).unwrap();
    let (mut source, mut mirror, mut bounds) = (bytes, Vec::new(), Vec::new());
    let mut message = Message::new(header, &mut source, &mut mirror).unwrap();
    message.pull_all().unwrap();
    let strings = message.strings(&mut bounds).unwrap();
    let text = |id: u32| String::from_utf8(strings.get(id).to_vec()).unwrap();
    let (mut keys, mut metrics, mut sets) = (Vec::new(), Vec::new(), Vec::new());
    message.key_ids(&mut keys).unwrap();
    message.metric_ids(&mut metrics).unwrap();
    message.set_ids(&mut sets).unwrap();
    let (mut times, mut values) = (Vec::new(), Vec::new());
    message.timestamps(&mut times).unwrap();
    message.values(&mut values).unwrap();
    let mut tags = vec![Vec::new(); metrics.len()];
    let mut column = Vec::new();
    for (key, &id) in keys.iter().enumerate() {
        message.key_column(key as u32, &mut column).unwrap();
        for (set, &code) in column.iter().enumerate().filter(|(_, &code)| code != 0) {
            tags[set].push((text(id), text(code - 1)));
        }
    }
    let point = |n: usize| {
        let set = sets[n] as usize;
        (
            text(metrics[set]),
            tags[set].clone(),
            times[n],
            values[n].to_bits(),
        )
    };
    (0..sets.len()).map(point).collect()
}

/// A message in parts: two tag-sets, three points, a dense and a sparse key.
pub struct Parts {
    /// Strings, keys, tag-sets, points.
    pub header: [u32; 4],
    pub times: (i64, i64),
    pub columns: Vec<Vec<u8>>,
    changes: Vec<fn(&mut Vec<u8>)>,
}

/// The first byte between two columns of the message of [`parts`].
pub const FIRST_PADDING: usize = 48 + 8 * 10 + 7;

/// Strings m, k, val, l, xy; tag-sets m{k=val} and m{k=val, l=xy}.
pub fn parts() -> Parts {
    let mut parts = Parts {
        header: [5, 2, 2, 3],
        times: (1_000, 1_002),
        columns: vec![Vec::new(); 10],
        changes: Vec::new(),
    };
    parts.run(0, &[1, 1, 3, 1, 2]);
    parts.columns[1] = b"mkvallxy".to_vec();
    parts.run(2, &[1, 3]);
    parts.run(3, &[0, 0]);
    parts.run(4, &[0, 1, 0]);
    parts.run(5, &[0, 4, 1]);
    parts.columns[6] = [1.0f64, 2.0, 3.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    parts.run(8, &[3, 3]);
    parts.sparse(9, 1, &[1, 5]);
    parts
}

impl Parts {
    /// Replaces a column by a run of values.
    pub fn run(&mut self, column: usize, values: &[u32]) {
        self.columns[column] = run(values);
    }

    /// Replaces a column by the sparse form.
    pub fn sparse(&mut self, column: usize, count: u32, pairs: &[u32]) {
        self.columns[column] = [&count.to_le_bytes()[..], &run(pairs)].concat();
    }

    /// Changes the finished bytes.
    pub fn after(&mut self, change: fn(&mut Vec<u8>)) {
        self.changes.push(change);
    }

    pub fn build(&self) -> Vec<u8> {
        let table = 48 + 8 * self.columns.len();
        let mut out = vec![0; table];
        let mut prefix = 0;
        for (n, column) in self.columns.iter().enumerate() {
            let start = out.len().next_multiple_of(8);
            out.resize(start, 0);
            out.extend(column);
            prefix = if n == 2 { out.len() } else { prefix };
            let flag = if n == 9 { 1 << 31 } else { 0 };
            put(&mut out, 48 + 8 * n, start as u32);
            put(&mut out, 52 + 8 * n, column.len() as u32 | flag);
        }
        out.resize(out.len().next_multiple_of(8) + 16, 0);
        let len = out.len() as u32;
        let words = [0x3150_5452, len, prefix as u32];
        for (n, word) in words.into_iter().chain(self.header).enumerate() {
            put(&mut out, 4 * n, word);
        }
        out[32..40].copy_from_slice(&self.times.0.to_le_bytes());
        out[40..48].copy_from_slice(&self.times.1.to_le_bytes());
        self.changes.iter().for_each(|change| change(&mut out));
        out
    }
}

fn run(values: &[u32]) -> Vec<u8> {
    let (mut control, mut data) = (vec![0; values.len().div_ceil(4)], vec![0; 4 * values.len()]);
    let used = streamvbyte::encode(values, &mut control, &mut data).unwrap();
    data.truncate(used);
    [control, data].concat()
}

fn put(out: &mut [u8], at: usize, value: u32) {
    out[at..at + 4].copy_from_slice(&value.to_le_bytes());
}
