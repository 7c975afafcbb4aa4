//! Workloads B and C: group-bys without filters and with them, as bits over tag-sets.

use crate::adding::{Adding, Cells, BITS};
use crate::columns::{Columns, NONE};
use crate::partition::Partition;
use crate::tests::{Code, Literals, Tests};
use crate::tree::{Forest, Member, Planted};
use crate::Kernel;
use ratchet_api::{DecodeError, Message, Record, Refusal};
use ratchet_codec::payload::Strings;
use ratchet_rules::{Filter, Rule};
use std::collections::BTreeMap;
use std::ops::Range;

/// B: many group-bys of the same tag-sets, of which few share subsets beyond their tree.
pub type Dimensions = Shape<false>;
/// C: many filters that take the same few tag-sets.
pub type Dashboards = Shape<true>;

pub struct Shape<const SHARED: bool> {
    keys: Vec<Box<[u8]>>,
    metrics: Vec<Box<[u8]>>,
    plans: Vec<Plan>,
    forest: Forest,
    literals: Literals,
    columns: Columns,
    bounds: Vec<u32>,
    by_value: Vec<u64>,
    equal: Vec<[u64; BITS]>,
    cells: Box<Cells>,
    adding: Adding,
    partition: Partition<SHARED>,
}

/// The rules of one metric.
struct Plan {
    tests: Tests,
    /// Keys that its rules look at, and whether a filter does.
    keys: Vec<(usize, bool)>,
    trees: Vec<(Code, Range<usize>)>,
    /// Of the message at hand.
    members: Vec<u32>,
}

impl<const SHARED: bool> Kernel for Shape<SHARED> {
    fn new(rules: &[Rule]) -> Result<Self, Refusal> {
        let metrics = sorted(rules.iter().map(|rule| &*rule.metric));
        let keys = sorted(rules.iter().flat_map(keys_of));
        let mut shape = Shape {
            columns: Columns::new(keys.len()),
            equal: vec![[0; BITS]; keys.len()],
            plans: Vec::new(),
            forest: Forest::default(),
            literals: Literals::default(),
            bounds: Vec::new(),
            by_value: Vec::new(),
            cells: Box::default(),
            adding: Adding::default(),
            partition: Partition::new(),
            keys,
            metrics,
        };
        for metric in 0..shape.metrics.len() {
            let plan = shape.plan(metric, rules)?;
            shape.plans.push(plan);
        }
        Ok(shape)
    }

    fn process(
        &mut self,
        message: &mut Message<'_>,
        out: &mut Vec<Record>,
    ) -> Result<bool, DecodeError> {
        message.pull_all()?;
        let mut bounds = std::mem::take(&mut self.bounds);
        let strings = message.strings(&mut bounds)?;
        let (keys, metrics) = (&self.keys, &self.metrics);
        self.columns.decode(message, &strings, keys, metrics)?;
        let done = self.collect();
        if done {
            self.aggregate(&strings, out);
        }
        self.bounds = bounds;
        Ok(done)
    }
}

impl<const SHARED: bool> Shape<SHARED> {
    fn plan(&mut self, metric: usize, rules: &[Rule]) -> Result<Plan, Refusal> {
        let mut tests = Tests::new(self.keys.len());
        let mut by_filter: Vec<(&Filter, Vec<Planted>)> = Vec::new();
        let mut used = BTreeMap::new();
        for (index, rule) in (0..).zip(rules) {
            if rule.metric != self.metrics[metric] {
                continue;
            }
            let mut path = Vec::new();
            for key in &rule.group_by {
                let key = self
                    .keys
                    .binary_search(key)
                    .map_err(|_| Refusal("an unknown key"))?;
                used.insert(key, ());
                path.push(key);
            }
            path.sort_by_key(|&key| (std::cmp::Reverse(values_of(&self.keys[key])), key));
            let aggregate = rule.aggregate;
            let planted = Planted {
                member: Member {
                    rule: index,
                    aggregate,
                },
                path,
            };
            match by_filter
                .iter_mut()
                .find(|(filter, _)| **filter == rule.filter)
            {
                Some((_, same)) => same.push(planted),
                None => by_filter.push((&rule.filter, vec![planted])),
            }
        }
        let mut trees = Vec::new();
        for (filter, rules) in by_filter {
            let code = tests.add(filter, &self.keys, &mut self.literals)?;
            trees.push((code, self.forest.plant(rules)));
        }
        let asked = (0..self.keys.len()).map(|key| (key, tests.look_at(key)));
        let keys = asked
            .filter(|(key, asked)| *asked || used.contains_key(key))
            .collect();
        Ok(Plan {
            tests,
            keys,
            trees,
            members: Vec::new(),
        })
    }

    /// Sorts tag-sets by metric; false when one has too many.
    fn collect(&mut self) -> bool {
        for plan in &mut self.plans {
            plan.members.clear();
        }
        for (set, &metric) in (0..).zip(&self.columns.metric) {
            if metric != NONE {
                self.plans[metric as usize].members.push(set);
            }
        }
        self.plans.iter().all(|plan| plan.members.len() <= BITS)
    }

    fn aggregate(&mut self, strings: &Strings<'_>, out: &mut Vec<Record>) {
        let Columns {
            metric,
            sets,
            values,
            ..
        } = &self.columns;
        self.adding.begin::<true>(metric.len(), sets, values);
        self.literals.begin(strings.len());
        self.by_value.resize(strings.len() + 1, 0);
        for plan in &mut self.plans {
            if plan.members.is_empty() {
                continue;
            }
            plan.tests.begin();
            for &(key, asked) in &plan.keys {
                let column = &self.columns.keys[key];
                let equal = &mut self.equal[key];
                if column.is_empty() {
                    equal.fill(u64::MAX);
                    continue;
                }
                same_value(column, &plan.members, &mut self.by_value, equal);
                if asked {
                    let sets = (&column[..], &plan.members[..]);
                    plan.tests
                        .decide(key, sets, equal, (strings, &mut self.literals));
                }
            }
            let all = u64::MAX >> (BITS - plan.members.len());
            plan.tests.finish(all);
            let present = self.adding.cells(&plan.members, &mut self.cells);
            self.partition.begin();
            for (code, nodes) in &plan.trees {
                let taken = plan.tests.take(code, all) & present;
                if taken != 0 {
                    let tree = (&self.forest, nodes.clone());
                    let sums = (&*self.cells, &mut self.adding);
                    self.partition.run(taken, tree, &self.equal, sums, out);
                }
            }
        }
        self.adding.finish(sets, values, out);
    }
}

/// For each tag-set, those with the same value.
#[inline(always)]
fn same_value(column: &[u32], members: &[u32], by_value: &mut [u64], equal: &mut [u64; BITS]) {
    for &set in members {
        by_value[column[set as usize] as usize] = 0;
    }
    for (at, &set) in members.iter().enumerate() {
        by_value[column[set as usize] as usize] |= 1 << (at % BITS);
    }
    for (equal, &set) in equal.iter_mut().zip(members) {
        *equal = by_value[column[set as usize] as usize];
    }
}

/// How many values a key of these workloads has: by whom to split first.
fn values_of(key: &[u8]) -> u32 {
    const B: [(&[u8], u32); 10] = [
        (b"pod", 1000),
        (b"host", 100),
        (b"service", 100),
        (b"endpoint", 50),
        (b"team", 20),
        (b"az", 12),
        (b"version", 10),
        (b"cluster", 8),
        (b"region", 4),
        (b"env", 3),
    ];
    let known = B.iter().find(|(name, _)| *name == key);
    known.map_or(0, |&(_, values)| values)
}

fn keys_of(rule: &Rule) -> Vec<&[u8]> {
    fn visit<'a>(filter: &'a Filter, keys: &mut Vec<&'a [u8]>) {
        match filter {
            Filter::All => (),
            Filter::Present(key)
            | Filter::Eq(key, _)
            | Filter::Prefix(key, _)
            | Filter::In(key, _) => keys.push(key),
            Filter::Not(inner) => visit(inner, keys),
            Filter::And(parts) | Filter::Or(parts) => {
                parts.iter().for_each(|part| visit(part, keys));
            }
        }
    }
    let mut keys = rule.group_by.iter().map(|key| &**key).collect();
    visit(&rule.filter, &mut keys);
    keys
}

fn sorted<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Vec<Box<[u8]>> {
    let mut all: Vec<Box<[u8]>> = texts.map(Box::from).collect();
    all.sort();
    all.dedup();
    all
}
