//! Partitions that move between aggregators under load: nothing lost, nothing doubled.

use std::time::{Duration, Instant};

use futures::StreamExt;

use crate::load::Load;
use crate::process::LEASE_TTL;
use crate::stage::Stage;

/// How long a partition may take to move. Who is silent for a `LEASE_TTL` is dead to the others,
/// who look six times as often. One that itself stood still for a while (this machine is busy)
/// starts to count anew, so that makes two; and who came too late with taking a lease tries again
/// a second after. What is left is for starting to read, and for asking how far it is. With the
/// default lease of 4 s that would be 11 s; the usual is a little more than one lease.
const MOVED_WITHIN: Duration = LEASE_TTL
    .saturating_mul(2)
    .saturating_add(Duration::from_secs(3));

/// Waits until so many have told that they are there.
async fn members(stage: &Stage, count: usize) {
    let leases = stage.context.get_key_value("leases").await.unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let keys = leases.keys().await.unwrap();
        let is_member = |key: &String| key.starts_with("member.");
        let keys: Vec<String> = keys.map(Result::unwrap).collect().await;
        if keys.iter().filter(|key| is_member(key)).count() == count {
            return;
        }
        assert!(Instant::now() < until, "{keys:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_move_with_those_who_come_and_go() {
    let stage = Stage::new().await;
    let configured = Load::configure(&stage).await;
    let first = stage.aggregator_in("first").await;
    let load = Load::start(&stage.context, configured, 20);
    tokio::time::sleep(Duration::from_secs(2)).await;
    // One comes: it is handed its share, without waiting for anything to run out.
    let second = stage.spawn_in("second");
    members(&stage, 2).await;
    let joined = second.serves(2).await;
    first.serves(2).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let third = stage.aggregator_in("third").await;
    third.serves(1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // One dies.
    let before = Instant::now();
    first.kill().await;
    second.serves(2).await;
    third.serves(2).await;
    let killed = before.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;
    third.kill().await;
    second.serves(4).await;
    // One comes back, and the other one leaves in good order.
    let first = stage.aggregator_in("first").await;
    first.serves(2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Instant::now();
    assert_eq!(second.terminate().await, Some(0));
    first.serves(4).await;
    let left = before.elapsed();
    eprintln!("moved after: joining {joined:?}, killing {killed:?}, leaving {left:?}");
    for (how, moved) in [("joining", joined), ("killing", killed), ("leaving", left)] {
        assert!(moved < MOVED_WITHIN, "{how}: moved after {moved:?}");
    }
    load.balance(&stage).await;
    first.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_changes_nothing() {
    let stage = Stage::new().await;
    let configured = Load::configure(&stage).await;
    let first = stage.aggregator_in("first").await;
    let second = stage.aggregator_in("second").await;
    second.serves(2).await;
    let load = Load::start(&stage.context, configured, 20);
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        first.pause().await;
        second.serves(4).await;
        // Long enough for the other one to emit what the paused one had in hand.
        tokio::time::sleep(Duration::from_secs(4)).await;
        first.wake().await;
        first.serves(2).await;
    }
    // The other way round, and the one that wakes up is killed at once.
    second.pause().await;
    first.serves(4).await;
    second.wake().await;
    second.kill().await;
    let lost = first.metric("ratchet_partitions_lost_total").await;
    assert!(lost > 0.0, "what was paused had lost its partitions");
    load.balance(&stage).await;
    first.kill().await;
}

/// Both find leases under their old names, of which they should serve a part only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_start_again_at_once_share_everything() {
    let stage = Stage::new().await;
    let first = stage.aggregator_in("first").await;
    let second = stage.aggregator_in("second").await;
    second.serves(2).await;
    second.kill().await;
    first.serves(4).await;
    first.kill().await;
    let (first, second) = (stage.spawn_in("first"), stage.spawn_in("second"));
    first.serves(2).await;
    second.serves(2).await;
    first.kill().await;
    second.kill().await;
}
