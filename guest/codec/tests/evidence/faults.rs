//! Ways to go wrong: a part that does not fit the others, or bytes changed afterwards.

use crate::naive::writer::{Key, Parts};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// One thing that a careless or hostile writer does.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A number of a run becomes another.
    Number(Index, Index, Twist),
    /// A run has one number more, or one less.
    Longer(Index, u32),
    Shorter(Index),
    /// A byte of the dictionary.
    Text(Index, u8),
    LongerText(u8),
    /// A string becomes equal to another of its length, if there is one.
    Repeat(Index, Index),
    /// What the header says: strings, keys, tag-sets, points.
    Count(Index, Twist),
    MinTs(i64),
    MaxTs(i64),
    /// Two keys change places.
    Swap(Index, Index),
    /// How many pairs a sparse key has.
    Pairs(Index, Twist),
    /// A key's column in the other form, its numbers as they are.
    Form(Index),
    FewerValues,
}

/// What a number becomes.
#[derive(Clone, Copy, Debug)]
pub enum Twist {
    Add(i32),
    To(u32),
    /// As many as there are strings, keys, tag-sets or points.
    Bound(u8, i8),
}

fn twist() -> impl Strategy<Value = Twist> {
    let edges = [
        0,
        1,
        1_024,
        1_025,
        65_535,
        65_536,
        1 << 24,
        1 << 31,
        u32::MAX,
    ];
    prop_oneof![
        (-2..=2).prop_map(Twist::Add),
        proptest::sample::select(edges.to_vec()).prop_map(Twist::To),
        any::<u32>().prop_map(Twist::To),
        (0u8..4, -1i8..=1).prop_map(|(which, by)| Twist::Bound(which, by)),
    ]
}

impl Twist {
    fn apply(self, number: &mut u32, counts: [u32; 4]) {
        *number = match self {
            Twist::Add(by) => number.wrapping_add_signed(by),
            Twist::To(to) => to,
            Twist::Bound(which, by) => counts[usize::from(which)].wrapping_add_signed(by.into()),
        }
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    let index = any::<Index>;
    let time = || prop_oneof![-2i64..=2, Just(3_600_000), any::<i64>()];
    prop_oneof![
        6 => (index(), index(), twist()).prop_map(|(run, at, to)| Fault::Number(run, at, to)),
        1 => (index(), 0u32..3).prop_map(|(run, number)| Fault::Longer(run, number)),
        1 => index().prop_map(Fault::Shorter),
        1 => (index(), any::<u8>()).prop_map(|(at, byte)| Fault::Text(at, byte)),
        1 => any::<u8>().prop_map(Fault::LongerText),
        1 => (index(), index()).prop_map(|(from, to)| Fault::Repeat(from, to)),
        2 => (index(), twist()).prop_map(|(count, to)| Fault::Count(count, to)),
        1 => time().prop_map(Fault::MinTs),
        1 => time().prop_map(Fault::MaxTs),
        1 => (index(), index()).prop_map(|(one, other)| Fault::Swap(one, other)),
        1 => (index(), twist()).prop_map(|(key, to)| Fault::Pairs(key, to)),
        1 => index().prop_map(Fault::Form),
        1 => Just(Fault::FewerValues),
    ]
}

pub fn faults() -> impl Strategy<Value = Vec<Fault>> {
    vec(fault(), 1..4)
}

impl Fault {
    pub fn apply(&self, parts: &mut Parts) {
        let counts = parts.counts;
        match self {
            Fault::Number(run, at, twist) => {
                if let Some(number) = pick(&mut pick_run(parts, run).numbers, at) {
                    twist.apply(number, counts);
                }
            }
            Fault::Longer(run, number) => pick_run(parts, run).numbers.push(*number),
            Fault::Shorter(run) => drop(pick_run(parts, run).numbers.pop()),
            Fault::Text(at, to) => {
                if let Some(byte) = pick(&mut parts.text, at) {
                    *byte = *to;
                }
            }
            Fault::LongerText(byte) => parts.text.push(*byte),
            Fault::Repeat(from, to) => repeat(parts, from, to),
            Fault::Count(which, twist) => twist.apply(which.get_mut(&mut parts.counts), counts),
            Fault::MinTs(by) => parts.min_ts = parts.min_ts.wrapping_add(*by),
            Fault::MaxTs(by) => parts.max_ts = parts.max_ts.wrapping_add(*by),
            Fault::Swap(one, other) => swap(&mut parts.key_ids.numbers, one, other),
            Fault::Pairs(key, twist) => {
                if let Some(Key::Sparse(pairs, _)) = pick(&mut parts.keys, key) {
                    twist.apply(pairs, counts);
                }
            }
            Fault::Form(key) => {
                if let Some(key) = pick(&mut parts.keys, key) {
                    *key = match key {
                        Key::Dense(run) => Key::Sparse(run.numbers.len() as u32 / 2, run.clone()),
                        Key::Sparse(_, run) => Key::Dense(run.clone()),
                    };
                }
            }
            Fault::FewerValues => drop(parts.values.pop()),
        }
    }
}

fn pick<'a, T>(all: &'a mut [T], at: &Index) -> Option<&'a mut T> {
    (!all.is_empty()).then(|| at.get_mut(all))
}

fn pick_run<'a>(parts: &'a mut Parts, at: &Index) -> &'a mut crate::naive::writer::Run {
    let mut runs = parts.runs();
    let at = at.index(runs.len());
    runs.swap_remove(at)
}

fn swap(numbers: &mut [u32], one: &Index, other: &Index) {
    if !numbers.is_empty() {
        numbers.swap(one.index(numbers.len()), other.index(numbers.len()));
    }
}

fn repeat(parts: &mut Parts, from: &Index, to: &Index) {
    let lengths = &parts.string_lengths.numbers;
    let place = |index: &Index| {
        let at = index.index(lengths.len());
        let start = lengths[..at].iter().map(|&len| len as usize).sum::<usize>();
        start..start.saturating_add(lengths[at] as usize)
    };
    if !lengths.is_empty() {
        let (from, to) = (place(from), place(to).start);
        if from.end <= parts.text.len() && to + from.len() <= parts.text.len() {
            parts.text.copy_within(from, to);
        }
    }
}

/// One thing that happens to bytes on their way.
#[derive(Clone, Debug)]
pub enum Damage {
    Bit(Index, u8),
    /// A byte of the header or the column table.
    Head(u8, u8),
    /// A word of those, by a little.
    HeadWord(u8, i8),
    Cut(Index),
    Grow(u8),
    Copy(Index, Index, u8),
}

pub fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let index = any::<Index>;
    let one = prop_oneof![
        3 => (index(), 0u8..8).prop_map(|(at, bit)| Damage::Bit(at, bit)),
        2 => any::<(u8, u8)>().prop_map(|(at, to)| Damage::Head(at, to)),
        2 => (any::<u8>(), -8i8..=8).prop_map(|(at, by)| Damage::HeadWord(at, by)),
        1 => index().prop_map(Damage::Cut),
        1 => (1u8..40).prop_map(Damage::Grow),
        1 => (index(), index(), any::<u8>()).prop_map(|(from, to, n)| Damage::Copy(from, to, n)),
    ];
    vec(one, 1..4)
}

impl Damage {
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.len() < 256 + 8 {
            bytes.resize(256 + 8, 0);
        }
        match self {
            Damage::Bit(at, bit) => *at.get_mut(bytes) ^= 1 << bit,
            Damage::Head(at, to) => bytes[usize::from(*at)] = *to,
            Damage::HeadWord(at, by) => {
                let word = &mut bytes[usize::from(at & !3)..][..4];
                let old = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                word.copy_from_slice(&old.wrapping_add_signed((*by).into()).to_le_bytes());
            }
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Grow(by) => {
                bytes.resize(bytes.len() + usize::from(*by), 0);
                // Else nothing behind the length would be looked at.
                let length = bytes.len() as u32;
                bytes[4..8].copy_from_slice(&length.to_le_bytes());
            }
            Damage::Copy(from, to, len) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                let len = usize::from(*len).min(bytes.len() - from.max(to));
                bytes.copy_within(from..from + len, to);
            }
        }
    }
}
