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
        join: Join::Add,
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
            Some(join) => fold_alike(join, cells, groups_of(found).zip(records)),
            None => fold_each(cells, found, records),
        }
    }
}

fn groups_of(found: &[Found]) -> impl Iterator<Item = u32> + '_ {
    found.iter().map(|found| found.group)
}

/// Folds records, each into the accumulator of the group that comes with it.
pub fn fold_alike<'a>(
    join: Join,
    cells: &mut [Cell],
    records: impl Iterator<Item = (u32, &'a Record)>,
) {
    match join {
        Join::Add => fold(cells, records, add),
        Join::Greater => fold(cells, records, greater),
        Join::Lesser => fold(cells, records, lesser),
    }
}

/// A function of its own, as the one below: there are registers enough for all that it needs.
#[inline(never)]
fn fold<'a>(
    cells: &mut [Cell],
    records: impl Iterator<Item = (u32, &'a Record)>,
    join: impl Fn(u64, f64) -> u64,
) {
    for (group, record) in records {
        cells[group as usize].fold(&join, record.value, record.count);
    }
}

#[inline(never)]
fn fold_each(cells: &mut [Cell], found: &[Found], records: &[Record]) {
    for (record, found) in records.iter().zip(found) {
        let join = |form, value| found.join.join(form, value);
        cells[found.group as usize].fold(join, record.value, record.count);
    }
}
