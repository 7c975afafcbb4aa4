//! Accumulators side by side, where they are changed by the same messages.
//!
//! A cache line holds four of them, and an organization may have hundreds of thousands. Groups are
//! numbered as they come, so among those of a message that is merged again and again lie others
//! that it has nothing to do with. Once it is known which messages come again, groups are numbered
//! by the first two of these that lead to them.

use std::ops::Range;

use super::route::Route;
use super::series::Series;
use super::Merger;

/// Stands for a message that there is not.
const NONE: u32 = u32::MAX;

/// Fewer groups are in a cache close by, wherever they lie. With more, nothing else would be served
/// for too long: 170,000 take 16 ms, with the 420,000 steps that lead to them.
pub const GROUPS: Range<usize> = 4_096..500_000;

impl Merger {
    /// Numbers all groups anew, if enough messages came again since that was done.
    pub(super) fn arrange(&mut self) {
        if !self.arranges.contains(&self.groups) || !self.series.has_many_new_routes() {
            return;
        }
        let routes = || self.series.routes();
        let lengths = (0..).zip(&self.lengths);
        let moved: Vec<_> = lengths
            .map(|(at, length)| numbers(length.groups, at, routes()))
            .collect();
        for (length, moved) in (0..).zip(&moved) {
            self.renumber(length, moved);
        }
        self.renumber_memo(&moved);
        self.series.renumber_routes(&moved);
        self.recount();
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
