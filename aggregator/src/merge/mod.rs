//! Merging: partial records of messages become aggregated points of windows.
//!
//! One merger an organization. It is fed message by message in stream order, so a sum adds in the
//! same order whenever the stream is read again. Records that are refused leave nothing behind.

mod arrange;
pub mod cell;
mod change;
mod fold;
mod memo;
mod message;
mod pass;
mod positions;
mod recall;
mod route;
mod series;
mod table;
#[cfg(test)]
mod tests;
mod window;
mod work;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ratchet_sandbox::Record;
use ratchet_trust::Sha256Digest;

use self::cell::Join;
use self::memo::{Memo, UNKNOWN};
pub use self::message::group_values;
use self::message::Buffers;
pub use self::pass::{LatePoints, MergeFault, Pass, RulePoints, Tally};
use self::series::SeriesTable;
pub use self::table::ClosedGroup;
use self::table::{RuleTable, GROUP_BYTES};
use self::window::{Length, Window};
use self::work::{Way, Ways, Work};
use crate::configuration::{Configuration, MeaningfulRule};
use crate::watermark::Lateness;

/// What a series costs in the table that recognises it.
pub const SERIES_BYTES: usize = 48;

/// Bounds of one organization's merge state. What does not fit into a memo costs time only; groups
/// and accumulators beyond their limits are refused and counted.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub series: usize,
    pub slots: usize,
    /// Of what is remembered of messages that came before.
    pub recall_bytes: usize,
    pub groups: usize,
    /// Of groups and accumulators.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            series: 400_000,
            slots: 32 << 20,
            recall_bytes: 128 << 20,
            groups: 1_000_000,
            bytes: 640 << 20,
        }
    }
}

/// What each rule of a configuration leads to.
#[derive(Clone, Debug, Default)]
pub struct Binding {
    /// Among all that hold together.
    number: u32,
    ways: Vec<Way>,
    /// By rule: its table.
    tables: Vec<u32>,
    /// Whether any rule groups by keys, so that series have to be told apart.
    is_grouped: bool,
}

impl Binding {
    fn ways(&self) -> Ways<'_> {
        Ways {
            all: &self.ways,
            is_grouped: self.is_grouped,
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

/// What is kept from message to message, whose ever they are: a thread merges one at a time.
#[derive(Default)]
struct Scratch {
    buffers: Buffers,
    work: Work,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
pub struct Merger {
    limits: Limits,
    lateness: Lateness,
    tables: Vec<RuleTable>,
    by_meaning: HashMap<Sha256Digest, u32>,
    lengths: Vec<Length>,
    /// Open windows in no order; positions hold for one message.
    windows: Vec<Window>,
    series: SeriesTable,
    memo: Memo,
    stamp: u32,
    groups: usize,
    cells: usize,
    /// Of groups and accumulators.
    bytes: usize,
    closed_since_compaction: bool,
    /// When groups are numbered anew.
    worth: arrange::Worth,
    /// When the next window closes.
    next_close_ms: i64,
}

impl Merger {
    pub fn new(limits: Limits, lateness: Lateness) -> Self {
        Self {
            limits,
            lateness,
            memo: Memo::new(limits.slots),
            series: SeriesTable::new(limits.recall_bytes),
            next_close_ms: i64::MAX,
            ..Self::default()
        }
    }

    /// Binds the configurations in use; rules of no configuration go once their windows are closed.
    pub fn bind(&mut self, configurations: &[Arc<Configuration>]) -> Vec<Binding> {
        let rules = || configurations.iter().flat_map(|c| &c.rules);
        let used: HashSet<_> = rules().map(|rule| rule.meaning).collect();
        self.drop_unused(|rule| used.contains(&rule.meaning));
        self.by_meaning = (0u32..)
            .zip(&self.tables)
            .map(|(i, t)| (t.rule.meaning, i))
            .collect();
        // In the order that records come in, so that what they lead to lies side by side.
        for rule in rules() {
            let meaning = rule.meaning;
            if self.by_meaning.contains_key(&meaning) {
                continue;
            }
            let metric = self.series.intern_metric(rule.rule.metric.as_ref());
            let length = self.length(i64::from(rule.rule.window_ms));
            self.by_meaning.insert(meaning, self.tables.len() as u32);
            self.tables
                .push(RuleTable::new(rule.clone(), metric, length));
        }
        self.lay_out_memo();
        self.recount();
        let bindings = (0..).zip(configurations);
        bindings
            .map(|(number, c)| self.binding(number, c))
            .collect()
    }

    /// Merges the records of one message.
    pub fn merge(&mut self, pass: &Pass<'_>, records: &[Record]) -> Result<Tally, MergeFault> {
        if records.is_empty() {
            return Ok(Tally::default());
        }
        SCRATCH.with_borrow_mut(|scratch| self.fold(scratch, pass, records))
    }

    /// Closes and takes the windows that wait no longer at `time_ms`, ordered by start, length,
    /// rule.
    pub fn close(&mut self, time_ms: i64) -> Vec<ClosedWindow> {
        if time_ms < self.next_close_ms {
            return Vec::new();
        }
        let lengths = &self.lengths;
        let is_over = |window: &mut Window| {
            lengths[window.length as usize].closes_at_ms(window.index) <= time_ms
        };
        let over: Vec<_> = self.windows.extract_if(.., is_over).collect();
        let mut closed = Vec::new();
        for window in &over {
            let start_ms = window.index * self.lengths[window.length as usize].window_ms;
            let tables = self.tables.iter_mut();
            for table in tables.filter(|table| table.length == window.length) {
                let groups = table.contents(window);
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
        self.windows.iter().map(|w| w.first_sequence).min()
    }

    /// Windows of all rules of a length count as one.
    pub fn open_windows(&self) -> usize {
        self.windows.len()
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

    /// Before groups are looked up: flushes the memo when it may not fit the message, and drops
    /// idle groups.
    fn make_room(&mut self, sets: usize, records: usize) {
        if self.memo.is_full() || self.series.count() + sets > self.limits.series {
            self.forget_series();
        }
        if self.closed_since_compaction && !self.may_fit(records) {
            self.compact();
        }
    }

    fn may_fit(&self, records: usize) -> bool {
        let bytes = self.bytes + records * (GROUP_BYTES + size_of::<cell::Cell>());
        self.groups + records <= self.limits.groups && bytes <= self.limits.bytes
    }

    /// A stamp that no accumulator has.
    fn next_stamp(&mut self) {
        if self.stamp == u32::MAX {
            let cells = self.windows.iter_mut().flat_map(|window| &mut window.cells);
            cells.for_each(|cell| cell.stamp = 0);
            self.stamp = 0;
        }
        self.stamp += 1;
    }

    fn forget_series(&mut self) {
        self.series.flush();
        self.memo.clear();
    }

    /// Drops the groups that no open window has a value of; the others get other numbers.
    fn compact(&mut self) {
        let mut moves = Vec::new();
        for (at, length) in self.lengths.iter_mut().enumerate() {
            let mut live = vec![false; length.groups as usize];
            for window in self.windows.iter().filter(|w| w.length as usize == at) {
                window.live().for_each(|group| live[group] = true);
            }
            let mut taken = 0..;
            let move_to = |live| if live { taken.next() } else { None };
            let moved = live.into_iter().map(move_to);
            let moved: Vec<u32> = moved.map(|to| to.unwrap_or(UNKNOWN)).collect();
            length.groups = taken.start;
            moves.push(moved);
        }
        self.renumber(&moves);
        self.forget_series();
        self.closed_since_compaction = false;
        self.recount();
    }

    /// Gives groups the numbers `moved[length]`.
    fn renumber(&mut self, moved: &[Vec<u32>]) {
        for table in &mut self.tables {
            table.renumber(&moved[table.length as usize]);
        }
        for window in &mut self.windows {
            window.renumber(&moved[window.length as usize]);
        }
    }

    /// Drops the rules that are not in use any more and of which no open window has a value.
    fn drop_unused(&mut self, is_used: impl Fn(&MeaningfulRule) -> bool) {
        let (before, windows) = (self.tables.len(), &self.windows);
        let is_open = |table: &RuleTable| windows.iter().any(|window| table.is_in(window));
        self.tables.retain(|t| is_used(&t.rule) || is_open(t));
        if self.tables.len() < before {
            self.drop_unused_lengths();
            self.compact();
        }
    }

    fn drop_unused_lengths(&mut self) {
        let old = std::mem::take(&mut self.lengths);
        let mut moved = vec![UNKNOWN; old.len()];
        for (was, length) in old.into_iter().enumerate() {
            if self.tables.iter().any(|t| t.length as usize == was) {
                moved[was] = self.lengths.len() as u32;
                self.lengths.push(length);
            }
        }
        let tables = self.tables.iter_mut().map(|table| &mut table.length);
        tables.for_each(|length| *length = moved[*length as usize]);
        self.windows.retain_mut(|window| {
            window.length = moved[window.length as usize];
            window.length != UNKNOWN
        });
    }

    /// The number of a length of windows.
    fn length(&mut self, window_ms: i64) -> u32 {
        let known = self.lengths.iter().position(|l| l.window_ms == window_ms);
        known.unwrap_or_else(|| {
            self.lengths.push(Length::new(window_ms, self.lateness));
            self.lengths.len() - 1
        }) as u32
    }

    fn binding(&self, number: u32, configuration: &Configuration) -> Binding {
        let tables = configuration.rules.iter();
        let tables: Vec<_> = tables.map(|rule| self.by_meaning[&rule.meaning]).collect();
        let is_grouped = tables.iter().any(|t| self.tables[*t as usize].is_grouped());
        let way = |table: &u32| {
            let table = &self.tables[*table as usize];
            Way {
                metric: table.metric,
                column: if is_grouped { table.column } else { table.solo },
                length: table.length,
                join: Join::of(table.rule.rule.aggregate),
            }
        };
        Binding {
            number,
            ways: tables.iter().map(way).collect(),
            tables,
            is_grouped,
        }
    }

    /// Gives every rule its column among the rules of its metric, and, if it groups by nothing, its
    /// single slot.
    fn lay_out_memo(&mut self) {
        let mut columns = vec![0; self.series.metrics()];
        let mut solos = 0;
        for table in &mut self.tables {
            let column = &mut columns[table.metric as usize];
            (table.column, table.solo) = (*column, solos);
            *column += 1;
            solos += u32::from(!table.is_grouped());
        }
        self.series.flush();
        self.memo.lay_out(solos as usize, columns);
    }

    fn recount(&mut self) {
        self.groups = self.tables.iter().map(RuleTable::groups).sum();
        self.cells = self.windows.iter().map(|w| w.cells.len()).sum();
        let groups: usize = self.tables.iter().map(RuleTable::bytes).sum();
        self.bytes = groups + self.cells * size_of::<cell::Cell>();
        let closes = self.windows.iter().map(|window| {
            let length = &self.lengths[window.length as usize];
            length.closes_at_ms(window.index)
        });
        self.next_close_ms = closes.min().unwrap_or(i64::MAX);
    }
}
