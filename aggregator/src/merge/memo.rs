//! The memo from (series, rule) to group.
//!
//! A message names few series and many rules, so the groups of one series lie side by side: one
//! row a series, one column a rule of the metric. A row is a few cache lines that serve all the
//! rules of a message. Rules that group by nothing have one slot each, too, before all rows: where
//! there are no others, no series are told apart.

/// Stands for a group that is not known, and for the row of a series that has none.
pub const UNKNOWN: u32 = u32::MAX;

/// More slots than any limit allows: rows and columns add up without overflow.
const SLOTS_MAX: usize = 1 << 31;

#[derive(Default)]
pub struct Memo {
    slots: Vec<u32>,
    /// Rules that group by nothing.
    solos: usize,
    /// By metric: how long a row is.
    columns: Vec<u32>,
    slots_max: usize,
    full: bool,
}

impl Memo {
    pub fn new(slots_max: usize) -> Self {
        Self {
            slots_max: slots_max.min(SLOTS_MAX),
            ..Self::default()
        }
    }

    /// Forgets everything, and lays out so many single slots, and `columns[metric]` columns a row.
    pub fn lay_out(&mut self, solos: usize, columns: Vec<u32>) {
        (self.solos, self.columns) = (solos, columns);
        self.clear();
    }

    /// Forgets every group and row.
    pub fn clear(&mut self) {
        self.slots = vec![UNKNOWN; self.solos];
        self.full = false;
    }

    /// Whether something could not be remembered since it was cleared.
    pub fn is_full(&self) -> bool {
        self.full
    }

    pub fn bytes(&self) -> usize {
        self.slots.len() * size_of::<u32>()
    }

    /// All groups: that of a series and a rule lies at its row plus its column.
    #[inline]
    pub fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// A row for a series of this metric; `UNKNOWN` when there is no room.
    pub fn add_row(&mut self, metric: u32) -> u32 {
        let (row, columns) = (self.slots.len(), self.columns[metric as usize] as usize);
        if row + columns > self.slots_max.max(self.solos) {
            self.full = true;
            return UNKNOWN;
        }
        self.slots.resize(row + columns, UNKNOWN);
        row as u32
    }

    /// Gives groups the numbers `moved[length]`. `solos` says of each single slot which length its
    /// rule's windows have, and what comes with a row says so of each of its columns.
    pub fn renumber<'a>(
        &mut self,
        moved: &[Vec<u32>],
        solos: &[u32],
        rows: impl Iterator<Item = (u32, &'a [u32])>,
    ) {
        let mut renumber = |row: u32, lengths: &[u32]| {
            let slots = self.slots.get_mut(row as usize..).unwrap_or_default();
            for (slot, length) in slots.iter_mut().zip(lengths) {
                if *slot != UNKNOWN {
                    *slot = moved[*length as usize][*slot as usize];
                }
            }
        };
        renumber(0, solos);
        rows.for_each(|(row, lengths)| renumber(row, lengths));
    }

    /// The slot at a column of a row, unless there was no room for the row.
    pub fn slot(&mut self, row: u32, column: u32) -> Option<&mut u32> {
        self.slots.get_mut(row as usize + column as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_within_its_bounds() {
        let mut memo = Memo::new(7);
        memo.lay_out(1, vec![2, 3]);
        assert_eq!((memo.add_row(0), memo.add_row(1)), (1, 3));
        assert!(!memo.is_full());
        assert_eq!(memo.add_row(0), UNKNOWN);
        assert!(memo.is_full());
        assert_eq!(memo.slot(UNKNOWN, 1), None);
        for (row, column, group) in [(0, 0, 4), (1, 1, 5), (3, 2, 6)] {
            *memo.slot(row, column).unwrap() = group;
        }
        assert_eq!(memo.slots(), [4, UNKNOWN, 5, UNKNOWN, UNKNOWN, 6]);
        memo.clear();
        assert_eq!((memo.is_full(), memo.slots()), (false, &[UNKNOWN][..]));
        assert_eq!(memo.add_row(1), 1);
    }
}
