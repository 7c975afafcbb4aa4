//! How long to wait before a request is repeated.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const MAX: Duration = Duration::from_secs(10);
/// A receiver may ask for more patience, up to so much.
const ASKED_MAX: Duration = Duration::from_secs(600);

/// Doubles from one wait to the next; chance takes up to half off, so that those who failed
/// together do not come back together.
pub struct Backoff {
    next: Duration,
    chance: RandomState,
}

impl Backoff {
    pub fn new() -> Self {
        Self {
            next: FIRST,
            chance: RandomState::new(),
        }
    }

    /// The next wait; at least what the receiver asked for, within reason.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let full = self.next;
        self.next = (2 * full).min(MAX);
        let half = full / 2;
        let chance = self.chance.hash_one(full) % 1000;
        let wait = half + half.mul_f64(chance as f64 / 1000.0);
        wait.max(asked.unwrap_or_default().min(ASKED_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_honour_the_receiver() {
        let mut backoff = Backoff::new();
        let mut full = FIRST;
        for _ in 0..12 {
            let wait = backoff.next(None);
            assert!((full / 2..=full).contains(&wait), "{wait:?} of {full:?}");
            full = (2 * full).min(MAX);
        }
        let asked = Duration::from_secs(77);
        assert_eq!(backoff.next(Some(asked)), asked);
        assert_eq!(backoff.next(Some(Duration::from_secs(86_400))), ASKED_MAX);
        assert!(backoff.next(Some(Duration::ZERO)) >= MAX / 2);
    }
}
