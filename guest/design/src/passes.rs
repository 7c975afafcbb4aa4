//! Which tests a known text passes: literals and prefixes decided beforehand.

use crate::{Spec, Test};
use alloc::{vec, vec::Vec};

/// More pairs of a literal and a test than this are not written down.
const PAIRS_MAX: usize = 1 << 19;
/// With more places of literals, by metric, than this, they are found by hashing.
const PLACES_MAX: usize = 1 << 17;
/// And with more pairs than this.
const SPREAD_MAX: usize = 1 << 16;

/// By a key that a metric's rules look at (a "use") and a literal: the tests that it passes there.
#[derive(Default)]
pub struct Passes {
    /// By metric: the number of its first use.
    pub first: Vec<u32>,
    /// Whether prefixes are decided, too: otherwise a literal still has to be compared with them.
    pub whole: bool,
    /// An open table, at most half full: use, literal, and its tests in `tests`.
    table: Vec<Entry>,
    tests: Vec<u32>,
    /// By metric and literal, with one more at both ends of each metric: where in `pairs` the tests
    /// begin that the literal passes; empty when that would be too many.
    places: Vec<u32>,
    /// Of a key, and a test of it.
    pairs: Vec<(u32, u32)>,
    literals: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    used: u32,
    literal: u32,
    from: u32,
    to: u32,
}

const FREE: Entry = Entry {
    used: u32::MAX,
    literal: 0,
    from: 0,
    to: 0,
};

impl Passes {
    pub fn new(spec: &Spec) -> Self {
        Self::within(spec, PAIRS_MAX)
    }

    /// With so many pairs at most, literals that have to be listed apart.
    pub fn within(spec: &Spec, pairs_max: usize) -> Self {
        let mut pairs = Vec::new();
        let whole = collect(spec, Some(pairs_max), &mut pairs);
        if !whole {
            pairs = Vec::new();
            collect(spec, None, &mut pairs);
        }
        pairs.sort_unstable();
        let mut first = Vec::with_capacity(spec.metric_keys.len());
        let mut uses = 0;
        for keys in spec.metric_keys {
            first.push(uses);
            uses += keys.len() as u32;
        }
        let mut passes = Passes {
            first,
            whole,
            table: Vec::new(),
            tests: Vec::new(),
            places: Vec::new(),
            pairs: Vec::new(),
            literals: spec.values.len(),
        };
        passes.fill(&pairs);
        let places = spec.metrics.len() * (spec.values.len() + 2);
        if places <= PLACES_MAX && pairs.len() <= SPREAD_MAX {
            passes.spread(spec, &pairs);
        }
        passes
    }

    /// Fills `places` and `pairs`.
    fn spread(&mut self, spec: &Spec, pairs: &[(u32, u32, u32)]) {
        for (metric, keys) in spec.metric_keys.iter().enumerate() {
            let first = self.first[metric];
            let own = first..first + keys.len() as u32;
            let from = pairs.partition_point(|pair| pair.0 < own.start);
            let to = pairs.partition_point(|pair| pair.0 < own.end);
            let mut of = pairs[from..to].to_vec();
            of.sort_unstable_by_key(|&(used, literal, test)| (literal, used, test));
            let mut rest = &of[..];
            // That of no literal is empty.
            self.places.push(self.pairs.len() as u32);
            for literal in 0..spec.values.len() as u32 {
                self.places.push(self.pairs.len() as u32);
                let count = rest.iter().take_while(|pair| pair.1 == literal).count();
                let (here, behind) = rest.split_at(count);
                let key = |used: u32| keys[(used - first) as usize].key;
                self.pairs
                    .extend(here.iter().map(|&(used, _, test)| (key(used), test)));
                rest = behind;
            }
            self.places.push(self.pairs.len() as u32);
        }
    }

    /// By literal, where its tests of a metric begin; empty when there are too many for that.
    #[inline(always)]
    pub fn places(&self, metric: usize) -> &[u32] {
        let row = self.literals + 2;
        self.places
            .get(metric * row..(metric + 1) * row)
            .unwrap_or(&[])
    }

    /// Calls back for each test of a key that a literal passes; `literal` is its number plus 1,
    /// or 0 for none, `number` that of the use, `places` those of its metric.
    #[inline(always)]
    pub fn each(
        &self,
        places: &[u32],
        (number, key): (u32, u32),
        literal: u32,
        mut each: impl FnMut(u32),
    ) {
        let at = literal as usize;
        if let (Some(&from), Some(&to)) = (places.get(at), places.get(at + 1)) {
            for &(of, test) in &self.pairs[from as usize..to as usize] {
                if of == key {
                    each(test);
                }
            }
        } else if literal != 0 {
            for &test in self.of(number, literal - 1) {
                each(test);
            }
        }
    }

    fn fill(&mut self, pairs: &[(u32, u32, u32)]) {
        let same = |a: &(u32, u32, u32), b: &(u32, u32, u32)| (a.0, a.1) == (b.0, b.1);
        let groups = pairs.chunk_by(same).count();
        self.table = vec![FREE; (2 * groups + 1).next_power_of_two()];
        for group in pairs.chunk_by(same) {
            let from = self.tests.len() as u32;
            self.tests.extend(group.iter().map(|&(_, _, test)| test));
            let (used, literal, to) = (group[0].0, group[0].1, self.tests.len() as u32);
            let mut place = self.place(used, literal);
            while self.table[place].used != FREE.used {
                place = (place + 1) & (self.table.len() - 1);
            }
            self.table[place] = Entry {
                used,
                literal,
                from,
                to,
            };
        }
    }

    #[inline(always)]
    fn place(&self, used: u32, literal: u32) -> usize {
        let mixed =
            (u64::from(used) << 32 | u64::from(literal)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.table.len() - 1)
    }

    /// The tests that a literal passes in a use.
    #[inline(always)]
    pub fn of(&self, used: u32, literal: u32) -> &[u32] {
        let mut place = self.place(used, literal);
        loop {
            let entry = &self.table[place];
            if entry.used == used && entry.literal == literal {
                return &self.tests[entry.from as usize..entry.to as usize];
            }
            if entry.used == FREE.used {
                return &[];
            }
            place = (place + 1) & (self.table.len() - 1);
        }
    }
}

/// Triples of a use, a literal and a test, those of prefixes too where a number bounds them all;
/// whether they were few enough.
fn collect(spec: &Spec, prefixes: Option<usize>, pairs: &mut Vec<(u32, u32, u32)>) -> bool {
    let mut used = 0;
    for keys in spec.metric_keys {
        for key in *keys {
            for &test in key.tests {
                let mut add = |literal: u32| pairs.push((used, literal, test));
                match spec.tests[test as usize].1 {
                    Test::Value(literal) => add(literal),
                    Test::Values(list) => list.iter().copied().for_each(add),
                    Test::Prefix(prefix) if prefixes.is_some() => {
                        let from = spec.values.partition_point(|&value| value < prefix);
                        let with = spec.values[from..].iter();
                        let count = with.take_while(|value| value.starts_with(prefix)).count();
                        (from..from + count).for_each(|literal| add(literal as u32));
                    }
                    _ => {}
                }
                if prefixes.is_some_and(|most| pairs.len() > most) {
                    return false;
                }
            }
            used += 1;
        }
    }
    true
}
