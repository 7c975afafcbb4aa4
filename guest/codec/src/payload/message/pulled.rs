//! Which columns of a message were pulled: a bit for each possible one.

use crate::payload::{FIXED_COLUMNS, MAX_KEYS};
use vstd::prelude::*;

verus! {

/// Words that hold a bit for each column.
const WORDS: usize = 5;

/// The most columns of a message.
pub(super) const MAX_COLUMNS: usize = 264;

/// A set of columns.
#[derive(Clone, Copy)]
pub(super) struct Pulled {
    words: [u64; WORDS],
}

/// Whether bit `i` of `word` is set.
pub(super) open spec fn bit(word: u64, i: u64) -> bool {
    (word >> i) & 1 == 1
}

impl Pulled {
    /// Whether column `c` is in the set.
    pub(super) closed spec fn has(self, c: int) -> bool {
        0 <= c < MAX_COLUMNS && bit(self.words@[c / 64], (c % 64) as u64)
    }

    /// No column.
    pub(super) fn none() -> (none: Pulled)
        ensures
            forall|c: int| !#[trigger] none.has(c),
    {
        proof {
            assert forall|i: u64| i < 64 implies !#[trigger] bit(0, i) by {
                assert(i < 64 ==> (0u64 >> i) & 1 == 0) by (bit_vector);
            }
        }
        Pulled { words: [0; WORDS] }
    }

    /// Every column.
    pub(super) fn all() -> (all: Pulled)
        ensures
            forall|c: int| 0 <= c < MAX_COLUMNS ==> #[trigger] all.has(c),
    {
        proof {
            assert forall|i: u64| i < 64 implies #[trigger] bit(u64::MAX, i) by {
                assert(i < 64 ==> (0xffff_ffff_ffff_ffffu64 >> i) & 1 == 1) by (bit_vector);
            }
        }
        Pulled { words: [u64::MAX; WORDS] }
    }

    /// Whether column `c` is in the set.
    #[inline(always)]
    pub(super) fn contains(&self, c: usize) -> (r: bool)
        ensures
            r == self.has(c as int),
    {
        c < MAX_COLUMNS && (self.words[c / 64] >> (c % 64) as u64) & 1 == 1
    }

    /// Adds column `c`, when there can be one.
    pub(super) fn insert(&mut self, c: usize)
        ensures
            forall|d: int| #[trigger]
                final(self).has(d) == (old(self).has(d) || d == c && c < MAX_COLUMNS),
    {
        if c >= MAX_COLUMNS {
            return;
        }
        let i = (c % 64) as u64;
        let word = self.words[c / 64];
        proof {
            assert forall|j: u64| j < 64 implies #[trigger] bit(word | (1u64 << i), j) == (bit(
                word,
                j,
            ) || j == i) by {
                assert(i < 64 && j < 64 ==> (((word | (1u64 << i)) >> j) & 1 == 1) == ((word >> j)
                    & 1 == 1 || j == i)) by (bit_vector);
            }
        }
        self.words[c / 64] = word | (1u64 << i);
    }
}

} // verus!

const _: () = assert!(MAX_COLUMNS == FIXED_COLUMNS + MAX_KEYS as usize);
