//! The accumulators of a message, one a group and window.

use crate::groups::{Groups, NO_CELL};
use alloc::vec::Vec;
use hashbrown::HashMap;
use ratchet_api::{meaning, DecodeError, Message, Records};
use ratchet_rules::Aggregate;

/// All cells of a message. Buffers are kept from message to message.
#[derive(Default)]
pub(crate) struct Cells {
    all: Vec<Cell>,
    identities: Vec<Identity>,
    /// Cells by group and window, where a message spans windows.
    by_window: HashMap<(u32, u32), u32>,
    clocks: Vec<Clock>,
    set_ids: Vec<u32>,
    timestamps: Vec<i64>,
    values: Vec<f64>,
}

struct Cell {
    count: u32,
    value: f64,
}

struct Identity {
    group: u32,
    /// The tag-set of the first point.
    set: u32,
    window: u32,
}

/// Tells the window of a timestamp, for one window length.
struct Clock {
    start: i64,
    size: u32,
    /// Whether the message lies in one window.
    single: bool,
    now: u32,
}

impl Cells {
    /// Adds every point to the cells of its groups, in the order of the message.
    pub(crate) fn accumulate(
        &mut self,
        window_sizes: &[u32],
        message: &Message<'_>,
        groups: &mut Groups,
    ) -> Result<(), DecodeError> {
        message.set_ids(&mut self.set_ids)?;
        message.timestamps(&mut self.timestamps)?;
        message.values(&mut self.values)?;
        self.begin(window_sizes, message);
        let points = self.set_ids.iter().zip(&self.timestamps).zip(&self.values);
        for ((&set, &ts), &value) in points {
            for clock in &mut self.clocks {
                clock.advance(ts);
            }
            let (of_set, all) = groups.of_set(set);
            for &id in of_set {
                let group = &mut all[id as usize];
                let clock = &self.clocks[group.window_size as usize];
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
        Ok(())
    }

    fn begin(&mut self, window_sizes: &[u32], message: &Message<'_>) {
        self.all.clear();
        self.identities.clear();
        self.by_window.clear();
        let header = message.header();
        self.clocks.clear();
        self.clocks.extend(window_sizes.iter().map(|&size| {
            let start = header.min_ts - header.min_ts % i64::from(size);
            Clock {
                start,
                size,
                single: header.max_ts < start + i64::from(size),
                now: 0,
            }
        }));
    }

    /// Writes a record for each cell.
    pub(crate) fn write(&self, groups: &Groups, out: &mut Records) {
        out.reserve(self.all.len());
        for (cell, id) in self.all.iter().zip(&self.identities) {
            let (rule, aggregate) = groups.rule_of(id.group);
            let value = match aggregate {
                Aggregate::Count => f64::from(cell.count),
                _ => cell.value,
            };
            out.push(rule, id.set, id.window, cell.count, value);
        }
    }
}

impl Clock {
    #[inline(always)]
    fn advance(&mut self, ts: i64) {
        if !self.single {
            self.now = (ts - self.start) as u32 / self.size;
        }
    }
}

impl Cell {
    /// Adds a value to those before, of which there is at least one.
    #[inline(always)]
    fn add(&mut self, aggregate: Aggregate, value: f64) {
        self.count += 1;
        self.value = match aggregate {
            Aggregate::Sum | Aggregate::Avg => self.value + value,
            Aggregate::Max => meaning::max(self.value, value),
            Aggregate::Min => meaning::min(self.value, value),
            Aggregate::Count => self.value,
        };
    }
}
