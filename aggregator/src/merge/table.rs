//! The merge state of one rule: its groups, its open windows, its accumulators.

use std::collections::HashMap;
use std::sync::Arc;

use ratchet_rules::Aggregate;

use super::cell::Cell;
use crate::configuration::MeaningfulRule;
use crate::watermark::Lateness;

const UNKNOWN: u32 = u32::MAX;
/// What a group costs beside its text: a key has its two counts before that, and lies in a table
/// and in a list.
pub const GROUP_BYTES: usize =
    2 * size_of::<usize>() + 2 * size_of::<Arc<[u8]>>() + size_of::<u32>() + 1;

/// The final value of one group of a closed window.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedGroup {
    pub key: Arc<[u8]>,
    pub value: f64,
    /// What another merge folds on: the sum where the value is an average.
    pub partial: f64,
    pub count: u32,
}

/// One open window of a rule: an accumulator a group.
pub struct Window {
    /// Start divided by the window's length.
    pub index: i64,
    /// The oldest message that has a point in it.
    pub first_sequence: u64,
    cells: Vec<Cell>,
}

pub struct RuleTable {
    pub rule: Arc<MeaningfulRule>,
    pub metric: u32,
    /// Its column in the memo of its metric.
    pub column: usize,
    pub window_ms: i64,
    pub aggregate: Aggregate,
    /// Without keys to group by, all series are one group.
    pub is_grouped: bool,
    /// How long a window waits for late points once it has ended.
    lateness_ms: i64,
    groups: HashMap<Arc<[u8]>, u32>,
    keys: Vec<Arc<[u8]>>,
    /// Bytes of the keys.
    text_bytes: usize,
    /// Open windows in no order; positions hold for one pass.
    windows: Vec<Window>,
}

impl RuleTable {
    pub fn new(rule: Arc<MeaningfulRule>, metric: u32, lateness: Lateness) -> Self {
        let window_ms = i64::from(rule.rule.window_ms);
        let (aggregate, is_grouped) = (rule.rule.aggregate, !rule.rule.group_by.is_empty());
        Self {
            rule,
            aggregate,
            is_grouped,
            metric,
            column: 0,
            window_ms,
            lateness_ms: lateness.of(window_ms),
            groups: HashMap::new(),
            keys: Vec::new(),
            text_bytes: 0,
            windows: Vec::new(),
        }
    }

    pub fn groups(&self) -> usize {
        self.keys.len()
    }

    pub fn cells(&self) -> usize {
        self.windows.iter().map(|w| w.cells.len()).sum()
    }

    /// Memory of groups and accumulators, about.
    pub fn bytes(&self) -> usize {
        let groups = self.keys.len() * GROUP_BYTES;
        groups + self.text_bytes + self.cells() * size_of::<Cell>()
    }

    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    pub fn group(&self, key: &[u8]) -> Option<u32> {
        self.groups.get(key).copied()
    }

    pub fn add_group(&mut self, key: &[u8]) -> u32 {
        let group = self.keys.len() as u32;
        let key: Arc<[u8]> = key.into();
        self.text_bytes += key.len();
        self.keys.push(key.clone());
        self.groups.insert(key, group);
        group
    }

    /// The position of the window with `index`, and whether it was opened just now.
    pub fn open(&mut self, index: i64, sequence: u64) -> (usize, bool) {
        if let Some(position) = self.windows.iter().rposition(|w| w.index == index) {
            return (position, false);
        }
        self.windows.push(Window {
            index,
            first_sequence: sequence,
            cells: Vec::new(),
        });
        (self.windows.len() - 1, true)
    }

    /// The accumulators of the window at `position`, by group.
    #[inline]
    pub fn cells_mut(&mut self, position: usize) -> &mut [Cell] {
        &mut self.windows[position].cells
    }

    /// Gives the window at `position` more accumulators.
    pub fn grow(&mut self, position: usize, by: usize) {
        let cells = &mut self.windows[position].cells;
        cells.resize(cells.len() + by, Cell::EMPTY);
    }

    pub fn clear_stamps(&mut self) {
        let cells = self.windows.iter_mut().flat_map(|window| &mut window.cells);
        cells.for_each(|cell| cell.stamp = 0);
    }

    /// When the window with `index` closes.
    #[inline]
    pub fn closes_at_ms(&self, index: i64) -> i64 {
        (index + 1) * self.window_ms + self.lateness_ms
    }

    pub fn next_close_ms(&self) -> Option<i64> {
        let closes = self.windows.iter().map(|w| self.closes_at_ms(w.index));
        closes.min()
    }

    /// Takes the windows that wait no longer at `time_ms`.
    pub fn close(&mut self, time_ms: i64) -> Vec<Window> {
        let (window_ms, lateness_ms) = (self.window_ms, self.lateness_ms);
        let closed = |w: &mut Window| (w.index + 1) * window_ms + lateness_ms <= time_ms;
        self.windows.extract_if(.., closed).collect()
    }

    /// What a closed window holds, ascending by group key.
    pub fn contents(&self, window: &Window) -> Vec<ClosedGroup> {
        let aggregate = self.aggregate;
        let cells = window
            .cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| cell.count > 0);
        let closed = |(group, cell): (usize, &Cell)| ClosedGroup {
            key: self.keys[group].clone(),
            value: cell.finish(aggregate),
            partial: cell.value,
            count: cell.count,
        };
        let mut contents: Vec<_> = cells.map(closed).collect();
        contents.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        contents
    }

    /// Drops the groups that no open window has a value of; the others get other numbers.
    pub fn compact(&mut self) {
        let mut live = vec![false; self.keys.len()];
        for window in &self.windows {
            for (group, cell) in window.cells.iter().enumerate() {
                live[group] |= cell.count > 0;
            }
        }
        let mut moved = vec![UNKNOWN; self.keys.len()];
        let old_keys = std::mem::take(&mut self.keys);
        self.groups.clear();
        self.text_bytes = 0;
        for (group, key) in old_keys
            .into_iter()
            .enumerate()
            .filter(|(group, _)| live[*group])
        {
            moved[group] = self.keys.len() as u32;
            self.text_bytes += key.len();
            self.groups.insert(key.clone(), self.keys.len() as u32);
            self.keys.push(key);
        }
        for window in &mut self.windows {
            let mut cells = Vec::new();
            for (group, cell) in window.cells.iter().enumerate().filter(|(_, c)| c.count > 0) {
                let to = moved[group] as usize;
                if cells.len() <= to {
                    cells.resize(to + 1, Cell::EMPTY);
                }
                cells[to] = *cell;
            }
            window.cells = cells;
        }
    }
}
