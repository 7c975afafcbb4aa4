//! An organization whose series are spread over partitions: its windows are folded in the order of
//! the partitions, each once, also while the spread changes and aggregators die.

use std::time::Duration;

use ratchet_aggregator::identity::Org;
use ratchet_aggregator::spread::{home, sources};
use ratchet_rules::{Aggregate, Rule};

use crate::output::{assert_same, collect};
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};

const PARTITIONS: u32 = 4;
const SPREAD: u32 = 3;
const LONGEST_WINDOW_S: u64 = 4;

fn rules() -> [Rule; 3] {
    [
        rule("avg", Aggregate::Avg, 1, &["zone", "host"]),
        rule("max", Aggregate::Max, 4, &[]),
        rule("sum", Aggregate::Sum, 2, &["host"]),
    ]
}

/// A publisher a partition that the organization is ever in, in their order.
fn publishers(stage: &Stage, org: &Org) -> Vec<Publisher> {
    let publisher = |partition| {
        let oracle = Oracle::new(&rules());
        let seed = 300 + u64::from(partition);
        Publisher::new(stage.context.clone(), org.as_str(), seed, oracle).into_partition(partition)
    };
    let sources = sources(org, SPREAD, PARTITIONS);
    sources.into_iter().map(publisher).collect()
}

/// Publishes to some of the partitions in turn.
async fn publish(publishers: &mut [Publisher], to: impl Fn(usize) -> bool, seconds: u64) {
    let until = tokio::time::Instant::now() + Duration::from_secs(seconds);
    while tokio::time::Instant::now() < until {
        for (index, publisher) in publishers.iter_mut().enumerate() {
            if to(index) {
                publisher.publish().await;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spread_organization_has_exact_windows() {
    let stage = Stage::new().await;
    let acme = Org::parse("acme").unwrap();
    let mut publishers = publishers(&stage, &acme);
    let at_home = sources(&acme, SPREAD, PARTITIONS);
    let at_home = at_home.iter().position(|p| *p == home(&acme, PARTITIONS));
    let at_home = at_home.unwrap();
    stage.configure("acme", now_ms() - 60_000, &rules()).await;
    let first = stage.aggregator_in("first").await;
    let second = stage.aggregator_in("second").await;
    second.serves(2).await;
    publish(&mut publishers, |index| index == at_home, 3).await;
    // From a moment on it is spread; points of windows that began before still go home.
    let spread_from_ms = now_ms() + 1_500;
    stage
        .configure_spread("acme", spread_from_ms, &rules(), SPREAD)
        .await;
    let still = LONGEST_WINDOW_S + 1;
    publish(&mut publishers, |index| index == at_home, still).await;
    publish(&mut publishers, |_| true, 3).await;
    let kill = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        first.kill().await;
        second.serves(4).await;
        let first = stage.aggregator_in("first").await;
        first.serves(2).await;
        second.kill().await;
        first.serves(4).await;
        first
    };
    let (first, ()) = tokio::join!(kill, publish(&mut publishers, |_| true, 9));
    // And together again: everything goes home from when it is said.
    let rules = rules();
    let (_, ()) = tokio::join!(
        stage.configure("acme", now_ms() + 3_000, &rules),
        publish(&mut publishers, |index| index == at_home, 8)
    );
    stage.settle(LONGEST_WINDOW_S).await;
    let output = collect(&stage.context, "acme").await;
    let mut expected = Oracle::new(&rules);
    publishers
        .iter()
        .for_each(|part| expected.fold(&part.oracle));
    assert_same(&output.points, &expected.outcomes());
    assert!(publishers.iter().all(|part| part.messages > 100));
    first.kill().await;
}

/// Why a message was refused that is offered on a subject, as soon as it is.
async fn offered(stage: &Stage, subject: &str) -> Option<String> {
    let late = stage.context.get_stream("LATE").await.unwrap();
    for _ in 0..300 {
        if let Ok(offered) = late.get_last_raw_message_by_subject(subject).await {
            return Some(offered.headers.get("Ratchet-Refused")?.to_string());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    None
}

/// A partition that the organization is not in counts nothing, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_the_wrong_partition_is_offered() {
    let stage = Stage::new().await;
    let acme = Org::parse("acme").unwrap();
    stage
        .configure_spread("acme", now_ms() + 1_000, &rules(), SPREAD)
        .await;
    let aggregator = stage.aggregator().await;
    aggregator.serves(4).await;
    let wrong = (0..PARTITIONS).find(|p| !sources(&acme, SPREAD, PARTITIONS).contains(p));
    let wrong = wrong.unwrap();
    let oracle = Oracle::new(&rules());
    let mut lost = Publisher::new(stage.context.clone(), "acme", 5, oracle).into_partition(wrong);
    // Windows of a second that begin after the spread does.
    tokio::time::sleep(Duration::from_secs(2)).await;
    lost.publish().await;
    let offered = offered(&stage, &format!("late.acme.{wrong}")).await;
    assert_eq!(offered.as_deref(), Some("misrouted"));
    stage.settle(LONGEST_WINDOW_S).await;
    let refused = "ratchet_refused_messages_total{org=\"acme\",reason=\"misrouted\"}";
    assert_eq!(aggregator.metric(refused).await, 1.0);
    assert!(collect(&stage.context, "acme").await.points.is_empty());
    aggregator.kill().await;
}
