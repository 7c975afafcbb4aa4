//! Made messages: valid, repeatable, and as strange as they should be.

use crate::traffic::{random_message, random_rules};
use bytes::Bytes;
use ratchet_api::{run_native, Message};
use ratchet_baseline::Baseline;
use ratchet_codec::payload::{validate, Header, MAX_SPAN};
use ratchet_rules::{Filter, Rule};
use ratchet_sandbox::fuzz;
use std::collections::BTreeSet;

fn sample() -> Vec<Bytes> {
    (0..8).map(random_message).collect()
}

fn values(payload: &Bytes) -> Vec<f64> {
    let header = Header::read(payload).expect("a header");
    let (mut source, mut mirror, mut values) = (&payload[..], Vec::new(), Vec::new());
    let mut message = Message::new(header, &mut source, &mut mirror).expect("a message");
    message.pull_all().expect("all of it");
    message.values(&mut values).expect("values");
    values
}

#[test]
fn the_seed_decides() {
    let (sample, rules) = (sample(), random_rules(1, 20));
    for make in [
        (|s, r, seed| fuzz::like(s, r, seed, 30)) as fn(&[Bytes], &[Rule], u64) -> Vec<Bytes>,
        |_, rules, seed| fuzz::literals(rules, seed),
    ] {
        let made = make(&sample, &rules, 7);
        assert!(!made.is_empty());
        assert_eq!(made, make(&sample, &rules, 7));
        assert_ne!(made, make(&sample, &rules, 8));
    }
}

#[test]
fn every_message_is_valid_and_none_is_lost() {
    let rules = random_rules(2, 50);
    let like = fuzz::like(&sample(), &rules, 3, 90);
    assert_eq!(like.len(), 90);
    for payload in like.iter().chain(&fuzz::literals(&rules, 3)) {
        assert_eq!(
            validate(payload).map_err(|error| error.to_string()).err(),
            None
        );
    }
}

#[test]
fn all_the_strangeness_occurs() {
    let made = fuzz::like(&sample(), &random_rules(4, 20), 5, 180);
    let headers: Vec<Header> = made
        .iter()
        .map(|p| Header::read(p).expect("a header"))
        .collect();
    let values: Vec<f64> = made.iter().flat_map(values).collect();
    let any = |test: fn(f64) -> bool| values.iter().any(|&value| test(value));
    assert!(any(f64::is_nan) && any(f64::is_infinite) && any(f64::is_subnormal));
    assert!(any(|value| value == 0.0 && value.is_sign_negative()) && any(|v| v == f64::MAX));
    let spans = headers.iter().map(|h| h.max_ts - h.min_ts);
    assert!(spans.clone().max() > Some(MAX_SPAN / 2) && spans.max() <= Some(MAX_SPAN));
    assert!(headers.iter().any(|h| h.sets > 500), "many tag-sets");
    assert!(headers.iter().any(|h| h.points == 1), "one point");
    assert!(
        headers.iter().any(|h| h.sets > h.points),
        "tag-sets without points"
    );
    let sparse = |payload: &Bytes, key: usize| payload[48 + 8 * (8 + key) + 7] & 0x80 != 0;
    let keys = made.iter().zip(&headers).filter(|(_, h)| h.keys > 0);
    let forms: BTreeSet<bool> = keys.map(|(payload, _)| sparse(payload, 0)).collect();
    assert_eq!(forms.len(), 2, "dense and sparse columns");
}

#[test]
fn literals_hit_and_miss_every_rule() {
    let rules: Vec<Rule> = random_rules(6, 200)
        .into_iter()
        .filter(|rule| satisfiable(&rule.filter))
        .collect();
    assert!(rules.len() > 150);
    let blob = ratchet_rules::encode(&rules);
    let mut hit = BTreeSet::new();
    let mut points = 0;
    for payload in fuzz::literals(&rules, 9) {
        points += validate(&payload).expect("a valid message").points;
        let records = run_native::<Baseline>(&blob, &payload).expect("records");
        hit.extend(records.iter().map(|record| record.rule));
    }
    let missed: Vec<&Rule> = (0..rules.len())
        .filter(|at| !hit.contains(&(*at as u32)))
        .map(|at| &rules[at])
        .collect();
    assert!(missed.is_empty(), "{missed:?}");
    assert!(
        points as usize > 5 * rules.len(),
        "{points} points: hits and misses of each"
    );
}

/// Whether some tags out of all that these tests' filters know satisfy it, tried by brute force.
fn satisfiable(filter: &Filter) -> bool {
    let keys = ["env", "host", "region", "service", "zone"];
    let values = [
        None,
        Some("v0"),
        Some("v1"),
        Some("v2"),
        Some("v3"),
        Some("v4"),
        Some("v5"),
        Some("w"),
    ];
    (0..values.len().pow(5)).any(|code| {
        let tag = |key: &[u8]| {
            let at = keys.iter().position(|known| known.as_bytes() == key)?;
            values[code / values.len().pow(at as u32) % values.len()].map(str::as_bytes)
        };
        matches(filter, &tag)
    })
}

fn matches<'a>(filter: &Filter, tag: &impl Fn(&[u8]) -> Option<&'a [u8]>) -> bool {
    match filter {
        Filter::All => true,
        Filter::Present(key) => tag(key).is_some(),
        Filter::Eq(key, value) => tag(key) == Some(value),
        Filter::Prefix(key, prefix) => tag(key).is_some_and(|value| value.starts_with(prefix)),
        Filter::In(key, values) => values.iter().any(|value| tag(key) == Some(value)),
        Filter::Not(inner) => !matches(inner, tag),
        Filter::And(filters) => filters.iter().all(|filter| matches(filter, tag)),
        Filter::Or(filters) => filters.iter().any(|filter| matches(filter, tag)),
    }
}

#[test]
fn an_empty_sample_and_no_rules() {
    assert_eq!(
        fuzz::like(&[], &random_rules(1, 3), 1, 10),
        Vec::<Bytes>::new()
    );
    assert_eq!(fuzz::literals(&[], 1), Vec::<Bytes>::new());
    assert_eq!(
        fuzz::like(&[Bytes::from_static(b"rubbish")], &[], 1, 3),
        Vec::<Bytes>::new()
    );
}
