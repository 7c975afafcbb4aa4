//! Decodes parts of one window, and folds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ratchet_codec::payload::{validate, Message, Strings};
use ratchet_codec::DecodeError;
use ratchet_trust::Sha256Digest;

use crate::configuration::MeaningfulRule;
use crate::merge::cell::{Cell, Join};
use crate::merge::{ClosedGroup, ClosedWindow};

const MALFORMED: &str = "part-malformed";
const RULE: &str = "part-rule";

/// The groups of one rule so far.
struct Table {
    rule: Arc<MeaningfulRule>,
    groups: BTreeMap<Box<[u8]>, Cell>,
}

#[derive(Default)]
pub struct Fold {
    tables: BTreeMap<Sha256Digest, Table>,
    mirror: Vec<u8>,
    bounds: Vec<u32>,
    columns: Columns,
}

/// The columns of one message.
#[derive(Default)]
struct Columns {
    metrics: Vec<u32>,
    keys: Vec<u32>,
    /// One a key: string id + 1 of the value in each tag-set, 0 = absent.
    tags: Vec<Vec<u32>>,
    sets: Vec<u32>,
    values: Vec<f64>,
    counts: Vec<u32>,
}

impl Columns {
    fn load(&mut self, message: &Message<'_>) -> Result<(), DecodeError> {
        message.metric_ids(&mut self.metrics)?;
        message.key_ids(&mut self.keys)?;
        self.tags.resize_with(self.keys.len(), Vec::new);
        for (key, column) in (0..).zip(&mut self.tags) {
            message.key_column(key, column)?;
        }
        message.set_ids(&mut self.sets)?;
        message.values(&mut self.values)?;
        message.counts(&mut self.counts)
    }

    /// The group of a tag-set, in the form that the first merge has it in.
    fn group_key(&self, set: usize, group_by: &[Box<[u8]>], strings: &Strings<'_>) -> Box<[u8]> {
        let mut out = Vec::new();
        for key in group_by {
            let column = self.keys.iter().position(|id| strings.get(*id) == &**key);
            let value = match column.map_or(0, |column| self.tags[column][set]) {
                0 => &[][..],
                value => strings.get(value - 1),
            };
            out.extend_from_slice(&(value.len() as u16).to_le_bytes());
            out.extend_from_slice(value);
        }
        out.into()
    }
}

impl Fold {
    /// Adds one message: each point is a group of the rule whose meaning is its metric.
    pub fn add(
        &mut self,
        body: &[u8],
        rule_of: &impl Fn(&Sha256Digest) -> Option<Arc<MeaningfulRule>>,
    ) -> Result<(), &'static str> {
        let header = validate(body).map_err(|_| MALFORMED)?;
        let mut source = body;
        let mut mirror = std::mem::take(&mut self.mirror);
        let decoded = Message::new(header, &mut source, &mut mirror).map_err(|_| MALFORMED);
        let mut message = decoded?;
        message.pull_all().map_err(|_| MALFORMED)?;
        self.columns.load(&message).map_err(|_| MALFORMED)?;
        let strings = message.strings(&mut self.bounds).map_err(|_| MALFORMED)?;
        let Self {
            tables, columns, ..
        } = self;
        if columns.counts.len() != columns.sets.len() {
            return Err(MALFORMED);
        }
        for (point, set) in columns.sets.iter().enumerate() {
            let set = *set as usize;
            let meaning = meaning_of(strings.get(columns.metrics[set])).ok_or(MALFORMED)?;
            let table = match tables.entry(meaning) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(unknown) => unknown.insert(Table {
                    rule: rule_of(&meaning).ok_or(RULE)?,
                    groups: BTreeMap::new(),
                }),
            };
            let rule = &table.rule.rule;
            let key = columns.group_key(set, &rule.group_by, &strings);
            let cell = table.groups.entry(key).or_insert(Cell::EMPTY);
            let join = Join::of(rule.aggregate);
            let (value, count) = (columns.values[point], columns.counts[point]);
            cell.fold(|form, value| join.join(form, value), value, count);
        }
        self.mirror = mirror;
        Ok(())
    }

    /// One closed window a rule, ordered by the rule's id; groups by their key.
    pub fn finish(self, start_ms: i64) -> Vec<ClosedWindow> {
        let close = |Table { rule, groups }| {
            let aggregate = rule.rule.aggregate;
            let groups = groups.into_iter().map(|(key, cell)| ClosedGroup {
                key: key.into(),
                value: cell.finish(aggregate),
                partial: cell.partial(aggregate),
                count: cell.count,
            });
            ClosedWindow {
                groups: groups.collect(),
                start_ms,
                rule,
            }
        };
        let mut closed: Vec<_> = self.tables.into_values().map(close).collect();
        closed.sort_by(|a, b| a.rule.rule.id.cmp(&b.rule.rule.id));
        closed
    }
}

fn meaning_of(metric: &[u8]) -> Option<Sha256Digest> {
    std::str::from_utf8(metric).ok()?.parse().ok()
}
