//! The merge against a plain oracle, and its bounds.

use std::collections::BTreeMap;

use ratchet_codec::payload::write::MessageBuilder;
use ratchet_codec::payload::{validate, Header};
use ratchet_rules::Aggregate;

use super::*;
use crate::configuration::tests::{of_rules, rule};
use crate::timeline::Span;
use crate::watermark::Lateness;

mod known;

const EVERYTHING: Span = Span {
    from_ms: i64::MIN,
    until_ms: i64::MAX,
};

/// Points by rule.
fn points(of: &[(u32, u64)]) -> Vec<RulePoints> {
    let of = of.iter();
    of.map(|&(rule, points)| RulePoints { rule, points })
        .collect()
}

/// A message of one point a host, and its header.
fn message(metric: &str, hosts: &[&str], ts: i64) -> (Vec<u8>, Header) {
    let mut builder = MessageBuilder::new();
    for (i, host) in hosts.iter().enumerate() {
        let tags = [("host", *host), ("zone", "z")];
        builder.point(metric, &tags, ts, i as f64).unwrap();
    }
    let payload = builder.finish().unwrap();
    let header = validate(&payload).unwrap();
    (payload, header)
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

struct Bench {
    merger: Merger,
    binding: Binding,
    sequence: u64,
}

impl Bench {
    fn new(configuration: &Arc<Configuration>, limits: Limits) -> Self {
        let mut merger = Merger::new(limits, Lateness::Milliseconds(0));
        let binding = merger.bind(std::slice::from_ref(configuration)).remove(0);
        Self {
            merger,
            binding,
            sequence: 0,
        }
    }

    fn merge(
        &mut self,
        message: &(Vec<u8>, Header),
        records: &[Record],
        span: Span,
        time_ms: i64,
    ) -> Result<Tally, MergeFault> {
        self.sequence += 1;
        let pass = Pass {
            payload: &message.0,
            header: &message.1,
            sequence: self.sequence,
            binding: &self.binding,
            span,
            time_ms,
        };
        self.merger.merge(&pass, records)
    }

    /// `(rule id, start, group's only value, value, count)` of all that closes.
    fn close(&mut self, time_ms: i64) -> Vec<(String, i64, String, f64, u32)> {
        let mut out = Vec::new();
        for window in self.merger.close(time_ms) {
            let id = String::from_utf8_lossy(&window.rule.rule.id).into_owned();
            for group in window.groups {
                let host = group_values(&group.key).next().unwrap_or_default().to_vec();
                let host = String::from_utf8(host).unwrap();
                out.push((id.clone(), window.start_ms, host, group.value, group.count));
            }
        }
        out
    }
}

fn two_rules() -> Arc<Configuration> {
    of_rules(&[
        rule("max", "cpu", Aggregate::Max, 60, &["host"]),
        rule("sum", "cpu", Aggregate::Sum, 10, &["host"]),
    ])
}

#[test]
fn partials_add_up_by_group_and_window() {
    let mut bench = Bench::new(&two_rules(), Limits::default());
    let one = message("cpu", &["a", "b"], 61_000);
    let two = message("cpu", &["b", "c"], 62_000);
    let ok = |tally: Result<Tally, MergeFault>, records| {
        assert_eq!(
            tally,
            Ok(Tally {
                records,
                ..Tally::default()
            })
        );
    };
    let records = [
        record(0, 0, 0, 1, 5.0),
        record(1, 0, 0, 1, 0.1),
        record(1, 1, 0, 2, 0.2),
    ];
    ok(bench.merge(&one, &records, EVERYTHING, 0), 3);
    ok(
        bench.merge(
            &two,
            &[record(1, 0, 0, 1, 0.3), record(1, 1, 0, 1, 0.4)],
            EVERYTHING,
            0,
        ),
        2,
    );
    assert_eq!(bench.merger.open_windows(), 2);
    assert_eq!(bench.merger.first_sequence(), Some(1));
    assert_eq!(bench.close(69_999), []);
    let sum = |host: &str, value, count| ("sum".to_owned(), 60_000, host.to_owned(), value, count);
    assert_eq!(
        bench.close(70_000),
        [sum("a", 0.1, 1), sum("b", 0.2 + 0.3, 3), sum("c", 0.4, 1)]
    );
    assert_eq!(
        bench.close(120_000),
        [("max".to_owned(), 60_000, "a".to_owned(), 5.0, 1)]
    );
    assert_eq!(
        (bench.merger.open_windows(), bench.merger.first_sequence()),
        (0, None)
    );
}

#[test]
fn late_points_and_foreign_windows_are_left_out() {
    let mut bench = Bench::new(&two_rules(), Limits::default());
    let early = message("cpu", &["a"], 61_000);
    let records = [record(0, 0, 0, 4, 1.0), record(1, 0, 0, 3, 1.0)];
    let tally = bench.merge(&early, &records, EVERYTHING, 70_000).unwrap();
    assert_eq!(
        tally,
        Tally {
            records: 1,
            late: vec![LatePoints {
                rule: 1,
                start_ms: 60_000,
                points: 3
            }],
            ..Tally::default()
        }
    );
    let span = Span {
        from_ms: 70_000,
        until_ms: i64::MAX,
    };
    assert_eq!(tally.matched_of(&records), 4);
    let tally = bench.merge(&early, &records, span, 0).unwrap();
    let expected = Tally {
        elsewhere: points(&[(0, 4), (1, 3)]),
        ..Tally::default()
    };
    assert_eq!(tally, expected, "windows of another configuration");
}

#[test]
fn refused_records_leave_nothing_behind() {
    let mut bench = Bench::new(&two_rules(), Limits::default());
    let mut builder = MessageBuilder::new();
    builder
        .point("cpu", &[("host", "a"), ("zone", "1")], 1_000, 1.0)
        .unwrap();
    builder
        .point("cpu", &[("host", "a"), ("zone", "2")], 1_000, 1.0)
        .unwrap();
    builder.point("mem", &[("host", "a")], 1_000, 1.0).unwrap();
    let payload = builder.finish().unwrap();
    let header = validate(&payload).unwrap();
    let message = (payload, header);
    let good = record(1, 0, 0, 1, 1.0);
    let mut check = |bad: Record, reason: &str| {
        let fault = bench
            .merge(&message, &[good, bad], EVERYTHING, 0)
            .unwrap_err();
        assert_eq!(fault.reason(), reason, "{fault}");
    };
    check(good, "record-duplicate");
    check(record(1, 1, 0, 1, 1.0), "record-duplicate");
    check(record(1, 2, 0, 1, 1.0), "record-metric");
    check(record(2, 0, 0, 1, 1.0), "record-range");
    check(record(1, 3, 0, 1, 1.0), "record-range");
    bench.merge(&message, &[good], EVERYTHING, 0).unwrap();
    assert_eq!(
        bench.close(i64::MAX),
        [("sum".to_owned(), 0, "a".to_owned(), 1.0, 1)]
    );
}

#[test]
fn an_untouched_rule_keeps_its_windows() {
    let kept = rule("sum", "cpu", Aggregate::Sum, 10, &["host"]);
    let old = two_rules();
    let new = of_rules(&[kept, rule("top", "cpu", Aggregate::Max, 10, &["host"])]);
    let mut bench = Bench::new(&old, Limits::default());
    let first = message("cpu", &["a"], 1_000);
    bench
        .merge(
            &first,
            &[record(0, 0, 0, 1, 9.0), record(1, 0, 0, 1, 1.0)],
            EVERYTHING,
            0,
        )
        .unwrap();
    // Both configurations are in use for a while, then only the new one.
    bench.binding = bench.merger.bind(&[old, new.clone()]).remove(1);
    bench
        .merge(
            &first,
            &[record(0, 0, 0, 1, 2.0), record(1, 0, 0, 1, 3.0)],
            EVERYTHING,
            0,
        )
        .unwrap();
    bench.binding = bench.merger.bind(&[new]).remove(0);
    bench
        .merge(&first, &[record(0, 0, 0, 1, 4.0)], EVERYTHING, 0)
        .unwrap();
    let a = |id: &str, value, count| (id.to_owned(), 0, "a".to_owned(), value, count);
    assert_eq!(
        bench.close(i64::MAX),
        [a("sum", 7.0, 3), a("top", 3.0, 1), a("max", 9.0, 1)]
    );
}

/// A rule that goes while nothing of it is open takes its groups along; those of others move.
#[test]
fn a_rule_that_goes_leaves_open_windows_alone() {
    let kept = of_rules(&[rule("sum", "cpu", Aggregate::Sum, 10, &["host"])]);
    let both = two_rules();
    let mut bench = Bench::new(&both, Limits::default());
    let hosts = message("cpu", &["a", "b", "c"], 1_000);
    let all =
        |rule, value| -> Vec<_> { (0..3).map(|set| record(rule, set, 0, 1, value)).collect() };
    bench.merge(&hosts, &all(0, 9.0), EVERYTHING, 0).unwrap();
    assert_eq!(bench.close(60_000).len(), 3);
    let next = [record(1, 2, 0, 1, 1.0), record(1, 0, 0, 1, 2.0)];
    bench.merge(&hosts, &next, EVERYTHING, 0).unwrap();
    bench.binding = bench.merger.bind(&[kept]).remove(0);
    assert_eq!(bench.merger.groups(), 2);
    bench.merge(&hosts, &all(0, 0.5), EVERYTHING, 0).unwrap();
    let sum = |host: &str, value, count| ("sum".to_owned(), 0, host.to_owned(), value, count);
    assert_eq!(
        bench.close(i64::MAX),
        [sum("a", 2.5, 2), sum("b", 0.5, 1), sum("c", 1.5, 2)]
    );
}

/// A message may touch more windows than are found by table, and some that have closed.
#[test]
fn a_message_of_many_windows() {
    let mut bench = Bench::new(&two_rules(), Limits::default());
    let mut builder = MessageBuilder::new();
    let windows = 40u32;
    for window in 0..windows {
        let ts = i64::from(window) * 10_000;
        builder.point("cpu", &[("host", "a")], ts, 1.0).unwrap();
    }
    let payload = builder.finish().unwrap();
    let header = validate(&payload).unwrap();
    let message = (payload, header);
    let records: Vec<_> = (0..windows)
        .map(|window| record(1, 0, window, 1, f64::from(window)))
        .collect();
    for _ in 0..2 {
        let tally = bench.merge(&message, &records, EVERYTHING, 20_000).unwrap();
        assert_eq!((tally.records, tally.late.len()), (38, 2));
        assert_eq!(tally.matched_of(&records), 38);
    }
    let mut again = records.clone();
    again.push(record(1, 0, windows - 1, 1, 1.0));
    let fault = bench.merge(&message, &again, EVERYTHING, 20_000);
    assert_eq!(fault.unwrap_err().reason(), "record-duplicate");
    let values: Vec<_> = bench.close(i64::MAX).into_iter().map(|w| w.3).collect();
    let expected: Vec<_> = (2..windows).map(|window| 2.0 * f64::from(window)).collect();
    assert_eq!(values, expected);
}

#[test]
fn groups_beyond_the_limit_are_counted_and_room_comes_back() {
    let limits = Limits {
        groups: 2,
        ..Limits::default()
    };
    let mut bench = Bench::new(&two_rules(), limits);
    let records = |n: u32| -> Vec<_> { (0..n).map(|set| record(1, set, 0, 1, 1.0)).collect() };
    let tally = bench.merge(
        &message("cpu", &["a", "b", "c"], 0),
        &records(3),
        EVERYTHING,
        0,
    );
    assert_eq!(
        tally,
        Ok(Tally {
            records: 2,
            overflow: points(&[(1, 1)]),
            beyond_series: 1,
            ..Tally::default()
        })
    );
    assert_eq!(bench.close(10_000).len(), 2);
    let next = message("cpu", &["d", "e"], 10_000);
    assert_eq!(
        bench
            .merge(&next, &records(2), EVERYTHING, 10_000)
            .unwrap()
            .records,
        2
    );
    let hosts: Vec<_> = bench
        .close(20_000)
        .into_iter()
        .map(|(_, _, host, ..)| host)
        .collect();
    assert_eq!(hosts, ["d", "e"]);
}

#[test]
fn state_beyond_its_memory_is_counted_and_room_comes_back() {
    let merge = |bench: &mut Bench, ts: i64| {
        let records = [record(1, 0, 0, 2, 1.0), record(1, 1, 0, 3, 1.0)];
        let message = message("cpu", &["a", "b"], ts);
        bench.merge(&message, &records, EVERYTHING, ts).unwrap()
    };
    let mut roomy = Bench::new(&two_rules(), Limits::default());
    assert_eq!(merge(&mut roomy, 0).records, 2);
    // One byte too little: the second accumulator does not fit.
    let bytes = roomy.merger.bytes - 1;
    let limits = Limits {
        bytes,
        ..Limits::default()
    };
    let mut bench = Bench::new(&two_rules(), limits);
    let expected = Tally {
        records: 1,
        overflow: points(&[(1, 3)]),
        beyond_memory: 3,
        ..Tally::default()
    };
    assert_eq!(merge(&mut bench, 0), expected);
    assert!(bench.merger.bytes <= bytes);
    assert_eq!(bench.close(10_000).len(), 1);
    assert_eq!(merge(&mut bench, 10_000), expected);
}

/// With memos so small that they are flushed all the time, nothing but speed may change.
#[test]
fn memo_limits_do_not_change_values() {
    let run = |limits: Limits| {
        let mut bench = Bench::new(&two_rules(), limits);
        let mut random = 7u64;
        let mut oracle: BTreeMap<(String, i64), (f64, u32)> = BTreeMap::new();
        for step in 0..300i64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let hosts = [
                format!("h{}", random >> 60),
                format!("g{}", (random >> 50) % 16),
            ];
            let ts = step * 700;
            let message = message("cpu", &[&hosts[0], &hosts[1]], ts);
            let value = |set: u64| (random >> (20 + set)) as f64 / 1e9 + 0.1;
            let records = [record(1, 0, 0, 1, value(0)), record(1, 1, 0, 1, value(1))];
            bench
                .merge(&message, &records, EVERYTHING, i64::MIN)
                .unwrap();
            for (set, host) in hosts.iter().enumerate() {
                let start = ts / 10_000 * 10_000;
                let cell = oracle.entry((host.clone(), start)).or_insert((0.0, 0));
                cell.0 = if cell.1 == 0 {
                    value(set as u64)
                } else {
                    cell.0 + value(set as u64)
                };
                cell.1 += 1;
            }
        }
        let closed = bench.close(i64::MAX).into_iter();
        let closed: BTreeMap<_, _> = closed
            .map(|(_, start, host, value, count)| ((host, start), (value, count)))
            .collect();
        assert_eq!(closed, oracle);
    };
    run(Limits::default());
    run(Limits {
        series: 4,
        ..Limits::default()
    });
    run(Limits {
        slots: 3,
        ..Limits::default()
    });
}

#[test]
fn stamps_start_anew_before_they_run_out() {
    let limits = Limits {
        recall_bytes: 0,
        ..Limits::default()
    };
    let mut bench = Bench::new(&two_rules(), limits);
    let one = message("cpu", &["a"], 0);
    // The first stamp comes again at once: what has it must not look like a part of the message.
    for stamp in [0, u32::MAX, u32::MAX - 1, u32::MAX] {
        bench.merger.stamp = stamp;
        let records = [record(1, 0, 0, 1, 1.0)];
        let tally = bench.merge(&one, &records, EVERYTHING, 0).unwrap();
        assert_eq!(tally.records, 1);
    }
    assert_eq!(
        bench.close(i64::MAX),
        [("sum".to_owned(), 0, "a".to_owned(), 4.0, 4)]
    );
}
