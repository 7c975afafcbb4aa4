//! How many points an organization may send in a second.
//!
//! A token bucket that may go into debt: what a request holds is known when it is stored, and is
//! charged then. Whoever is in debt is told when to come back, before a body is read. So one
//! request may exceed the rate, and a rate holds on average.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::organization::Org;
use crate::refusal::Refusal;

/// What may be saved up, in seconds of the rate.
const BURST_S: f64 = 10.0;
/// Nobody is sent away for longer, so that a rate that was raised is noticed.
const RETRY_MAX_S: f64 = 60.0;
/// With so many buckets those that are full again are forgotten.
const BUCKETS_MAX: usize = 16_384;

pub struct Rates {
    /// Points a second of each organization; 0 for no limit.
    points_per_s: f64,
    buckets: Mutex<HashMap<Org, Bucket>>,
}

struct Bucket {
    points: f64,
    filled: Instant,
}

impl Bucket {
    fn fill(&mut self, points_per_s: f64, now: Instant) {
        let seconds = now.saturating_duration_since(self.filled).as_secs_f64();
        let most = BURST_S * points_per_s;
        self.points = (self.points + seconds * points_per_s).min(most);
        self.filled = now;
    }
}

impl Rates {
    pub fn new(points_per_s: u32) -> Self {
        Self {
            points_per_s: points_per_s.into(),
            buckets: Mutex::default(),
        }
    }

    /// Refuses an organization that has sent more than it may.
    pub fn check(&self, org: &Org, now: Instant) -> Result<(), Refusal> {
        let mut buckets = self.buckets.lock();
        let Some(bucket) = buckets.get_mut(org) else {
            return Ok(());
        };
        bucket.fill(self.points_per_s, now);
        if bucket.points >= 0.0 {
            return Ok(());
        }
        let debt_s = -bucket.points / self.points_per_s;
        Err(Refusal::TooFast {
            points_per_s: self.points_per_s as u32,
            retry_after: Duration::from_secs_f64(debt_s.min(RETRY_MAX_S)),
        })
    }

    /// Counts points that are stored.
    pub fn charge(&self, org: &Org, points: u64, now: Instant) {
        let rate = self.points_per_s;
        if rate == 0.0 {
            return;
        }
        let full = BURST_S * rate;
        let mut buckets = self.buckets.lock();
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(org) {
            buckets.retain(|_, bucket| {
                bucket.fill(rate, now);
                bucket.points < full
            });
        }
        let bucket = buckets.entry(org.clone()).or_insert(Bucket {
            points: full,
            filled: now,
        });
        bucket.fill(rate, now);
        bucket.points -= points as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(name: &str) -> Org {
        Org::parse(name).unwrap()
    }

    /// Requests of so many points at so many seconds, each with the seconds that it has to wait.
    fn check(points_per_s: u32, requests: &[(u64, u64, Option<u64>)]) {
        let (rates, began) = (Rates::new(points_per_s), Instant::now());
        for (at_s, points, expected) in requests {
            let now = began + Duration::from_secs(*at_s);
            let waits = match rates.check(&org("acme"), now) {
                Ok(()) => {
                    rates.charge(&org("acme"), *points, now);
                    None
                }
                Err(refusal) => refusal.retry_after_s().map(u64::from),
            };
            assert_eq!(waits, *expected, "{at_s} s, {points} points");
            assert_eq!(rates.check(&org("other"), now), Ok(()));
        }
    }

    #[test]
    fn debts_are_paid_off_by_time() {
        check(0, &[(0, u64::MAX, None), (0, u64::MAX, None)]);
        // Ten seconds are there from the beginning; five more are owed.
        check(100, &[(0, 1_500, None), (0, 1, Some(5)), (3, 1, Some(2))]);
        check(100, &[(0, 1_500, None), (5, 100, None), (5, 1, Some(1))]);
        // No more than ten seconds are saved up.
        check(100, &[(0, 0, None), (90, 1_100, None), (90, 1, Some(1))]);
        check(1, &[(0, 1_000_000, None), (0, 1, Some(60))]);
    }

    #[test]
    fn buckets_are_bounded() {
        let (rates, began) = (Rates::new(1), Instant::now());
        for n in 0..BUCKETS_MAX {
            rates.charge(&org(&format!("org-{n}")), 1, began);
        }
        rates.charge(&org("debtor"), 1_000, began);
        assert_eq!(rates.buckets.lock().len(), BUCKETS_MAX + 1);
        let later = began + Duration::from_secs(5);
        rates.charge(&org("one-more"), 1, later);
        assert_eq!(rates.buckets.lock().len(), 2);
        assert!(rates.check(&org("debtor"), later).is_err());
    }
}
