//! Times the built-in modules on messages like those of workloads A and B, and prints the reports.
//! `cargo run --release -p ratchet-sandbox --example workloads [-- COMPONENT.wasm …]`
//!
//! The messages have the shape of `bench/workloads`: 200 points on 50 of 10,000 series with 8 to 12
//! tags. The components given are timed besides.

use bytes::Bytes;
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::{Aggregate, Filter, Rule};
use ratchet_sandbox::bench::{self, Builtin, Options};
use ratchet_sandbox::Limits;
use std::time::Duration;

/// Keys with the number of their values.
const KEYS: [(&str, u64); 12] = [
    ("az", 12),
    ("cluster", 8),
    ("endpoint", 50),
    ("env", 3),
    ("host", 100),
    ("pod", 1000),
    ("region", 4),
    ("service", 100),
    ("team", 20),
    ("version", 10),
    ("shard", 16),
    ("status", 5),
];
const METRIC: &str = "cpu.usage";
const MESSAGES: usize = 64;

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963);
        ((self.0 >> 33) * bound) >> 31
    }
}

fn series(dice: &mut Dice) -> Vec<(&'static str, String)> {
    let mut tags = Vec::new();
    for (at, (key, values)) in KEYS.into_iter().enumerate() {
        let present = match at {
            2 | 9 => dice.below(10) < 9,
            10 | 11 => dice.below(2) == 0,
            _ => true,
        };
        if present {
            tags.push((key, format!("{key}-{}", dice.below(values))));
        }
    }
    tags
}

fn messages() -> Result<Vec<Bytes>, ratchet_codec::payload::write::BuildError> {
    let mut dice = Dice(7);
    let all: Vec<_> = (0..10_000).map(|_| series(&mut dice)).collect();
    let mut messages = Vec::new();
    for at in 0..MESSAGES as i64 {
        let sets: Vec<usize> = (0..50).map(|_| dice.below(10_000) as usize).collect();
        let mut builder = MessageBuilder::new();
        for n in 0..200 {
            let set = if n < 50 { n } else { dice.below(50) as usize };
            let later = if n % 2 == 0 {
                5 * n as u64
            } else {
                dice.below(1000)
            };
            let ts = 1_600_000_000_000 + 1000 * at + later as i64;
            let value = (dice.below(1 << 31) << 19) as f64 / 1e9 + 0.1;
            builder.point(METRIC, &all[sets[set]], ts, value)?;
        }
        messages.push(Bytes::from(builder.finish()?));
    }
    Ok(messages)
}

fn rule(id: String, aggregate: Aggregate, keys: &[&str], filter: Filter) -> Rule {
    Rule {
        id: id.into_bytes().into(),
        metric: METRIC.as_bytes().into(),
        aggregate,
        window_ms: 30_000,
        group_by: keys.iter().map(|key| key.as_bytes().into()).collect(),
        filter,
    }
}

/// One service each.
fn rules_a() -> Vec<Rule> {
    let one = |n: u32| {
        let value = format!("service-{n}").into_bytes();
        let filter = Filter::Eq(b"service"[..].into(), value.into());
        rule(format!("service-{n:03}"), Aggregate::Sum, &[], filter)
    };
    (0..100).map(one).collect()
}

/// All of ten keys, all pairs of them, and 45 triples.
fn rules_b() -> Vec<Rule> {
    let keys: Vec<&str> = KEYS[..10].iter().map(|(key, _)| *key).collect();
    let mut groups: Vec<Vec<&str>> = keys.iter().map(|key| vec![*key]).collect();
    let mut triples = Vec::new();
    for (i, a) in keys.iter().enumerate() {
        for (j, b) in keys.iter().enumerate().skip(i + 1) {
            groups.push(vec![a, b]);
            triples.extend(keys.iter().skip(j + 1).map(|c| vec![*a, *b, *c]));
        }
    }
    groups.extend(
        triples
            .into_iter()
            .enumerate()
            .filter(|(n, _)| n % 8 < 3)
            .map(|(_, t)| t),
    );
    let aggregates = [Aggregate::Sum, Aggregate::Max, Aggregate::Avg];
    let rules = groups
        .iter()
        .take(100)
        .enumerate()
        .map(|(n, keys)| rule(format!("by-{n:03}"), aggregates[n % 3], keys, Filter::All));
    rules.collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut modules = Vec::new();
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        modules.push((path, bytes));
    }
    for (name, rules) in [("A", rules_a()), ("B", rules_b())] {
        let report = bench::run(&Options {
            rules: ratchet_rules::encode(&rules).into(),
            messages: messages()?,
            modules: modules.clone(),
            builtins: vec![Builtin::Baseline, Builtin::PerPoint],
            reference: "per-point".to_owned(),
            rounds: 15,
            time: Some(Duration::from_secs(20)),
            min_messages: 1,
            limits: Limits::default(),
            compilations: None,
        })?;
        println!("{name} {}", serde_json::to_string_pretty(&report)?);
    }
    Ok(())
}
