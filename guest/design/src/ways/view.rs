//! A message as the rules look at it. What no rule takes is never decoded, and what a message
//! leaves behind is cleared where it was touched: the cost is the message's, not the rules'.

use crate::{Recognise, Spec, Table, NONE, UNSEEN};
use alloc::{vec, vec::Vec};
use ratchet_codec::payload::{Message, Strings};
use ratchet_codec::DecodeError;

/// Of a metric's keys.
const FEW: usize = 2;

pub struct View {
    keys: Table<true>,
    metrics: Table<true>,
    literals: Table<true>,
    ids: Vec<u32>,
    /// Per key of the rules: the message's column, or none.
    place: Vec<u32>,
    /// The keys that have one.
    placed: Vec<u32>,
    /// Per column of the message: whether it is decoded, and then what it says.
    decoded: Vec<bool>,
    columns: Vec<Vec<u32>>,
    /// By string: the metric that it names, none, or not looked up yet.
    metric_of: Vec<u32>,
    /// By metric its tag-sets, and the metrics that have some.
    members: Vec<Vec<u32>>,
    present: Vec<u32>,
    sets: usize,
    /// By string id + 1: the literal of the rules that it is, plus 1, or 0. Empty while nobody
    /// asked.
    literal: Vec<u32>,
    /// Whether rules test so few keys that most strings need not be looked up.
    few: bool,
    has_points: bool,
    pub(crate) set: Vec<u32>,
    pub(crate) time: Vec<i64>,
    pub(crate) value: Vec<f64>,
}

impl View {
    pub fn new(spec: &'static Spec) -> Self {
        View {
            keys: Table::of(spec.keys),
            metrics: Table::of(spec.metrics),
            literals: Table::of(spec.values),
            ids: Vec::new(),
            place: vec![NONE; spec.keys.len()],
            placed: Vec::new(),
            decoded: Vec::new(),
            columns: Vec::new(),
            metric_of: Vec::new(),
            members: vec![Vec::new(); spec.metrics.len()],
            present: Vec::new(),
            sets: 0,
            literal: Vec::new(),
            few: spec.metric_keys.iter().all(|keys| {
                let tested = keys.iter().filter(|each| !each.tests.is_empty());
                tested.count() <= FEW
            }),
            has_points: false,
            set: Vec::new(),
            time: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Takes in a message, of which everything was pulled: its metrics and keys, no more.
    #[inline]
    pub fn open(&mut self, m: &Message<'_>, strings: &Strings<'_>) -> Result<(), DecodeError> {
        self.has_points = false;
        self.find_members(m, strings)?;
        self.literal.clear();
        if self.present.is_empty() {
            return Ok(());
        }
        self.locate(m, strings)
    }

    #[inline]
    fn find_members(&mut self, m: &Message<'_>, strings: &Strings<'_>) -> Result<(), DecodeError> {
        for metric in self.present.drain(..) {
            self.members[metric as usize].clear();
        }
        m.metric_ids(&mut self.ids)?;
        self.sets = self.ids.len();
        self.metric_of.clear();
        self.metric_of.resize(strings.len(), UNSEEN);
        for (set, &id) in self.ids.iter().enumerate() {
            let found = &mut self.metric_of[id as usize];
            if *found == UNSEEN {
                *found = self.metrics.find(strings.get(id));
            }
            if *found != NONE {
                let members = &mut self.members[*found as usize];
                if members.is_empty() {
                    self.present.push(*found);
                }
                members.push(set as u32);
            }
        }
        Ok(())
    }

    /// Finds the columns of the rules' keys.
    #[inline]
    fn locate(&mut self, m: &Message<'_>, strings: &Strings<'_>) -> Result<(), DecodeError> {
        for key in self.placed.drain(..) {
            self.place[key as usize] = NONE;
        }
        m.key_ids(&mut self.ids)?;
        for (column, &id) in self.ids.iter().enumerate() {
            let key = self.keys.find(strings.get(id));
            if key != NONE {
                self.place[key as usize] = column as u32;
                self.placed.push(key);
            }
        }
        self.decoded.clear();
        self.decoded.resize(self.ids.len(), false);
        if self.columns.len() < self.ids.len() {
            self.columns.resize_with(self.ids.len(), Vec::new);
        }
        Ok(())
    }

    /// The metrics of the rules that the message has.
    #[inline]
    pub(crate) fn metrics(&self) -> usize {
        self.present.len()
    }

    #[inline]
    pub(crate) fn metric(&self, at: usize) -> usize {
        self.present[at] as usize
    }

    #[inline]
    pub(crate) fn members(&self, metric: usize) -> &[u32] {
        &self.members[metric]
    }

    /// Takes a metric's tag-sets out, to be given back by `return_members`.
    #[inline]
    pub(crate) fn take_members(&mut self, metric: usize) -> Vec<u32> {
        core::mem::take(&mut self.members[metric])
    }

    #[inline]
    pub(crate) fn return_members(&mut self, metric: usize, members: Vec<u32>) {
        self.members[metric] = members;
    }

    /// How many tag-sets the message has.
    #[inline]
    pub(crate) fn sets(&self) -> usize {
        self.sets
    }

    /// The numbers of tag-sets, of each metric that the rules and the message have.
    #[inline]
    pub fn widths(&self) -> impl Iterator<Item = usize> + '_ {
        let of = |&metric: &u32| self.members[metric as usize].len();
        self.present.iter().map(of)
    }

    /// Where the string id + 1 of a key's value in each tag-set is; none when no tag-set has it.
    #[inline]
    pub(crate) fn column(
        &mut self,
        m: &Message<'_>,
        key: u32,
    ) -> Result<Option<usize>, DecodeError> {
        let place = self.place[key as usize];
        if place == NONE {
            return Ok(None);
        }
        let column = place as usize;
        if !self.decoded[column] {
            m.key_column(place, &mut self.columns[column])?;
            self.decoded[column] = true;
        }
        Ok(Some(column))
    }

    /// Looks up the literals of a message's strings, once a message.
    #[inline]
    pub(crate) fn recognise(&mut self, strings: &Strings<'_>) {
        if !self.literal.is_empty() {
            return;
        }
        self.literal.push(0);
        if self.few {
            self.literal.resize(strings.len() + 1, UNSEEN);
        } else {
            self.literals.recognise(strings, &mut self.literal);
        }
    }

    /// Where few keys are tested: the literals of one column's values, before they are read.
    #[inline]
    pub(crate) fn recognise_in(&mut self, strings: &Strings<'_>, column: usize, members: &[u32]) {
        if !self.few {
            return;
        }
        let values = &self.columns[column];
        for &set in members {
            let value = values[set as usize];
            let known = &mut self.literal[value as usize];
            if *known == UNSEEN {
                // `NONE` becomes 0.
                *known = self.literals.find(strings.get(value - 1)).wrapping_add(1);
            }
        }
    }

    /// A column that was asked for, and the literals that were.
    #[inline]
    pub(crate) fn values(&self, column: usize) -> (&[u32], &[u32]) {
        (&self.columns[column], &self.literal)
    }

    #[inline]
    pub(crate) fn values_of(&self, column: usize) -> &[u32] {
        &self.columns[column]
    }

    /// Decodes the points, once a message.
    #[inline]
    pub(crate) fn decode_points(
        &mut self,
        m: &Message<'_>,
        times: bool,
    ) -> Result<(), DecodeError> {
        if self.has_points {
            return Ok(());
        }
        m.set_ids(&mut self.set)?;
        m.values(&mut self.value)?;
        if times {
            m.timestamps(&mut self.time)?;
        }
        if self.set.iter().any(|&set| set as usize >= self.sets) {
            return Err(DecodeError::Overflow);
        }
        self.has_points = true;
        Ok(())
    }
}
