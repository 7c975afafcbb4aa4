//! The loops that fold the records of one message.
//!
//! Modules write the records of a rule and window one after the other. Where these are many, such a
//! run is folded by a loop of its own; other records one by one. Both loops go as far as all groups
//! and windows are known.

use ratchet_rules::Aggregate;
use ratchet_sandbox::Record;

use super::cell::{add, greater, lesser, Cell};
use super::memo::UNKNOWN;
use super::pass::RulePoints;
use super::series::Series;
use super::window::Window;

/// So many windows of a message are found by a table; the others by search.
pub const WINDOWS: usize = 16;

/// So many records of a rule and window in a row are worth a loop of their own.
const RUN: usize = 4;

/// Stands for the position of a window that was not looked up yet, or that takes no points.
const NOWHERE: u32 = u32::MAX;

/// Stands for a tag-set that was not looked up yet, or whose metric no rule names.
pub const UNRESOLVED: Series = Series {
    metric: u32::MAX,
    row: UNKNOWN,
};

/// What a record's rule leads to.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub table: u32,
    pub metric: u32,
    /// Of the memo: a column in the row of a series, or the single slot of a rule without keys to
    /// group by, where `mask` is zero: neither series nor metric matter to that.
    pub column: u32,
    pub mask: u32,
    pub length: u32,
    pub aggregate: Aggregate,
}

/// An accumulator as it was before the message.
#[derive(Clone, Copy)]
pub struct Undo {
    pub position: u32,
    pub group: u32,
    pub cell: Cell,
}

/// What no accumulator was.
pub const UNCHANGED: Undo = Undo {
    position: NOWHERE,
    group: UNKNOWN,
    cell: Cell::EMPTY,
};

/// Stands before the points of the first rule.
const NO_RULE: RulePoints = RulePoints {
    rule: u32::MAX,
    points: 0,
};

/// What is kept of one message while it is merged.
#[derive(Default)]
pub struct Work {
    /// By length and number of the window in the message: its position.
    pub positions: Vec<u32>,
    /// By tag-set.
    pub series: Vec<Series>,
    /// The first `changed` count: one a record at most.
    undo: Vec<Undo>,
    changed: usize,
    /// Points by rule, up to `matched`, after one entry of no rule. Consecutive ones are one entry.
    points: Vec<RulePoints>,
    matched: usize,
    stamp: u32,
}

impl Work {
    /// Prepares for a message; `stamp` is one that no accumulator has.
    pub fn begin(&mut self, (lengths, sets, records): (usize, usize, usize), stamp: u32) {
        self.positions.clear();
        self.positions.resize(lengths * WINDOWS, NOWHERE);
        self.series.clear();
        self.series.resize(sets, UNRESOLVED);
        let room = self.undo.len().max(records);
        self.undo.resize(room, UNCHANGED);
        self.points.resize(room + 1, NO_RULE);
        self.points[0] = NO_RULE;
        (self.changed, self.matched, self.stamp) = (0, 0, stamp);
    }

    /// Folds records as long as all is known that they lead to; answers how many.
    pub fn fold(
        &mut self,
        ways: &[Way],
        memo: &[u32],
        windows: &mut [Window],
        records: &[Record],
    ) -> usize {
        let mut done = 0;
        while done < records.len() {
            let rest = &records[done..];
            let folded = if begins_run(rest) {
                self.fold_run(ways, memo, windows, rest)
            } else {
                self.fold_singly(ways, memo, windows, rest)
            };
            done += folded.records;
            if !folded.whole {
                break;
            }
        }
        done
    }

    /// Folds the run that records begin with.
    fn fold_run(
        &mut self,
        ways: &[Way],
        memo: &[u32],
        windows: &mut [Window],
        records: &[Record],
    ) -> Folded {
        let (rule, run) = match records.first() {
            Some(first) => (first.rule, self.run_of(ways, windows, first)),
            None => return STOPPED,
        };
        let Some(run) = run else {
            return STOPPED;
        };
        let (known, undo) = ((&self.series[..], memo), &mut self.undo[self.changed..]);
        let folded = match run.way.aggregate {
            Aggregate::Sum | Aggregate::Avg | Aggregate::Count => {
                run.fold(records, known, undo, add)
            }
            Aggregate::Max => run.fold(records, known, undo, greater),
            Aggregate::Min => run.fold(records, known, undo, lesser),
        };
        if folded.records > 0 {
            self.count(rule, folded.points);
        }
        self.changed += folded.records;
        folded
    }

    /// Folds records up to one that a run begins with.
    fn fold_singly(
        &mut self,
        ways: &[Way],
        memo: &[u32],
        windows: &mut [Window],
        records: &[Record],
    ) -> Folded {
        // Of its own, all of it, lest the loop keep it in memory.
        let (series, positions, stamp) = (&self.series[..], &self.positions[..], self.stamp);
        let find = |record: &Record| {
            let way = ways.get(record.rule as usize)?;
            let series = series.get(record.set as usize)?;
            if (series.metric ^ way.metric) & way.mask != 0 || record.window as usize >= WINDOWS {
                return None;
            }
            let at = way.length as usize * WINDOWS + record.window as usize;
            let slot = (series.row & way.mask) as usize + way.column as usize;
            Some((way.aggregate, *positions.get(at)?, *memo.get(slot)?))
        };
        let mut matched = self.matched;
        let mut points = self.points[matched];
        let undo = self.undo[self.changed..].iter_mut();
        let (mut done, mut whole) = (0, true);
        for (record, undo) in records.iter().zip(undo) {
            if begins_run(&records[done..]) {
                break;
            }
            let found = find(record).and_then(|(aggregate, position, group)| {
                let window = windows.get_mut(position as usize)?;
                let cell = window.cells.get_mut(group as usize)?;
                (cell.stamp != stamp).then_some((aggregate, position, group, cell))
            });
            let Some((aggregate, position, group, cell)) = found else {
                whole = false;
                break;
            };
            *undo = Undo {
                position,
                group,
                cell: *cell,
            };
            cell.stamp = stamp;
            cell.fold(aggregate, record.value, record.count);
            matched += points.next(record.rule, record.count.into());
            self.points[matched] = points;
            done += 1;
        }
        self.changed += done;
        self.matched = matched;
        Folded {
            records: done,
            points: 0,
            whole,
        }
    }

    /// The run that begins with a record whose rule and window are known.
    #[inline(always)]
    fn run_of<'a>(
        &self,
        ways: &'a [Way],
        windows: &'a mut [Window],
        first: &Record,
    ) -> Option<Run<'a>> {
        let way = ways.get(first.rule as usize)?;
        if first.window as usize >= WINDOWS {
            return None;
        }
        let at = way.length as usize * WINDOWS + first.window as usize;
        let position = *self.positions.get(at)?;
        Some(Run {
            way,
            position,
            cells: &mut windows.get_mut(position as usize)?.cells,
            stamp: self.stamp,
        })
    }

    /// How many records went into accumulators, and their points by rule.
    pub fn folded(&self) -> (u64, Vec<RulePoints>) {
        let points = self.points[1..=self.matched].to_vec();
        (self.changed as u64, points)
    }

    /// Books points of a rule.
    #[inline(always)]
    fn count(&mut self, rule: u32, points: u64) {
        let mut last = self.points[self.matched];
        self.matched += last.next(rule, points);
        self.points[self.matched] = last;
    }

    /// Folds one record into its accumulator; false when another one of the message was there.
    pub fn fold_one(
        &mut self,
        way: &Way,
        record: &Record,
        mut undo: Undo,
        cell: &mut Cell,
    ) -> bool {
        if cell.stamp == self.stamp {
            return false;
        }
        undo.cell = *cell;
        self.undo[self.changed] = undo;
        self.changed += 1;
        cell.stamp = self.stamp;
        cell.fold(way.aggregate, record.value, record.count);
        self.count(record.rule, record.count.into());
        true
    }

    pub fn undo(&mut self, windows: &mut [Window]) {
        for undo in &self.undo[..self.changed] {
            windows[undo.position as usize].cells[undo.group as usize] = undo.cell;
        }
    }
}

/// Records of one rule and window, one after the other.
struct Run<'a> {
    way: &'a Way,
    position: u32,
    cells: &'a mut [Cell],
    stamp: u32,
}

/// How far a loop came.
struct Folded {
    records: usize,
    /// Of a run: those that are not booked yet.
    points: u64,
    /// Whether it did not stop at a record of which not all is known.
    whole: bool,
}

const STOPPED: Folded = Folded {
    records: 0,
    points: 0,
    whole: false,
};

/// Whether enough of one rule and window lie ahead for a loop of their own.
#[inline(always)]
fn begins_run(records: &[Record]) -> bool {
    match (records.first(), records.get(RUN - 1)) {
        (Some(first), Some(last)) => (first.rule, first.window) == (last.rule, last.window),
        _ => false,
    }
}

impl Run<'_> {
    /// Folds the records that `records` begin with, as far as their groups are known.
    #[inline(always)]
    fn fold(
        self,
        records: &[Record],
        (series, memo): (&[Series], &[u32]),
        undo: &mut [Undo],
        join: impl Fn(f64, f64) -> f64,
    ) -> Folded {
        let Self {
            way,
            position,
            cells,
            stamp,
        } = self;
        let (metric, mask, column) = (way.metric, way.mask, way.column as usize);
        let group_of = |record: &Record| {
            let series = series.get(record.set as usize)?;
            if (series.metric ^ metric) & mask != 0 {
                return None;
            }
            memo.get((series.row & mask) as usize + column).copied()
        };
        let mut folded = Folded {
            records: 0,
            points: 0,
            whole: true,
        };
        let Some(first) = records.first() else {
            return folded;
        };
        for (record, undo) in records.iter().zip(undo) {
            if record.rule != first.rule || record.window != first.window {
                break;
            }
            let cell = group_of(record).and_then(|group| {
                let cell = cells.get_mut(group as usize)?;
                (cell.stamp != stamp).then_some((group, cell))
            });
            let Some((group, cell)) = cell else {
                folded.whole = false;
                break;
            };
            *undo = Undo {
                position,
                group,
                cell: *cell,
            };
            cell.stamp = stamp;
            cell.fold_by(&join, record.value, record.count);
            folded.points += u64::from(record.count);
            folded.records += 1;
        }
        folded
    }
}

impl RulePoints {
    /// Adds points of the same rule, or becomes the next entry; answers by how much to go on.
    #[inline(always)]
    fn next(&mut self, rule: u32, points: u64) -> usize {
        let is_other = self.rule != rule;
        let before = if is_other { 0 } else { self.points };
        *self = RulePoints {
            rule,
            points: before + points,
        };
        usize::from(is_other)
    }
}
