//! Series that were met before. What filters and group-bys say of a tag-set depends on its tags
//! alone, so it is remembered from message to message, and only new ones are matched.

mod grid;
mod index;
mod memory;
mod recall;

use crate::{Extreme, Front, Kind, Spec};
use alloc::{vec, vec::Vec};
pub use grid::Grid;
use memory::{Room, SlotLists};
use ratchet_api::Records;
use ratchet_codec::payload::Strings;
use recall::{Met, Recall};

#[cfg(test)]
mod tests;

/// Series that there is room for, a few megabytes of an instance's memory.
const SERIES: usize = 16_384;
/// Tag-sets of a message, and of these the pairs with rules that take them: scratch space for more
/// would be larger than what is remembered.
const SETS_MAX: usize = 4_096;
const PAIRS_MAX: usize = 32_768;

/// Aggregates messages that lie within one window of every rule. Contents are compared, never
/// hashes alone, and records do not tell what was remembered: a message gives the same bytes after
/// any others. What does not fit makes all be forgotten.
pub struct Known {
    recall: Recall<SlotLists>,
    /// By slot: its place among the groups of the last message that had it.
    places: Vec<u32>,
    // From here on: of this message.
    /// Per tag-set: what its points add up to.
    cells: Vec<Cell>,
    /// Slots in the order in which they were met.
    groups: Vec<Group>,
    grouped: usize,
    /// Further tag-sets of groups, by their place.
    joins: Vec<(u32, u32)>,
    joined: usize,
    /// Per tag-set: the cells of groups that its values are added to.
    lists: Vec<Vec<u32>>,
    /// Per cell: its count, and by kind of rule what it says.
    values: Vec<(u32, [f64; 8])>,
}

#[derive(Clone, Copy)]
struct Cell {
    count: u32,
    sum: f64,
    max: i64,
    min: i64,
}

const EMPTY: Cell = Cell {
    count: 0,
    sum: -0.0,
    max: i64::LEAST,
    min: i64::MOST,
};

#[derive(Clone, Copy, Default)]
struct Group {
    slot: u32,
    rule: u32,
    set: u32,
    /// That of its tag-set, or one where several come together.
    cell: u32,
}

impl Known {
    pub fn new(spec: &'static Spec) -> Self {
        Self::within(spec, Room::of(SERIES))
    }

    fn within(spec: &'static Spec, room: Room) -> Self {
        Known {
            recall: Recall::new(spec, room, SlotLists::new(room)),
            places: vec![0; room.slots],
            cells: Vec::new(),
            groups: Vec::new(),
            grouped: 0,
            joins: Vec::new(),
            joined: 0,
            lists: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Writes the records of a message, which lies within one window of every rule, and says so; or
    /// writes nothing, because the message is too large, whatever came before it.
    #[inline]
    pub fn run(&mut self, front: &Front, strings: &Strings<'_>, out: &mut Records) -> bool {
        if front.metric.len() > SETS_MAX {
            return false;
        }
        self.add_points(front);
        let cells = &self.cells[..];
        let has_points = |set: usize| cells[set].count > 0;
        if !self.recall.run(front, strings, has_points) {
            return false;
        }
        let met = self.recall.met.iter();
        let pairs = met.map(|met| (met.head.1 - met.head.0) as usize).sum();
        if pairs > PAIRS_MAX {
            return false;
        }
        self.gather(pairs);
        self.join(front);
        self.emit(out);
        true
    }

    /// Adds every point to its tag-set.
    #[inline(never)]
    fn add_points(&mut self, front: &Front) {
        self.cells.clear();
        self.cells.resize(front.metric.len(), EMPTY);
        self.lists.resize(front.metric.len(), Vec::new());
        for (&set, &value) in front.set.iter().zip(&front.value) {
            let cell = &mut self.cells[set as usize];
            cell.count += 1;
            cell.sum += value;
            cell.max = cell.max.greater(i64::above(value));
            cell.min = cell.min.smaller(i64::below(value));
        }
    }

    /// Brings the tag-sets of each slot together.
    #[inline(never)]
    fn gather(&mut self, pairs: usize) {
        // One more than is filled: a place is written before it is known whether it counts.
        let room = pairs + 1;
        if self.groups.len() < room {
            self.groups.resize(room, Group::default());
            self.joins.resize(room, (0, 0));
        }
        let (groups, joins) = (&mut self.groups[..room], &mut self.joins[..room]);
        let (places, mut grouped, mut joined) = (&mut self.places[..], 0, 0);
        // No branch on whether a slot was met before: nobody could guess it.
        let mut meet = |slot: u32, rule: u16, set: u32| {
            let place = &mut places[slot as usize];
            let at = *place as usize;
            let seen = groups[at.min(grouped)].slot == slot;
            let new = !(seen & (at < grouped));
            let at = if new { grouped } else { at };
            *place = at as u32;
            groups[grouped] = Group {
                slot,
                rule: u32::from(rule),
                set,
                cell: set,
            };
            joins[joined] = (at as u32, set);
            grouped += usize::from(new);
            joined += usize::from(!new);
        };
        let Recall { met, memory, .. } = &self.recall;
        for &Met { set, head } in met {
            let list = head.0 as usize..head.1 as usize;
            // A guest checks its deadline once an iteration.
            let (slots, last_slots) = memory.lists[list.clone()].as_chunks::<4>();
            let (rules, last_rules) = memory.rules[list].as_chunks::<4>();
            for (slots, rules) in slots.iter().zip(rules) {
                for (&slot, &rule) in slots.iter().zip(rules) {
                    meet(slot, rule, set);
                }
            }
            for (&slot, &rule) in last_slots.iter().zip(last_rules) {
                meet(slot, rule, set);
            }
        }
        (self.grouped, self.joined) = (grouped, joined);
    }

    /// Makes cells for groups of several tag-sets.
    #[inline(never)]
    fn join(&mut self, front: &Front) {
        let sets = self.lists.len();
        for list in &mut self.lists {
            list.clear();
        }
        for &(at, set) in &self.joins[..self.joined] {
            let group = &mut self.groups[at as usize];
            let kind = self.recall.rules.kinds[group.rule as usize];
            let sums = matches!(kind, Kind::Sum | Kind::Avg);
            if group.cell == group.set {
                group.cell = self.cells.len() as u32;
                let first = self.cells[group.set as usize];
                self.cells.push(first);
                if sums {
                    self.lists[group.set as usize].push(group.cell);
                }
            }
            let cell = self.cells[set as usize];
            let merged = &mut self.cells[group.cell as usize];
            merged.count += cell.count;
            merged.max = merged.max.greater(cell.max);
            merged.min = merged.min.smaller(cell.min);
            if sums {
                self.lists[set as usize].push(group.cell);
            }
        }
        if self.cells.len() == sets {
            return;
        }
        for cell in &mut self.cells[sets..] {
            cell.sum = -0.0;
        }
        // In the order of points.
        for (&set, &value) in front.set.iter().zip(&front.value) {
            for &at in &self.lists[set as usize] {
                self.cells[at as usize].sum += value;
            }
        }
    }

    #[inline(never)]
    fn emit(&mut self, out: &mut Records) {
        self.values.clear();
        self.values.extend(self.cells.iter().map(|cell| {
            let mut values = [0.0; 8];
            values[Kind::Sum as usize] = cell.sum;
            values[Kind::Avg as usize] = cell.sum;
            values[Kind::Max as usize] = cell.max.greatest();
            values[Kind::Min as usize] = cell.min.least();
            values[Kind::Count as usize] = f64::from(cell.count);
            (cell.count, values)
        }));
        out.reserve(self.grouped);
        for &Group {
            rule, set, cell, ..
        } in &self.groups[..self.grouped]
        {
            let (count, values) = &self.values[cell as usize];
            let kind = self.recall.rules.kinds[rule as usize];
            out.push(rule, set, 0, *count, values[kind as usize]);
        }
    }
}
