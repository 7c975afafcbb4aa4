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
const WINDOWS: usize = 16;

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
    positions: Vec<u32>,
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

    /// Remembers where a window of a message is, which its number counts from the first one.
    #[inline]
    pub fn see_window(&mut self, (length, number): (u32, i64), position: u32) {
        if (0..WINDOWS as i64).contains(&number) {
            self.positions[length as usize * WINDOWS + number as usize] = position;
        }
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
        while let Some(first) = records.get(done) {
            let Some((way, target)) = self.target(ways, windows, first) else {
                break;
            };
            let rest = &records[done..];
            let folded = if begins_run(rest) {
                self.fold_run((way, memo), target, rest)
            } else {
                self.fold_singly((ways, memo), way.length, target, rest)
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
        (way, memo): (&Way, &[u32]),
        target: Target<'_>,
        records: &[Record],
    ) -> Folded {
        match way.aggregate {
            Aggregate::Sum | Aggregate::Avg | Aggregate::Count => {
                self.fold_run_by((way, memo), target, records, add)
            }
            Aggregate::Max => self.fold_run_by((way, memo), target, records, greater),
            Aggregate::Min => self.fold_run_by((way, memo), target, records, lesser),
        }
    }

    #[inline(always)]
    fn fold_run_by(
        &mut self,
        (way, memo): (&Way, &[u32]),
        mut target: Target<'_>,
        records: &[Record],
        join: impl Fn(f64, f64) -> f64,
    ) -> Folded {
        let series = &self.series[..];
        let Some(&Record { rule, window, .. }) = records.first() else {
            return NONE_FOLDED;
        };
        let (mut folded, mut points) = (NONE_FOLDED, 0);
        for (record, undo) in records.iter().zip(&mut self.undo[self.changed..]) {
            if (record.rule ^ rule) | (record.window ^ window) != 0 {
                break;
            }
            let group = group_of(record, way, series, memo);
            let Some(cell) = group.and_then(|group| target.take(group, undo)) else {
                folded.whole = false;
                break;
            };
            cell.fold_by(&join, record.value, record.count);
            points += u64::from(record.count);
            folded.records += 1;
        }
        if folded.records > 0 {
            self.count(rule, points);
        }
        self.changed += folded.records;
        folded
    }

    /// Folds the records of one window, of any rules of its length, up to one that a run begins
    /// with.
    fn fold_singly(
        &mut self,
        (ways, memo): (&[Way], &[u32]),
        length: u32,
        mut target: Target<'_>,
        records: &[Record],
    ) -> Folded {
        let (series, points) = (&self.series[..], &mut self.points[..]);
        let (mut matched, mut last) = (self.matched, points[self.matched]);
        let window = records.first().map_or(0, |first| first.window);
        let mut folded = NONE_FOLDED;
        for (record, undo) in records.iter().zip(&mut self.undo[self.changed..]) {
            let way = ways.get(record.rule as usize);
            let known = way.and_then(|way| Some((way, group_of(record, way, series, memo)?)));
            let Some((way, group)) = known else {
                folded.whole = false;
                break;
            };
            let is_elsewhere = (way.length ^ length) | (record.window ^ window) != 0;
            if is_elsewhere || (record.rule == last.rule && begins_run(&records[folded.records..]))
            {
                break;
            }
            let Some(cell) = target.take(group, undo) else {
                folded.whole = false;
                break;
            };
            cell.fold(way.aggregate, record.value, record.count);
            matched += last.next(record.rule, record.count.into());
            points[matched] = last;
            folded.records += 1;
        }
        self.changed += folded.records;
        self.matched = matched;
        folded
    }

    /// Where a record leads to, as far as its window is known.
    #[inline(always)]
    fn target<'a>(
        &self,
        ways: &'a [Way],
        windows: &'a mut [Window],
        record: &Record,
    ) -> Option<(&'a Way, Target<'a>)> {
        let way = ways.get(record.rule as usize)?;
        if record.window as usize >= WINDOWS {
            return None;
        }
        let at = way.length as usize * WINDOWS + record.window as usize;
        let position = *self.positions.get(at)?;
        let cells = &mut windows.get_mut(position as usize)?.cells[..];
        let stamp = self.stamp;
        let target = Target {
            position,
            cells,
            stamp,
        };
        Some((way, target))
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

/// The window that records go to.
struct Target<'a> {
    position: u32,
    cells: &'a mut [Cell],
    stamp: u32,
}

impl Target<'_> {
    /// The accumulator of a group, unless the message has changed it already. What it was goes to
    /// `undo`.
    #[inline(always)]
    fn take(&mut self, group: u32, undo: &mut Undo) -> Option<&mut Cell> {
        let cell = self.cells.get_mut(group as usize)?;
        if cell.stamp == self.stamp {
            return None;
        }
        *undo = Undo {
            position: self.position,
            group,
            cell: *cell,
        };
        cell.stamp = self.stamp;
        Some(cell)
    }
}

/// How far a loop came.
struct Folded {
    records: usize,
    /// Whether it did not stop at a record of which not all is known.
    whole: bool,
}

const NONE_FOLDED: Folded = Folded {
    records: 0,
    whole: true,
};

/// The group that a record leads to, `UNKNOWN` or nothing when that is not known yet.
#[inline(always)]
fn group_of(record: &Record, way: &Way, series: &[Series], memo: &[u32]) -> Option<u32> {
    let series = series.get(record.set as usize)?;
    if (series.metric ^ way.metric) & way.mask != 0 {
        return None;
    }
    let slot = (series.row & way.mask) as usize + way.column as usize;
    memo.get(slot).copied()
}

/// Whether enough of one rule and window lie ahead for a loop of their own.
#[inline(always)]
fn begins_run(records: &[Record]) -> bool {
    match (records.first(), records.get(RUN - 1)) {
        (Some(first), Some(last)) => (first.rule, first.window) == (last.rule, last.window),
        _ => false,
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
