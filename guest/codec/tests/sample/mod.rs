//! Random messages for tests.

use ratchet_codec::payload::write::MessageBuilder;
use ratchet_codec::payload::{Header, Message};

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
