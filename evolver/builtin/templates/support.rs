use crate::spec;
use alloc::{vec, vec::Vec};
use core::ops::Range;
use hashbrown::HashMap;
use ratchet_api::{meaning, Records};
use ratchet_codec::payload::{Message, Strings};
use ratchet_codec::DecodeError;

/// Stands for nothing, and for what was not looked up yet, where a number is expected.
pub const NONE: u32 = u32::MAX;
pub const UNSEEN: u32 = NONE - 1;
/// A tag-set without the key.
pub const ABSENT: u32 = 0;

/// The message's columns, as far as the rules look at them.
#[derive(Default)]
pub struct Front {
    pub ids: Vec<u32>,
    /// Per key of the rules: the message's column, or none.
    pub place: Vec<u32>,
    pub columns: Vec<Vec<u32>>,
    /// Per tag-set: the metric of the rules, or none.
    pub metric: Vec<u32>,
    pub set: Vec<u32>,
    pub time: Vec<i64>,
    pub value: Vec<f64>,
    /// Per string: the literal of the rules that it is, none, or not looked up yet.
    pub literal: Vec<u32>,
}

impl Front {
    pub fn new() -> Self {
        Front { columns: vec![Vec::new(); spec::KEYS.len()], ..Front::default() }
    }

    /// Finds the columns of the rules' keys.
    pub fn locate(&mut self, m: &Message<'_>, strings: &Strings<'_>) -> Result<(), DecodeError> {
        m.key_ids(&mut self.ids)?;
        self.place.clear();
        self.place.resize(spec::KEYS.len(), NONE);
        let mut at = 0;
        for (index, &id) in self.ids.iter().enumerate() {
            let name = strings.get(id);
            while at < spec::KEYS.len() && spec::KEYS[at] < name {
                at += 1;
            }
            if at < spec::KEYS.len() && spec::KEYS[at] == name {
                self.place[at] = index as u32;
                at += 1;
            }
        }
        Ok(())
    }

    pub fn decode(&mut self, m: &Message<'_>, times: bool) -> Result<(), DecodeError> {
        m.metric_ids(&mut self.metric)?;
        m.set_ids(&mut self.set)?;
        m.values(&mut self.value)?;
        self.time.clear();
        if times {
            m.timestamps(&mut self.time)?;
        }
        let sets = self.metric.len();
        for (column, &place) in self.columns.iter_mut().zip(&self.place) {
            if place == NONE {
                column.clear();
                column.resize(sets, ABSENT);
            } else {
                m.key_column(place, column)?;
            }
        }
        if self.set.iter().any(|&set| set as usize >= sets) {
            return Err(DecodeError::Overflow);
        }
        self.literal.clear();
        self.literal.resize(m.header().strings as usize, UNSEEN);
        Ok(())
    }

    /// Turns the metrics of tag-sets from strings into metrics of the rules.
    pub fn resolve_metrics(&mut self, strings: &Strings<'_>) {
        let (mut last, mut found) = (NONE, NONE);
        for metric in self.metric.iter_mut() {
            if *metric != last {
                last = *metric;
                let name = strings.get(last);
                found = spec::METRICS.binary_search(&name).map_or(NONE, |at| at as u32);
            }
            *metric = found;
        }
    }
}


/// Whether every rule sees the message within one of its windows.
pub fn single_window(min: i64, max: i64) -> bool {
    spec::WINDOWS.iter().all(|&window| min / i64::from(window) == max / i64::from(window))
}

/// A number that is ordered as values are, -0.0 below +0.0; a NaN is `none`.
#[inline(always)]
pub fn key_of(value: f64, none: i64) -> i64 {
    let bits = value.to_bits() as i64;
    let key = bits ^ ((bits >> 63) as u64 >> 1) as i64;
    if value.is_nan() { none } else { key }
}

/// The value of such a number.
#[inline(always)]
pub fn value_of(key: i64, none: i64) -> f64 {
    let bits = key ^ ((key >> 63) as u64 >> 1) as i64;
    if key == none { f64::NAN } else { f64::from_bits(bits as u64) }
}

/// The first eight bytes, filled up with zeros.
#[inline]
pub fn head(text: &[u8]) -> u64 {
    match text.first_chunk::<8>() {
        Some(&head) => u64::from_le_bytes(head),
        None => text.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
    }
}

/// Of the length, the first and the last eight bytes.
pub fn hash(text: &[u8]) -> u32 {
    let n = text.len() as u64;
    let (head, tail) = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(&head), Some(&tail)) => (u64::from_le_bytes(head), u64::from_le_bytes(tail)),
        _ => match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            (Some(&head), Some(&tail)) => {
                (u64::from(u32::from_le_bytes(head)), u64::from(u32::from_le_bytes(tail)) << 32)
            }
            _ => (text.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)), 0),
        },
    };
    let mixed = (head ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ tail.rotate_left(23);
    (mixed.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) as u32
}

/// A step of partitioning by one more key, and the rules that group by exactly these keys.
pub struct Node {
    pub depth: usize,
    pub key: usize,
    pub rules: Range<usize>,
    /// Whether a rule here or below adds values.
    pub sums: bool,
    /// Whether a rule here or below asks for a greatest or least value.
    pub extremes: bool,
}

/// One filter of a metric and the tree of group-bys under it, in preorder.
pub struct Tree {
    pub filter: usize,
    pub nodes: Range<usize>,
}

pub struct Member {
    pub rule: u32,
    pub kind: Kind,
    pub window: u32,
}

/// The group-bys of each metric and filter, as trees.
#[derive(Default)]
pub struct Forest {
    /// By metric.
    pub trees: Vec<Vec<Tree>>,
    pub nodes: Vec<Node>,
    pub rules: Vec<Member>,
}

impl Forest {
    /// `ranks` says key by key when a tree splits by it; without ranks, in the order of keys.
    pub fn new(ranks: &[u16]) -> Self {
        let mut forest = Forest::default();
        for metric in 0..spec::METRICS.len() {
            let trees = forest.plant(metric, ranks);
            forest.trees.push(trees);
        }
        forest
    }

    /// The trees of a metric's rules: rules with a common beginning of their keys share its nodes.
    fn plant(&mut self, metric: usize, ranks: &[u16]) -> Vec<Tree> {
        let mut sorted = Vec::new();
        for (index, rule) in spec::RULES.iter().enumerate() {
            if rule.metric as usize == metric {
                let mut path = spec::GROUPS[rule.group as usize].to_vec();
                path.sort_by_key(|&key| ranks.get(key as usize));
                sorted.push((rule.filter as usize, path, index));
            }
        }
        sorted.sort();
        let mut trees: Vec<Tree> = Vec::new();
        let mut open: Vec<(u32, usize)> = Vec::new();
        for (filter, path, index) in sorted {
            if trees.last().is_none_or(|tree| tree.filter != filter) {
                let here = self.nodes.len();
                trees.push(Tree { filter, nodes: here..here });
                open.clear();
                self.grow(&mut open, 0);
            }
            let common = open[1..].iter().zip(&path).take_while(|(o, &key)| o.0 == key).count();
            open.truncate(1 + common);
            for &key in &path[common..] {
                self.grow(&mut open, key);
            }
            let rule = &spec::RULES[index];
            let sums = matches!(rule.kind, Kind::Sum | Kind::Avg);
            for &(_, node) in &open {
                self.nodes[node].sums |= sums;
                self.nodes[node].extremes |= matches!(rule.kind, Kind::Max | Kind::Min);
            }
            let window = rule.window;
            self.rules.push(Member { rule: index as u32, kind: rule.kind, window });
            if let Some(&(_, node)) = open.last() {
                self.nodes[node].rules.end = self.rules.len();
            }
            if let Some(tree) = trees.last_mut() {
                tree.nodes.end = self.nodes.len();
            }
        }
        trees
    }

    fn grow(&mut self, open: &mut Vec<(u32, usize)>, key: u32) {
        let here = self.rules.len();
        let (depth, at) = (open.len(), key as usize);
        open.push((key, self.nodes.len()));
        self.nodes.push(Node { depth, key: at, rules: here..here, sums: false, extremes: false });
    }
}
