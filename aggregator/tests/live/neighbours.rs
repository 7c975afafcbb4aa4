//! One organization at a hundred times the load of another, in the same partition.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures::StreamExt;
use ratchet_aggregator::identity::Org;
use ratchet_aggregator::spread::home;
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::{Aggregate, Rule};

use crate::stage::Stage;
use crate::traffic::{now_ms, rule};

const PARTITIONS: u32 = 4;
const QUIET_MESSAGES: usize = 10;
/// They wait in the stream before the first one of the other.
const NOISY_MESSAGES: usize = 100 * QUIET_MESSAGES;
/// So many rules and points make a message much dearer to aggregate than to read: what waits, waits
/// for its turn.
const NOISY_RULES: usize = 200;
const NOISY_POINTS: usize = 1_000;
const WINDOW_MS: i64 = 1_000;
const SERVED_WITHIN: Duration = Duration::from_secs(180);

/// Two organizations of one partition.
pub fn neighbours() -> [String; 2] {
    let home = |name: &str| home(&Org::parse(name).unwrap(), PARTITIONS);
    let quiet = (0..).map(|n| format!("quiet-{n}"));
    let quiet = { quiet }.find(|name| home(name) == home("noisy"));
    ["noisy".to_owned(), quiet.unwrap()]
}

fn rules(count: usize) -> Vec<Rule> {
    let rule = |n: usize| {
        // A tag that nothing has, so that each rule has a meaning of its own.
        let none = format!("none-{n}");
        rule(&format!("r{n:03}"), Aggregate::Sum, 1, &["host", &none])
    };
    (0..count).map(rule).collect()
}

/// Publishes messages that each close the windows of the one before.
async fn publish(stage: &Stage, org: &str, messages: usize, points: usize) {
    let first_ms = now_ms() - 3_000_000;
    for n in 0..messages {
        let mut builder = MessageBuilder::new();
        for point in 0..points {
            let host = format!("h{}", point % 4);
            let tags = [("host", host.as_str()), ("env", "prod")];
            let ts = first_ms + 3 * WINDOW_MS * n as i64;
            builder.point("cpu", &tags, ts, point as f64).unwrap();
        }
        let body = builder.finish().unwrap().into();
        let sent = stage.context.publish(format!("ingest.{org}"), body).await;
        sent.unwrap().await.unwrap();
    }
}

/// Whose windows were emitted, in the order of the stream.
async fn emitted(stage: &Stage) -> Vec<String> {
    let stream = stage.context.get_stream("AGGREGATES").await.unwrap();
    let consumer = stream.create_consumer(OrderedConfig::default()).await;
    let consumer = consumer.unwrap();
    let left = consumer.cached_info().num_pending as usize;
    let messages = consumer.messages().await.unwrap().take(left);
    let subject = |message: Result<async_nats::jetstream::Message, _>| {
        let message = message.unwrap();
        message.subject.to_string()
    };
    messages.map(subject).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_times_the_load_delays_a_neighbour_by_turns_not_by_its_backlog() {
    let stage = Stage::new().await;
    let [noisy, quiet] = neighbours();
    let from_ms = now_ms() - 7_200_000;
    stage.configure(&noisy, from_ms, &rules(NOISY_RULES)).await;
    stage.configure(&quiet, from_ms, &rules(1)).await;
    publish(&stage, &noisy, NOISY_MESSAGES, NOISY_POINTS).await;
    publish(&stage, &quiet, QUIET_MESSAGES, 1).await;
    let aggregator = stage.aggregator().await;
    let served = async |org: &str| {
        let series = format!("ratchet_messages_total{{org=\"{org}\"}}");
        aggregator.metric(&series).await as usize
    };
    let until = Instant::now() + SERVED_WITHIN;
    while served(&noisy).await < NOISY_MESSAGES || served(&quiet).await < QUIET_MESSAGES {
        assert!(Instant::now() < until, "not everything is served");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stage.settle(1).await;
    let emitted = emitted(&stage).await;
    let of_quiet = |(_, subject): &(usize, &String)| **subject == format!("aggregates.{quiet}");
    let windows: Vec<_> = emitted.iter().enumerate().filter(of_quiet).collect();
    assert_eq!(windows.len(), QUIET_MESSAGES);
    // The last one is closed by a tick, which comes after everything.
    let (last, _) = windows[QUIET_MESSAGES - 2];
    // In the order of the stream it would be nearly all of them.
    let before = last + 2 - QUIET_MESSAGES;
    assert!(
        before < NOISY_MESSAGES / 2,
        "{before} windows of the noisy one came before the last but one of the other"
    );
    assert_eq!(emitted.len(), NOISY_MESSAGES + QUIET_MESSAGES);
    aggregator.kill().await;
}
