//! From points to a receiver and to answers: an aggregator, and a forwarder as a process.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use axum::Router;
use prost::Message as _;
use ratchet_output::remote::WriteRequest;
use ratchet_rules::Aggregate;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::output::collect;
use crate::process::{free_address, get};
use crate::stage::Stage;
use crate::traffic::{rule, Key, Oracle, Publisher};

/// SHA-256 of "token".
const TOKENS: &str = r#"[{"org":"acme","role":"viewer","token_sha256":
    "3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0"}]"#;

type Received = Arc<Mutex<BTreeMap<Key, u64>>>;

async fn receive(State(received): State<Received>, body: Bytes) {
    let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    for series in WriteRequest::decode(&plain[..]).unwrap().timeseries {
        let (mut tags, mut name) = (Vec::new(), String::new());
        for label in series.labels {
            match label.name.as_str() {
                "__name__" => name = label.value,
                "org" => assert_eq!(label.value, "acme"),
                _ => tags.push((label.name, label.value)),
            }
        }
        let mut received = received.lock().unwrap();
        for sample in series.samples {
            let key = (name.clone(), sample.timestamp, tags.clone());
            received.insert(key, sample.value.to_bits());
        }
    }
}

/// With the end of a window of so many seconds instead of its start.
fn stamped(key: &Key, windows: &[(&str, i64)]) -> Key {
    let (rule, start_ms, tags) = key;
    let window = windows.iter().find(|(id, _)| id == rule).unwrap().1;
    (rule.clone(), start_ms + 1000 * window, tags.clone())
}

/// `aggregator forward`, with queries; it ends when it is dropped.
fn forwarder(stage: &Stage, url: &str, http: &str, query: &str) -> Child {
    let tokens = stage.directory.path().join("tokens.json");
    std::fs::write(&tokens, TOKENS).unwrap();
    Command::new(env!("CARGO_BIN_EXE_aggregator"))
        .args(["forward", "--nats-url", &stage.server.url, "--http", http])
        .args(["--remote-write", url, "--query-http", query])
        .arg("--query-tokens")
        .arg(&tokens)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn points_reach_a_receiver_and_whoever_asks() {
    let stage = Stage::new().await;
    let rules = [
        rule("total", Aggregate::Sum, 2, &["host"]),
        rule("mean", Aggregate::Avg, 4, &["zone"]),
    ];
    stage.configure("acme", 0, &rules).await;
    let aggregator = stage.aggregator().await;
    let received = Received::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/write", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/write", post(receive))
        .with_state(received.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let (http, query) = (free_address(), free_address());
    let _forwarder = forwarder(&stage, &url, &http, &query);
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 7, Oracle::new(&rules));
    publisher.publish_for(Duration::from_secs(6), 20).await;
    stage.settle(4).await;
    let expected = publisher.oracle.outcomes();
    assert_eq!(collect(&stage.context, "acme").await.points, expected);
    let expected: BTreeMap<Key, u64> = expected
        .iter()
        .map(|(key, (bits, _))| (stamped(key, &[("total", 2), ("mean", 4)]), *bits))
        .collect();
    assert_eq!(*received.lock().unwrap(), expected);
    let (status, ready) = get(&http, "/readyz", "").await.unwrap();
    assert_eq!(status, 200, "{ready}");
    let (_, metrics) = get(&http, "/metrics", "").await.unwrap();
    let samples = format!(
        "ratchet_remote_write_samples_total{{org=\"acme\"}} {}",
        expected.len()
    );
    assert!(metrics.contains(&samples), "{samples} is not in\n{metrics}");
    let ((_, at_ms, _), _) = expected
        .iter()
        .rev()
        .find(|((r, ..), _)| r == "total")
        .unwrap();
    let path = format!("/api/v1/query?query=total&time={}", *at_ms as f64 / 1000.0);
    let (status, _) = get(&query, &path, "").await.unwrap();
    assert_eq!(status, 401);
    let (_, answer) = get(&query, &path, "authorization: Bearer token\r\n")
        .await
        .unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let newest = expected
        .keys()
        .filter(|(r, ts, _)| r == "total" && ts == at_ms);
    let rows = answer["data"]["result"].as_array().unwrap();
    for key in newest {
        let labels = key.2.iter().map(|(k, v)| (k.clone(), v.as_str().into()));
        let mut labels: serde_json::Map<_, serde_json::Value> = labels.collect();
        labels.insert("__name__".to_owned(), "total".into());
        let labels = serde_json::Value::Object(labels);
        let row = rows.iter().find(|row| row["metric"] == labels);
        let row = row.unwrap_or_else(|| panic!("no row of {labels} in {answer}"));
        let value: f64 = row["value"][1].as_str().unwrap().parse().unwrap();
        assert_eq!(value.to_bits(), expected[key], "{row}");
    }
    aggregator.kill().await;
}
