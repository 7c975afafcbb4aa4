//! Partitions of what a filter takes into groups.

use super::Bits;
use crate::NONE;

/// Groups of two or more with their slots, and who is alone in a group.
#[derive(Clone, Copy)]
pub(crate) struct Level<Mask, const HALF: usize> {
    pub alone: Mask,
    pub len: usize,
    pub groups: [Mask; HALF],
    pub slots: [u32; HALF],
}

impl<Mask: Bits, const HALF: usize> Level<Mask, HALF> {
    pub(crate) fn new() -> Self {
        Level {
            alone: Mask::default(),
            len: 0,
            groups: [Mask::default(); HALF],
            slots: [0; HALF],
        }
    }

    /// All in one group.
    #[inline(always)]
    pub(crate) fn whole(&mut self, taken: Mask) {
        (self.alone, self.len) = (Mask::default(), 0);
        self.put(taken);
    }

    #[inline(always)]
    fn put(&mut self, group: Mask) {
        if group.is_lone() {
            self.alone |= group;
        } else {
            (self.groups[self.len % HALF], self.slots[self.len % HALF]) = (group, NONE);
            self.len += 1;
        }
    }

    /// Splits what is taken by all keys at once, of which the rows are given.
    #[inline(always)]
    pub(crate) fn split<'a, const WIDTH: usize>(
        &mut self,
        taken: Mask,
        rows: impl Iterator<Item = &'a [Mask; WIDTH]> + Clone,
    ) where
        Mask: 'a,
    {
        (self.alone, self.len) = (Mask::default(), 0);
        let mut rest = taken;
        while !rest.is_empty() {
            let at = rest.lowest() % WIDTH;
            let mut part = rest;
            for row in rows.clone() {
                part = part & row[at];
            }
            rest = rest & !part;
            self.put(part);
        }
    }

    /// The groups of a coarser partition, split by one more key.
    #[inline(always)]
    pub(crate) fn refine<const WIDTH: usize>(&mut self, from: &Self, equal: &[Mask; WIDTH]) {
        (self.alone, self.len) = (from.alone, 0);
        for at in 0..from.len {
            let (group, slot) = (from.groups[at % HALF], from.slots[at % HALF]);
            let mut part = group & equal[group.lowest() % WIDTH];
            if part == group {
                (self.groups[self.len % HALF], self.slots[self.len % HALF]) = (group, slot);
                self.len += 1;
                continue;
            }
            let mut rest = group;
            loop {
                self.put(part);
                rest = rest & !part;
                if rest.is_empty() {
                    break;
                }
                part = rest & equal[rest.lowest() % WIDTH];
            }
        }
    }
}
