//! The baseline: what serves an organization until something better is promoted, and what every
//! candidate must agree with.
//!
//! Generic, with rules as data, and strong: rules are indexed by metric; their literals are
//! resolved to string ids once a message; filters and groups are evaluated once a tag-set, not
//! once a point; a point then only adds to the cells of its tag-set's groups. A rule that takes
//! many tag-sets goes through the points by itself.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod broad;
mod cells;
mod facts;
mod groups;
mod plan;
mod points;
mod text;

use alloc::vec::Vec;
use broad::{is_broad, Broad};
use cells::Cells;
use facts::Facts;
use groups::Groups;
use plan::Plan;
use points::Points;
use ratchet_api::{Aggregate, DecodeError, Message, Records, Refusal};

ratchet_api::guest!(Baseline);

/// The baseline for one configuration. All but the plan is scratch space.
pub struct Baseline {
    plan: Plan,
    facts: Facts,
    points: Points,
    groups: Groups,
    broad: Broad,
    cells: Cells,
    selected: Vec<u32>,
}

impl Aggregate for Baseline {
    fn new(rules: &[u8]) -> Result<Self, Refusal> {
        let rules = ratchet_rules::parse(rules).map_err(|e| Refusal(e.problem.reason()))?;
        let plan = Plan::new(&rules);
        Ok(Baseline {
            facts: Facts::new(&plan),
            points: Points::default(),
            groups: Groups::default(),
            broad: Broad::default(),
            cells: Cells::default(),
            selected: Vec::new(),
            plan,
        })
    }

    fn process(&mut self, message: &mut Message<'_>, out: &mut Records) -> Result<(), DecodeError> {
        message.pull_all()?;
        let mut bounds = core::mem::take(&mut self.facts.bounds);
        let strings = message.strings(&mut bounds)?;
        self.facts.resolve(&self.plan, message, &strings)?;
        self.points.decode(&self.plan.window_sizes, message)?;
        let sets = message.header().sets;
        self.groups.clear(sets);
        for &metric in self.facts.metrics() {
            for rule in self.plan.rules_of(metric) {
                let (facts, selected) = (&self.facts, &mut self.selected);
                facts.select(metric, &rule.filter, &strings, selected);
                if is_broad(rule, selected, sets, &self.points) {
                    let (points, groups) = (&self.points, &mut self.groups);
                    self.broad.run(rule, facts, selected, points, groups, out);
                } else {
                    self.groups.add(rule, facts, selected);
                }
            }
        }
        self.groups.index_by_set();
        self.cells.accumulate(&mut self.points, &mut self.groups);
        self.cells.write(&self.groups, out);
        self.facts.bounds = bounds;
        Ok(())
    }
}
