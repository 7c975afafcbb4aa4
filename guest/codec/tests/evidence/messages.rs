//! Random messages that are valid: some by the naive writer, some by the codec's own.

use crate::naive::writer::{Key, Parts, Run};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use ratchet_codec::payload::write::MessageBuilder;
use std::collections::BTreeMap;

const MAX_TIMESTAMP: i64 = 253_402_300_799_999;

/// Messages by the naive writer: of any shape, with numbers longer than they need be.
pub fn parts() -> impl Strategy<Value = Parts> {
    let base = prop_oneof![4 => 0..=MAX_TIMESTAMP, 1 => Just(0), 1 => Just(MAX_TIMESTAMP)];
    let key = (
        any::<Index>(),
        any::<bool>(),
        vec(option::of(any::<Index>()), 40),
    );
    let span = prop_oneof![Just(0i64), Just(1_000), Just(3_600_000)];
    (
        texts(),
        vec(key, 0..9),
        vec(any::<Index>(), 1..40),
        vec((any::<Index>(), 0..=i64::MAX, any::<u64>()), 1..90),
        option::of(vec(any::<u32>(), 90)),
        (base, span),
        vec(excess(), 6),
    )
        .prop_map(|(texts, keys, metrics, points, counts, times, excess)| {
            assemble(texts, &keys, &metrics, &points, counts, times, &excess)
        })
}

type Excess = (Vec<u8>, u8);

fn excess() -> impl Strategy<Value = Excess> {
    let lengths = prop_oneof![3 => Just(Vec::new()), 1 => vec(0u8..4, 0..40)];
    (lengths, any::<u8>())
}

/// Different texts in any order.
fn texts() -> impl Strategy<Value = Vec<String>> {
    let text = prop_oneof![4 => "[a-c]{1,3}", 2 => "\\PC{1,6}", 1 => "x{1,300}"];
    btree_set(text, 1..30)
        .prop_map(Vec::from_iter)
        .prop_shuffle()
}

type RandomKey = (Index, bool, Vec<Option<Index>>);

fn assemble(
    texts: Vec<String>,
    keys: &[RandomKey],
    metrics: &[Index],
    points: &[(Index, i64, u64)],
    counts: Option<Vec<u32>>,
    (base, span): (i64, i64),
    excess: &[Excess],
) -> Parts {
    let some = |index: &Index| index.index(texts.len()) as u32;
    let keys: BTreeMap<&String, (u32, &RandomKey)> = keys
        .iter()
        .map(|key| (&texts[some(&key.0) as usize], (some(&key.0), key)))
        .collect();
    let last = base.saturating_add(span).min(MAX_TIMESTAMP);
    let times: Vec<i64> = points
        .iter()
        .map(|point| base + point.1 % (last - base + 1))
        .collect();
    let (min_ts, max_ts) = extremes(&times);
    let set = |point: &(Index, i64, u64)| point.0.index(metrics.len()) as u32;
    let columns = keys
        .values()
        .map(|(_, key)| column(key, metrics.len(), texts.len()));
    let mut parts = Parts {
        counts: [texts.len(), keys.len(), metrics.len(), points.len()].map(|n| n as u32),
        min_ts,
        max_ts,
        string_lengths: texts
            .iter()
            .map(|text| text.len() as u32)
            .collect::<Vec<_>>()
            .into(),
        text: texts.concat().into_bytes(),
        key_ids: keys.values().map(|(id, _)| *id).collect::<Vec<_>>().into(),
        metric_ids: metrics.iter().map(some).collect::<Vec<_>>().into(),
        set_ids: points.iter().map(set).collect::<Vec<_>>().into(),
        timestamps: time_codes(min_ts, &times).into(),
        values: points.iter().map(|point| point.2).collect(),
        point_counts: counts.map(|counts| counts[..points.len()].to_vec().into()),
        keys: columns.collect(),
    };
    for (run, (lengths, unused)) in parts.runs().into_iter().zip(excess.iter().cycle()) {
        (run.excess, run.unused) = (lengths.clone(), *unused);
    }
    parts
}

fn extremes(times: &[i64]) -> (i64, i64) {
    let fold = |choose: fn(i64, i64) -> i64| times.iter().copied().reduce(choose);
    (fold(i64::min).unwrap(), fold(i64::max).unwrap())
}

fn time_codes(base: i64, times: &[i64]) -> Vec<u32> {
    let before = std::iter::once(&base).chain(times);
    let code = |(before, ts): (&i64, &i64)| match ts - before {
        later @ 0.. => 2 * later,
        earlier => -2 * earlier - 1,
    };
    before.zip(times).map(|pair| code(pair) as u32).collect()
}

fn column((_, is_sparse, values): &RandomKey, sets: usize, texts: usize) -> Key {
    let code = |value: &Option<Index>| value.map_or(0, |value| value.index(texts) as u32 + 1);
    let codes: Vec<u32> = values[..sets].iter().map(code).collect();
    if !is_sparse {
        return Key::Dense(codes.into());
    }
    let mut pairs = Vec::new();
    let mut last = 0;
    for (set, &code) in codes.iter().enumerate().filter(|(_, &code)| code != 0) {
        pairs.extend([set as u32 - last, code]);
        last = set as u32;
    }
    Key::Sparse(pairs.len() as u32 / 2, Run::from(pairs))
}

/// A point as a producer gives it: metric, tags by key, timestamp, bits of the value.
pub type Point = (String, BTreeMap<String, String>, i64, u64);

/// Points that one message can hold, and a count for each, or none for all.
pub fn points() -> impl Strategy<Value = (Vec<Point>, Option<u32>)> {
    let tags = || proptest::collection::btree_map("key-[a-h]", "[a-z]{0,3}|\\PC{1,4}", 0..9);
    let rare = (tags(), "rare-[a-z]", "[a-z]{1,3}").prop_map(|(mut tags, key, value)| {
        tags.insert(key, value);
        tags
    });
    let tags = prop_oneof![5 => tags(), 1 => rare];
    let point = ("[a-c]{1,2}", tags, 0..=3_600_000i64, any::<u64>());
    let base = 0..=MAX_TIMESTAMP - 3_600_000;
    (vec(point, 1..120), base, option::of(any::<u32>())).prop_map(|(mut points, base, count)| {
        points.iter_mut().for_each(|point| point.2 += base);
        (points, count)
    })
}

/// These points by the codec's writer.
pub fn build(points: &[Point], count: Option<u32>) -> Vec<u8> {
    let mut builder = MessageBuilder::new();
    for (metric, tags, ts, bits) in points {
        let tags: Vec<(&String, &String)> = tags.iter().collect();
        let value = f64::from_bits(*bits);
        match count {
            None => builder.point(metric, &tags, *ts, value),
            Some(count) => builder.point_with_count(metric, &tags, *ts, value, count),
        }
        .unwrap();
    }
    builder.finish().unwrap()
}
