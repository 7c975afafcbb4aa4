//! Points that come by the gateway, up to the values that are emitted.

use ratchet_rules::{Aggregate, Rule};
use serde_json::{json, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::output::{assert_same, collect};
use crate::process::free_address;
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Point, Publisher};

/// The gateway within an aggregator.
pub const ANONYMOUS: [&str; 2] = ["--ingest-anonymous", "acme"];

fn rules() -> [Rule; 2] {
    [
        rule("sum", Aggregate::Sum, 1, &["host"]),
        rule("max", Aggregate::Max, 2, &["zone"]),
    ]
}

/// Sends points by OTLP, as JSON.
pub struct Sender {
    pub at: String,
    pub source: Publisher,
}

impl Sender {
    /// Points of now, whose values survive being written as JSON.
    pub fn points(&mut self) -> Vec<Point> {
        let mut points = self.source.draw_points();
        for point in &mut points {
            point.value = point.value.trunc();
        }
        points
    }

    /// The status and the body of the answer; `None` if there was none.
    pub async fn send(&self, points: &[Point]) -> Option<(u16, String)> {
        post(&self.at, &export(points).to_string()).await
    }
}

fn export(points: &[Point]) -> Value {
    let text =
        |(key, value): &(&str, String)| json!({ "key": key, "value": { "stringValue": value } });
    let point = |point: &Point| {
        json!({
            "timeUnixNano": (point.ts * 1_000_000).to_string(),
            "asDouble": point.value,
            "attributes": point.tags.iter().map(text).collect::<Vec<_>>(),
        })
    };
    let points: Vec<_> = points.iter().map(point).collect();
    let metric = json!({ "name": "cpu", "gauge": { "dataPoints": points } });
    json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric] }] }] })
}

async fn post(at: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(at).await.ok()?;
    let length = body.len();
    let head = format!(
        "POST /v1/metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A point whose sender's clock is wrong is refused alone: the others of its request count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wrong_clock_costs_no_other_point() {
    let stage = Stage::new().await;
    stage.configure("acme", now_ms() - 60_000, &rules()).await;
    let at = free_address();
    let widest = [
        "--ingest-ahead-max-s",
        "299",
        "--ingest-behind-max-s",
        "7199",
    ];
    let flags = [&["--ingest-http", &at], &ANONYMOUS[..], &widest[..]].concat();
    let aggregator = stage.aggregator_with(&flags).await;
    let source = Publisher::new(stage.context.clone(), "acme", 11, Oracle::new(&rules()));
    let mut sender = Sender { at, source };
    for (after_ms, refused) in [
        (0, None),
        (298_000, None),
        (301_000, Some("future: 1")),
        (-7_190_000, None),
        (-7_201_000, Some("too-old: 1")),
    ] {
        let honest = sender.points();
        let mut sent = honest.clone();
        let mut wrong = honest[0].clone();
        // Of no rule: what is within reach changes no value here, whenever its window closes.
        wrong.tags.clear();
        wrong.ts = now_ms() + after_ms;
        sent.push(wrong);
        let (status, told) = sender.send(&sent).await.expect("an answer");
        assert_eq!(status, 200, "{told}");
        match refused {
            Some(reason) => assert!(told.contains(reason), "{after_ms}: {told}"),
            None => assert!(!told.contains("rejected"), "{after_ms}: {told}"),
        }
        sender.source.oracle.message(&honest);
    }
    stage.settle(2).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &sender.source.oracle.outcomes());
    for reason in ["future", "ancient"] {
        let series = format!("ratchet_refused_messages_total{{org=\"acme\",reason=\"{reason}\"}}");
        assert_eq!(aggregator.metric(&series).await, 0.0, "{reason}");
    }
    aggregator.kill().await;
}
