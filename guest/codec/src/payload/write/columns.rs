//! The columns of a message as bytes. What is written here reads back: `payload::spec` finds in the
//! bytes of each function the numbers that it was given.

#[cfg(verus_keep_ghost)]
use crate::bytes::{le_at, lemma_le_8, lemma_le_upto4};
#[cfg(verus_keep_ghost)]
use crate::payload::spec;
use crate::payload::MAX_SETS;
#[cfg(verus_keep_ghost)]
use crate::payload::{MAX_SPAN, MAX_TIMESTAMP};
use crate::streamvbyte;
#[cfg(verus_keep_ghost)]
use crate::streamvbyte::{
    control_len, encoded, lemma_offset, lemma_piece, offset, value, MAX_COUNT,
};
use crate::zigzag;
use alloc::{vec, vec::Vec};
use vstd::prelude::*;

verus! {

/// A column, and whether it is in sparse form.
pub(super) struct Coded {
    pub(super) bytes: Vec<u8>,
    pub(super) sparse: bool,
}

/// The run of these numbers.
pub(super) fn run(values: &[u32]) -> (bytes: Vec<u8>)
    requires
        values@.len() <= MAX_COUNT / 2,
    ensures
        spec::is_run(bytes@, values@.len() as int),
        spec::run(bytes@, values@.len() as int) == values@,
{
    let ghost n = values@.len() as int;
    let codes = (values.len() + 3) / 4;
    let mut bytes: Vec<u8> = vec![0; codes + 4 * values.len()];
    let (control, data) = bytes.as_mut_slice().split_at_mut(codes);
    let used = streamvbyte::encode(values, control, data);
    let ghost (head, whole) = (control@, data@);
    proof {
        lemma_offset(head, 0, n);
    }
    if let Some(used) = used {
        bytes.truncate(codes + used);
        proof {
            lemma_run(values@, head, whole, whole.take(used as int));
            assert(bytes@ =~= head + whole.take(used as int));
        }
    }
    bytes
}

proof fn lemma_run(values: Seq<u32>, control: Seq<u8>, whole: Seq<u8>, own: Seq<u8>)
    requires
        control.len() == control_len(values.len() as int),
        encoded(values, control, whole, values.len() as int),
        own == whole.take(offset(control, values.len() as int)),
    ensures
        spec::is_run(control + own, values.len() as int),
        spec::run(control + own, values.len() as int) == values,
{
    let n = values.len() as int;
    let bytes = control + own;
    assert(spec::control(bytes, n) =~= control);
    assert(spec::data(bytes, n) =~= own);
    assert(whole.skip(0) =~= whole);
    lemma_offset(control, 0, n);
    assert forall|i: int| 0 <= i < n implies spec::number(bytes, n, i) == #[trigger] values[i] by {
        assert(value(control, whole, i) == values[i]);
        lemma_offset(control, i + 1, n);
        lemma_piece(control, whole, 0, own, i);
    }
    assert(spec::run(bytes, n) =~= values);
}

/// The zigzag codes of the differences between timestamps, of the first to `base`.
pub(super) fn time_codes(base: i64, times: &[i64]) -> (codes: Vec<u32>)
    requires
        0 <= base <= MAX_TIMESTAMP,
        forall|i: int| 0 <= i < times@.len() ==> base <= #[trigger] times@[i] <= base + MAX_SPAN,
    ensures
        codes@.len() == times@.len(),
        forall|i: int|
            0 <= i < times@.len() ==> spec::time_after(base as int, codes@, i + 1)
                == #[trigger] times@[i],
{
    let mut codes: Vec<u32> = Vec::with_capacity(times.len());
    let mut last = base;
    let mut i: usize = 0;
    while i < times.len()
        invariant
            0 <= base <= MAX_TIMESTAMP,
            base <= last <= base + MAX_SPAN,
            i <= times@.len(),
            codes@.len() == i,
            last == spec::time_after(base as int, codes@, i as int),
            forall|k: int|
                0 <= k < times@.len() ==> base <= #[trigger] times@[k] <= base + MAX_SPAN,
            forall|k: int|
                0 <= k < i ==> spec::time_after(base as int, codes@, k + 1) == #[trigger] times@[k],
        decreases times@.len() - i,
    {
        let ghost before = codes@;
        let code = zigzag::encode(times[i] - last);
        codes.push(code as u32);
        proof {
            assert forall|k: int| 0 <= k <= i implies spec::time_after(base as int, codes@, k)
                == #[trigger] spec::time_after(base as int, before, k) by {
                lemma_time_same(base as int, before, codes@, k);
            }
        }
        last = times[i];
        i += 1;
    }
    codes
}

/// A sum depends on the codes before it and on nothing else.
proof fn lemma_time_same(base: int, a: Seq<u32>, b: Seq<u32>, n: int)
    requires
        forall|k: int| 0 <= k < n ==> a[k] == b[k],
    ensures
        spec::time_after(base, a, n) == spec::time_after(base, b, n),
    decreases n,
{
    if n > 0 {
        lemma_time_same(base, a, b, n - 1);
    }
}

/// What a column says of so many tag-sets; 0 stands for an absent value.
pub(super) open spec fn said(bytes: Seq<u8>, sparse: bool, sets: nat) -> Seq<u32> {
    if sparse {
        spec::spread(spec::pairs(bytes), spec::entries(bytes), sets)
    } else {
        spec::run(bytes, sets as int)
    }
}

/// Whether a column is well formed and says these values, one a tag-set.
pub(super) open spec fn says(bytes: Seq<u8>, sparse: bool, values: Seq<u32>) -> bool {
    &&& said(bytes, sparse, values.len()) == values
    &&& if sparse {
        spec::is_sparse_column(bytes) && spec::entries_fit(bytes, values.len() as int)
    } else {
        spec::is_run(bytes, values.len() as int)
    }
}

/// The column of a key in its shorter form. It stands for the values that it was made from.
pub(super) struct KeyColumn {
    coded: Coded,
    sets: usize,
}

impl KeyColumn {
    #[verifier::type_invariant]
    spec fn well_formed(self) -> bool {
        &&& self@.len() == self.sets
        &&& says(self.coded.bytes@, self.coded.sparse, self@)
    }

    /// The values, one a tag-set; 0 stands for an absent one.
    pub(super) closed spec fn view(self) -> Seq<u32> {
        said(self.coded.bytes@, self.coded.sparse, self.sets as nat)
    }

    /// Makes the column. `None` when there are more values than a message can have tag-sets.
    pub(super) fn new(values: &[u32]) -> (r: Option<Self>)
        ensures
            match r {
                Some(column) => column@ == values@,
                None => values@.len() > MAX_SETS,
            },
    {
        if values.len() > MAX_SETS as usize {
            return None;
        }
        Some(KeyColumn { coded: shorter(values), sets: values.len() })
    }

    /// How many values it has.
    pub(super) fn len(&self) -> (n: usize)
        ensures
            n == self@.len(),
    {
        proof {
            use_type_invariant(self);
        }
        self.sets
    }

    /// Its bytes and form.
    pub(super) fn coded(&self) -> (coded: Coded)
        ensures
            says(coded.bytes@, coded.sparse, self@),
    {
        proof {
            use_type_invariant(self);
        }
        Coded { bytes: copy(&self.coded.bytes), sparse: self.coded.sparse }
    }
}

/// Appends bytes.
#[inline(always)]
pub(super) fn append(out: &mut Vec<u8>, bytes: &[u8])
    ensures
        final(out)@ == old(out)@ + bytes@,
{
    out.extend_from_slice(bytes);
    assert(out@ =~= old(out)@ + bytes@);
}

/// The same bytes.
pub(super) fn copy(bytes: &[u8]) -> (copied: Vec<u8>)
    ensures
        copied@ == bytes@,
{
    let mut copied: Vec<u8> = Vec::with_capacity(bytes.len());
    append(&mut copied, bytes);
    assert(copied@ =~= bytes@);
    copied
}

/// The column of a key with these values, sparse where that is shorter.
fn shorter(values: &[u32]) -> (coded: Coded)
    requires
        values@.len() <= MAX_SETS,
    ensures
        says(coded.bytes@, coded.sparse, values@),
{
    let pairs = pairs(values);
    let dense = run(values);
    // No number takes less than a byte.
    if 4 + pairs.len() < dense.len() {
        let sparse = sparse(&pairs, Ghost(values@));
        if sparse.len() < dense.len() {
            return Coded { bytes: sparse, sparse: true };
        }
    }
    Coded { bytes: dense, sparse: false }
}

/// The column of these pairs in sparse form.
fn sparse(pairs: &[u32], Ghost(values): Ghost<Seq<u32>>) -> (bytes: Vec<u8>)
    requires
        values.len() <= MAX_SETS,
        paired(pairs@, values, values.len() as int),
    ensures
        says(bytes@, true, values),
{
    let count = (pairs.len() / 2) as u32;
    let mut bytes: Vec<u8> = Vec::new();
    push_u32(&mut bytes, count);
    let ghost head = bytes@;
    let mut entries = run(pairs);
    let ghost tail = entries@;
    bytes.append(&mut entries);
    proof {
        assert(bytes@ == head + tail);
        assert(bytes@.skip(4) =~= tail);
        assert(bytes@.subrange(0, 4) =~= head.subrange(0, 4));
        lemma_spread_len(pairs@, spec::entries(bytes@), values.len());
        assert(spec::spread(pairs@, spec::entries(bytes@), values.len()) =~= values);
    }
    bytes
}

/// Whether the pairs stand for the first `n` values and no others.
spec fn paired(pairs: Seq<u32>, values: Seq<u32>, n: int) -> bool {
    let entries = pairs.len() as int / 2;
    let spread = spec::spread(pairs, entries, values.len());
    &&& pairs.len() == 2 * entries
    &&& entries <= n
    &&& forall|e: int| 0 <= e < entries ==> 0 <= #[trigger] spec::entry_set(pairs, e) < n
    &&& forall|set: int| 0 <= set < n ==> #[trigger] spread[set] == values[set]
    &&& forall|set: int| n <= set < values.len() ==> #[trigger] spread[set] == 0
}

/// For each value that is not 0, the gap to the one before in tag-sets, and the value.
fn pairs(values: &[u32]) -> (pairs: Vec<u32>)
    requires
        values@.len() <= MAX_SETS,
    ensures
        paired(pairs@, values@, values@.len() as int),
{
    let mut pairs: Vec<u32> = Vec::with_capacity(2 * values.len());
    let mut last: u32 = 0;
    let mut set: usize = 0;
    while set < values.len()
        invariant
            set <= values@.len() <= MAX_SETS,
            last <= set,
            last == spec::entry_set(pairs@, pairs@.len() as int / 2 - 1),
            paired(pairs@, values@, set as int),
        decreases values@.len() - set,
    {
        if values[set] != 0 {
            let ghost before = pairs@;
            pairs.push(set as u32 - last);
            pairs.push(values[set]);
            proof {
                lemma_pair_more(before, pairs@, values@, set as int);
            }
            last = set as u32;
        }
        set += 1;
    }
    pairs
}

/// One pair more says one value more.
proof fn lemma_pair_more(before: Seq<u32>, after: Seq<u32>, values: Seq<u32>, set: int)
    requires
        0 <= set < values.len(),
        paired(before, values, set),
        after.len() == before.len() + 2,
        before.is_prefix_of(after),
        after[before.len() as int] == set - spec::entry_set(before, before.len() as int / 2 - 1),
        after[before.len() as int + 1] == values[set],
    ensures
        paired(after, values, set + 1),
        spec::entry_set(after, after.len() as int / 2 - 1) == set,
{
    let n = before.len() as int / 2;
    lemma_entries_same(before, after, n, values.len());
    lemma_spread_len(before, n, values.len());
    assert(spec::entry_set(after, n - 1) == spec::entry_set(before, n - 1));
    assert(spec::entry_set(after, n) == set);
    assert forall|e: int| 0 <= e < n + 1 implies 0 <= #[trigger] spec::entry_set(after, e) < set
        + 1 by {
        if e < n {
            assert(spec::entry_set(before, e) == spec::entry_set(after, e));
        }
    }
    let (old, new) = (
        spec::spread(before, n, values.len()),
        spec::spread(after, n + 1, values.len()),
    );
    assert(new == old.update(set, values[set]));
}

/// Entries depend on their own pairs and on those before them, and on nothing else.
proof fn lemma_entries_same(a: Seq<u32>, b: Seq<u32>, n: int, sets: nat)
    requires
        2 * n <= a.len(),
        a.is_prefix_of(b),
    ensures
        forall|e: int| e < n ==> #[trigger] spec::entry_set(a, e) == spec::entry_set(b, e),
        spec::spread(a, n, sets) == spec::spread(b, n, sets),
    decreases n,
{
    if n > 0 {
        lemma_entries_same(a, b, n - 1, sets);
        assert(a[2 * (n - 1)] == b[2 * (n - 1)] && a[2 * (n - 1) + 1] == b[2 * (n - 1) + 1]);
        assert(spec::entry_set(a, n - 1) == spec::entry_set(b, n - 1));
    }
}

proof fn lemma_spread_len(pairs: Seq<u32>, n: int, sets: nat)
    ensures
        spec::spread(pairs, n, sets).len() == sets,
    decreases n,
{
    if n > 0 {
        lemma_spread_len(pairs, n - 1, sets);
    }
}

/// Words of eight bytes, one after the other.
pub(super) fn words(values: &[u64]) -> (bytes: Vec<u8>)
    requires
        8 * values@.len() <= usize::MAX,
    ensures
        bytes@.len() == 8 * values@.len(),
        forall|i: int|
            0 <= i < values@.len() ==> le_at(bytes@, 8 * i, 8) == #[trigger] values@[i],
{
    let mut bytes: Vec<u8> = Vec::with_capacity(8 * values.len());
    let mut i: usize = 0;
    while i < values.len()
        invariant
            i <= values@.len(),
            bytes@.len() == 8 * i,
            forall|k: int| 0 <= k < i ==> le_at(bytes@, 8 * k, 8) == #[trigger] values@[k],
        decreases values@.len() - i,
    {
        let ghost before = bytes@;
        push_u64(&mut bytes, values[i]);
        proof {
            assert forall|k: int| 0 <= k <= i implies le_at(bytes@, 8 * k, 8)
                == #[trigger] values@[k] by {
                if k < i {
                    lemma_kept(before, bytes@, 8 * k, 8);
                }
            }
        }
        i += 1;
    }
    bytes
}

/// What stands in the front of bytes stays when more is appended.
pub(super) proof fn lemma_kept(a: Seq<u8>, b: Seq<u8>, at: int, len: int)
    requires
        a.is_prefix_of(b),
        0 <= at,
        0 <= len,
        at + len <= a.len(),
    ensures
        le_at(a, at, len) == le_at(b, at, len),
{
    assert(a.subrange(at, at + len) =~= b.subrange(at, at + len));
}

/// Appends a word of eight bytes.
#[inline(always)]
pub(super) fn push_u64(out: &mut Vec<u8>, v: u64)
    ensures
        final(out)@.len() == old(out)@.len() + 8,
        old(out)@.is_prefix_of(final(out)@),
        le_at(final(out)@, old(out)@.len() as int, 8) == v,
{
    let ghost at = out@.len() as int;
    push_u32(out, v as u32);
    let ghost half = out@;
    push_u32(out, (v >> 32) as u32);
    proof {
        lemma_kept(half, out@, at, 4);
        lemma_le_8(out@, at);
        assert(v == (v as u32) + 0x1_0000_0000 * ((v >> 32) as u32)) by (bit_vector);
    }
}

/// Appends a word.
#[inline(always)]
pub(super) fn push_u32(out: &mut Vec<u8>, v: u32)
    ensures
        final(out)@.len() == old(out)@.len() + 4,
        old(out)@.is_prefix_of(final(out)@),
        le_at(final(out)@, old(out)@.len() as int, 4) == v,
{
    let ghost at = out@.len() as int;
    append(out, &[v as u8, (v >> 8) as u8, (v >> 16) as u8, (v >> 24) as u8]);
    proof {
        lemma_le_upto4(out@, at, 4);
        assert(v == (v as u8) + 0x100 * ((v >> 8) as u8) + 0x1_0000 * ((v >> 16) as u8)
            + 0x100_0000 * ((v >> 24) as u8)) by (bit_vector);
    }
}

} // verus!
