//! The merge state of one rule: its groups, its open windows, and the memo from series to group.

use std::collections::HashMap;
use std::sync::Arc;

use super::cell::Cell;
use super::series::Series;
use crate::configuration::MeaningfulRule;

const UNKNOWN: u32 = u32::MAX;

/// The final value of one group of a closed window.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedGroup {
    pub key: Arc<[u8]>,
    pub value: f64,
    pub count: u64,
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
    pub window_ms: i64,
    groups: HashMap<Arc<[u8]>, u32>,
    keys: Vec<Arc<[u8]>>,
    /// Group of each series of the rule's metric.
    slots: Vec<u32>,
    /// Open windows in no order; positions hold for one pass.
    windows: Vec<Window>,
}

impl RuleTable {
    pub fn new(rule: Arc<MeaningfulRule>, metric: u32) -> Self {
        let window_ms = i64::from(rule.rule.window_ms);
        Self {
            rule,
            metric,
            window_ms,
            groups: HashMap::new(),
            keys: Vec::new(),
            slots: Vec::new(),
            windows: Vec::new(),
        }
    }

    pub fn groups(&self) -> usize {
        self.keys.len()
    }

    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    pub fn cells(&self) -> usize {
        self.windows.iter().map(|w| w.cells.len()).sum()
    }

    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The memoised group of a series.
    #[inline]
    pub fn slot(&self, series: Series) -> Option<u32> {
        self.slots
            .get(series.id as usize)
            .copied()
            .filter(|group| *group != UNKNOWN)
    }

    /// How many slots remembering `series` would add.
    pub fn missing_slots(&self, series: Series) -> usize {
        (series.id as usize + 1).saturating_sub(self.slots.len())
    }

    /// Remembers the group of a series.
    pub fn remember(&mut self, series: Series, group: u32) {
        let id = series.id as usize;
        if id >= self.slots.len() {
            self.slots.resize(id + 1, UNKNOWN);
        }
        self.slots[id] = group;
    }

    pub fn forget_series(&mut self) {
        self.slots = Vec::new();
    }

    pub fn group(&self, key: &[u8]) -> Option<u32> {
        self.groups.get(key).copied()
    }

    pub fn add_group(&mut self, key: Box<[u8]>) -> u32 {
        let group = self.keys.len() as u32;
        let key: Arc<[u8]> = key.into();
        self.keys.push(key.clone());
        self.groups.insert(key, group);
        group
    }

    /// The position of the window with `index`, opened if need be.
    #[inline]
    pub fn open(&mut self, index: i64, sequence: u64) -> usize {
        match self.windows.iter().rposition(|w| w.index == index) {
            Some(position) => position,
            None => {
                self.windows.push(Window {
                    index,
                    first_sequence: sequence,
                    cells: Vec::new(),
                });
                self.windows.len() - 1
            }
        }
    }

    /// How many accumulators `group` would add to the window at `position`.
    #[inline]
    pub fn missing_cells(&self, position: usize, group: u32) -> usize {
        (group as usize + 1).saturating_sub(self.windows[position].cells.len())
    }

    /// The accumulator of a group in the window at `position`.
    #[inline]
    pub fn cell(&mut self, position: usize, group: u32) -> &mut Cell {
        let cells = &mut self.windows[position].cells;
        if cells.len() <= group as usize {
            cells.resize(group as usize + 1, Cell::EMPTY);
        }
        &mut cells[group as usize]
    }

    /// Takes the windows that end at or before `watermark_ms`.
    pub fn close(&mut self, watermark_ms: i64) -> Vec<Window> {
        let window_ms = self.window_ms;
        let closed = |w: &mut Window| (w.index + 1) * window_ms <= watermark_ms;
        self.windows.extract_if(.., closed).collect()
    }

    /// What a closed window holds, ascending by group key.
    pub fn contents(&self, window: &Window) -> Vec<ClosedGroup> {
        let aggregate = self.rule.rule.aggregate;
        let cells = window
            .cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| cell.count > 0);
        let closed = |(group, cell): (usize, &Cell)| ClosedGroup {
            key: self.keys[group].clone(),
            value: cell.finish(aggregate),
            count: cell.count,
        };
        let mut contents: Vec<_> = cells.map(closed).collect();
        contents.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        contents
    }

    /// Drops the groups that no open window has a value of, and the memo that points at them.
    pub fn compact(&mut self) {
        self.forget_series();
        let mut live = vec![false; self.keys.len()];
        for window in &self.windows {
            for (group, cell) in window.cells.iter().enumerate() {
                live[group] |= cell.count > 0;
            }
        }
        let mut moved = vec![UNKNOWN; self.keys.len()];
        let old_keys = std::mem::take(&mut self.keys);
        self.groups.clear();
        for (group, key) in old_keys
            .into_iter()
            .enumerate()
            .filter(|(group, _)| live[*group])
        {
            moved[group] = self.keys.len() as u32;
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
