//! The module that serves every organization without one of its own.

use std::time::Duration;

use ratchet_rules::Aggregate;
use ratchet_trust::ConfigurationDigest;

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};
use crate::trust::{choosy_baseline, marked_baseline, tampered_baseline, Claim};

/// Flips the lowest bit of the first record's value.
const FLIP: &str = "(if (local.get $bytes) (then (i32.store offset=16 (local.get $at)
    (i32.xor (i32.load offset=16 (local.get $at)) (i32.const 1)))))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenant_then_fleet_then_baseline() {
    let stage = Stage::new().await;
    let rules = [rule("sum", Aggregate::Sum, 1, &["host"])];
    let configuration = stage.configure("acme", now_ms() - 60_000, &rules).await;
    let aggregator = stage.aggregator().await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 9, Oracle::new(&rules));
    let serving = async |publisher: &mut Publisher, level: &str, version: u64| {
        publisher.publish_for(Duration::from_millis(300), 50).await;
        let status = aggregator.status("acme").await;
        let found = (&status["level"], &status["version"]);
        assert_eq!(found, (&level.into(), &version.into()), "{status}");
    };
    serving(&mut publisher, "baseline", 0).await;
    stage.promote_fleet(1, &marked_baseline("fleet-1")).await;
    serving(&mut publisher, "fleet", 1).await;
    let fleet = aggregator.fleet().await;
    assert_eq!(
        (&fleet["version"], &fleet["serves"]),
        (&1.into(), &1.into())
    );

    // A module of its own goes before a newer one of the fleet's, until it is retired.
    stage
        .promote(configuration, 1, &marked_baseline("own"))
        .await;
    stage.promote_fleet(2, &marked_baseline("fleet-2")).await;
    serving(&mut publisher, "tenant", 1).await;
    assert_eq!(aggregator.fleet().await["serves"], 0);
    let claim = stage.claim(configuration, 2, None);
    stage
        .activate("acme", stage.keys.envelope(&claim.statement()))
        .await;
    stage
        .event("swapped", |event| event["kind"] == "tombstone")
        .await;
    serving(&mut publisher, "fleet", 2).await;

    // Started again, it serves before the first message is read.
    assert_eq!(aggregator.terminate().await, Some(0));
    let aggregator = stage.aggregator().await;
    publisher.publish_for(Duration::from_millis(300), 50).await;
    assert_eq!(aggregator.status("acme").await["level"], "fleet");
    let claim = Claim {
        org: "fleet".to_owned(),
        ..stage.claim(ConfigurationDigest::NONE, 3, None)
    };
    stage
        .activate("fleet", stage.keys.envelope(&claim.statement()))
        .await;
    stage
        .event_of("fleet", "swapped", |event| event["kind"] == "tombstone")
        .await;
    publisher.publish_for(Duration::from_millis(300), 50).await;
    assert_eq!(aggregator.status("acme").await["level"], "baseline");
    stage.settle(1).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    aggregator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_configuration_is_served_by_the_fleet() {
    let stage = Stage::new().await;
    let first = [rule("sum", Aggregate::Sum, 1, &["host"])];
    let configuration = stage.configure("acme", now_ms() - 60_000, &first).await;
    let aggregator = stage.aggregator().await;
    stage.promote_fleet(1, &marked_baseline("fleet")).await;
    stage
        .promote(configuration, 1, &marked_baseline("own"))
        .await;
    let second = [rule("max", Aggregate::Max, 1, &["zone"])];
    let next = stage.configure("acme", now_ms() + 1_500, &second).await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 9, Oracle::new(&second));
    publisher.publish_for(Duration::from_secs(3), 50).await;
    let status = aggregator.status("acme").await;
    assert_eq!(status["configuration"], next.to_string(), "{status}");
    assert_eq!(status["level"], "fleet", "{status}");
    stage.promote(next, 2, &marked_baseline("next")).await;
    publisher.publish_for(Duration::from_millis(300), 50).await;
    assert_eq!(aggregator.status("acme").await["level"], "tenant");
    aggregator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_one_is_demoted_for_all() {
    let stage = Stage::new().await;
    let rules = [rule("sum", Aggregate::Sum, 1, &["host"])];
    stage.configure("acme", now_ms() - 60_000, &rules).await;
    let aggregator = stage.aggregator().await;
    stage.promote_fleet(1, &tampered_baseline(FLIP)).await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 9, Oracle::new(&rules));
    for _ in 0..64 {
        publisher.publish().await;
    }
    let demoted = stage.event_of("fleet", "demoted", |_| true).await;
    assert_eq!(demoted["reason"], "divergence");
    assert_eq!(demoted["detail"], "on messages of `acme`");
    let none = ConfigurationDigest::NONE.to_string();
    assert_eq!(demoted["configuration"], none);
    publisher.publish_for(Duration::from_millis(300), 50).await;
    assert_eq!(aggregator.status("acme").await["level"], "baseline");
    let series = "ratchet_demotions_total{org=\"fleet\"}";
    assert_eq!(aggregator.metric(series).await, 1.0);
    aggregator.kill().await;
}

/// Rules that the fleet's module does not take cost nobody but their owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_are_too_much_for_the_fleet() {
    let stage = Stage::new().await;
    let few = [rule("sum", Aggregate::Sum, 1, &["host"])];
    let names: Vec<String> = (0..40).map(|n| format!("sum-{n}")).collect();
    let many: Vec<_> = names
        .iter()
        .map(|name| rule(name, Aggregate::Sum, 1, &["host"]))
        .collect();
    stage.configure("acme", now_ms() - 60_000, &few).await;
    stage.configure("globex", now_ms() - 60_000, &many).await;
    let aggregator = stage.aggregator().await;
    let mut acme = Publisher::new(stage.context.clone(), "acme", 9, Oracle::new(&few));
    let mut globex = Publisher::new(stage.context.clone(), "globex", 9, Oracle::new(&many));
    acme.publish_for(Duration::from_millis(300), 50).await;
    stage.promote_fleet(1, &choosy_baseline(200)).await;
    for publisher in [&mut globex, &mut acme] {
        publisher.publish_for(Duration::from_millis(500), 50).await;
    }
    stage
        .event_of("globex", "trapped", |event| event["reason"] == "init")
        .await;
    assert_eq!(aggregator.status("globex").await["level"], "baseline");
    assert_eq!(aggregator.status("acme").await["level"], "fleet");
    stage.settle(2).await;
    for (org, publisher) in [("acme", &acme), ("globex", &globex)] {
        let output = collect(&stage.context, org).await;
        assert_same(&output.points, &publisher.oracle.outcomes());
    }
    aggregator.kill().await;
}
