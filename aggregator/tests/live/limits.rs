//! Organizations beyond limits of their own: what is dropped is counted, what is not is exact, and
//! a neighbour of the same partition loses nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::{Aggregate, Rule};

use crate::neighbours::neighbours;
use crate::output::{assert_same, collect};
use crate::process::Aggregator;
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Key, Oracle, Outcome, Point, Publisher};

const WINDOW_S: u32 = 4;
/// Longer than it takes to publish all points of a window.
const LATENESS: Duration = Duration::from_secs(6);
const SERVED_WITHIN: Duration = Duration::from_secs(30);

/// Hosts that have room, and the group of all points.
const HOSTS: usize = 5;
const SERIES: usize = HOSTS + 1;
const MEMORY_MIB: usize = 1;
/// Not all of them have room, but most.
const MANY_HOSTS: usize = 8_000;
/// A message of more points has too many for any ten seconds, one of half of them never.
const POINTS_PER_SECOND: usize = 4;

fn rules() -> [Rule; 2] {
    [
        rule("all", Aggregate::Count, WINDOW_S, &[]),
        rule("hosts", Aggregate::Sum, WINDOW_S, &["host"]),
    ]
}

/// An organization whose points all lie in one window.
struct Sender {
    org: String,
    ts: i64,
    oracle: Oracle,
    messages: usize,
}

impl Sender {
    fn new(org: &str) -> Self {
        Self {
            org: org.to_owned(),
            ts: now_ms(),
            oracle: Oracle::new(&rules()),
            messages: 0,
        }
    }

    /// Publishes a message of one point for each host.
    async fn publish(&mut self, stage: &Stage, hosts: Range<usize>) {
        let points = self.publish_untold(stage, hosts).await;
        self.oracle.message(&points);
    }

    /// The same, of points that should count for nothing.
    async fn publish_untold(&mut self, stage: &Stage, hosts: Range<usize>) -> Vec<Point> {
        let point = |host: usize| Point {
            tags: vec![("env", "prod".to_owned()), ("host", name(host))],
            ts: self.ts,
            value: 0.1 + host as f64,
        };
        let points: Vec<Point> = hosts.map(point).collect();
        let mut builder = MessageBuilder::new();
        for point in &points {
            let Point { tags, ts, value } = point;
            builder.point("cpu", tags, *ts, *value).unwrap();
        }
        let body = builder.finish().unwrap().into();
        let sent = stage.context.publish(format!("ingest.{}", self.org), body);
        sent.await.unwrap().await.unwrap();
        self.messages += 1;
        points
    }

    /// Waits until the messages that were not refused are served.
    async fn is_served(&self, aggregator: &Aggregator) {
        let of = |name: &str| format!("ratchet_{name}_total{{org=\"{}\"", self.org);
        let served = format!("{}}}", of("messages"));
        let refused = format!("{},reason=\"points-per-second\"}}", of("refused_messages"));
        let until = Instant::now() + SERVED_WITHIN;
        loop {
            let (served, refused) =
                tokio::join!(aggregator.metric(&served), aggregator.metric(&refused));
            if (served + refused) as usize == self.messages {
                return;
            }
            assert!(Instant::now() < until, "{}: {served}, {refused}", self.org);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// As long as any other, so that each needs as much memory.
fn name(host: usize) -> String {
    format!("host-{host:05}")
}

/// Points that were dropped, by organization and reason, as `/metrics` tells them.
async fn dropped(aggregator: &Aggregator) -> BTreeMap<String, f64> {
    let (_, text) = aggregator.get("/metrics").await.unwrap();
    let dropped = text.lines().filter_map(|line| {
        let (labels, points) = line
            .strip_prefix("ratchet_dropped_points_total")?
            .split_once(' ')?;
        Some((labels.to_owned(), points.parse().unwrap()))
    });
    dropped.collect()
}

/// Splits what should come of points by whether it is a value of a group that had room.
fn split(
    outcomes: BTreeMap<Key, Outcome>,
    has_room: impl Fn(&Key) -> bool,
) -> (BTreeMap<Key, Outcome>, f64) {
    let (kept, lost): (BTreeMap<_, _>, BTreeMap<_, _>) =
        outcomes.into_iter().partition(|(key, _)| has_room(key));
    let points: u64 = lost.values().map(|(_, count)| count).sum();
    (kept, points as f64)
}

/// Five hosts, then more of them that find no room, and those of before again.
async fn beyond_series(stage: &Stage, org: &str) -> Sender {
    let mut sender = Sender::new(org);
    for hosts in [
        0..HOSTS,
        0..2 * HOSTS,
        3..4 * HOSTS,
        HOSTS..HOSTS + 2,
        0..HOSTS,
    ] {
        sender.publish(stage, hosts).await;
    }
    sender
}

/// More groups than fit, then those of the beginning again.
async fn beyond_memory(stage: &Stage, org: &str) -> Sender {
    let mut sender = Sender::new(org);
    for first in (0..MANY_HOSTS).step_by(MANY_HOSTS / 4) {
        sender.publish(stage, first..first + MANY_HOSTS / 4).await;
    }
    sender.publish(stage, 0..MANY_HOSTS / 4).await;
    sender
}

/// Messages that are too large for any ten seconds, between others.
async fn beyond_points(stage: &Stage, org: &str) -> Sender {
    let most = POINTS_PER_SECOND * 10;
    let mut sender = Sender::new(org);
    sender.publish_untold(stage, 0..most + 1).await;
    sender.publish(stage, 0..most / 2).await;
    sender.publish_untold(stage, 0..most + 2).await;
    sender.publish(stage, 0..most / 2).await;
    sender
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_exceeds_a_limit_is_dropped_and_counted_and_no_neighbour_loses_a_point() {
    let stage = Stage::with_lateness(LATENESS).await;
    let orgs = neighbours(["free", "series", "memory", "points"]);
    let [free, series, memory, points] = &orgs;
    let limits = serde_json::json!({ "organizations": {
        series: { "series": SERIES },
        memory: { "memory_mib": MEMORY_MIB },
        points: { "points_per_second": POINTS_PER_SECOND },
    } });
    let file = stage.directory.path().join("limits.json");
    std::fs::write(&file, limits.to_string()).unwrap();
    for org in &orgs {
        stage.configure(org, now_ms() - 60_000, &rules()).await;
    }
    let flags = ["--tenant-limits", file.to_str().unwrap()];
    let aggregator = stage.aggregator_with(&flags).await;
    let oracle = Oracle::new(&rules());
    let mut neighbour = Publisher::new(stage.context.clone(), free, 31, oracle);
    let ((), by_series, by_memory, by_points) = tokio::join!(
        neighbour.publish_for(Duration::from_secs(3), 20),
        beyond_series(&stage, series),
        beyond_memory(&stage, memory),
        beyond_points(&stage, points),
    );
    for sender in [&by_series, &by_memory, &by_points] {
        sender.is_served(&aggregator).await;
    }
    let held = format!("ratchet_state_bytes{{org=\"{memory}\"}}");
    let held = aggregator.metric(&held).await as usize;
    assert!(
        held > 0 && held <= MEMORY_MIB << 20,
        "{held} bytes of state"
    );
    stage.settle(WINDOW_S.into()).await;

    let emitted = collect(&stage.context, free).await.points;
    assert_same(&emitted, &neighbour.oracle.outcomes());
    // The group of all points was there first, so it has every point.
    let of_first = |(rule, _, tags): &Key| rule == "all" || tags[0].1 < name(HOSTS);
    let (kept, beyond_series) = split(by_series.oracle.outcomes(), of_first);
    assert_same(&collect(&stage.context, series).await.points, &kept);
    // Which groups have room is for the merge to say; those that do have every point.
    let emitted = collect(&stage.context, memory).await.points;
    let is_emitted = |key: &Key| emitted.contains_key(key);
    let (kept, beyond_memory) = split(by_memory.oracle.outcomes(), is_emitted);
    assert_same(&emitted, &kept);
    assert!(kept.len() > MANY_HOSTS / 4 && beyond_memory > 0.0);
    let emitted = collect(&stage.context, points).await.points;
    assert_same(&emitted, &by_points.oracle.outcomes());
    let beyond_points = 2 * (POINTS_PER_SECOND * 10) + 3;

    let labels = |org: &str, reason: &str| format!("{{org=\"{org}\",reason=\"{reason}\"}}");
    let expected = [
        (labels(series, "series"), beyond_series),
        (labels(memory, "memory"), beyond_memory),
        (labels(points, "points-per-second"), beyond_points as f64),
    ];
    assert_eq!(dropped(&aggregator).await, BTreeMap::from(expected));
    aggregator.kill().await;
}
