//! What Verus does not see, and is trusted instead. Nothing else in this crate is: every other
//! implementation of a contract is proved.

use crate::payload::Word;

// Trusted, because vstd has no specification of `f64::from_bits`: that it keeps its bits.
impl Word for f64 {
    #[cfg(verus_keep_ghost)]
    fn bits(self) -> u64 {
        self.to_bits()
    }

    #[inline(always)]
    fn from_bits(bits: u64) -> f64 {
        f64::from_bits(bits)
    }
}
