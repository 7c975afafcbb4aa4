//! Verdicts on candidates: the right one, and right ones made wrong.

use crate::guests::{by_hand, tampered, BASELINE, FLIP, PER_POINT};
use crate::traffic::{blob, random_message, random_rules};
use bytes::Bytes;
use ratchet_codec::payload::validate;
use ratchet_sandbox::componentize;
use ratchet_sandbox::evaluate::{
    EvaluateError, Evaluation, Evaluator, Failure, Incumbent, Options, Question, Verdict,
};
use ratchet_sandbox::policy::World;
use ratchet_sandbox::Limits;
use std::time::Duration;

const MESSAGES: usize = 24;

fn messages() -> Vec<Bytes> {
    (0..MESSAGES as u64)
        .map(|at| random_message(900 + at))
        .collect()
}

fn options() -> Options {
    Options {
        min_messages: MESSAGES,
        fuzz_messages: 36,
        rounds: 5,
        time: Duration::from_secs(1),
        ..Options::default()
    }
}

fn evaluate(
    candidate: &[u8],
    incumbent: Incumbent<'_>,
    messages: &[Bytes],
) -> Result<Evaluation, EvaluateError> {
    let limits = Limits {
        fuel_per_message: 20_000_000,
        ..Limits::default()
    };
    let rules = blob(&random_rules(77, 30));
    let question = Question {
        rules,
        messages,
        candidate,
        world: World::Payload,
        incumbent,
    };
    Evaluator::new(limits)?.evaluate(&question, &options())
}

/// A candidate that fails: the kind of failure, and a part of what it says.
fn check(candidate: &[u8], kind: &str, detail: &str) {
    let evaluation = evaluate(candidate, Incumbent::Baseline, &messages()).expect("a verdict");
    assert_eq!(
        evaluation.verdict.word(),
        "fail",
        "{detail}: {evaluation:?}"
    );
    let Verdict::Fail(failure) = evaluation.verdict else {
        return;
    };
    let told = failure.to_string();
    assert!(
        told.starts_with(kind) && told.contains(detail),
        "{kind}, {detail}: {told}"
    );
}

#[test]
fn wrong_candidates_fail() {
    let once = validate(&messages()[5]).expect("a valid message");
    let on_one = format!(
        "(if (i32.and (i32.eq (local.get $points) (i32.const {}))
                      (i32.eq (local.get $len) (i32.const {}))) (then {FLIP}))",
        once.points, once.len
    );
    let on_many_sets = format!("(if (i32.gt_u (local.get $sets) (i32.const 300)) (then {FLIP}))");
    let count =
        "(if (local.get $bytes) (then (if (i32.gt_u (local.get $points) (i32.const 1)) (then
        (i32.store offset=12 (local.get $at)
          (i32.xor (i32.load offset=12 (local.get $at)) (i32.const 3)))))))";
    let shorter = "(if (i32.eq (i32.rem_u (local.get $points) (i32.const 5)) (i32.const 3)) (then
        (if (local.get $bytes)
          (then (local.set $bytes (i32.sub (local.get $bytes) (i32.const 24)))))))";
    check(&tampered("", &on_one), "wrong", "instead of");
    check(&tampered("", &on_many_sets), "wrong", "instead of");
    check(&tampered("", count), "", "message");
    check(&tampered("", shorter), "wrong", "nothing instead of");
    let silent = by_hand("", "(call $answer (i32.const 1024) (i32.const 0))");
    check(&silent, "wrong", "nothing instead of");
}

#[test]
fn candidates_that_stop_on_rare_input_fail() {
    let rare =
        |body: &str| format!("(if (i32.le_u (local.get $points) (i32.const 3)) (then {body}))");
    check(
        &tampered(&rare("unreachable"), ""),
        "stopped",
        "unreachable",
    );
    check(
        &tampered(&rare("(loop $l (br $l))"), ""),
        "stopped",
        "fuel of 20000000",
    );
    let glutton = "(loop $l (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1))
        (then unreachable)) (br $l))";
    check(&tampered(&rare(glutton), ""), "stopped", "16777216 allowed");
    check(&by_hand("unreachable", "unreachable"), "stopped", "init");
    check(
        &tampered("", "(local.set $bytes (i32.const 7))"),
        "stopped",
        "7 bytes",
    );
}

#[test]
fn candidates_that_keep_state_fail() {
    // Each differs only after some calls on one instance, or in the bytes that mean the same.
    let later = format!("(if (i32.ge_u (global.get $calls) (i32.const 40)) (then {FLIP}))");
    check(&tampered("", &later), "wrong", "instead of");
    let first = format!("(if (i32.eq (global.get $calls) (i32.const 1)) (then {FLIP}))");
    // Whether the first message has a record decides which run tells.
    check(&tampered("", &first), "", "message");
    // Swaps its first two records on a used instance, word by word.
    let word = "(i32.add (local.get $at) (local.get $n))";
    let swap = format!(
        "(if (i32.and (i32.gt_u (local.get $bytes) (i32.const 24))
                      (i32.gt_u (global.get $calls) (i32.const 1))) (then
        (loop $l
          (i32.store {word} (i32.xor (i32.load {word}) (i32.load offset=24 {word})))
          (i32.store offset=24 {word} (i32.xor (i32.load {word}) (i32.load offset=24 {word})))
          (i32.store {word} (i32.xor (i32.load {word}) (i32.load offset=24 {word})))
          (local.set $n (i32.add (local.get $n) (i32.const 4)))
          (br_if $l (i32.lt_u (local.get $n) (i32.const 24))))))"
    );
    check(&tampered("", &swap), "unstable", "keeps state");
}

#[test]
fn every_message_is_the_first_of_an_instance_once() {
    // Wrong on one message, and only where that is the first one.
    for at in [4, 9, 14, 19] {
        let message = validate(&messages()[at]).expect("a valid message");
        let first = format!(
            "(if (i32.and (i32.eq (global.get $calls) (i32.const 1))
                          (i32.eq (local.get $len) (i32.const {}))) (then {FLIP}))",
            message.len
        );
        check(&tampered("", &first), "unstable", "on a fresh instance");
    }
}

#[test]
fn what_is_not_admitted_fails() {
    check(b"rubbish", "not admitted", "not a component");
    check(BASELINE, "not admitted", "not a component");
}

#[test]
fn too_few_messages_are_insufficient_but_a_wrong_candidate_fails() {
    let right = componentize(BASELINE).expect("a guest");
    let few = &messages()[..MESSAGES - 1];
    let evaluation = evaluate(&right, Incumbent::Baseline, few).expect("a verdict");
    let (messages, wanted) = (MESSAGES - 1, MESSAGES);
    assert_eq!(
        evaluation.verdict,
        Verdict::Insufficient { messages, wanted }
    );
    assert_eq!(
        (evaluation.verdict.word(), evaluation.held_back),
        ("insufficient", messages)
    );
    assert!(evaluation.made > 36 && evaluation.ratio.is_none());
    let none = evaluate(&tampered("", FLIP), Incumbent::Baseline, &[]).expect("a verdict");
    assert_eq!(
        none.verdict.word(),
        "fail",
        "rules' literals alone tell it wrong"
    );
}

#[test]
fn speed_decides_among_the_right() {
    let baseline = componentize(BASELINE).expect("a guest");
    let per_point = componentize(PER_POINT).expect("a guest");
    let same = evaluate(&baseline, Incumbent::Baseline, &messages()).expect("a verdict");
    // On a busy machine it may seem faster than itself; never twice as fast.
    let ratio = match (&same.verdict, &same.ratio) {
        (Verdict::Fail(Failure::Slow { ratio, .. }), _) => *ratio,
        (Verdict::Pass, Some(measured)) => measured.ratio,
        _ => panic!("the baseline is right, and was timed: {same:?}"),
    };
    assert!(ratio > 0.5 && ratio < 2.0, "{ratio}");
    let incumbent = Incumbent::Component(&per_point);
    let better = evaluate(&baseline, incumbent, &messages()).expect("a verdict");
    assert_eq!(better.verdict, Verdict::Pass, "{better:?}");
    let ratio = better.ratio.expect("a ratio");
    assert_eq!(
        (&*ratio.name, &*ratio.reference),
        ("candidate", "incumbent")
    );
    assert!(ratio.ci95[0] > 1.1 && ratio.ci95[0] <= ratio.ratio && ratio.ratio <= ratio.ci95[1]);
    let worse = evaluate(&per_point, Incumbent::Baseline, &messages()).expect("a verdict");
    assert!(
        matches!(worse.verdict, Verdict::Fail(Failure::Slow { .. })),
        "{worse:?}"
    );
}

#[test]
fn faults_of_the_question() {
    let right = componentize(BASELINE).expect("a guest");
    let trapping = by_hand("", "unreachable");
    let error = evaluate(&right, Incumbent::Component(&trapping), &messages());
    assert!(
        matches!(error, Err(EvaluateError::Incumbent(_))),
        "{error:?}"
    );
    let error = evaluate(&right, Incumbent::Component(b"rubbish"), &messages());
    assert!(
        matches!(error, Err(EvaluateError::Incumbent(_))),
        "{error:?}"
    );
    let evaluator = Evaluator::new(Limits::default()).expect("engines");
    let rules = b"RTRX"[..].into();
    let question = Question {
        rules,
        messages: &[],
        candidate: &right,
        world: World::Payload,
        incumbent: Incumbent::Baseline,
    };
    let error = evaluator.evaluate(&question, &options());
    assert!(matches!(error, Err(EvaluateError::Rules(_))), "{error:?}");
}

#[test]
fn made_messages_ask_for_no_more_memory_than_modules_have() {
    // With so many rules the largest of them would make a right module stop.
    let rules = blob(&random_rules(3, 2_000));
    let messages: Vec<Bytes> = (0..4).map(random_message).collect();
    let right = componentize(BASELINE).expect("a guest");
    let question = Question {
        rules,
        messages: &messages,
        candidate: &right,
        world: World::Payload,
        incumbent: Incumbent::Baseline,
    };
    let evaluator = Evaluator::new(Limits::default()).expect("engines");
    let evaluation = evaluator
        .evaluate(&question, &options())
        .expect("a verdict");
    assert_eq!(evaluation.verdict.word(), "insufficient", "{evaluation:?}");
    assert!(evaluation.made > 100, "{evaluation:?}");
}
