//! Accumulators side by side, where they are changed by the same messages.
//!
//! A cache line holds four of them, and an organization may have hundreds of thousands. Groups are
//! numbered as they come, so among those of a message that is merged again and again lie others
//! that it has nothing to do with. Once it is known which messages come again, groups are numbered
//! by the first two of these that lead to them.

use super::cell::Cell;
use super::route::Route;
use super::series::Series;
use super::Merger;

/// Stands for a message that there is not.
const NONE: u32 = u32::MAX;

/// When that is worth it.
#[derive(Clone, Copy)]
pub struct Worth {
    /// Fewer groups are in a cache close by, wherever they lie.
    groups_min: usize,
    /// What is renumbered for a step that is new, at most: some 0.2 µs, once, for a sender that
    /// stays and sends it a thousand times.
    effort_per_step: usize,
}

/// What is renumbered at once, at most, of groups, accumulators, steps and slots of the memo: so
/// much takes some 30 ms, as long as which nothing else of the partition is served.
const EFFORT_MAX: usize = 2 << 20;

/// Slots of the memo take less than the others: they lie in rows.
const SLOTS_PER_EFFORT: usize = 4;

impl Default for Worth {
    fn default() -> Self {
        Self {
            groups_min: 4_096,
            effort_per_step: 16,
        }
    }
}

#[cfg(test)]
impl Worth {
    pub const ALWAYS: Self = Self {
        groups_min: 0,
        effort_per_step: usize::MAX,
    };
    pub const NEVER: Self = Self {
        groups_min: usize::MAX,
        effort_per_step: 0,
    };
}

impl Merger {
    /// Numbers all groups anew, if enough messages came again since that was done, and it costs no
    /// more than it may.
    pub(super) fn arrange(&mut self) {
        if self.groups < self.worth.groups_min || !self.is_worth_effort(self.cells) {
            return;
        }
        let routes = || self.series.routes();
        let lengths = (0..).zip(&self.lengths);
        let moved: Vec<_> = lengths
            .map(|(at, length)| numbers(length.groups, at, routes()))
            .collect();
        let cells = self
            .windows
            .iter()
            .map(|w| w.len_moved(&moved[w.length as usize]));
        let cells: usize = cells.sum();
        let bytes = self.bytes - self.cells * size_of::<Cell>() + cells * size_of::<Cell>();
        if bytes > self.limits.bytes / 2 || !self.is_worth_effort(cells) {
            return self.series.put_off_renumbering();
        }
        for (length, moved) in (0..).zip(&moved) {
            self.renumber(length, moved);
        }
        self.renumber_memo(&moved);
        self.series.renumber_routes(&moved);
        self.recount();
    }

    /// Whether enough steps are new, with so many accumulators.
    fn is_worth_effort(&self, cells: usize) -> bool {
        let slots = self.memo.slots().len() / SLOTS_PER_EFFORT;
        let (steps, new) = self.series.steps();
        let effort = self.groups + cells + steps + slots;
        effort <= EFFORT_MAX.min(new.saturating_mul(self.worth.effort_per_step))
    }

    fn renumber_memo(&mut self, moved: &[Vec<u32>]) {
        let mut columns = vec![Vec::new(); self.series.metrics()];
        let mut solos = Vec::new();
        for table in &self.tables {
            columns[table.metric as usize].push(table.length);
            if !table.is_grouped() {
                solos.push(table.length);
            }
        }
        let row = |Series { metric, row }: Series| (row, &columns[metric as usize][..]);
        let rows = self.series.all().map(row);
        self.memo.renumber(moved, &solos, rows);
    }
}

/// By group of windows so long: its new number, none twice and none left out.
fn numbers<'a>(groups: u32, length: u32, routes: impl Iterator<Item = &'a Route>) -> Vec<u32> {
    let mut leads = vec![[NONE; 2]; groups as usize];
    for (route, number) in routes.zip(0..) {
        for group in route.groups(length) {
            let [first, second] = &mut leads[group as usize];
            match *first {
                NONE => *first = number,
                _ => *second = number.min(*second),
            }
        }
    }
    let mut order: Vec<_> = leads.into_iter().zip(0u32..).collect();
    order.sort_unstable();
    let mut numbers = vec![0; order.len()];
    for ((_, group), number) in order.into_iter().zip(0..) {
        numbers[group as usize] = number;
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::route::tests::route;

    #[test]
    fn groups_of_a_message_get_numbers_in_a_row() {
        let routes = [&[5, 0, 3][..], &[3, 5, 1], &[6, 1, 5]].map(route);
        // By the first two messages: 0 (0), 3 and 5 (0, 1), 1 (1, 2), 6 (2), 2 and 4 (none).
        assert_eq!(numbers(7, 0, routes.iter()), [2, 3, 5, 0, 6, 1, 4]);
        let none = numbers(3, 1, routes.iter());
        assert_eq!(none, [0, 1, 2], "of other windows");
    }
}
