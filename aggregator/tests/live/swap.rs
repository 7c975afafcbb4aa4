//! A module swap under load loses, doubles and changes nothing.

use std::time::Duration;

use ratchet_rules::Aggregate;

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};
use crate::trust::marked_baseline;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_keep_every_point() {
    let stage = Stage::new().await;
    let rules = [
        rule("avg", Aggregate::Avg, 2, &["host", "zone"]),
        rule("count", Aggregate::Count, 1, &[]),
        rule("max", Aggregate::Max, 2, &["zone"]),
        rule("min", Aggregate::Min, 3, &["host"]),
        rule("sum", Aggregate::Sum, 2, &["host"]),
    ];
    let from_ms = now_ms() - 60_000;
    let configuration = stage.configure("acme", from_ms, &rules).await;
    let aggregator = stage.aggregator().await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 11, Oracle::new(&rules));
    let load = async {
        publisher.publish_for(Duration::from_secs(11), 150).await;
        publisher
    };
    let swaps = async {
        let mut pauses = Vec::new();
        // Long enough for the baseline to close windows of its own.
        tokio::time::sleep(Duration::from_millis(3500)).await;
        for version in 1..=4u64 {
            tokio::time::sleep(Duration::from_millis(1000)).await;
            let module = marked_baseline(&format!("v{version}"));
            let event = stage.promote(configuration, version, &module).await;
            assert_eq!(event["kind"], "promote");
            pauses.push(event["pause_us"].as_f64().unwrap());
            assert_eq!(aggregator.status("acme").await["version"], version);
        }
        pauses
    };
    let (publisher, pauses) = tokio::join!(load, swaps);
    stage.settle(3).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    assert!(output.versions.values().any(|v| *v == 0) && output.versions.values().any(|v| *v == 4));
    eprintln!(
        "{} messages, pauses of the swaps in µs: {pauses:?}",
        publisher.messages
    );
    assert_eq!(
        aggregator.metric("ratchet_swaps_total{org=\"acme\"}").await,
        4.0
    );
    let messages = aggregator
        .metric("ratchet_messages_total{org=\"acme\"}")
        .await;
    assert_eq!(messages, publisher.messages as f64);
    stage
        .event("captured", |event| event["training"].as_u64() > Some(10))
        .await;
    // A tombstone takes the module out; the baseline serves on.
    let claim = stage.claim(configuration, 5, None);
    stage
        .activate("acme", stage.keys.envelope(&claim.statement()))
        .await;
    stage
        .event("swapped", |event| event["kind"] == "tombstone")
        .await;
    assert_eq!(aggregator.status("acme").await["level"], "baseline");
    assert_eq!(aggregator.terminate().await, Some(0));
    stage.server.stop().await;
}
