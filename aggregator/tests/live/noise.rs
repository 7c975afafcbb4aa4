//! One organization at a hundred times the load of another for a while, by way of the gateway: more
//! than its partition can aggregate. What the other one notices of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures::StreamExt;
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::{Aggregate, Rule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gateway::Sender;
use crate::neighbours::neighbours;
use crate::output::{assert_same, collect};
use crate::process::{free_address, Aggregator};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher, POINTS};

const TOKENS: &str = r#"[{"org":"noisy","role":"producer","token_sha256":
    "5af5f742e46e354dd757617913d752c549bedd1d71a815642826f27998c35461"}]"#;
/// Each of the quiet one has so many points, and goes out so often.
const QUIET_EVERY: Duration = Duration::from_millis(500);
const NOISY_EVERY: Duration = Duration::from_millis(100);
const NOISY_POINTS: usize = 100 * POINTS * NOISY_EVERY.as_millis() as usize / 500;
/// So many that a second of it takes the partition several, however it was compiled.
const NOISY_RULES: usize = if cfg!(debug_assertions) { 4_000 } else { 8_000 };
const IDLE: Duration = Duration::from_secs(8);
/// Windows that end so shortly before the noise may be emitted while there is some.
const BEFORE_MS: i64 = 4_000;
const NOISE: Duration = Duration::from_secs(15);
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(1);
/// How much later than without noise a window may be emitted. It takes the noisy one many times
/// as long.
const LATER_MS: i64 = 3_000;

fn quiet_rules() -> [Rule; 2] {
    [
        rule("max", Aggregate::Max, 2, &["zone"]),
        rule("sum", Aggregate::Sum, 1, &["host"]),
    ]
}

fn noisy_rules() -> Vec<Rule> {
    let rule = |n: usize| {
        let none = format!("none-{n}");
        rule(&format!("r{n:03}"), Aggregate::Sum, 1, &["host", &none])
    };
    (0..NOISY_RULES).map(rule).collect()
}

/// So many points of the noisy one.
pub fn noise(points: usize) -> Vec<u8> {
    let mut builder = MessageBuilder::new();
    let ts = now_ms();
    for point in 0..points {
        // No tags come again, so that nothing that is remembered makes it cheap.
        let (host, own) = (format!("h{}", point % 50), format!("{ts}-{point}"));
        let tags = [("host", host.as_str()), ("env", "prod"), ("own", &own)];
        builder.point("cpu", &tags, ts, point as f64).unwrap();
    }
    builder.finish().unwrap()
}

/// One message of the noisy one; the status of the answer.
pub async fn send_noise(at: &str, points: usize) -> std::io::Result<String> {
    let body = noise(points);
    let mut stream = TcpStream::connect(at).await?;
    let length = body.len();
    let head = format!(
        "POST /api/v1/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         authorization: Bearer token-of-noisy\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.split(' ').nth(1).unwrap_or_default().to_owned())
}

/// Sends until it is stopped; how many messages that were.
async fn make_noise(at: String, stop: Arc<AtomicBool>) -> usize {
    let mut interval = tokio::time::interval(NOISY_EVERY);
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        interval.tick().await;
        assert_eq!(send_noise(&at, NOISY_POINTS).await.unwrap(), "204");
        sent += 1;
    }
    sent
}

/// Sends for a while; how long each request took to be acknowledged.
pub async fn send_for(sender: &mut Sender, duration: Duration) -> Vec<Duration> {
    let mut interval = tokio::time::interval(QUIET_EVERY);
    let until = Instant::now() + duration;
    let mut took = Vec::new();
    while Instant::now() < until {
        interval.tick().await;
        let points = sender.points();
        let began = Instant::now();
        let (status, told) = sender.send(&points).await.expect("an answer");
        took.push(began.elapsed());
        assert_eq!(status, 200, "{told}");
        sender.source.oracle.message(&points);
    }
    took
}

/// How long after their ends windows were emitted, by these ends, as the streams' clock tells it.
async fn delays_ms(stage: &Stage, org: &str) -> Vec<(i64, i64)> {
    let stream = stage.context.get_stream("AGGREGATES").await.unwrap();
    let config = OrderedConfig {
        filter_subject: format!("aggregates.{org}"),
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.unwrap();
    let left = consumer.cached_info().num_pending as usize;
    let messages = consumer.messages().await.unwrap().take(left);
    let delay = |message: Result<async_nats::jetstream::Message, _>| {
        let message = message.unwrap();
        let end_ms = message.headers.as_ref().unwrap().get("Ratchet-Window-End");
        let end_ms: i64 = end_ms.unwrap().as_str().parse().unwrap();
        let published = message.info().unwrap().published;
        (
            end_ms,
            (published.unix_timestamp_nanos() / 1_000_000) as i64 - end_ms,
        )
    };
    messages.map(delay).collect().await
}

/// Two organizations of one partition, and their gateway.
pub struct Street {
    pub stage: Stage,
    pub noisy: String,
    pub quiet: String,
    pub aggregator: Aggregator,
    /// Of the quiet one.
    pub sender: Sender,
}

impl Street {
    pub async fn new(seed: u64) -> Self {
        let stage = Stage::new().await;
        let [noisy, quiet] = neighbours(["noisy", "quiet"]);
        let from_ms = now_ms() - 60_000;
        stage.configure(&noisy, from_ms, &noisy_rules()).await;
        stage.configure(&quiet, from_ms, &quiet_rules()).await;
        let at = free_address();
        let aggregator = gateway(&stage, &quiet, &at).await;
        let oracle = Oracle::new(&quiet_rules());
        let source = Publisher::new(stage.context.clone(), &quiet, seed, oracle);
        Self {
            sender: Sender { at, source },
            stage,
            noisy,
            quiet,
            aggregator,
        }
    }
}

/// An aggregator that takes in points of the quiet one without a token.
async fn gateway(stage: &Stage, quiet: &str, at: &str) -> Aggregator {
    let tokens = stage.directory.path().join("ingest.json");
    std::fs::write(&tokens, TOKENS).unwrap();
    let tokens = tokens.to_str().unwrap();
    let own = ["--ingest-http", at, "--ingest-anonymous", quiet];
    stage
        .aggregator_with(&[&own[..], &["--ingest-tokens", tokens]].concat())
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_times_the_load_for_a_while_is_hardly_noticed_by_a_neighbour() {
    let Street {
        stage,
        noisy,
        quiet,
        aggregator,
        mut sender,
    } = Street::new(51).await;
    let at = sender.at.clone();
    send_for(&mut sender, IDLE).await;
    let noise_ms = now_ms();
    let stop = Arc::new(AtomicBool::new(false));
    let noise = tokio::spawn(make_noise(at, stop.clone()));
    let mut took = send_for(&mut sender, NOISE).await;
    stop.store(true, Ordering::Relaxed);
    let sent = noise.await.unwrap();
    let series = format!("ratchet_messages_total{{org=\"{noisy}\"}}");
    let served = aggregator.metric(&series).await as usize;
    stage.settle(2).await;
    took.sort();
    let (slowest, delays) = (took[took.len() * 99 / 100], delays_ms(&stage, &quiet).await);
    let greatest = |of_noise: bool| {
        let those = delays
            .iter()
            .filter(|(end_ms, _)| (*end_ms > noise_ms - BEFORE_MS) == of_noise);
        those.map(|(_, delay_ms)| *delay_ms).max().unwrap()
    };
    let (idle_ms, busy_ms) = (greatest(false), greatest(true));
    eprintln!(
        "{served} of {sent} served; acknowledged within {slowest:?}, {} requests; emitted \
        {idle_ms} ms after a window's end, with noise {busy_ms} ms",
        took.len()
    );
    assert!(
        served < sent / 2,
        "{served} of {sent}: the partition keeps up"
    );
    assert!(
        slowest < ACKNOWLEDGED_WITHIN,
        "acknowledged after {slowest:?}"
    );
    assert!(
        busy_ms < idle_ms + LATER_MS,
        "emitted after {busy_ms} ms, idle {idle_ms} ms"
    );
    let output = collect(&stage.context, &quiet).await;
    assert_same(&output.points, &sender.source.oracle.outcomes());
    aggregator.kill().await;
}
