//! More modules than may be loaded, and a store that lost one.

use std::time::{Duration, Instant};

use ratchet_rules::Aggregate;
use ratchet_trust::ModuleDigest;

use crate::output::{assert_same, collect};
use crate::process::Aggregator;
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};
use crate::trust::{marked_baseline, Claim};

/// Longer than a module must be idle to make room, and than it waits to be asked for again.
const IDLE: Duration = Duration::from_secs(16);
const LOADED_WITHIN: Duration = Duration::from_secs(90);

/// Installs a module of an organization; returns its digest.
async fn promote(stage: &Stage, org: &str, aggregator: &Aggregator) -> ModuleDigest {
    let rules = [rule("sum", Aggregate::Sum, 1, &["host"])];
    let configuration = stage.configure(org, now_ms() - 60_000, &rules).await;
    let module = stage.store(&marked_baseline(org)).await;
    let claim = Claim {
        org: org.to_owned(),
        ..stage.claim(configuration, 1, Some(module))
    };
    let swaps = format!("ratchet_swaps_total{{org=\"{org}\"}}");
    let envelope = stage.keys.envelope(&claim.statement());
    stage.activate(org, envelope).await;
    while aggregator.metric(&swaps).await < 1.0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    module.0
}

/// Publishes until the organization's own module serves: it is loaded when nobody else needs the
/// processor.
async fn publish_until_loaded(publisher: &mut Publisher, aggregator: &Aggregator) {
    let until = Instant::now() + LOADED_WITHIN;
    while aggregator.status(&publisher.org).await["level"] != "tenant" {
        assert!(Instant::now() < until, "{} is not loaded", publisher.org);
        publisher.publish_for(Duration::from_millis(500), 50).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modules_make_room_and_come_back_and_nothing_is_lost() {
    let stage = Stage::new().await;
    let aggregator = stage.aggregator_with(&["--modules-max", "1"]).await;
    let acme = promote(&stage, "acme", &aggregator).await;
    promote(&stage, "globex", &aggregator).await;
    assert_eq!(aggregator.metric("ratchet_loaded_modules").await, 1.0);
    let rules = [rule("sum", Aggregate::Sum, 1, &["host"])];
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 5, Oracle::new(&rules));
    // The other one was promoted last and is idle after a while; until then the baseline serves.
    publisher.publish_for(Duration::from_millis(500), 50).await;
    assert_eq!(aggregator.status("acme").await["level"], "baseline");
    tokio::time::sleep(IDLE).await;
    publish_until_loaded(&mut publisher, &aggregator).await;
    assert_eq!(aggregator.status("acme").await["version"], 1);
    let stood_in = "ratchet_stood_in_messages_total{org=\"acme\"}";
    assert!(aggregator.metric(stood_in).await >= 20.0);
    // Now the store has other bytes under the name, and the other organization needs the room.
    let mut other = Publisher::new(stage.context.clone(), "globex", 6, Oracle::new(&rules));
    tokio::time::sleep(IDLE).await;
    publish_until_loaded(&mut other, &aggregator).await;
    stage
        .store_as(&acme.to_string(), b"not the component")
        .await;
    tokio::time::sleep(IDLE).await;
    let refused = "ratchet_refused_modules_total{org=\"acme\",reason=\"module-digest\"}";
    let until = Instant::now() + LOADED_WITHIN;
    while aggregator.metric(refused).await < 1.0 {
        assert!(Instant::now() < until, "what the store has is not refused");
        publisher.publish_for(Duration::from_millis(500), 50).await;
    }
    assert_eq!(aggregator.status("acme").await["level"], "baseline");
    stage.settle(1).await;
    for publisher in [publisher, other] {
        let output = collect(&stage.context, &publisher.org).await;
        assert_same(&output.points, &publisher.oracle.outcomes());
    }
    aggregator.kill().await;
}
