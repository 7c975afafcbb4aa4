//! The plain reference: every rule is evaluated for every point, by comparing strings.
//!
//! This is how a generic aggregator is written when nobody thinks of its cost, and what the
//! article's baseline does. It is not made slow on purpose: decoding is shared, lengths are
//! compared before bytes, and buffers are reused. It shares no code with the baseline beyond the
//! decoders, so the two check each other.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{boxed::Box, vec::Vec};
use hashbrown::HashMap;
use ratchet_api::payload::Strings;
use ratchet_api::{Aggregate, DecodeError, Message, Records, Refusal};
use ratchet_rules::{Aggregate as Kind, Filter, Rule};

ratchet_api::guest!(PerPoint);

/// The plain evaluator for one configuration.
pub struct PerPoint {
    rules: Vec<Rule>,
}

/// A tag-set with its texts.
struct Series<'a> {
    metric: &'a [u8],
    tags: Vec<(&'a [u8], &'a [u8])>,
}

/// What a rule has gathered for one group and window.
struct Cell {
    set: u32,
    window: u32,
    count: u32,
    value: f64,
}

/// The cells of a rule, and where each is by its window and group as bytes.
#[derive(Default)]
struct Cells {
    all: Vec<Cell>,
    places: HashMap<Box<[u8]>, usize>,
}

/// The points of a message.
struct Points {
    sets: Vec<u32>,
    timestamps: Vec<i64>,
    values: Vec<f64>,
}

impl Aggregate for PerPoint {
    fn new(rules: &[u8]) -> Result<Self, Refusal> {
        match ratchet_rules::parse(rules) {
            Ok(rules) => Ok(PerPoint { rules }),
            Err(error) => Err(Refusal(error.problem.reason())),
        }
    }

    fn process(&mut self, message: &mut Message<'_>, out: &mut Records) -> Result<(), DecodeError> {
        message.pull_all()?;
        let mut bounds = Vec::new();
        let strings = message.strings(&mut bounds)?;
        let series = series(message, &strings)?;
        let mut points = Points {
            sets: Vec::new(),
            timestamps: Vec::new(),
            values: Vec::new(),
        };
        message.set_ids(&mut points.sets)?;
        message.timestamps(&mut points.timestamps)?;
        message.values(&mut points.values)?;
        let mut cells = Cells::default();
        let mut key = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            cells.all.clear();
            cells.places.clear();
            let first = message.header().min_ts / i64::from(rule.window_ms);
            for point in 0..points.sets.len() {
                let set = points.sets[point];
                let series = &series[set as usize];
                if !equal(series.metric, &rule.metric) || !takes(&rule.filter, series) {
                    continue;
                }
                let ts = points.timestamps[point];
                let window = (ts / i64::from(rule.window_ms) - first) as u32;
                key_of(rule, series, window, &mut key);
                cells.add(rule.aggregate, &key, set, window, points.values[point]);
            }
            for cell in &cells.all {
                out.push(index as u32, cell.set, cell.window, cell.count, cell.value);
            }
        }
        Ok(())
    }
}

/// The tag-sets of a message as rows of texts.
fn series<'a>(
    message: &Message<'_>,
    strings: &Strings<'a>,
) -> Result<Vec<Series<'a>>, DecodeError> {
    let mut ids = Vec::new();
    message.metric_ids(&mut ids)?;
    let mut series: Vec<Series<'a>> = Vec::with_capacity(ids.len());
    for &id in &ids {
        series.push(Series {
            metric: strings.get(id),
            tags: Vec::new(),
        });
    }
    message.key_ids(&mut ids)?;
    let mut column = Vec::new();
    for (key, &id) in ids.iter().enumerate() {
        message.key_column(key as u32, &mut column)?;
        for (row, &value) in series.iter_mut().zip(&column) {
            if value != 0 {
                row.tags.push((strings.get(id), strings.get(value - 1)));
            }
        }
    }
    Ok(series)
}

fn value<'a>(series: &Series<'a>, key: &[u8]) -> Option<&'a [u8]> {
    series
        .tags
        .iter()
        .find(|(name, _)| equal(name, key))
        .map(|&(_, value)| value)
}

fn takes(filter: &Filter, series: &Series<'_>) -> bool {
    match filter {
        Filter::All => true,
        Filter::Present(key) => value(series, key).is_some(),
        Filter::Eq(key, text) => value(series, key).is_some_and(|v| equal(v, text)),
        Filter::Prefix(key, prefix) => value(series, key)
            .is_some_and(|v| v.len() >= prefix.len() && equal(&v[..prefix.len()], prefix)),
        Filter::In(key, texts) => {
            value(series, key).is_some_and(|v| texts.iter().any(|text| equal(v, text)))
        }
        Filter::Not(inner) => !takes(inner, series),
        Filter::And(parts) => parts.iter().all(|part| takes(part, series)),
        Filter::Or(parts) => parts.iter().any(|part| takes(part, series)),
    }
}

/// Writes the window and the values of a rule's group-by keys, each after its length; an absent
/// one is empty.
fn key_of(rule: &Rule, series: &Series<'_>, window: u32, out: &mut Vec<u8>) {
    out.clear();
    out.extend(window.to_le_bytes());
    for key in &rule.group_by {
        let value = value(series, key).unwrap_or(&[]);
        out.extend((value.len() as u16).to_le_bytes());
        out.extend(value);
    }
}

impl Cells {
    fn add(&mut self, kind: Kind, key: &[u8], set: u32, window: u32, value: f64) {
        let Some(&place) = self.places.get(key) else {
            let value = if kind == Kind::Count { 1.0 } else { value };
            self.places.insert(key.into(), self.all.len());
            self.all.push(Cell {
                set,
                window,
                count: 1,
                value,
            });
            return;
        };
        let cell = &mut self.all[place];
        cell.count += 1;
        cell.value = match kind {
            Kind::Sum | Kind::Avg => cell.value + value,
            Kind::Max => extreme(cell.value, value, true),
            Kind::Min => extreme(cell.value, value, false),
            Kind::Count => f64::from(cell.count),
        };
    }
}

/// The greater or smaller of two values in the total order, where NaN only counts alone.
fn extreme(a: f64, b: f64, greater: bool) -> f64 {
    if a.is_nan() {
        return b;
    }
    if b.is_nan() || a.total_cmp(&b).is_ge() == greater {
        a
    } else {
        b
    }
}

/// Whether two texts are equal, eight bytes a step: a guest's own `memcmp` takes one a step.
fn equal(a: &[u8], b: &[u8]) -> bool {
    let word = |c: &[u8]| u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]);
    if a.len() != b.len() {
        return false;
    }
    let (mut a, mut b) = (a.chunks_exact(8), b.chunks_exact(8));
    let whole = a.by_ref().zip(b.by_ref()).all(|(a, b)| word(a) == word(b));
    whole && a.remainder().iter().zip(b.remainder()).all(|(a, b)| a == b)
}
