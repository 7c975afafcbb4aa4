//! The aggregation, written for the rules of `spec.rs` alone: what evolution edits.
//!
//! Rule 0 takes the greatest CPU usage of each host in 10 s, rule 1 sums the requests of one
//! service in 30 s. Both are decided once a tag-set; points only look the decision up.

#![forbid(unsafe_code)]

use crate::spec;
use alloc::vec::Vec;
use hashbrown::HashMap;
use ratchet_api::{meaning, Aggregate, DecodeError, Message, Records, Refusal};

/// Scratch space, kept from message to message.
pub struct Aggregator {
    bounds: Vec<u32>,
    ids: Vec<u32>,
    hosts: Vec<u32>,
    services: Vec<u32>,
    timestamps: Vec<i64>,
    values: Vec<f64>,
    /// For each tag-set, its rule and group value.
    targets: Vec<Option<(u32, u32)>>,
    cells: Vec<Cell>,
    places: HashMap<(u32, u32, u32), usize>,
}

struct Cell {
    rule: u32,
    set: u32,
    window: u32,
    count: u32,
    value: f64,
}

impl Aggregate for Aggregator {
    fn new(rules: &[u8]) -> Result<Self, Refusal> {
        if rules != &spec::RULES_BLOB[..] {
            return Err(Refusal("not the rules that this module was made for"));
        }
        Ok(Aggregator {
            bounds: Vec::new(),
            ids: Vec::new(),
            hosts: Vec::new(),
            services: Vec::new(),
            timestamps: Vec::new(),
            values: Vec::new(),
            targets: Vec::new(),
            cells: Vec::new(),
            places: HashMap::new(),
        })
    }

    fn process(&mut self, message: &mut Message<'_>, out: &mut Records) -> Result<(), DecodeError> {
        message.pull_all()?;
        self.find_targets(message)?;
        self.accumulate(message)?;
        for cell in &self.cells {
            out.push(cell.rule, cell.set, cell.window, cell.count, cell.value);
        }
        Ok(())
    }
}

impl Aggregator {
    /// Decides for each tag-set which rule takes it, and into which group.
    fn find_targets(&mut self, message: &Message<'_>) -> Result<(), DecodeError> {
        let strings = message.strings(&mut self.bounds)?;
        self.hosts.clear();
        self.services.clear();
        message.key_ids(&mut self.ids)?;
        for (key, &id) in self.ids.iter().enumerate() {
            match strings.get(id) {
                spec::HOST => message.key_column(key as u32, &mut self.hosts)?,
                spec::SERVICE => message.key_column(key as u32, &mut self.services)?,
                _ => (),
            }
        }
        message.metric_ids(&mut self.ids)?;
        self.targets.clear();
        for (set, &id) in self.ids.iter().enumerate() {
            let metric = strings.get(id);
            let service = self.services.get(set).map_or(0, |&string| string);
            let target = if metric == spec::RULES[0].metric {
                Some((0, self.hosts.get(set).map_or(0, |&string| string)))
            } else if metric == spec::RULES[1].metric
                && service != 0
                && strings.get(service - 1) == spec::CHECKOUT
            {
                Some((1, 0))
            } else {
                None
            };
            self.targets.push(target);
        }
        Ok(())
    }

    /// Adds every point to its cell, in the order of the message.
    fn accumulate(&mut self, message: &Message<'_>) -> Result<(), DecodeError> {
        message.set_ids(&mut self.ids)?;
        message.timestamps(&mut self.timestamps)?;
        message.values(&mut self.values)?;
        self.cells.clear();
        self.places.clear();
        let points = self.ids.iter().zip(&self.timestamps).zip(&self.values);
        for ((&set, &ts), &value) in points {
            let Some((rule, group)) = self.targets[set as usize] else {
                continue;
            };
            let size = i64::from(spec::RULES[rule as usize].window_ms);
            let window = (ts / size - message.header().min_ts / size) as u32;
            let next = self.cells.len();
            let place = *self.places.entry((rule, group, window)).or_insert(next);
            if place == next {
                self.cells.push(Cell {
                    rule,
                    set,
                    window,
                    count: 1,
                    value,
                });
                continue;
            }
            let cell = &mut self.cells[place];
            cell.count += 1;
            cell.value = match rule {
                0 => meaning::max(cell.value, value),
                _ => cell.value + value,
            };
        }
        Ok(())
    }
}
