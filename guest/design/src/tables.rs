//! The tables of a blob's rules: what the fleet module makes once an instance. A tenant module has
//! the same as constants, written by `evolver/spec`.

use crate::spec::{KeyUse, Kind, Loose, Rule, Spec, Test, AND, ARGUMENT, NOT, OR, TEST, TRUE};
use crate::NONE;
use alloc::{boxed::Box, collections::BTreeMap, collections::BTreeSet, vec, vec::Vec};
use ratchet_rules::{Aggregate, Filter, RulesError};

type Text = Box<[u8]>;

impl Spec {
    /// The tables of a blob. They live as long as the instance, which serves one configuration.
    pub fn of(blob: &[u8]) -> Result<&'static Spec, RulesError> {
        let rules = ratchet_rules::parse(blob)?;
        let mut texts = Texts::default();
        for rule in &rules {
            texts.add(rule);
        }
        let names = [texts.metrics, texts.keys, texts.values].map(Names::new);
        Ok(Box::leak(Box::new(tabulate(&rules, &names))))
    }
}

/// The texts of the rules, without repetition.
#[derive(Default)]
struct Texts {
    metrics: BTreeSet<Text>,
    keys: BTreeSet<Text>,
    values: BTreeSet<Text>,
}

impl Texts {
    fn add(&mut self, rule: &ratchet_rules::Rule) {
        self.metrics.insert(rule.metric.clone());
        self.keys.extend(rule.group_by.iter().cloned());
        self.add_filter(&rule.filter);
    }

    fn add_filter(&mut self, filter: &Filter) {
        match filter {
            Filter::All => {}
            Filter::Present(key) | Filter::Prefix(key, _) => {
                self.keys.insert(key.clone());
            }
            Filter::Eq(key, value) => {
                self.keys.insert(key.clone());
                self.values.insert(value.clone());
            }
            Filter::In(key, values) => {
                self.keys.insert(key.clone());
                self.values.extend(values.iter().cloned());
            }
            Filter::Not(inner) => self.add_filter(inner),
            Filter::And(parts) | Filter::Or(parts) => {
                for part in parts {
                    self.add_filter(part);
                }
            }
        }
    }
}

/// Sorted texts, by which their numbers are found.
struct Names(&'static [&'static [u8]]);

impl Names {
    fn new(texts: BTreeSet<Text>) -> Self {
        Names(leak(
            texts.into_iter().map(|text| &*Box::leak(text)).collect(),
        ))
    }

    /// The number of a text that is among them.
    fn number(&self, text: &[u8]) -> u32 {
        self.0.partition_point(|each| *each < text) as u32
    }
}

fn tabulate(rules: &[ratchet_rules::Rule], names: &[Names; 3]) -> Spec {
    let [metrics, keys, values] = names;
    let windows: BTreeSet<u32> = rules.iter().map(|rule| rule.window_ms).collect();
    let windows: Vec<u32> = windows.into_iter().collect();
    let mut tests = Distinct::default();
    let mut filters = Distinct::default();
    let mut groups = Distinct::default();
    let mut rows = Vec::with_capacity(rules.len());
    for rule in rules {
        let mut code = Vec::new();
        postfix(
            &rule.filter,
            &mut |leaf| tests.add(test_of(leaf, keys, values)),
            &mut code,
        );
        let mut group: Vec<u32> = rule.group_by.iter().map(|key| keys.number(key)).collect();
        group.sort_unstable();
        rows.push(Rule {
            metric: metrics.number(&rule.metric),
            filter: filters.add(code),
            group: groups.add(group),
            kind: kind_of(rule.aggregate),
            window: windows.partition_point(|&each| each < rule.window_ms) as u32,
        });
    }
    let tests: Vec<(u32, Test)> = tests.items.into_iter().map(Leaf::place).collect();
    let base = Spec {
        metrics: metrics.0,
        keys: keys.0,
        values: values.0,
        tests: leak(tests),
        stack: filters
            .items
            .iter()
            .map(|code| stack_depth(code))
            .max()
            .unwrap_or(1),
        filters: leak_all(filters.items),
        group_keys: groups.items.iter().map(Vec::len).max().unwrap_or(0),
        groups: leak_all(groups.items),
        windows: leak(windows),
        rules: leak(rows),
        metric_rules: &[],
        metric_keys: &[],
        literal_tests: &[],
    };
    with_indexes(base)
}

fn kind_of(aggregate: Aggregate) -> Kind {
    match aggregate {
        Aggregate::Sum => Kind::Sum,
        Aggregate::Max => Kind::Max,
        Aggregate::Min => Kind::Min,
        Aggregate::Count => Kind::Count,
        Aggregate::Avg => Kind::Avg,
    }
}

/// A test before it has its place among constants.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Leaf {
    Present(u32),
    Values(u32, Vec<u32>),
    Prefix(u32, Text),
}

impl Leaf {
    fn place(self) -> (u32, Test) {
        match self {
            Leaf::Present(key) => (key, Test::Present),
            Leaf::Values(key, values) => match values[..] {
                [only] => (key, Test::Value(only)),
                _ => (key, Test::Values(leak(values))),
            },
            Leaf::Prefix(key, prefix) => (key, Test::Prefix(Box::leak(prefix))),
        }
    }
}

fn test_of(leaf: &Filter, keys: &Names, values: &Names) -> Leaf {
    match leaf {
        Filter::Present(key) => Leaf::Present(keys.number(key)),
        Filter::Eq(key, value) => Leaf::Values(keys.number(key), vec![values.number(value)]),
        Filter::Prefix(key, prefix) => Leaf::Prefix(keys.number(key), prefix.clone()),
        Filter::In(key, list) => {
            let mut list: Vec<u32> = list.iter().map(|value| values.number(value)).collect();
            list.sort_unstable();
            Leaf::Values(keys.number(key), list)
        }
        _ => unreachable!("only leaves are tests"),
    }
}

fn postfix(filter: &Filter, test: &mut impl FnMut(&Filter) -> u32, code: &mut Vec<u32>) {
    match filter {
        Filter::All => code.push(TRUE),
        Filter::Not(inner) => {
            postfix(inner, test, code);
            code.push(NOT);
        }
        Filter::And(parts) | Filter::Or(parts) => {
            for part in parts {
                postfix(part, test, code);
            }
            let operation = if matches!(filter, Filter::And(_)) {
                AND
            } else {
                OR
            };
            code.push(operation | parts.len() as u32);
        }
        leaf => code.push(TEST | test(leaf)),
    }
}

fn stack_depth(code: &[u32]) -> usize {
    let (mut depth, mut most) = (0, 1);
    for &word in code {
        match word & !ARGUMENT {
            TEST | TRUE => depth += 1,
            AND | OR => depth -= (word & ARGUMENT) as usize - 1,
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// By metric its rules and keys, by literal its tests.
fn with_indexes(base: Spec) -> Spec {
    let mut rules = vec![Vec::new(); base.metrics.len()];
    let mut uses = vec![BTreeMap::<u32, BTreeSet<u32>>::new(); base.metrics.len()];
    for (index, rule) in base.rules.iter().enumerate() {
        rules[rule.metric as usize].push(index as u32);
        let keys = &mut uses[rule.metric as usize];
        for &key in base.groups[rule.group as usize] {
            keys.entry(key).or_default();
        }
        for &word in base.filters[rule.filter as usize] {
            if word & !ARGUMENT == TEST {
                keys.entry(base.tests[word as usize].0)
                    .or_default()
                    .insert(word);
            }
        }
    }
    let mut literals = vec![Vec::new(); base.values.len()];
    for (index, &(key, test)) in base.tests.iter().enumerate() {
        let mut add = |literal: u32| literals[literal as usize].push((key, index as u32));
        match test {
            Test::Value(literal) => add(literal),
            Test::Values(list) => list.iter().copied().for_each(add),
            _ => {}
        }
    }
    let uses = uses.into_iter().map(|keys| {
        leak(
            keys.into_iter()
                .map(|(key, tests)| key_use(&base, key, tests))
                .collect(),
        ) as &[_]
    });
    Spec {
        metric_rules: leak_all(rules),
        metric_keys: leak(uses.collect()),
        literal_tests: leak_all(literals),
        ..base
    }
}

fn key_use(base: &Spec, key: u32, tests: BTreeSet<u32>) -> KeyUse {
    let loose = tests
        .iter()
        .filter_map(|&test| match base.tests[test as usize].1 {
            Test::Prefix(prefix) => Some(loose_prefix(test, prefix)),
            _ => None,
        });
    let loose = leak(loose.collect());
    let is_present = |test: &&u32| base.tests[**test as usize].1 == Test::Present;
    let present = tests.iter().find(is_present).copied().unwrap_or(NONE);
    KeyUse {
        key,
        present,
        tests: leak(tests.into_iter().collect()),
        loose,
    }
}

fn loose_prefix(test: u32, prefix: &'static [u8]) -> Loose {
    let word = |of: &dyn Fn(u8) -> u8| {
        prefix
            .iter()
            .take(8)
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(of(byte)))
    };
    // A shorter text is filled up with zeros, so a zero in the prefix has to be looked at again.
    let rest: &[u8] = if prefix.len() > 8 || prefix.contains(&0) {
        prefix
    } else {
        &[]
    };
    Loose {
        test,
        mask: word(&|_| 255),
        head: word(&|byte| byte),
        rest,
    }
}

/// Keeps what differs, in the order of first sight.
struct Distinct<Item> {
    items: Vec<Item>,
    places: BTreeMap<Item, u32>,
}

impl<Item> Default for Distinct<Item> {
    fn default() -> Self {
        Distinct {
            items: Vec::new(),
            places: BTreeMap::new(),
        }
    }
}

impl<Item: Clone + Ord> Distinct<Item> {
    fn add(&mut self, item: Item) -> u32 {
        if let Some(&place) = self.places.get(&item) {
            return place;
        }
        let place = self.items.len() as u32;
        self.items.push(item.clone());
        self.places.insert(item, place);
        place
    }
}

fn leak<Item>(items: Vec<Item>) -> &'static [Item] {
    Box::leak(items.into_boxed_slice())
}

fn leak_all<Item>(lists: Vec<Vec<Item>>) -> &'static [&'static [Item]] {
    leak(lists.into_iter().map(leak).collect())
}
