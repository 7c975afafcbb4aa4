//! Points made from a rule's own literals.

use super::draft::{Draft, Point, Series};
use crate::random::Random;
use ratchet_rules::{Filter, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// A tag for each key that matters, in order of keys.
type Tags = BTreeMap<Vec<u8>, Vec<u8>>;

/// Points of a draft, about: as many as a common message has.
const POINTS: usize = 200;
/// Keys of a draft; a single rule has at most 72.
const KEYS: usize = 160;
/// Variants of a hit, at most.
const VARIANTS: usize = 64;
/// How often a filter is tried to be satisfied: every try chooses other branches.
const TRIES: usize = 24;
/// 2020-09-13 12:00 UTC: a boundary of windows of every length.
const BOUNDARY: i64 = 1_599_998_400_000;

/// Drafts that together exercise every rule.
pub fn drafts(rules: &[Rule], random: &mut Random) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let mut draft = Draft::default();
    let mut keys = BTreeSet::new();
    for rule in rules {
        for (metric, tags) in series(rule, random) {
            keys.extend(tags.keys().cloned());
            add(&mut draft, metric, tags, random);
        }
        if draft.points.len() >= POINTS || keys.len() >= KEYS {
            drafts.push(std::mem::take(&mut draft));
            keys.clear();
        }
    }
    drafts.push(draft);
    drafts
}

/// The tags that a filter names; of a prefix, one that it takes.
pub fn tags(filter: &Filter, out: &mut Vec<(Vec<u8>, Vec<u8>)>) {
    match filter {
        Filter::All => {}
        Filter::Present(key) => out.push((key.to_vec(), b"any".to_vec())),
        Filter::Eq(key, value) => out.push((key.to_vec(), value.to_vec())),
        Filter::Prefix(key, prefix) => out.push((key.to_vec(), [prefix, &b"-rest"[..]].concat())),
        Filter::In(key, values) => {
            out.extend(values.iter().map(|value| (key.to_vec(), value.to_vec())));
        }
        Filter::Not(inner) => tags(inner, out),
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().for_each(|filter| tags(filter, out));
        }
    }
}

/// One or two points of a series, on any side of the boundary.
fn add(draft: &mut Draft, metric: Vec<u8>, tags: Tags, random: &mut Random) {
    let series = draft.series.len();
    draft.series.push(Series {
        metric,
        tags: tags.into_iter().collect(),
    });
    for _ in 0..1 + random.below(2) {
        let ts = BOUNDARY - 1_500 + random.below(3_000) as i64;
        let value = (random.next() >> 14) as f64 / 1e9 - 250_000.0;
        draft.points.push(Point { series, ts, value });
    }
}

/// Hits of a rule and what lies next to them.
fn series(rule: &Rule, random: &mut Random) -> Vec<(Vec<u8>, Tags)> {
    let mut named = Vec::new();
    tags(&rule.filter, &mut named);
    let hit = (0..TRIES).find_map(|_| {
        let mut tags = Tags::new();
        aim(&rule.filter, true, &mut tags, random);
        matches(&rule.filter, &tags).then_some(tags)
    });
    let hit = hit.unwrap_or_default();
    let grouped = |suffix: &str| {
        let mut tags = hit.clone();
        for key in &rule.group_by {
            tags.entry(key.to_vec())
                .or_insert_with(|| format!("group-{suffix}").into_bytes());
        }
        tags
    };
    let metric = rule.metric.to_vec();
    let mut found = vec![
        (metric.clone(), grouped("a")),
        (metric.clone(), grouped("b")),
        (metric.clone(), hit.clone()),
        ([&metric, &b"x"[..]].concat(), grouped("a")),
    ];
    let keys: BTreeSet<&[u8]> = hit.keys().map(|key| &key[..]).collect();
    for key in keys {
        let mut absent = grouped("a");
        absent.remove(key);
        found.push((metric.clone(), absent));
    }
    for (key, value) in named {
        for near in near(&value) {
            let mut tags = grouped("a");
            tags.insert(key.clone(), near);
            found.push((metric.clone(), tags));
        }
    }
    found.truncate(VARIANTS);
    found
}

/// A value itself, and its neighbours.
fn near(value: &[u8]) -> Vec<Vec<u8>> {
    let longer = [value, &b"x"[..]].concat();
    let mut near = vec![value.to_vec(), longer];
    if value.len() > 1 && value.is_ascii() {
        near.push(value[..value.len() - 1].to_vec());
    }
    near
}

/// Sets tags so that the filter gives `wanted`, if a later choice does not undo it.
fn aim(filter: &Filter, wanted: bool, tags: &mut Tags, random: &mut Random) {
    let other = b"other".to_vec();
    match filter {
        Filter::All => {}
        Filter::Not(inner) => aim(inner, !wanted, tags, random),
        Filter::And(filters) | Filter::Or(filters) => {
            let all = matches!(filter, Filter::And(_)) == wanted;
            if all {
                filters
                    .iter()
                    .for_each(|filter| aim(filter, wanted, tags, random));
            } else if let Some(filter) = random.pick(filters) {
                aim(filter, wanted, tags, random);
            }
        }
        Filter::Present(key) if !wanted => drop(tags.remove(&key[..])),
        Filter::Eq(key, _) | Filter::Prefix(key, _) | Filter::In(key, _) if !wanted => {
            if random.chance(2) {
                tags.insert(key.to_vec(), other);
            } else {
                tags.remove(&key[..]);
            }
        }
        leaf => {
            let mut named = Vec::new();
            self::tags(leaf, &mut named);
            tags.extend(random.pick(&named).cloned());
        }
    }
}

fn matches(filter: &Filter, tags: &Tags) -> bool {
    let value = |key: &[u8]| tags.get(key).map(|value| &value[..]);
    match filter {
        Filter::All => true,
        Filter::Present(key) => value(key).is_some(),
        Filter::Eq(key, wanted) => value(key) == Some(wanted),
        Filter::Prefix(key, prefix) => value(key).is_some_and(|value| value.starts_with(prefix)),
        Filter::In(key, values) => {
            value(key).is_some_and(|value| values.iter().any(|wanted| **wanted == *value))
        }
        Filter::Not(inner) => !matches(inner, tags),
        Filter::And(filters) => filters.iter().all(|filter| matches(filter, tags)),
        Filter::Or(filters) => filters.iter().any(|filter| matches(filter, tags)),
    }
}
