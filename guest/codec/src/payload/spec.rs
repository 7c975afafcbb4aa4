//! The format of messages (`guest/README.md`), as Verus reads it. Nothing here is compiled.
//!
//! `m` is always the whole message, `h` the fields of its header: those that [`header`] finds in
//! `m`, or those that a host passed along with it. Every function is total: of a malformed message
//! it says something, though nothing of use, and [`valid`] tells which messages are not malformed.
//!
//! | what              | where it lies           | when it is well formed |
//! |-------------------|-------------------------|------------------------|
//! | fixed header      | [`header`]              | [`header_valid`]       |
//! | table and columns | [`start`], [`column`]   | [`layout_valid`]       |
//! | runs of numbers   | [`run`]                 | [`is_run`]             |
//! | strings           | [`string`]              | [`dictionary_valid`]   |
//! | keys              | [`key_ids`]             | [`keys_valid`]         |
//! | tag-sets          | [`metric_ids`]          | [`sets_valid`]         |
//! | points            | [`set_ids`], [`times`], [`values`], [`counts`] | [`points_valid`] |
//! | values of keys    | [`key_column`]          | [`key_columns_valid`]  |

mod keys;
mod points;
mod run;
mod strings;
mod table;

pub use self::{keys::*, points::*, run::*, strings::*, table::*};

use super::{
    Header, FIXED_COLUMNS, HEADER_LEN, MAGIC, MAX_KEYS, MAX_LEN, MAX_POINTS, MAX_SETS, MAX_SPAN,
    MAX_STRINGS, MAX_TIMESTAMP, TAIL_LEN,
};
use crate::bytes::le_at;
use vstd::prelude::*;

verus! {

/// The unsigned word of four bytes at `at`.
pub open spec fn word(m: Seq<u8>, at: int) -> int {
    le_at(m, at, 4) as int
}

/// The signed word of eight bytes at `at`, in two's complement.
pub open spec fn wide(m: Seq<u8>, at: int) -> int {
    let n = le_at(m, at, 8) as int;
    if n < 0x8000_0000_0000_0000 {
        n
    } else {
        n - 0x1_0000_0000_0000_0000
    }
}

/// The fields of the fixed header.
pub open spec fn header(m: Seq<u8>) -> Header {
    Header {
        len: word(m, 4) as u32,
        prefix: word(m, 8) as u32,
        strings: word(m, 12) as u32,
        keys: word(m, 16) as u32,
        sets: word(m, 20) as u32,
        points: word(m, 24) as u32,
        min_ts: wide(m, 32) as i64,
        max_ts: wide(m, 40) as i64,
    }
}

/// The shortest message: header, a table without keys, and the tail.
pub open spec fn min_len() -> int {
    HEADER_LEN + 8 * FIXED_COLUMNS + TAIL_LEN
}

/// Whether the counts are within the limits.
pub open spec fn counts_valid(h: Header) -> bool {
    &&& h.strings <= MAX_STRINGS
    &&& h.keys <= MAX_KEYS
    &&& 1 <= h.sets <= MAX_SETS
    &&& 1 <= h.points <= MAX_POINTS
}

/// Whether the two timestamps of the header are within the limits.
pub open spec fn times_valid(h: Header) -> bool {
    &&& 0 <= h.min_ts <= h.max_ts <= MAX_TIMESTAMP
    &&& h.max_ts - h.min_ts <= MAX_SPAN
}

/// Whether a header keeps the limits that let its message be read, checked or not.
pub open spec fn within_limits(h: Header) -> bool {
    &&& h.len <= MAX_LEN
    &&& h.strings <= MAX_STRINGS
    &&& h.keys <= MAX_KEYS
    &&& h.sets <= MAX_SETS
    &&& h.points <= MAX_POINTS
    &&& 0 <= h.min_ts <= MAX_TIMESTAMP
    &&& table_end(h) <= h.prefix <= h.len
}

/// Whether each field of the fixed header is right by itself.
pub open spec fn header_valid(m: Seq<u8>) -> bool {
    let h = header(m);
    &&& min_len() <= m.len() <= MAX_LEN
    &&& word(m, 0) == MAGIC
    &&& h.len == m.len()
    &&& word(m, 28) == 0
    &&& counts_valid(h)
    &&& times_valid(h)
}

/// Whether `m` is a message of the format.
pub open spec fn valid(m: Seq<u8>) -> bool {
    let h = header(m);
    &&& header_valid(m)
    &&& layout_valid(m, h)
    &&& dictionary_valid(m, h)
    &&& keys_valid(m, h)
    &&& sets_valid(m, h)
    &&& points_valid(m, h)
    &&& key_columns_valid(m, h)
}

} // verus!
