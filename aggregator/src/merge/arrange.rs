//! Accumulators side by side, where they are changed by the same messages.
//!
//! A cache line holds four of them, and an organization may have hundreds of thousands. Groups are
//! numbered as they come, so among those of a message that is merged again and again lie others
//! that it has nothing to do with. Once it is known which messages come again, groups are numbered
//! by the first two of these that lead to them. Organizations of which too much would have to be
//! renumbered, some million groups and accumulators, keep their groups as they came.

use super::cell::Cell;
use super::route::Route;
use super::series::Series;
use super::window::Window;
use super::Merger;

/// Stands for a message that there is not.
const NONE: u32 = u32::MAX;

/// Slots of the memo take less than the others: those of a series lie side by side.
const SLOTS_PER_EFFORT: usize = 4;

/// When that is worth its effort: how many groups, accumulators and steps are renumbered.
#[derive(Clone, Copy)]
pub struct Worth {
    /// Fewer groups are in a cache close by, wherever they lie.
    groups_min: usize,
    /// For a step that is new: its message will come back many times.
    effort_per_step: usize,
    /// At once, for nothing else of the partition is served meanwhile.
    effort_max: usize,
}

impl Default for Worth {
    fn default() -> Self {
        Self {
            groups_min: 4_096,
            effort_per_step: 16,
            effort_max: 2 << 20,
        }
    }
}

impl Worth {
    fn is_given(self, groups: usize, effort: usize, new_steps: usize) -> bool {
        let max = new_steps.saturating_mul(self.effort_per_step);
        groups >= self.groups_min && effort <= max.min(self.effort_max)
    }
}

impl Merger {
    /// Numbers all groups anew, if enough messages came again since that was done, and it costs no
    /// more than it may.
    pub(super) fn arrange(&mut self) {
        if !self.is_worth_it(self.cells) {
            return;
        }
        let groups = self.lengths.iter().map(|length| length.groups);
        let moved = numbers(groups, self.series.routes());
        let moved_len = |window: &Window| window.moved_len(&moved[window.length as usize]);
        let cells: usize = self.windows.iter().map(moved_len).sum();
        let bytes = self.bytes - self.cells * size_of::<Cell>() + cells * size_of::<Cell>();
        if bytes > self.limits.bytes / 2 || !self.is_worth_it(cells) {
            // Not again for every step that is new.
            return self.series.forget_new_steps();
        }
        self.renumber(&moved);
        self.renumber_memo(&moved);
        self.series.renumber_routes(&moved);
        self.recount();
    }

    /// Whether enough steps are new, with so many accumulators.
    fn is_worth_it(&self, cells: usize) -> bool {
        let slots = self.memo.slots().len() / SLOTS_PER_EFFORT;
        let (steps, new) = self.series.steps();
        let effort = self.groups + cells + slots + steps;
        self.worth.is_given(self.groups, effort, new)
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

/// By length, and by group of windows so long: its new number, none twice and none left out.
///
/// Routes go by the greatest group that they lead to, and groups without a route by themselves: so
/// no group gets a greater number than was in its first route, and a window that only messages with
/// routes lead to does not grow.
fn numbers<'a>(
    groups: impl Iterator<Item = u32>,
    routes: impl Iterator<Item = &'a Route>,
) -> Vec<Vec<u32>> {
    let routes = routes.flat_map(Route::groups);
    let mut routes: Vec<_> = routes
        .map(|(length, groups)| (groups.iter().copied().max().unwrap_or(0), length, groups))
        .collect();
    routes.sort_by_key(|(greatest, ..)| *greatest);
    let alone = |groups: u32| {
        (0..groups)
            .map(|group| [group, NONE, NONE, group])
            .collect()
    };
    let mut orders: Vec<Vec<[u32; 4]>> = groups.map(alone).collect();
    for ((greatest, length, groups), route) in routes.into_iter().zip(0..) {
        for group in groups {
            let [age, first, second, _] = &mut orders[length as usize][*group as usize];
            match *first {
                NONE => (*age, *first) = (greatest, route),
                _ => *second = route.min(*second),
            }
        }
    }
    orders.into_iter().map(numbers_of).collect()
}

fn numbers_of(mut order: Vec<[u32; 4]>) -> Vec<u32> {
    order.sort_unstable();
    let mut numbers = vec![0; order.len()];
    for ([.., group], number) in order.into_iter().zip(0..) {
        numbers[group as usize] = number;
    }
    numbers
}

#[cfg(test)]
impl Worth {
    pub const ALWAYS: Self = Self {
        groups_min: 0,
        effort_per_step: usize::MAX,
        effort_max: usize::MAX,
    };
    pub const NEVER: Self = Self {
        groups_min: usize::MAX,
        ..Self::ALWAYS
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::route::tests::route;

    #[test]
    fn groups_of_a_message_get_numbers_in_a_row() {
        let routes = [&[6, 1, 7][..], &[5, 0, 3], &[3, 5, 1, 6]].map(route);
        // By themselves 2 and 4; then 3 and 5, which are in two of them, 0, 1 and 6, 7.
        let expected = vec![4, 5, 0, 2, 1, 3, 6, 7];
        let found = numbers([8, 3].into_iter(), routes.iter());
        assert_eq!(found, [expected, vec![0, 1, 2]]);
    }

    #[test]
    fn messages_that_share_their_newest_group_are_told_apart() {
        let routes = [&[1, 9][..], &[2, 5, 9], &[3, 9, 0]].map(route);
        // By themselves 4, 6, 7 and 8; then 9, which is in all of them, 1, 2 and 5, 0 and 3.
        let expected = vec![8, 5, 6, 9, 0, 7, 1, 2, 3, 4];
        assert_eq!(numbers([10].into_iter(), routes.iter()), [expected]);
    }

    #[test]
    fn effort_has_bounds() {
        let worth = Worth::default();
        let max = worth.effort_max;
        let check = |(groups, effort, new_steps), expected| {
            let found = worth.is_given(groups, effort, new_steps);
            assert_eq!(
                found, expected,
                "{groups} groups, {effort}, {new_steps} new"
            );
        };
        check((4_096, 160_000, 10_000), true);
        check((4_095, 160_000, 10_000), false);
        check((4_096, 160_001, 10_000), false);
        check((4_096, 0, 0), true);
        check((4_096, max, max), true);
        check((4_096, max + 1, max), false);
        check((4_096, max, usize::MAX), true);
    }
}
