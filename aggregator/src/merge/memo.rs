//! The memo from (series, rule) to group.
//!
//! A message names few series and many rules, so the groups of one series lie side by side: one
//! row a series, one column a rule of the metric. A row is a few cache lines that serve all the
//! rules of a message.

use super::series::Series;

const UNKNOWN: u32 = u32::MAX;

/// The rows of one metric.
#[derive(Default)]
struct Rows {
    columns: usize,
    groups: Vec<u32>,
}

/// The groups of one rule, by series.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    groups: &'a [u32],
    columns: usize,
    column: usize,
}

impl Column<'_> {
    #[inline]
    pub fn get(self, series: u32) -> Option<u32> {
        let slot = series as usize * self.columns + self.column;
        let group = self.groups.get(slot).copied();
        group.filter(|group| *group != UNKNOWN)
    }
}

#[derive(Default)]
pub struct Memo {
    metrics: Vec<Rows>,
    slots: usize,
    slots_max: usize,
    full: bool,
}

impl Memo {
    pub fn new(slots_max: usize) -> Self {
        Self {
            slots_max,
            ..Self::default()
        }
    }

    /// Forgets everything, and lays out `columns[metric]` columns a row from now on.
    pub fn lay_out(&mut self, columns: &[usize]) {
        let rows = |columns: &usize| Rows {
            columns: *columns,
            groups: Vec::new(),
        };
        self.metrics = columns.iter().map(rows).collect();
        (self.slots, self.full) = (0, false);
    }

    /// Forgets every group.
    pub fn clear(&mut self) {
        self.metrics
            .iter_mut()
            .for_each(|rows| rows.groups = Vec::new());
        (self.slots, self.full) = (0, false);
    }

    /// Whether something could not be remembered since it was cleared.
    pub fn is_full(&self) -> bool {
        self.full
    }

    pub fn bytes(&self) -> usize {
        self.slots * size_of::<u32>()
    }

    /// The groups of one rule.
    #[inline]
    pub fn column(&self, metric: u32, column: usize) -> Column<'_> {
        let Rows { columns, groups } = &self.metrics[metric as usize];
        Column {
            groups,
            columns: *columns,
            column,
        }
    }

    pub fn remember(&mut self, series: Series, column: usize, group: u32) {
        let rows = &mut self.metrics[series.metric as usize];
        let row = series.id as usize * rows.columns;
        let growth = (row + rows.columns).saturating_sub(rows.groups.len());
        if self.slots + growth > self.slots_max {
            self.full = true;
            return;
        }
        if growth > 0 {
            rows.groups.resize(row + rows.columns, UNKNOWN);
            self.slots += growth;
        }
        rows.groups[row + column] = group;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_within_its_bounds() {
        let series = |metric, id| Series { metric, id };
        let get = |memo: &Memo, of: Series, column| memo.column(of.metric, column).get(of.id);
        let mut memo = Memo::new(7);
        memo.lay_out(&[2, 3]);
        memo.remember(series(0, 1), 1, 5);
        memo.remember(series(1, 0), 2, 6);
        assert_eq!(
            (get(&memo, series(0, 1), 1), get(&memo, series(1, 0), 2)),
            (Some(5), Some(6))
        );
        assert_eq!(
            (get(&memo, series(0, 1), 0), get(&memo, series(1, 9), 0)),
            (None, None)
        );
        assert!(!memo.is_full());
        memo.remember(series(0, 2), 0, 1);
        assert!(memo.is_full());
        assert_eq!(
            (get(&memo, series(0, 2), 0), get(&memo, series(0, 1), 1)),
            (None, Some(5))
        );
        memo.clear();
        assert_eq!((memo.is_full(), get(&memo, series(0, 1), 1)), (false, None));
    }
}
