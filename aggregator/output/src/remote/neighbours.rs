//! Whether organizations that the receiver does not serve crowd out those that it serves.
//!
//! All wait in one queue of a bounded length. A receiver that is down serves nobody, and everything
//! waits for it. But where it fails for one organization and serves others, what waits for that one
//! must not keep those from being read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::consumer::PENDING_MAX;

/// Why samples are given up.
pub const CROWDING: &str = "crowding";
/// So many messages wait where it is crowded: the rest is for those that are served.
const CROWDED: usize = PENDING_MAX / 4 * 3;
/// Failures in a row, with somebody else served before each.
const ALONE_MIN: u32 = 5;
/// After so long it is not known any more whom the receiver serves.
const KNOWN_FOR: Duration = Duration::from_secs(600);
/// So many organizations fail before those are looked for whose failures are long past.
const PRUNED_FROM: usize = PENDING_MAX;

#[derive(Default)]
pub struct Neighbours {
    waiting: AtomicUsize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// When the receiver last took or refused something.
    served: Option<Instant>,
    failing: HashMap<Arc<str>, Failing>,
}

struct Failing {
    last: Instant,
    /// How often in a row it failed while others were served.
    alone: u32,
}

impl Neighbours {
    /// So many messages wait now.
    pub fn count(&self, waiting: usize) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// The receiver has answered an organization.
    pub fn served(&self, org: &str, now: Instant) {
        let mut seen = self.seen.lock();
        seen.failing.remove(org);
        seen.served = Some(now);
    }

    /// The receiver has failed for an organization; tells whether that crowds out others.
    pub fn failed(&self, org: &str, now: Instant) -> bool {
        let mut seen = self.seen.lock();
        let seen = &mut *seen;
        let Some(served) = seen.served else {
            return false;
        };
        let is_recent = |moment: Instant| now.duration_since(moment) < KNOWN_FOR;
        if seen.failing.len() >= PRUNED_FROM && !seen.failing.contains_key(org) {
            seen.failing.retain(|_, failing| is_recent(failing.last));
        }
        let failing = seen.failing.entry(org.into()).or_insert(Failing {
            last: now,
            alone: 0,
        });
        if !is_recent(failing.last) {
            failing.alone = 0;
        } else if served > failing.last {
            failing.alone += 1;
        }
        failing.last = now;
        failing.alone >= ALONE_MIN
            && is_recent(served)
            && self.waiting.load(Ordering::Relaxed) > CROWDED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens second by second: `.` somebody else is served, `o` the organization is, `x` it
    /// fails, `-` nothing, `=` nothing for ten minutes. Whether the last failure is one too many.
    fn check(waiting: usize, happens: &str, expected: bool) {
        let neighbours = Neighbours::default();
        neighbours.count(waiting);
        let (mut now, mut found) = (Instant::now(), false);
        for what in happens.chars() {
            now += Duration::from_secs(1);
            match what {
                '.' => neighbours.served("other", now),
                'o' => neighbours.served("org", now),
                'x' => found = neighbours.failed("org", now),
                '=' => now += KNOWN_FOR,
                _ => {}
            }
        }
        assert_eq!(found, expected, "{happens}");
    }

    #[test]
    fn who_fails_alone_crowds_out_others() {
        let full = CROWDED + 1;
        check(full, ".x.x.x.x.x.x", true);
        check(full, ".x.x.x.x.x-", false);
        // There is room.
        check(CROWDED, ".x.x.x.x.x.x", false);
        // Nobody is served, or nobody any more.
        check(full, "xxxxxxxxxxxx", false);
        check(full, ".xxxxxxxxxxx", false);
        // It was served in between.
        check(full, ".x.x.x.xo.x.x", false);
        // Others are not read any more: it was known shortly before.
        check(full, ".x.x.x.x.x.xxxx", true);
        check(full, ".x.x.x.x.x.x=x", false);
        check(full, ".x.x.x.x.x.x=.x.x.x.x.x", false);
        check(full, ".x.x.x.x.x.x=.x.x.x.x.x.x", true);
    }
}
