//! Rules and messages of which less has to be looked at.

use super::*;

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
