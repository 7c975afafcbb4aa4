//! Open windows: those of all rules of one length lie in one, an accumulator a group.

use super::cell::Cell;
use crate::watermark::Lateness;

/// Rules whose windows are equally long: their groups are numbered together.
pub struct Length {
    pub window_ms: i64,
    /// How long a window waits for late points once it has ended.
    lateness_ms: i64,
    /// How many groups have a number.
    pub groups: u32,
}

/// One open window of all rules of a length.
pub struct Window {
    /// Which length.
    pub length: u32,
    /// Start divided by the length.
    pub index: i64,
    /// The oldest message that has a point in it.
    pub first_sequence: u64,
    /// By number of the group.
    pub cells: Vec<Cell>,
}

/// The open windows, and the memory that their accumulators take.
pub struct Room<'a> {
    pub windows: &'a mut [Window],
    /// Accumulators of all windows.
    pub cells: &'a mut usize,
    /// Of groups and accumulators, and how many they may be.
    pub bytes: &'a mut usize,
    pub bytes_max: usize,
}

impl Room<'_> {
    /// The accumulators of a window.
    pub fn cells(&mut self, position: u32) -> &mut [Cell] {
        &mut self.windows[position as usize].cells
    }

    /// Whether a window has an accumulator for a group, now if not before.
    pub fn has_cell(&mut self, position: u32, group: u32) -> bool {
        let cells = &mut self.windows[position as usize].cells;
        let missing = (group as usize + 1).saturating_sub(cells.len());
        let bytes = *self.bytes + missing * size_of::<Cell>();
        if missing == 0 {
            return true;
        }
        if bytes > self.bytes_max {
            return false;
        }
        *self.bytes = bytes;
        *self.cells += missing;
        cells.resize(group as usize + 1, Cell::EMPTY);
        true
    }
}

impl Length {
    pub fn new(window_ms: i64, lateness: Lateness) -> Self {
        Self {
            window_ms,
            lateness_ms: lateness.of(window_ms),
            groups: 0,
        }
    }

    /// The window of a time.
    #[inline]
    pub fn index_of(&self, time_ms: i64) -> i64 {
        time_ms.div_euclid(self.window_ms)
    }

    /// When the window with `index` closes.
    #[inline]
    pub fn closes_at_ms(&self, index: i64) -> i64 {
        (index + 1) * self.window_ms + self.lateness_ms
    }
}

impl Window {
    pub fn new(length: u32, index: i64, first_sequence: u64) -> Self {
        Self {
            length,
            index,
            first_sequence,
            cells: Vec::new(),
        }
    }

    /// The numbers of the groups that have a value.
    pub fn live(&self) -> impl Iterator<Item = usize> + '_ {
        let cells = self.cells.iter().enumerate();
        cells
            .filter(|(_, cell)| cell.count > 0)
            .map(|(group, _)| group)
    }

    /// How many accumulators there would be with these numbers.
    pub fn moved_len(&self, moved: &[u32]) -> usize {
        let numbers = self.live().map(|group| moved[group] as usize + 1);
        numbers.max().unwrap_or(0)
    }

    /// Gives groups the numbers `moved`; those that have a value keep it.
    pub fn renumber(&mut self, moved: &[u32]) {
        let mut cells = vec![Cell::EMPTY; self.moved_len(moved)];
        for group in self.live() {
            cells[moved[group] as usize] = self.cells[group];
        }
        self.cells = cells;
    }
}
