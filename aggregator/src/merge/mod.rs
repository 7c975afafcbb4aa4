//! Merging: partial records of messages become aggregated points of windows.
//!
//! One merger an organization. It is fed message by message in stream order, so a sum adds in the
//! same order whenever the stream is read again. A pass first resolves every record to its
//! accumulator and checks it, and only then changes accumulators: records that are refused leave
//! nothing behind.

mod cell;
mod message;
mod series;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use ratchet_codec::payload::Header;
use ratchet_codec::DecodeError;
use ratchet_sandbox::Record;
use ratchet_trust::Sha256Digest;

pub use self::message::group_values;
use self::message::{Buffers, SetSeries, View};
use self::series::SeriesTable;
pub use self::table::ClosedGroup;
use self::table::RuleTable;
use crate::configuration::{Configuration, MeaningfulRule};
use crate::timeline::Span;

/// Bounds of one organization's merge state. A full memo is flushed and costs time only; groups and
/// accumulators beyond their limits are refused and counted.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub series: usize,
    pub slots: usize,
    pub groups: usize,
    pub cells: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            series: 400_000,
            slots: 32 << 20,
            groups: 1_000_000,
            cells: 16 << 20,
        }
    }
}

/// Which table each rule of a configuration merges into.
#[derive(Clone, Debug, Default)]
pub struct Binding {
    tables: Vec<u32>,
}

/// What is known of a message before its records are merged.
pub struct Pass<'a> {
    pub payload: &'a [u8],
    pub header: &'a Header,
    pub sequence: u64,
    pub binding: &'a Binding,
    /// The windows that the binding's configuration serves.
    pub span: Span,
    /// Windows that end here or earlier are closed.
    pub watermark_ms: i64,
}

/// What became of a message's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub records: u64,
    /// Points of windows that had closed, by rule index.
    pub late: Vec<(u32, u32)>,
    /// Points of groups that did not fit.
    pub overflow: u64,
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
}

/// A window that closed, with its final values.
#[derive(Clone)]
pub struct ClosedWindow {
    pub rule: Arc<MeaningfulRule>,
    pub start_ms: i64,
    pub groups: Vec<ClosedGroup>,
}

/// A record whose accumulator is found.
struct Pending {
    table: u32,
    position: u32,
    group: u32,
    count: u32,
    value: f64,
}

/// Where the last record went; the next one is mostly of the same rule and window.
#[derive(Clone, Copy)]
struct Target {
    rule: u32,
    window: u32,
    table: u32,
    /// `None`: its points are late, or not this configuration's.
    position: Option<u32>,
    late: bool,
}

#[derive(Default)]
pub struct Merger {
    limits: Limits,
    tables: Vec<RuleTable>,
    by_meaning: HashMap<Sha256Digest, u32>,
    series: SeriesTable,
    buffers: Buffers,
    pending: Vec<Pending>,
    stamp: u64,
    slots: usize,
    groups: usize,
    cells: usize,
    memo_full: bool,
    closed_since_compaction: bool,
    /// End of the window that closes next.
    next_end_ms: i64,
}

impl Merger {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            next_end_ms: i64::MAX,
            ..Self::default()
        }
    }

    /// Binds the configurations in use; rules of no configuration go once their windows are closed.
    pub fn bind(&mut self, configurations: &[Arc<Configuration>]) -> Vec<Binding> {
        let used: HashMap<_, _> = configurations
            .iter()
            .flat_map(|c| &c.rules)
            .map(|rule| (rule.meaning, rule.clone()))
            .collect();
        self.tables
            .retain(|t| used.contains_key(&t.rule.meaning) || !t.windows().is_empty());
        self.by_meaning = (0u32..)
            .zip(&self.tables)
            .map(|(i, t)| (t.rule.meaning, i))
            .collect();
        for (meaning, rule) in used {
            if self.by_meaning.contains_key(&meaning) {
                continue;
            }
            let metric = self.series.intern_metric(rule.rule.metric.as_ref());
            self.by_meaning.insert(meaning, self.tables.len() as u32);
            self.tables.push(RuleTable::new(rule, metric));
        }
        self.recount();
        let table = |rule: &Arc<MeaningfulRule>| self.by_meaning[&rule.meaning];
        let bind = |c: &Arc<Configuration>| Binding {
            tables: c.rules.iter().map(table).collect(),
        };
        configurations.iter().map(bind).collect()
    }

    /// Merges the records of one message.
    pub fn merge(&mut self, pass: &Pass<'_>, records: &[Record]) -> Result<Tally, MergeFault> {
        let mut tally = Tally::default();
        if records.is_empty() {
            return Ok(tally);
        }
        self.make_room(pass.header.sets as usize, records.len());
        self.stamp += 1;
        self.pending.clear();
        let mut buffers = std::mem::take(&mut self.buffers);
        let resolved = buffers.with_view(pass.payload, pass.header, |mut view| {
            self.resolve_all(pass, records, &mut view, &mut tally)
        });
        self.buffers = buffers;
        resolved.map_err(MergeFault::Decode)??;
        for p in &self.pending {
            let table = &mut self.tables[p.table as usize];
            let aggregate = table.rule.rule.aggregate;
            table
                .cell(p.position as usize, p.group)
                .fold(aggregate, p.value, p.count);
        }
        tally.records = self.pending.len() as u64;
        Ok(tally)
    }

    /// Closes and takes the windows that end at or before the watermark, ordered by start, length,
    /// rule.
    pub fn close(&mut self, watermark_ms: i64) -> Vec<ClosedWindow> {
        if watermark_ms < self.next_end_ms {
            return Vec::new();
        }
        let mut closed = Vec::new();
        for table in &mut self.tables {
            for window in table.close(watermark_ms) {
                let start_ms = window.index * table.window_ms;
                let groups = table.contents(&window);
                if !groups.is_empty() {
                    closed.push(ClosedWindow {
                        rule: table.rule.clone(),
                        start_ms,
                        groups,
                    });
                }
            }
        }
        closed.sort_by(|a, b| {
            let key = |w: &ClosedWindow| (w.start_ms, w.rule.rule.window_ms);
            key(a)
                .cmp(&key(b))
                .then_with(|| a.rule.rule.id.cmp(&b.rule.rule.id))
        });
        self.closed_since_compaction = true;
        self.recount();
        closed
    }

    /// The oldest message that has a point in an open window.
    pub fn first_sequence(&self) -> Option<u64> {
        self.tables
            .iter()
            .flat_map(|t| t.windows())
            .map(|w| w.first_sequence)
            .min()
    }

    pub fn open_windows(&self) -> usize {
        self.tables.iter().map(|t| t.windows().len()).sum()
    }

    /// The earliest start of an open window.
    pub fn first_start_ms(&self) -> Option<i64> {
        let starts = |t: &RuleTable| t.windows().iter().map(|w| w.index * t.window_ms).min();
        self.tables.iter().filter_map(starts).min()
    }

    pub fn groups(&self) -> usize {
        self.groups
    }

    fn resolve_all(
        &mut self,
        pass: &Pass<'_>,
        records: &[Record],
        view: &mut View<'_>,
        tally: &mut Tally,
    ) -> Result<(), MergeFault> {
        let mut last: Option<Target> = None;
        for (at, record) in records.iter().enumerate() {
            let target = match last {
                Some(t) if t.rule == record.rule && t.window == record.window => t,
                _ => self.target(at, record, pass)?,
            };
            last = Some(target);
            match target.position {
                Some(position) => self.resolve(at, record, target.table, position, view, tally)?,
                None if target.late => tally.late.push((record.rule, record.count)),
                None => {}
            }
        }
        Ok(())
    }

    /// The table and window of a record.
    fn target(&mut self, at: usize, r: &Record, pass: &Pass<'_>) -> Result<Target, MergeFault> {
        let range = MergeFault::Range {
            at,
            rule: r.rule,
            set: r.set,
        };
        let table = *pass.binding.tables.get(r.rule as usize).ok_or(range)?;
        let rule_table = &mut self.tables[table as usize];
        let window_ms = rule_table.window_ms;
        let index = pass.header.min_ts.div_euclid(window_ms) + i64::from(r.window);
        let end_ms = (index + 1) * window_ms;
        let mut target = Target {
            rule: r.rule,
            window: r.window,
            table,
            position: None,
            late: false,
        };
        if pass.span.contains(index * window_ms) {
            target.late = end_ms <= pass.watermark_ms;
            if !target.late {
                target.position = Some(rule_table.open(index, pass.sequence) as u32);
                self.next_end_ms = self.next_end_ms.min(end_ms);
            }
        }
        Ok(target)
    }

    #[inline]
    fn resolve(
        &mut self,
        at: usize,
        record: &Record,
        table: u32,
        position: u32,
        view: &mut View<'_>,
        tally: &mut Tally,
    ) -> Result<(), MergeFault> {
        let &Record {
            rule,
            set,
            window,
            count,
            value,
        } = record;
        if set as usize >= view.sets() {
            return Err(MergeFault::Range { at, rule, set });
        }
        let Some(group) = self.group(at, record, table, view)? else {
            tally.overflow += u64::from(count);
            return Ok(());
        };
        let rule_table = &mut self.tables[table as usize];
        let growth = rule_table.missing_cells(position as usize, group);
        if growth > 0 {
            if self.cells + growth > self.limits.cells {
                tally.overflow += u64::from(count);
                return Ok(());
            }
            self.cells += growth;
        }
        let cell = rule_table.cell(position as usize, group);
        if cell.stamp == self.stamp {
            return Err(MergeFault::Duplicate {
                at,
                rule,
                set,
                window,
            });
        }
        cell.stamp = self.stamp;
        self.pending.push(Pending {
            table,
            position,
            group,
            count,
            value,
        });
        Ok(())
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
        let rule_table = &mut self.tables[table as usize];
        let series = match view.series(set as usize, &mut self.series) {
            SetSeries::Known(series) if series.metric == rule_table.metric => series,
            _ => return Err(MergeFault::Metric { at, rule, set }),
        };
        if let Some(group) = rule_table.slot(series) {
            return Ok(Some(group));
        }
        let key = view.group_key(set as usize, &rule_table.rule.rule.group_by);
        let group = match rule_table.group(&key) {
            Some(group) => group,
            None if self.groups >= self.limits.groups => return Ok(None),
            None => {
                self.groups += 1;
                rule_table.add_group(key)
            }
        };
        let growth = rule_table.missing_slots(series);
        if self.slots + growth > self.limits.slots {
            self.memo_full = true;
        } else {
            self.slots += growth;
            rule_table.remember(series, group);
        }
        Ok(Some(group))
    }

    /// Before a pass: flushes the memo when it may not fit the message, and drops idle groups.
    fn make_room(&mut self, sets: usize, records: usize) {
        if self.memo_full || self.series.count() + sets > self.limits.series {
            self.series.flush();
            self.tables.iter_mut().for_each(RuleTable::forget_series);
            self.memo_full = false;
            self.slots = 0;
        }
        if self.closed_since_compaction && self.groups + records > self.limits.groups {
            self.tables.iter_mut().for_each(RuleTable::compact);
            self.closed_since_compaction = false;
            self.recount();
        }
    }

    fn recount(&mut self) {
        self.slots = self.tables.iter().map(RuleTable::slots).sum();
        self.groups = self.tables.iter().map(RuleTable::groups).sum();
        self.cells = self.tables.iter().map(RuleTable::cells).sum();
        let ends = |t: &RuleTable| {
            t.windows()
                .iter()
                .map(|w| (w.index + 1) * t.window_ms)
                .min()
        };
        self.next_end_ms = self
            .tables
            .iter()
            .filter_map(ends)
            .min()
            .unwrap_or(i64::MAX);
    }
}
