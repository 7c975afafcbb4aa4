//! A bounded table from hashes to numbers.

use alloc::{vec, vec::Vec};

/// Places of a block: an item stands in the block of its hash or nowhere, so that whether items
/// have room beside each other depends on them alone, not on the order in which they came; and a
/// flood of equal hashes costs no more than one block's comparisons.
const BLOCK: usize = 128;
/// Where an item would stand whose block is full.
const NOWHERE: usize = usize::MAX;

/// No room is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Numbers by hash. What a number stands for is the caller's, who says whether it is the same:
/// equal hashes say nothing.
pub(super) struct Index<P = u32> {
    places: Vec<P>,
}

/// Has a number, or none.
pub(super) trait Place: Copy + Default + PartialEq {
    /// None where the number is too large.
    fn of(hash: u32, number: u32) -> Option<Self>;

    /// The number, unless it cannot be that of the hash. Not asked of one that has none.
    fn number(self, hash: u32) -> Option<u32>;
}

/// The upper bits of a hash, and a number plus 1 in the others.
impl Place for u32 {
    #[inline(always)]
    fn of(hash: u32, number: u32) -> Option<Self> {
        (number < NUMBER).then_some(hash & !NUMBER | (number + 1))
    }

    #[inline(always)]
    fn number(self, hash: u32) -> Option<u32> {
        let like = (self ^ hash) & !NUMBER == 0;
        like.then_some((self & NUMBER) - 1)
    }
}

const NUMBER: u32 = (1 << 20) - 1;

/// A number plus 1.
impl Place for u16 {
    #[inline(always)]
    fn of(_: u32, number: u32) -> Option<Self> {
        u16::try_from(number + 1).ok()
    }

    #[inline(always)]
    fn number(self, _: u32) -> Option<u32> {
        Some(u32::from(self) - 1)
    }
}

impl<P: Place> Index<P> {
    /// With one and a half places for each of so many items, at least.
    pub fn new(items: usize) -> Self {
        let places = (items + items / 2).next_power_of_two().max(BLOCK);
        Index {
            places: vec![P::default(); places],
        }
    }

    pub fn clear(&mut self) {
        self.places.fill(P::default());
    }

    /// The number of the item, or the place where it would stand.
    #[inline(always)]
    pub fn find(&self, hash: u32, same: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let mut place = hash as usize & (self.places.len() - 1);
        for _ in 0..BLOCK {
            let seen = self.places[place];
            if seen == P::default() {
                return Err(place);
            }
            match seen.number(hash) {
                Some(number) if same(number) => return Ok(number),
                _ => place = place & !(BLOCK - 1) | (place + 1) & (BLOCK - 1),
            }
        }
        Err(NOWHERE)
    }

    /// Puts an item where it was looked for in vain.
    pub fn put(&mut self, place: usize, hash: u32, number: u32) -> Result<(), Full> {
        let place = self.places.get_mut(place).ok_or(Full)?;
        *place = P::of(hash, number).ok_or(Full)?;
        Ok(())
    }
}
