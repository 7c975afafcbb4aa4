//! The rules, prepared once an instance: texts become numbers, rules are indexed by metric.

use crate::text::TextMap;
use alloc::{boxed::Box, vec::Vec};
use ratchet_rules::{Aggregate, Filter, Rule};

/// A text that occurs in the rules, by number.
pub(crate) type Literal = u32;

/// A tag key that occurs in the rules, by number.
pub(crate) type Slot = usize;

/// All that the rules say.
#[derive(Default)]
pub(crate) struct Plan {
    /// Every text that a string of a message is compared with as a whole.
    pub literals: TextMap<Box<[u8]>, Literal>,
    /// The literal of each key.
    pub keys: Vec<Literal>,
    /// The literal of each metric.
    pub metrics: Vec<Literal>,
    /// The distinct window lengths, in milliseconds.
    pub window_sizes: Vec<u32>,
    rules: Vec<Vec<RulePlan>>,
}

/// One rule.
pub(crate) struct RulePlan {
    /// Its index in the blob.
    pub index: u32,
    pub filter: Node,
    pub group_by: Vec<Slot>,
    pub aggregate: Aggregate,
    /// Its window length, as an index into the plan's.
    pub window_size: u32,
}

/// A filter over tags by slot and literal.
pub(crate) enum Node {
    All,
    Present(Slot),
    Eq(Slot, Literal),
    Prefix(Slot, Box<[u8]>),
    In(Slot, Vec<Literal>),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

impl Plan {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut plan = Plan::default();
        for (index, rule) in rules.iter().enumerate() {
            let metric = plan.literal(&rule.metric);
            let metric = position_or_push(&mut plan.metrics, metric);
            if metric == plan.rules.len() {
                plan.rules.push(Vec::new());
            }
            let prepared = RulePlan {
                index: index as u32,
                filter: plan.node(&rule.filter),
                group_by: rule.group_by.iter().map(|key| plan.slot(key)).collect(),
                aggregate: rule.aggregate,
                window_size: position_or_push(&mut plan.window_sizes, rule.window_ms) as u32,
            };
            plan.rules[metric].push(prepared);
        }
        plan
    }

    /// The rules of a metric.
    pub(crate) fn rules_of(&self, metric: usize) -> &[RulePlan] {
        &self.rules[metric]
    }

    fn literal(&mut self, text: &[u8]) -> Literal {
        let next = self.literals.len() as Literal;
        *self.literals.entry(text.into()).or_insert(next)
    }

    fn slot(&mut self, key: &[u8]) -> Slot {
        let literal = self.literal(key);
        position_or_push(&mut self.keys, literal)
    }

    fn node(&mut self, filter: &Filter) -> Node {
        match filter {
            Filter::All => Node::All,
            Filter::Present(key) => Node::Present(self.slot(key)),
            Filter::Eq(key, value) => Node::Eq(self.slot(key), self.literal(value)),
            Filter::Prefix(key, prefix) => Node::Prefix(self.slot(key), prefix.clone()),
            Filter::In(key, values) => {
                let slot = self.slot(key);
                Node::In(
                    slot,
                    values.iter().map(|value| self.literal(value)).collect(),
                )
            }
            Filter::Not(inner) => Node::Not(Box::new(self.node(inner))),
            Filter::And(parts) => Node::And(parts.iter().map(|part| self.node(part)).collect()),
            Filter::Or(parts) => Node::Or(parts.iter().map(|part| self.node(part)).collect()),
        }
    }
}

fn position_or_push(list: &mut Vec<u32>, item: u32) -> usize {
    list.iter()
        .position(|&other| other == item)
        .unwrap_or_else(|| {
            list.push(item);
            list.len() - 1
        })
}
