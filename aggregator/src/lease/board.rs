//! The bucket `leases` as this process sees it, and how long ago everybody was heard of.
//!
//! Ages are measured by this process's own monotonic clock, from the moment at which a heartbeat
//! arrived here: no two clocks are compared. A process that was not listening (paused, or without a
//! connection) has heard nobody, so it starts all ages anew before it declares anybody gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::plan::plan;
use super::record::Lease;

pub struct Board {
    me: String,
    ttl: Duration,
    partitions: u32,
    members: HashMap<String, Heard>,
    leases: HashMap<u32, (Lease, u64)>,
    /// When this process last listened.
    listened: Instant,
}

#[derive(Clone, Copy)]
struct Heard {
    revision: u64,
    at: Instant,
}

impl Board {
    pub fn new(me: String, ttl: Duration, partitions: u32, now: Instant) -> Self {
        Self {
            me,
            ttl,
            partitions,
            members: HashMap::new(),
            leases: HashMap::new(),
            listened: now,
        }
    }

    pub fn me(&self) -> &str {
        &self.me
    }

    /// Called at least several times per `ttl`; a gap means that this process stood still.
    pub fn listen(&mut self, now: Instant) {
        if now.duration_since(self.listened) > self.ttl / 2 {
            self.start_ages_anew(now);
        }
        self.listened = now;
    }

    pub fn start_ages_anew(&mut self, now: Instant) {
        self.members.values_mut().for_each(|heard| heard.at = now);
    }

    pub fn member(&mut self, name: String, revision: u64, now: Instant) {
        let heard = Heard { revision, at: now };
        let known = self.members.entry(name).or_insert(heard);
        if revision > known.revision {
            *known = heard;
        }
    }

    pub fn member_left(&mut self, name: &str, revision: u64) {
        if self
            .members
            .get(name)
            .is_some_and(|heard| heard.revision < revision)
        {
            self.members.remove(name);
        }
    }

    pub fn lease(&mut self, partition: u32, lease: Lease, revision: u64) {
        let known = self.leases.get(&partition).map_or(0, |(_, known)| *known);
        if revision > known {
            self.leases.insert(partition, (lease, revision));
        }
    }

    /// What is known of a partition's lease, and its revision (0: there is none).
    pub fn lease_of(&self, partition: u32) -> (Option<&Lease>, u64) {
        match self.leases.get(&partition) {
            Some((lease, revision)) => (Some(lease), *revision),
            None => (None, 0),
        }
    }

    /// Everybody heard of lately, and this process.
    pub fn alive(&self, now: Instant) -> BTreeSet<String> {
        let lately = |heard: &Heard| now.duration_since(heard.at) < self.ttl;
        let members = self.members.iter().filter(|(_, heard)| lately(heard));
        members
            .map(|(name, _)| name.clone())
            .chain([self.me.clone()])
            .collect()
    }

    /// Members that have been silent for much longer than it takes to be replaced.
    pub fn forgotten(&self, now: Instant) -> Vec<(String, u64)> {
        let gone = |heard: &Heard| now.duration_since(heard.at) > 20 * self.ttl;
        let members = self.members.iter().filter(|(_, heard)| gone(heard));
        members
            .map(|(name, heard)| (name.clone(), heard.revision))
            .collect()
    }

    /// Who holds each partition, as far as they are alive.
    pub fn owners(&self, alive: &BTreeSet<String>) -> BTreeMap<u32, String> {
        let owner = |(partition, (lease, _)): (&u32, &(Lease, u64))| {
            let owner = lease
                .owner
                .as_ref()
                .filter(|owner| alive.contains(*owner))?;
            Some((*partition, owner.clone()))
        };
        self.leases.iter().filter_map(owner).collect()
    }

    /// The partitions that this process should serve, and who holds which now.
    pub fn decide(&self, now: Instant) -> Decision {
        let alive = self.alive(now);
        let owners = self.owners(&alive);
        let planned = plan(&alive, &owners, self.partitions);
        let mine = planned.into_iter().filter(|(_, owner)| *owner == self.me);
        let mine: BTreeSet<u32> = mine.map(|(partition, _)| partition).collect();
        let named = owners.iter().filter(|(_, owner)| **owner == self.me);
        let named = named.map(|(partition, _)| *partition);
        Decision {
            surplus: named
                .filter(|partition| !mine.contains(partition))
                .collect(),
            mine,
            owners,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub mine: BTreeSet<u32>,
    /// Partitions that others should have, and wait for: their leases name this process.
    pub surplus: BTreeSet<u32>,
    pub owners: BTreeMap<u32, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(4);

    fn seconds(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn two_members(start: Instant) -> Board {
        let mut board = Board::new("me".to_owned(), TTL, 2, start);
        board.member("other".to_owned(), 1, start);
        for partition in 0..2 {
            board.lease(partition, Lease::new(Some("other".to_owned()), 1), 2);
        }
        board
    }

    #[test]
    fn silence_ends_a_membership() {
        let start = Instant::now();
        let mut board = two_members(start);
        for second in 1..=3 {
            board.listen(seconds(start, second));
        }
        assert_eq!(board.decide(seconds(start, 3)).mine.len(), 1);
        board.listen(seconds(start, 4));
        let decision = board.decide(seconds(start, 4));
        assert_eq!(decision.mine.len(), 2);
        assert!(decision.owners.is_empty());
        board.member("other".to_owned(), 9, seconds(start, 4));
        assert_eq!(board.decide(seconds(start, 4)).mine.len(), 1);
    }

    #[test]
    fn whoever_stood_still_declares_nobody_gone() {
        let start = Instant::now();
        let mut board = two_members(start);
        board.listen(seconds(start, 100));
        assert_eq!(board.decide(seconds(start, 100)).owners.len(), 2);
        assert!(board.forgotten(seconds(start, 100)).is_empty());
    }

    /// A process that was started again finds the leases of the one before it under its name.
    #[test]
    fn what_others_should_have_is_surplus() {
        let start = Instant::now();
        let mut board = Board::new("me".to_owned(), TTL, 2, start);
        for partition in 0..2 {
            board.lease(partition, Lease::new(Some("me".to_owned()), 1), 2);
        }
        assert!(board.decide(start).surplus.is_empty());
        board.member("other".to_owned(), 1, start);
        let Decision { mine, surplus, .. } = board.decide(start);
        assert_eq!((mine.len(), surplus.len()), (1, 1));
        assert!(mine.is_disjoint(&surplus));
    }

    #[test]
    fn old_news_change_nothing() {
        let start = Instant::now();
        let mut board = two_members(start);
        board.lease(0, Lease::new(None, 9), 1);
        assert_eq!(board.lease_of(0).0.map(|lease| lease.epoch), Some(1));
        board.member_left("other", 1);
        assert!(board.alive(start).contains("other"));
        board.member_left("other", 3);
        assert!(!board.alive(start).contains("other"));
        assert_eq!(board.lease_of(7), (None, 0));
    }
}
