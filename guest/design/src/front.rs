//! A message's columns, as far as the rules look at them.

use crate::{Spec, Table, ABSENT, NONE, UNSEEN};
use alloc::{vec, vec::Vec};
use ratchet_codec::payload::{Column, Message, Strings};
use ratchet_codec::DecodeError;

/// The message's columns, as far as the rules look at them.
pub struct Front {
    spec: &'static Spec,
    keys: Table<true>,
    metrics: Table<true>,
    /// By string: the metric that it names, none, or not looked up yet.
    metric_of: Vec<u32>,
    pub ids: Vec<u32>,
    /// Per key of the rules: the message's column, or none.
    pub place: Vec<u32>,
    pub columns: Vec<Vec<u32>>,
    /// Per key of the rules: whether its column is decoded.
    wanted: Vec<bool>,
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
            spec,
            keys: Table::of(spec.keys),
            metrics: Table::of(spec.metrics),
            metric_of: Vec::new(),
            ids: Vec::new(),
            place: Vec::new(),
            columns: vec![Vec::new(); spec.keys.len()],
            wanted: vec![true; spec.keys.len()],
            metric: Vec::new(),
            set: Vec::new(),
            time: Vec::new(),
            value: Vec::new(),
            literal: Vec::new(),
        }
    }

    /// Finds the columns of the rules' keys.
    #[inline]
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
    #[inline]
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

    /// Everything that the rules look at.
    #[inline]
    pub fn decode(&mut self, m: &Message<'_>, times: bool) -> Result<(), DecodeError> {
        self.decode_points(m, times)?;
        self.wanted.fill(true);
        self.decode_columns(m)
    }

    /// Metrics first, and of the keys only those that rules of these metrics look at: the others
    /// count as absent.
    #[inline]
    pub fn decode_met(
        &mut self,
        m: &Message<'_>,
        strings: &Strings<'_>,
        times: bool,
    ) -> Result<(), DecodeError> {
        self.decode_points(m, times)?;
        self.resolve_metrics(strings);
        self.wanted.fill(false);
        let mut last = NONE;
        for &metric in &self.metric {
            if metric != NONE && metric != last {
                for used in self.spec.metric_keys[metric as usize] {
                    self.wanted[used.key as usize] = true;
                }
            }
            last = metric;
        }
        self.decode_columns(m)
    }

    #[inline]
    fn decode_points(&mut self, m: &Message<'_>, times: bool) -> Result<(), DecodeError> {
        m.metric_ids(&mut self.metric)?;
        m.set_ids(&mut self.set)?;
        m.values(&mut self.value)?;
        self.time.clear();
        if times {
            m.timestamps(&mut self.time)?;
        }
        let sets = self.metric.len();
        if self.set.iter().any(|&set| set as usize >= sets) {
            return Err(DecodeError::Overflow);
        }
        self.literal.clear();
        self.literal.resize(m.header().strings as usize, UNSEEN);
        Ok(())
    }

    #[inline]
    fn decode_columns(&mut self, m: &Message<'_>) -> Result<(), DecodeError> {
        let sets = self.metric.len();
        let keys = self.place.iter().zip(&self.wanted);
        for (column, (&place, &wanted)) in self.columns.iter_mut().zip(keys) {
            if place == NONE || !wanted {
                column.clear();
                column.resize(sets, ABSENT);
            } else {
                m.key_column(place, column)?;
            }
        }
        Ok(())
    }

    /// Turns the metrics of tag-sets from strings into metrics of the rules.
    #[inline]
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
