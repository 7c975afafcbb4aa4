//! What the columns of a message are decoded into.

#[cfg(verus_keep_ghost)]
use crate::payload::spec;
#[cfg(verus_keep_ghost)]
use crate::payload::{MAX_POINTS, MAX_SETS, MAX_TIMESTAMP};
#[cfg(verus_keep_ghost)]
use crate::streamvbyte::sink::refused_in;
use crate::streamvbyte::sink::{take_each, GroupSink, Sink};
use crate::zigzag;
#[cfg(verus_keep_ghost)]
use crate::zigzag::unzigzag;
use vstd::prelude::*;

verus! {

/// Zigzag codes of differences, as the sums of those up to them.
pub(super) struct Times {
    pub n: usize,
    pub last: i64,
    /// What the first difference is to, and the codes taken.
    pub seen: Ghost<(i64, Seq<u32>)>,
}

impl Sink for Times {
    type Item = i64;

    type Plan = i64;

    open(super) spec fn plan(&self) -> i64 {
        self.seen@.0
    }

    open(super) spec fn well_formed(&self, out: Seq<i64>) -> bool {
        let (base, codes) = (self.seen@.0 as int, self.seen@.1);
        &&& self.n == codes.len()
        &&& self.n <= out.len() <= MAX_POINTS
        &&& 0 <= base <= MAX_TIMESTAMP
        &&& self.last == spec::time_after(base, codes, self.n as int)
        &&& forall|i: int|
            0 <= i < self.n ==> #[trigger] out[i] == spec::time_after(base, codes, i + 1)
    }

    open(super) spec fn taken(&self, out: Seq<i64>) -> Seq<u32> {
        self.seen@.1
    }

    open(super) spec fn refuses(&self, out: Seq<i64>, v: u32) -> bool {
        self.n >= out.len()
    }

    #[inline(always)]
    fn take(&mut self, out: &mut [i64], v: u32) -> (r: bool) {
        if self.n >= out.len() {
            return false;
        }
        proof {
            let (base, codes) = (self.seen@.0 as int, self.seen@.1);
            lemma_time_bounds(base, codes, self.n as int);
            lemma_time_push(base, codes, v);
        }
        let last = self.last + zigzag::decode(v as u64);
        out[self.n] = last;
        self.n += 1;
        self.last = last;
        self.seen = Ghost((self.seen@.0, self.seen@.1.push(v)));
        true
    }
}

impl GroupSink for Times {
    #[inline(always)]
    fn take_four(&mut self, out: &mut [i64], v: [u32; 4]) -> (r: bool) {
        take_each(self, out, v)
    }
}

/// Timestamps stay near to the first: a difference is one of 32 bits.
proof fn lemma_time_bounds(base: int, codes: Seq<u32>, n: int)
    requires
        0 <= n <= codes.len(),
    ensures
        -0x8000_0000 * n <= spec::time_after(base, codes, n) - base <= 0x8000_0000 * n,
    decreases n,
{
    if n > 0 {
        lemma_time_bounds(base, codes, n - 1);
    }
}

/// A code more changes no timestamp before it.
proof fn lemma_time_push(base: int, codes: Seq<u32>, v: u32)
    ensures
        forall|n: int|
            0 <= n <= codes.len() ==> spec::time_after(base, codes.push(v), n)
                == #[trigger] spec::time_after(base, codes, n),
        spec::time_after(base, codes.push(v), codes.len() as int + 1) == spec::time_after(
            base,
            codes,
            codes.len() as int,
        ) + unzigzag(v as int),
{
    assert forall|n: int| 0 <= n <= codes.len() implies spec::time_after(base, codes.push(v), n)
        == #[trigger] spec::time_after(base, codes, n) by {
        lemma_time_same(base, codes, codes.push(v), n);
    }
}

proof fn lemma_time_same(base: int, a: Seq<u32>, b: Seq<u32>, n: int)
    requires
        0 <= n <= a.len(),
        n <= b.len(),
        forall|i: int| 0 <= i < n ==> a[i] == b[i],
    ensures
        spec::time_after(base, a, n) == spec::time_after(base, b, n),
    decreases n,
{
    if n > 0 {
        lemma_time_same(base, a, b, n - 1);
    }
}

/// The entries of a column in sparse form, each in its place.
pub(super) struct Entries {
    pub set: u64,
    /// Whether the next number is a value: its gap was the last one.
    pub odd: bool,
    pub pairs: Ghost<Seq<u32>>,
}

impl Sink for Entries {
    type Item = u32;

    type Plan = ();

    open(super) spec fn plan(&self) -> () {
        ()
    }

    open(super) spec fn well_formed(&self, out: Seq<u32>) -> bool {
        let (pairs, sets) = (self.pairs@, out.len());
        let whole = pairs.len() as int / 2;
        &&& sets <= MAX_SETS
        &&& self.odd == (pairs.len() % 2 == 1)
        &&& out == spec::spread(pairs, whole, sets)
        &&& self.odd ==> self.set == spec::entry_set(pairs, whole) && self.set < sets
        &&& !self.odd ==> self.set == spec::entry_set(pairs, whole - 1)
        &&& !self.odd && whole > 0 ==> self.set < sets
        &&& whole == 0 && !self.odd ==> self.set == 0
    }

    open(super) spec fn taken(&self, out: Seq<u32>) -> Seq<u32> {
        self.pairs@
    }

    open(super) spec fn refuses(&self, out: Seq<u32>, v: u32) -> bool {
        let pairs = self.pairs@;
        pairs.len() % 2 == 0 && spec::entry_set(pairs, pairs.len() as int / 2 - 1) + v >= out.len()
    }

    #[inline(always)]
    fn take(&mut self, out: &mut [u32], v: u32) -> (r: bool) {
        let ghost pairs = self.pairs@;
        proof {
            lemma_entries_push(pairs, v, out@.len());
        }
        if self.odd {
            out[self.set as usize] = v;
            self.odd = false;
        } else {
            let set = self.set + v as u64;
            if set >= out.len() as u64 {
                return false;
            }
            self.set = set;
            self.odd = true;
        }
        self.pairs = Ghost(pairs.push(v));
        true
    }
}

impl GroupSink for Entries {
    #[inline(always)]
    fn take_four(&mut self, out: &mut [u32], v: [u32; 4]) -> (r: bool) {
        take_each(self, out, v)
    }
}

/// A number more changes no entry before it.
proof fn lemma_entries_push(pairs: Seq<u32>, v: u32, sets: nat)
    ensures
        ({
            let (more, whole) = (pairs.push(v), pairs.len() as int / 2);
            &&& spec::entry_set(more, whole - 1) == spec::entry_set(pairs, whole - 1)
            &&& spec::spread(more, whole, sets) == spec::spread(pairs, whole, sets)
            &&& pairs.len() % 2 == 0 ==> spec::entry_set(more, whole) == spec::entry_set(
                pairs,
                whole - 1,
            ) + v
            &&& pairs.len() % 2 == 1 ==> spec::spread(more, whole + 1, sets) == spec::spread(
                pairs,
                whole,
                sets,
            ).update(spec::entry_set(pairs, whole), v) && spec::entry_set(more, whole)
                == spec::entry_set(pairs, whole)
        }),
{
    let (more, whole) = (pairs.push(v), pairs.len() as int / 2);
    lemma_entry_set_same(pairs, more, whole - 1);
    lemma_spread_same(pairs, more, whole, sets);
    if pairs.len() % 2 == 1 {
        lemma_entry_set_same(pairs, more, whole);
    }
}

/// Entries depend on the numbers up to their own and on nothing else.
pub(super) proof fn lemma_entry_set_same(a: Seq<u32>, b: Seq<u32>, e: int)
    requires
        forall|i: int| 0 <= i <= 2 * e ==> a[i] == b[i],
    ensures
        spec::entry_set(a, e) == spec::entry_set(b, e),
    decreases e + 1,
{
    if e >= 0 {
        lemma_entry_set_same(a, b, e - 1);
    }
}

/// The entries taken were all in their places, and the one refused is not.
pub(super) proof fn lemma_entries_fit(column: Seq<u8>, sink: Entries, out: Seq<u32>)
    requires
        sink.well_formed(out),
        spec::entries(column) <= out.len(),
    ensures
        spec::is_sparse_column(column) ==> {
            let pairs = spec::pairs(column);
            &&& sink.taken(out) == pairs ==> spec::entries_fit(column, out.len() as int)
            &&& refused_in(pairs, sink, out) ==> !spec::entries_fit(column, out.len() as int)
        },
{
    let (pairs, n) = (spec::pairs(column), spec::entries(column));
    let (taken, sets) = (sink.taken(out), out.len() as int);
    if spec::is_sparse_column(column) && taken == pairs {
        assert forall|e: int| 0 <= e < n implies #[trigger] spec::entry_set(pairs, e) < sets by {
            lemma_entry_set_grows(pairs, e, n - 1);
        }
    }
    if spec::is_sparse_column(column) && refused_in(pairs, sink, out) {
        let e = taken.len() as int / 2;
        lemma_entry_set_same(taken, pairs, e - 1);
        assert(spec::entry_set(pairs, e) >= sets);
    }
}

/// Gaps are not negative.
proof fn lemma_entry_set_grows(pairs: Seq<u32>, e: int, f: int)
    requires
        e <= f,
    ensures
        spec::entry_set(pairs, e) <= spec::entry_set(pairs, f),
    decreases f - e,
{
    if e < f {
        lemma_entry_set_grows(pairs, e, f - 1);
    }
}

proof fn lemma_spread_same(a: Seq<u32>, b: Seq<u32>, n: int, sets: nat)
    requires
        forall|i: int| 0 <= i < 2 * n ==> a[i] == b[i],
    ensures
        spec::spread(a, n, sets) == spec::spread(b, n, sets),
    decreases n,
{
    if n > 0 {
        lemma_spread_same(a, b, n - 1, sets);
        lemma_entry_set_same(a, b, n - 1);
    }
}

} // verus!
