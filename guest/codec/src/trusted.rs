//! What Verus does not see, and is trusted instead. Nothing else in this crate is: every other
//! implementation of a contract is proved.

use crate::payload::Word;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub(crate) use crate::streamvbyte::decode::load_each as load_four;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use simd::load_four;

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

/// What a guest decodes groups of four numbers with. The prover sees, and every other target has,
/// the proven function in its place.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd {
    #[cfg(verus_keep_ghost)]
    use crate::streamvbyte::value;
    use core::arch::wasm32::{u32x4_extract_lane, u64x2, u8x16_swizzle};
    use vstd::prelude::*;

    verus! {

    /// The four values of control byte `c` from the front of `block`.
    // Trusted, because vstd has no specification of SIMD: that it gives what `load_each` gives. A
    // test in a guest holds one against the other, for every control byte and alignment.
    #[verifier::external_body]
    #[inline(always)]
    pub(crate) fn load_four(c: u8, block: &[u8]) -> (r: [u32; 4])
        requires
            block@.len() == 16,
        ensures
            forall|j: int| 0 <= j < 4 ==> #[trigger] r@[j] == value(seq![c], block@, j),
    {
        // Of these the compiler makes one load of sixteen bytes.
        let word = |b: &[u8]| {
            u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])
        };
        let load = |bytes: &[u8]| u64x2(word(&bytes[..8]), word(&bytes[8..16]));
        let v = u8x16_swizzle(load(block), load(&SHUFFLES[c as usize]));
        [
            u32x4_extract_lane::<0>(v),
            u32x4_extract_lane::<1>(v),
            u32x4_extract_lane::<2>(v),
            u32x4_extract_lane::<3>(v),
        ]
    }

    } // verus!

    /// For each control byte, where the bytes of the four values come from; above 15 they are zero.
    static SHUFFLES: [[u8; 16]; 256] = {
        let mut shuffles = [[0xff; 16]; 256];
        let mut c = 0;
        while c < 256 {
            let (mut value, mut from) = (0, 0);
            while value < 4 {
                let len = (c >> (2 * value) & 3) + 1;
                let mut byte = 0;
                while byte < len {
                    shuffles[c][4 * value + byte] = from;
                    from += 1;
                    byte += 1;
                }
                value += 1;
            }
            c += 1;
        }
        shuffles
    };
}
