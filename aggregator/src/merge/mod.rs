//! Merging: partial records of messages become aggregated points of windows.
//!
//! One merger an organization. It is fed message by message in stream order, so a sum adds in the
//! same order whenever the stream is read again. A pass first resolves every record to its
//! accumulator and checks it, and only then changes accumulators: records that are refused leave
//! nothing behind.

pub mod cell;
mod memo;
mod message;
mod pass;
mod series;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use ratchet_sandbox::Record;
use ratchet_trust::Sha256Digest;

use self::memo::Memo;
pub use self::message::group_values;
use self::message::Buffers;
use self::pass::Pendings;
pub use self::pass::{LatePoints, MergeFault, Pass, RulePoints, Tally};
use self::series::SeriesTable;
pub use self::table::ClosedGroup;
use self::table::{RuleTable, GROUP_BYTES};
use crate::configuration::{Configuration, MeaningfulRule};
use crate::watermark::Lateness;

/// What a series costs in the table that recognises it.
pub const SERIES_BYTES: usize = 48;

/// Bounds of one organization's merge state. A full memo is flushed and costs time only; groups and
/// accumulators beyond their limits are refused and counted.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub series: usize,
    pub slots: usize,
    pub groups: usize,
    /// Of groups and accumulators.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            series: 400_000,
            slots: 32 << 20,
            groups: 1_000_000,
            bytes: 768 << 20,
        }
    }
}

/// Which table each rule of a configuration merges into.
#[derive(Clone, Debug, Default)]
pub struct Binding {
    tables: Vec<u32>,
    /// Whether any rule groups by keys, so that series have to be told apart.
    is_grouped: bool,
}

/// A window that closed, with its final values.
#[derive(Clone)]
pub struct ClosedWindow {
    pub rule: Arc<MeaningfulRule>,
    pub start_ms: i64,
    pub groups: Vec<ClosedGroup>,
}

#[derive(Default)]
pub struct Merger {
    limits: Limits,
    lateness: Lateness,
    tables: Vec<RuleTable>,
    by_meaning: HashMap<Sha256Digest, u32>,
    series: SeriesTable,
    buffers: Buffers,
    memo: Memo,
    pendings: Pendings,
    stamp: u32,
    groups: usize,
    cells: usize,
    /// Of groups and accumulators.
    bytes: usize,
    open_windows: usize,
    closed_since_compaction: bool,
    /// When the next window closes.
    next_close_ms: i64,
}

impl Merger {
    pub fn new(limits: Limits, lateness: Lateness) -> Self {
        Self {
            limits,
            lateness,
            memo: Memo::new(limits.slots),
            next_close_ms: i64::MAX,
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
            self.tables
                .push(RuleTable::new(rule, metric, self.lateness));
        }
        self.lay_out_memo();
        self.recount();
        let table = |rule: &Arc<MeaningfulRule>| self.by_meaning[&rule.meaning];
        let bind = |c: &Arc<Configuration>| Binding {
            tables: c.rules.iter().map(table).collect(),
            is_grouped: c.rules.iter().any(|rule| !rule.rule.group_by.is_empty()),
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
        self.next_stamp();
        let mut buffers = std::mem::take(&mut self.buffers);
        let resolved = buffers.with_view(
            pass.payload,
            pass.header,
            pass.binding.is_grouped,
            |mut view| self.resolve(pass, records, &mut view, &mut tally),
        );
        self.buffers = buffers;
        resolved.map_err(MergeFault::Decode)??;
        tally.matched = self.apply(records);
        tally.records = self.pendings.len() as u64;
        Ok(tally)
    }

    /// Closes and takes the windows that wait no longer at `time_ms`, ordered by start, length,
    /// rule.
    pub fn close(&mut self, time_ms: i64) -> Vec<ClosedWindow> {
        if time_ms < self.next_close_ms {
            return Vec::new();
        }
        let mut closed = Vec::new();
        for table in &mut self.tables {
            for window in table.close(time_ms) {
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
        self.open_windows
    }

    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Values of groups in open windows.
    pub fn accumulators(&self) -> usize {
        self.cells
    }

    /// Series that are remembered.
    pub fn series(&self) -> usize {
        self.series.count()
    }

    /// Memory of all of it, about.
    pub fn bytes(&self) -> usize {
        self.bytes + self.memo.bytes() + self.series.bytes()
    }

    /// Before a pass: flushes the memo when it may not fit the message, and drops idle groups.
    fn make_room(&mut self, sets: usize, records: usize) {
        if self.memo.is_full() || self.series.count() + sets > self.limits.series {
            self.series.flush();
            self.memo.clear();
        }
        if self.closed_since_compaction && !self.may_fit(records) {
            self.tables.iter_mut().for_each(RuleTable::compact);
            self.memo.clear();
            self.closed_since_compaction = false;
            self.recount();
        }
    }

    fn may_fit(&self, records: usize) -> bool {
        let bytes = self.bytes + records * (GROUP_BYTES + size_of::<cell::Cell>());
        self.groups + records <= self.limits.groups && bytes <= self.limits.bytes
    }

    /// A stamp that no accumulator has.
    fn next_stamp(&mut self) {
        if self.stamp == u32::MAX {
            self.tables.iter_mut().for_each(RuleTable::clear_stamps);
            self.stamp = 0;
        }
        self.stamp += 1;
    }

    /// Gives every rule its column among the rules of its metric.
    fn lay_out_memo(&mut self) {
        let mut columns = vec![0; self.series.metrics()];
        for table in &mut self.tables {
            let next = &mut columns[table.metric as usize];
            table.column = *next;
            *next += 1;
        }
        self.memo.lay_out(&columns);
    }

    fn recount(&mut self) {
        self.groups = self.tables.iter().map(RuleTable::groups).sum();
        self.cells = self.tables.iter().map(RuleTable::cells).sum();
        self.bytes = self.tables.iter().map(RuleTable::bytes).sum();
        self.open_windows = self.tables.iter().map(|t| t.windows().len()).sum();
        let closes = self.tables.iter().filter_map(RuleTable::next_close_ms);
        self.next_close_ms = closes.min().unwrap_or(i64::MAX);
    }
}
