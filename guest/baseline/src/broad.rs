//! Rules that take many of a message's tag-sets, when the message lies in one window.
//!
//! Such a rule goes through the points by itself: its groups are few and lie together, so a point
//! costs a look-up and an addition. Rules that take few tag-sets would look at many points in
//! vain; they go the way of [`crate::groups`] and [`crate::cells`].

use crate::cells::Cell;
use crate::facts::Facts;
use crate::groups::Groups;
use crate::plan::RulePlan;
use crate::points::Points;
use alloc::vec::Vec;
use ratchet_api::Records;
use ratchet_rules::Aggregate;

/// A rule is broad when it takes at least one in so many tag-sets.
const SHARE: usize = 4;

/// Scratch space for one rule at a time.
#[derive(Default)]
pub(crate) struct Broad {
    /// For each tag-set, its group + 1 in the rule at hand, or 0.
    group_of: Vec<u32>,
    cells: Vec<BroadCell>,
}

struct BroadCell {
    /// The tag-set of the first point; of no meaning while the count is 0.
    set: u32,
    cell: Cell,
}

/// Whether a rule that takes these tag-sets should go through the points by itself.
pub(crate) fn is_broad(rule: &RulePlan, selected: &[u32], sets: u32, points: &Points) -> bool {
    points.clocks[rule.window_size as usize].single && SHARE * selected.len() >= sets as usize
}

impl Broad {
    /// Aggregates all points under one rule and writes its records.
    pub(crate) fn run(
        &mut self,
        rule: &RulePlan,
        facts: &Facts,
        selected: &[u32],
        points: &Points,
        groups: &mut Groups,
        out: &mut Records,
    ) {
        self.group_of.clear();
        self.group_of.resize(room(selected), 0);
        let count = groups.partition(rule, facts, selected, &mut self.group_of);
        self.cells.clear();
        self.cells.resize_with(count, || BroadCell {
            set: 0,
            cell: Cell {
                count: 0,
                value: 0.0,
            },
        });
        self.accumulate(rule.aggregate, points);
        self.write(rule, out);
    }

    fn accumulate(&mut self, aggregate: Aggregate, points: &Points) {
        for (&set, &value) in points.sets.iter().zip(&points.values) {
            let group = self.group_of.get(set as usize).copied().unwrap_or(0);
            let Some(at) = group.checked_sub(1) else {
                continue;
            };
            let BroadCell { set: first, cell } = &mut self.cells[at as usize];
            if cell.count == 0 {
                *first = set;
                *cell = Cell { count: 1, value };
            } else {
                cell.add(aggregate, value);
            }
        }
    }

    /// A group whose tag-sets have no point has no record.
    fn write(&self, rule: &RulePlan, out: &mut Records) {
        out.reserve(self.cells.len());
        for BroadCell { set, cell } in &self.cells {
            if cell.count > 0 {
                out.push(rule.index, *set, 0, cell.count, cell.result(rule.aggregate));
            }
        }
    }
}

/// Room for every tag-set that the rule takes; points of later ones are not its own.
fn room(selected: &[u32]) -> usize {
    selected.iter().max().map_or(0, |&last| last as usize + 1)
}
