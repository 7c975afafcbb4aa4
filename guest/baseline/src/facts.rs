//! One message as the rules see it: literals, keys and metrics by string id.

use crate::plan::{Literal, Node, Plan, Slot};
use alloc::{vec, vec::Vec};
use ratchet_api::payload::Strings;
use ratchet_api::{DecodeError, Message};

/// Stands for nothing where a number is expected.
const NONE: u32 = u32::MAX;

/// What a message says of the plan's texts. Buffers are kept from message to message.
pub(crate) struct Facts {
    /// The string id + 1 of each literal; 0 when the message does not have it.
    string_of: Vec<u32>,
    /// For each slot, the string id + 1 of its value in each tag-set; empty when no tag-set has it.
    columns: Vec<Vec<u32>>,
    /// The metrics of the plan that the message has.
    metrics: Vec<usize>,
    /// For each metric of the plan, its tag-sets.
    sets_of: Vec<Vec<u32>>,
    metric_of_string: Vec<u32>,
    ids: Vec<u32>,
    /// A buffer for the offsets of the strings.
    pub bounds: Vec<u32>,
}

impl Facts {
    pub(crate) fn new(plan: &Plan) -> Self {
        Facts {
            string_of: vec![0; plan.literals.len()],
            columns: vec![Vec::new(); plan.keys.len()],
            metrics: Vec::new(),
            sets_of: vec![Vec::new(); plan.metrics.len()],
            metric_of_string: Vec::new(),
            ids: Vec::new(),
            bounds: Vec::new(),
        }
    }

    /// Takes in a message, of which everything was pulled.
    pub(crate) fn resolve(
        &mut self,
        plan: &Plan,
        message: &Message<'_>,
        strings: &Strings<'_>,
    ) -> Result<(), DecodeError> {
        self.string_of.fill(0);
        for (id, text) in strings.iter().enumerate() {
            if let Some(&literal) = plan.literals.get(text) {
                self.string_of[literal as usize] = id as u32 + 1;
            }
        }
        self.resolve_columns(plan, message)?;
        self.resolve_metrics(plan, message, strings.len())
    }

    fn resolve_columns(&mut self, plan: &Plan, message: &Message<'_>) -> Result<(), DecodeError> {
        message.key_ids(&mut self.ids)?;
        for (column, &literal) in self.columns.iter_mut().zip(&plan.keys) {
            column.clear();
            let string = self.string_of[literal as usize];
            if let Some(key) = self.ids.iter().position(|&id| id + 1 == string) {
                message.key_column(key as u32, column)?;
            }
        }
        Ok(())
    }

    fn resolve_metrics(
        &mut self,
        plan: &Plan,
        message: &Message<'_>,
        strings: usize,
    ) -> Result<(), DecodeError> {
        for &metric in &self.metrics {
            self.sets_of[metric].clear();
        }
        self.metrics.clear();
        self.metric_of_string.clear();
        self.metric_of_string.resize(strings, NONE);
        for (metric, &literal) in plan.metrics.iter().enumerate() {
            let string = self.string_of[literal as usize];
            if string != 0 {
                self.metric_of_string[string as usize - 1] = metric as u32;
            }
        }
        message.metric_ids(&mut self.ids)?;
        for (set, &id) in self.ids.iter().enumerate() {
            let metric = self.metric_of_string[id as usize];
            if metric != NONE {
                let sets = &mut self.sets_of[metric as usize];
                if sets.is_empty() {
                    self.metrics.push(metric as usize);
                }
                sets.push(set as u32);
            }
        }
        Ok(())
    }

    /// The metrics of the plan that the message has, in the order of their first tag-sets.
    pub(crate) fn metrics(&self) -> &[usize] {
        &self.metrics
    }

    /// The string id + 1 of a key's value in each tag-set; empty when none has it.
    pub(crate) fn column(&self, slot: Slot) -> &[u32] {
        &self.columns[slot]
    }

    /// The string id + 1 of a tag-set's value; 0 when absent.
    #[inline]
    pub(crate) fn value(&self, slot: Slot, set: u32) -> u32 {
        self.columns[slot].get(set as usize).copied().unwrap_or(0)
    }

    /// Writes the tag-sets of a metric that a filter takes, ascending.
    pub(crate) fn select(
        &self,
        metric: usize,
        filter: &Node,
        strings: &Strings<'_>,
        selected: &mut Vec<u32>,
    ) {
        selected.clear();
        if self.is_possible(filter) {
            selected.extend_from_slice(&self.sets_of[metric]);
            self.narrow(filter, strings, selected);
        }
    }

    /// Whether any tag-set could match: not if the message lacks a text that all of them need.
    fn is_possible(&self, filter: &Node) -> bool {
        match filter {
            Node::Present(slot) | Node::Prefix(slot, _) => !self.columns[*slot].is_empty(),
            Node::Eq(_, literal) => self.string_of[*literal as usize] != 0,
            Node::And(parts) => parts.iter().all(|part| self.is_possible(part)),
            _ => true,
        }
    }

    /// Keeps the tag-sets that a filter takes.
    fn narrow(&self, filter: &Node, strings: &Strings<'_>, sets: &mut Vec<u32>) {
        match filter {
            Node::All => (),
            Node::Eq(slot, literal) => {
                let (column, string) = (&self.columns[*slot], self.string_of[*literal as usize]);
                match string {
                    0 => sets.clear(),
                    _ => retain(sets, |set| column.get(set as usize) == Some(&string)),
                }
            }
            Node::And(parts) => {
                for part in parts {
                    self.narrow(part, strings, sets);
                }
            }
            _ => retain(sets, |set| self.takes(filter, strings, set)),
        }
    }

    fn takes(&self, filter: &Node, strings: &Strings<'_>, set: u32) -> bool {
        match filter {
            Node::All => true,
            Node::Present(slot) => self.value(*slot, set) != 0,
            Node::Eq(slot, literal) => self.equals(self.value(*slot, set), *literal),
            Node::Prefix(slot, prefix) => match self.value(*slot, set) {
                0 => false,
                string => strings.get(string - 1).starts_with(prefix),
            },
            Node::In(slot, literals) => {
                let string = self.value(*slot, set);
                literals.iter().any(|&literal| self.equals(string, literal))
            }
            Node::Not(inner) => !self.takes(inner, strings, set),
            Node::And(parts) => parts.iter().all(|part| self.takes(part, strings, set)),
            Node::Or(parts) => parts.iter().any(|part| self.takes(part, strings, set)),
        }
    }

    /// Whether a tag's value, if any, is this literal, if the message has it.
    fn equals(&self, string: u32, literal: Literal) -> bool {
        string != 0 && string == self.string_of[literal as usize]
    }
}

/// Like `Vec::retain`, but without a branch on each answer, which nothing could predict.
fn retain(sets: &mut Vec<u32>, keep: impl Fn(u32) -> bool) {
    let mut kept = 0;
    for n in 0..sets.len() {
        let set = sets[n];
        sets[kept] = set;
        kept += usize::from(keep(set));
    }
    sets.truncate(kept);
}
