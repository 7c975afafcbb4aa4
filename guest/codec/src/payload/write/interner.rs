//! Texts by number, and numbers by text.

use crate::payload::hash::hash;
use alloc::{vec, vec::Vec};

/// Each text once, numbered in the order of insertion.
///
/// The hash is not keyed, so texts can be chosen to collide. A search gives up after so many steps
/// as texts that were not chosen never need: whoever collides fills a message early, no more.
#[derive(Default)]
pub(super) struct Interner {
    /// All texts, one after the other.
    bytes: Vec<u8>,
    /// Where each text ends.
    ends: Vec<u32>,
    /// By hash, with linear probing: the upper half of it and number + 1, or 0. Half full at most.
    table: Vec<u64>,
}

/// A search took too many steps.
pub(super) struct Crowded;

const MOST_STEPS: usize = 256;
const UPPER: u64 = 0xffff_ffff_0000_0000;

impl Interner {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of a number that one has.
    pub(super) fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin as usize..self.ends[number] as usize]
    }

    /// All texts, one after the other.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The length of each text.
    pub(super) fn lengths(&self) -> Vec<u32> {
        let begins = core::iter::once(&0).chain(&self.ends);
        let pairs = self.ends.iter().zip(begins);
        pairs.map(|(end, begin)| end - begin).collect()
    }

    /// The number of a text, if it has one.
    pub(super) fn find(&self, text: &[u8]) -> Result<Option<u32>, Crowded> {
        self.search(hash(text), text, MOST_STEPS)
    }

    /// The number of a text, however long it takes to find; the next one if it has none.
    pub(super) fn intern(&mut self, text: &[u8]) -> u32 {
        let hash = hash(text);
        match self.search(hash, text, self.table.len()) {
            Ok(Some(number)) => number,
            _ => self.push(hash, text),
        }
    }

    /// Gives a text the next number, whether or not it has one.
    pub(super) fn insert(&mut self, text: &[u8]) -> u32 {
        self.push(hash(text), text)
    }

    fn search(&self, hash: u64, text: &[u8], most_steps: usize) -> Result<Option<u32>, Crowded> {
        let Some(mask) = self.table.len().checked_sub(1) else {
            return Ok(None);
        };
        let mut place = hash as usize & mask;
        for _ in 0..most_steps {
            let entry = self.table[place];
            if entry == 0 {
                return Ok(None);
            }
            let number = (entry as u32).wrapping_sub(1);
            if entry & UPPER == hash & UPPER && self.get(number) == text {
                return Ok(Some(number));
            }
            place = (place + 1) & mask;
        }
        Err(Crowded)
    }

    fn push(&mut self, hash: u64, text: &[u8]) -> u32 {
        let number = self.ends.len() as u32;
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
        if 2 * self.ends.len() > self.table.len() {
            self.grow();
        } else {
            self.place(hash, number);
        }
        number
    }

    fn grow(&mut self) {
        self.table = vec![0; (4 * self.ends.len()).next_power_of_two()];
        for number in 0..self.ends.len() as u32 {
            self.place(hash(self.get(number)), number);
        }
    }

    fn place(&mut self, hash: u64, number: u32) {
        let mask = self.table.len() - 1;
        let mut place = hash as usize & mask;
        while self.table[place] != 0 {
            place = (place + 1) & mask;
        }
        self.table[place] = hash & UPPER | u64::from(number + 1);
    }
}
