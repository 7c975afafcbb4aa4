//! Instances of modules, within what all partitions may have of them together: configurations that
//! were not used for longest make room.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use ratchet_trust::ConfigurationDigest;

use super::org::OrgState;
use super::served::Served;
use crate::identity::Org;

/// A configuration may come to hold two: its module's and the baseline's.
const INSTANCES_EACH: usize = 2;
/// What an instance is taken to need before it has served.
const ASSUMED_BYTES: usize = 256 * 1024;

/// What the instances of all partitions take, and may take. A partition looks before it lets one
/// more configuration have instances, so it may be passed by as many as there are partitions.
pub struct InstanceBudget {
    taken: Arc<Taken>,
    instances_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct Taken {
    instances: AtomicUsize,
    bytes: AtomicUsize,
}

impl InstanceBudget {
    pub fn new(instances_max: usize, bytes_max: usize) -> Self {
        Self {
            taken: Arc::default(),
            instances_max,
            bytes_max,
        }
    }

    /// How many instances there are, and the memory that they have grown to.
    pub fn taken(&self) -> (usize, usize) {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (of(&self.taken.instances), of(&self.taken.bytes))
    }

    fn has_room(&self) -> bool {
        let (instances, bytes) = self.taken();
        instances + INSTANCES_EACH <= self.instances_max && bytes + ASSUMED_BYTES <= self.bytes_max
    }
}

/// What the instances of one configuration take; it is given back when this is dropped.
pub struct Held {
    taken: Arc<Taken>,
    /// The message with which it came to hold some.
    since: u64,
    instances: usize,
    bytes: usize,
}

impl Held {
    /// Notes what its instances take by now.
    pub fn now(&mut self, instances: usize, bytes: usize) {
        let move_to = |count: &AtomicUsize, old: usize, new: usize| {
            // Wraps around below zero, as the count itself does.
            count.fetch_add(new.wrapping_sub(old), Ordering::Relaxed)
        };
        move_to(&self.taken.instances, self.instances, instances);
        move_to(&self.taken.bytes, self.bytes, bytes);
        (self.instances, self.bytes) = (instances, bytes);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.now(0, 0);
    }
}

/// A configuration that may hold instances.
struct Holder {
    org: Org,
    configuration: ConfigurationDigest,
    since: u64,
    /// The last message that it had when it was looked at last.
    seen: u64,
}

/// Who may hold instances in a partition. They queue up; whoever comes to the front and was used
/// since it was looked at last queues up again, so that a claim costs no look at all the others.
#[derive(Default)]
pub struct Instances {
    holders: VecDeque<Holder>,
}

impl Instances {
    /// Notes that a message uses a configuration; the idlest of all makes room for it if it must.
    pub fn claim(
        &mut self,
        budget: &InstanceBudget,
        others: &mut HashMap<Org, Box<OrgState>>,
        org: &mut OrgState,
        index: usize,
        sequence: u64,
    ) {
        if org.served[index].held.is_none() {
            while !budget.has_room() && self.make_room(others, org) {}
            let served = &mut org.served[index];
            served.held = Some(Held {
                taken: budget.taken.clone(),
                since: sequence,
                instances: 0,
                bytes: 0,
            });
            self.holders.push_back(Holder {
                org: org.org.clone(),
                configuration: served.configuration.digest,
                since: sequence,
                seen: sequence,
            });
        }
        org.served[index].last_used = sequence;
    }

    /// Deals with the first of the queue; false when nobody is there.
    fn make_room(&mut self, others: &mut HashMap<Org, Box<OrgState>>, org: &mut OrgState) -> bool {
        let Some(mut first) = self.holders.pop_front() else {
            return false;
        };
        let owner = if first.org == org.org {
            Some(org)
        } else {
            others.get_mut(&first.org).map(Box::as_mut)
        };
        let is_it = |served: &&mut Served| {
            let same = served.configuration.digest == first.configuration;
            let held = served.held.as_ref();
            same && held.is_some_and(|held| held.since == first.since)
        };
        // It may be gone, or have given its instances up by itself.
        let served = owner.and_then(|owner| owner.served.iter_mut().find(is_it));
        match served {
            Some(served) if served.last_used > first.seen => {
                first.seen = served.last_used;
                self.holders.push_back(first);
            }
            Some(served) => served.release(),
            None => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        let budget = InstanceBudget::new(4, 1 << 20);
        let held = |instances, bytes| {
            let mut held = Held {
                taken: budget.taken.clone(),
                since: 1,
                instances: 0,
                bytes: 0,
            };
            held.now(instances, bytes);
            held
        };
        assert!(budget.has_room());
        let mut first = held(1, 100_000);
        first.now(2, 250_000);
        assert_eq!((budget.taken(), budget.has_room()), ((2, 250_000), true));
        let second = held(1, 1);
        assert_eq!((budget.taken(), budget.has_room()), ((3, 250_001), false));
        drop(second);
        // Two instances more would do, but not their memory.
        first.now(1, 900_000);
        assert!(!budget.has_room());
        drop(first);
        assert_eq!((budget.taken(), budget.has_room()), ((0, 0), true));
    }
}
