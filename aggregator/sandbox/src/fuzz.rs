//! Messages that nobody sent: seeded, so that a failure can be repeated.
//!
//! Every message is valid, but laid out as no encoder of ours would: strings, tag-sets and points
//! in any order, tag-sets twice or unused, key columns dense or sparse. A module that reads more
//! into the format than it promises shows it here.

pub mod draft;
mod encode;
mod literals;

use self::draft::{Draft, Series};
use crate::random::Random;
use bytes::Bytes;
use ratchet_codec::payload::{MAX_SPAN, MAX_TIMESTAMP};
use ratchet_rules::Rule;

/// Values at the edges of arithmetic.
const EDGES: [u64; 16] = [
    0x0000_0000_0000_0000, // +0
    0x8000_0000_0000_0000, // -0
    0x7ff0_0000_0000_0000, // infinity
    0xfff0_0000_0000_0000, // -infinity
    0x7ff8_0000_0000_0000, // the canonical NaN
    0xfff8_0000_0000_0000, // a negative NaN
    0x7ff0_0000_0000_0001, // a signalling NaN
    0x7ff8_dead_beef_1234, // a NaN with a payload
    0x7fef_ffff_ffff_ffff, // the greatest finite number
    0xffef_ffff_ffff_ffff, // the least
    0x0000_0000_0000_0001, // the smallest subnormal
    0x800f_ffff_ffff_ffff, // a negative subnormal
    0x0010_0000_0000_0000, // the smallest normal
    0x3fb9_9999_9999_999a, // 0.1
    0x4340_0000_0000_0000, // 2^53
    0xc340_0000_0000_0001, // beyond which odd numbers vanish
];

/// How a message differs from the one it is made from.
const FLAVOURS: [fn(&mut Draft, &Pool, &mut Random); 9] = [
    |draft, _, random| random.shuffle(&mut draft.points),
    |draft, _, random| strange_values(draft, random),
    |draft, pool, random| unseen_series(draft, pool, random),
    |draft, _, random| several_windows(draft, random),
    |draft, _, random| many_sets(draft, random),
    |draft, _, random| one_set(draft, random),
    |draft, _, random| absent_tags(draft, random),
    |draft, _, random| draft.points.truncate(1 + random.below(3)),
    |draft, pool, random| {
        unseen_series(draft, pool, random);
        absent_tags(draft, random);
        strange_values(draft, random);
        several_windows(draft, random);
        random.shuffle(&mut draft.points);
    },
];

/// `count` messages of the same shape as `sample`, with unseen series and values, in all flavours.
/// None when the sample is empty; what does not fit a message is left out.
pub fn like(sample: &[Bytes], rules: &[Rule], seed: u64, count: usize) -> Vec<Bytes> {
    let mut random = Random::new(seed);
    let pool = Pool::new(rules);
    let mut messages = Vec::with_capacity(count);
    for at in 0..count {
        let Some(Ok(mut draft)) = random.pick(sample).map(|payload| draft::decode(payload)) else {
            continue;
        };
        FLAVOURS[at % FLAVOURS.len()](&mut draft, &pool, &mut random);
        messages.extend(encode::message(&draft, &mut random));
    }
    messages
}

/// Messages made from the literals of each rule: points that hit, that nearly miss, and that lack a
/// tag, in windows on both sides of a boundary.
pub fn literals(rules: &[Rule], seed: u64) -> Vec<Bytes> {
    let mut random = Random::new(seed);
    let drafts = literals::drafts(rules, &mut random);
    drafts
        .iter()
        .filter_map(|draft| encode::message(draft, &mut random))
        .collect()
}

/// Texts that rules know.
struct Pool {
    metrics: Vec<Vec<u8>>,
    tags: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Pool {
    fn new(rules: &[Rule]) -> Self {
        let metrics = rules.iter().map(|rule| rule.metric.to_vec()).collect();
        let mut tags = Vec::new();
        for rule in rules {
            literals::tags(&rule.filter, &mut tags);
        }
        Pool { metrics, tags }
    }
}

fn strange_values(draft: &mut Draft, random: &mut Random) {
    let one_in = 1 + random.below(8);
    for point in &mut draft.points {
        if random.chance(one_in) {
            let edge = EDGES[random.below(EDGES.len())];
            point.value = f64::from_bits(if random.chance(4) {
                random.next()
            } else {
                edge
            });
        }
    }
}

/// Other values for some tags, other metrics for some series: unknown ones and ones of rules.
fn unseen_series(draft: &mut Draft, pool: &Pool, random: &mut Random) {
    for series in &mut draft.series {
        if random.chance(6) {
            series.metric = match random.pick(&pool.metrics) {
                Some(metric) => metric.clone(),
                None => b"unseen.metric".to_vec(),
            };
        }
        if let Some((key, value)) = random.pick(&pool.tags) {
            series.set(key, value);
        }
        for (_, value) in &mut series.tags {
            match random.below(6) {
                0 => *value = format!("unseen-{}", random.below(1 << 20)).into_bytes(),
                1 => value.push(b'x'),
                2 if value.len() > 1 && value.is_ascii() => drop(value.pop()),
                _ => {}
            }
        }
    }
}

/// Spreads points over up to an hour, around a boundary that all windows share, in any order.
fn several_windows(draft: &mut Draft, random: &mut Random) {
    let spans = [2_000, 60_000, 300_000, MAX_SPAN];
    let span = spans[random.below(spans.len())];
    let hour = draft
        .points
        .first()
        .map_or(0, |point| point.ts.div_euclid(MAX_SPAN) * MAX_SPAN);
    let start = (hour - span / 2).clamp(0, MAX_TIMESTAMP - span);
    for point in &mut draft.points {
        point.ts = start + random.below(span as usize + 1) as i64;
    }
}

/// Up to ten times the points, each of its own series: more tag-sets than any common message has.
fn many_sets(draft: &mut Draft, random: &mut Random) {
    let originals = draft.points.clone();
    let wanted = (originals.len() * (2 + random.below(8))).min(2_000);
    let series = std::mem::take(&mut draft.series);
    draft.points.clear();
    for at in 0..wanted {
        let mut point = originals[at % originals.len()];
        let mut own: Series = series[point.series].clone();
        own.set(b"fuzz.id", format!("n{at}").as_bytes());
        point.series = draft.series.len();
        draft.series.push(own);
        draft.points.push(point);
    }
}

fn one_set(draft: &mut Draft, random: &mut Random) {
    let only = random.below(draft.series.len());
    draft
        .points
        .iter_mut()
        .for_each(|point| point.series = only);
}

fn absent_tags(draft: &mut Draft, random: &mut Random) {
    let one_in = 1 + random.below(5);
    for series in &mut draft.series {
        series.tags.retain(|_| !random.chance(one_in));
    }
}
