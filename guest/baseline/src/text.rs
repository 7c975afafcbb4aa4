//! A hash of texts that is cheap on wasm32, where wide multiplications and byte steps are not.

use core::hash::{BuildHasherDefault, Hasher};
use hashbrown::HashMap;

/// A map by text. The texts are an organization's own, so nobody gains by making them collide.
pub(crate) type TextMap<K, V> = HashMap<K, V, BuildHasherDefault<TextHasher>>;

const K: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Default)]
pub(crate) struct TextHasher(u64);

impl TextHasher {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(26) ^ word).wrapping_mul(K);
    }
}

impl Hasher for TextHasher {
    #[inline]
    fn write(&mut self, text: &[u8]) {
        let mut chunks = text.chunks_exact(8);
        for c in &mut chunks {
            self.word(u64::from_le_bytes([
                c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7],
            ]));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            self.word(
                rest.iter()
                    .fold(0, |word, &byte| word << 8 | u64::from(byte)),
            );
        }
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The map takes its tag from the top bits and the place from the low ones, and a product's
        // low bits know nothing of a word's high ones: these are folded in first.
        let folded = (self.0 ^ (self.0 >> 32)).wrapping_mul(K);
        folded ^ (folded >> 32)
    }
}
