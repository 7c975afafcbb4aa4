//! Producers whose clocks are wrong, and points that come too late: no window is disturbed, nothing
//! disappears.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures::StreamExt;
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::Aggregate;
use serde_json::Value;

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Point, Publisher};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_ahead_closes_nobodys_window() {
    let stage = Stage::new().await;
    let rules = [
        rule("count", Aggregate::Count, 1, &["host"]),
        rule("sum", Aggregate::Sum, 2, &["host"]),
    ];
    stage.configure("acme", now_ms() - 60_000, &rules).await;
    let aggregator = stage.aggregator().await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 8, Oracle::new(&rules));
    for round in 0..120 {
        // Far more than the lateness of 1.5 s, and back again.
        publisher.skew_ms = [0, 0, 5_000, -700][round % 4];
        publisher.publish().await;
        tokio::time::sleep(Duration::from_millis(25)).await;
        // Whoever publishes ticks, they count with the server's clock.
        for partition in 0..4 {
            let tick = stage
                .context
                .publish(format!("tick.{partition}"), "9".into());
            tick.await.unwrap().await.unwrap();
        }
    }
    stage.settle(8).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    assert_eq!(late(&stage).await, []);
    aggregator.kill().await;
}

/// How long a window waits that nobody was told to wait for.
const WINDOW_MS: i64 = 4_000;

/// Waits until so much of a window has passed; returns its start.
async fn phase_of_a_window(ms: i64) -> i64 {
    let left = (ms - now_ms()).rem_euclid(WINDOW_MS);
    tokio::time::sleep(Duration::from_millis(left as u64)).await;
    now_ms().div_euclid(WINDOW_MS) * WINDOW_MS
}

/// By default a window waits as long as it is itself, no less and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_flag_a_window_waits_as_long_as_it_is() {
    let stage = Stage::with_lateness(None).await;
    let rules = [rule("sum", Aggregate::Sum, 4, &["host"])];
    stage.configure("acme", now_ms() - 60_000, &rules).await;
    let aggregator = stage.aggregator().await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 9, Oracle::new(&rules));
    publisher
        .publish_for(Duration::from_millis(4_500), 20)
        .await;
    // More than half a window after the one before has ended, and the one before that has closed.
    let start_ms = phase_of_a_window(2_200).await;
    let sent = async |ts: i64| {
        let sent = stage.context.publish("ingest.acme", message(ts).into());
        sent.await.unwrap().await.unwrap();
    };
    let (open_ms, closed_ms) = (start_ms - 500, start_ms - WINDOW_MS - 500);
    sent(open_ms).await;
    sent(closed_ms).await;
    publisher.oracle.message(&points(open_ms));
    stage.settle(4).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    let late = late(&stage).await;
    let names: Vec<_> = late.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names, ["Ratchet-Late"]);
    let told: Value = serde_json::from_str(&late[0].1).unwrap();
    assert_eq!(told["windows"][0]["start_ms"], start_ms - 2 * WINDOW_MS);
    aggregator.kill().await;
}

/// The header and body length of every message of LATE, by header name.
async fn late(stage: &Stage) -> Vec<(String, String, usize)> {
    let stream = stage.context.get_stream("LATE").await.unwrap();
    let consumer = stream
        .create_consumer(OrderedConfig::default())
        .await
        .unwrap();
    let left = consumer.cached_info().num_pending as usize;
    let messages = consumer.messages().await.unwrap();
    let told = |message: async_nats::jetstream::Message| {
        let headers = message.headers.as_ref().unwrap();
        let named = |name: &str| Some((name.to_owned(), headers.get(name)?.as_str().to_owned()));
        let (name, value) = named("Ratchet-Late").or(named("Ratchet-Refused")).unwrap();
        (name, value, message.payload.len())
    };
    messages
        .take(left)
        .map(|message| told(message.unwrap()))
        .collect()
        .await
}

fn points(ts: i64) -> [Point; 3] {
    ["a", "b", "a"].map(|host| Point {
        tags: vec![("host", host.to_owned()), ("env", "prod".to_owned())],
        ts,
        value: 1.0,
    })
}

fn message(ts: i64) -> Vec<u8> {
    let mut builder = MessageBuilder::new();
    for Point { tags, ts, value } in points(ts) {
        builder.point("cpu", &tags, ts, value).unwrap();
    }
    builder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_points_are_offered_once() {
    let stage = Stage::new().await;
    let rules = [
        rule("long", Aggregate::Sum, 60, &["host"]),
        rule("short", Aggregate::Sum, 1, &["host"]),
    ];
    stage.configure("acme", now_ms() - 600_000, &rules).await;
    let aggregator = stage.aggregator().await;
    let late_ms = now_ms() / 60_000 * 60_000 - 10_000;
    let bodies = [
        (message(late_ms), "Ratchet-Late"),
        (message(now_ms() + 3_600_000), "Ratchet-Refused"),
        (message(now_ms() - 10_800_000), "Ratchet-Refused"),
    ];
    for (body, _) in &bodies {
        let sent = stage.context.publish("ingest.acme", body.clone().into());
        sent.await.unwrap().await.unwrap();
    }
    stage.settle(1).await;
    // What was read since the last checkpoint is read a second time.
    aggregator.kill().await;
    let aggregator = stage.aggregator().await;
    stage.settle(1).await;
    let told = late(&stage).await;
    let shapes: Vec<_> = told
        .iter()
        .map(|(name, _, bytes)| (name.as_str(), *bytes))
        .collect();
    let expected: Vec<_> = bodies
        .iter()
        .map(|(body, name)| (*name, body.len()))
        .collect();
    assert_eq!(shapes, expected);
    assert_eq!(
        (told[1].1.as_str(), told[2].1.as_str()),
        ("future", "ancient")
    );
    let windows: Value = serde_json::from_str(&told[0].1).unwrap();
    let windows = windows["windows"].as_array().unwrap();
    let points: BTreeMap<_, _> = windows
        .iter()
        .map(|window| {
            (
                window["rule"].as_str().unwrap(),
                window["points"].as_i64().unwrap(),
            )
        })
        .collect();
    // The minute before has closed too, unless it has just ended.
    assert_eq!(points["short"], 3);
    assert!(windows
        .iter()
        .all(|w| w["start_ms"].as_i64().unwrap() <= late_ms));
    aggregator.kill().await;
}
