//! Which of a metric's tag-sets pass each test of the rules, and which agree in each key.

use super::{Bits, Plan, View};
use crate::{head, KeyUse, ABSENT, NONE};
use alloc::{vec, vec::Vec};
use ratchet_codec::payload::{Message, Strings};
use ratchet_codec::DecodeError;

/// For as many tag-sets as a mask holds.
pub(crate) struct Resolver<Mask, const WIDTH: usize> {
    by_value: Vec<Mask>,
    /// Per key that groups are made by: for each member those that agree with it. The first row
    /// stands for all keys that the message does not have.
    equal: Vec<[Mask; WIDTH]>,
    rows: usize,
    /// By key of the rules.
    row_of: Vec<u32>,
    /// Tests, and what is made of them: as in the circuit.
    pub wires: Vec<Mask>,
    /// Whether rows are asked for.
    groups: bool,
}

impl<Mask: Bits, const WIDTH: usize> Resolver<Mask, WIDTH> {
    pub(crate) fn new(plan: &Plan, groups: bool) -> Self {
        Resolver {
            by_value: Vec::new(),
            equal: vec![[Mask::default(); WIDTH]],
            rows: 1,
            row_of: vec![0; plan.spec.keys.len()],
            wires: vec![Mask::default(); plan.circuit.wires],
            groups,
        }
    }

    /// Puts the filters of a metric on their wires, for these of its tag-sets.
    pub(crate) fn resolve(
        &mut self,
        plan: &Plan,
        view: &mut View,
        (m, strings): (&Message<'_>, &Strings<'_>),
        metric: usize,
        members: &[u32],
    ) -> Result<(), DecodeError> {
        view.recognise(strings);
        let places = plan.passes.places(metric);
        let all = Mask::first(members.len());
        self.equal[0][..members.len()].fill(all);
        self.rows = 1;
        let first = plan.passes.first[metric];
        for (number, used) in (first..).zip(plan.spec.metric_keys[metric]) {
            for &test in used.tests {
                self.wires[test as usize] = Mask::default();
            }
            let grouped = self.groups && plan.grouped[number as usize];
            let Some(column) = view.column(m, used.key)? else {
                self.row_of[used.key as usize] = 0;
                continue;
            };
            if !grouped || !used.tests.is_empty() {
                view.recognise_in(strings, column, members);
            }
            let (values, literals) = view.values(column);
            if grouped || !used.loose.is_empty() {
                let row = self.agree(values, members, strings.len());
                self.row_of[used.key as usize] = row as u32;
                if !used.tests.is_empty() {
                    let each = (values, literals, places);
                    self.test_groups(plan, (number, used), row, each, strings, members);
                }
            } else {
                let each = (values, literals, places);
                self.test_each(plan, (number, used), each, members);
            }
        }
        plan.circuit.evaluate(metric, all, &mut self.wires);
        Ok(())
    }

    /// The row of a key.
    #[inline(always)]
    pub(crate) fn equal(&self, key: usize) -> &[Mask; WIDTH] {
        &self.equal[self.row_of[key] as usize]
    }

    /// Fills a row: which members have the same value.
    #[inline(always)]
    fn agree(&mut self, values: &[u32], members: &[u32], strings: usize) -> usize {
        if self.rows == self.equal.len() {
            self.equal.push([Mask::default(); WIDTH]);
        }
        if self.by_value.len() <= strings {
            self.by_value.resize(strings + 1, Mask::default());
        }
        let by_value = &mut self.by_value[..];
        for &set in members {
            by_value[values[set as usize] as usize] = Mask::default();
        }
        let mut bit = Mask::bit(0);
        for &set in members {
            by_value[values[set as usize] as usize] |= bit;
            bit = bit.up();
        }
        let row = self.rows;
        for (equal, &set) in self.equal[row].iter_mut().zip(members) {
            *equal = by_value[values[set as usize] as usize];
        }
        self.rows += 1;
        row
    }

    /// Puts each value to the key's tests once, for all that have it.
    #[inline(always)]
    fn test_groups(
        &mut self,
        plan: &Plan,
        (number, used): (u32, &KeyUse),
        row: usize,
        (values, literals, places): (&[u32], &[u32], &[u32]),
        strings: &Strings<'_>,
        members: &[u32],
    ) {
        let (equal, wires) = (&self.equal[row], &mut self.wires[..]);
        let mut present = Mask::default();
        for (at, &set) in members.iter().enumerate() {
            let (value, mask) = (values[set as usize], equal[at % WIDTH]);
            if value == ABSENT || mask.lowest() != at {
                continue;
            }
            present |= mask;
            let literal = literals[value as usize];
            plan.passes
                .each(places, (number, used.key), literal, |test| {
                    wires[test as usize] |= mask;
                });
            if used.loose.is_empty() || (literal != 0 && plan.passes.whole) {
                continue;
            }
            let text = strings.get(value - 1);
            let head = head(text);
            for loose in used.loose {
                if loose.is_met(head, text) {
                    wires[loose.test as usize] |= mask;
                }
            }
        }
        if used.present != NONE {
            wires[used.present as usize] = present;
        }
    }

    /// Where no prefix is asked for and no group: tag-set by tag-set.
    #[inline(always)]
    fn test_each(
        &mut self,
        plan: &Plan,
        (number, used): (u32, &KeyUse),
        (values, literals, places): (&[u32], &[u32], &[u32]),
        members: &[u32],
    ) {
        let wires = &mut self.wires[..];
        let mut present = Mask::default();
        let mut bit = Mask::bit(0);
        for &set in members {
            let value = values[set as usize];
            if value != ABSENT {
                present |= bit;
            }
            let literal = literals[value as usize];
            plan.passes
                .each(places, (number, used.key), literal, |test| {
                    wires[test as usize] |= bit;
                });
            bit = bit.up();
        }
        if used.present != NONE {
            wires[used.present as usize] = present;
        }
    }
}
