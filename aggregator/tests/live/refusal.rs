//! Manifests that are refused: each for its own reason, while the running version goes on.

use std::time::Duration;

use ratchet_rules::Aggregate;
use ratchet_trust::{dsse, ConfigurationDigest, ModuleDigest};
use serde_json::Value;

use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};
use crate::trust::{key, marked_baseline, Claim};

/// Changes the statement within an envelope, and leaves the signatures.
fn tampered(envelope: &[u8]) -> Vec<u8> {
    let mut wire: Value = serde_json::from_slice(envelope).unwrap();
    let statement = dsse::decode(wire["payload"].as_str().unwrap()).unwrap();
    let statement = String::from_utf8(statement)
        .unwrap()
        .replace("\"ratio\":2.0", "\"ratio\":3.0");
    wire["payload"] = dsse::encode(statement.as_bytes()).into();
    wire.to_string().into_bytes()
}

/// Envelopes that must be refused, with the reason of each.
async fn refused_envelopes(stage: &Stage, good: &Claim) -> Vec<(Vec<u8>, &'static str)> {
    let keys = &stage.keys;
    let claim = |change: &dyn Fn(&mut Claim)| {
        let mut claim = good.clone();
        change(&mut claim);
        keys.envelope(&claim.statement())
    };
    let statement = good.statement();
    let absent = ModuleDigest::of(b"absent");
    let other = marked_baseline("other");
    let swapped = ModuleDigest::of(b"swapped");
    stage.store_as(&swapped.to_string(), &other).await;
    let empty_component = wat::parse_str("(component)").unwrap();
    let empty = stage.store(&empty_component).await;
    let wrong_interface = {
        let mut statement = statement.clone();
        statement["predicate"]["interface"] = "ratchet:guest@2.0.0".into();
        keys.envelope(&statement)
    };
    let version_zero = {
        let mut statement = statement.clone();
        statement["predicate"]["version"] = 0.into();
        keys.envelope(&statement)
    };
    vec![
        (b"{}".to_vec(), "malformed-envelope"),
        (vec![b' '; 70_000], "too-large"),
        (tampered(&keys.envelope(&statement)), "bad-signature"),
        (keys.sign(&statement, &[&keys.builder]), "missing-role"),
        (keys.sign(&statement, &[&keys.validator]), "missing-role"),
        (
            keys.sign(&statement, &[&keys.builder, &key(9)]),
            "unknown-key",
        ),
        (version_zero, "malformed-statement"),
        (
            claim(&|c| c.org = "globex".to_owned()),
            "wrong-organization",
        ),
        (wrong_interface, "wrong-interface"),
        (
            claim(&|c| c.configuration = ConfigurationDigest::of(b"x")),
            "unknown-configuration",
        ),
        (claim(&|c| c.version = 6), "version-too-low"),
        (claim(&|c| c.expires_at_ms = now_ms() - 1), "expired"),
        (claim(&|c| c.module = Some((absent, 5))), "module-missing"),
        (
            claim(&|c| c.module = Some((swapped, other.len()))),
            "module-digest",
        ),
        (claim(&|c| c.module = Some((swapped, 5))), "module-size"),
        (claim(&|c| c.module = Some(empty)), "module-policy"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_leave_the_running_version() {
    let stage = Stage::new().await;
    let rules = [rule("sum", Aggregate::Sum, 1, &["host"])];
    let configuration = stage.configure("acme", now_ms() - 60_000, &rules).await;
    let aggregator = stage.aggregator().await;
    let component = marked_baseline("seven");
    stage.promote(configuration, 7, &component).await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 1, Oracle::new(&rules));
    publisher.publish().await;
    let module = stage.store(&marked_baseline("eight")).await;
    let good = stage.claim(configuration, 8, Some(module));
    let mut since = 0;
    for (envelope, reason) in refused_envelopes(&stage, &good).await {
        stage.activate("acme", envelope).await;
        let at = |event: &Value| event["at"].as_i64().unwrap_or(0);
        let refused = stage.event("refused", |event| at(event) > since).await;
        assert_eq!(refused["reason"], reason, "{refused}");
        since = at(&refused);
        publisher.publish().await;
        let status = aggregator.status("acme").await;
        assert_eq!(
            (&status["version"], &status["level"]),
            (&7.into(), &"tenant".into())
        );
    }
    stage
        .activate("acme", stage.keys.envelope(&good.statement()))
        .await;
    stage.event("swapped", |event| event["version"] == 8).await;
    aggregator.kill().await;
}

/// At its start an aggregator serves no expired module; a running one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_manifest_is_not_started_with() {
    let stage = Stage::new().await;
    let rules = [rule("sum", Aggregate::Sum, 1, &["host"])];
    let configuration = stage.configure("acme", now_ms() - 60_000, &rules).await;
    let aggregator = stage.aggregator().await;
    let module = stage.store(&marked_baseline("short")).await;
    let mut claim = stage.claim(configuration, 1, Some(module));
    claim.expires_at_ms = now_ms() + 4_000;
    stage
        .activate("acme", stage.keys.envelope(&claim.statement()))
        .await;
    stage.event("swapped", |event| event["version"] == 1).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 1, Oracle::new(&rules));
    publisher.publish_for(Duration::from_millis(200), 50).await;
    assert_eq!(aggregator.status("acme").await["version"], 1);
    assert_eq!(aggregator.terminate().await, Some(0));
    let aggregator = stage.aggregator().await;
    stage
        .event("refused", |event| event["reason"] == "expired")
        .await;
    publisher.publish_for(Duration::from_millis(200), 50).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(aggregator.status("acme").await["level"], "baseline");
    aggregator.kill().await;
}
