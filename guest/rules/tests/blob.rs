//! The rules blob: round trips, and a table of what is refused, where and why.

use ratchet_rules::{encode, parse, Aggregate, Filter, Rule};

fn text(s: &str) -> Box<[u8]> {
    s.as_bytes().into()
}

fn eq(key: &str, value: &str) -> Filter {
    Filter::Eq(text(key), text(value))
}

fn rule(id: &str, filter: Filter) -> Rule {
    Rule {
        id: text(id),
        metric: text("cpu"),
        aggregate: Aggregate::Avg,
        window_ms: 30_000,
        group_by: vec![text("host"), text("région")],
        filter,
    }
}

fn every_filter() -> Filter {
    Filter::Or(vec![
        Filter::And(vec![
            eq("service", "checkout"),
            Filter::Not(Box::new(eq("env", "dev"))),
        ]),
        Filter::In(text("dc"), vec![text("b"), text("a")]),
        Filter::Prefix(text("host"), text("web-")),
        Filter::Present(text("canary")),
        Filter::Not(Box::new(Filter::All)),
    ])
}

#[test]
fn what_is_encoded_parses_to_the_same() {
    let mut rules = vec![rule("b", every_filter()), rule("a.1_x-y", Filter::All)];
    rules[0].aggregate = Aggregate::Min;
    rules[1].group_by.clear();
    let blob = encode(&rules);
    rules.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(parse(&blob), Ok(rules.clone()));
    assert_eq!(encode(&rules), blob);
    assert_eq!(parse(&encode(&[])), Ok(Vec::new()));
}

#[test]
fn every_truncation_and_bit_flip_is_answered() {
    let blob = encode(&[rule("a", every_filter()), rule("b", every_filter())]);
    for len in 0..blob.len() {
        assert!(parse(&blob[..len]).is_err(), "{len} bytes");
    }
    for at in 0..8 * blob.len() {
        let mut bad = blob.clone();
        bad[at / 8] ^= 1 << (at % 8);
        // What is accepted is canonical: it encodes to the very bytes.
        if let Ok(rules) = parse(&bad) {
            assert_eq!(encode(&rules), bad, "bit {at}");
        }
    }
}

fn nested(depth: usize) -> Filter {
    (1..depth).fold(Filter::All, |inner, _| Filter::Not(Box::new(inner)))
}

fn check_rule(change: impl FnOnce(&mut Rule), reason: &str, at: usize) {
    let mut changed = rule("a", Filter::All);
    change(&mut changed);
    let error = parse(&encode(&[changed])).expect_err(reason);
    assert_eq!((error.problem.reason(), error.at), (reason, at), "{error}");
}

#[test]
fn limits_of_a_rule() {
    for filter in [nested(16), Filter::And(vec![Filter::All; 64])] {
        assert!(parse(&encode(&[rule("a", filter)])).is_ok());
    }
    // A rule starts at 9, its metric at 12, aggregate 17, window 18, keys 22, filter 38.
    check_rule(|r| r.id = text("A"), "id", 9);
    check_rule(|r| r.id = text(".a"), "id", 9);
    check_rule(|r| r.id = text(""), "id", 9);
    check_rule(|r| r.id = text(&"a".repeat(101)), "id", 9);
    check_rule(|r| r.metric = text(""), "text-length", 12);
    check_rule(|r| r.metric = text(&"m".repeat(201)), "text-length", 12);
    check_rule(|r| r.metric = Box::new([0xff]), "text", 12);
    check_rule(|r| r.window_ms = 0, "window", 18);
    check_rule(|r| r.window_ms = 1_500, "window", 18);
    check_rule(|r| r.window_ms = 3_601_000, "window", 18);
    check_rule(|r| r.group_by[1] = text("host"), "duplicate-key", 29);
    check_rule(|r| r.group_by = vec![text("k"); 9], "group-count", 22);
    check_rule(|r| r.filter = nested(17), "depth", 54);
    check_rule(
        |r| r.filter = Filter::And(vec![Filter::All; 65]),
        "leaves",
        105,
    );
    check_rule(
        |r| r.filter = Filter::And(vec![Filter::All]),
        "operands",
        39,
    );
    check_rule(|r| r.filter = Filter::In(text("k"), vec![]), "operands", 42);
    let and = |parts| Filter::And(parts);
    let pair = || vec![Filter::All, Filter::All];
    check_rule(
        |r| r.filter = and(vec![and(pair()), Filter::All]),
        "nested",
        38,
    );
    check_rule(
        |r| r.filter = Filter::Or(vec![Filter::Or(pair()), Filter::All]),
        "nested",
        38,
    );
    let twice = || vec![text("v"), text("w"), text("v")];
    check_rule(
        |r| r.filter = Filter::In(text("k"), twice()),
        "duplicate-value",
        50,
    );
}

fn check_blob(change: impl FnOnce(&mut Vec<u8>), reason: &str, at: usize) {
    let mut blob = encode(&[rule("a", Filter::All), rule("b", Filter::All)]);
    change(&mut blob);
    let error = parse(&blob).expect_err(reason);
    assert_eq!((error.problem.reason(), error.at), (reason, at), "{error}");
    assert!(error.to_string().starts_with(&format!("byte {at}: ")));
}

#[test]
fn malformed_blobs_are_refused_where_they_are_wrong() {
    let end = encode(&[rule("a", Filter::All), rule("b", Filter::All)]).len();
    check_blob(|b| b.resize((4 << 20) + 1, 0), "too-long", 0);
    check_blob(|b| b[0] = b'X', "magic", 0);
    check_blob(|b| b[4] = 2, "version", 4);
    check_blob(|b| b[7] = 1, "rule-count", 5);
    check_blob(|b| b[11] = b'b', "id-order", 39);
    check_blob(|b| b[11] = b'c', "id-order", 39);
    check_blob(|b| b[17] = 5, "aggregate", 17);
    check_blob(|b| b[38] = 8, "operator", 38);
    check_blob(|b| b.push(0), "trailing", end);
    check_blob(|b| b.truncate(end - 1), "truncated", end - 1);
    check_blob(|b| b[5] = 3, "truncated", end);
}
