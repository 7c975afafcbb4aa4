//! Tag-sets and points.

use super::{column, is_run, run};
use crate::bytes::le_at;
use crate::payload::{Header, MAX_TIMESTAMP};
use crate::zigzag::unzigzag;
use vstd::prelude::*;

verus! {

/// The string id of the metric of each tag-set.
pub open spec fn metric_ids(m: Seq<u8>, h: Header) -> Seq<u32> {
    run(column(m, 3), h.sets as int)
}

/// Whether every tag-set has a metric.
pub open spec fn sets_valid(m: Seq<u8>, h: Header) -> bool {
    let ids = metric_ids(m, h);
    &&& is_run(column(m, 3), h.sets as int)
    &&& forall|set: int| 0 <= set < ids.len() ==> #[trigger] ids[set] < h.strings
}

/// The tag-set of each point.
pub open spec fn set_ids(m: Seq<u8>, h: Header) -> Seq<u32> {
    run(column(m, 4), h.points as int)
}

/// The zigzag codes of the timestamps.
pub open spec fn time_codes(m: Seq<u8>, h: Header) -> Seq<u32> {
    run(column(m, 5), h.points as int)
}

/// `base` and the first `n` differences.
pub open spec fn time_after(base: int, codes: Seq<u32>, n: int) -> int
    decreases n,
{
    if n <= 0 {
        base
    } else {
        time_after(base, codes, n - 1) + unzigzag(codes[n - 1] as int)
    }
}

/// The timestamp of point `i`, in milliseconds since the epoch.
pub open spec fn time(m: Seq<u8>, h: Header, i: int) -> int {
    time_after(h.min_ts as int, time_codes(m, h), i + 1)
}

/// The timestamp of each point.
pub open spec fn times(m: Seq<u8>, h: Header) -> Seq<i64> {
    Seq::new(h.points as nat, |i: int| time(m, h, i) as i64)
}

/// The bits of the value of each point.
pub open spec fn values(m: Seq<u8>, h: Header) -> Seq<u64> {
    Seq::new(h.points as nat, |i: int| le_at(column(m, 6), 8 * i, 8) as u64)
}

/// How many points each point stands for.
pub open spec fn counts(m: Seq<u8>, h: Header) -> Seq<u32> {
    run(column(m, 7), h.points as int)
}

/// Whether the timestamps are a run within the limits, and `h` has the first and the last of them.
pub open spec fn times_column_valid(m: Seq<u8>, h: Header) -> bool {
    &&& is_run(column(m, 5), h.points as int)
    &&& forall|i: int|
        0 <= i < h.points ==> h.min_ts <= #[trigger] time(m, h, i) <= h.max_ts <= MAX_TIMESTAMP
    &&& exists|i: int| 0 <= i < h.points && #[trigger] time(m, h, i) == h.min_ts
    &&& exists|i: int| 0 <= i < h.points && #[trigger] time(m, h, i) == h.max_ts
}

/// Whether every point has a tag-set, a timestamp, a value and, where any has one, a count.
pub open spec fn points_valid(m: Seq<u8>, h: Header) -> bool {
    let sets = set_ids(m, h);
    &&& is_run(column(m, 4), h.points as int)
    &&& forall|i: int| 0 <= i < sets.len() ==> #[trigger] sets[i] < h.sets
    &&& times_column_valid(m, h)
    &&& column(m, 6).len() == 8 * h.points
    &&& column(m, 7).len() == 0 || is_run(column(m, 7), h.points as int)
}

} // verus!
