//! When two lists of records mean the same.

use crate::traffic::{rule, HOUR};
use bytes::Bytes;
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::{Aggregate, Filter, Rule};
use ratchet_sandbox::compare::{canonical, first_difference, CompareError, Groups, Outcome};
use ratchet_sandbox::Record;

/// Four tag-sets: 0 and 1 share a host, 2 has another, 3 has none.
fn payload() -> Bytes {
    let mut builder = MessageBuilder::new();
    let sets: [&[(&str, &str)]; 4] = [
        &[("host", "x"), ("zone", "1")],
        &[("host", "x"), ("zone", "2")],
        &[("host", "y"), ("zone", "1")],
        &[("zone", "1")],
    ];
    for (at, tags) in sets.iter().enumerate() {
        builder
            .point("cpu", tags, HOUR + 20_000 * at as i64, 1.0)
            .expect("a valid point");
    }
    Bytes::from(builder.finish().expect("a message"))
}

fn rules() -> Vec<Rule> {
    vec![
        rule("by-host", Aggregate::Sum, &["host"], Filter::All),
        rule("by-both", Aggregate::Max, &["zone", "host"], Filter::All),
        rule("by-none", Aggregate::Count, &["rack"], Filter::All),
    ]
}

fn record(rule: u32, set: u32, window: u32, count: u32, value: f64) -> Record {
    Record {
        rule,
        set,
        window,
        count,
        value,
    }
}

#[test]
fn equal_in_meaning() {
    let nan = f64::from_bits(0xfff8_0000_0000_1234);
    let cases: [(&[Record], &[Record]); 5] = [
        (&[], &[]),
        // Another order.
        (
            &[record(0, 0, 0, 1, 1.0), record(1, 2, 0, 1, 2.0)],
            &[record(1, 2, 0, 1, 2.0), record(0, 0, 0, 1, 1.0)],
        ),
        // Another representative of the group.
        (&[record(0, 0, 0, 2, 1.0)], &[record(0, 1, 0, 2, 1.0)]),
        // A key that the message does not have.
        (&[record(2, 0, 1, 1, 1.0)], &[record(2, 3, 1, 1, 1.0)]),
        // Any NaN.
        (&[record(0, 0, 0, 1, nan)], &[record(0, 0, 0, 1, f64::NAN)]),
    ];
    for (one, other) in cases {
        let canonical = |records| canonical(&payload(), &rules(), records).expect("canonical");
        assert_eq!(
            first_difference(&canonical(one), &canonical(other)),
            None,
            "{one:?}"
        );
    }
}

/// Where two results part: (rule, window), and (count, value) on both sides.
type Expected = ((u32, u32), Option<(u32, f64)>, Option<(u32, f64)>);

#[test]
fn first_differences() {
    let base = [record(0, 0, 0, 1, 1.0), record(1, 2, 0, 1, 2.0)];
    let cases: [(&[Record], Expected); 8] = [
        (&[base[0]], ((1, 0), Some((1, 2.0)), None)),
        (&[base[1]], ((0, 0), Some((1, 1.0)), None)),
        (
            &[base[0], base[1], record(2, 0, 0, 1, 3.0)],
            ((2, 0), None, Some((1, 3.0))),
        ),
        (
            &[base[0], record(1, 2, 0, 1, 2.5)],
            ((1, 0), Some((1, 2.0)), Some((1, 2.5))),
        ),
        (
            &[base[0], record(1, 2, 0, 2, 2.0)],
            ((1, 0), Some((1, 2.0)), Some((2, 2.0))),
        ),
        (
            &[base[0], record(1, 2, 1, 1, 2.0)],
            ((1, 0), Some((1, 2.0)), None),
        ),
        // Another group of the same rule and window.
        (
            &[base[0], record(1, 0, 0, 1, 2.0)],
            ((1, 0), None, Some((1, 2.0))),
        ),
        (
            &[record(0, 3, 0, 1, 1.0), base[1]],
            ((0, 0), None, Some((1, 1.0))),
        ),
    ];
    for (actual, ((rule, window), expected, got)) in cases {
        let canonical = |records| canonical(&payload(), &rules(), records).expect("canonical");
        let found = first_difference(&canonical(&base), &canonical(actual)).expect("a difference");
        let outcome = |told: Option<(u32, f64)>| {
            told.map(|(count, value)| Outcome {
                count,
                value: value.to_bits(),
            })
        };
        assert_eq!((found.rule, found.window), (rule, window), "{actual:?}");
        assert_eq!(
            (found.expected, found.actual),
            (outcome(expected), outcome(got)),
            "{actual:?}"
        );
    }
}

#[test]
fn signs_of_zero_differ() {
    let partials =
        |value| canonical(&payload(), &rules(), &[record(0, 0, 0, 1, value)]).expect("canonical");
    assert!(first_difference(&partials(0.0), &partials(-0.0)).is_some());
}

#[test]
fn names_of_groups() {
    let groups = Groups::new(&payload(), &rules()).expect("groups");
    let names = |rule: u32, set: u32| {
        let partials = groups
            .canonical(&[record(rule, set, 0, 1, 1.0)])
            .expect("canonical");
        groups.names(rule, &partials[0].group)
    };
    assert_eq!(names(0, 2), ["y"]);
    assert_eq!(names(0, 3), [""]);
    assert_eq!(names(1, 1), ["2", "x"]);
    assert_eq!(names(2, 1), [""]);
    assert_eq!(groups.window_start_ms(&rules()[0], 2), HOUR + 60_000);
}

#[test]
fn refused() {
    let error = |records: &[Record]| canonical(&payload(), &rules(), records).expect_err("refused");
    assert_eq!(
        error(&[record(3, 0, 0, 1, 1.0)]),
        CompareError::Rule { at: 0, rule: 3 }
    );
    assert_eq!(
        error(&[record(0, 4, 0, 1, 1.0)]),
        CompareError::Set { at: 0, set: 4 }
    );
    // One group under two representatives.
    let twice = [record(0, 0, 0, 1, 1.0), record(0, 1, 0, 1, 2.0)];
    let group = vec!["x".to_owned()];
    assert_eq!(
        error(&twice),
        CompareError::Duplicate {
            rule: 0,
            window: 0,
            group
        }
    );
    let malformed = canonical(b"rubbish", &rules(), &[]).expect_err("refused");
    assert!(matches!(malformed, CompareError::Message(_)));
}
