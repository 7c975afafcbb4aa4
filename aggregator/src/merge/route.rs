//! The way from a message's records to their accumulators.
//!
//! A message whose tag-sets came before leads, nearly always, to records of the same rules and
//! tag-sets in the same order, and these to the same groups. Then no group is looked up, and no
//! accumulator stamped: that no two records share one was seen when the way was found. For the same
//! reason they may be changed in any order: those of one kind of rule after the other, as they lie
//! in memory.

use std::hint::black_box;
use std::ops::Range;

use ratchet_sandbox::Record;

use super::cell::{Cell, Join};
use super::change::{fold_alike, Found, Stretch};
use super::positions::Positions;
use super::window::Room;

/// What a record costs.
pub const STEP_BYTES: usize = size_of::<Name>() + size_of::<u32>() + size_of::<u16>();

/// What a record is of, beside a window: that is the first one of its length in the message. Its
/// rule, and above that its tag-set: no message has as many of either as do not fit.
#[derive(Clone, Copy)]
struct Name(u32);

/// As many steps take as long as it takes to come to a route.
const OWN_STEPS: usize = 16;

/// Records of a message are told by sixteen bits, in blocks.
const BLOCK: usize = 1 << 16;

/// Steps whose windows are equally long and whose values join alike, of records of one block.
struct Leg {
    length: u32,
    join: Join,
    /// The first record of the block.
    first: usize,
    from: usize,
    until: usize,
}

/// What the records of one message led to.
pub struct Route {
    /// Of the binding that it holds for.
    binding: u32,
    /// By record.
    names: Box<[Name]>,
    legs: Box<[Leg]>,
    /// By step, ascending in each leg: the group.
    groups: Box<[u32]>,
    /// By step: which record of the block goes into it.
    records: Box<[u16]>,
}

/// One step; steps go in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    length: u32,
    join: Join,
    block: u32,
    group: u32,
    record: u16,
}

impl Route {
    /// What was found for records, all in the first windows of the message. `stretches` leave none
    /// out; each comes with the length of its window. None where a name does not fit.
    pub fn new(
        binding: u32,
        records: &[Record],
        found: &[Found],
        stretches: impl Iterator<Item = (u32, Stretch)>,
    ) -> Option<Self> {
        let names = records.iter().map(Name::of).collect::<Option<_>>()?;
        let steps = stretches.flat_map(|(length, stretch)| steps_of(length, stretch, found));
        let mut steps: Vec<Step> = steps.collect();
        steps.sort_unstable();
        Some(Self {
            binding,
            names,
            legs: legs_of(&steps),
            groups: steps.iter().map(|step| step.group).collect(),
            records: steps.iter().map(|step| step.record).collect(),
        })
    }

    /// Whether it is known for a binding and records of these rules and tag-sets.
    pub fn is_of(&self, binding: u32, records: &[Record]) -> bool {
        (binding, records.len()) == (self.binding, self.names.len()) && are_of(&self.names, records)
    }

    /// How many steps it has to be counted for when its groups are renumbered.
    pub fn steps(&self) -> usize {
        OWN_STEPS + self.legs.len() + self.groups.len()
    }

    /// By length of the windows: the groups that it leads to.
    pub fn groups(&self) -> impl Iterator<Item = (u32, &[u32])> {
        let legs = self.legs.chunk_by(|a, b| a.length == b.length);
        legs.map(|legs| {
            let (first, last) = (&legs[0], &legs[legs.len() - 1]);
            (first.length, &self.groups[first.from..last.until])
        })
    }

    /// Gives groups the numbers `moved[length]`.
    pub fn renumber(&mut self, moved: &[Vec<u32>]) {
        let mut steps = Vec::new();
        for leg in &self.legs {
            let moved = &moved[leg.length as usize];
            let groups = &mut self.groups[leg.steps()];
            let records = &mut self.records[leg.steps()];
            let renumbered = groups.iter().map(|group| moved[*group as usize]);
            steps.clear();
            steps.extend(renumbered.zip(records.iter().copied()));
            steps.sort_unstable();
            for ((group, record), step) in groups.iter_mut().zip(records).zip(&steps) {
                (*group, *record) = *step;
            }
        }
    }

    /// Memory beside itself, about.
    pub fn bytes(&self) -> usize {
        self.names.len() * STEP_BYTES + size_of_val(&*self.legs)
    }

    /// Changes the accumulators of all records if these are the ones that it is known for, their
    /// windows are open, and there is room for all accumulators; else none.
    pub fn follow(
        &self,
        binding: u32,
        positions: &Positions,
        room: &mut Room<'_>,
        records: &[Record],
    ) -> bool {
        if (binding, records.len()) != (self.binding, self.names.len()) {
            return false;
        }
        let is_open = |leg: &Leg| self.bring_near(leg, positions, room);
        if !self.legs.iter().all(is_open) || !are_of(&self.names, records) {
            return false;
        }
        for leg in &self.legs {
            if let Some(position) = positions.get(leg.length, 0) {
                let steps = self.groups[leg.steps()]
                    .iter()
                    .zip(&self.records[leg.steps()]);
                let records = &records[leg.first..];
                let steps = steps.map(|(group, record)| (*group, &records[*record as usize]));
                fold_alike(leg.join, room.cells(position), steps);
            }
        }
        true
    }

    /// Brings the accumulators of a leg near by; false when its window is not open, or there is no
    /// room for them.
    fn bring_near(&self, leg: &Leg, positions: &Positions, room: &mut Room<'_>) -> bool {
        let groups = &self.groups[leg.steps()];
        let Some((position, last)) = positions.get(leg.length, 0).zip(groups.last()) else {
            return false;
        };
        let has_all = room.has_cell(position, *last);
        if has_all {
            bring_near(room.cells(position), groups);
        }
        has_all
    }
}

impl Name {
    fn of(record: &Record) -> Option<Self> {
        let half = |number: u32| u16::try_from(number).map(u32::from);
        let (rule, set) = half(record.rule).ok().zip(half(record.set).ok())?;
        Some(Self(rule | set << 16))
    }

    /// 0 where the record is of this name.
    #[inline(always)]
    fn difference(self, record: &Record) -> u32 {
        let Record { rule, set, .. } = record;
        (rule | set << 16) ^ self.0 | (rule | set) >> 16 | record.window
    }
}

impl Leg {
    fn steps(&self) -> Range<usize> {
        self.from..self.until
    }
}

fn steps_of(length: u32, stretch: Stretch, found: &[Found]) -> impl Iterator<Item = Step> + '_ {
    (stretch.from..stretch.until).map(move |record| Step {
        length,
        join: stretch.join.unwrap_or(found[record].join),
        block: (record / BLOCK) as u32,
        group: found[record].group,
        record: (record % BLOCK) as u16,
    })
}

fn legs_of(steps: &[Step]) -> Box<[Leg]> {
    let mut until = 0;
    let legs = steps.chunk_by(|a, b| (a.length, a.join, a.block) == (b.length, b.join, b.block));
    let legs = legs.map(|steps| {
        let from = until;
        until += steps.len();
        let Step {
            length,
            join,
            block,
            ..
        } = steps[0];
        Leg {
            length,
            join,
            first: block as usize * BLOCK,
            from,
            until,
        }
    });
    legs.collect()
}

/// Whether the records are of these names.
#[inline(never)]
fn are_of(names: &[Name], records: &[Record]) -> bool {
    let mut difference = 0;
    for (name, record) in names.iter().zip(records) {
        difference |= name.difference(record);
    }
    difference == 0
}

/// Looks at all accumulators and does nothing else: so they are near by when they are changed,
/// however far they lay, and as many are on their way at once as the processor can wait for.
#[inline(never)]
fn bring_near(cells: &[Cell], groups: &[u32]) {
    let mut seen = 0;
    for group in groups {
        seen |= cells[*group as usize].count;
    }
    black_box(seen);
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::merge::window::Window;

    const RECORD: Record = Record {
        rule: 0,
        set: 0,
        window: 0,
        count: 1,
        value: 1.0,
    };

    /// A way of records that lead to these groups.
    pub fn route(groups: &[u32]) -> Route {
        let join = Join::Add;
        let found = groups.iter().map(|&group| Found { group, join });
        let found: Vec<_> = found.collect();
        let stretch = Stretch {
            position: 0,
            from: 0,
            until: groups.len(),
            join: None,
        };
        let records = vec![RECORD; groups.len()];
        Route::new(0, &records, &found, std::iter::once((0, stretch))).unwrap()
    }

    #[test]
    fn steps_ascend_also_after_groups_moved() {
        let mut route = route(&[5, 0, 3]);
        let steps = |route: &Route| (route.groups.clone(), route.records.clone());
        assert_eq!(steps(&route), ([0, 3, 5].into(), [1, 2, 0].into()));
        route.renumber(&[vec![9, 8, 7, 6, 5, 4]]);
        assert_eq!(steps(&route), ([4, 6, 9].into(), [0, 2, 1].into()));
    }

    #[test]
    fn groups_are_told_by_length() {
        let stretch = |from, until, join| Stretch {
            position: 0,
            from,
            until,
            join: Some(join),
        };
        let found = [7, 3, 5, 4].map(|group| Found {
            group,
            join: Join::Add,
        });
        let stretches = [
            (1, stretch(0, 1, Join::Lesser)),
            (0, stretch(1, 2, Join::Add)),
            (1, stretch(2, 4, Join::Add)),
        ];
        let route = Route::new(0, &[RECORD; 4], &found, stretches.into_iter()).unwrap();
        let groups: Vec<_> = route.groups().collect();
        assert_eq!(groups, [(0, &[3][..]), (1, &[4, 5, 7][..])]);
    }

    #[test]
    fn every_record_goes_its_way() {
        let groups: Vec<u32> = (0..3 * BLOCK as u32).map(|at| at ^ 0x5555).collect();
        let route = route(&groups);
        let of = |group: &u32| Record {
            value: f64::from(*group) + 1.0,
            ..RECORD
        };
        let records: Vec<_> = groups.iter().map(of).collect();
        assert_eq!(route.steps(), OWN_STEPS + 3 + groups.len());
        let mut windows = [Window::new(0, 0, 1)];
        let mut positions = Positions::default();
        positions.clear(1);
        positions.set((0, 0), 0);
        let mut room = Room {
            windows: &mut windows,
            cells: &mut 0,
            bytes: &mut 0,
            bytes_max: groups.len() * size_of::<Cell>(),
        };
        assert!(
            !route.follow(1, &positions, &mut room, &records),
            "another binding"
        );
        assert!(route.follow(0, &positions, &mut room, &records));
        assert_eq!(room.cells(0).len(), records.len());
        for (group, cell) in room.cells(0).iter().enumerate() {
            let found = (cell.count, f64::from_bits(cell.form));
            assert_eq!(found, (1, group as f64 + 1.0));
        }
    }

    #[test]
    fn a_name_is_of_one_rule_and_set() {
        let record = |rule, set| Record {
            rule,
            set,
            ..RECORD
        };
        let max = u32::from(u16::MAX);
        assert!(Name::of(&record(max + 1, 0)).is_none());
        assert!(Name::of(&record(0, max + 1)).is_none());
        let name = Name::of(&record(max, 7)).unwrap();
        assert_eq!(name.difference(&record(max, 7)), 0);
        let others = [(0, 7), (max, 8), (max, 7 + max + 1), (2 * max + 1, 7)];
        for (rule, set) in others {
            assert_ne!(name.difference(&record(rule, set)), 0, "{rule}, {set}");
        }
    }
}
