//! The built-in modules against native code, bit by bit.

use crate::traffic::{blob, random_message, random_rules};
use bytes::Bytes;
use ratchet_api::Native;
use ratchet_baseline::Baseline;
use ratchet_codec::payload::validate;
use ratchet_sandbox::compare::{first_difference, Groups};
use ratchet_sandbox::{fuzz, Engine, Kind, Limits, Runner};

fn check(kind: Kind, seed: u64, rules: usize) {
    let rules = random_rules(seed, rules);
    let blob = blob(&rules);
    let engine = Engine::new(kind, Limits::default()).expect("an engine");
    let baseline = engine.baseline().expect("the baseline");
    let per_point = engine.per_point().expect("the per-point reference");
    assert!(baseline.is_builtin() && baseline.sha256() != per_point.sha256());
    let mut runners = [baseline, per_point].map(|module| Runner::new(&module, blob.clone()));
    let mut native = Native::<Baseline>::new(&blob).expect("rules");
    let sent: Vec<Bytes> = (0..20).map(|at| random_message(100 * seed + at)).collect();
    let mut made = fuzz::like(&sent, &rules, seed, 36);
    made.extend(fuzz::literals(&rules, seed));
    let mut records = 0;
    for payload in sent.iter().chain(&made) {
        let header = validate(payload).expect("a valid message");
        let groups = Groups::new(payload, &rules).expect("groups");
        let expected = native.process(payload).expect("records");
        records += expected.len();
        let expected = groups
            .canonical(expected)
            .expect("one record a group and window");
        for runner in &mut runners {
            let actual = runner
                .process(payload, &header, |records| groups.canonical(records))
                .unwrap_or_else(|fault| panic!("{fault}"))
                .expect("one record a group and window");
            assert_eq!(first_difference(&expected, &actual), None, "seed {seed}");
        }
    }
    assert!(records > 1_000, "{records} records");
}

#[test]
fn production_equals_native() {
    for seed in 1..5 {
        check(Kind::Production, seed, 40);
    }
}

#[test]
fn evaluation_equals_native() {
    check(Kind::Evaluation, 11, 40);
    check(Kind::Evaluation, 12, 300);
}
