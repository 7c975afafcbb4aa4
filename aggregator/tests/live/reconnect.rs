//! NATS killed and started again in the middle of the traffic.

use std::time::{Duration, Instant};

use ratchet_rules::Aggregate;

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};
use crate::trust::marked_baseline;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_restart_loses_nothing() {
    let mut stage = Stage::new().await;
    let rules = [
        rule("count", Aggregate::Count, 1, &["host"]),
        rule("sum", Aggregate::Sum, 4, &["host"]),
    ];
    let configuration = stage.configure("acme", now_ms() - 60_000, &rules).await;
    let aggregator = stage.aggregator().await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 31, Oracle::new(&rules));
    publisher.publish_for(Duration::from_millis(2500), 50).await;
    stage.server.restart().await;
    let restarted = Instant::now();
    publisher.publish_for(Duration::from_secs(6), 50).await;
    // Everything works on the new connection: reading, watching, emitting, telling.
    stage
        .promote(configuration, 1, &marked_baseline("after"))
        .await;
    publisher.publish().await;
    stage.settle(4).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    eprintln!("all of it {:?} after the restart", restarted.elapsed());
    assert_eq!(aggregator.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_a_stop_still_ends() {
    let mut stage = Stage::new().await;
    let rules = [rule("sum", Aggregate::Sum, 1, &["host"])];
    stage.configure("acme", now_ms() - 60_000, &rules).await;
    let aggregator = stage.aggregator().await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 37, Oracle::new(&rules));
    publisher.publish_for(Duration::from_secs(2), 50).await;
    stage.server.kill().await;
    assert_eq!(aggregator.terminate().await, Some(0));
}
