//! So much of one organization waits that its neighbours would not be read any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::noise::{noise, send_for, send_noise, Street};
use crate::output::{assert_same, collect};
use crate::stage::Stage;

/// Some more than those at which it is a crowd.
const MESSAGES: usize = 8_000;
/// Some milliseconds' work each.
const POINTS: usize = if cfg!(debug_assertions) { 4 } else { 12 };
const AT_A_TIME: usize = 100;
const IDLE: Duration = Duration::from_secs(4);
const REFUSED_WITHIN: Duration = Duration::from_secs(30);
const TAKEN_WITHIN: Duration = Duration::from_secs(120);

/// Stores messages of the noisy one past the gateway.
async fn flood(stage: &Stage, org: &str) {
    for _ in 0..MESSAGES / AT_A_TIME {
        let publish = async || {
            let body = noise(POINTS).into();
            let sent = stage.context.publish(format!("ingest.{org}"), body).await;
            sent.unwrap().await.unwrap();
        };
        join_all((0..AT_A_TIME).map(|_| publish())).await;
    }
}

/// Sends as the noisy one until the answer is this.
async fn answered(at: &str, status: &str, within: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let answer = send_noise(at, 1).await.unwrap();
        if answer == status {
            return began.elapsed();
        }
        assert!(["204", "429"].contains(&answer.as_str()), "{answer}");
        assert!(began.elapsed() < within, "{answer}, not {status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_no_room_for_others_is_sent_away_until_there_is_some() {
    let Street {
        stage,
        noisy,
        quiet,
        aggregator,
        mut sender,
    } = Street::new(53).await;
    let at = sender.at.clone();
    send_for(&mut sender, IDLE).await;
    assert_eq!(send_noise(&at, 1).await.unwrap(), "204");
    let over = Arc::new(AtomicBool::new(false));
    let ended = over.clone();
    let neighbour = tokio::spawn(async move {
        while !ended.load(Ordering::Relaxed) {
            // It panics unless everything is taken.
            send_for(&mut sender, Duration::from_secs(1)).await;
        }
        sender
    });
    flood(&stage, &noisy).await;
    let refused = answered(&at, "429", REFUSED_WITHIN).await;
    let taken = answered(&at, "204", TAKEN_WITHIN).await;
    over.store(true, Ordering::Relaxed);
    let sender = neighbour.await.unwrap();
    eprintln!("sent away after {refused:?}, for {taken:?}");
    let labels = format!("{{org=\"{noisy}\",reason=\"behind\"}}");
    let series = format!("ratchet_ingest_refused_requests_total{labels}");
    assert!(aggregator.metric(&series).await >= 1.0);
    stage.settle(2).await;
    let output = collect(&stage.context, &quiet).await;
    assert_same(&output.points, &sender.source.oracle.outcomes());
    aggregator.kill().await;
}
