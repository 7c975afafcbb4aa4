//! Rules and messages of which less has to be looked at.

use super::*;
use crate::merge::arrange::Worth;

/// Rules without keys to group by are merged without a look at the message.
#[test]
fn all_series_are_one_group_without_keys() {
    let rules = [
        rule("all", "cpu", Aggregate::Sum, 10, &[]),
        rule("top", "cpu", Aggregate::Max, 60, &[]),
    ];
    let mut bench = Bench::new(&of_rules(&rules), Limits::default());
    let hosts = message("cpu", &["a", "b"], 1_000);
    for value in [1.0, 2.0] {
        let records = [record(0, 1, 0, 2, value), record(1, 0, 0, 2, -value)];
        bench.merge(&hosts, &records, EVERYTHING, 0).unwrap();
    }
    let fault = bench.merge(&hosts, &[record(0, 2, 0, 1, 1.0)], EVERYTHING, 0);
    assert_eq!(fault.unwrap_err().reason(), "record-range");
    let twice = [record(0, 0, 0, 1, 1.0), record(0, 1, 0, 1, 1.0)];
    let fault = bench.merge(&hosts, &twice, EVERYTHING, 0);
    assert_eq!(fault.unwrap_err().reason(), "record-duplicate");
    let of = |id: &str, value| (id.to_owned(), 0, String::new(), value, 4);
    assert_eq!(bench.close(i64::MAX), [of("all", 3.0), of("top", -1.0)]);
}

/// Beside rules with keys, one without them has a place among the others of its metric.
#[test]
fn rules_with_and_without_keys_serve_one_message() {
    let rules = [
        rule("all", "cpu", Aggregate::Sum, 10, &[]),
        rule("by", "cpu", Aggregate::Max, 10, &["host"]),
    ];
    let mut bench = Bench::new(&of_rules(&rules), Limits::default());
    let hosts = message("cpu", &["a", "b"], 1_000);
    for value in [1.0, 2.0] {
        let records = [
            record(0, 1, 0, 2, value),
            record(1, 0, 0, 1, value),
            record(1, 1, 0, 1, -value),
        ];
        let tally = bench.merge(&hosts, &records, EVERYTHING, 0).unwrap();
        assert_eq!(tally.records, 3);
    }
    let of = |id: &str, host: &str, value, count| (id.to_owned(), 0, host.to_owned(), value, count);
    let expected = [
        of("all", "", 3.0, 4),
        of("by", "a", 2.0, 2),
        of("by", "b", -1.0, 2),
    ];
    assert_eq!(bench.close(i64::MAX), expected);
}

/// A message whose tag-sets came before is merged by what was found then, also where that was not
/// all, and for other points.
#[test]
fn a_message_with_known_tag_sets_goes_to_their_groups() {
    let mut bench = Bench::new(&two_rules(), Limits::default());
    let at = |ts| message("cpu", &["a", "b"], ts);
    let a = |value| record(1, 0, 0, 1, value);
    let b = |value| record(1, 1, 0, 1, value);
    // Late: its series stays unknown.
    bench
        .merge(&at(1_000), &[a(1.0)], EVERYTHING, 10_000)
        .unwrap();
    bench
        .merge(&at(11_000), &[a(2.0)], EVERYTHING, 10_000)
        .unwrap();
    bench
        .merge(&at(12_000), &[a(3.0), b(4.0)], EVERYTHING, 10_000)
        .unwrap();
    let other = message("cpu", &["a", "c"], 12_000);
    bench
        .merge(&other, &[a(5.0), b(6.0)], EVERYTHING, 10_000)
        .unwrap();
    bench
        .merge(&at(21_000), &[a(7.0), b(8.0)], EVERYTHING, 10_000)
        .unwrap();
    let fault = bench.merge(&at(21_000), &[b(9.0), b(9.0)], EVERYTHING, 10_000);
    assert_eq!(fault.unwrap_err().reason(), "record-duplicate");
    let of =
        |start, host: &str, value, count| ("sum".to_owned(), start, host.to_owned(), value, count);
    let expected = [
        of(10_000, "a", 10.0, 3),
        of(10_000, "b", 4.0, 1),
        of(10_000, "c", 6.0, 1),
        of(20_000, "a", 7.0, 1),
        of(20_000, "b", 8.0, 1),
    ];
    assert_eq!(bench.close(i64::MAX), expected);
}

/// Messages that come again and again, whose records are now the same as before and now others:
/// what is remembered of them may change nothing but speed.
#[test]
fn what_is_remembered_of_messages_changes_no_value() {
    let limits = |recall_bytes, groups| Limits {
        recall_bytes,
        groups,
        ..Limits::default()
    };
    for groups in [40, 16] {
        let (mut told, closed) = again_and_again(limits(Limits::default().recall_bytes, groups));
        let recalled = told.iter_mut().flatten();
        let recalled =
            recalled.filter_map(|tally| std::mem::take(&mut tally.is_recalled).then_some(()));
        let recalled = recalled.count();
        assert!((900..2_500).contains(&recalled), "{recalled} recalled");
        let refused = told.iter().filter(|told| told.is_err()).count();
        assert!((100..1_000).contains(&refused), "{refused} refused");
        let count =
            |is: fn(&Tally) -> bool| told.iter().flatten().filter(|tally| is(tally)).count();
        let late = count(|tally| !tally.late.is_empty());
        let elsewhere = count(|tally| !tally.elsewhere.is_empty());
        let overflow = count(|tally| !tally.overflow.is_empty());
        assert!(
            late > 10 && elsewhere > 10,
            "{late} late, {elsewhere} elsewhere"
        );
        assert_eq!(overflow > 10, groups == 16, "{overflow} overflow");
        assert_eq!(again_and_again(limits(0, groups)), (told, closed));
    }
}

type Closed = Vec<(String, i64, String, f64, u32)>;

/// What became of 3,000 messages, and what closed.
fn again_and_again(limits: Limits) -> (Vec<Result<Tally, &'static str>>, Closed) {
    let rules = [
        rule("by-max", "cpu", Aggregate::Max, 60, &["host"]),
        rule("by-sum", "cpu", Aggregate::Sum, 10, &["host"]),
        rule("count", "cpu", Aggregate::Count, 10, &[]),
        rule("zone", "cpu", Aggregate::Min, 10, &["zone"]),
    ];
    let others = [
        rules[0].clone(),
        rule("by-min", "cpu", Aggregate::Min, 10, &["host"]),
        rules[2].clone(),
        rules[3].clone(),
    ];
    let hosts = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let both = [of_rules(&rules), of_rules(&others)];
    let mut bench = Bench::new(&both[0], limits);
    bench.merger.worth = Worth::ALWAYS;
    let mut bindings = bench.merger.bind(&both);
    let (mut random, mut newest) = (Random(7), 0);
    let (mut told, mut closed) = (Vec::new(), Vec::new());
    for step in 0..3_000 {
        let ts = step * 30;
        if random.below(300) == 0 {
            newest = 1 - newest;
            let order = [newest, 1 - newest].map(|at| both[at].clone());
            bindings = bench.merger.bind(&order);
        }
        bench.binding = bindings[random.below(20) as usize / 19].clone();
        let first = 2 * random.below(3) as usize;
        let message = message("cpu", &hosts[first..first + 3], ts);
        let records = random.records(ts);
        let time_ms = ts - 5_000 + 10_000 * i64::from(random.below(50) == 0);
        let span = match random.below(50) {
            0 => Span {
                from_ms: ts,
                ..EVERYTHING
            },
            _ => EVERYTHING,
        };
        let tally = bench.merge(&message, &records, span, time_ms);
        told.push(tally.map_err(|fault| fault.reason()));
        closed.extend(bench.close(time_ms));
    }
    closed.extend(bench.close(i64::MAX));
    (told, closed)
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(bound)) as u32
    }

    /// Records of four rules and three tag-sets, the same ones most of the time.
    fn records(&mut self, ts: i64) -> Vec<Record> {
        let all = (0..3).flat_map(|set| (0..4).map(move |rule| (rule, set)));
        let mut records: Vec<_> = all
            // One tag-set stands for all.
            .filter(|(rule, set)| *set == 0 || *rule < 2)
            .map(|(rule, set)| record(rule, set, 0, 1, (ts % 1_000 + i64::from(rule + set)) as f64))
            .collect();
        let at = self.below(records.len() as u32) as usize;
        match self.below(40) {
            0 => drop(records.remove(at)),
            1 => records.swap(0, at),
            2 => records.push(records[at]),
            3 => records[at].window = 1,
            4 => records[at].set = 2,
            5 => records[at].rule = self.below(5),
            6 => records.truncate(at),
            _ => {}
        }
        records
    }
}

/// Where accumulators lie is nobody's business but the processor's.
#[test]
fn groups_that_moved_keep_their_values() {
    let rules = [
        rule("all", "cpu", Aggregate::Count, 10, &[]),
        rule("max", "cpu", Aggregate::Max, 60, &["host"]),
        rule("mem", "mem", Aggregate::Sum, 60, &["host"]),
        rule("min", "cpu", Aggregate::Min, 60, &["host"]),
        rule("sum", "cpu", Aggregate::Sum, 10, &["host"]),
    ];
    let both = [of_rules(&rules), of_rules(&rules[..1])];
    let names: Vec<_> = (0..20).map(|at| format!("h{at}")).collect();
    let run = |worth| {
        let mut bench = Bench::new(&both[0], Limits::default());
        bench.merger.worth = worth;
        let bindings = bench.merger.bind(&both);
        let mut recalled = 0;
        for step in 0..100 {
            // In the last round, no message is one that came before.
            let of = |at: usize| &*names[(step + at) % 20];
            let hosts = match step < 80 {
                true => [of(0), of(7), of(13)],
                false => [of(13), of(0), of(8)],
            };
            let value = |rule: u32, set: u32| f64::from(rule + 5 * set) - step as f64 / 7.0;
            let of = |rule, set| record(rule, set, 0, 1, value(rule, set));
            let by_host = |rules: &'static [u32]| {
                (0..3).flat_map(move |set| rules.iter().map(move |rule| of(*rule, set)))
            };
            let mut cpu: Vec<_> = by_host(&[1, 3, 4]).collect();
            cpu.push(of(0, 0));
            let mem = by_host(&[2]).collect();
            for (binding, metric, records) in
                [(0, "cpu", cpu), (0, "mem", mem), (1, "cpu", vec![of(0, 1)])]
            {
                bench.binding = bindings[binding].clone();
                let message = message(metric, &hosts, 1_000 * step as i64);
                let tally = bench.merge(&message, &records, EVERYTHING, 0).unwrap();
                recalled += u32::from(tally.is_recalled);
            }
            let windows = &bench.merger.windows;
            let cells: usize = windows.iter().map(|window| window.cells.len()).sum();
            assert_eq!(bench.merger.accumulators(), cells);
        }
        let memo = bench.merger.memo.slots().to_vec();
        (recalled, bench.close(i64::MAX), memo)
    };
    let (recalled, closed, memo) = run(Worth::ALWAYS);
    let (as_they_came, expected, slots) = run(Worth::NEVER);
    assert_eq!((recalled, closed), (as_they_came, expected));
    assert_eq!(recalled, 40 - 4 + 40, "those that open a window are not");
    let moved = |slot: usize| memo[slot] != slots[slot];
    assert!(moved(0), "the one without keys");
    assert!((1..memo.len()).any(moved), "none with keys");
}

/// In many windows, only the first group has a value: that it moves up is not worth their memory.
#[test]
fn groups_stay_where_they_are_if_that_takes_less_memory() {
    let run = |bytes| {
        let limits = Limits {
            bytes,
            ..Limits::default()
        };
        let mut bench = Bench::new(&two_rules(), limits);
        bench.merger.worth = Worth::ALWAYS;
        let mut merge = |hosts: &[&str], windows: u32| {
            let sets = 0..hosts.len() as u32;
            let records =
                sets.flat_map(|set| (0..windows).map(move |window| record(1, set, window, 1, 1.0)));
            let records: Vec<_> = records.collect();
            let message = message("cpu", hosts, 0);
            let tally = bench.merge(&message, &records, EVERYTHING, 0);
            assert_eq!(tally.unwrap().overflow, []);
            assert!(bench.merger.bytes <= bytes);
            (bench.merger.memo.slots()[1], bench.merger.series.steps().1)
        };
        merge(&["early"], 200);
        for host in (0..40).flat_map(|at| [at; 2]) {
            let (early, _) = merge(&[&format!("h{host}")], 1);
            assert_eq!(early, 0, "it is in no message that came again");
        }
        merge(&["early", "late"], 1);
        merge(&["early", "late"], 1)
    };
    assert_eq!(run(Limits::default().bytes), (40, 0));
    assert_eq!(run(41 * 200 * size_of::<cell::Cell>()), (0, 0), "put off");
}

/// A message that came before goes its way also into a window that has few accumulators yet.
#[test]
fn a_window_that_opens_is_no_reason_to_look_again() {
    let mut bench = Bench::new(&two_rules(), Limits::default());
    let of = |hosts: &[&str], ts| message("cpu", hosts, ts);
    let records = [record(1, 0, 0, 1, 1.0), record(1, 1, 0, 1, 2.0)];
    let mut recalled = Vec::new();
    for ts in [0, 0, 0, 10_000, 20_000] {
        for hosts in [["a", "b"], ["c", "d"]] {
            let tally = bench.merge(&of(&hosts, ts), &records, EVERYTHING, 0);
            recalled.push(tally.unwrap().is_recalled);
        }
    }
    let (opens, goes_on) = ([false, true], [true, true]);
    let expected = [[false; 2], [false; 2], goes_on, opens, opens];
    assert_eq!(recalled, expected.concat());
    let values: f64 = bench.close(i64::MAX).iter().map(|closed| closed.3).sum();
    assert_eq!(values, 5.0 * 6.0);
}

/// Records of one rule in a row go through loops of their own; those of a tag-set in a row do not.
#[test]
fn runs_and_single_records_come_to_the_same() {
    let ids = ["a", "b", "c", "d", "e"];
    let rules = std::array::from_fn::<_, 5, _>(|at| {
        rule(ids[at], "cpu", Aggregate::ALL[at], 10, &["host"])
    });
    let hosts = ["a", "b", "c", "d", "e", "f"];
    let message = message("cpu", &hosts, 1_000);
    let value = |rule: u32, set: u32, round: u32| f64::from((rule + 3 * set + 5 * round) % 7) - 3.0;
    let all = |round: u32, by_rule: bool| -> Vec<Record> {
        let count = Aggregate::ALL.len() as u32;
        let sets = hosts.len() as u32;
        let places = (0..count * sets).map(|at| match by_rule {
            true => (at / sets, at % sets),
            false => (at % count, at / count),
        });
        let record = |(rule, set)| record(rule, set, 0, 2, value(rule, set, round));
        places.map(record).collect()
    };
    let run = |orders: [bool; 3]| {
        let mut bench = Bench::new(&of_rules(&rules), Limits::default());
        for (round, by_rule) in (0..).zip(orders) {
            let records = all(round, by_rule);
            let tally = bench.merge(&message, &records, EVERYTHING, 0).unwrap();
            assert_eq!(tally.records, records.len() as u64);
            // What is refused after many were found changes nothing.
            let mut refused = records.clone();
            refused.push(records[0]);
            let fault = bench.merge(&message, &refused, EVERYTHING, 0);
            assert_eq!(fault.unwrap_err().reason(), "record-duplicate");
        }
        bench.close(i64::MAX)
    };
    let by_rule = run([true; 3]);
    for (rule, aggregate) in (0..).zip(Aggregate::ALL) {
        let id = ids[rule as usize];
        let values = |set| [0, 1, 2].map(|round| value(rule, set, round));
        for (set, host) in (0..).zip(hosts) {
            let [a, b, c] = values(set);
            let expected = match aggregate {
                Aggregate::Sum | Aggregate::Count => a + b + c,
                Aggregate::Avg => (a + b + c) / 6.0,
                Aggregate::Max => a.max(b).max(c),
                Aggregate::Min => a.min(b).min(c),
            };
            let expected = (id.to_owned(), 0, host.to_owned(), expected, 6);
            assert!(by_rule.contains(&expected), "{expected:?} of {by_rule:?}");
        }
    }
    assert_eq!(run([false; 3]), by_rule);
    assert_eq!(run([true, false, true]), by_rule);
}

/// The same rule is served with others that group by keys, and without any.
#[test]
fn a_rule_without_keys_is_one_group_in_every_configuration() {
    let solo = rule("all", "cpu", Aggregate::Sum, 10, &[]);
    let by = rule("by", "cpu", Aggregate::Max, 10, &["host"]);
    let (alone, beside) = (of_rules(std::slice::from_ref(&solo)), of_rules(&[solo, by]));
    let mut bench = Bench::new(&alone, Limits::default());
    let mut bindings = bench.merger.bind(&[alone, beside]);
    let mut builder = MessageBuilder::new();
    builder.point("cpu", &[("host", "a")], 1_000, 1.0).unwrap();
    builder.point("mem", &[("host", "a")], 1_000, 1.0).unwrap();
    let payload = builder.finish().unwrap();
    let header = validate(&payload).unwrap();
    let message = (payload, header);
    for (value, beside) in [(1.0, 0), (2.0, 1), (4.0, 0), (8.0, 1)] {
        bench.binding = bindings[beside].clone();
        // A tag-set of another metric may stand for the group.
        for (set, value) in [(0, value), (1, 16.0 * value)] {
            let records = [record(0, set, 0, 1, value)];
            bench.merge(&message, &records, EVERYTHING, 0).unwrap();
        }
    }
    let fault = bench.merge(&message, &[record(1, 1, 0, 1, 1.0)], EVERYTHING, 0);
    assert_eq!(fault.unwrap_err().reason(), "record-metric");
    bindings.clear();
    let expected = ("all".to_owned(), 0, String::new(), 17.0 * 15.0, 8);
    assert_eq!(bench.close(i64::MAX), [expected]);
}
