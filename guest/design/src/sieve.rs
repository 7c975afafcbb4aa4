//! Which tag-sets of a metric each filter takes, and which of them agree in a key: as bits.

use crate::{head, Bits, Circuit, Front, KeyUse, Passes, Recognise, Spec, ABSENT, NONE};
use alloc::{vec, vec::Vec};
use ratchet_codec::payload::Strings;

/// From so many members on, those that agree are found in turns of so many.
const MANY: usize = 16;
const TURN: usize = 4;

/// Filters and keys of one metric at a time, over at most `WIDTH` of its tag-sets.
pub struct Sieve<Mask, const WIDTH: usize> {
    spec: &'static Spec,
    circuit: Circuit,
    passes: Passes,
    /// By metric and key use: whether a rule of the metric groups by the key.
    grouped: Vec<bool>,
    /// By string id + 1; all empty between two keys.
    by_value: Vec<Mask>,
    /// Key by key and place by place: who agrees with it.
    equal: Vec<Mask>,
    /// Key by key: whether that is known of the metric at hand.
    known: Vec<bool>,
    wires: Vec<Mask>,
    /// By string id + 1: the literal that it is, plus 1, or 0.
    literal: Vec<u32>,
}

impl<Mask: Bits, const WIDTH: usize> Sieve<Mask, WIDTH> {
    pub fn new(spec: &'static Spec) -> Self {
        let circuit = Circuit::new(spec);
        Sieve {
            spec,
            passes: Passes::new(spec),
            grouped: grouped(spec),
            by_value: Vec::new(),
            equal: vec![Mask::default(); spec.keys.len() * WIDTH],
            known: vec![false; spec.keys.len()],
            wires: vec![Mask::default(); circuit.wires],
            literal: Vec::new(),
            circuit,
        }
    }

    /// What every rule's filter is, as wires say it.
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// Which members a filter takes, by its wire.
    #[inline(always)]
    pub fn taken(&self, wire: u32) -> Mask {
        self.wires[wire as usize]
    }

    /// Looks up the literals that a message's strings are. Every message begins with it.
    #[inline]
    pub fn read(&mut self, strings: &Strings<'_>, literals: &impl Recognise) {
        self.by_value.resize(strings.len() + 1, Mask::default());
        self.literal.clear();
        self.literal.push(0);
        literals.recognise(strings, &mut self.literal);
    }

    /// Puts the filters of a metric on their wires. `members` are tag-sets of the metric, at least
    /// one and at most as many as a mask has bits.
    #[inline]
    pub fn sift(&mut self, front: &Front, strings: &Strings<'_>, metric: usize, members: &[u32]) {
        self.known.fill(false);
        let first = self.passes.first[metric];
        for (number, used) in (first..).zip(self.spec.metric_keys[metric]) {
            if used.tests.is_empty() {
                continue;
            }
            for &test in used.tests {
                self.wires[test as usize] = Mask::default();
            }
            let few = used.loose.is_empty() && used.present == NONE;
            if few && !self.grouped[number as usize] {
                self.by_set(front, (metric, number, used), members);
            } else {
                self.by_value(front, strings, (metric, number, used), members);
            }
        }
        let all = Mask::first(members.len());
        self.circuit.evaluate(metric, all, &mut self.wires);
    }

    /// Tests by literals alone: most tag-sets pass none.
    #[inline(always)]
    fn by_set(
        &mut self,
        front: &Front,
        (metric, number, used): (usize, u32, &KeyUse),
        members: &[u32],
    ) {
        let column = &front.columns[used.key as usize][..];
        let (wires, passes) = (&mut self.wires[..], &self.passes);
        let places = passes.places(metric);
        let mut bit = Mask::bit(0);
        for &set in members {
            let literal = self.literal[column[set as usize] as usize];
            passes.each(places, (number, used.key), literal, |test| {
                wires[test as usize] |= bit;
            });
            bit = bit.up();
        }
    }

    /// Any tests, once for all tag-sets that agree.
    #[inline(always)]
    fn by_value(
        &mut self,
        front: &Front,
        strings: &Strings<'_>,
        (metric, number, used): (usize, u32, &KeyUse),
        members: &[u32],
    ) {
        let key = used.key as usize;
        let column = &front.columns[key][..];
        let equal = &mut self.equal[key * WIDTH..][..WIDTH];
        self.known[key] = true;
        let mut present = Mask::default();
        let (wires, passes) = (&mut self.wires[..], &self.passes);
        let places = passes.places(metric);
        let literals = &self.literal[..];
        each_value(&mut self.by_value, column, members, equal, |value, mask| {
            let literal = literals[value as usize];
            passes.each(places, (number, used.key), literal, |test| {
                wires[test as usize] |= mask;
            });
            if value == ABSENT {
                return;
            }
            present |= mask;
            if used.loose.is_empty() || (literal != 0 && passes.whole) {
                return;
            }
            let text = strings.get(value - 1);
            let head = head(text);
            for loose in used.loose {
                if loose.is_met(head, text) {
                    wires[loose.test as usize] |= mask;
                }
            }
        });
        if used.present != NONE {
            self.wires[used.present as usize] = present;
        }
    }

    /// For every member, which ones have its value of a key; found when it is asked for first.
    #[inline(always)]
    pub fn equal(&mut self, key: usize, front: &Front, members: &[u32]) -> &[Mask] {
        let equal = &mut self.equal[key * WIDTH..][..WIDTH];
        if !self.known[key] {
            self.known[key] = true;
            let (by_value, column) = (&mut self.by_value[..], &front.columns[key][..]);
            if members.len() < MANY {
                each_value(by_value, column, members, equal, |_, _| {});
            } else {
                many::<Mask, WIDTH>(by_value, column, members, equal);
            }
        }
        equal
    }
}

/// The same for many members and nobody to call: several a turn, because at the end of each a guest
/// looks whether its time is up, and without a branch that depends on values.
#[inline(never)]
fn many<Mask: Bits, const WIDTH: usize>(
    by_value: &mut [Mask],
    column: &[u32],
    members: &[u32],
    equal: &mut [Mask],
) {
    // Places beyond the members are no one's: what is noted of them is not looked at.
    let mut values = [ABSENT; WIDTH];
    for (value, &set) in values.iter_mut().zip(members) {
        *value = column[set as usize];
    }
    let turns = &values.as_chunks::<TURN>().0[..members.len().div_ceil(TURN)];
    let mut bit = Mask::bit(0);
    for values in turns {
        for &value in values {
            by_value[value as usize] |= bit;
            bit = bit.up();
        }
    }
    for (equal, values) in equal.as_chunks_mut::<TURN>().0.iter_mut().zip(turns) {
        for (equal, &value) in equal.iter_mut().zip(values) {
            *equal = by_value[value as usize];
        }
    }
    for values in turns {
        for &value in values {
            by_value[value as usize] = Mask::default();
        }
    }
}

/// Notes for every member who has the same value, and calls back once a value. Leaves `by_value`
/// empty, as it has to be before.
#[inline(always)]
fn each_value<Mask: Bits>(
    by_value: &mut [Mask],
    column: &[u32],
    members: &[u32],
    equal: &mut [Mask],
    mut each: impl FnMut(u32, Mask),
) {
    let mut bit = Mask::bit(0);
    for &set in members {
        by_value[column[set as usize] as usize] |= bit;
        bit = bit.up();
    }
    // From the last to the first: whoever is the first of its value comes last of them.
    for (at, &set) in members.iter().enumerate().rev() {
        let value = column[set as usize];
        let mask = by_value[value as usize];
        equal[at] = mask;
        if mask.lowest() == at {
            by_value[value as usize] = Mask::default();
            each(value, mask);
        }
    }
}

/// By metric and key use: whether a rule of the metric groups by the key.
fn grouped(spec: &Spec) -> Vec<bool> {
    let each = spec.metric_keys.iter().zip(spec.metric_rules);
    let grouped = each.flat_map(|(keys, rules)| {
        keys.iter().map(move |used| {
            rules.iter().any(|&rule| {
                let group = spec.rules[rule as usize].group;
                spec.groups[group as usize].contains(&used.key)
            })
        })
    });
    grouped.collect()
}
