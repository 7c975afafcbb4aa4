//! One message's records, each into its accumulator.
//!
//! A loop without a call takes all records whose groups and windows are known; what it stops at
//! goes the long way round. Accumulators are changed at once, and remembered as they were: when a
//! record is refused, all that the message changed goes back.

use ratchet_rules::Aggregate;
use ratchet_sandbox::Record;

use super::cell::Cell;
use super::memo::UNKNOWN;
use super::message::View;
use super::pass::{Beyond, LatePoints, MergeFault, Pass, RulePoints, Tally};
use super::series::Series;
use super::table::GROUP_BYTES;
use super::window::Window;
use super::Merger;

/// So many windows of a message are found by a table; the others by search.
const WINDOWS: usize = 16;

/// Stands for the position of a window that was not looked up yet, or that takes no points.
const NOWHERE: u32 = u32::MAX;

/// Stands for a tag-set that was not looked up yet, or whose metric no rule names.
const UNRESOLVED: Series = Series {
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

/// Where a window's points go.
enum Place {
    /// The position of a window.
    Open(u32),
    /// The start of a window that has closed.
    Late(i64),
    /// A window that another configuration serves.
    Elsewhere,
}

/// An accumulator as it was before the message.
#[derive(Clone, Copy)]
struct Undo {
    position: u32,
    group: u32,
    cell: Cell,
}

/// What no accumulator was.
const UNCHANGED: Undo = Undo {
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
    series: Vec<Series>,
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
    fn begin(&mut self, (lengths, sets, records): (usize, usize, usize), stamp: u32) {
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
    fn fold(
        &mut self,
        ways: &[Way],
        memo: &[u32],
        windows: &mut [Window],
        records: &[Record],
    ) -> usize {
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
        let mut done = 0;
        for (record, undo) in records.iter().zip(undo) {
            let Some((aggregate, position, group)) = find(record) else {
                break;
            };
            let window = windows.get_mut(position as usize);
            let cell = window.and_then(|window| window.cells.get_mut(group as usize));
            let Some(cell) = cell.filter(|cell| cell.stamp != stamp) else {
                break;
            };
            *undo = Undo {
                position,
                group,
                cell: *cell,
            };
            cell.stamp = stamp;
            cell.fold(aggregate, record.value, record.count);
            matched += points.next(record.rule, record.count);
            self.points[matched] = points;
            done += 1;
        }
        self.changed += done;
        self.matched = matched;
        done
    }

    /// Folds one record into its accumulator; false when another one of the message was there.
    fn fold_one(&mut self, way: &Way, record: &Record, mut undo: Undo, cell: &mut Cell) -> bool {
        if cell.stamp == self.stamp {
            return false;
        }
        undo.cell = *cell;
        self.undo[self.changed] = undo;
        self.changed += 1;
        cell.stamp = self.stamp;
        cell.fold(way.aggregate, record.value, record.count);
        let mut points = self.points[self.matched];
        self.matched += points.next(record.rule, record.count);
        self.points[self.matched] = points;
        true
    }

    fn undo(&mut self, windows: &mut [Window]) {
        for undo in &self.undo[..self.changed] {
            windows[undo.position as usize].cells[undo.group as usize] = undo.cell;
        }
    }
}

impl RulePoints {
    /// Adds points of the same rule, or becomes the next entry; answers by how much to go on.
    /// Without a branch: where a rule ends cannot be foreseen.
    #[inline(always)]
    fn next(&mut self, rule: u32, count: u32) -> usize {
        let is_other = self.rule != rule;
        let before = if is_other { 0 } else { self.points };
        *self = RulePoints {
            rule,
            points: before + u64::from(count),
        };
        usize::from(is_other)
    }
}

impl Merger {
    /// Folds all records, or none.
    pub(super) fn fold(
        &mut self,
        work: &mut Work,
        pass: &Pass<'_>,
        records: &[Record],
        view: Option<View<'_>>,
    ) -> Result<Tally, MergeFault> {
        let sizes = (self.lengths.len(), pass.header.sets as usize, records.len());
        work.begin(sizes, self.stamp);
        let folded = self.fold_into(work, pass, records, view);
        if folded.is_err() {
            work.undo(&mut self.windows);
        }
        folded
    }

    fn fold_into(
        &mut self,
        work: &mut Work,
        pass: &Pass<'_>,
        records: &[Record],
        mut view: Option<View<'_>>,
    ) -> Result<Tally, MergeFault> {
        let mut tally = Tally::default();
        let (ways, mut done) = (&pass.binding.ways[..], 0);
        loop {
            let (memo, rest) = (self.memo.slots(), &records[done..]);
            done += work.fold(ways, memo, &mut self.windows, rest);
            let Some(record) = records.get(done) else {
                break;
            };
            self.fold_one((done, record), work, pass, &mut view, &mut tally)?;
            done += 1;
        }
        tally.records = work.changed as u64;
        tally.matched = work.points[1..=work.matched].to_vec();
        Ok(tally)
    }

    /// Folds a record of which not all is known.
    #[cold]
    fn fold_one(
        &mut self,
        (at, record): (usize, &Record),
        work: &mut Work,
        pass: &Pass<'_>,
        view: &mut Option<View<'_>>,
        tally: &mut Tally,
    ) -> Result<(), MergeFault> {
        let &Record {
            rule, set, window, ..
        } = record;
        let range = MergeFault::Range { at, rule, set };
        let way = pass.binding.ways.get(rule as usize).ok_or(range.clone())?;
        let position = match self.place(way, window, pass, work) {
            Place::Open(position) => position,
            Place::Late(start_ms) => {
                tally.late.push(LatePoints {
                    rule,
                    start_ms,
                    points: record.count,
                });
                return Ok(());
            }
            Place::Elsewhere => return Ok(()),
        };
        let series = work.series.get_mut(set as usize).ok_or(range)?;
        let group = self.group((at, record), way, series, view)?;
        let group = group.and_then(|group| self.has_cell(position, group).map(|()| group));
        let group = match group {
            Ok(group) => group,
            Err(beyond) => {
                tally.refuse(record, beyond);
                return Ok(());
            }
        };
        let undo = Undo {
            position,
            group,
            ..UNCHANGED
        };
        let cell = &mut self.windows[position as usize].cells[group as usize];
        if work.fold_one(way, record, undo, cell) {
            return Ok(());
        }
        Err(MergeFault::Duplicate {
            at,
            rule,
            set,
            window,
        })
    }

    /// Where a rule's window is, counted from the first one of the message.
    fn place(&mut self, way: &Way, window: u32, pass: &Pass<'_>, work: &mut Work) -> Place {
        let length = &self.lengths[way.length as usize];
        let index = pass.header.min_ts.div_euclid(length.window_ms) + i64::from(window);
        let start_ms = index * length.window_ms;
        let closes_ms = length.closes_at_ms(index);
        if !pass.span.contains(start_ms) {
            return Place::Elsewhere;
        }
        if closes_ms <= pass.time_ms {
            return Place::Late(start_ms);
        }
        let same = |open: &Window| open.index == index && open.length == way.length;
        let found = self.windows.iter().rposition(same);
        let position = found.unwrap_or_else(|| {
            self.next_close_ms = self.next_close_ms.min(closes_ms);
            self.windows
                .push(Window::new(way.length, index, pass.sequence));
            self.windows.len() - 1
        }) as u32;
        if (window as usize) < WINDOWS {
            work.positions[way.length as usize * WINDOWS + window as usize] = position;
        }
        Place::Open(position)
    }

    /// The group of a record's tag-set; an inner error when there is no room for a new one.
    fn group(
        &mut self,
        (at, record): (usize, &Record),
        way: &Way,
        series: &mut Series,
        view: &mut Option<View<'_>>,
    ) -> Result<Result<u32, Beyond>, MergeFault> {
        let &Record { rule, set, .. } = record;
        let view = view.as_mut().filter(|_| way.mask != 0);
        let Some(view) = view else {
            // All series are one group: it does not matter which one this is.
            return Ok(self.group_of_key(way, UNKNOWN, &[]));
        };
        if *series == UNRESOLVED {
            let found = view.series(set as usize, &mut self.series, &mut self.memo);
            *series = found.unwrap_or(UNRESOLVED);
        }
        if series.metric != way.metric {
            return Err(MergeFault::Metric { at, rule, set });
        }
        let slot = series.row as usize + way.column as usize;
        let known = self.memo.slots().get(slot).copied();
        if let Some(group) = known.filter(|group| *group != UNKNOWN) {
            return Ok(Ok(group));
        }
        let rule = self.tables[way.table as usize].rule.clone();
        let key = view.group_key(set as usize, &rule.rule.group_by);
        Ok(self.group_of_key(way, series.row, key))
    }

    /// The group of a key, new or known; an error when there is no room for a new one.
    fn group_of_key(&mut self, way: &Way, row: u32, key: &[u8]) -> Result<u32, Beyond> {
        let table = &mut self.tables[way.table as usize];
        let fingerprint = self.series.hasher().hash(key);
        let group = match table.group(fingerprint) {
            Some(group) => group,
            None => {
                if self.groups >= self.limits.groups {
                    return Err(Beyond::Series);
                }
                let bytes = self.bytes + GROUP_BYTES + key.len();
                if bytes > self.limits.bytes {
                    return Err(Beyond::Memory);
                }
                self.bytes = bytes;
                self.groups += 1;
                let groups = &mut self.lengths[way.length as usize].groups;
                let group = *groups;
                *groups += 1;
                table.add_group(fingerprint, key, group);
                group
            }
        };
        if let Some(slot) = self.memo.slot(row & way.mask, way.column) {
            *slot = group;
        }
        Ok(group)
    }

    /// Whether a window has an accumulator for a group, now if not before.
    fn has_cell(&mut self, position: u32, group: u32) -> Result<(), Beyond> {
        let cells = &mut self.windows[position as usize].cells;
        let missing = (group as usize + 1).saturating_sub(cells.len());
        let bytes = self.bytes + missing * size_of::<Cell>();
        if missing > 0 {
            if bytes > self.limits.bytes {
                return Err(Beyond::Memory);
            }
            self.bytes = bytes;
            self.cells += missing;
            cells.resize(group as usize + 1, Cell::EMPTY);
        }
        Ok(())
    }
}
