//! Who keeps the others of a partition from being read.
//!
//! What waits for its turn is bounded, and the stream is read in its order. Where one organization
//! has taken up that room, what its neighbours send waits in the stream behind what it sends, and
//! no turns help. So before there is no room left, gateways are told who has more than its part of
//! it, and send it away for a moment ([`ratchet_ingest::behind`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::{INPUT_KIB_MAX, WAITING_MAX};

/// Gateways send somebody away for twice as long.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// An owner that reads a backlog finds everybody in it, and did not see who made it; after so long
/// it is no backlog of before any more.
const BACKLOG_MAX: Duration = Duration::from_secs(60);
/// A tick that is read so long after it was stored was read at the end of the stream.
const HEAD_MS: i64 = 3_000;
/// Where so much waits, there is a crowd.
const CROWDED_MESSAGES: usize = WAITING_MAX / 4 * 3;
const CROWDED_KIB: usize = INPUT_KIB_MAX / 4 * 3;
/// Whoever has less of what may wait than one part in so many crowds nobody out.
const LITTLE: usize = 8;

/// What waits of an organization.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    pub org: &'a str,
    pub messages: usize,
    pub kib: usize,
}

pub struct Crowd {
    /// What is left for the bytes of messages that wait.
    bytes: Arc<Semaphore>,
    since: Instant,
    caught_up: bool,
    looked: Option<Instant>,
}

impl Crowd {
    pub fn new(bytes: Arc<Semaphore>, now: Instant) -> Self {
        Self {
            bytes,
            since: now,
            caught_up: false,
            looked: None,
        }
    }

    /// A tick was read, so long after the server stored it.
    pub fn ticked(&mut self, after_ms: i64) {
        self.caught_up |= after_ms < HEAD_MS;
    }

    /// Whether it is time to look who crowds others out.
    pub fn is_due(&mut self, waiting: usize, now: impl FnOnce() -> Instant) -> bool {
        let free_kib = self.bytes.available_permits();
        if waiting < CROWDED_MESSAGES && free_kib > INPUT_KIB_MAX - CROWDED_KIB {
            return false;
        }
        let now = now();
        let past = |moment: Instant| now.saturating_duration_since(moment);
        let knows = self.caught_up || past(self.since) >= BACKLOG_MAX;
        let due = knows && self.looked.is_none_or(|looked| past(looked) >= LOOK_EVERY);
        if due {
            self.looked = Some(now);
        }
        due
    }
}

/// Who has more than an equal part of what waits, among so many that share the partition.
pub fn crowders<'a>(shares: &[Share<'a>], sharing: usize) -> Vec<&'a str> {
    let messages = |share: &Share<'_>| share.messages;
    let kib = |share: &Share<'_>| share.kib;
    let mut found = beyond(shares, sharing, messages, CROWDED_MESSAGES);
    for org in beyond(shares, sharing, kib, CROWDED_KIB) {
        if !found.contains(&org) {
            found.push(org);
        }
    }
    found
}

/// By one measure, of which so much is a crowd.
fn beyond<'a>(
    shares: &[Share<'a>],
    sharing: usize,
    measure: impl Fn(&Share<'_>) -> usize,
    crowded: usize,
) -> Vec<&'a str> {
    let total: usize = shares.iter().map(&measure).sum();
    if total < crowded {
        return Vec::new();
    }
    let crowds = |share: &&Share<'_>| {
        let own = measure(share);
        own.saturating_mul(sharing) > total && own >= crowded / LITTLE
    };
    shares
        .iter()
        .filter(crowds)
        .map(|share| share.org)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages and KiB of organizations `a`, `b` and so on, and how many share the partition.
    fn check(waiting: &[(usize, usize)], sharing: usize, expected: &[&str]) {
        let names = ["a", "b", "c", "d"];
        let share = |(org, (messages, kib)): (&&'static str, &(usize, usize))| Share {
            org,
            messages: *messages,
            kib: *kib,
        };
        let shares: Vec<_> = names.iter().zip(waiting).map(share).collect();
        assert_eq!(crowders(&shares, sharing), expected, "{waiting:?}");
    }

    #[test]
    fn whoever_has_more_than_its_part_crowds_out_others() {
        let (most, kib) = (CROWDED_MESSAGES, CROWDED_KIB);
        check(&[(most, most)], 2, &["a"]);
        check(&[(most - 1, most - 1)], 2, &[]);
        check(&[(10, kib)], 2, &["a"]);
        check(&[(10, kib - 1)], 2, &[]);
        check(&[(most, kib), (1, 1)], 2, &["a"]);
        // Nobody else is there.
        check(&[(most, kib)], 1, &[]);
        // Two of many, and two that are all.
        check(&[(most / 2, 0), (most / 2, 0)], 9, &["a", "b"]);
        check(&[(most / 2, 0), (most / 2, 0)], 2, &[]);
        // One by its messages, another by their bytes.
        check(&[(most, 0), (10, kib)], 3, &["a", "b"]);
        // More than its part of many is little all the same.
        check(&[(most, 0), (most / LITTLE - 1, 0)], 100, &["a"]);
        check(&[], 0, &[]);
    }

    #[test]
    fn looks_at_times_where_it_is_crowded_and_the_backlog_is_read() {
        let (began, bytes) = (Instant::now(), Arc::new(Semaphore::new(INPUT_KIB_MAX)));
        let at = |ms: u64| move || began + Duration::from_millis(ms);
        let mut crowd = Crowd::new(bytes.clone(), began);
        assert!(!crowd.is_due(CROWDED_MESSAGES, at(1)), "it reads a backlog");
        crowd.ticked(HEAD_MS);
        assert!(!crowd.is_due(CROWDED_MESSAGES, at(2)));
        crowd.ticked(HEAD_MS - 1);
        assert!(!crowd.is_due(CROWDED_MESSAGES - 1, at(3)));
        assert!(crowd.is_due(CROWDED_MESSAGES, at(4)));
        assert!(!crowd.is_due(CROWDED_MESSAGES, at(503)));
        assert!(crowd.is_due(CROWDED_MESSAGES, at(504)));
        let held = bytes.try_acquire_many(CROWDED_KIB as u32).unwrap();
        assert!(crowd.is_due(1, at(2_000)), "their bytes are many");
        drop(held);
        let mut late = Crowd::new(bytes, began);
        assert!(late.is_due(WAITING_MAX, at(60_000)));
    }
}
