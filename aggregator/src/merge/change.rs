//! The accumulators that were found for the records of a message, changed by them.

use ratchet_sandbox::Record;

use super::cell::{add, greater, lesser, Cell, Join};
use super::memo::UNKNOWN;
use super::window::Window;

/// What was found for a record.
#[derive(Clone, Copy)]
pub struct Found {
    pub group: u32,
    /// Of its rule; not in a stretch that has one.
    pub join: Join,
}

impl Found {
    pub const NOTHING: Self = Self {
        group: UNKNOWN,
        join: Join::ADD,
    };
}

/// Records in a row whose accumulators were found, all in one window.
#[derive(Clone, Copy)]
pub struct Stretch {
    /// Of the window.
    pub position: u32,
    /// The first one, and the one after the last.
    pub from: usize,
    pub until: usize,
    /// Of their rule, where that is one.
    pub join: Option<Join>,
}

impl Stretch {
    pub fn len(&self) -> usize {
        self.until - self.from
    }

    /// Changes the accumulators of these records; `found` and `records` are those of the message.
    pub fn change(&self, windows: &mut [Window], found: &[Found], records: &[Record]) {
        let cells = &mut windows[self.position as usize].cells[..];
        let found = &found[self.from..self.until];
        let records = &records[self.from..self.until];
        match self.join {
            Some(Join::ADD) => fold(cells, found, records, |_, form, value| add(form, value)),
            Some(Join::GREATER) => {
                fold(cells, found, records, |_, form, value| greater(form, value))
            }
            Some(Join::LESSER) => fold(cells, found, records, |_, form, value| lesser(form, value)),
            Some(_) | None => fold(cells, found, records, Join::join),
        }
    }
}

/// A function of its own: there are registers enough for all that it needs.
#[inline(never)]
fn fold(
    cells: &mut [Cell],
    found: &[Found],
    records: &[Record],
    join: impl Fn(Join, u64, f64) -> u64,
) {
    for (record, found) in records.iter().zip(found) {
        let join = |form, value| join(found.join, form, value);
        cells[found.group as usize].fold(join, record.value, record.count);
    }
}
