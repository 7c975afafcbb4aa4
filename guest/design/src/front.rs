//! A message's columns, as far as the rules look at them.

use crate::{Spec, ABSENT, NONE, UNSEEN};
use alloc::{vec, vec::Vec};
use ratchet_codec::payload::{Message, Strings};
use ratchet_codec::DecodeError;

/// The message's columns, as far as the rules look at them.
pub struct Front {
    spec: &'static Spec,
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
            spec,
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
        let keys = self.spec.keys;
        m.key_ids(&mut self.ids)?;
        self.place.clear();
        self.place.resize(keys.len(), NONE);
        let mut at = 0;
        for (index, &id) in self.ids.iter().enumerate() {
            let name = strings.get(id);
            while at < keys.len() && keys[at] < name {
                at += 1;
            }
            if at < keys.len() && keys[at] == name {
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
                found = self
                    .spec
                    .metrics
                    .binary_search(&name)
                    .map_or(NONE, |at| at as u32);
            }
            *metric = found;
        }
    }
}
