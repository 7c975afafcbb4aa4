//! The baseline against the plain evaluator, bit by bit, on random configurations and messages.
//! They share no code but the decoders, so where they agree both are right, or both misread.

mod common;
#[allow(dead_code)] // Not all of the example's constants are of use here.
#[path = "../../candidate/src/spec.rs"]
mod spec;

use common::{configuration, meaning_of, message, Random};
use ratchet_api::{run_native, Native, NativeError, Refusal};
use ratchet_baseline::Baseline;
use ratchet_candidate::Aggregator;
use ratchet_per_point::PerPoint;
use ratchet_rules::{encode, parse};
use spec::RULES_BLOB;

/// Records of an instance that has served other messages, for each message of a seed.
fn check(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let rules = configuration(&mut random);
    let blob = encode(&rules);
    assert_eq!(parse(&blob).as_ref(), Ok(&rules), "seed {seed}");
    let mut baseline = Native::<Baseline>::new(&blob).unwrap();
    let mut partials = 0;
    for n in 0..6 {
        let payload = message(&mut random);
        let expected = run_native::<PerPoint>(&blob, &payload).unwrap();
        let expected = meaning_of(&rules, &payload, &expected);
        let fresh = run_native::<Baseline>(&blob, &payload).unwrap();
        let used = baseline.process(&payload).unwrap();
        let bits = |records: &[ratchet_api::Record]| -> Vec<_> {
            records
                .iter()
                .map(|r| (r.rule, r.set, r.window, r.count, r.value.to_bits()))
                .collect()
        };
        assert_eq!(
            bits(used),
            bits(&fresh),
            "seed {seed}, message {n}: state shows"
        );
        let found = meaning_of(&rules, &payload, used);
        assert_eq!(found, expected, "seed {seed}, message {n}");
        partials += found.len();
    }
    partials
}

#[test]
fn baseline_agrees_with_the_plain_evaluator() {
    let partials: usize = (1..=400).map(check).sum();
    println!("seeds 1 to 400: {partials} partials");
    assert!(partials > 50_000, "{partials} partials");
}

#[test]
fn example_candidate_agrees_with_the_baseline() {
    let rules = parse(&RULES_BLOB).unwrap();
    let mut builder = ratchet_api::payload::write::MessageBuilder::new();
    let mut random = Random::new(9);
    for n in 0..500 {
        let service = ["checkout", "cart"][random.below(2)];
        let tags = [
            ("service", service),
            ("host", ["a", "b", ""][random.below(3)]),
        ];
        let metric = ["cpu.usage", "http.requests", "other"][random.below(3)];
        let value = random.below(1_000) as f64 / 7.0;
        builder
            .point(
                metric,
                &tags[random.below(2)..],
                1_700_000_000_000 + 97 * n,
                value,
            )
            .unwrap();
    }
    let payload = builder.finish().unwrap();
    let found = run_native::<Aggregator>(&RULES_BLOB, &payload).unwrap();
    let expected = run_native::<Baseline>(&RULES_BLOB, &payload).unwrap();
    assert!(expected.len() > 10);
    assert_eq!(
        meaning_of(&rules, &payload, &found),
        meaning_of(&rules, &payload, &expected),
    );
    let other = encode(&rules[..1]);
    assert!(matches!(Native::<Aggregator>::new(&other), Err(Refusal(_))));
}

#[test]
fn malformed_input_is_refused() {
    let refused = run_native::<Baseline>(b"RTRB\x01", &[]);
    assert_eq!(refused, Err(NativeError::Refused(Refusal("truncated"))));
    let blob = encode(&configuration(&mut Random::new(1)));
    assert!(matches!(
        run_native::<Baseline>(&blob, &[1, 2]),
        Err(NativeError::Header(_))
    ));
    let good = message(&mut Random::new(2));
    let mut cut = good.clone();
    cut[52] = 1; // the first column's length
    assert!(matches!(
        run_native::<Baseline>(&blob, &cut),
        Err(NativeError::Decode(_))
    ));
}

/// What the contract says of values, on one rule and one group.
fn check_values(aggregate: ratchet_rules::Aggregate, values: &[f64], expected: f64) {
    let mut rules = parse(&RULES_BLOB).unwrap();
    rules[0].aggregate = aggregate;
    let mut builder = ratchet_api::payload::write::MessageBuilder::new();
    for &value in values {
        builder
            .point("cpu.usage", &[("host", "a")], 5, value)
            .unwrap();
    }
    let payload = builder.finish().unwrap();
    let blob = encode(&rules[..1]);
    for records in [
        run_native::<Baseline>(&blob, &payload).unwrap(),
        run_native::<PerPoint>(&blob, &payload).unwrap(),
    ] {
        let bits = |v: f64| ratchet_api::meaning::canonical(v).to_bits();
        assert_eq!(
            bits(records[0].value),
            bits(expected),
            "{aggregate:?} of {values:?}"
        );
        assert_eq!(records[0].count as usize, values.len());
    }
}

#[test]
fn values_mean_what_the_contract_says() {
    use ratchet_rules::Aggregate::{Avg, Count, Max, Min, Sum};
    check_values(Sum, &[-0.0], -0.0);
    check_values(Sum, &[-0.0, -0.0], -0.0);
    check_values(Sum, &[1e16, 1.0, -1e16], 0.0);
    check_values(Avg, &[1.0, 2.0, 4.5], 7.5);
    check_values(Sum, &[f64::INFINITY, f64::NEG_INFINITY], f64::NAN);
    check_values(Max, &[f64::NAN, -3.0, f64::NAN], -3.0);
    check_values(Max, &[f64::NAN, f64::NAN], f64::NAN);
    check_values(Min, &[0.0, -0.0, f64::NAN], -0.0);
    check_values(Max, &[-0.0, 0.0, -0.0], 0.0);
    check_values(Count, &[f64::NAN, 1.0, 2.0], 3.0);
}
