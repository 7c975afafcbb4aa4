//! Numbers of 64 bits, whatever they stand for.

use vstd::prelude::*;

verus! {

/// What 64 bits may stand for: a `u64`, or an `f64`.
pub trait Word: Copy {
    /// The bits of the number.
    spec fn bits(self) -> u64;

    /// The number with these bits.
    fn from_bits(bits: u64) -> (r: Self)
        ensures
            r.bits() == bits,
    ;
}

impl Word for u64 {
    open spec fn bits(self) -> u64 {
        self
    }

    #[inline(always)]
    fn from_bits(bits: u64) -> u64 {
        bits
    }
}

} // verus!
