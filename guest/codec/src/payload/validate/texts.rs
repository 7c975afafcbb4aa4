//! The strings of a dictionary, where they lie.

use vstd::prelude::*;

verus! {

/// Strings that lie one after the other in `text`.
pub(super) struct Texts<'a> {
    text: &'a [u8],
    /// Where each string starts, and last where the last one ends.
    bounds: &'a [u32],
}

impl<'a> Texts<'a> {
    #[verifier::type_invariant]
    spec fn well_formed(self) -> bool {
        bounded(self.text@, self.bounds@)
    }

    /// The strings by id.
    pub(super) closed spec fn view(self) -> Seq<Seq<u8>> {
        pieces(self.text@, self.bounds@)
    }

    pub(super) fn new(text: &'a [u8], bounds: &'a [u32]) -> (r: Self)
        requires
            bounded(text@, bounds@),
        ensures
            r@ == pieces(text@, bounds@),
    {
        Texts { text, bounds }
    }

    /// The bytes of all strings together.
    pub(super) fn text(&self) -> (r: &'a [u8])
        ensures
            forall|i: int, k: int|
                0 <= i < self@.len() && 0 <= k < self@[i].len() ==> r@.contains(
                    #[trigger] self@[i][k],
                ),
    {
        proof {
            use_type_invariant(self);
            assert forall|i: int, k: int|
                0 <= i < self@.len() && 0 <= k < self@[i].len() implies self.text@.contains(
                #[trigger] self@[i][k],
            ) by {
                assert(self@[i][k] == self.text@[self.bounds@[i] + k]);
            }
        }
        self.text
    }

    /// How many strings there are.
    #[inline(always)]
    pub(super) fn count(&self) -> (n: usize)
        ensures
            n == self@.len(),
    {
        proof {
            use_type_invariant(self);
        }
        self.bounds.len() - 1
    }

    /// The bytes of string `id`. The caller proves that there is one.
    #[inline(always)]
    pub(super) fn get(&self, id: usize) -> (r: &'a [u8])
        requires
            id < self@.len(),
        ensures
            r@ == self@[id as int],
    {
        proof {
            use_type_invariant(self);
        }
        &self.text[self.bounds[id] as usize..self.bounds[id + 1] as usize]
    }
}

/// Whether every bound is in the text, and none is before the one before it.
pub(super) open spec fn bounded(text: Seq<u8>, bounds: Seq<u32>) -> bool {
    &&& bounds.len() > 0
    &&& forall|i: int, j: int|
        0 <= i <= j < bounds.len() ==> #[trigger] bounds[i] <= #[trigger] bounds[j] <= text.len()
}

/// The pieces between neighbouring bounds.
pub(super) open spec fn pieces(text: Seq<u8>, bounds: Seq<u32>) -> Seq<Seq<u8>> {
    Seq::new(
        (bounds.len() - 1) as nat,
        |i: int| text.subrange(bounds[i] as int, bounds[i + 1] as int),
    )
}

} // verus!
