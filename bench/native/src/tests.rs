//! Filters as bits over tag-sets: each comparison is decided once a value, and a filter is a few
//! ANDs and ORs for all tag-sets at once.

use crate::adding::BITS;
use crate::columns::{ABSENT, NONE};
use hashbrown::HashMap;
use ratchet_api::Refusal;
use ratchet_codec::payload::Strings;
use ratchet_rules::Filter;

/// A string that was not looked up yet.
const UNSEEN: u32 = NONE - 1;
/// The last comparison of a clause.
const END: u32 = 1;

/// The values that filters of all metrics compare with.
#[derive(Default)]
pub(crate) struct Literals {
    numbers: HashMap<Box<[u8]>, u32>,
    /// Per string of the message: its number, none, or not looked up yet.
    of_string: Vec<u32>,
}

impl Literals {
    pub fn begin(&mut self, strings: usize) {
        self.of_string.clear();
        self.of_string.resize(strings, UNSEEN);
    }

    fn number(&mut self, text: &[u8]) -> u32 {
        let next = self.numbers.len() as u32;
        *self.numbers.entry(text.into()).or_insert(next)
    }

    #[inline(always)]
    fn find(&mut self, id: u32, text: &[u8]) -> u32 {
        let known = &mut self.of_string[id as usize];
        if *known == UNSEEN {
            *known = self.numbers.get(text).copied().unwrap_or(NONE);
        }
        *known
    }
}

/// A comparison of one key, and its opposite.
#[derive(Clone, PartialEq)]
enum Test {
    Present,
    Prefix(Box<[u8]>),
    /// Numbers of literals.
    In(Vec<u32>),
}

/// The filters of one metric.
#[derive(Default)]
pub(crate) struct Tests {
    known: Vec<(usize, Test)>,
    /// Tests whose opposite somebody asks for.
    code: Vec<u32>,
    /// By literal: tests that it passes.
    passes: Vec<Vec<u32>>,
    /// By key: tests that no literal decides.
    present: Vec<Vec<u32>>,
    prefixes: Vec<Vec<(Box<[u8]>, u32)>>,
    /// Bits of each test, and then of its opposite.
    bits: Vec<[u64; 2]>,
}

/// Where the code of a filter lies.
pub(crate) type Code = std::ops::Range<usize>;

impl Tests {
    pub fn new(keys: usize) -> Self {
        Tests {
            present: vec![Vec::new(); keys],
            prefixes: vec![Vec::new(); keys],
            ..Tests::default()
        }
    }

    /// Adds a filter: clauses of ORs joined by AND, or simpler.
    pub fn add(
        &mut self,
        filter: &Filter,
        keys: &[Box<[u8]>],
        literals: &mut Literals,
    ) -> Result<Code, Refusal> {
        let start = self.code.len();
        let clauses = match filter {
            Filter::All => &[],
            Filter::And(clauses) => &clauses[..],
            one => std::slice::from_ref(one),
        };
        for clause in clauses {
            let leaves = match clause {
                Filter::Or(leaves) => &leaves[..],
                one => std::slice::from_ref(one),
            };
            for leaf in leaves {
                let (leaf, opposite) = match leaf {
                    Filter::Not(inner) => (&**inner, 1),
                    plain => (plain, 0),
                };
                let test = self.test(leaf, keys, literals)?;
                self.code.push(4 * test + 2 * opposite);
            }
            if let Some(last) = self.code.last_mut() {
                *last |= END;
            }
        }
        Ok(start..self.code.len())
    }

    fn test(
        &mut self,
        leaf: &Filter,
        keys: &[Box<[u8]>],
        literals: &mut Literals,
    ) -> Result<u32, Refusal> {
        let (key, test) = match leaf {
            Filter::Present(key) => (key, Test::Present),
            Filter::Prefix(key, prefix) => (key, Test::Prefix(prefix.clone())),
            Filter::Eq(key, value) => (key, Test::In(vec![literals.number(value)])),
            Filter::In(key, values) => (
                key,
                Test::In(values.iter().map(|v| literals.number(v)).collect()),
            ),
            _ => return Err(Refusal("a filter that is no clause of comparisons")),
        };
        let key = keys
            .binary_search(key)
            .map_err(|_| Refusal("an unknown key"))?;
        let wanted = (key, test);
        if let Some(at) = self.known.iter().position(|known| *known == wanted) {
            return Ok(at as u32);
        }
        let number = self.known.len() as u32;
        match &wanted.1 {
            Test::Present => self.present[key].push(number),
            Test::Prefix(prefix) => self.prefixes[key].push((prefix.clone(), number)),
            Test::In(values) => {
                for &literal in values {
                    let literal = literal as usize;
                    if self.passes.len() <= literal {
                        self.passes.resize(literal + 1, Vec::new());
                    }
                    self.passes[literal].push(number);
                }
            }
        }
        self.known.push(wanted);
        self.bits.push([0; 2]);
        Ok(number)
    }

    pub fn begin(&mut self) {
        self.bits.fill([0; 2]);
    }

    /// Takes in what the tag-sets of the metric have of one key. `equal`: for each tag-set, those
    /// with the same value.
    pub fn decide(
        &mut self,
        key: usize,
        (column, members): (&[u32], &[u32]),
        equal: &[u64; BITS],
        (strings, literals): (&Strings<'_>, &mut Literals),
    ) {
        for (at, (&set, &mask)) in members.iter().zip(equal).enumerate() {
            let value = column[set as usize];
            if value == ABSENT || mask.trailing_zeros() as usize != at {
                continue;
            }
            let text = strings.get(value - 1);
            let literal = literals.find(value - 1, text);
            if let Some(passed) = self.passes.get(literal as usize) {
                for &test in passed {
                    // A literal may be asked of several keys.
                    if self.known[test as usize].0 == key {
                        self.bits[test as usize][0] |= mask;
                    }
                }
            }
            for &test in &self.present[key] {
                self.bits[test as usize][0] |= mask;
            }
            for (prefix, test) in &self.prefixes[key] {
                if text.starts_with(prefix) {
                    self.bits[*test as usize][0] |= mask;
                }
            }
        }
    }

    /// Makes the opposites.
    pub fn finish(&mut self, all: u64) {
        for [bits, opposite] in &mut self.bits {
            *opposite = all & !*bits;
        }
    }

    /// The tag-sets that a filter takes.
    #[inline(always)]
    pub fn take(&self, code: &Code, all: u64) -> u64 {
        let (mut taken, mut clause) = (all, 0);
        for &word in &self.code[code.clone()] {
            clause |= self.bits[(word >> 2) as usize][(word >> 1 & 1) as usize];
            if word & END != 0 {
                taken &= clause;
                clause = 0;
            }
        }
        taken
    }

    /// Whether any filter looks at a key.
    pub fn look_at(&self, key: usize) -> bool {
        self.known.iter().any(|(of, _)| *of == key)
    }
}
