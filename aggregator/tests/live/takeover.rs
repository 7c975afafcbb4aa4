//! Partitions that move between aggregators under load: nothing lost, nothing doubled.

use std::time::Duration;

use crate::load::Load;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_move_with_those_who_come_and_go() {
    let stage = Stage::new().await;
    let configured = Load::configure(&stage).await;
    let first = stage.aggregator_in("first").await;
    let load = Load::start(&stage.context, configured, 20);
    tokio::time::sleep(Duration::from_secs(2)).await;
    // One comes: it is handed its share, without waiting for anything to run out.
    let second = stage.aggregator_in("second").await;
    let joined = second.serves(2).await;
    first.serves(2).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let third = stage.aggregator_in("third").await;
    third.serves(1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // One dies.
    first.kill().await;
    let killed = second.serves(2).await.max(third.serves(2).await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    third.kill().await;
    second.serves(4).await;
    // One comes back, and the other one leaves in good order.
    let first = stage.aggregator_in("first").await;
    first.serves(2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(second.terminate().await, Some(0));
    let left = first.serves(4).await;
    eprintln!("moved after: joining {joined:?}, killing {killed:?}, leaving {left:?}");
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
