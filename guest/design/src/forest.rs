//! Group-bys as trees: rules with a common beginning of their keys share the way there.

use crate::{Circuit, Kind, Spec};
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
    /// Of the circuit: says which tag-sets the filter takes.
    pub wire: u32,
    pub nodes: Range<usize>,
    /// Whether only the last node has rules, so that no step on the way there is of use.
    pub path: bool,
}

pub struct Member {
    pub rule: u32,
    pub kind: Kind,
}

/// The group-bys of each metric, window size and filter, as trees.
#[derive(Default)]
pub struct Forest {
    /// By metric and window size: that of metric `m` and size `w` of `n` is number `m * n + w`.
    pub trees: Vec<Vec<Tree>>,
    pub nodes: Vec<Node>,
    pub rules: Vec<Member>,
}

impl Forest {
    /// `ranks` says key by key when a tree splits by it; without ranks, in the order of keys.
    pub fn new(spec: &Spec, circuit: &Circuit, ranks: &[u16]) -> Self {
        let mut forest = Forest::default();
        for rules in spec.metric_rules {
            for window in 0..spec.windows.len() as u32 {
                let trees = forest.plant(spec, circuit, (rules, window), ranks);
                forest.trees.push(trees);
            }
        }
        forest
    }

    /// The trees of a metric's rules: rules with a common beginning of their keys share its nodes.
    fn plant(
        &mut self,
        spec: &Spec,
        circuit: &Circuit,
        (rules, window): (&[u32], u32),
        ranks: &[u16],
    ) -> Vec<Tree> {
        let mut sorted = Vec::new();
        for &index in rules {
            let rule = &spec.rules[index as usize];
            if rule.window != window {
                continue;
            }
            let mut path = spec.groups[rule.group as usize].to_vec();
            path.sort_by_key(|&key| ranks.get(key as usize));
            sorted.push((circuit.wire_of[index as usize], path, index));
        }
        sorted.sort();
        let mut trees: Vec<Tree> = Vec::new();
        let mut open: Vec<(u32, usize)> = Vec::new();
        for (wire, path, index) in sorted {
            if trees.last().is_none_or(|tree| tree.wire != wire) {
                let here = self.nodes.len();
                trees.push(Tree {
                    wire,
                    nodes: here..here,
                    path: false,
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
            self.rules.push(Member {
                rule: index,
                kind: rule.kind,
            });
            if let Some(&(_, node)) = open.last() {
                self.nodes[node].rules.end = self.rules.len();
            }
            if let Some(tree) = trees.last_mut() {
                tree.nodes.end = self.nodes.len();
            }
        }
        for tree in &mut trees {
            tree.path = self.is_path(&self.nodes[tree.nodes.clone()]);
        }
        trees
    }

    fn is_path(&self, nodes: &[Node]) -> bool {
        let line = nodes.iter().enumerate().all(|(at, node)| node.depth == at);
        line && nodes.iter().rev().skip(1).all(|node| node.rules.is_empty())
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
