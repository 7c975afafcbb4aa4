//! The dictionary of a message: its strings by id.

#[cfg(verus_keep_ghost)]
use super::{spec, MAX_LEN, MAX_STRINGS};
use crate::error::DecodeError;
use alloc::vec::Vec;
use vstd::prelude::*;

verus! {

/// The strings of a message, each exactly once, addressed by id.
#[derive(Clone, Copy)]
pub struct Strings<'a> {
    bytes: &'a [u8],
    /// Where each string starts, and last where the last one ends.
    bounds: &'a [u32],
}

impl<'a> Strings<'a> {
    #[verifier::type_invariant]
    spec fn invariant(self) -> bool {
        &&& self.bounds@.len() >= 1
        &&& forall|i: int|
            0 <= i < self.bounds@.len() - 1 ==> #[trigger] self.bounds@[i] <= self.bounds@[i + 1]
                <= self.bytes@.len()
    }

    /// The strings in the order of their ids.
    pub closed spec fn all(self) -> Seq<Seq<u8>> {
        Seq::new(
            (self.bounds@.len() - 1) as nat,
            |i: int| self.bytes@.subrange(self.bounds@[i] as int, self.bounds@[i + 1] as int),
        )
    }

    /// Strings that lie one after the other in `bytes`. `bounds` holds their lengths, and then
    /// where they start.
    pub(super) fn new(bytes: &'a [u8], bounds: &'a mut Vec<u32>) -> (r: Result<Self, DecodeError>)
        requires
            old(bounds)@.len() <= MAX_STRINGS,
            bytes@.len() <= MAX_LEN,
        ensures
            ({
                let lengths = old(bounds)@;
                let end = spec::bound(lengths, lengths.len() as int);
                match r {
                    Ok(s) => end <= bytes@.len() && s.all() == Seq::new(
                        lengths.len(),
                        |i: int| spec::piece(bytes@, lengths, i),
                    ),
                    Err(e) => e == DecodeError::Truncated && end > bytes@.len(),
                }
            }),
    {
        let ghost lengths = bounds@;
        let (n, text) = (bounds.len(), bytes.len() as u32);
        let mut end: u32 = 0;
        let mut i: usize = 0;
        // Several strings a turn, because at the end of each a guest looks whether its time is up.
        while n - i >= 4
            invariant
                i <= n,
                lengths == old(bounds)@,
                n == lengths.len() == bounds@.len(),
                end <= text == bytes@.len(),
                summed(lengths, bounds@, i as int, end as int),
            decreases n - i,
        {
            let (_, rest) = bounds.as_mut_slice().split_at_mut(i);
            let (four, _) = rest.split_at_mut(4);
            let (a, b, c, d) = (four[0], four[1], four[2], four[3]);
            proof {
                assert(a == lengths[i as int] && b == lengths[i + 1]);
                assert(c == lengths[i + 2] && d == lengths[i + 3]);
                assert(spec::bound(lengths, i + 1) == end + a);
                assert(spec::bound(lengths, i + 2) == end + a + b);
                assert(spec::bound(lengths, i + 3) == end + a + b + c);
                assert(spec::bound(lengths, i + 4) == end + a + b + c + d);
                lemma_bound(lengths, i + 4, n as int);
            }
            if a as u64 + b as u64 + c as u64 + d as u64 > (text - end) as u64 {
                return Err(DecodeError::Truncated);
            }
            four[0] = end;
            four[1] = end + a;
            four[2] = end + a + b;
            four[3] = end + a + b + c;
            end = end + a + b + c + d;
            proof {
                assert forall|k: int| 0 <= k < i + 4 implies #[trigger] bounds@[k] == spec::bound(
                    lengths,
                    k,
                ) by {
                    if k >= i {
                        assert(bounds@[k] == four@[k - i]);
                    }
                }
            }
            i += 4;
        }
        while i < n
            invariant
                i <= n,
                lengths == old(bounds)@,
                n == lengths.len() == bounds@.len(),
                end <= text == bytes@.len(),
                summed(lengths, bounds@, i as int, end as int),
            decreases n - i,
        {
            let len = bounds[i];
            if len > text - end {
                proof {
                    lemma_bound(lengths, i + 1, n as int);
                }
                return Err(DecodeError::Truncated);
            }
            bounds[i] = end;
            end += len;
            i += 1;
        }
        bounds.push(end);
        proof {
            assert forall|k: int| 0 <= k <= n implies #[trigger] bounds@[k] == spec::bound(
                lengths,
                k,
            ) by {
                lemma_bound(lengths, k, n as int);
            }
            assert forall|k: int| 0 <= k < n implies #[trigger] bounds@[k] <= bounds@[k + 1]
                <= bytes@.len() by {
                lemma_bound(lengths, k + 1, n as int);
            }
        }
        let strings = Strings { bytes, bounds: bounds.as_slice() };
        assert(strings.all() =~= Seq::new(
            lengths.len(),
            |i: int| spec::piece(bytes@, lengths, i),
        ));
        Ok(strings)
    }

    /// How many strings there are.
    #[inline]
    pub fn len(&self) -> (n: usize)
        ensures
            n == self.all().len(),
    {
        proof {
            use_type_invariant(self);
        }
        self.bounds.len() - 1
    }

    /// Whether there are none. A valid message has at least one.
    #[inline]
    pub fn is_empty(&self) -> (r: bool)
        ensures
            r == (self.all().len() == 0),
    {
        self.len() == 0
    }

    /// String `id`; empty when there is none of that id (no valid string is empty).
    #[inline]
    pub fn get(&self, id: u32) -> (r: &'a [u8])
        ensures
            r@ == if id < self.all().len() {
                self.all()[id as int]
            } else {
                Seq::empty()
            },
    {
        proof {
            use_type_invariant(self);
        }
        let id = id as usize;
        if id >= self.bounds.len() - 1 {
            let none = &self.bytes[0..0];
            assert(none@ =~= Seq::empty());
            return none;
        }
        &self.bytes[self.bounds[id] as usize..self.bounds[id + 1] as usize]
    }
}

/// Whether the first `i` lengths became bounds, and the next bound is `end`.
spec fn summed(lengths: Seq<u32>, bounds: Seq<u32>, i: int, end: int) -> bool {
    &&& end == spec::bound(lengths, i)
    &&& forall|k: int| 0 <= k < i ==> #[trigger] bounds[k] == spec::bound(lengths, k)
    &&& forall|k: int| i <= k < bounds.len() ==> #[trigger] bounds[k] == lengths[k]
}

/// Bounds rise.
proof fn lemma_bound(lengths: Seq<u32>, i: int, j: int)
    requires
        0 <= i <= j <= lengths.len(),
    ensures
        0 <= spec::bound(lengths, i) <= spec::bound(lengths, j),
    decreases j,
{
    if i < j {
        lemma_bound(lengths, i, j - 1);
    } else if i > 0 {
        lemma_bound(lengths, i - 1, j - 1);
    }
}

} // verus!

impl<'a> Strings<'a> {
    /// All strings in the order of their ids.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        (0..self.len() as u32).map(|id| self.get(id))
    }
}
