//! A configuration change: window by window, without a gap, on the baseline.

use std::time::Duration;

use ratchet_rules::Aggregate;

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};
use crate::trust::marked_baseline;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn untouched_rules_keep_their_open_windows() {
    let stage = Stage::new().await;
    let kept = rule("kept", Aggregate::Sum, 4, &["host"]);
    let old = [kept.clone(), rule("old", Aggregate::Max, 2, &["zone"])];
    let new = [kept, rule("new", Aggregate::Avg, 1, &["host"])];
    let old_digest = stage.configure("acme", now_ms() - 60_000, &old).await;
    let aggregator = stage.aggregator().await;
    stage.promote(old_digest, 1, &marked_baseline("old")).await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 5, Oracle::new(&old));
    publisher.publish_for(Duration::from_secs(2), 50).await;
    // A second that is no start of a window of four: "kept" has a window open across it.
    let moment_ms = (now_ms() / 4000 + 1) * 4000 + 1000;
    stage.configure("acme", moment_ms, &new).await;
    publisher.oracle.change(moment_ms, &new);
    stage
        .event("configured", |event| {
            event["effective_from_ms"] == moment_ms
        })
        .await;
    publisher.publish_for(Duration::from_secs(10), 50).await;
    stage.settle(4).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    for ((rule, start_ms, _), version) in &output.versions {
        // The old module never serves the new rules; windows keep the version that closed them.
        let expected = u64::from(*start_ms < moment_ms);
        assert_eq!(
            *version, expected,
            "{rule} at {start_ms}, change at {moment_ms}"
        );
    }
    assert_eq!(aggregator.status("acme").await["level"], "baseline");
    assert_eq!(
        aggregator
            .metric("ratchet_demotions_total{org=\"acme\"}")
            .await,
        0.0
    );
    aggregator.kill().await;
}
