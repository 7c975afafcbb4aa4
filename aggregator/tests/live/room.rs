//! INGEST as it fills: what is done with is removed, and nothing that was acknowledged is.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream;
use clap::Parser;
use ratchet_ingest::{IngestSettings, Servers};
use ratchet_rules::{Aggregate, Rule};

use crate::gateway::{Sender, ANONYMOUS};
use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};

/// Room for some hundred requests.
const ROOM: i64 = 800_000;
const WITHIN: Duration = Duration::from_secs(60);
const LOST: &str = "ratchet_ingest_lost_messages_total";

fn rules() -> [Rule; 2] {
    [
        rule("avg", Aggregate::Avg, 2, &["zone"]),
        rule("sum", Aggregate::Sum, 1, &["host"]),
    ]
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    ingest: IngestSettings,
    #[command(flatten)]
    servers: Servers,
}

/// A gateway that is no aggregator.
async fn gateway(stage: &Stage) -> (ratchet_ingest::Running, Sender) {
    let own = ["gateway", "--ingest-http", "127.0.0.1:0"];
    let nats = ["--nats-url", &stage.server.url];
    let flags = Flags::parse_from(own.iter().chain(&nats).chain(&ANONYMOUS));
    let running = ratchet_ingest::start(&flags.ingest, &flags.servers, None, None).await;
    let running = running.unwrap();
    let until = Instant::now() + WITHIN;
    while !running.is_ready() {
        assert!(Instant::now() < until, "the gateway does not reach NATS");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let source = Publisher::new(stage.context.clone(), "acme", 21, Oracle::new(&rules()));
    let at = running.http.unwrap().to_string();
    (running, Sender { at, source })
}

async fn ingest(stage: &Stage) -> stream::Info {
    let stream = stage.context.get_stream("INGEST").await.unwrap();
    stream.cached_info().clone()
}

/// Whether the stream took a request; then the oracle knows it.
async fn is_taken(sender: &mut Sender) -> bool {
    let points = sender.points();
    let (status, told) = sender.send(&points).await.expect("an answer");
    if status == 200 {
        sender.source.oracle.message(&points);
        return true;
    }
    assert!(
        status == 503 && told.contains("stream is full"),
        "{status}: {told}"
    );
    false
}

async fn send_until(sender: &mut Sender, taken: bool) {
    let until = Instant::now() + WITHIN;
    while is_taken(sender).await != taken {
        assert!(Instant::now() < until, "it stays {}", !taken);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Requests differ in size: a small one may be taken before.
async fn drained_beyond(stage: &Stage, first_sequence: u64) {
    let until = Instant::now() + WITHIN;
    while ingest(stage).await.state.first_sequence <= first_sequence {
        assert!(Instant::now() < until, "nothing is removed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stream_is_told_to_senders_and_drained() {
    let stage = Stage::new().await;
    let config = ingest(&stage).await.config;
    let config = stream::Config {
        max_bytes: ROOM,
        ..config
    };
    stage.context.update_stream(config).await.unwrap();
    stage.configure("acme", now_ms() - 60_000, &rules()).await;
    let aggregator = stage.aggregator().await;
    let (running, mut sender) = gateway(&stage).await;
    for _ in 0..50 {
        assert!(is_taken(&mut sender).await, "there is room at first");
    }
    // Twice: it is drained as often as it fills.
    for _ in 0..2 {
        aggregator.pause().await;
        send_until(&mut sender, false).await;
        let full = ingest(&stage).await.state;
        assert!(full.bytes > ROOM as u64 / 2, "{full:?}");
        aggregator.wake().await;
        drained_beyond(&stage, full.first_sequence).await;
        send_until(&mut sender, true).await;
    }
    stage.settle(2).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &sender.source.oracle.outcomes());
    assert_eq!(aggregator.metric(LOST).await, 0.0);
    running.stop().await;
    aggregator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_removes_unread_is_counted() {
    let stage = Stage::new().await;
    stage.configure("acme", now_ms() - 60_000, &rules()).await;
    let aggregator = stage.aggregator().await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 22, Oracle::new(&rules()));
    publisher.publish().await;
    stage.settle(2).await;
    assert_eq!(aggregator.terminate().await, Some(0));
    for _ in 0..5 {
        publisher.publish_untold().await;
    }
    let stream = stage.context.get_stream("INGEST").await.unwrap();
    stream.purge().await.unwrap();
    let aggregator = stage.aggregator().await;
    assert!(aggregator.metric(LOST).await >= 5.0);
    publisher.publish().await;
    stage.settle(2).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    aggregator.kill().await;
}
