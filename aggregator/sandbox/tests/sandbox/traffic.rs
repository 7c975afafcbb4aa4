//! Rules and messages for tests, drawn from seeds.

use bytes::Bytes;
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::{Aggregate, Filter, Rule};
use std::sync::Arc;

/// Boundary of windows of every length, up to an hour.
pub const HOUR: i64 = 1_599_998_400_000;

/// A seeded generator (xorshift64*), other than the library's own.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15))
    }

    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.roll() >> 16) % bound
    }
}

pub fn rule(id: &str, aggregate: Aggregate, group_by: &[&str], filter: Filter) -> Rule {
    Rule {
        id: id.as_bytes().into(),
        metric: b"cpu"[..].into(),
        aggregate,
        window_ms: 30_000,
        group_by: group_by.iter().map(|key| key.as_bytes().into()).collect(),
        filter,
    }
}

pub fn eq(key: &str, value: &str) -> Filter {
    Filter::Eq(key.as_bytes().into(), value.as_bytes().into())
}

/// The blob of rules that are sorted by id.
pub fn blob(rules: &[Rule]) -> Arc<[u8]> {
    let blob = ratchet_rules::encode(rules);
    assert_eq!(ratchet_rules::parse(&blob).as_deref(), Ok(rules));
    blob.into()
}

/// Two rules that most hand-made guests are run with.
pub fn two_rules() -> Vec<Rule> {
    vec![
        rule("a", Aggregate::Sum, &["host"], Filter::All),
        rule("b", Aggregate::Max, &[], eq("env", "prod")),
    ]
}

/// Points of "cpu" on two hosts, the given milliseconds after a window's begin.
pub fn message(offsets: &[i64]) -> Bytes {
    let mut builder = MessageBuilder::new();
    for (at, offset) in offsets.iter().enumerate() {
        let host = if at % 2 == 0 { "h0" } else { "h1" };
        let tags = [("host", host), ("env", "prod")];
        builder
            .point("cpu", &tags, HOUR + offset, at as f64 + 0.5)
            .expect("a valid point");
    }
    Bytes::from(builder.finish().expect("a message"))
}

const KEYS: [&str; 5] = ["env", "host", "region", "service", "zone"];

fn leaf(dice: &mut Dice) -> Filter {
    let key = KEYS[dice.below(5) as usize].as_bytes();
    let value = |dice: &mut Dice| {
        format!("v{}", dice.below(6))
            .into_bytes()
            .into_boxed_slice()
    };
    match dice.below(5) {
        0 => Filter::Present(key.into()),
        1 | 2 => Filter::Eq(key.into(), value(dice)),
        3 => Filter::Prefix(key.into(), b"v"[..].into()),
        _ => {
            let mut values = vec![value(dice), value(dice), value(dice)];
            values.sort_unstable();
            values.dedup();
            Filter::In(key.into(), values)
        }
    }
}

fn filter(dice: &mut Dice, depth: u32) -> Filter {
    let inner = |dice: &mut Dice| filter(dice, depth - 1);
    match dice.below(if depth == 0 { 4 } else { 8 }) {
        0 => Filter::All,
        1..=3 => leaf(dice),
        4 | 5 => Filter::Not(Box::new(inner(dice))),
        6 => Filter::And(flat(vec![inner(dice), inner(dice)], true)),
        _ => Filter::Or(flat(vec![inner(dice), inner(dice)], false)),
    }
}

/// Nested conjunctions and disjunctions must be flat in a blob.
fn flat(filters: Vec<Filter>, and: bool) -> Vec<Filter> {
    let parts = filters.into_iter().flat_map(|filter| match filter {
        Filter::And(inner) if and => inner,
        Filter::Or(inner) if !and => inner,
        other => vec![other],
    });
    parts.collect()
}

/// `count` rules of every aggregate, on three metrics.
pub fn random_rules(seed: u64, count: usize) -> Vec<Rule> {
    let mut dice = Dice::new(seed);
    let windows = [1_000, 10_000, 30_000, 3_600_000];
    let make = |at: usize| {
        let aggregate = Aggregate::ALL[dice.below(5) as usize];
        let first = dice.below(5) as usize;
        let keys: Vec<&str> = (0..dice.below(4) as usize)
            .map(|n| KEYS[(first + n) % 5])
            .collect();
        let mut rule = rule(&format!("r{at:05}"), aggregate, &keys, filter(&mut dice, 3));
        rule.metric = format!("m{}", dice.below(3)).into_bytes().into();
        rule.window_ms = windows[dice.below(4) as usize];
        rule
    };
    (0..count).map(make).collect()
}

/// A message of up to 300 points on some of those metrics and keys.
pub fn random_message(seed: u64) -> Bytes {
    let mut dice = Dice::new(seed ^ 0xabcd);
    let mut builder = MessageBuilder::new();
    let span = [1_000, 40_000, 3_600_000][dice.below(3) as usize];
    for _ in 0..1 + dice.below(300) {
        let mut tags = Vec::new();
        for key in KEYS {
            if dice.below(3) > 0 {
                tags.push((key, format!("v{}", dice.below(5))));
            }
        }
        let metric = format!("m{}", dice.below(4));
        let ts = HOUR - span / 2 + dice.below(span as u64) as i64;
        let value = (dice.roll() >> 14) as f64 / 1e9 - 100_000.0;
        builder
            .point(metric, &tags, ts, value)
            .expect("a valid point");
    }
    Bytes::from(builder.finish().expect("a message"))
}
