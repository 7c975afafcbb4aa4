//! One message's records, in three tight loops: find every accumulator, see that none is named
//! twice, add.

use ratchet_codec::payload::Header;
use ratchet_codec::DecodeError;
use ratchet_sandbox::Record;

use super::message::{SetSeries, View};
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

/// A record whose accumulator is known.
#[derive(Clone, Copy)]
struct Pending {
    group: u32,
    count: u32,
    value: f64,
    at: u32,
}

/// Consecutive records of one rule and window.
#[derive(Clone, Copy)]
struct Run {
    rule: u32,
    table: u32,
    /// Position of the window; `None`: its points are late, or not this configuration's.
    position: Option<usize>,
    /// Start of the window when it had closed.
    late: Option<i64>,
    /// Accumulators that the window has.
    cells: usize,
    /// First of its pending records.
    from: usize,
}

/// The records of a pass, kept as buffers.
#[derive(Default)]
pub struct Pendings {
    runs: Vec<Run>,
    records: Vec<Pending>,
}

impl Pendings {
    fn clear(&mut self) {
        self.runs.clear();
        self.records.clear();
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Each run with its records.
    fn runs(&self) -> impl Iterator<Item = (&Run, &[Pending])> {
        let ends = self
            .runs
            .iter()
            .skip(1)
            .map(|run| run.from)
            .chain([self.records.len()]);
        self.runs
            .iter()
            .zip(ends)
            .map(|(run, end)| (run, &self.records[run.from..end]))
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
        let mut of = None;
        let mut run = Run {
            rule: 0,
            table: 0,
            position: None,
            late: None,
            cells: 0,
            from: 0,
        };
        for (at, record) in records.iter().enumerate() {
            if of != Some((record.rule, record.window)) {
                of = Some((record.rule, record.window));
                run = self.start_run(at, record, pass, pendings.len())?;
                pendings.runs.push(run);
            }
            let Some(position) = run.position else {
                if let Some(start_ms) = run.late {
                    tally.late.push(LatePoints {
                        rule: record.rule,
                        start_ms,
                        points: record.count,
                    });
                }
                continue;
            };
            let group = self.group(at, record, run.table, view)?;
            let room = group.filter(|group| {
                let missing = (*group as usize + 1).saturating_sub(run.cells);
                missing == 0 || self.grow(run.table, position, missing)
            });
            let Some(group) = room else {
                add(&mut tally.overflow, record.rule, record.count);
                continue;
            };
            run.cells = run.cells.max(group as usize + 1);
            let &Record { count, value, .. } = record;
            pendings.records.push(Pending {
                group,
                count,
                value,
                at: at as u32,
            });
        }
        Ok(())
    }

    /// The table and window of a record, and of those after it with the same rule and window.
    fn start_run(
        &mut self,
        at: usize,
        record: &Record,
        pass: &Pass<'_>,
        from: usize,
    ) -> Result<Run, MergeFault> {
        let tables = &pass.binding.tables;
        let table = *tables
            .get(record.rule as usize)
            .ok_or(MergeFault::range(at, record))?;
        let rule_table = &mut self.tables[table as usize];
        let window_ms = rule_table.window_ms;
        let index = pass.header.min_ts.div_euclid(window_ms) + i64::from(record.window);
        let closes_ms = rule_table.closes_at_ms(index);
        let mut run = Run {
            rule: record.rule,
            table,
            position: None,
            late: None,
            cells: 0,
            from,
        };
        if pass.span.contains(index * window_ms) {
            if closes_ms <= pass.time_ms {
                run.late = Some(index * window_ms);
            } else {
                let (position, opened) = rule_table.open(index, pass.sequence);
                run.position = Some(position);
                run.cells = rule_table.cells_mut(position).len();
                self.open_windows += usize::from(opened);
                self.next_close_ms = self.next_close_ms.min(closes_ms);
            }
        }
        Ok(run)
    }

    /// The group of a record's tag-set, by the memo; `None` when there is no room for a new one.
    #[inline]
    fn group(
        &mut self,
        at: usize,
        record: &Record,
        table: u32,
        view: &mut View<'_>,
    ) -> Result<Option<u32>, MergeFault> {
        let &Record { rule, set, .. } = record;
        if set as usize >= view.sets() {
            return Err(MergeFault::range(at, record));
        }
        let rule_table = &mut self.tables[table as usize];
        let series = match view.series(set as usize, &mut self.series) {
            SetSeries::Known(series) if series.metric == rule_table.metric => series,
            _ => return Err(MergeFault::Metric { at, rule, set }),
        };
        let column = rule_table.column;
        if let Some(group) = self.memo.get(series, column) {
            return Ok(Some(group));
        }
        let key = view.group_key(set as usize, &rule_table.rule.rule.group_by);
        let group = match rule_table.group(key) {
            Some(group) => group,
            None if self.groups >= self.limits.groups => return Ok(None),
            None => {
                self.groups += 1;
                rule_table.add_group(key)
            }
        };
        self.memo.remember(series, column, group);
        Ok(Some(group))
    }

    /// Gives a window more accumulators, if the limit allows it.
    fn grow(&mut self, table: u32, position: usize, missing: usize) -> bool {
        if self.cells + missing > self.limits.cells {
            return false;
        }
        self.cells += missing;
        self.tables[table as usize].grow(position, missing);
        true
    }

    /// Marks every accumulator of the pass; one that is marked already was named twice.
    fn stamp_all(&mut self, records: &[Record]) -> Result<(), MergeFault> {
        for (run, pendings) in self.pendings.runs() {
            let Some(position) = run.position else {
                continue;
            };
            let cells = self.tables[run.table as usize].cells_mut(position);
            for pending in pendings {
                let cell = &mut cells[pending.group as usize];
                if cell.stamp == self.stamp {
                    let at = pending.at as usize;
                    let &Record {
                        rule, set, window, ..
                    } = &records[at];
                    return Err(MergeFault::Duplicate {
                        at,
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
    pub(super) fn apply(&mut self) -> Vec<RulePoints> {
        let mut matched = Vec::with_capacity(self.pendings.runs.len());
        for (run, pendings) in self.pendings.runs() {
            let Some(position) = run.position else {
                continue;
            };
            let table = &mut self.tables[run.table as usize];
            let aggregate = table.rule.rule.aggregate;
            let cells = table.cells_mut(position);
            let mut points = 0;
            for pending in pendings {
                cells[pending.group as usize].fold(aggregate, pending.value, pending.count);
                points += u64::from(pending.count);
            }
            if points > 0 {
                let rule = run.rule;
                matched.push(RulePoints { rule, points });
            }
        }
        matched
    }
}
