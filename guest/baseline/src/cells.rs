//! The accumulators of a message, one a group and window.

use crate::groups::{Groups, NO_CELL};
use crate::points::Points;
use alloc::vec::Vec;
use hashbrown::HashMap;
use ratchet_api::{meaning, Records};
use ratchet_rules::Aggregate;

/// All cells of a message. Buffers are kept from message to message.
#[derive(Default)]
pub(crate) struct Cells {
    all: Vec<Cell>,
    identities: Vec<Identity>,
    /// Cells by group and window, where a message spans windows.
    by_window: HashMap<(u32, u32), u32>,
}

/// The points of one group in one window.
pub(crate) struct Cell {
    pub count: u32,
    pub value: f64,
}

struct Identity {
    group: u32,
    /// The tag-set of the first point.
    set: u32,
    window: u32,
}

impl Cells {
    /// Adds every point to the cells of its groups, in the order of the message.
    pub(crate) fn accumulate(&mut self, points: &mut Points, groups: &mut Groups) {
        self.all.clear();
        self.identities.clear();
        self.by_window.clear();
        let clocks = &mut points.clocks;
        let each = points
            .sets
            .iter()
            .zip(&points.timestamps)
            .zip(&points.values);
        for ((&set, &ts), &value) in each {
            let (of_set, all) = groups.of_set(set);
            if of_set.is_empty() {
                continue;
            }
            for clock in clocks.iter_mut() {
                clock.advance(ts);
            }
            for &id in of_set {
                let group = &mut all[id as usize];
                let clock = &clocks[group.window_size as usize];
                if group.window == clock.now && group.cell != NO_CELL {
                    self.all[group.cell as usize].add(group.aggregate, value);
                    continue;
                }
                let (window, next) = (clock.now, self.all.len() as u32);
                group.window = window;
                group.cell = match clock.single {
                    true => next,
                    false => *self.by_window.entry((id, window)).or_insert(next),
                };
                if group.cell == next {
                    self.all.push(Cell { count: 1, value });
                    self.identities.push(Identity {
                        group: id,
                        set,
                        window,
                    });
                } else {
                    self.all[group.cell as usize].add(group.aggregate, value);
                }
            }
        }
    }

    /// Writes a record for each cell.
    pub(crate) fn write(&self, groups: &Groups, out: &mut Records) {
        out.reserve(self.all.len());
        for (cell, id) in self.all.iter().zip(&self.identities) {
            let (rule, aggregate) = groups.rule_of(id.group);
            out.push(rule, id.set, id.window, cell.count, cell.result(aggregate));
        }
    }
}

impl Cell {
    /// Adds a value to those before, of which there is at least one.
    #[inline(always)]
    pub(crate) fn add(&mut self, aggregate: Aggregate, value: f64) {
        self.count += 1;
        self.value = match aggregate {
            Aggregate::Sum | Aggregate::Avg => self.value + value,
            Aggregate::Max => meaning::max(self.value, value),
            Aggregate::Min => meaning::min(self.value, value),
            Aggregate::Count => self.value,
        };
    }
    /// What the record of a cell says.
    pub(crate) fn result(&self, aggregate: Aggregate) -> f64 {
        match aggregate {
            Aggregate::Count => f64::from(self.count),
            _ => self.value,
        }
    }
}
