//! Instances are few: those that were not used for longest make room.

use std::collections::{HashMap, VecDeque};

use ratchet_trust::ConfigurationDigest;

use super::org::OrgState;
use super::served::Served;
use crate::identity::Org;

/// A configuration that may hold instances.
struct Holder {
    org: Org,
    configuration: ConfigurationDigest,
    /// The message with which it became one.
    since: u64,
    /// The last message that it had when it was looked at last.
    seen: u64,
}

/// Who may hold instances. They queue up; whoever comes to the front and was used since it was
/// looked at last queues up again, so that a claim costs no look at all the others.
pub struct Instances {
    max: usize,
    holders: VecDeque<Holder>,
}

impl Instances {
    pub fn new(max: usize) -> Self {
        let (max, holders) = (max.max(1), VecDeque::new());
        Self { max, holders }
    }

    /// Notes that a message uses a configuration; the idlest of all makes room for it if it must.
    pub fn claim(
        &mut self,
        others: &mut HashMap<Org, OrgState>,
        org: &mut OrgState,
        index: usize,
        sequence: u64,
    ) {
        if !org.served[index].live {
            while self.holders.len() >= self.max {
                self.make_room(others, org);
            }
            let served = &mut org.served[index];
            (served.live, served.live_since) = (true, sequence);
            self.holders.push_back(Holder {
                org: org.org.clone(),
                configuration: served.configuration.digest,
                since: sequence,
                seen: sequence,
            });
        }
        org.served[index].last_used = sequence;
    }

    /// Deals with the first of the queue.
    fn make_room(&mut self, others: &mut HashMap<Org, OrgState>, org: &mut OrgState) {
        let Some(mut first) = self.holders.pop_front() else {
            return;
        };
        let owner = if first.org == org.org {
            Some(org)
        } else {
            others.get_mut(&first.org)
        };
        let is_it = |served: &&mut Served| {
            let same = served.configuration.digest == first.configuration;
            same && served.live && served.live_since == first.since
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
    }
}
