//! Measurements of the whole process on one partition, not checks:
//! `cargo test --release -p ratchet-aggregator --test live -- --ignored --nocapture throughput`.

use std::time::{Duration, Instant};

use ratchet_aggregator::checkpoint::{Checkpoint, Checkpoints, Origin};
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::{Aggregate, Filter, Rule};

use crate::stage::Stage;
use crate::traffic::now_ms;

const MESSAGES: u32 = 8_000;
const POINTS: u32 = 200;
const SETS_PER_MESSAGE: u64 = 50;
const SERIES: u64 = 10_000;
const KEYS: [&str; 10] = [
    "service", "host", "pod", "zone", "env", "team", "version", "route", "status", "shard",
];
/// How many values each key has.
const VALUES: [u64; 10] = [100, 2000, 5000, 6, 3, 20, 40, 200, 8, 64];

/// Workload A: a rule a service.
fn services() -> Vec<Rule> {
    let rule = |i: u32| Rule {
        id: format!("svc-{i:03}").into_bytes().into(),
        metric: b"cpu"[..].into(),
        aggregate: Aggregate::Sum,
        window_ms: 30_000,
        group_by: Vec::new(),
        filter: Filter::Eq(
            b"service"[..].into(),
            format!("service-{i}").into_bytes().into(),
        ),
    };
    (0..100).map(rule).collect()
}

/// Workload B: a rule a combination of one, two or three keys.
fn combinations() -> Vec<Rule> {
    let mut groups: Vec<Vec<usize>> = (0..10).map(|a| vec![a]).collect();
    groups.extend((0..10).flat_map(|a| (a + 1..10).map(move |b| vec![a, b])));
    let triples = (0..10).flat_map(|a| (a + 1..10).map(move |b| (a, b)));
    groups.extend(triples.flat_map(|(a, b)| (b + 1..10).map(move |c| vec![a, b, c])));
    let aggregates = [Aggregate::Sum, Aggregate::Max, Aggregate::Avg];
    let rule = |(i, group): (usize, &Vec<usize>)| Rule {
        id: format!("combo-{i:03}").into_bytes().into(),
        metric: b"cpu"[..].into(),
        aggregate: aggregates[i % 3],
        window_ms: 30_000,
        group_by: group
            .iter()
            .map(|key| KEYS[*key].as_bytes().into())
            .collect(),
        filter: Filter::All,
    };
    groups.iter().take(100).enumerate().map(rule).collect()
}

fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^ (x >> 29)
}

fn message(n: u32) -> Vec<u8> {
    let ts = now_ms();
    let mut builder = MessageBuilder::new();
    for point in 0..POINTS {
        let draw = mix((u64::from(n) << 20) | (u64::from(point) % SETS_PER_MESSAGE));
        let series = mix(draw % SERIES);
        let value = |key: usize| (mix(series + key as u64)) % VALUES[key];
        let tags: Vec<(&str, String)> = (0..10)
            .map(|key| (KEYS[key], format!("{}-{}", KEYS[key], value(key))))
            .collect();
        builder
            .point("cpu", &tags, ts, mix(u64::from(point) ^ draw) as f64 / 1e9)
            .unwrap();
    }
    builder.finish().unwrap()
}

/// Stores messages, a bounded number at a time; how long that took.
async fn publish(stage: &Stage, bodies: Vec<Vec<u8>>) -> Duration {
    let started = Instant::now();
    let mut acks = Vec::new();
    for body in bodies {
        let sent = stage.context.publish("ingest.acme", body.into()).await;
        acks.push(sent.unwrap());
        if acks.len() >= 256 {
            for ack in acks.drain(..) {
                ack.await.unwrap();
            }
        }
    }
    for ack in acks {
        ack.await.unwrap();
    }
    started.elapsed()
}

async fn measure(name: &str, rules: Vec<Rule>) {
    let stage = Stage::new().await;
    stage.configure("acme", now_ms() - 60_000, &rules).await;
    let bodies: Vec<Vec<u8>> = (0..MESSAGES).map(message).collect();
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    let published = publish(&stage, bodies).await.as_secs_f64();
    let aggregator = stage.aggregator().await;
    let done = || aggregator.metric("ratchet_messages_total{org=\"acme\"}");
    let cpu = || aggregator.metric("ratchet_process_cpu_seconds_total");
    let (started, cpu_before, done_before) = (Instant::now(), cpu().await, done().await);
    while done().await < f64::from(MESSAGES) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let messages = f64::from(MESSAGES) - done_before;
    let per_message = |seconds: f64| 1e6 * seconds / messages;
    let wall = per_message(started.elapsed().as_secs_f64());
    let process = per_message(cpu().await - cpu_before);
    let status = aggregator.status("acme").await;
    let records = aggregator
        .metric("ratchet_records_total{org=\"acme\"}")
        .await;
    eprintln!(
        "{name}: {messages} messages of {} bytes, {:.0} records a message; µs a message: \
         {:.1} to store it, then {wall:.1} wall, {process:.1} CPU of the process, {} in the guest \
         (baseline)",
        bytes / MESSAGES as usize,
        records / f64::from(MESSAGES),
        1e6 * published / f64::from(MESSAGES),
        status["us_per_message"],
    );
    aggregator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn throughput_of_a_and_b() {
    measure("A", services()).await;
    measure("B", combinations()).await;
}

/// How large the checkpoint of a partition is, and how long saving it takes, when every one of so
/// many organizations has a time of its own and parts of four partitions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn checkpoints_of_many_organizations() {
    const SAVES: usize = 200;
    let stage = Stage::new().await;
    let bucket = stage.context.get_key_value("checkpoints").await.unwrap();
    let checkpoints = Checkpoints::new(bucket);
    for (partition, organizations) in (0..).zip([0, 100, 2_500, 5_000]) {
        let origin = Origin {
            stream: "INGEST".to_owned(),
            created_ms: now_ms(),
            last_sequence: 1,
        };
        let mut checkpoint = Checkpoint::new(&origin);
        for n in 0..organizations {
            let org = format!("organization-{n}");
            checkpoint.times_ms.insert(org.clone(), now_ms());
            let parts = (0..4).map(|partition| (partition, now_ms())).collect();
            checkpoint.parts_ms.insert(org, parts);
        }
        let bytes = serde_json::to_vec(&checkpoint).unwrap().len();
        let (mut revision, mut times) = (0, Vec::new());
        for _ in 0..SAVES {
            let started = Instant::now();
            let saved = checkpoints.save(partition, &checkpoint, revision).await;
            revision = saved.unwrap();
            times.push(started.elapsed());
        }
        times.sort();
        let (median, p99) = (times[SAVES / 2], times[SAVES * 99 / 100]);
        eprintln!("{organizations} organizations: {bytes} bytes, saved in {median:?}, p99 {p99:?}");
    }
}
