//! Modules that tenants bring: served where the deployment allows it, refused where not.

use ratchet_rules::Aggregate;
use serde_json::{json, Value};

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};
use crate::trust::marked_baseline;

/// More than a component may have that is built here.
const LARGE: usize = 5 << 20;

/// A component of some size: a custom section at its end makes it so.
fn large_baseline() -> Vec<u8> {
    let mut component = marked_baseline("large");
    let mut left = LARGE;
    component.push(0);
    while left >= 0x80 {
        component.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    component.push(left as u8);
    component.push(0);
    component.resize(component.len() + LARGE - 1, 7);
    component
}

/// What the statement of a submitted module says otherwise.
fn foreign(mut statement: Value) -> Value {
    let predicate = &mut statement["predicate"];
    predicate["source"] = Value::Null;
    predicate["toolchain"] = Value::Null;
    predicate["mutation"] =
        json!({ "mutator": "submitted", "operator": "guest.wasm", "prompt": null });
    predicate["proof"] = json!({ "verdict": "foreign" });
    statement
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_module_serves_where_it_may() {
    let stage = Stage::new().await;
    let rules = [rule("sum", Aggregate::Sum, 1, &["host"])];
    let configuration = stage.configure("acme", now_ms() - 60_000, &rules).await;
    let aggregator = stage.aggregator().await;
    let module = stage.store(&large_baseline()).await;
    let claim = stage.claim(configuration, 1, Some(module));
    let envelope = stage.keys.envelope(&foreign(claim.statement()));
    stage.activate("acme", envelope.clone()).await;
    let refused = stage.event("refused", |_| true).await;
    assert_eq!(refused["reason"], "foreign-module", "{refused}");
    assert_eq!(aggregator.terminate().await, Some(0));

    let aggregator = stage.aggregator_with(&["--wasi", "empty"]).await;
    stage.event("swapped", |event| event["version"] == 1).await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 1, Oracle::new(&rules));
    for _ in 0..20 {
        publisher.publish().await;
    }
    stage.settle(1).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    assert_eq!(aggregator.status("acme").await["level"], "tenant");
    // The same bytes, told as built here, are too large.
    let built = stage.claim(configuration, 2, Some(module));
    stage
        .activate("acme", stage.keys.envelope(&built.statement()))
        .await;
    let refused = stage.event("refused", |event| event["version"] == 2).await;
    assert_eq!(refused["reason"], "module-size", "{refused}");
    assert_eq!(aggregator.terminate().await, Some(0));
}
