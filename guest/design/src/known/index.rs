//! A bounded table from hashes to numbers.

use crate::NONE;
use alloc::{vec, vec::Vec};

/// Places of a block: an item stands in the block of its hash or nowhere, so that whether items
/// have room beside each other depends on them alone, not on the order in which they came; and a
/// flood of equal hashes costs no more than one block's comparisons.
const BLOCK: usize = 64;
/// Where an item would stand whose block is full.
const NOWHERE: usize = usize::MAX;

/// No room is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Numbers by hash. What a number stands for is the caller's, who says whether it is the same:
/// equal hashes say nothing.
pub(super) struct Index {
    places: Vec<(u32, u32)>,
}

impl Index {
    /// With two places for each of so many items.
    pub fn new(items: usize) -> Self {
        let places = (2 * items).next_power_of_two().max(BLOCK);
        Index {
            places: vec![(0, NONE); places],
        }
    }

    pub fn clear(&mut self) {
        self.places.fill((0, NONE));
    }

    /// The number of the item, or the place where it would stand.
    #[inline(always)]
    pub fn find(&self, hash: u32, same: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let mut place = hash as usize & (self.places.len() - 1);
        for _ in 0..BLOCK {
            let (seen, number) = self.places[place];
            if number == NONE {
                return Err(place);
            }
            if seen == hash && same(number) {
                return Ok(number);
            }
            place = place & !(BLOCK - 1) | (place + 1) & (BLOCK - 1);
        }
        Err(NOWHERE)
    }

    /// Puts an item where it was looked for in vain.
    pub fn put(&mut self, place: usize, hash: u32, number: u32) -> Result<(), Full> {
        *self.places.get_mut(place).ok_or(Full)? = (hash, number);
        Ok(())
    }
}
