//! Series that were met before. What filters and group-bys say of a tag-set depends on its tags
//! alone, so it is remembered from message to message, and only new ones are matched.

mod index;
mod memory;

use crate::{Extreme, Front, Kind, Sieve, Spec, Table, ABSENT, NONE};
use alloc::{vec, vec::Vec};
use core::mem::take;
use index::Full;
use memory::{Mixed, Room, Series, Texts, HEAD, PART};
use ratchet_api::Records;
use ratchet_codec::payload::Strings;

#[cfg(test)]
mod tests;

/// Series that there is room for, a few megabytes of an instance's memory.
const SERIES: usize = 16_384;
/// Tag-sets of a message, and of these the pairs with rules that take them: scratch space for more
/// would be larger than what is remembered.
const SETS_MAX: usize = 4_096;
const PAIRS_MAX: usize = 32_768;
/// Tag-sets that are matched together, at most.
const WIDTH: usize = 64;

/// Aggregates messages that lie within one window of every rule. Contents are compared, never
/// hashes alone, and records do not tell what was remembered: a message gives the same bytes after
/// any others. What does not fit makes all be forgotten.
pub struct Known {
    rules: Rules,
    literals: Table<true>,
    sieve: Sieve<u64, WIDTH>,
    texts: Texts,
    series: Series,
    /// By slot: its place among the groups of the last message that had it.
    places: Vec<u32>,
    // From here on: of this message.
    /// By string id + 1: the number of the text, or none while nobody asked.
    numbers: Vec<u32>,
    row: Vec<u32>,
    /// Per tag-set: what its points add up to.
    cells: Vec<Cell>,
    /// Tag-sets with points, and where their slots stand.
    met: Vec<(u32, u32, u32)>,
    /// Those of them that were never met before: metric, and place in `met`.
    new: Vec<(u32, u32)>,
    members: Vec<u32>,
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

/// The rules as tag-sets are matched with them.
struct Rules {
    spec: &'static Spec,
    kinds: Vec<Kind>,
    /// Rule by rule, where in `keys` the places begin that a row has what it groups by.
    starts: Vec<u32>,
    keys: Vec<u32>,
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

impl Rules {
    fn new(spec: &'static Spec) -> Self {
        let (mut starts, mut keys) = (vec![0], Vec::new());
        for rule in spec.rules {
            let uses = spec.metric_keys[rule.metric as usize];
            let place = |&key: &u32| HEAD + 1 + uses.partition_point(|used| used.key < key);
            let group = spec.groups[rule.group as usize].iter();
            keys.extend(group.map(place).map(|place| place as u32));
            starts.push(keys.len() as u32);
        }
        Rules {
            spec,
            kinds: spec.rules.iter().map(|rule| rule.kind).collect(),
            starts,
            keys,
        }
    }

    fn keys(&self, rule: u32) -> &[u32] {
        let starts = &self.starts[rule as usize..];
        &self.keys[starts[0] as usize..starts[1] as usize]
    }
}

impl Known {
    pub fn new(spec: &'static Spec) -> Self {
        Self::within(spec, Room::of(SERIES))
    }

    fn within(spec: &'static Spec, room: Room) -> Self {
        Known {
            rules: Rules::new(spec),
            literals: Table::new(spec),
            sieve: Sieve::new(spec),
            texts: Texts::new(room),
            series: Series::new(room),
            places: vec![0; room.slots],
            numbers: Vec::new(),
            row: Vec::new(),
            cells: Vec::new(),
            met: Vec::new(),
            new: Vec::new(),
            members: Vec::new(),
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
        if self.recall(front, strings).is_err() {
            self.forget();
            if self.recall(front, strings).is_err() {
                return false;
            }
        }
        let pairs = self.met.iter().map(|&(_, from, to)| (to - from) as usize);
        let pairs = pairs.sum();
        if pairs > PAIRS_MAX {
            return false;
        }
        self.gather(pairs);
        self.join(front);
        self.emit(out);
        true
    }

    #[inline(never)]
    fn forget(&mut self) {
        self.texts.clear();
        self.series.clear();
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

    /// Finds the slots of every tag-set that has a point and a metric of the rules.
    fn recall(&mut self, front: &Front, strings: &Strings<'_>) -> Result<(), Full> {
        self.numbers.clear();
        self.numbers.resize(strings.len() + 1, NONE);
        self.numbers[ABSENT as usize] = 0;
        self.met.clear();
        self.new.clear();
        for (set, &metric) in front.metric.iter().enumerate() {
            if metric == NONE || self.cells[set].count == 0 {
                continue;
            }
            let hash = self.read(front, strings, set)?;
            let found = self.series.find(hash, &self.row);
            if found.is_err() {
                self.new.push((metric, self.met.len() as u32));
            }
            let (from, to) = found.unwrap_or_default();
            self.met.push((set as u32, from, to));
        }
        if self.new.is_empty() {
            return Ok(());
        }
        self.learn(front, strings)
    }

    /// Matches the tag-sets that are new, those of a metric together.
    #[inline(never)]
    fn learn(&mut self, front: &Front, strings: &Strings<'_>) -> Result<(), Full> {
        self.sieve.read(strings, &self.literals);
        let mut new = take(&mut self.new);
        new.sort_unstable();
        let of_metrics = new.chunk_by(|a, b| a.0 == b.0);
        let learned = of_metrics
            .flat_map(|of| of.chunks(WIDTH))
            .try_for_each(|of| self.learn_some(front, strings, of));
        self.new = new;
        learned
    }

    /// Of one metric, and no more than a mask has bits.
    fn learn_some(
        &mut self,
        front: &Front,
        strings: &Strings<'_>,
        of: &[(u32, u32)],
    ) -> Result<(), Full> {
        let metric = of[0].0 as usize;
        self.members.clear();
        let set = |&(_, met): &(u32, u32)| self.met[met as usize].0;
        self.members.extend(of.iter().map(set));
        self.sieve.sift(front, strings, metric, &self.members);
        for (bit, &(_, met)) in of.iter().enumerate() {
            let hash = self.read(front, strings, self.members[bit] as usize)?;
            let found = match self.series.find(hash, &self.row) {
                // Another tag-set of the message is alike.
                Ok(found) => found,
                Err(place) => {
                    let (rules, sieve) = (&self.rules, &self.sieve);
                    let wire_of = &sieve.circuit().wire_of;
                    let takes = |rule: u32| sieve.taken(wire_of[rule as usize]) >> bit & 1 == 1;
                    let all = rules.spec.metric_rules[metric].iter().copied();
                    let taken = all.filter(|&rule| takes(rule));
                    let taken = taken.map(|rule| (rule, rules.keys(rule)));
                    self.series.learn((place, hash, &self.row), taken)?
                }
            };
            let met = &mut self.met[met as usize];
            (met.1, met.2) = found;
        }
        Ok(())
    }

    /// Makes the row of a tag-set, and a hash of it.
    #[inline(always)]
    fn read(&mut self, front: &Front, strings: &Strings<'_>, set: usize) -> Result<u32, Full> {
        let metric = front.metric[set];
        self.row.clear();
        self.row.extend([0; HEAD]);
        self.row.push(metric);
        let mut mixed = Mixed::new(metric);
        for used in self.rules.spec.metric_keys[metric as usize] {
            let value = front.columns[used.key as usize][set];
            let number = &mut self.numbers[value as usize];
            if *number == NONE {
                *number = self.texts.number(strings.get(value - 1))?;
            }
            self.row.push(*number);
            mixed = mixed.with(*number);
        }
        self.row.resize(self.row.len().next_multiple_of(PART), 0);
        Ok(mixed.hash())
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
        for &(set, from, to) in &self.met {
            let list = from as usize..to as usize;
            // A guest checks its deadline once an iteration.
            let (slots, last_slots) = self.series.lists[list.clone()].as_chunks::<4>();
            let (rules, last_rules) = self.series.rules[list].as_chunks::<4>();
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
            let kind = self.rules.kinds[group.rule as usize];
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
            let kind = self.rules.kinds[rule as usize];
            out.push(rule, set, 0, *count, values[kind as usize]);
        }
    }
}
