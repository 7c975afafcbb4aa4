//! Group-bys as trees: rules with a common beginning of their keys share the way there.

use crate::{Kind, Spec};
use alloc::vec::Vec;
use core::ops::Range;

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
    pub fn new(spec: &Spec, ranks: &[u16]) -> Self {
        let mut forest = Forest::default();
        for rules in spec.metric_rules {
            let trees = forest.plant(spec, rules, ranks);
            forest.trees.push(trees);
        }
        forest
    }

    /// The trees of a metric's rules: rules with a common beginning of their keys share its nodes.
    fn plant(&mut self, spec: &Spec, rules: &[u32], ranks: &[u16]) -> Vec<Tree> {
        let mut sorted = Vec::new();
        for &index in rules {
            let rule = &spec.rules[index as usize];
            let mut path = spec.groups[rule.group as usize].to_vec();
            path.sort_by_key(|&key| ranks.get(key as usize));
            sorted.push((rule.filter as usize, path, index));
        }
        sorted.sort();
        let mut trees: Vec<Tree> = Vec::new();
        let mut open: Vec<(u32, usize)> = Vec::new();
        for (filter, path, index) in sorted {
            if trees.last().is_none_or(|tree| tree.filter != filter) {
                let here = self.nodes.len();
                trees.push(Tree {
                    filter,
                    nodes: here..here,
                });
                open.clear();
                self.grow(&mut open, 0);
            }
            let common = open[1..]
                .iter()
                .zip(&path)
                .take_while(|(o, &key)| o.0 == key)
                .count();
            open.truncate(1 + common);
            for &key in &path[common..] {
                self.grow(&mut open, key);
            }
            let rule = &spec.rules[index as usize];
            let sums = matches!(rule.kind, Kind::Sum | Kind::Avg);
            for &(_, node) in &open {
                self.nodes[node].sums |= sums;
                self.nodes[node].extremes |= matches!(rule.kind, Kind::Max | Kind::Min);
            }
            let window = rule.window;
            self.rules.push(Member {
                rule: index,
                kind: rule.kind,
                window,
            });
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
        self.nodes.push(Node {
            depth,
            key: at,
            rules: here..here,
            sums: false,
            extremes: false,
        });
    }
}
