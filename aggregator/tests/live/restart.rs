//! Killed mid-window, or stopped: the values are the same, and nothing comes twice.

use std::time::Duration;

use ratchet_rules::Aggregate;

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};
use crate::trust::marked_baseline;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_stopped_in_the_middle_of_windows() {
    let stage = Stage::new().await;
    let rules = [
        rule("avg", Aggregate::Avg, 5, &["zone"]),
        rule("count", Aggregate::Count, 1, &["host"]),
        rule("sum", Aggregate::Sum, 2, &["host"]),
    ];
    let configuration = stage.configure("acme", now_ms() - 60_000, &rules).await;
    let aggregator = stage.aggregator().await;
    stage
        .promote(configuration, 1, &marked_baseline("one"))
        .await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 21, Oracle::new(&rules));
    let load = async {
        publisher.publish_for(Duration::from_secs(16), 100).await;
        publisher
    };
    let restarts = async {
        tokio::time::sleep(Duration::from_millis(3300)).await;
        aggregator.kill().await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        let aggregator = stage.aggregator().await;
        aggregator.serves_version("acme", 1).await;
        tokio::time::sleep(Duration::from_millis(2700)).await;
        assert_eq!(aggregator.terminate().await, Some(0));
        // Killed once more while it may still be reading again what it had read.
        stage.aggregator().await.kill().await;
        stage.aggregator().await
    };
    let (publisher, aggregator) = tokio::join!(load, restarts);
    stage.settle(5).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    aggregator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_a_state_directory() {
    let stage = Stage::new().await;
    let first = stage.aggregator().await;
    let second = stage.spawn_in("state");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(second.get("/healthz").await.is_none());
    assert!(
        stage.log().contains("in use by another aggregator"),
        "{}",
        stage.log()
    );
    assert_eq!(first.terminate().await, Some(0));
}
