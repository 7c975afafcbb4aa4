//! One message's records, in three tight loops: find every accumulator, see that none is named
//! twice, add.
//!
//! Records of one rule and window come one after the other, so what the loops need of rule and
//! window is looked up once a run.

use ratchet_codec::payload::Header;
use ratchet_codec::DecodeError;
use ratchet_sandbox::Record;

use super::cell::Cell;
use super::message::View;
use super::table::GROUP_BYTES;
use super::{Binding, Merger};
use crate::timeline::Span;

/// What is known of a message before its records are merged.
pub struct Pass<'a> {
    pub payload: &'a [u8],
    pub header: &'a Header,
    pub sequence: u64,
    pub binding: &'a Binding,
    /// The windows that the binding's configuration serves.
    pub span: Span,
    /// The organization's time: windows that closed by then take no more points.
    pub time_ms: i64,
}

/// What became of a message's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub records: u64,
    /// Points that went into windows.
    pub matched: Vec<RulePoints>,
    pub late: Vec<LatePoints>,
    /// Points of groups that did not fit.
    pub overflow: Vec<RulePoints>,
    /// How many of them met the limit of groups, and that of memory.
    pub beyond_series: u64,
    pub beyond_memory: u64,
}

/// The limit that a group met.
#[derive(Clone, Copy)]
enum Beyond {
    Series,
    Memory,
}

impl Tally {
    fn refuse(&mut self, record: &Record, beyond: Beyond) {
        let refused = match beyond {
            Beyond::Series => &mut self.beyond_series,
            Beyond::Memory => &mut self.beyond_memory,
        };
        *refused += u64::from(record.count);
        add(&mut self.overflow, record.rule, record.count);
    }
}

/// Points of one rule; a rule may come several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RulePoints {
    /// Index of the rule in its configuration.
    pub rule: u32,
    pub points: u64,
}

/// Adds to the last entry when that is of the same rule.
fn add(all: &mut Vec<RulePoints>, rule: u32, points: u32) {
    let points = u64::from(points);
    match all.last_mut().filter(|last| last.rule == rule) {
        Some(last) => last.points += points,
        None => all.push(RulePoints { rule, points }),
    }
}

/// Points of one message that came after their window had closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatePoints {
    /// Index of the rule in its configuration.
    pub rule: u32,
    pub start_ms: i64,
    pub points: u32,
}

/// Records that no correct module returns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeFault {
    #[error("message does not decode: {0:?}")]
    Decode(DecodeError),
    #[error("record {at}: rule {rule} or tag-set {set} is out of range")]
    Range { at: usize, rule: u32, set: u32 },
    #[error("record {at}: tag-set {set} is not of the metric of rule {rule}")]
    Metric { at: usize, rule: u32, set: u32 },
    #[error("record {at}: a second one of the group of tag-set {set}, rule {rule}, {window}")]
    Duplicate {
        at: usize,
        rule: u32,
        set: u32,
        window: u32,
    },
}

impl MergeFault {
    /// A short label for metrics and events.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Decode(_) => "record-decode",
            Self::Range { .. } => "record-range",
            Self::Metric { .. } => "record-metric",
            Self::Duplicate { .. } => "record-duplicate",
        }
    }

    fn range(at: usize, record: &Record) -> Self {
        Self::Range {
            at,
            rule: record.rule,
            set: record.set,
        }
    }
}

/// Stands for the group of a record that goes into no window.
const NOWHERE: u32 = u32::MAX;

/// Consecutive records of one rule and window.
#[derive(Clone, Copy)]
struct Run {
    rule: u32,
    table: u32,
    /// Position of the window; `None`: its points are late, or not this configuration's.
    position: Option<usize>,
    /// The first of its records.
    from: usize,
}

/// Where the points of a run go.
enum Place {
    /// The position of a window.
    Open(usize),
    /// The start of a window that has closed.
    Late(i64),
    /// A window that another configuration serves.
    Elsewhere,
}

/// The runs of a pass, and the group of each record; kept as buffers.
#[derive(Default)]
pub struct Pendings {
    runs: Vec<Run>,
    groups: Vec<u32>,
}

impl Pendings {
    fn clear(&mut self) {
        self.runs.clear();
        self.groups.clear();
    }

    /// How many records go into windows.
    pub fn len(&self) -> usize {
        self.groups
            .iter()
            .filter(|group| **group != NOWHERE)
            .count()
    }

    /// Each run whose window is open, with its position, its records and their groups.
    fn runs<'a>(
        &'a self,
        records: &'a [Record],
    ) -> impl Iterator<Item = (&'a Run, usize, &'a [Record], &'a [u32])> {
        let ends = self.runs.iter().skip(1).map(|run| run.from);
        let runs = self.runs.iter().zip(ends.chain([records.len()]));
        runs.filter_map(|(run, end)| {
            let (records, groups) = (&records[run.from..end], &self.groups[run.from..end]);
            Some((run, run.position?, records, groups))
        })
    }
}

impl Merger {
    /// Finds the accumulator of every record, and checks the records; adds nothing.
    pub(super) fn resolve(
        &mut self,
        pass: &Pass<'_>,
        records: &[Record],
        view: &mut View<'_>,
        tally: &mut Tally,
    ) -> Result<(), MergeFault> {
        let mut pendings = std::mem::take(&mut self.pendings);
        pendings.clear();
        let resolved = self.resolve_into(&mut pendings, pass, records, view, tally);
        self.pendings = pendings;
        resolved?;
        self.stamp_all(records)
    }

    fn resolve_into(
        &mut self,
        pendings: &mut Pendings,
        pass: &Pass<'_>,
        records: &[Record],
        view: &mut View<'_>,
        tally: &mut Tally,
    ) -> Result<(), MergeFault> {
        let mut from = 0;
        while let Some(&Record { rule, window, .. }) = records.get(from) {
            let rest = records[from..].iter();
            let same = rest.take_while(|record| record.rule == rule && record.window == window);
            let run = &records[from..from + same.count()];
            let table = *pass
                .binding
                .tables
                .get(rule as usize)
                .ok_or(MergeFault::range(from, &run[0]))?;
            let place = self.place(table, window, pass);
            let position = match place {
                Place::Open(position) => Some(position),
                Place::Late(_) | Place::Elsewhere => None,
            };
            pendings.runs.push(Run {
                rule,
                table,
                position,
                from,
            });
            match place {
                Place::Open(position) => {
                    let groups = &mut pendings.groups;
                    self.find_groups((from, run), (table, position), view, groups, tally)?;
                }
                Place::Late(start_ms) => tally.late.extend(run.iter().map(|record| LatePoints {
                    rule,
                    start_ms,
                    points: record.count,
                })),
                Place::Elsewhere => (),
            }
            from += run.len();
            pendings.groups.resize(from, NOWHERE);
        }
        Ok(())
    }

    /// Where a rule's window is, counted from the first one of the message.
    fn place(&mut self, table: u32, window: u32, pass: &Pass<'_>) -> Place {
        let table = &mut self.tables[table as usize];
        let index = pass.header.min_ts.div_euclid(table.window_ms) + i64::from(window);
        let start_ms = index * table.window_ms;
        let closes_ms = table.closes_at_ms(index);
        if !pass.span.contains(start_ms) {
            return Place::Elsewhere;
        }
        if closes_ms <= pass.time_ms {
            return Place::Late(start_ms);
        }
        let (position, opened) = table.open(index, pass.sequence);
        self.open_windows += usize::from(opened);
        self.next_close_ms = self.next_close_ms.min(closes_ms);
        Place::Open(position)
    }

    /// Writes the group of each record of a run, the first of which is number `at`.
    fn find_groups(
        &mut self,
        (at, run): (usize, &[Record]),
        (table, position): (u32, usize),
        view: &mut View<'_>,
        groups: &mut Vec<u32>,
        tally: &mut Tally,
    ) -> Result<(), MergeFault> {
        let mut done = 0;
        loop {
            done += self.find_known(&run[done..], (table, position), view, groups);
            let Some(record) = run.get(done) else {
                return Ok(());
            };
            let group = self.group(at + done, record, table, view)?;
            let room = group.and_then(|group| {
                let has_cell = self.has_cell(table, position, group);
                has_cell.then_some(group).ok_or(Beyond::Memory)
            });
            groups.push(room.unwrap_or(NOWHERE));
            if let Err(beyond) = room {
                tally.refuse(record, beyond);
            }
            done += 1;
        }
    }

    /// Writes groups as long as the memo knows them and their accumulators are there; answers how
    /// many.
    #[inline]
    fn find_known(
        &mut self,
        run: &[Record],
        (table, position): (u32, usize),
        view: &View<'_>,
        groups: &mut Vec<u32>,
    ) -> usize {
        let table = &mut self.tables[table as usize];
        let cells = table.cells_mut(position).len();
        let (metric, before) = (table.metric, groups.len());
        let column = self.memo.column(metric, table.column);
        let known = run.iter().map_while(|record| {
            let id = view.known(record.set as usize, metric)?;
            column.get(id).filter(|group| (*group as usize) < cells)
        });
        groups.extend(known);
        groups.len() - before
    }

    /// The group of a record's tag-set; an inner error when there is no room for a new one.
    fn group(
        &mut self,
        at: usize,
        record: &Record,
        table: u32,
        view: &mut View<'_>,
    ) -> Result<Result<u32, Beyond>, MergeFault> {
        let &Record { rule, set, .. } = record;
        let set = set as usize;
        if set >= view.sets() {
            return Err(MergeFault::range(at, record));
        }
        let rule_table = &mut self.tables[table as usize];
        let metric = rule_table.metric;
        if view.metric(set, &self.series) != Some(metric) {
            let set = record.set;
            return Err(MergeFault::Metric { at, rule, set });
        }
        if !rule_table.is_grouped {
            // All series are one group: it does not matter which one this is.
            return Ok(self.group_of_key(table, &[]));
        }
        let series = view.series(set, metric, &mut self.series);
        let column = rule_table.column;
        if let Some(group) = self.memo.column(metric, column).get(series.id) {
            return Ok(Ok(group));
        }
        let key = view.group_key(set, &rule_table.rule.rule.group_by);
        let group = self.group_of_key(table, key);
        if let Ok(group) = group {
            self.memo.remember(series, column, group);
        }
        Ok(group)
    }

    /// The group of a key, new or known; an error when there is no room for a new one.
    fn group_of_key(&mut self, table: u32, key: &[u8]) -> Result<u32, Beyond> {
        let table = &mut self.tables[table as usize];
        if let Some(group) = table.group(key) {
            return Ok(group);
        }
        if self.groups >= self.limits.groups {
            return Err(Beyond::Series);
        }
        let bytes = self.bytes + GROUP_BYTES + key.len();
        if bytes > self.limits.bytes {
            return Err(Beyond::Memory);
        }
        self.bytes = bytes;
        self.groups += 1;
        Ok(table.add_group(key))
    }

    /// Whether a window has an accumulator for a group, now if not before.
    fn has_cell(&mut self, table: u32, position: usize, group: u32) -> bool {
        let table = &mut self.tables[table as usize];
        let missing = (group as usize + 1).saturating_sub(table.cells_mut(position).len());
        let bytes = self.bytes + missing * size_of::<Cell>();
        if missing > 0 && bytes > self.limits.bytes {
            return false;
        }
        if missing > 0 {
            self.bytes = bytes;
            self.cells += missing;
            table.grow(position, missing);
        }
        true
    }

    /// Marks every accumulator of the pass; one that is marked already was named twice.
    fn stamp_all(&mut self, records: &[Record]) -> Result<(), MergeFault> {
        for (run, position, own, groups) in self.pendings.runs(records) {
            let cells = self.tables[run.table as usize].cells_mut(position);
            for (offset, &group) in groups.iter().enumerate() {
                let Some(cell) = cells.get_mut(group as usize) else {
                    continue;
                };
                if cell.stamp == self.stamp {
                    let &Record {
                        rule, set, window, ..
                    } = &own[offset];
                    return Err(MergeFault::Duplicate {
                        at: run.from + offset,
                        rule,
                        set,
                        window,
                    });
                }
                cell.stamp = self.stamp;
            }
        }
        Ok(())
    }

    /// Adds what was resolved and checked; returns how many points that were.
    pub(super) fn apply(&mut self, records: &[Record]) -> Vec<RulePoints> {
        let mut matched = Vec::with_capacity(self.pendings.runs.len());
        for (run, position, own, groups) in self.pendings.runs(records) {
            let table = &mut self.tables[run.table as usize];
            let aggregate = table.aggregate;
            let cells = table.cells_mut(position);
            let mut points = 0;
            for (record, &group) in own.iter().zip(groups) {
                // What goes nowhere is beyond every window's accumulators.
                if let Some(cell) = cells.get_mut(group as usize) {
                    cell.fold(aggregate, record.value, record.count);
                    points += u64::from(record.count);
                }
            }
            if points > 0 {
                let rule = run.rule;
                matched.push(RulePoints { rule, points });
            }
        }
        matched
    }
}
