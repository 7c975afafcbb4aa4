//! Finds again what is remembered of a message's series, and matches those that are new.

use super::index::Full;
use super::memory::{Memory, Mixed, Room, Series, Texts, HEAD, PART};
use crate::{Front, Kind, Sieve, Spec, Table, ABSENT, NONE};
use alloc::{vec, vec::Vec};
use core::mem::take;
use ratchet_codec::payload::Strings;

/// Tag-sets that are matched together, at most.
const WIDTH: usize = 64;

/// The rules as tag-sets are matched with them.
pub(super) struct Rules {
    pub spec: &'static Spec,
    pub kinds: Vec<Kind>,
    /// Rule by rule, where in `keys` the places begin that a row has what it groups by.
    starts: Vec<u32>,
    keys: Vec<u32>,
}

/// A tag-set with points, and what is remembered of its series.
#[derive(Clone, Copy)]
pub(super) struct Met {
    pub set: u32,
    pub head: (u32, u32),
}

pub(super) struct Recall<M> {
    pub rules: Rules,
    pub memory: M,
    literals: Table<true>,
    sieve: Sieve<u64, WIDTH>,
    texts: Texts,
    series: Series,
    // From here on: of this message.
    /// By string id + 1: the number of the text, or none while nobody asked.
    numbers: Vec<u32>,
    row: Vec<u32>,
    /// Tag-sets with points and a metric of the rules.
    pub met: Vec<Met>,
    /// Those of them that were never met before: metric, and place in `met`.
    new: Vec<(u32, u32)>,
    members: Vec<u32>,
}

impl Rules {
    pub fn new(spec: &'static Spec) -> Self {
        let (mut starts, mut keys) = (vec![0], Vec::new());
        for rule in spec.rules {
            let uses = spec.metric_keys[rule.metric as usize];
            let place = |&key: &u32| HEAD + 1 + uses.partition_point(|used| used.key < key);
            let group = spec.groups[rule.group as usize].iter();
            keys.extend(group.map(place).map(|place| place as u32));
            starts.push(keys.len() as u32);
        }
        Rules {
            spec,
            kinds: spec.rules.iter().map(|rule| rule.kind).collect(),
            starts,
            keys,
        }
    }

    fn keys(&self, rule: u32) -> &[u32] {
        let starts = &self.starts[rule as usize..];
        &self.keys[starts[0] as usize..starts[1] as usize]
    }
}

impl<M: Memory> Recall<M> {
    pub fn new(spec: &'static Spec, room: Room, memory: M) -> Self {
        Recall {
            rules: Rules::new(spec),
            memory,
            literals: Table::new(spec),
            sieve: Sieve::new(spec),
            texts: Texts::new(room),
            series: Series::new(room),
            numbers: Vec::new(),
            row: Vec::new(),
            met: Vec::new(),
            new: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Fills `met`: of each tag-set that has points and a metric of the rules. False where that is
    /// too much, whatever came before: what does not fit makes all be forgotten, and is tried once
    /// more.
    #[inline]
    pub fn run(
        &mut self,
        front: &Front,
        strings: &Strings<'_>,
        has_points: impl Fn(usize) -> bool,
    ) -> bool {
        if self.find(front, strings, &has_points).is_ok() {
            return true;
        }
        self.forget();
        let fits = self.find(front, strings, &has_points).is_ok();
        if !fits {
            // Of the series that was too much, a part may have been taken in.
            self.forget();
        }
        fits
    }

    #[inline(never)]
    fn forget(&mut self) {
        self.texts.clear();
        self.series.clear();
        self.memory.clear();
    }

    #[inline(always)]
    fn find(
        &mut self,
        front: &Front,
        strings: &Strings<'_>,
        has_points: &impl Fn(usize) -> bool,
    ) -> Result<(), Full> {
        self.numbers.clear();
        self.numbers.resize(strings.len() + 1, NONE);
        self.numbers[ABSENT as usize] = 0;
        self.met.clear();
        self.new.clear();
        for (set, &metric) in front.metric.iter().enumerate() {
            if metric == NONE || !has_points(set) {
                continue;
            }
            let hash = self.read(front, strings, set)?;
            let found = self.series.find(hash, &self.row);
            if found.is_err() {
                self.new.push((metric, self.met.len() as u32));
            }
            self.met.push(Met {
                set: set as u32,
                head: found.unwrap_or_default(),
            });
        }
        if self.new.is_empty() {
            return Ok(());
        }
        self.learn(front, strings)
    }

    /// Matches the tag-sets that are new, those of a metric together.
    #[inline(never)]
    fn learn(&mut self, front: &Front, strings: &Strings<'_>) -> Result<(), Full> {
        self.sieve.read(strings, &self.literals);
        let mut new = take(&mut self.new);
        new.sort_unstable();
        let of_metrics = new.chunk_by(|a, b| a.0 == b.0);
        let learned = of_metrics
            .flat_map(|of| of.chunks(WIDTH))
            .try_for_each(|of| self.learn_some(front, strings, of));
        self.new = new;
        learned
    }

    /// Of one metric, and no more than a mask has bits.
    fn learn_some(
        &mut self,
        front: &Front,
        strings: &Strings<'_>,
        of: &[(u32, u32)],
    ) -> Result<(), Full> {
        let metric = of[0].0 as usize;
        self.members.clear();
        let set = |&(_, met): &(u32, u32)| self.met[met as usize].set;
        self.members.extend(of.iter().map(set));
        self.sieve.sift(front, strings, metric, &self.members);
        for (bit, &(_, met)) in of.iter().enumerate() {
            let hash = self.read(front, strings, self.members[bit] as usize)?;
            let found = match self.series.find(hash, &self.row) {
                // Another tag-set of the message is alike.
                Ok(found) => found,
                Err(place) => {
                    let (rules, sieve) = (&self.rules, &self.sieve);
                    let wire_of = &sieve.circuit().wire_of;
                    let takes = |rule: u32| sieve.taken(wire_of[rule as usize]) >> bit & 1 == 1;
                    let all = rules.spec.metric_rules[metric].iter().copied();
                    let taken = all.filter(|&rule| takes(rule));
                    let taken = taken.map(|rule| (rule, rules.keys(rule)));
                    let row = (place, hash, &self.row[..]);
                    self.series.learn(row, taken, &mut self.memory)?
                }
            };
            self.met[met as usize].head = found;
        }
        Ok(())
    }

    /// Makes the row of a tag-set, and a hash of it.
    #[inline(always)]
    fn read(&mut self, front: &Front, strings: &Strings<'_>, set: usize) -> Result<u32, Full> {
        let metric = front.metric[set];
        self.row.clear();
        self.row.extend([0; HEAD]);
        self.row.push(metric);
        let mut mixed = Mixed::new(metric);
        for used in self.rules.spec.metric_keys[metric as usize] {
            let value = front.columns[used.key as usize][set];
            let number = &mut self.numbers[value as usize];
            if *number == NONE {
                *number = self.texts.number(strings.get(value - 1))?;
            }
            self.row.push(*number);
            mixed = mixed.with(*number);
        }
        self.row.resize(self.row.len().next_multiple_of(PART), 0);
        Ok(mixed.hash())
    }
}
