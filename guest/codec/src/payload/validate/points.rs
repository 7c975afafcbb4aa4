//! Tag-sets and points.

#[cfg(verus_keep_ghost)]
use super::faults::{is_length_fault, is_row_fault};
use super::layout::Layout;
use super::numbers::beyond;
#[cfg(verus_keep_ghost)]
use crate::payload::spec;
use crate::payload::{Header, PayloadError, MAX_TIMESTAMP};
use crate::zigzag;
use alloc::vec::Vec;
use vstd::prelude::*;

verus! {

/// Checks the metric of each tag-set.
pub(super) fn check_sets(layout: &Layout<'_>, ids: &mut Vec<u32>) -> (r: Result<(), PayloadError>)
    ensures
        match r {
            Ok(()) => spec::sets_valid(layout@, spec::header(layout@)),
            Err(e) => is_row_fault(layout@, e) || is_length_fault(layout@, e),
        },
{
    let header = layout.header();
    layout.run(3, header.sets, ids)?;
    match beyond(ids, header.strings) {
        None => Ok(()),
        Some(set) => Err(PayloadError::MetricId { set: set as u32, string: ids[set] }),
    }
}

/// Checks the columns with a row for each point.
pub(super) fn check_points(layout: &Layout<'_>, numbers: &mut Vec<u32>) -> (r: Result<
    (),
    PayloadError,
>)
    ensures
        match r {
            Ok(()) => spec::points_valid(layout@, spec::header(layout@)),
            Err(e) => is_row_fault(layout@, e) || is_length_fault(layout@, e),
        },
{
    let header = layout.header();
    layout.run(4, header.points, numbers)?;
    if let Some(point) = beyond(numbers, header.sets) {
        return Err(PayloadError::SetId { point: point as u32, set: numbers[point] });
    }
    layout.run(5, header.points, numbers)?;
    times(header, numbers, Ghost(layout@))?;
    let found = layout.column(6).len();
    if found != 8 * header.points as usize {
        return Err(PayloadError::ColumnLength { column: 6, found });
    }
    if !layout.column(7).is_empty() {
        layout.run(7, header.points, numbers)?;
    }
    Ok(())
}

/// Checks the timestamps with these codes.
fn times(header: &Header, codes: &[u32], Ghost(m): Ghost<Seq<u8>>) -> (r: Result<
    (),
    PayloadError,
>)
    requires
        *header == spec::header(m),
        spec::header_valid(m),
        codes@ == spec::time_codes(m, *header),
        spec::is_run(spec::column(m, 5), header.points as int),
    ensures
        match r {
            Ok(()) => spec::times_column_valid(m, *header),
            Err(e) => is_row_fault(m, e),
        },
{
    let (mut ts, mut min, mut max) = (header.min_ts, MAX_TIMESTAMP, 0i64);
    let mut point: usize = 0;
    while point < codes.len()
        invariant
            *header == spec::header(m),
            spec::header_valid(m),
            codes@ == spec::time_codes(m, *header),
            point <= codes@.len(),
            0 <= ts <= MAX_TIMESTAMP,
            ts == spec::time_after(header.min_ts as int, codes@, point as int),
            spans(m, *header, point as int, min, max),
        decreases codes@.len() - point,
    {
        ts += zigzag::decode(codes[point] as u64);
        assert(ts == spec::time(m, *header, point as int));
        if ts < 0 || ts > MAX_TIMESTAMP {
            return Err(PayloadError::Timestamp { point: point as u32, ts });
        }
        min = if ts < min { ts } else { min };
        max = if ts > max { ts } else { max };
        point += 1;
    }
    if min != header.min_ts {
        return Err(PayloadError::MinTs { claimed: header.min_ts, actual: min });
    }
    if max != header.max_ts {
        return Err(PayloadError::MaxTs { claimed: header.max_ts, actual: max });
    }
    Ok(())
}

/// Whether `min` and `max` are the first and the last timestamp of the first `n` points.
spec fn spans(m: Seq<u8>, h: Header, n: int, min: i64, max: i64) -> bool {
    &&& forall|i: int| 0 <= i < n ==> min <= #[trigger] spec::time(m, h, i) <= max
    &&& if n == 0 {
        min == MAX_TIMESTAMP && max == 0
    } else {
        &&& exists|i: int| 0 <= i < n && #[trigger] spec::time(m, h, i) == min
        &&& exists|i: int| 0 <= i < n && #[trigger] spec::time(m, h, i) == max
    }
}

} // verus!
