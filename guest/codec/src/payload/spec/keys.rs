//! Keys, and the value of each in each tag-set, dense or sparse.

use super::{column, is_run, run, sparse, string, word};
use crate::payload::{Header, FIXED_COLUMNS};
use vstd::prelude::*;

verus! {

/// The string id of each key, in the order of the key columns.
pub open spec fn key_ids(m: Seq<u8>, h: Header) -> Seq<u32> {
    run(column(m, 2), h.keys as int)
}

/// Whether `a` comes before `b` bytewise; a string comes after those that it begins with.
pub open spec fn before(a: Seq<u8>, b: Seq<u8>) -> bool
    decreases a.len(),
{
    if a.len() == 0 || b.len() == 0 {
        b.len() > 0
    } else {
        a[0] < b[0] || a[0] == b[0] && before(a.skip(1), b.skip(1))
    }
}

/// Whether the keys are strings, strictly ascending.
pub open spec fn keys_valid(m: Seq<u8>, h: Header) -> bool {
    let ids = key_ids(m, h);
    &&& is_run(column(m, 2), h.keys as int)
    &&& forall|k: int| 0 <= k < ids.len() ==> #[trigger] ids[k] < h.strings
    &&& forall|k: int|
        0 < k < ids.len() ==> before(
            string(m, h, ids[k - 1] as int),
            string(m, h, #[trigger] ids[k] as int),
        )
}

/// The column of key `k`.
pub open spec fn key(k: int) -> int {
    FIXED_COLUMNS + k
}

/// How many entries a column in sparse form has.
pub open spec fn entries(bytes: Seq<u8>) -> int {
    word(bytes, 0)
}

/// The numbers of a column in sparse form: of each entry a gap, and a string id + 1.
pub open spec fn pairs(bytes: Seq<u8>) -> Seq<u32> {
    run(bytes.skip(4), 2 * entries(bytes))
}

/// Whether `bytes` are a column in sparse form, whatever its numbers are.
pub open spec fn is_sparse_column(bytes: Seq<u8>) -> bool {
    bytes.len() >= 4 && is_run(bytes.skip(4), 2 * entries(bytes))
}

/// The tag-set of entry `e`: the sum of the gaps up to its own.
pub open spec fn entry_set(pairs: Seq<u32>, e: int) -> int
    decreases e + 1,
{
    if e < 0 {
        0
    } else {
        entry_set(pairs, e - 1) + pairs[2 * e]
    }
}

/// The string id + 1 of entry `e`.
pub open spec fn entry_value(pairs: Seq<u32>, e: int) -> u32 {
    pairs[2 * e + 1]
}

/// Zeros for `sets` tag-sets, with the first `n` entries written in their places, in order.
pub open spec fn spread(pairs: Seq<u32>, n: int, sets: nat) -> Seq<u32>
    decreases n,
{
    if n <= 0 {
        Seq::new(sets, |set: int| 0u32)
    } else {
        spread(pairs, n - 1, sets).update(entry_set(pairs, n - 1), entry_value(pairs, n - 1))
    }
}

/// For each tag-set the string id + 1 of the value of key `k`; 0 where the tag is absent.
pub open spec fn key_column(m: Seq<u8>, h: Header, k: int) -> Seq<u32> {
    let bytes = column(m, key(k));
    if sparse(m, key(k)) {
        spread(pairs(bytes), entries(bytes), h.sets as nat)
    } else {
        run(bytes, h.sets as int)
    }
}

/// Whether the entries of a sparse column have their place among `sets` tag-sets.
pub open spec fn entries_fit(bytes: Seq<u8>, sets: int) -> bool {
    &&& entries(bytes) <= sets
    &&& forall|e: int| 0 <= e < entries(bytes) ==> #[trigger] entry_set(pairs(bytes), e) < sets
}

/// Whether the column of key `k` says something of each tag-set.
pub open spec fn key_column_readable(m: Seq<u8>, h: Header, k: int) -> bool {
    let bytes = column(m, key(k));
    if sparse(m, key(k)) {
        is_sparse_column(bytes) && entries_fit(bytes, h.sets as int)
    } else {
        is_run(bytes, h.sets as int)
    }
}

/// Whether entry `e` is for a later tag-set than the one before, and its value is a string.
pub open spec fn entry_valid(pairs: Seq<u32>, e: int, strings: int) -> bool {
    &&& e > 0 ==> pairs[2 * e] > 0
    &&& 1 <= entry_value(pairs, e) <= strings
}

/// Whether the column of key `k` is right: every value that it has is a string.
pub open spec fn key_column_valid(m: Seq<u8>, h: Header, k: int) -> bool {
    let bytes = column(m, key(k));
    let values = key_column(m, h, k);
    &&& key_column_readable(m, h, k)
    &&& if sparse(m, key(k)) {
        forall|e: int|
            0 <= e < entries(bytes) ==> #[trigger] entry_valid(pairs(bytes), e, h.strings as int)
    } else {
        forall|set: int| 0 <= set < values.len() ==> #[trigger] values[set] <= h.strings
    }
}

/// Whether the columns of all keys are right.
pub open spec fn key_columns_valid(m: Seq<u8>, h: Header) -> bool {
    forall|k: int| 0 <= k < h.keys ==> #[trigger] key_column_valid(m, h, k)
}

} // verus!
