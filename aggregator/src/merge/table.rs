//! One rule and its groups.

use std::sync::Arc;

use ratchet_ingest::fingerprint::{entry_bytes, FingerprintMap};

use super::cell::Cell;
use super::memo::UNKNOWN;
use super::window::Window;
use crate::configuration::MeaningfulRule;

/// What a group costs beside its text: a key has its two counts before that, and lies in a list;
/// its number lies in a table.
pub const GROUP_BYTES: usize = 2 * size_of::<usize>() + size_of::<Group>() + entry_bytes::<u32>();

/// The final value of one group of a closed window.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedGroup {
    pub key: Arc<[u8]>,
    pub value: f64,
    /// What another merge folds on: the sum where the value is an average.
    pub partial: f64,
    pub count: u32,
}

struct Group {
    key: Arc<[u8]>,
    /// Among all groups of windows as long.
    number: u32,
}

pub struct RuleTable {
    pub rule: Arc<MeaningfulRule>,
    pub metric: u32,
    /// The length of its windows.
    pub length: u32,
    /// Its column in the rows of its metric in the memo.
    pub column: u32,
    /// Its single slot there, if it groups by nothing.
    pub solo: u32,
    numbers: FingerprintMap<u32>,
    /// The first `sorted` of them ascend by key.
    groups: Vec<Group>,
    sorted: usize,
    /// Bytes of the keys.
    text_bytes: usize,
}

impl RuleTable {
    pub fn new(rule: Arc<MeaningfulRule>, metric: u32, length: u32) -> Self {
        Self {
            rule,
            metric,
            length,
            column: 0,
            solo: 0,
            numbers: FingerprintMap::default(),
            groups: Vec::new(),
            sorted: 0,
            text_bytes: 0,
        }
    }

    /// Without keys to group by, all series are one group.
    pub fn is_grouped(&self) -> bool {
        !self.rule.rule.group_by.is_empty()
    }

    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Memory of its groups, about.
    pub fn bytes(&self) -> usize {
        self.groups.len() * GROUP_BYTES + self.text_bytes
    }

    /// The number of the group whose key has this fingerprint.
    pub fn group(&self, fingerprint: u128) -> Option<u32> {
        self.numbers.get(&fingerprint).copied()
    }

    pub fn add_group(&mut self, fingerprint: u128, key: &[u8], number: u32) {
        self.text_bytes += key.len();
        let key = key.into();
        self.groups.push(Group { key, number });
        self.numbers.insert(fingerprint, number);
    }

    /// What a window of its length holds of this rule, ascending by group key.
    pub fn contents(&mut self, window: &Window) -> Vec<ClosedGroup> {
        if self.sorted < self.groups.len() {
            // Merges what is sorted already with the rest.
            self.groups.sort_by(|a, b| a.key.cmp(&b.key));
            self.sorted = self.groups.len();
        }
        let aggregate = self.rule.rule.aggregate;
        let closed = |group: &Group| {
            let cell = window.cells.get(group.number as usize);
            let cell: &Cell = cell.filter(|cell| cell.count > 0)?;
            Some(ClosedGroup {
                key: group.key.clone(),
                value: cell.finish(aggregate),
                partial: cell.partial(aggregate),
                count: cell.count,
            })
        };
        self.groups.iter().filter_map(closed).collect()
    }

    /// Whether a window has a value of it.
    pub fn is_in(&self, window: &Window) -> bool {
        let value = |group: &Group| window.cells.get(group.number as usize);
        let mut values = self.groups.iter().filter_map(value);
        window.length == self.length && values.any(|cell| cell.count > 0)
    }

    /// Gives groups the numbers `moved`, and drops those that have none.
    pub fn renumber(&mut self, moved: &[u32]) {
        let before = self.groups.len();
        self.groups.retain_mut(|Group { key, number }| {
            *number = moved[*number as usize];
            if *number == UNKNOWN {
                self.text_bytes -= key.len();
            }
            *number != UNKNOWN
        });
        if self.groups.len() < before {
            self.sorted = 0;
        }
        self.numbers.retain(|_, number| {
            *number = moved[*number as usize];
            *number != UNKNOWN
        });
    }
}
