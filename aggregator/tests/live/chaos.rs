//! SIGKILL of aggregators, of NATS and of both, in a loop at random moments.
//!
//! `RATCHET_CHAOS_SECONDS` makes it longer, `RATCHET_CHAOS_SEED` repeats one.

use std::time::{Duration, Instant};

use crate::load::Load;
use crate::process::Aggregator;
use crate::stage::Stage;

const SECONDS: u64 = 30;
/// Longer than NATS is ever away: what comes late for that reason is still in time.
const LATENESS: Duration = Duration::from_secs(10);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Two aggregators, either of which may be down.
struct Cast {
    names: [&'static str; 2],
    running: [Option<Aggregator>; 2],
}

impl Cast {
    async fn kill(&mut self, which: usize) {
        if let Some(aggregator) = self.running[which].take() {
            aggregator.kill().await;
        }
    }

    fn revive(&mut self, stage: &Stage, which: usize) {
        let name = self.names[which];
        self.running[which].get_or_insert_with(|| stage.spawn_in(name));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_anything_at_any_time_changes_no_value() {
    let seed = number("RATCHET_CHAOS_SEED").unwrap_or_else(|| crate::traffic::now_ms() as u64);
    let seconds = number("RATCHET_CHAOS_SECONDS").unwrap_or(SECONDS);
    eprintln!("chaos: {seconds} s, RATCHET_CHAOS_SEED={seed}");
    let mut random = Random(seed | 1);
    let mut stage = Stage::with_lateness(LATENESS).await;
    let configured = Load::configure(&stage).await;
    let mut cast = Cast {
        names: ["first", "second"],
        running: [
            Some(stage.aggregator_in("first").await),
            Some(stage.aggregator_in("second").await),
        ],
    };
    let load = Load::start(&stage.context, configured, 20);
    let (started, mut kills) = (Instant::now(), [0; 3]);
    while started.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_millis(200 + random.below(3_000))).await;
        // Each kind at least once, however short it is.
        let first = kills.iter().position(|count| *count == 0);
        let what = first.unwrap_or_else(|| random.below(4) as usize);
        let which = random.below(2) as usize;
        kills[what.min(2)] += 1;
        match what {
            0 => cast.kill(which).await,
            1 => stage.server.restart().await,
            _ => {
                cast.kill(which).await;
                stage.server.restart().await;
            }
        }
        // Sometimes the survivor works alone for a while, sometimes nobody does.
        if random.below(3) > 0 {
            cast.revive(&stage, which);
        }
        if random.below(2) > 0 {
            cast.revive(&stage, 1 - which);
        }
    }
    eprintln!("chaos: {kills:?} kills of an aggregator, of NATS, of both");
    assert!(kills.iter().all(|count| *count > 0), "{kills:?}");
    cast.revive(&stage, 0);
    cast.revive(&stage, 1);
    for aggregator in cast.running.iter().flatten() {
        aggregator.serves(2).await;
    }
    load.balance(&stage).await;
    cast.kill(0).await;
    cast.kill(1).await;
}
