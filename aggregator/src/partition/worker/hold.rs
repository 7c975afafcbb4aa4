//! Tells gateways who crowds out its neighbours.

use std::time::Instant;

use super::super::crowd::{crowders, Share};
use super::super::turns::Turns;
use super::{Waiting, Worker};

/// Whoever sent nothing for so long, in stream time, shares nothing.
const NEIGHBOUR_MS: i64 = 60_000;

impl Worker {
    /// Where too much waits, has those held off who made it so.
    pub(super) fn hold_off(&mut self, turns: &Turns<Waiting>) {
        if !self.crowd.is_due(turns.len(), Instant::now) {
            return;
        }
        let shares: Vec<_> = turns.waiting().map(share).collect();
        let sharing = shares.len() + self.neighbours_of_those(turns);
        for org in crowders(&shares, sharing) {
            self.shared.behind.tell(org, self.place.partition);
        }
    }

    /// Who sent something lately, and has nothing waiting.
    fn neighbours_of_those(&self, turns: &Turns<Waiting>) -> usize {
        let since_ms = self.newest_tick_ms.unwrap_or(i64::MIN);
        let since_ms = since_ms.saturating_sub(NEIGHBOUR_MS);
        let lately = |heard_ms: Option<i64>| heard_ms.is_some_and(|ms| ms >= since_ms);
        let orgs = self.orgs.values().filter(|org| lately(org.heard_ms));
        orgs.filter(|org| !turns.has(org.org.as_str())).count()
    }
}

fn share<'a>((org, waiting): (&'a str, impl ExactSizeIterator<Item = &'a Waiting>)) -> Share<'a> {
    Share {
        org,
        messages: waiting.len(),
        kib: waiting.map(kib).sum(),
    }
}

fn kib(waiting: &Waiting) -> usize {
    match waiting {
        Waiting::Input(input, _) => input.kib(),
        Waiting::Tick { .. } => 0,
    }
}
