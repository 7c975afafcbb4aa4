//! The groups of a message: for each rule, tag-sets with the same values of its group-by keys.

use crate::facts::Facts;
use crate::plan::{RulePlan, Slot};
use alloc::vec::Vec;
use ratchet_rules::Aggregate;

/// What a point needs of a group. Small, because every point visits one for each of its rules.
pub(crate) struct Group {
    /// The cell of the group that was used last, and its window.
    pub cell: u32,
    pub window: u32,
    pub window_size: u32,
    pub aggregate: Aggregate,
}

/// No cell yet.
pub(crate) const NO_CELL: u32 = u32::MAX;

/// What tells a group from the others of its rule.
struct Identity {
    rule: u32,
    /// One of its tag-sets, for its values.
    set: u32,
    hash: u64,
}

/// All groups of a message, and those of each tag-set.
#[derive(Default)]
pub(crate) struct Groups {
    all: Vec<Group>,
    identities: Vec<Identity>,
    /// The groups of the rule at hand, by hash with linear probing: group + 1, or 0.
    table: Vec<u32>,
    hashes: Vec<u64>,
    /// Pairs of a tag-set and a group of it, as they were found.
    pairs: Vec<(u32, u32)>,
    /// The groups of tag-set `s` are `of_set[starts[s]..starts[s + 1]]`.
    of_set: Vec<u32>,
    starts: Vec<u32>,
}

impl Groups {
    /// Begins a message with so many tag-sets.
    pub(crate) fn clear(&mut self, sets: u32) {
        self.all.clear();
        self.identities.clear();
        self.pairs.clear();
        self.starts.clear();
        self.starts.resize(sets as usize + 1, 0);
    }

    /// Puts tag-sets into their groups under a rule.
    pub(crate) fn add(&mut self, rule: &RulePlan, facts: &Facts, sets: &[u32]) {
        self.table.clear();
        self.table.resize((2 * sets.len()).next_power_of_two(), 0);
        self.hash(rule, facts, sets);
        for (n, &set) in sets.iter().enumerate() {
            let group = self.find_or_insert(rule, facts, set, self.hashes[n]);
            self.pairs.push((set, group));
        }
    }

    /// Numbers the groups of one rule's tag-sets from 1 and answers how many there are. The groups
    /// are not kept: they are for a rule that needs no look-up by tag-set afterwards.
    pub(crate) fn partition(
        &mut self,
        rule: &RulePlan,
        facts: &Facts,
        sets: &[u32],
        group_of: &mut [u32],
    ) -> usize {
        let first = self.all.len();
        self.table.clear();
        self.table.resize((2 * sets.len()).next_power_of_two(), 0);
        self.hash(rule, facts, sets);
        for (n, &set) in sets.iter().enumerate() {
            let group = self.find_or_insert(rule, facts, set, self.hashes[n]);
            group_of[set as usize] = group - first as u32 + 1;
        }
        let count = self.all.len() - first;
        self.all.truncate(first);
        self.identities.truncate(first);
        count
    }

    /// Spreads the values of the group-by keys of each tag-set over 64 bits, key by key.
    fn hash(&mut self, rule: &RulePlan, facts: &Facts, sets: &[u32]) {
        const K: u64 = 0x9e37_79b9_7f4a_7c15;
        self.hashes.clear();
        self.hashes.resize(sets.len(), 0);
        for &slot in &rule.group_by {
            let column = facts.column(slot);
            for (hash, &set) in self.hashes.iter_mut().zip(sets) {
                let value = column.get(set as usize).copied().unwrap_or(0);
                *hash = (hash.rotate_left(26) ^ u64::from(value)).wrapping_mul(K);
            }
        }
    }

    fn find_or_insert(&mut self, rule: &RulePlan, facts: &Facts, set: u32, hash: u64) -> u32 {
        let same = |key: &Slot, other: u32| facts.value(*key, set) == facts.value(*key, other);
        let mask = self.table.len() - 1;
        let mut place = (hash >> 32) as usize & mask;
        // Ends, because the table is at most half full.
        while self.table[place] != 0 {
            let id = self.table[place] - 1;
            let other = &self.identities[id as usize];
            if other.hash == hash && rule.group_by.iter().all(|key| same(key, other.set)) {
                return id;
            }
            place = (place + 1) & mask;
        }
        let id = self.all.len() as u32;
        self.table[place] = id + 1;
        self.identities.push(Identity {
            rule: rule.index,
            set,
            hash,
        });
        let (aggregate, window_size) = (rule.aggregate, rule.window_size);
        self.all.push(Group {
            cell: NO_CELL,
            window: 0,
            window_size,
            aggregate,
        });
        id
    }

    /// Sorts the pairs by tag-set, by counting.
    pub(crate) fn index_by_set(&mut self) {
        for &(set, _) in &self.pairs {
            self.starts[set as usize] += 1;
        }
        let mut end = 0;
        for start in &mut self.starts {
            end += *start;
            *start = end;
        }
        self.of_set.resize(self.pairs.len(), 0);
        // From the last pair to the first, so that each start ends up where its groups begin.
        for &(set, group) in self.pairs.iter().rev() {
            let start = &mut self.starts[set as usize];
            *start -= 1;
            self.of_set[*start as usize] = group;
        }
    }

    /// The groups of a tag-set, one for each rule that takes it, and all groups.
    pub(crate) fn of_set(&mut self, set: u32) -> (&[u32], &mut [Group]) {
        let (from, to) = (self.starts[set as usize], self.starts[set as usize + 1]);
        (&self.of_set[from as usize..to as usize], &mut self.all)
    }

    /// The rule of a group, by its index in the blob, and what it computes.
    pub(crate) fn rule_of(&self, group: u32) -> (u32, Aggregate) {
        (
            self.identities[group as usize].rule,
            self.all[group as usize].aggregate,
        )
    }
}
