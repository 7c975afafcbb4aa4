//! The values of the keys, dense and sparse.

#[cfg(verus_keep_ghost)]
use super::faults::{has_entry, is_key_column_fault, is_length_fault};
use super::layout::Layout;
use super::numbers::beyond;
use crate::bytes::load_u32;
#[cfg(verus_keep_ghost)]
use crate::payload::spec;
use crate::payload::{Header, PayloadError, FIXED_COLUMNS};
use alloc::vec::Vec;
use vstd::prelude::*;

verus! {

/// Checks the column of a key.
pub(super) fn check(layout: &Layout<'_>, key: u32, numbers: &mut Vec<u32>) -> (r: Result<
    (),
    PayloadError,
>)
    requires
        key < spec::header(layout@).keys,
    ensures
        match r {
            Ok(()) => spec::key_column_valid(layout@, spec::header(layout@), key as int),
            Err(e) => is_key_column_fault(layout@, e) || is_length_fault(layout@, e),
        },
{
    let header = layout.header();
    let column = FIXED_COLUMNS + key as usize;
    if layout.is_sparse(column) {
        return sparse(layout, header, key, numbers);
    }
    layout.run(column, header.sets, numbers)?;
    match beyond(numbers, header.strings + 1) {
        None => Ok(()),
        Some(set) => Err(PayloadError::ValueId { key, set: set as u32, code: numbers[set] }),
    }
}

fn sparse(layout: &Layout<'_>, header: &Header, key: u32, numbers: &mut Vec<u32>) -> (r: Result<
    (),
    PayloadError,
>)
    requires
        *header == spec::header(layout@),
        spec::header_valid(layout@),
        key < header.keys,
        spec::sparse(layout@, spec::key(key as int)),
    ensures
        match r {
            Ok(()) => spec::key_column_valid(layout@, *header, key as int),
            Err(e) => is_key_column_fault(layout@, e) || is_length_fault(layout@, e),
        },
{
    let column = FIXED_COLUMNS + key as usize;
    let bytes = layout.column(column);
    if bytes.len() < 4 {
        return Err(PayloadError::ColumnLength { column, found: bytes.len() });
    }
    let count = load_u32(bytes, 0);
    if count > header.sets {
        return Err(PayloadError::SparseCount { key, count });
    }
    layout.sparse_run(column, count, numbers)?;
    entries(header, key, numbers, Ghost(layout@))
}

/// Checks the entries of a sparse column, whose numbers these are.
fn entries(header: &Header, key: u32, pairs: &[u32], Ghost(m): Ghost<Seq<u8>>) -> (r: Result<
    (),
    PayloadError,
>)
    requires
        *header == spec::header(m),
        spec::header_valid(m),
        key < header.keys,
        spec::sparse(m, spec::key(key as int)),
        ({
            let bytes = spec::column(m, spec::key(key as int));
            &&& spec::is_sparse_column(bytes)
            &&& spec::entries(bytes) <= header.sets
            &&& pairs@ == spec::pairs(bytes)
        }),
    ensures
        match r {
            Ok(()) => spec::key_column_valid(m, *header, key as int),
            Err(e) => is_key_column_fault(m, e),
        },
{
    let count = pairs.len() / 2;
    let mut set: u32 = 0;
    let mut entry: usize = 0;
    while entry < count
        invariant
            *header == spec::header(m),
            spec::header_valid(m),
            key < header.keys,
            spec::sparse(m, spec::key(key as int)),
            pairs@ == spec::pairs(spec::column(m, spec::key(key as int))),
            pairs@.len() == 2 * count,
            count == spec::entries(spec::column(m, spec::key(key as int))) <= header.sets,
            entry <= count,
            set < header.sets,
            set == spec::entry_set(pairs@, entry - 1),
            forall|e: int| 0 <= e < entry ==> #[trigger] spec::entry_set(pairs@, e) < header.sets,
            forall|e: int|
                0 <= e < entry ==> #[trigger] spec::entry_valid(pairs@, e, header.strings as int),
        decreases count - entry,
    {
        let (gap, code) = (pairs[2 * entry], pairs[2 * entry + 1]);
        assert(has_entry(m, key as int, entry as int));
        assert(spec::entry_set(pairs@, entry as int) == set + gap);
        assert(code == spec::entry_value(pairs@, entry as int));
        let e = entry as u32;
        if gap >= header.sets - set || (entry > 0 && gap == 0) {
            return Err(PayloadError::SparseGap { key, entry: e, gap });
        }
        set += gap;
        if code == 0 {
            return Err(PayloadError::SparseAbsent { key, entry: e });
        }
        if code > header.strings {
            return Err(PayloadError::ValueId { key, set, code });
        }
        entry += 1;
    }
    Ok(())
}

} // verus!
