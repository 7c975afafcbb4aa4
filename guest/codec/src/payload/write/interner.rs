//! Texts by number, and numbers by text.

use crate::payload::hash::hash;
use alloc::{boxed::Box, vec, vec::Vec};

/// Each text once, numbered in the order of insertion.
///
/// The hash is not keyed, so texts can be chosen to collide. A search gives up after so many steps
/// as texts that were not chosen never need: whoever collides fills a message early, no more.
#[derive(Default)]
pub(super) struct Interner {
    texts: Vec<Box<[u8]>>,
    /// Number + 1 by hash with linear probing, or 0. At most half full.
    table: Vec<u32>,
}

/// A search took too many steps.
pub(super) struct Crowded;

const MOST_STEPS: usize = 256;

impl Interner {
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn texts(&self) -> &[Box<[u8]>] {
        &self.texts
    }

    /// The number of a text, if it has one.
    pub(super) fn find(&self, text: &[u8]) -> Result<Option<u32>, Crowded> {
        self.search(text, MOST_STEPS)
    }

    /// The number of a text, if it has one, however long it takes to find.
    pub(super) fn find_anyhow(&self, text: &[u8]) -> Option<u32> {
        self.search(text, self.table.len()).unwrap_or(None)
    }

    fn search(&self, text: &[u8], most_steps: usize) -> Result<Option<u32>, Crowded> {
        let Some(mask) = self.table.len().checked_sub(1) else {
            return Ok(None);
        };
        let mut place = hash(text) as usize & mask;
        for _ in 0..most_steps {
            match self.table[place] {
                0 => return Ok(None),
                number if *self.texts[number as usize - 1] == *text => {
                    return Ok(Some(number - 1));
                }
                _ => place = (place + 1) & mask,
            }
        }
        Err(Crowded)
    }

    /// Gives a text that has none the next number.
    pub(super) fn insert(&mut self, text: &[u8]) -> u32 {
        self.texts.push(text.into());
        let number = self.texts.len() as u32;
        if 2 * self.texts.len() > self.table.len() {
            self.table = vec![0; (4 * self.texts.len()).next_power_of_two()];
            for n in 1..=number {
                self.place(n);
            }
        } else {
            self.place(number);
        }
        number - 1
    }

    fn place(&mut self, number: u32) {
        let mask = self.table.len() - 1;
        let mut place = hash(&self.texts[number as usize - 1]) as usize & mask;
        while self.table[place] != 0 {
            place = (place + 1) & mask;
        }
        self.table[place] = number;
    }
}
