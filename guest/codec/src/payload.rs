//! Whole messages: a header, a column table, a dictionary of strings, tag-sets and points.
//!
//! The format is written down in `guest/README.md`. [`validate`] checks all of it, once, where a
//! message enters; [`Message`] then decodes the columns that an aggregation needs, each from bytes
//! pulled from a [`Source`]. Both are total: malformed bytes give an error, never a panic.
//! Offsets and lengths are in bytes, timestamps in milliseconds since the epoch.

mod dictionary;
mod error;
mod hash;
mod message;
mod run;
mod source;
#[cfg(verus_keep_ghost)]
pub mod spec;
#[cfg(verus_keep_ghost)]
mod theorems;
mod validate;
#[cfg(feature = "write")]
pub mod write;

pub use self::{
    dictionary::Strings,
    error::{PayloadError, REASONS},
    message::{Message, Reader, Word},
    source::Source,
    validate::validate,
};

#[cfg(verus_keep_ghost)]
use self::validate::faults::is_header_fault;
use crate::bytes::{load_u32, load_u64};
use vstd::prelude::*;

verus! {

/// The first four bytes of a message: "RTP1".
pub const MAGIC: u32 = 0x3150_5452;
/// Length of the fixed header; the column table follows it.
pub const HEADER_LEN: usize = 48;
/// Columns that every message has, before one for each key.
pub const FIXED_COLUMNS: usize = 8;
/// Zero bytes at the end of a message, so that a decoder may load past its last column.
pub const TAIL_LEN: usize = 16;
/// Set in the length of a key column in sparse form.
pub const SPARSE: u32 = 0x8000_0000;

/// The most bytes in a message.
pub const MAX_LEN: u32 = 0x10_0000;
/// The most strings in a dictionary.
pub const MAX_STRINGS: u32 = 65_535;
/// The most bytes in a string; none is empty.
pub const MAX_STRING_LEN: u32 = 1024;
/// The most tag keys.
pub const MAX_KEYS: u32 = 256;
/// The most tag-sets; there is at least one.
pub const MAX_SETS: u32 = 65_535;
/// The most points; there is at least one.
pub const MAX_POINTS: u32 = 65_536;
/// The latest timestamp: the last millisecond of the year 9999.
pub const MAX_TIMESTAMP: i64 = 253_402_300_799_999;
/// The most milliseconds between the first and the last timestamp of a message.
pub const MAX_SPAN: i64 = 3_600_000;

/// The fields of the fixed header that a reader needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the message, its tail padding included.
    pub len: u32,
    /// Where the key-ids column ends: header, table and dictionary lie before it.
    pub prefix: u32,
    pub strings: u32,
    pub keys: u32,
    pub sets: u32,
    pub points: u32,
    /// The smallest timestamp of the points.
    pub min_ts: i64,
    /// The greatest timestamp of the points.
    pub max_ts: i64,
}

/// A column of a message, in the order in which they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    StringLengths,
    StringBytes,
    KeyIds,
    MetricIds,
    SetIds,
    Timestamps,
    Values,
    /// Points merged into each value: in aggregated output only.
    Counts,
    /// The values of the key with this index, one a tag-set.
    Key(u32),
}

impl Header {
    /// Reads the header and checks each field against the format's limits and `bytes.len()`. What
    /// it says of the columns is unchecked; [`validate`] checks that too.
    pub fn read(bytes: &[u8]) -> (r: Result<Header, PayloadError>)
        ensures
            match r {
                Ok(h) => h == spec::header(bytes@) && spec::header_valid(bytes@),
                Err(e) => !spec::header_valid(bytes@) && is_header_fault(bytes@, e),
            },
    {
        validate::header(bytes)
    }

    /// The fields as they stand. `None` when `bytes` is shorter than a header.
    pub(crate) fn fields(bytes: &[u8]) -> (r: Option<Header>)
        ensures
            match r {
                Some(h) => bytes@.len() >= HEADER_LEN && h == spec::header(bytes@),
                None => bytes@.len() < HEADER_LEN,
            },
    {
        if bytes.len() < HEADER_LEN {
            return None;
        }
        Some(
            Header {
                len: load_u32(bytes, 4),
                prefix: load_u32(bytes, 8),
                strings: load_u32(bytes, 12),
                keys: load_u32(bytes, 16),
                sets: load_u32(bytes, 20),
                points: load_u32(bytes, 24),
                min_ts: load_i64(bytes, 32),
                max_ts: load_i64(bytes, 40),
            },
        )
    }

    /// How many columns the table lists, of keys no more than the format allows.
    pub fn columns(&self) -> (n: usize)
        ensures
            n <= FIXED_COLUMNS + MAX_KEYS,
            self.keys <= MAX_KEYS ==> n == spec::columns(*self),
    {
        FIXED_COLUMNS + (if self.keys <= MAX_KEYS { self.keys } else { MAX_KEYS }) as usize
    }

    /// Where the column table ends.
    pub fn table_end(&self) -> (at: usize)
        ensures
            self.keys <= MAX_KEYS ==> at == spec::table_end(*self),
    {
        HEADER_LEN + 8 * self.columns()
    }
}

impl Column {
    /// Its place in the column table.
    #[inline(always)]
    pub fn index(self) -> (i: usize)
        ensures
            i == spec::index(self) || i == usize::MAX < spec::index(self),
    {
        match self {
            Column::StringLengths => 0,
            Column::StringBytes => 1,
            Column::KeyIds => 2,
            Column::MetricIds => 3,
            Column::SetIds => 4,
            Column::Timestamps => 5,
            Column::Values => 6,
            Column::Counts => 7,
            Column::Key(key) => FIXED_COLUMNS.saturating_add(key as usize),
        }
    }
}

/// The eight bytes at `at`, signed.
fn load_i64(bytes: &[u8], at: usize) -> (v: i64)
    requires
        at + 8 <= bytes@.len(),
    ensures
        v == spec::wide(bytes@, at as int),
{
    let v = load_u64(bytes, at);
    proof {
        assert(v < 0x8000_0000_0000_0000 ==> (v as i64) == v) by (bit_vector);
        assert(v >= 0x8000_0000_0000_0000 ==> (v as i64) == v - 0x1_0000_0000_0000_0000)
            by (bit_vector);
    }
    v as i64
}

} // verus!
