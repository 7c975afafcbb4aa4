//! Random configurations and messages, and records told by what they mean.

#![allow(dead_code)] // Each test uses a part of it.

use ratchet_api::payload::{write::MessageBuilder, Header};
use ratchet_api::{meaning, Message, Record};
use ratchet_rules::{Aggregate, Filter, Rule};
use std::collections::BTreeMap;

/// xorshift64*.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8) as usize % n.max(1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const METRICS: [&str; 4] = ["cpu.usage", "http.requests", "queue.depth", "disk"];
const KEYS: [&str; 7] = ["service", "host", "env", "dc", "rare", "pod", "zone"];
const VALUES: [&str; 10] = [
    "web",
    "web-1",
    "web-12",
    "db",
    "db-1",
    "prod",
    "dev",
    "cpu.usage",
    "host",
    "a-much-longer-value",
];
const WINDOWS: [u32; 5] = [1_000, 7_000, 10_000, 60_000, 3_600_000];

fn text(s: &str) -> Box<[u8]> {
    s.as_bytes().into()
}

/// Up to 40 rules over a small vocabulary, so that they overlap.
pub fn configuration(random: &mut Random) -> Vec<Rule> {
    let count = 1 + random.below(40);
    let window = random.pick(&WINDOWS);
    (0..count).map(|n| rule(random, n, window)).collect()
}

fn rule(random: &mut Random, n: usize, usual: u32) -> Rule {
    let mut group_by: Vec<&str> = KEYS.to_vec();
    for k in (1..group_by.len()).rev() {
        group_by.swap(k, random.below(k + 1));
    }
    group_by.truncate(random.below(4));
    if random.below(5) == 0 {
        group_by.push("unknown");
    }
    let metric = if random.below(8) == 0 {
        "unmatched"
    } else {
        random.pick(&METRICS)
    };
    Rule {
        id: text(&format!("rule-{n:03}")),
        metric: text(metric),
        aggregate: random.pick(&Aggregate::ALL),
        window_ms: if random.below(4) == 0 {
            random.pick(&WINDOWS)
        } else {
            usual
        },
        group_by: group_by.into_iter().map(text).collect(),
        filter: filter(random, 3),
    }
}

fn filter(random: &mut Random, depth: usize) -> Filter {
    let key = text(if random.below(9) == 0 {
        "unknown"
    } else {
        random.pick(&KEYS)
    });
    let value = if random.below(9) == 0 {
        "unseen"
    } else {
        random.pick(&VALUES)
    };
    match random.below(if depth > 0 { 10 } else { 6 }) {
        0 => Filter::All,
        1 => Filter::Present(key),
        2 | 3 => Filter::Eq(key, text(value)),
        4 => Filter::Prefix(key, text(&value[..1 + random.below(value.len())])),
        5 => {
            let from = random.below(VALUES.len());
            let values = VALUES[from..].iter().take(1 + random.below(4));
            Filter::In(key, values.map(|v| text(v)).collect())
        }
        6 | 7 => Filter::Not(Box::new(filter(random, depth - 1))),
        8 => Filter::And(parts(random, depth - 1, |f| matches!(f, Filter::And(_)))),
        _ => Filter::Or(parts(random, depth - 1, |f| matches!(f, Filter::Or(_)))),
    }
}

fn parts(random: &mut Random, depth: usize, same: fn(&Filter) -> bool) -> Vec<Filter> {
    let mut parts = Vec::new();
    while parts.len() < 2 + depth {
        let part = filter(random, depth);
        if !same(&part) {
            parts.push(part);
        }
    }
    parts
}

/// A message over the same vocabulary: absent tags, rare keys, one window or many.
pub fn message(random: &mut Random) -> Vec<u8> {
    let mut builder = MessageBuilder::new();
    let base = random.below(1_900_000_000_000) as i64;
    let span = random.pick(&[1, 900, 15_000, 3_600_000]);
    let presence = random.pick(&[1, 2, 10]);
    for _ in 0..1 + random.below(250) {
        let mut tags = Vec::new();
        for (n, key) in KEYS.into_iter().enumerate() {
            let chance = if key == "rare" { 30 } else { presence };
            if random.below(chance) == 0 {
                tags.push((key, VALUES[(n + random.below(4)) % VALUES.len()]));
            }
        }
        let metric = if random.below(6) == 0 {
            "noise"
        } else {
            random.pick(&METRICS)
        };
        let ts = base + random.below(span) as i64;
        builder.point(metric, &tags, ts, value(random)).unwrap();
    }
    builder.finish().unwrap()
}

fn value(random: &mut Random) -> f64 {
    let specials = [
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
    ];
    match random.below(30) {
        0 => random.pick(&specials),
        1 => f64::MAX * if random.below(2) == 0 { 1.0 } else { -1.0 },
        2 => f64::from_bits(random.below(1 << 40) as u64),
        3..=5 => random.pick(&[0.0, -0.0]),
        _ => (random.below(1 << 50) as f64 - 5e14) / 1e9 + 0.1,
    }
}

/// A partial told by its meaning: rule, values of the group, window.
pub type Key = (u32, Vec<String>, u32);

/// Records by their meaning: count and canonical bits. Panics when two mean the same partial, or
/// when a representative has no point in its window.
pub fn meaning_of(rules: &[Rule], payload: &[u8], records: &[Record]) -> BTreeMap<Key, (u32, u64)> {
    let texts = Texts::read(payload);
    let mut out = BTreeMap::new();
    for record in records {
        let rule = &rules[record.rule as usize];
        let present = texts.has_point(record.set, i64::from(rule.window_ms), record.window);
        assert!(
            present,
            "{record:?}: no point of that tag-set in that window"
        );
        let group = rule
            .group_by
            .iter()
            .map(|key| texts.value(record.set, key))
            .collect();
        let partial = (record.count, meaning::canonical(record.value).to_bits());
        let twice = out.insert((record.rule, group, record.window), partial);
        assert!(
            twice.is_none(),
            "{record:?}: a second record of one partial"
        );
    }
    out
}

struct Texts {
    header: Header,
    tags: Vec<BTreeMap<Vec<u8>, String>>,
    points: Vec<(u32, i64)>,
}

impl Texts {
    fn read(payload: &[u8]) -> Self {
        let header = Header::read(payload).unwrap();
        let (mut source, mut mirror, mut bounds) = (payload, Vec::new(), Vec::new());
        let mut message = Message::new(header, &mut source, &mut mirror).unwrap();
        message.pull_all().unwrap();
        let strings = message.strings(&mut bounds).unwrap();
        let (mut ids, mut column, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let mut tags = vec![BTreeMap::new(); header.sets as usize];
        message.key_ids(&mut ids).unwrap();
        for (key, &id) in ids.iter().enumerate() {
            message.key_column(key as u32, &mut column).unwrap();
            for (set, &code) in column.iter().enumerate().filter(|(_, &code)| code != 0) {
                let value = String::from_utf8(strings.get(code - 1).to_vec()).unwrap();
                tags[set].insert(strings.get(id).to_vec(), value);
            }
        }
        message.set_ids(&mut ids).unwrap();
        message.timestamps(&mut times).unwrap();
        Texts {
            header,
            tags,
            points: ids.into_iter().zip(times).collect(),
        }
    }

    fn value(&self, set: u32, key: &[u8]) -> String {
        self.tags[set as usize]
            .get(key)
            .cloned()
            .unwrap_or_default()
    }

    fn has_point(&self, set: u32, size: i64, window: u32) -> bool {
        let wanted = self.header.min_ts / size + i64::from(window);
        self.points
            .iter()
            .any(|&(s, ts)| s == set && ts / size == wanted)
    }
}
