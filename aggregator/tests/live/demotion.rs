//! Modules that fail in production.

use std::time::Duration;

use ratchet_rules::Aggregate;

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};
use crate::trust::{marked_baseline, tampered_baseline};

/// Traps on live messages, which have 50 points; the smoke message has fewer.
const TRAP: &str = "(if (i32.gt_u (local.get $points) (i32.const 40)) (then unreachable))";
/// Flips the lowest bit of the first record's value.
const FLIP: &str = "(if (local.get $bytes) (then (i32.store offset=16 (local.get $at)
    (i32.xor (i32.load offset=16 (local.get $at)) (i32.const 1)))))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trapping_module_loses_no_message() {
    let stage = Stage::new().await;
    let rules = [rule("sum", Aggregate::Sum, 1, &["host"])];
    let configuration = stage.configure("acme", now_ms() - 60_000, &rules).await;
    let aggregator = stage.aggregator().await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 9, Oracle::new(&rules));
    publisher.publish_for(Duration::from_millis(500), 50).await;
    let trapping = tampered_baseline(TRAP);
    stage.promote(configuration, 1, &trapping).await;
    publisher.publish_for(Duration::from_millis(500), 50).await;
    let demoted = stage.event("demoted", |_| true).await;
    assert_eq!(
        (&demoted["reason"], &demoted["version"]),
        (&"trap".into(), &1.into())
    );
    assert_eq!(aggregator.status("acme").await["level"], "baseline");
    // It does not come back under a higher version, nor after a restart.
    let module = stage.store(&trapping).await;
    let claim = stage.claim(configuration, 2, Some(module));
    stage
        .activate("acme", stage.keys.envelope(&claim.statement()))
        .await;
    let refused = stage.event("refused", |event| event["version"] == 2).await;
    assert_eq!(refused["reason"], "demoted");
    assert_eq!(aggregator.terminate().await, Some(0));
    let aggregator = stage.aggregator().await;
    publisher.publish_for(Duration::from_millis(500), 50).await;
    assert_eq!(aggregator.status("acme").await["level"], "baseline");
    // Another module may.
    stage
        .promote(configuration, 3, &marked_baseline("good"))
        .await;
    publisher.publish_for(Duration::from_millis(500), 50).await;
    stage.settle(1).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    aggregator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_sum_is_found_by_the_baseline() {
    let stage = Stage::new().await;
    let rules = [rule("sum", Aggregate::Sum, 1, &["host"])];
    let configuration = stage.configure("acme", now_ms() - 60_000, &rules).await;
    let aggregator = stage.aggregator().await;
    stage
        .promote(configuration, 1, &tampered_baseline(FLIP))
        .await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 9, Oracle::new(&rules));
    for _ in 0..64 {
        publisher.publish().await;
    }
    let demoted = stage.event("demoted", |_| true).await;
    assert_eq!(demoted["reason"], "divergence");
    assert_eq!(
        aggregator
            .metric("ratchet_demotions_total{org=\"acme\"}")
            .await,
        1.0
    );
    aggregator.kill().await;
}
