//! Groups as partitions of bits: each step splits only what still shares a group.

use crate::adding::{value_of, Adding, Cells, Pending, BITS};
use crate::columns::NONE;
use crate::tree::{Forest, Member, Node};
use ratchet_api::Record;
use ratchet_rules::Aggregate;
use std::ops::Range;

const HALF: usize = BITS / 2;
/// Nobody groups by more keys.
const DEPTHS: usize = ratchet_rules::MAX_GROUP_KEYS + 1;
/// Subsets that are remembered, by a hash of their bits.
const REMEMBERED: usize = 4096;

/// Groups of two or more with their slots, and who is alone in a group.
#[derive(Clone, Copy)]
struct Level {
    alone: u64,
    len: usize,
    groups: [u64; HALF],
    slots: [u32; HALF],
}

const NO_LEVEL: Level = Level {
    alone: 0,
    len: 0,
    groups: [0; HALF],
    slots: [0; HALF],
};

/// Partitions the tag-sets of a metric. `SHARED`: equal subsets of different trees are one.
pub(crate) struct Partition<const SHARED: bool> {
    levels: [Level; DEPTHS],
    seen: Vec<(u64, u32, u32)>,
    metric: u32,
}

impl<const SHARED: bool> Partition<SHARED> {
    pub fn new() -> Self {
        Partition {
            levels: [NO_LEVEL; DEPTHS],
            seen: vec![(0, 0, 0); if SHARED { REMEMBERED } else { 0 }],
            metric: 0,
        }
    }

    /// What was remembered of another metric or message is forgotten.
    pub fn begin(&mut self) {
        self.metric = self.metric.wrapping_add(1);
        if SHARED && self.metric == 0 {
            self.seen.fill((0, 0, 0));
            self.metric = 1;
        }
    }

    /// Groups `taken` by every rule of a tree, and writes the records. `equal` says for each key
    /// and tag-set which tag-sets have the same value.
    pub fn run(
        &mut self,
        taken: u64,
        (forest, nodes): (&Forest, Range<usize>),
        equal: &[[u64; BITS]],
        (cells, adding): (&Cells, &mut Adding),
        out: &mut Vec<Record>,
    ) {
        let top = &mut self.levels[0];
        let single = taken & (taken - 1) == 0;
        top.alone = if single { taken } else { 0 };
        top.len = usize::from(!single);
        (top.groups[0], top.slots[0]) = (taken, NONE);
        for node in &forest.nodes[nodes] {
            let (above, here) = self.levels.split_at_mut(node.depth);
            let level = &mut here[0];
            if let Some(above) = above.last() {
                refine(above, level, &equal[node.key]);
            }
            if node.rules.is_empty() {
                continue;
            }
            for at in 0..level.len {
                if level.slots[at % HALF] == NONE {
                    let subset = level.groups[at % HALF];
                    let seen = (&mut self.seen[..], self.metric);
                    level.slots[at % HALF] = slot::<SHARED>(subset, node, seen, cells, adding);
                }
            }
            for member in &forest.members[node.rules.clone()] {
                write(member, level, cells, adding, out);
            }
        }
    }
}

#[inline(always)]
fn slot<const SHARED: bool>(
    subset: u64,
    node: &Node,
    (seen, metric): (&mut [(u64, u32, u32)], u32),
    cells: &Cells,
    adding: &mut Adding,
) -> u32 {
    if !SHARED {
        return adding.slot(subset, cells, node.sums, node.extremes);
    }
    let place = (subset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize % REMEMBERED;
    let (known, of, slot) = seen[place];
    if known == subset && of == metric {
        return slot;
    }
    let slot = adding.slot(subset, cells, true, true);
    seen[place] = (subset, metric, slot);
    slot
}

/// Writes the records of one rule; those that wait for a sum become pending.
#[inline(always)]
fn write(
    &Member { rule, aggregate }: &Member,
    level: &Level,
    cells: &Cells,
    adding: &mut Adding,
    out: &mut Vec<Record>,
) {
    let records = cells.records(aggregate);
    let mut rest = level.alone;
    out.extend((0..rest.count_ones()).map(|_| {
        let at = rest.trailing_zeros() as usize % BITS;
        rest &= rest - 1;
        Record {
            rule,
            ..records[at]
        }
    }));
    let groups = level.groups.iter().zip(&level.slots).take(level.len);
    let first = |group: &u64| cells.set[group.trailing_zeros() as usize % BITS];
    if matches!(aggregate, Aggregate::Sum | Aggregate::Avg) {
        let pending = groups.map(|(group, &slot)| Pending {
            rule,
            set: first(group),
            slot,
        });
        adding.pending.extend(pending);
        return;
    }
    out.extend(groups.map(|(group, &slot)| {
        let slot = &adding.slots[slot as usize];
        let value = match aggregate {
            Aggregate::Max => value_of(slot.max, i64::MIN),
            Aggregate::Min => value_of(slot.min, i64::MAX),
            _ => f64::from(slot.count),
        };
        Record {
            rule,
            set: first(group),
            window: 0,
            count: slot.count,
            value,
        }
    }));
}

/// Splits groups by one more key.
#[inline(always)]
fn refine(from: &Level, to: &mut Level, equal: &[u64; BITS]) {
    let (mut alone, mut len) = (from.alone, 0);
    for at in 0..from.len {
        let (group, slot) = (from.groups[at % HALF], from.slots[at % HALF]);
        let mut part = group & equal[group.trailing_zeros() as usize % BITS];
        if part == group {
            (to.groups[len % HALF], to.slots[len % HALF]) = (group, slot);
            len += 1;
            continue;
        }
        let mut rest = group;
        loop {
            // Branch-free: whether somebody is alone is anybody's guess.
            let lone = part & (part - 1) == 0;
            (to.groups[len % HALF], to.slots[len % HALF]) = (part, NONE);
            alone |= if lone { part } else { 0 };
            len += usize::from(!lone);
            rest &= !part;
            if rest == 0 {
                break;
            }
            part = rest & equal[rest.trailing_zeros() as usize % BITS];
        }
    }
    (to.alone, to.len) = (alone, len);
}
