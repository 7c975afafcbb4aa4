//! One message's records, each into its accumulator.
//!
//! What the loops of [`Work`] stop at goes the long way round. Accumulators are changed at once and
//! remembered as they were: when a record is refused, all that the message changed goes back.

use ratchet_sandbox::Record;

use super::cell::Cell;
use super::memo::UNKNOWN;
use super::message::View;
use super::pass::{Beyond, LatePoints, MergeFault, Pass, Tally};
use super::series::Series;
use super::table::GROUP_BYTES;
use super::window::Window;
use super::work::{Undo, Way, Work, UNCHANGED, UNRESOLVED};
use super::Merger;

/// Where a window's points go.
enum Place {
    /// The position of a window.
    Open(u32),
    /// The start of a window that has closed.
    Late(i64),
    /// A window that another configuration serves.
    Elsewhere,
}

impl Merger {
    /// Folds all records, or none.
    pub(super) fn fold(
        &mut self,
        work: &mut Work,
        pass: &Pass<'_>,
        records: &[Record],
        mut view: Option<View<'_>>,
    ) -> Result<Tally, MergeFault> {
        let sizes = (self.lengths.len(), pass.header.sets as usize, records.len());
        work.begin(sizes, self.stamp);
        self.recognise_windows(work, pass);
        if let Some(view) = &mut view {
            view.recognise(&self.series, &mut work.series);
        }
        let folded = self.fold_into(work, pass, records, view);
        if folded.is_err() {
            work.undo(&mut self.windows);
        }
        folded
    }

    /// Finds the windows of a message that are open already.
    fn recognise_windows(&self, work: &mut Work, pass: &Pass<'_>) {
        for (position, window) in (0u32..).zip(&self.windows) {
            let length = &self.lengths[window.length as usize];
            let first = length.index_of(pass.header.min_ts);
            let takes = length.closes_at_ms(window.index) > pass.time_ms;
            if takes && pass.span.contains(window.index * length.window_ms) {
                work.see_window((window.length, window.index - first), position);
            }
        }
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
        (tally.records, tally.matched) = work.folded();
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
        let index = length.index_of(pass.header.min_ts) + i64::from(window);
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
        work.see_window((way.length, i64::from(window)), position);
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
