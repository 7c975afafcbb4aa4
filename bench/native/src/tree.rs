//! Group-bys of rules with the same metric and filter, as a tree: rules with a common beginning of
//! their keys share the steps of partitioning.

use ratchet_rules::Aggregate;
use std::ops::Range;

/// A step of partitioning by one more key, and the rules that group by exactly these keys.
pub(crate) struct Node {
    pub depth: usize,
    pub key: usize,
    pub rules: Range<usize>,
    /// Whether a rule here or below adds values, and whether one looks for extremes.
    pub sums: bool,
    pub extremes: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Member {
    pub rule: u32,
    pub aggregate: Aggregate,
}

/// A rule as it is planted.
pub(crate) struct Planted {
    pub member: Member,
    /// Keys in the order of partitioning.
    pub path: Vec<usize>,
}

/// Trees in preorder, one after the other.
#[derive(Default)]
pub(crate) struct Forest {
    pub nodes: Vec<Node>,
    pub members: Vec<Member>,
}

impl Forest {
    /// Adds one tree; answers its nodes. Its root partitions by nothing.
    pub fn plant(&mut self, mut rules: Vec<Planted>) -> Range<usize> {
        rules.sort_by(|a, b| a.path.cmp(&b.path).then(a.member.rule.cmp(&b.member.rule)));
        let start = self.nodes.len();
        let mut open: Vec<(usize, usize)> = Vec::new();
        self.grow(&mut open, 0);
        for Planted { member, path } in rules {
            let known = open[1..].iter().zip(&path);
            let common = known
                .take_while(|((key, _), wanted)| key == *wanted)
                .count();
            open.truncate(1 + common);
            for &key in &path[common..] {
                self.grow(&mut open, key);
            }
            for &(_, node) in &open {
                let node = &mut self.nodes[node];
                match member.aggregate {
                    Aggregate::Sum | Aggregate::Avg => node.sums = true,
                    Aggregate::Max | Aggregate::Min => node.extremes = true,
                    Aggregate::Count => (),
                }
            }
            self.members.push(member);
            if let Some(&(_, node)) = open.last() {
                self.nodes[node].rules.end = self.members.len();
            }
        }
        start..self.nodes.len()
    }

    fn grow(&mut self, open: &mut Vec<(usize, usize)>, key: usize) {
        let here = self.members.len();
        open.push((key, self.nodes.len()));
        self.nodes.push(Node {
            depth: open.len() - 1,
            key,
            rules: here..here,
            sums: false,
            extremes: false,
        });
    }
}
