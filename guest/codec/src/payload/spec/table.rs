//! The column table, and where it puts the columns.

use super::word;
use crate::payload::{Column, Header, FIXED_COLUMNS, HEADER_LEN, TAIL_LEN};
use vstd::prelude::*;

verus! {

/// How many columns the table lists.
pub open spec fn columns(h: Header) -> int {
    FIXED_COLUMNS + h.keys
}

/// Where the column table ends.
pub open spec fn table_end(h: Header) -> int {
    HEADER_LEN + 8 * columns(h)
}

/// The place of a column in the table.
pub open spec fn index(column: Column) -> int {
    match column {
        Column::StringLengths => 0,
        Column::StringBytes => 1,
        Column::KeyIds => 2,
        Column::MetricIds => 3,
        Column::SetIds => 4,
        Column::Timestamps => 5,
        Column::Values => 6,
        Column::Counts => 7,
        Column::Key(k) => FIXED_COLUMNS + k,
    }
}

/// Where column `c` starts.
pub open spec fn start(m: Seq<u8>, c: int) -> int {
    word(m, HEADER_LEN + 8 * c)
}

/// What the table holds as the length of column `c`, the flag of a sparse one included.
pub open spec fn length_field(m: Seq<u8>, c: int) -> int {
    word(m, HEADER_LEN + 8 * c + 4)
}

/// Whether column `c` is that of a key, in sparse form.
pub open spec fn sparse(m: Seq<u8>, c: int) -> bool {
    c >= FIXED_COLUMNS && length_field(m, c) >= 0x8000_0000
}

/// How many bytes column `c` has.
pub open spec fn length(m: Seq<u8>, c: int) -> int {
    if sparse(m, c) {
        length_field(m, c) - 0x8000_0000
    } else {
        length_field(m, c)
    }
}

/// Where column `c` ends.
pub open spec fn end(m: Seq<u8>, c: int) -> int {
    start(m, c) + length(m, c)
}

/// The bytes of column `c`.
pub open spec fn column(m: Seq<u8>, c: int) -> Seq<u8> {
    m.subrange(start(m, c), end(m, c))
}

/// Whether there is a column `c`, and it ends within the length that the header claims.
pub open spec fn fits(m: Seq<u8>, h: Header, c: int) -> bool {
    0 <= c < columns(h) && end(m, c) <= h.len
}

/// The first multiple of eight at or after `at`.
pub open spec fn aligned(at: int) -> int {
    (at + 7) / 8 * 8
}

/// Whether the bytes from `from` up to `to` are zeros.
pub open spec fn zeros(m: Seq<u8>, from: int, to: int) -> bool {
    forall|k: int| from <= k < to ==> #[trigger] m[k] == 0
}

/// Where column `c` must start: after the table, or after the column before.
pub open spec fn place(m: Seq<u8>, h: Header, c: int) -> int {
    if c <= 0 {
        table_end(h)
    } else {
        aligned(end(m, c - 1))
    }
}

/// Whether column `c` lies where it must, before the tail, with zeros after it.
pub open spec fn column_valid(m: Seq<u8>, h: Header, c: int) -> bool {
    &&& start(m, c) == place(m, h, c)
    &&& aligned(end(m, c)) <= m.len() - TAIL_LEN
    &&& zeros(m, end(m, c), aligned(end(m, c)))
}

/// Whether all columns lie where they must, and after them the tail.
pub open spec fn layout_valid(m: Seq<u8>, h: Header) -> bool {
    let last = m.len() - TAIL_LEN;
    &&& table_end(h) <= last
    &&& forall|c: int| 0 <= c < columns(h) ==> #[trigger] column_valid(m, h, c)
    &&& h.prefix == end(m, 2)
    &&& place(m, h, columns(h)) == last
    &&& zeros(m, last, m.len() as int)
}

} // verus!
