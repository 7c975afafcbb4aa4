//! Tag-sets that no rule can tell apart.

use crate::{Front, Spec, NONE, UNSEEN};
use alloc::vec::Vec;

/// Finds the tag-sets of a message that agree in their metric and in every key that a rule of the
/// metric looks at: whatever takes one takes them all, into one group. So the points of all can be
/// the points of one, in their order. Scratch space only.
#[derive(Default)]
pub struct Twins {
    /// Per tag-set: the one that stands for it, or `UNSEEN` while it has no point.
    stands: Vec<u32>,
    /// Those who stand for others, by hash with linear probing; at most half full.
    table: Vec<u32>,
}

impl Twins {
    /// Gives the points of alike tag-sets to that of them which has the first one, and leaves the
    /// others, and those without any point, to no metric. Only for messages that lie within one
    /// window of every rule: there whoever stands for a group has a point in its window.
    #[inline]
    pub fn join(&mut self, spec: &Spec, front: &mut Front) {
        let sets = front.metric.len();
        self.stands.clear();
        self.stands.resize(sets, UNSEEN);
        self.table.clear();
        self.table.resize((2 * sets).next_power_of_two(), NONE);
        for at in 0..front.set.len() {
            let set = front.set[at] as usize;
            if self.stands[set] == UNSEEN {
                self.stands[set] = self.find(spec, front, set);
            }
            front.set[at] = self.stands[set];
        }
        for (set, (metric, &stands)) in front.metric.iter_mut().zip(&self.stands).enumerate() {
            if stands != set as u32 {
                *metric = NONE;
            }
        }
    }

    /// Who stands for a tag-set: one like it that was met before, or itself.
    #[inline]
    fn find(&mut self, spec: &Spec, front: &Front, set: usize) -> u32 {
        let metric = front.metric[set];
        if metric == NONE {
            return set as u32;
        }
        let keys = spec.metric_keys[metric as usize];
        let mut hash = u64::from(metric);
        for used in keys {
            let value = u64::from(front.columns[used.key as usize][set]);
            hash = (hash.rotate_left(17) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        let mask = self.table.len() - 1;
        let mut place = (hash >> 32) as usize & mask;
        loop {
            let other = self.table[place];
            if other == NONE {
                self.table[place] = set as u32;
                return set as u32;
            }
            let same = |key: u32| {
                let column = &front.columns[key as usize];
                column[other as usize] == column[set]
            };
            if front.metric[other as usize] == metric && keys.iter().all(|used| same(used.key)) {
                return other;
            }
            place = (place + 1) & mask;
        }
    }
}
