//! A message's columns, as far as the rules look at them.

use crate::{Spec, Table, ABSENT, NONE, UNSEEN};
use alloc::{vec, vec::Vec};
use ratchet_codec::payload::{Column, Message, Strings};
use ratchet_codec::DecodeError;

/// The message's columns, as far as the rules look at them.
pub struct Front {
    keys: Table<true>,
    metrics: Table<true>,
    /// By string: the metric that it names, none, or not looked up yet.
    metric_of: Vec<u32>,
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
    pub fn new(spec: &'static Spec) -> Self {
        Front {
            keys: Table::of(spec.keys),
            metrics: Table::of(spec.metrics),
            metric_of: Vec::new(),
            ids: Vec::new(),
            place: Vec::new(),
            columns: vec![Vec::new(); spec.keys.len()],
            metric: Vec::new(),
            set: Vec::new(),
            time: Vec::new(),
            value: Vec::new(),
            literal: Vec::new(),
        }
    }

    /// Finds the columns of the rules' keys.
    pub fn locate(&mut self, m: &Message<'_>, strings: &Strings<'_>) -> Result<(), DecodeError> {
        m.key_ids(&mut self.ids)?;
        self.place.clear();
        self.place.resize(self.columns.len(), NONE);
        for (index, &id) in self.ids.iter().enumerate() {
            let key = self.keys.find(strings.get(id));
            if key != NONE {
                self.place[key as usize] = index as u32;
            }
        }
        Ok(())
    }

    /// Pulls what the rules look at, keys that lie close together in one read.
    pub fn pull(&self, m: &mut Message<'_>, times: bool) -> Result<(), DecodeError> {
        if times {
            m.pull(Column::MetricIds, Column::Values)?;
        } else {
            m.pull(Column::MetricIds, Column::SetIds)?;
            m.pull(Column::Values, Column::Values)?;
        }
        let (mut key, keys) = (0, self.place.len());
        while key < keys {
            let first = self.place[key];
            key += 1;
            if first == NONE {
                continue;
            }
            let mut last = first;
            while key < keys && (self.place[key] == NONE || self.place[key] <= last + 2) {
                if self.place[key] != NONE {
                    last = self.place[key];
                }
                key += 1;
            }
            m.pull(Column::Key(first), Column::Key(last))?;
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
        self.metric_of.clear();
        self.metric_of.resize(strings.len(), UNSEEN);
        for metric in self.metric.iter_mut() {
            let found = &mut self.metric_of[*metric as usize];
            if *found == UNSEEN {
                *found = self.metrics.find(strings.get(*metric));
            }
            *metric = *found;
        }
    }
}
