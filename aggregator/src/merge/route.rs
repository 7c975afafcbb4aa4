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
use super::window::Window;

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
        route
    }

    fn lengthen(&mut self, length: u32, stretch: Stretch) {
        let Stretch {
            from, until, join, ..
        } = stretch;
        match self.legs.last_mut() {
            Some(leg) if (leg.length, leg.join) == (length, join) => leg.until = until,
            _ => self.legs.push(Leg {
                length,
                from,
                until,
                join,
            }),
        }
    }

    /// Memory, about.
    pub fn bytes(&self) -> usize {
        self.names.len() * STEP_BYTES + self.legs.capacity() * size_of::<Leg>()
    }

    /// Changes the accumulators of all records if these are the ones that it is known for, their
    /// windows are open, and all accumulators are there; else none.
    pub fn follow(
        &self,
        binding: u32,
        positions: &Positions,
        windows: &mut [Window],
        records: &[Record],
    ) -> bool {
        if (binding, records.len()) != (self.binding, self.names.len()) {
            return false;
        }
        let stretches = || {
            let legs = self.legs.iter();
            legs.map(|leg| leg.stretch(positions))
        };
        let leads = |stretch: Option<Stretch>| {
            stretch.is_some_and(|stretch| self.leads(&stretch, windows, records))
        };
        if !stretches().all(leads) {
            return false;
        }
        for stretch in stretches().flatten() {
            stretch.change(windows, &self.found, records);
        }
        true
    }

    fn leads(&self, stretch: &Stretch, windows: &[Window], records: &[Record]) -> bool {
        let all = stretch.from..stretch.until;
        let cells = &windows[stretch.position as usize].cells;
        let (names, found) = (&self.names[all.clone()], &self.found[all.clone()]);
        leads(cells, names, found, &records[all])
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

/// Whether the records are of these names, and all their accumulators are there.
///
/// Every accumulator is looked at: so it is near by when it is changed, however far it lay. There
/// is nothing else that the loop would wait for.
#[inline(never)]
fn leads(cells: &[Cell], names: &[Name], found: &[Found], records: &[Record]) -> bool {
    let (mut differences, mut seen) = (0, 0);
    for ((name, found), record) in names.iter().zip(found).zip(records) {
        differences |= (name.rule ^ record.rule) | (name.set ^ record.set) | record.window;
        let Some(cell) = cells.get(found.group as usize) else {
            return false;
        };
        seen |= cell.count;
    }
    black_box(seen);
    differences == 0
}
