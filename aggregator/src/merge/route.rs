//! The way from a message's records to their accumulators.
//!
//! A message whose tag-sets came before leads, nearly always, to records of the same rules and
//! tag-sets in the same order, and these to the same groups. Then no group is looked up, and no
//! accumulator stamped: that no two records share one was seen when the way was found.

use std::hint::black_box;

use ratchet_sandbox::Record;

use super::cell::{Cell, Join};
use super::change::{Found, Stretch};
use super::positions::Positions;
use super::window::Room;

/// What a record is of, beside a window: that is the first one of its length in the message.
#[derive(Clone, Copy)]
struct Name {
    rule: u32,
    set: u32,
}

/// What a record of a route costs.
pub const STEP_BYTES: usize = size_of::<Name>() + size_of::<Found>();

/// Records in a row whose windows are equally long.
struct Leg {
    length: u32,
    /// The first one, and the one after the last.
    from: usize,
    until: usize,
    /// Of their rule, where that is one.
    join: Option<Join>,
    /// The greatest of the groups that they lead to.
    group: u32,
}

/// What the records of one message led to.
pub struct Route {
    /// Of the binding that it holds for.
    binding: u32,
    /// By record.
    names: Box<[Name]>,
    found: Box<[Found]>,
    legs: Vec<Leg>,
}

impl Route {
    /// What was found for records, all in the first windows of the message. `stretches`, in order,
    /// leave none out; each comes with the length of its window.
    pub fn new(
        binding: u32,
        records: &[Record],
        found: &[Found],
        stretches: impl Iterator<Item = (u32, Stretch)>,
    ) -> Self {
        let name = |&Record { rule, set, .. }: &Record| Name { rule, set };
        let mut route = Self {
            binding,
            names: records.iter().map(name).collect(),
            found: found.into(),
            legs: Vec::new(),
        };
        for (length, stretch) in stretches {
            route.lengthen(length, stretch);
        }
        route.legs.shrink_to_fit();
        route
    }

    fn lengthen(&mut self, length: u32, stretch: Stretch) {
        let Stretch {
            from, until, join, ..
        } = stretch;
        let groups = self.found[from..until].iter().map(|found| found.group);
        let group = groups.max().unwrap_or(0);
        match self.legs.last_mut() {
            Some(leg) if (leg.length, leg.join) == (length, join) => {
                leg.until = until;
                leg.group = leg.group.max(group);
            }
            _ => self.legs.push(Leg {
                length,
                from,
                until,
                join,
                group,
            }),
        }
    }

    /// Whether it is known for a binding and records of these rules and tag-sets.
    pub fn is_of(&self, binding: u32, records: &[Record]) -> bool {
        let same = |(name, record): (&Name, &Record)| name.difference(record) == 0;
        (binding, records.len()) == (self.binding, self.names.len())
            && self.names.iter().zip(records).all(same)
    }

    /// Memory, about.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.names.len() * STEP_BYTES + self.legs.capacity() * size_of::<Leg>()
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
        for leg in &self.legs {
            let stretch = leg.stretch(positions);
            if !stretch.is_some_and(|stretch| self.leads(leg, &stretch, room, records)) {
                return false;
            }
        }
        let stretches = self.legs.iter().filter_map(|leg| leg.stretch(positions));
        for stretch in stretches {
            stretch.change(room.windows, &self.found, records);
        }
        true
    }

    fn leads(&self, leg: &Leg, stretch: &Stretch, room: &mut Room<'_>, all: &[Record]) -> bool {
        let records = leg.from..leg.until;
        let (names, found) = (&self.names[records.clone()], &self.found[records.clone()]);
        room.has_cell(stretch.position, leg.group) && {
            let cells = &room.windows[stretch.position as usize].cells;
            leads(cells, names, found, &all[records])
        }
    }
}

impl Name {
    /// 0 where the record is of this name.
    #[inline(always)]
    fn difference(self, record: &Record) -> u32 {
        (self.rule ^ record.rule) | (self.set ^ record.set) | record.window
    }
}

impl Leg {
    /// Where it leads to now, if its window is open.
    fn stretch(&self, positions: &Positions) -> Option<Stretch> {
        Some(Stretch {
            position: positions.get(self.length, 0)?,
            from: self.from,
            until: self.until,
            join: self.join,
        })
    }
}

/// Whether the records are of these names; all their accumulators are there.
///
/// Every accumulator is looked at: so it is near by when it is changed, however far it lay. There
/// is nothing else that the loop would wait for.
#[inline(never)]
fn leads(cells: &[Cell], names: &[Name], found: &[Found], records: &[Record]) -> bool {
    let (mut difference, mut seen) = (0, 0);
    for ((name, found), record) in names.iter().zip(found).zip(records) {
        difference |= name.difference(record);
        seen |= cells[found.group as usize].count;
    }
    black_box(seen);
    difference == 0
}
