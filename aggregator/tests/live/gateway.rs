//! Points that come by the gateway, up to the values that are emitted.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use ratchet_rules::{Aggregate, Rule};
use serde_json::{json, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::output::{assert_same, collect};
use crate::process::{free_address, get, Aggregator};
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
    let data = json!({ "dataPoints": data_points(points) });
    of_metric(&json!({ "name": "cpu", "gauge": data }))
}

fn of_metric(metric: &Value) -> Value {
    json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric] }] }] })
}

fn data_points(points: &[Point]) -> Vec<Value> {
    let text =
        |(key, value): &(&str, String)| json!({ "key": key, "value": { "stringValue": value } });
    let point = |point: &Point| {
        json!({
            "timeUnixNano": (point.ts * 1_000_000).to_string(),
            "asDouble": point.value,
            "attributes": point.tags.iter().map(text).collect::<Vec<_>>(),
        })
    };
    points.iter().map(point).collect()
}

pub async fn post(at: &str, body: &str) -> Option<(u16, String)> {
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

const SPREAD: u32 = 3;

/// A gateway as a process of its own, for another organization; it ends when it is dropped.
async fn gateway_of(stage: &Stage, org: &str) -> (Child, String) {
    let (http, at) = (free_address(), free_address());
    // Of the servers of a cluster, one is down.
    let servers = format!("nats://127.0.0.1:1,{}", stage.server.url);
    let child = Command::new(env!("CARGO_BIN_EXE_aggregator"))
        .args(["gateway", "--nats-url", &servers, "--http", &http])
        .args(["--ingest-http", &at, "--ingest-anonymous", org])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while !matches!(get(&http, "/readyz", "").await, Some((200, _))) {
        assert!(Instant::now() < until, "the gateway is not ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for path in ["/livez", "/healthz"] {
        let answer = get(&http, path, "").await;
        assert!(matches!(answer, Some((200, _))), "{path}: {answer:?}");
    }
    (child, at)
}

async fn send_for(senders: &mut [Sender], seconds: u64) {
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        for sender in &mut *senders {
            let points = sender.points();
            let (status, told) = sender.send(&points).await.expect("an answer");
            assert_eq!(status, 200, "{told}");
            sender.source.oracle.message(&points);
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// The partitions that have messages of an organization.
async fn partitions(stage: &Stage, org: &str) -> usize {
    let stream = stage.context.get_stream("INGEST").await.unwrap();
    let subjects = stream.info_with_subjects(format!("ingest.*.{org}")).await;
    subjects.unwrap().count().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_of_a_spread_organization_go_to_its_partitions() {
    let stage = Stage::new().await;
    let orgs = ["acme", "globex"];
    for org in orgs {
        stage.configure(org, now_ms() - 60_000, &rules()).await;
    }
    let at = free_address();
    let flags = [&["--ingest-http", &at], &ANONYMOUS[..]].concat();
    let aggregator = stage.aggregator_with(&flags).await;
    let (_gateway, alone) = gateway_of(&stage, "globex").await;
    let sender = |(org, at): (&str, String)| {
        let oracle = Oracle::new(&rules());
        let source = Publisher::new(stage.context.clone(), org, 31, oracle);
        Sender { at, source }
    };
    let mut senders = [("acme", at), ("globex", alone)].map(sender);
    send_for(&mut senders, 2).await;
    for org in orgs {
        assert_eq!(partitions(&stage, org).await, 1);
        let soon = now_ms() + 2_000;
        stage.configure_spread(org, soon, &rules(), SPREAD).await;
    }
    send_for(&mut senders, 8).await;
    for org in orgs {
        assert_eq!(partitions(&stage, org).await, SPREAD as usize, "{org}");
        // And together again.
        stage.configure(org, now_ms() + 2_000, &rules()).await;
    }
    send_for(&mut senders, 6).await;
    stage.settle(2).await;
    for (org, sender) in orgs.iter().zip(&senders) {
        let output = collect(&stage.context, org).await;
        assert_same(&output.points, &sender.source.oracle.outcomes());
        let refused =
            format!("ratchet_refused_messages_total{{org=\"{org}\",reason=\"misrouted\"}}");
        assert_eq!(aggregator.metric(&refused).await, 0.0);
    }
    aggregator.kill().await;
}

/// Longer than nobody is there.
const PATIENT: Duration = Duration::from_secs(10);

/// An aggregator with a gateway at an address.
async fn aggregator_at(stage: &Stage, state: &str, at: &str) -> Aggregator {
    // A total whose series is not known counts whole: if one were forgotten, it would show.
    let first = ["--ingest-first-point", "keep"];
    let flags = [&["--ingest-http", at][..], &ANONYMOUS, &first].concat();
    let (directory, url) = (stage.directory.path(), &stage.server.url);
    let mut aggregator = Aggregator::spawn_with(directory, state, url, Some(PATIENT), &flags);
    aggregator.is_up(directory).await;
    aggregator
}

/// What a sender makes of points that it draws: those that count, and a request with them.
type Requests = dyn FnMut(Vec<Point>) -> (Vec<Point>, Value) + Send;

/// Sends as agents do: the same request again, to whoever is there, until it is acknowledged.
async fn send_until_stopped(
    mut sender: Sender,
    gates: [String; 2],
    mut requests: Box<Requests>,
    stop: Arc<AtomicBool>,
) -> (Oracle, u64) {
    let mut again = 0;
    let mut gate = gates.iter().cycle();
    while !stop.load(Ordering::Relaxed) {
        let (points, request) = requests(sender.points());
        let request = request.to_string();
        for gate in &mut gate {
            match post(gate, &request).await {
                Some((200, told)) => {
                    assert!(!told.contains("rejected"), "{told}");
                    break;
                }
                Some((503, _)) | None => again += 1,
                Some((status, told)) => panic!("{status}: {told}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        sender.source.oracle.message(&points);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (sender.source.oracle, again)
}

/// SIGKILL of the process that acknowledges, while it does.
async fn whoever_acknowledges_is_killed(requests: Box<Requests>) {
    let stage = Stage::with_lateness(PATIENT).await;
    stage.configure("acme", now_ms() - 60_000, &rules()).await;
    let gates = [free_address(), free_address()];
    let names = ["first", "second"];
    let mut running = Vec::new();
    for (name, gate) in names.iter().zip(&gates) {
        running.push(aggregator_at(&stage, name, gate).await);
    }
    let source = Publisher::new(stage.context.clone(), "acme", 41, Oracle::new(&rules()));
    let sender = Sender {
        at: gates[0].clone(),
        source,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let sending = send_until_stopped(sender, gates.clone(), requests, stop.clone());
    let sending = tokio::spawn(sending);
    for round in 0..6 {
        tokio::time::sleep(Duration::from_millis(700 + 130 * round as u64)).await;
        let which = usize::from(round % 3 == 2);
        running.remove(which).kill().await;
        let again = aggregator_at(&stage, names[which], &gates[which]).await;
        running.insert(which, again);
    }
    stop.store(true, Ordering::Relaxed);
    let (oracle, again) = sending.await.unwrap();
    assert!(again > 0, "nobody noticed");
    tokio::time::sleep(PATIENT + Duration::from_secs(5)).await;
    assert_same(
        &collect(&stage.context, "acme").await.points,
        &oracle.outcomes(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_acknowledges_may_be_killed() {
    let gauges = |points: Vec<Point>| {
        let request = export(&points);
        (points, request)
    };
    whoever_acknowledges_is_killed(Box::new(gauges)).await;
}

/// Totals to whichever gateway is next: what was counted in between counts once, whoever is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_outlive_whoever_took_them() {
    let mut counters = Counters::default();
    let totals = move |points| counters.count(points);
    whoever_acknowledges_is_killed(Box::new(totals)).await;
}

/// Cumulative series as an SDK keeps them.
#[derive(Default)]
struct Counters(HashMap<Vec<(&'static str, String)>, Counter>);

#[derive(Clone, Copy, Default)]
struct Counter {
    total: f64,
    ts: i64,
}

impl Counters {
    /// Counts points, and tells the totals. A series has one total at a moment.
    fn count(&mut self, mut points: Vec<Point>) -> (Vec<Point>, Value) {
        let mut totals = Vec::new();
        points.retain_mut(|point| {
            let counter = self.0.entry(point.tags.clone()).or_default();
            if point.ts <= counter.ts {
                return false;
            }
            point.value = point.value.abs();
            counter.total += point.value;
            counter.ts = point.ts;
            totals.push(Point {
                value: counter.total,
                ..point.clone()
            });
            true
        });
        let data = json!({
            "aggregationTemporality": 2,
            "isMonotonic": true,
            "dataPoints": data_points(&totals),
        });
        (points, of_metric(&json!({ "name": "cpu", "sum": data })))
    }
}
