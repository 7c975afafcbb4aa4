//! What takes the numbers of a run, one by one or four at a time.

use super::*;

verus! {

/// What the numbers of a run become, in the slice that the caller gives along.
pub(crate) trait Sink: Sized {
    /// The elements of that slice.
    type Item;

    /// What the sink was made for; it stays.
    type Plan;

    spec fn plan(&self) -> Self::Plan;

    spec fn well_formed(&self, out: Seq<Self::Item>) -> bool;

    /// The numbers taken so far.
    spec fn taken(&self, out: Seq<Self::Item>) -> Seq<u32>;

    /// Whether the sink has no place for `v` as the next number.
    spec fn refuses(&self, out: Seq<Self::Item>, v: u32) -> bool;

    /// Takes the next number; answers whether it has a place.
    fn take(&mut self, out: &mut [Self::Item], v: u32) -> (r: bool)
        requires
            old(self).well_formed(old(out)@),
        ensures
            final(self).plan() == old(self).plan(),
            final(self).well_formed(final(out)@),
            final(out)@.len() == old(out)@.len(),
            r ==> final(self).taken(final(out)@) == old(self).taken(old(out)@).push(v),
            !r ==> {
                &&& final(self).taken(final(out)@) == old(self).taken(old(out)@)
                &&& final(self).refuses(final(out)@, v)
            },
    ;

}

/// A sink that may take four numbers at once.
pub(crate) trait GroupSink: Sink {
    /// Takes the next four numbers; answers whether all of them have a place.
    fn take_four(&mut self, out: &mut [Self::Item], v: [u32; 4]) -> (r: bool)
        requires
            old(self).well_formed(old(out)@),
        ensures
            final(self).plan() == old(self).plan(),
            final(self).well_formed(final(out)@),
            final(out)@.len() == old(out)@.len(),
            r ==> final(self).taken(final(out)@) == old(self).taken(old(out)@) + v@,
            !r ==> exists|n: int|
                0 <= n < 4 && final(self).taken(final(out)@) == old(self).taken(old(out)@)
                    + v@.take(n) && final(self).refuses(final(out)@, #[trigger] v@[n]),
    ;
}

/// Takes four numbers, one after the other.
#[inline(always)]
pub(crate) fn take_each<K: Sink>(sink: &mut K, out: &mut [K::Item], v: [u32; 4]) -> (r: bool)
    requires
        old(sink).well_formed(old(out)@),
    ensures
        final(sink).plan() == old(sink).plan(),
        final(sink).well_formed(final(out)@),
        final(out)@.len() == old(out)@.len(),
        r ==> final(sink).taken(final(out)@) == old(sink).taken(old(out)@) + v@,
        !r ==> exists|n: int|
            0 <= n < 4 && final(sink).taken(final(out)@) == old(sink).taken(old(out)@) + v@.take(n)
                && final(sink).refuses(final(out)@, #[trigger] v@[n]),
{
    let ghost before = sink.taken(out@);
    proof {
        lemma_pushes(before, v@);
    }
    if !sink.take(out, v[0]) {
        assert(sink.refuses(out@, v@[0]));
        return false;
    }
    if !sink.take(out, v[1]) {
        assert(sink.refuses(out@, v@[1]));
        return false;
    }
    if !sink.take(out, v[2]) {
        assert(sink.refuses(out@, v@[2]));
        return false;
    }
    if !sink.take(out, v[3]) {
        assert(sink.refuses(out@, v@[3]));
        return false;
    }
    true
}

proof fn lemma_pushes(before: Seq<u32>, v: Seq<u32>)
    requires
        v.len() == 4,
    ensures
        before + v.take(0) == before,
        before + v.take(1) == before.push(v[0]),
        before + v.take(2) == before.push(v[0]).push(v[1]),
        before + v.take(3) == before.push(v[0]).push(v[1]).push(v[2]),
        before + v == before.push(v[0]).push(v[1]).push(v[2]).push(v[3]),
{
    assert(before + v.take(0) =~= before);
    assert(before + v.take(1) =~= before.push(v[0]));
    assert(before + v.take(2) =~= before.push(v[0]).push(v[1]));
    assert(before + v.take(3) =~= before.push(v[0]).push(v[1]).push(v[2]));
    assert(before + v =~= before.push(v[0]).push(v[1]).push(v[2]).push(v[3]));
}

/// The first `n` numbers of two streams.
pub(crate) open spec fn numbers(control: Seq<u8>, data: Seq<u8>, n: int) -> Seq<u32> {
    Seq::new(n as nat, |i: int| value(control, data, i) as u32)
}

/// Whether the sink took the first of these numbers, but not all, and refuses the next.
pub(crate) open spec fn refused_in<K: Sink>(all: Seq<u32>, sink: K, out: Seq<K::Item>) -> bool {
    let n = sink.taken(out).len() as int;
    n < all.len() && sink.taken(out) == all.take(n) && sink.refuses(out, all[n])
}

} // verus!
