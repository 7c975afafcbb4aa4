//! Sets of tag-sets of one metric, by their place among the metric's.

use core::ops::{BitAnd, BitOr, BitOrAssign, Not};

pub trait Bits:
    Copy
    + Default
    + PartialEq
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitOrAssign
    + Not<Output = Self>
{
    fn bit(at: usize) -> Self;
    /// Each place moved up by one: for wide bits that is cheaper than to make one at a place.
    fn up(self) -> Self;
    /// The first `n`, of which there is at least one.
    fn first(n: usize) -> Self;
    fn is_empty(self) -> bool;
    /// Whether there is no more than one.
    fn is_lone(self) -> bool;
    fn lowest(self) -> usize;
    fn without_lowest(self) -> Self;
    /// All of its bits in one word, for a hash.
    fn folded(self) -> u64;
}

macro_rules! bits {
    ($word:ty) => {
        impl Bits for $word {
            #[inline(always)]
            fn bit(at: usize) -> Self {
                1 << (at % <$word>::BITS as usize)
            }

            #[inline(always)]
            fn up(self) -> Self {
                self << 1
            }

            #[inline(always)]
            fn first(n: usize) -> Self {
                <$word>::MAX >> (<$word>::BITS as usize - n)
            }

            #[inline(always)]
            fn is_empty(self) -> bool {
                self == 0
            }

            #[inline(always)]
            fn is_lone(self) -> bool {
                self & self.wrapping_sub(1) == 0
            }

            #[inline(always)]
            fn lowest(self) -> usize {
                self.trailing_zeros() as usize
            }

            #[inline(always)]
            fn without_lowest(self) -> Self {
                self & self.wrapping_sub(1)
            }

            #[inline(always)]
            fn folded(self) -> u64 {
                self as u64 ^ (self >> (<$word>::BITS / 2)) as u64
            }
        }
    };
}

bits!(u64);
bits!(u128);
