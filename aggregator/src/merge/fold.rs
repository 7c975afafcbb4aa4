//! One message's records, each into its accumulator.
//!
//! Records that are those of a message before go the way that these went. For others the loops of
//! [`Work`] find the accumulators; what they stop at goes the long way round. When a record is
//! refused, nothing has been changed.

use ratchet_sandbox::Record;

use super::memo::UNKNOWN;
use super::message::View;
use super::pass::{Beyond, LatePoints, MergeFault, Pass, Tally};
use super::recall::Known;
use super::series::{Series, UNRESOLVED};
use super::table::GROUP_BYTES;
use super::window::{Room, Window};
use super::work::{Way, Work};
use super::{Merger, Scratch};

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
        scratch: &mut Scratch,
        pass: &Pass<'_>,
        records: &[Record],
    ) -> Result<Tally, MergeFault> {
        let work = &mut scratch.work;
        work.begin(self.lengths.len());
        self.recognise_windows(work, pass);
        let message = match pass.binding.is_grouped {
            true => self.series.fingerprint(pass.payload, pass.header),
            false => None,
        };
        if message.is_some_and(|message| self.follow(message, work, pass, records)) {
            return Ok(Tally::recalled(records.len()));
        }
        self.find_and_change(scratch, pass, records, message)
    }

    /// Lets the records go the way of those of a message before; false when there is none.
    fn follow(&mut self, message: u128, work: &Work, pass: &Pass<'_>, records: &[Record]) -> bool {
        let known = self.series.recall(message);
        let Some(route) = known.and_then(Known::route) else {
            return false;
        };
        let mut room = Room {
            windows: &mut self.windows,
            cells: &mut self.cells,
            bytes: &mut self.bytes,
            bytes_max: self.limits.bytes,
        };
        route.follow(pass.binding.number, &work.positions, &mut room, records)
    }

    /// Finds the accumulators of all records, then changes them.
    fn find_and_change(
        &mut self,
        scratch: &mut Scratch,
        pass: &Pass<'_>,
        records: &[Record],
        message: Option<u128>,
    ) -> Result<Tally, MergeFault> {
        self.make_room(pass.header.sets as usize, records.len());
        self.next_stamp();
        let (ways, work) = (pass.binding.ways(), &mut scratch.work);
        work.begin_to_find(ways, (pass.header.sets, records.len()), self.stamp);
        let known = message.and_then(|message| self.series.recall(message));
        let comes_again = known.is_some_and(|known| known.tell(&mut work.series));
        let done = work.find(ways, self.memo.slots(), &mut self.windows, (0, records));
        let mut tally = match done == records.len() {
            true => Tally::default(),
            false => self.find_rest(scratch, pass, (done, records), message)?,
        };
        tally.records = scratch.work.change(&mut self.windows, records) as u64;
        if let Some(message) = message.filter(|_| comes_again) {
            self.remember_route(message, &scratch.work, pass, records);
        }
        Ok(tally)
    }

    /// Remembers the way of the records of a message that came again, unless it is known.
    fn remember_route(&mut self, message: u128, work: &Work, pass: &Pass<'_>, records: &[Record]) {
        let binding = pass.binding.number;
        let known = self.series.recall(message).and_then(Known::route);
        if !known.is_some_and(|route| route.is_of(binding, records)) {
            let route = || work.route(binding, &self.windows, records);
            self.series.remember_route(message, records.len(), route);
            self.arrange();
        }
    }

    /// Finds the accumulators of the other records, of the first of which not all is known.
    fn find_rest(
        &mut self,
        Scratch { buffers, work }: &mut Scratch,
        pass: &Pass<'_>,
        (done, records): (usize, &[Record]),
        message: Option<u128>,
    ) -> Result<Tally, MergeFault> {
        if !pass.binding.is_grouped {
            return self.find_from(done, work, pass, records, None);
        }
        let hasher = self.series.hasher();
        let folded = buffers.with_view(pass.payload, pass.header, hasher, |mut view| {
            view.recognise(&self.series, &mut work.series);
            self.find_from(done, work, pass, records, Some(view))
        });
        let tally = folded.map_err(MergeFault::Decode)??;
        if let Some(message) = message {
            self.series.remember(message, &work.series);
        }
        Ok(tally)
    }

    /// Finds the windows of a message that are open already.
    fn recognise_windows(&self, work: &mut Work, pass: &Pass<'_>) {
        let lengths = self.lengths.iter();
        work.firsts.clear();
        work.firsts
            .extend(lengths.map(|length| length.index_of(pass.header.min_ts)));
        for (position, window) in (0u32..).zip(&self.windows) {
            let length = &self.lengths[window.length as usize];
            let takes = length.closes_at_ms(window.index) > pass.time_ms;
            if takes && pass.span.contains(window.index * length.window_ms) {
                let first = work.firsts[window.length as usize];
                work.positions
                    .set((window.length, window.index - first), position);
            }
        }
    }

    fn find_from(
        &mut self,
        mut done: usize,
        work: &mut Work,
        pass: &Pass<'_>,
        records: &[Record],
        mut view: Option<View<'_>>,
    ) -> Result<Tally, MergeFault> {
        let mut tally = Tally::default();
        let ways = pass.binding.ways();
        loop {
            let memo = self.memo.slots();
            done = work.find(ways, memo, &mut self.windows, (done, records));
            let Some(record) = records.get(done) else {
                return Ok(tally);
            };
            self.find_one((done, record), work, pass, &mut view, &mut tally)?;
            done += 1;
        }
    }

    /// Finds the accumulator of a record of which not all is known, unless it has none.
    #[cold]
    fn find_one(
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
        let ways = &pass.binding.ways;
        let way = ways.get(rule as usize).ok_or(range.clone())?;
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
            Place::Elsewhere => {
                tally.leave_out(record);
                return Ok(());
            }
        };
        if set >= pass.header.sets {
            return Err(range);
        }
        let table = pass.binding.tables[rule as usize];
        let group = self.group((at, record), (way, table), &mut work.series, view)?;
        let group = group.and_then(|group| self.has_cell(position, group).map(|()| group));
        let group = match group {
            Ok(group) => group,
            Err(beyond) => {
                tally.refuse(record, beyond);
                return Ok(());
            }
        };
        let cells = &mut self.windows[position as usize].cells;
        if work.find_one(at, (position, group, way.join), cells) {
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
        let index = work.firsts[way.length as usize] + i64::from(window);
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
        work.positions
            .set((way.length, i64::from(window)), position);
        Place::Open(position)
    }

    /// The group of a record's tag-set; an inner error when there is no room for a new one.
    fn group(
        &mut self,
        (at, record): (usize, &Record),
        (way, table): (&Way, u32),
        series: &mut [Series],
        view: &mut Option<View<'_>>,
    ) -> Result<Result<u32, Beyond>, MergeFault> {
        let &Record { rule, set, .. } = record;
        let Some(view) = view else {
            // All series are one group, whose slot the column is.
            return Ok(self.group_of_key((way, table), 0, &[]));
        };
        let series = &mut series[set as usize];
        if *series == UNRESOLVED {
            let found = view.series(set as usize, &mut self.series, &mut self.memo);
            *series = found.unwrap_or(UNRESOLVED);
        }
        if series.metric != way.metric {
            // All series are one group, of whatever metric the one is that stands for it.
            return match self.tables[table as usize].is_grouped() {
                true => Err(MergeFault::Metric { at, rule, set }),
                false => Ok(self.group_of_key((way, table), UNKNOWN, &[])),
            };
        }
        let slot = series.row as usize + way.column as usize;
        let known = self.memo.slots().get(slot).copied();
        if let Some(group) = known.filter(|group| *group != UNKNOWN) {
            return Ok(Ok(group));
        }
        let rule = self.tables[table as usize].rule.clone();
        let key = view.group_key(set as usize, &rule.rule.group_by);
        Ok(self.group_of_key((way, table), series.row, key))
    }

    /// The group of a key, new or known; an error when there is no room for a new one.
    fn group_of_key(
        &mut self,
        (way, table): (&Way, u32),
        row: u32,
        key: &[u8],
    ) -> Result<u32, Beyond> {
        let table = &mut self.tables[table as usize];
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
        if let Some(slot) = self.memo.slot(row, way.column) {
            *slot = group;
        }
        Ok(group)
    }

    /// Whether a window has an accumulator for a group, now if not before.
    fn has_cell(&mut self, position: u32, group: u32) -> Result<(), Beyond> {
        let mut room = Room {
            windows: &mut self.windows,
            cells: &mut self.cells,
            bytes: &mut self.bytes,
            bytes_max: self.limits.bytes,
        };
        match room.has_cell(position, group) {
            true => Ok(()),
            false => Err(Beyond::Memory),
        }
    }
}
