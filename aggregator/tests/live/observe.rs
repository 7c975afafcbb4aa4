//! What is told of the process: figures against an oracle, and readiness.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use prometheus_parse::{Scrape, Value};
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::{Aggregate, Rule};

use crate::process::Aggregator;
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher, POINTS};
use crate::trust::{marked_baseline, tampered_baseline};

/// Traps on live messages, which have 50 points; the smoke message has fewer.
const TRAP: &str = "(if (i32.gt_u (local.get $points) (i32.const 40)) (then unreachable))";
/// Faults of a module until it is demoted.
const FAULTS_MAX: f64 = 3.0;

/// Samples by their name and labels, as `name{a="x",b="y"}`, labels in order of their names.
type Samples = BTreeMap<String, f64>;

/// Scrapes, and parses every line; buckets are left out.
async fn scrape(aggregator: &Aggregator) -> Samples {
    let (status, text) = aggregator.get("/metrics").await.unwrap();
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"), "{text}");
    let parsed = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let mut samples = Samples::new();
    for sample in parsed.samples {
        let value = match sample.value {
            Value::Gauge(value) | Value::Counter(value) | Value::Untyped(value) => value,
            Value::Histogram(_) | Value::Summary(_) => continue,
        };
        let suffixes = ["_total", "_count", "_sum"].into_iter();
        let family = suffixes.filter_map(|suffix| sample.metric.strip_suffix(suffix));
        let helped = family
            .chain([&*sample.metric])
            .any(|name| parsed.docs.contains_key(name));
        assert!(helped, "{} has no help", sample.metric);
        let mut labels: Vec<String> = sample
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        labels.sort();
        let labels = match labels.join(",") {
            none if none.is_empty() => none,
            some => format!("{{{some}}}"),
        };
        let twice = samples.insert(format!("{}{labels}", sample.metric), value);
        assert_eq!(twice, None, "{}{labels} twice", sample.metric);
    }
    let told = |line: &&str| !line.starts_with('#') && !line.contains("_bucket{");
    assert_eq!(text.lines().filter(told).count(), samples.len(), "{text}");
    samples
}

/// What the oracle's outcomes say of rules: points that matched, aggregated points, groups.
fn by_rule(oracle: &Oracle) -> BTreeMap<String, (u64, u64, u64)> {
    let mut rules: BTreeMap<String, (u64, u64, HashSet<_>)> = BTreeMap::new();
    for ((rule, _, tags), (_, count)) in oracle.outcomes() {
        let (matched, emitted, groups) = rules.entry(rule).or_default();
        *matched += count;
        *emitted += 1;
        groups.insert(tags);
    }
    let counted = rules
        .into_iter()
        .map(|(rule, (m, e, groups))| (rule, (m, e, groups.len() as u64)));
    counted.collect()
}

/// A message of `points` points of `env:prod` at a moment.
fn message(ts: i64, points: usize) -> Vec<u8> {
    let mut builder = MessageBuilder::new();
    for _ in 0..points {
        let tags = [("host", "a"), ("env", "prod")];
        builder.point("cpu", &tags, ts, 1.0).unwrap();
    }
    builder.finish().unwrap()
}

async fn send(stage: &Stage, org: &str, body: Vec<u8>) {
    let sent = stage.context.publish(format!("ingest.{org}"), body.into());
    sent.await.unwrap().await.unwrap();
}

/// Messages of an organization with a module of its own: good, then one that traps.
async fn traffic(stage: &Stage, rules: &[Rule]) -> Publisher {
    let configuration = stage.configure("acme", now_ms() - 60_000, rules).await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 5, Oracle::new(rules));
    publisher.publish_for(Duration::from_secs(1), 20).await;
    let good = marked_baseline("good");
    stage.promote(configuration, 1, &good).await;
    publisher.publish_for(Duration::from_secs(1), 20).await;
    let trapping = tampered_baseline(TRAP);
    stage.promote(configuration, 2, &trapping).await;
    publisher.publish_for(Duration::from_secs(1), 20).await;
    publisher
}

/// Two organizations beyond the limit of labels.
async fn others(stage: &Stage, rules: &[Rule]) -> Vec<Publisher> {
    let mut others = Vec::new();
    for org in ["beta", "gamma"] {
        stage.configure(org, now_ms() - 60_000, rules).await;
        let oracle = Oracle::new(rules);
        let mut publisher = Publisher::new(stage.context.clone(), org, 9, oracle);
        publisher.publish_for(Duration::from_millis(500), 20).await;
        others.push(publisher);
    }
    others
}

fn check(samples: &Samples, series: &str, expected: f64) {
    let found = samples.get(series).copied();
    assert_eq!(found, Some(expected), "{series} of {samples:#?}");
}

/// Points of one message that came behind every window.
const LATE: usize = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_those_of_the_oracle() {
    let stage = Stage::new().await;
    let rules = [
        rule("mean", Aggregate::Avg, 2, &["zone"]),
        rule("sum", Aggregate::Sum, 1, &["host"]),
    ];
    let aggregator = stage.aggregator_with(&["--metrics-orgs", "1"]).await;
    let publisher = traffic(&stage, &rules).await;
    let others = others(&stage, &rules[1..]).await;
    stage.settle(2).await;
    send(&stage, "acme", b"RTP1".to_vec()).await;
    send(&stage, "nobody", message(now_ms(), 1)).await;
    send(&stage, "acme", message(now_ms() - 30_000, LATE)).await;
    stage.settle(2).await;
    let samples = scrape(&aggregator).await;
    check_points(&samples, &publisher);
    check_modules(&samples, &publisher);
    check_others(&samples, &others);
    check_process(&samples);
    aggregator.kill().await;
}

/// What became of the points of an organization with a label of its own.
fn check_points(samples: &Samples, publisher: &Publisher) {
    let messages = (publisher.messages + 1) as f64;
    check(samples, "ratchet_messages_total{org=\"acme\"}", messages);
    let points = publisher.messages as usize * POINTS + LATE;
    check(samples, "ratchet_points_total{org=\"acme\"}", points as f64);
    let mut groups = 0;
    for (rule, (matched, emitted, of_rule)) in by_rule(&publisher.oracle) {
        let of = |name: &str| format!("ratchet_{name}_points_total{{org=\"acme\",rule={rule:?}}}");
        check(samples, &of("matched"), matched as f64);
        check(samples, &of("emitted"), emitted as f64);
        check(samples, &of("late"), LATE as f64);
        check(samples, &of("overflow"), 0.0);
        groups += of_rule;
    }
    check(samples, "ratchet_groups{org=\"acme\"}", groups as f64);
    check(samples, "ratchet_rules{org=\"acme\"}", 2.0);
    check(samples, "ratchet_open_windows{org=\"acme\"}", 0.0);
    check(samples, "ratchet_accumulators{org=\"acme\"}", 0.0);
    assert!(samples["ratchet_state_bytes{org=\"acme\"}"] > 0.0);
    let refused = |org: &str, reason: &str| {
        format!("ratchet_refused_messages_total{{org={org:?},reason={reason:?}}}")
    };
    check(samples, &refused("acme", "too-short"), 1.0);
    check(samples, &refused("unknown", "unconfigured"), 1.0);
}

/// A good module, then one that traps until it is demoted.
fn check_modules(samples: &Samples, publisher: &Publisher) {
    let runs = (publisher.messages + 1) as f64 - FAULTS_MAX;
    check(samples, "ratchet_message_seconds_count{org=\"acme\"}", runs);
    let points = (runs - 1.0) * POINTS as f64 + LATE as f64;
    check(samples, "ratchet_module_points_total{org=\"acme\"}", points);
    assert!(samples["ratchet_message_seconds_sum{org=\"acme\"}"] > 0.0);
    let faults = "ratchet_module_faults_total{org=\"acme\",reason=\"trap\"}";
    check(samples, faults, FAULTS_MAX);
    check(samples, "ratchet_demotions_total{org=\"acme\"}", 1.0);
    check(samples, "ratchet_active_version{org=\"acme\"}", 0.0);
    check(samples, "ratchet_swaps_total{org=\"acme\"}", 2.0);
    check(samples, "ratchet_swap_seconds_count", 2.0);
    // Two swaps and the demotion.
    check(samples, "ratchet_swap_pause_seconds_count", 3.0);
}

/// Organizations beyond the limit are told together.
fn check_others(samples: &Samples, others: &[Publisher]) {
    let messages: u64 = others.iter().map(|other| other.messages).sum();
    check(
        samples,
        "ratchet_messages_total{org=\"other\"}",
        messages as f64,
    );
    let rules = others.iter().map(|other| by_rule(&other.oracle)["sum"]);
    let add = |a: (u64, u64, u64), b: (u64, u64, u64)| (a.0 + b.0, a.1 + b.1, a.2 + b.2);
    let (matched, emitted, groups) = rules.fold((0, 0, 0), add);
    let of = |name: &str| format!("ratchet_{name}_points_total{{org=\"other\",rule=\"other\"}}");
    check(samples, &of("matched"), matched as f64);
    check(samples, &of("emitted"), emitted as f64);
    check(samples, "ratchet_groups{org=\"other\"}", groups as f64);
    let named = samples
        .keys()
        .filter(|name| name.contains("beta") || name.contains("gamma"));
    assert_eq!(named.count(), 0, "organizations beyond the limit are named");
}

fn check_process(samples: &Samples) {
    for partition in 0..4 {
        let of = |name: &str| format!("ratchet_{name}{{partition=\"{partition}\"}}");
        check(samples, &of("lag_messages"), 0.0);
        let lag = samples[&of("lag_seconds")];
        assert!((0.0..5.0).contains(&lag), "{lag}");
    }
    assert!(samples["ratchet_window_age_seconds_count"] > 0.0);
    assert!(samples["ratchet_publish_seconds_count"] > 0.0);
}

/// Waits for an answer of `/readyz`; returns what it says.
async fn readyz(aggregator: &Aggregator, expected: u16) -> String {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let (status, body) = aggregator.get("/readyz").await.expect("an answer");
        if status == expected {
            return body;
        }
        assert!(Instant::now() < until, "{status}: {body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_tells_what_is_missing() {
    let mut stage = Stage::new().await;
    let aggregator = stage.aggregator_with(&["--ready-lag", "2s"]).await;
    assert_eq!(
        readyz(&aggregator, 200).await,
        r#"{"missing":[],"ready":true}"#
    );
    stage.server.kill().await;
    let missing = readyz(&aggregator, 503).await;
    assert!(missing.contains("NATS is not connected"), "{missing}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let missing = readyz(&aggregator, 503).await;
    assert!(missing.contains("s behind, more than 2 s"), "{missing}");
    let (status, live) = aggregator.get("/livez").await.unwrap();
    assert_eq!((status, &*live), (200, r#"{"live":true}"#));
    stage.server.restart().await;
    readyz(&aggregator, 200).await;
    aggregator.kill().await;
}
