//! Reports of benchmarks. No test asserts a time.

use crate::guests::{by_hand, tampered, BASELINE, FLIP};
use crate::traffic::{blob, random_message, random_rules};
use bytes::Bytes;
use ratchet_sandbox::bench::{corpus, run, BenchError, Builtin, Options, Report};
use ratchet_sandbox::{componentize, Limits};

fn messages() -> Vec<Bytes> {
    (0..70).map(|at| random_message(500 + at)).collect()
}

fn options(modules: Vec<(&str, Vec<u8>)>) -> Options {
    Options {
        rules: blob(&random_rules(5, 10)),
        messages: messages(),
        modules: modules
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes))
            .collect(),
        builtins: vec![Builtin::Baseline, Builtin::PerPoint],
        reference: "baseline".to_owned(),
        rounds: 4,
        time: None,
        min_messages: 1,
        limits: Limits::default(),
        compilations: None,
    }
}

fn names(report: &Report) -> Vec<&str> {
    report.modules.iter().map(|module| &*module.name).collect()
}

#[test]
fn a_sane_report() {
    let same = componentize(BASELINE).expect("a guest");
    let report = run(&options(vec![("same", same)])).expect("a report");
    assert_eq!(names(&report), ["baseline", "per-point", "same"]);
    assert_eq!((report.messages, report.rounds), (70, 4));
    assert_eq!((&report.divergence, &report.trap), (&None, &None));
    for module in &report.modules {
        assert!(
            0.0 < module.us_min && module.us_min <= module.us_per_message,
            "{module:?}"
        );
        assert!(module.fuel_per_point > 1.0, "{module:?}");
        assert_eq!(module.records, report.modules[0].records);
    }
    assert_eq!(
        report.modules[0].fuel_per_point,
        report.modules[2].fuel_per_point
    );
    let ratios: Vec<(&str, &str)> = report
        .ratios
        .iter()
        .map(|ratio| (&*ratio.name, &*ratio.reference))
        .collect();
    assert_eq!(ratios, [("per-point", "baseline"), ("same", "baseline")]);
    for ratio in &report.ratios {
        let [low, high] = ratio.ci95;
        assert!(
            0.0 < low && low <= ratio.ratio && ratio.ratio <= high,
            "{ratio:?}"
        );
    }
}

#[test]
fn the_json_of_the_contract() {
    let wrong = tampered("", FLIP);
    let trapping = by_hand("", "unreachable");
    let report = run(&options(vec![("wrong", wrong), ("trapping", trapping)])).expect("a report");
    let json = serde_json::to_value(&report).expect("JSON");
    let keys = |value: &serde_json::Value| -> Vec<String> {
        let mut keys: Vec<String> = value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(
        keys(&json),
        [
            "divergence",
            "messages",
            "modules",
            "points",
            "ratios",
            "rounds",
            "trap"
        ]
    );
    assert_eq!(
        keys(&json["modules"][0]),
        [
            "fuel_per_point",
            "name",
            "records",
            "us_min",
            "us_per_message"
        ]
    );
    assert_eq!(
        keys(&json["ratios"][0]),
        ["ci95", "name", "ratio", "reference"]
    );
    assert_eq!(
        keys(&json["divergence"]),
        [
            "actual",
            "expected",
            "group",
            "message",
            "module",
            "rule",
            "window_start_ms"
        ]
    );
    assert_eq!(keys(&json["trap"]), ["message", "module", "reason"]);
    assert_eq!(
        serde_json::from_value::<Report>(json).expect("a report"),
        report
    );
}

#[test]
fn wrong_modules_are_told_and_not_timed() {
    let wrong = tampered("", FLIP);
    let trapping = by_hand("", "unreachable");
    let late = tampered(
        "(if (i32.eq (global.get $calls) (i32.const 60)) (then unreachable))",
        "",
    );
    let modules = vec![("wrong", wrong), ("trapping", trapping), ("late", late)];
    let report = run(&options(modules)).expect("a report");
    assert_eq!(names(&report), ["baseline", "per-point"]);
    let divergence = report.divergence.expect("a divergence");
    assert_eq!(divergence.module, "wrong");
    assert_ne!(divergence.expected, divergence.actual);
    assert!(divergence.rule.starts_with('r'), "{divergence:?}");
    let trap = report.trap.expect("a trap");
    assert_eq!((&*trap.module, trap.message), ("trapping", 0));
    assert!(trap.reason.contains("unreachable"), "{trap:?}");
}

#[test]
fn a_module_that_keeps_state_is_told() {
    // It is right on every instance's first 70 messages, and so in the comparison.
    let state = "(if (i32.gt_u (global.get $calls) (i32.const 70)) (then unreachable))";
    let report = run(&options(vec![("state", tampered(state, ""))])).expect("a report");
    assert_eq!(names(&report), ["baseline", "per-point"]);
    let trap = report.trap.expect("a trap in the second round");
    assert_eq!((&*trap.module, trap.message), ("state", 0));
    let unstable = format!("(if (i32.eq (global.get $calls) (i32.const 1)) (then {FLIP}))");
    let report = run(&options(vec![("state", tampered("", &unstable))])).expect("a report");
    assert_eq!(report.divergence.expect("a divergence").message, 0);
}

#[test]
fn a_wrong_reference_leaves_no_ratios() {
    let mut options = options(vec![("wrong", tampered("", FLIP))]);
    options.reference = "wrong".to_owned();
    let report = run(&options).expect("a report");
    assert_eq!((names(&report).len(), report.ratios.len()), (2, 0));
}

#[test]
fn refused_options() {
    type Change = fn(&mut Options);
    let cases: [(Change, &str); 9] = [
        (|o| o.rules = b"RTRX"[..].into(), "rules: "),
        (|o| o.messages.truncate(0), "0 messages, at least 1 wanted"),
        (|o| o.min_messages = 71, "70 messages, at least 71 wanted"),
        (
            |o| o.messages[3] = Bytes::from_static(b"RTP1"),
            "message 3: ",
        ),
        (|o| o.rounds = 0, "0 rounds"),
        (|o| o.builtins.clear(), "0 modules"),
        (
            |o| o.builtins.push(Builtin::Baseline),
            "two modules are named \"baseline\"",
        ),
        (
            |o| o.reference = "other".to_owned(),
            "the reference \"other\"",
        ),
        (
            |o| o.modules.push(("m".to_owned(), b"rubbish".to_vec())),
            "module \"m\": not a component",
        ),
    ];
    for (change, expected) in cases {
        let mut options = options(Vec::new());
        change(&mut options);
        let error: BenchError = run(&options).expect_err(expected);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn corpora_carry_messages() {
    let file = Bytes::from(corpus::write(&messages()));
    assert_eq!(corpus::read(file), Ok(messages()));
    assert_eq!(Builtin::from_name("per-point"), Some(Builtin::PerPoint));
    assert_eq!(Builtin::from_name("native"), None);
}
