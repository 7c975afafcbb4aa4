//! What a module may do to its runner, and what comes of it.

use crate::guests::{answering, answering_at, by_hand};
use crate::traffic::{blob, message, two_rules};
use bytes::Bytes;
use ratchet_codec::payload::validate;
use ratchet_sandbox::compare::{canonical, CompareError};
use ratchet_sandbox::{Engine, Fault, Kind, Limits, Record, Runner};
use std::time::Duration;

fn limits() -> Limits {
    Limits {
        deadline_ticks: 4,
        init_deadline_ticks: 40,
        fuel_per_message: 20_000_000,
        fuel_per_init: 30_000_000,
        ..Limits::default()
    }
}

fn engine(kind: Kind) -> Engine {
    Engine::new(kind, limits()).expect("an engine")
}

fn runner(kind: Kind, component: &[u8]) -> Runner {
    let module = engine(kind)
        .compile(component)
        .expect("an admitted component");
    Runner::new(&module, blob(&two_rules()))
}

fn run(runner: &mut Runner, payload: &Bytes) -> Result<Vec<Record>, Fault> {
    let header = validate(payload).expect("a valid message");
    runner.process(payload, &header, <[Record]>::to_vec)
}

/// A guest's fault in both kinds of engine: its reason, and a part of what it says.
fn check(component: &[u8], expected: [(&str, &str); 2]) {
    for (kind, (reason, detail)) in [Kind::Production, Kind::Evaluation]
        .into_iter()
        .zip(expected)
    {
        let mut runner = runner(kind, component);
        let fault = run(&mut runner, &message(&[0, 31_000])).expect_err(reason);
        assert_eq!(fault.reason(), reason, "{kind:?}: {fault}");
        assert!(fault.to_string().contains(detail), "{kind:?}: {fault}");
    }
}

const NOTHING: &str = "(call $answer (i32.const 1024) (i32.const 0))";
const FOREVER: &str = "(loop $l (br $l))";
/// Grows by a page at a time, and traps when it may not.
const GLUTTON: &str = "(loop $l
    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable)) (br $l))";

fn then_unreachable(body: &str) -> Vec<u8> {
    by_hand("", &format!("{body} unreachable"))
}

#[test]
fn faults_of_process() {
    let read = |offset: &str, len: &str| {
        format!("(call $read (i32.const {offset}) (i32.const {len}) (i32.const 64)) {NOTHING}")
    };
    let cases: [(Vec<u8>, &str, &str); 8] = [
        (by_hand("", "unreachable"), "trap", "unreachable"),
        (
            by_hand("", "(i32.div_u (i32.const 1) (i32.const 0))"),
            "trap",
            "divide by zero",
        ),
        (
            by_hand("", &read("-1", "1")),
            "trap",
            "read of 1 bytes at 4294967295 of a message of",
        ),
        (
            by_hand("", &read("-1", "-1")),
            "trap",
            "read of 4294967295 bytes at 4294967295",
        ),
        (
            by_hand(
                "",
                &format!("(loop $l {} drop (br $l)) {NOTHING}", read("0", "8")),
            ),
            "trap",
            "too many reads",
        ),
        (then_unreachable(GLUTTON), "memory", "16777216 allowed"),
        (
            then_unreachable("(drop (memory.grow (i32.const 4096)))"),
            "memory",
            "bytes wanted",
        ),
        (
            by_hand("", "(call $answer (i32.const -8) (i32.const 24))"),
            "trap",
            "out of bounds",
        ),
    ];
    for (component, reason, detail) in cases {
        check(&component, [(reason, detail); 2]);
    }
}

#[test]
fn endless_loops_end() {
    let expected = [("deadline", "4 ticks"), ("out-of-fuel", "fuel of 20000000")];
    check(&then_unreachable(FOREVER), expected);
}

#[test]
fn endless_loops_end_on_an_engine_that_was_at_rest() {
    let mut runner = runner(Kind::Production, &then_unreachable(FOREVER));
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(400));
        let fault = run(&mut runner, &message(&[0, 31_000])).expect_err("deadline");
        assert_eq!(fault.reason(), "deadline");
    }
}

#[test]
fn faults_of_init() {
    let cases: [(&str, [&str; 2]); 4] = [
        ("unreachable", ["unreachable"; 2]),
        (FOREVER, ["40 ticks", "fuel of 30000000"]),
        (GLUTTON, ["16777216 allowed"; 2]),
        (
            "(call $read (i32.const 0) (i32.const 1) (i32.const 64))",
            ["a message of 0 bytes"; 2],
        ),
    ];
    for (init, [production, evaluation]) in cases {
        check(
            &by_hand(init, NOTHING),
            [("init", production), ("init", evaluation)],
        );
    }
}

#[test]
fn faults_of_records() {
    let cases: [(Vec<u8>, &str, &str); 9] = [
        (
            by_hand("", "(call $answer (i32.const 1024) (i32.const 23))"),
            "record-length",
            "23 bytes",
        ),
        (
            answering(&["0 0 0 1 1", "2 0 0 1 1"]),
            "record-rule",
            "record 1: rule 2 of 2",
        ),
        (answering(&["-1 0 0 1 1"]), "record-rule", "rule 4294967295"),
        (answering(&["0 2 0 1 1"]), "record-set", "tag-set 2 of 2"),
        (
            answering(&["0 0 2 1 1"]),
            "record-window",
            "window 2 of the 2 of rule 0",
        ),
        (
            answering(&["0 0 0 0 1"]),
            "record-count",
            "count 0 of 2 points",
        ),
        (
            answering(&["0 0 0 3 1"]),
            "record-count",
            "count 3 of 2 points",
        ),
        (
            answering_at(2051, &["0 0 0 1 1", "0 2 0 1 1"]),
            "record-set",
            "record 1: tag-set 2 of 2",
        ),
        (
            by_hand("", "(call $answer (i32.const 0) (i32.const 120000))"),
            "record-number",
            "5000",
        ),
    ];
    for (component, reason, detail) in cases {
        let limits = Limits {
            records_max: 4000,
            ..limits()
        };
        let engine = Engine::new(Kind::Production, limits).expect("an engine");
        let module = engine.compile(&component).expect("an admitted component");
        let mut runner = Runner::new(&module, blob(&two_rules()));
        let fault = run(&mut runner, &message(&[0, 31_000])).expect_err(reason);
        assert_eq!(fault.reason(), reason, "{fault}");
        assert!(fault.to_string().contains(detail), "{fault}");
    }
}

#[test]
fn records_are_read() {
    // In place, and copied where an address is not one of a record.
    for address in [1024, 2052, 2051] {
        let records = ["1 1 1 2 -0.5", "0 0 0 1 nan", "0 1 0 1 inf"];
        let mut runner = runner(Kind::Production, &answering_at(address, &records));
        for _ in 0..2 {
            let records = run(&mut runner, &message(&[0, 31_000])).expect("records");
            assert_eq!(
                records[0],
                Record {
                    rule: 1,
                    set: 1,
                    window: 1,
                    count: 2,
                    value: -0.5
                }
            );
            assert!(records[1].value.is_nan());
            assert_eq!((records.len(), records[2].value), (3, f64::INFINITY));
        }
    }
}

#[test]
fn repeats_are_left_to_those_who_resolve_groups() {
    let mut runner = runner(Kind::Production, &answering(&["0 0 0 1 1", "0 0 0 1 2"]));
    let payload = message(&[0, 31_000]);
    let records = run(&mut runner, &payload).expect("records");
    let compared = canonical(&payload, &two_rules(), &records);
    assert!(matches!(
        compared,
        Err(CompareError::Duplicate { rule: 0, .. })
    ));
}

/// Answers one record whose count is the number of calls on this instance.
const COUNTING: &str = "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (call $record (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (global.get $calls)
      (f64.const 1))
    (call $answer (i32.const 1024) (i32.const 24))";

#[test]
fn instances_are_recycled() {
    let limits = Limits {
        messages_per_instance: 3,
        ..limits()
    };
    let engine = Engine::new(Kind::Production, limits).expect("an engine");
    let module = engine.compile(&by_hand("", COUNTING)).expect("admitted");
    let mut runner = Runner::new(&module, blob(&two_rules()));
    let payload = message(&[0; 9]);
    let mut calls = || run(&mut runner, &payload).expect("records")[0].count;
    let seen = [calls(), calls(), calls(), calls(), calls()];
    assert_eq!(seen, [1, 2, 3, 1, 2]);
    runner.reset();
    assert_eq!(run(&mut runner, &payload).expect("records")[0].count, 1);
}

#[test]
fn a_fault_drops_the_instance_only() {
    // Traps at every second call: a used instance would trap at once, a fresh one does not.
    let trapping = format!("(if (global.get $calls) (then unreachable)) {COUNTING}");
    let mut runner = runner(Kind::Production, &by_hand("", &trapping));
    let payload = message(&[0, 1]);
    let reasons: Vec<Option<&str>> = (0..4)
        .map(|_| run(&mut runner, &payload).err().map(|fault| fault.reason()))
        .collect();
    assert_eq!(reasons, [None, Some("trap"), None, Some("trap")]);
}

#[test]
fn fuel_is_counted_deterministically_and_in_evaluation_only() {
    let component = by_hand("", COUNTING);
    let payload = message(&[0; 4]);
    let mut first = runner(Kind::Evaluation, &component);
    run(&mut first, &payload).expect("records");
    let once = first.fuel_used();
    run(&mut first, &payload).expect("records");
    assert!(once > 10 && first.fuel_used() == 2 * once, "{once}");
    let mut second = runner(Kind::Evaluation, &component);
    run(&mut second, &payload).expect("records");
    assert_eq!(second.fuel_used(), once);
    let mut production = runner(Kind::Production, &component);
    run(&mut production, &payload).expect("records");
    assert_eq!(production.fuel_used(), 0);
}

#[test]
fn nan_leaves_a_guest_canonical() {
    let divide = "(call $record (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 1) (f64.div (f64.const 0) (f64.convert_i32_u (i32.wrap_i64 (i64.const 0)))))
        (call $answer (i32.const 1024) (i32.const 24))";
    let mut runner = runner(Kind::Production, &by_hand("", divide));
    let records = run(&mut runner, &message(&[0])).expect("records");
    assert_eq!(records[0].value.to_bits(), 0x7ff8_0000_0000_0000);
}

#[test]
fn a_full_pool_is_not_the_modules_fault() {
    let limits = Limits {
        instances_max: 2,
        ..limits()
    };
    let engine = Engine::new(Kind::Production, limits).expect("an engine");
    let module = engine.compile(&by_hand("", NOTHING)).expect("admitted");
    let mut runners: Vec<Runner> = (0..3)
        .map(|_| Runner::new(&module, blob(&two_rules())))
        .collect();
    let payload = message(&[0]);
    let reasons: Vec<_> = runners
        .iter_mut()
        .map(|runner| run(runner, &payload).err().map(|fault| fault.reason()))
        .collect();
    assert_eq!(reasons, [None, None, Some("capacity")]);
    runners[0].reset();
    assert_eq!(run(&mut runners[2], &payload), Ok(Vec::new()));
}

#[test]
fn malformed_rules_are_told() {
    let module = engine(Kind::Production)
        .compile(&by_hand("", NOTHING))
        .expect("admitted");
    let fault = run(
        &mut Runner::new(&module, b"RTRX"[..].into()),
        &message(&[0]),
    );
    assert_eq!(fault.expect_err("a fault").reason(), "init");
}

#[test]
fn modules_know_their_bytes() {
    use sha2::{Digest, Sha256};
    let component = by_hand("", NOTHING);
    let module = engine(Kind::Production)
        .compile(&component)
        .expect("admitted");
    assert_eq!(
        module.sha256(),
        <[u8; 32]>::from(Sha256::digest(&component))
    );
    assert_eq!(
        (module.size(), module.is_builtin()),
        (component.len(), false)
    );
    assert_eq!(
        component,
        by_hand("", NOTHING),
        "the same core gives the same component"
    );
}
