//! What each error says of a message. Nothing here is compiled.

use crate::payload::spec::*;
use crate::payload::{
    PayloadError, FIXED_COLUMNS, MAGIC, MAX_KEYS, MAX_LEN, MAX_POINTS, MAX_SETS, MAX_SPAN,
    MAX_STRINGS, MAX_STRING_LEN, MAX_TIMESTAMP, TAIL_LEN,
};
use vstd::prelude::*;
use vstd::utf8::valid_utf8;

verus! {

/// Whether what an error says is true of message `m`, and against the format.
pub open spec fn is_fault(m: Seq<u8>, e: PayloadError) -> bool {
    ||| is_header_fault(m, e)
    ||| is_layout_fault(m, e)
    ||| is_length_fault(m, e)
    ||| is_string_fault(m, e)
    ||| is_row_fault(m, e)
    ||| is_key_column_fault(m, e)
}

/// Faults of a field of the header.
pub open spec fn is_header_fault(m: Seq<u8>, e: PayloadError) -> bool {
    let h = header(m);
    match e {
        PayloadError::TooShort { len } => len == m.len() < min_len(),
        PayloadError::TooLong { len } => len == m.len() > MAX_LEN,
        PayloadError::Magic { found } => found == word(m, 0) && found != MAGIC,
        PayloadError::Length { claimed, actual } => {
            claimed == h.len && actual == m.len() && claimed != actual
        },
        PayloadError::Reserved { found } => found == word(m, 28) && found != 0,
        PayloadError::Strings { count } => count == h.strings > MAX_STRINGS,
        PayloadError::Keys { count } => count == h.keys > MAX_KEYS,
        PayloadError::Sets { count } => count == h.sets && !(1 <= count <= MAX_SETS),
        PayloadError::Points { count } => count == h.points && !(1 <= count <= MAX_POINTS),
        PayloadError::TimeRange { ts } => {
            (ts == h.min_ts || ts == h.max_ts) && !(0 <= ts <= MAX_TIMESTAMP)
        },
        PayloadError::TimeOrder { min, max } => min == h.min_ts && max == h.max_ts && min > max,
        PayloadError::TimeSpan { span } => span == h.max_ts - h.min_ts > MAX_SPAN,
        _ => false,
    }
}

/// Faults of the column table and of what lies between columns.
pub open spec fn is_layout_fault(m: Seq<u8>, e: PayloadError) -> bool {
    let h = header(m);
    match e {
        PayloadError::Table { end } => end == table_end(h) > m.len() - TAIL_LEN,
        PayloadError::ColumnOffset { column, found, expected } => {
            &&& column < columns(h)
            &&& found == start(m, column as int)
            &&& expected == place(m, h, column as int)
            &&& found != expected
        },
        PayloadError::ColumnBounds { column, end: to } => {
            &&& column < columns(h)
            &&& to == no_more_than(end(m, column as int), usize::MAX as int)
            &&& aligned(end(m, column as int)) > m.len() - TAIL_LEN
        },
        PayloadError::Prefix { found, expected } => {
            found == h.prefix && expected == end(m, 2) && found != expected
        },
        PayloadError::Padding { at, found } => {
            &&& at < m.len()
            &&& found == m[at as int] && found != 0
            &&& at >= m.len() - TAIL_LEN || exists|c: int|
                #[trigger] is_after_column(m, c, at as int)
        },
        PayloadError::Tail { found } => {
            found == m.len() - place(m, h, columns(h)) && found != TAIL_LEN
        },
        _ => false,
    }
}

/// An end that no `usize` can hold is named by the greatest one.
pub open spec fn no_more_than(n: int, most: int) -> int {
    if n < most { n } else { most }
}

/// Whether byte `at` lies between column `c` and where the next one starts.
pub open spec fn is_after_column(m: Seq<u8>, c: int, at: int) -> bool {
    0 <= c < columns(header(m)) && end(m, c) <= at < aligned(end(m, c))
}

/// Faults of a column's length.
pub open spec fn is_length_fault(m: Seq<u8>, e: PayloadError) -> bool {
    e matches PayloadError::ColumnLength { column: c, found } && {
        &&& 0 <= c < columns(header(m))
        &&& found == column(m, c as int).len()
        &&& !is_filled(m, c as int)
    }
}

/// Whether the bytes of a column are as many as its values take.
pub open spec fn is_filled(m: Seq<u8>, c: int) -> bool {
    let h = header(m);
    let bytes = column(m, c);
    if c == 0 {
        is_run(bytes, h.strings as int)
    } else if c == 2 {
        is_run(bytes, h.keys as int)
    } else if c == 3 {
        is_run(bytes, h.sets as int)
    } else if c == 4 || c == 5 {
        is_run(bytes, h.points as int)
    } else if c == 6 {
        bytes.len() == 8 * h.points
    } else if c == 7 {
        bytes.len() == 0 || is_run(bytes, h.points as int)
    } else if c >= FIXED_COLUMNS {
        if sparse(m, c) {
            is_sparse_column(bytes)
        } else {
            is_run(bytes, h.sets as int)
        }
    } else {
        true
    }
}

/// Faults of strings and keys.
pub open spec fn is_string_fault(m: Seq<u8>, e: PayloadError) -> bool {
    let h = header(m);
    match e {
        PayloadError::StringLength { string: i, len } => {
            &&& i < h.strings
            &&& len == string_lengths(m, h)[i as int]
            &&& !(1 <= len <= MAX_STRING_LEN)
        },
        PayloadError::StringBytes { claimed, actual } => {
            &&& claimed == bound(string_lengths(m, h), h.strings as int)
            &&& actual == column(m, 1).len()
            &&& claimed != actual
        },
        PayloadError::Utf8 { string: i } => i < h.strings && !valid_utf8(string(m, h, i as int)),
        PayloadError::DuplicateString { first, second } => {
            &&& first < second < h.strings
            &&& string(m, h, first as int) == string(m, h, second as int)
        },
        PayloadError::KeyId { key, string } => {
            key < h.keys && string == key_ids(m, h)[key as int] >= h.strings
        },
        PayloadError::KeyOrder { key } => {
            &&& 0 < key < h.keys
            &&& !before(
                string(m, h, key_ids(m, h)[key - 1] as int),
                string(m, h, key_ids(m, h)[key as int] as int),
            )
        },
        _ => false,
    }
}

/// Faults of tag-sets and points.
pub open spec fn is_row_fault(m: Seq<u8>, e: PayloadError) -> bool {
    let h = header(m);
    match e {
        PayloadError::MetricId { set, string } => {
            set < h.sets && string == metric_ids(m, h)[set as int] >= h.strings
        },
        PayloadError::SetId { point, set } => {
            point < h.points && set == set_ids(m, h)[point as int] >= h.sets
        },
        PayloadError::Timestamp { point, ts } => {
            &&& point < h.points
            &&& ts == time(m, h, point as int)
            &&& !(h.min_ts <= ts <= h.max_ts)
        },
        PayloadError::MinTs { claimed, actual } => {
            &&& claimed == h.min_ts && claimed != actual
            &&& exists|i: int| 0 <= i < h.points && #[trigger] time(m, h, i) == actual
            &&& forall|i: int| 0 <= i < h.points ==> #[trigger] time(m, h, i) >= actual
        },
        PayloadError::MaxTs { claimed, actual } => {
            &&& claimed == h.max_ts && claimed != actual
            &&& exists|i: int| 0 <= i < h.points && #[trigger] time(m, h, i) == actual
            &&& forall|i: int| 0 <= i < h.points ==> #[trigger] time(m, h, i) <= actual
        },
        _ => false,
    }
}

/// Faults of the values of a key.
pub open spec fn is_key_column_fault(m: Seq<u8>, e: PayloadError) -> bool {
    let h = header(m);
    match e {
        PayloadError::ValueId { key: k, set, code } => {
            &&& k < h.keys
            &&& set < h.sets
            &&& code > h.strings
            &&& names_value(m, k as int, set, code)
        },
        PayloadError::SparseCount { key: k, count } => {
            let bytes = column(m, key(k as int));
            k < h.keys && sparse(m, key(k as int)) && count == entries(bytes) > h.sets
        },
        PayloadError::SparseGap { key: k, entry: e, gap } => {
            let pairs = pairs(column(m, key(k as int)));
            &&& has_entry(m, k as int, e as int)
            &&& gap == pairs[2 * e]
            &&& gap == 0 && e > 0 || entry_set(pairs, e as int) >= h.sets
        },
        PayloadError::SparseAbsent { key: k, entry: e } => {
            &&& has_entry(m, k as int, e as int)
            &&& entry_value(pairs(column(m, key(k as int))), e as int) == 0
        },
        _ => false,
    }
}

/// Whether the column of key `k` is sparse and has an entry `e`.
pub open spec fn has_entry(m: Seq<u8>, k: int, e: int) -> bool {
    &&& 0 <= k < header(m).keys
    &&& sparse(m, key(k))
    &&& 0 <= e < entries(column(m, key(k)))
}

/// Whether the column of key `k` says `code` of a tag-set.
pub open spec fn names_value(m: Seq<u8>, k: int, set: u32, code: u32) -> bool {
    let bytes = column(m, key(k));
    if sparse(m, key(k)) {
        let pairs = pairs(bytes);
        exists|e: int|
            has_entry(m, k, e) && entry_set(pairs, e) == set && #[trigger] entry_value(pairs, e)
                == code
    } else {
        code == run(bytes, header(m).sets as int)[set as int]
    }
}

/// No message with a fault is valid: so whatever is refused is refused rightly.
pub proof fn lemma_no_fault_is_valid(m: Seq<u8>, e: PayloadError)
    requires
        is_fault(m, e),
    ensures
        !valid(m),
{
    if valid(m) {
        assert(!is_header_fault(m, e));
        lemma_no_layout_fault(m, e);
        lemma_no_length_fault(m, e);
        lemma_no_string_fault(m, e);
        lemma_no_row_fault(m, e);
        lemma_no_key_column_fault(m, e);
    }
}

proof fn lemma_no_layout_fault(m: Seq<u8>, e: PayloadError)
    requires
        valid(m),
    ensures
        !is_layout_fault(m, e),
{
    if let PayloadError::ColumnOffset { column, .. } = e {
        assert(column < columns(header(m)) ==> column_valid(m, header(m), column as int));
    }
    if let PayloadError::ColumnBounds { column, .. } = e {
        assert(column < columns(header(m)) ==> column_valid(m, header(m), column as int));
    }
    if let PayloadError::Padding { at, .. } = e {
        assert forall|c: int| #[trigger] is_after_column(m, c, at as int) implies m[at as int]
            == 0 by {
            assert(column_valid(m, header(m), c));
        }
    }
}

proof fn lemma_no_length_fault(m: Seq<u8>, e: PayloadError)
    requires
        valid(m),
    ensures
        !is_length_fault(m, e),
{
    if let PayloadError::ColumnLength { column: c, .. } = e {
        if FIXED_COLUMNS <= c < columns(header(m)) {
            assert(key_column_valid(m, header(m), c - FIXED_COLUMNS));
        }
    }
}

proof fn lemma_no_string_fault(m: Seq<u8>, e: PayloadError)
    requires
        valid(m),
    ensures
        !is_string_fault(m, e),
{
    let h = header(m);
    let all = dictionary(m, h);
    assert forall|i: int| 0 <= i < h.strings implies #[trigger] string(m, h, i) == all[i] by {}
}

proof fn lemma_no_row_fault(m: Seq<u8>, e: PayloadError)
    requires
        valid(m),
    ensures
        !is_row_fault(m, e),
{
    let h = header(m);
    if let PayloadError::Timestamp { point, .. } = e {
        assert(point < h.points ==> h.min_ts <= time(m, h, point as int) <= h.max_ts);
    }
}

proof fn lemma_no_key_column_fault(m: Seq<u8>, e: PayloadError)
    requires
        valid(m),
    ensures
        !is_key_column_fault(m, e),
{
    let h = header(m);
    assert forall|k: int, e: int| #[trigger] has_entry(m, k, e) implies ({
        let pairs = pairs(column(m, key(k)));
        entry_valid(pairs, e, h.strings as int) && entry_set(pairs, e) < h.sets
    }) by {
        assert(key_column_valid(m, h, k));
    }
    match e {
        PayloadError::ValueId { key: k, set, code } => {
            if k < h.keys {
                assert(key_column_valid(m, h, k as int));
                if sparse(m, key(k as int)) {
                    assert forall|e: int| has_entry(m, k as int, e) implies #[trigger] entry_value(
                        pairs(column(m, key(k as int))),
                        e,
                    ) <= h.strings by {
                        assert(has_entry(m, k as int, e));
                    }
                } else if set < h.sets {
                    assert(key_column(m, h, k as int)[set as int] <= h.strings);
                }
            }
        },
        PayloadError::SparseCount { key: k, .. } => {
            if k < h.keys {
                assert(key_column_valid(m, h, k as int));
            }
        },
        PayloadError::SparseGap { key: k, entry: e, .. } => {
            assert(has_entry(m, k as int, e as int) || !has_entry(m, k as int, e as int));
        },
        _ => {},
    }
}

} // verus!
