//! Rules as data: the blob that is the one canonical encoding of a configuration.
//!
//! ```text
//! "RTRB" | u8 version = 1 | u32 rule count | rules, sorted by id, ids distinct
//! rule   = str id | str metric | u8 aggregate | u32 window_ms | u8 n, str key × n | filter
//! filter = u8 op, then by op: 0 all | 1 present: str key | 2 equal: str key, str value
//!          | 3 prefix: str key, str prefix | 4 in: str key, u16 n, str value × n | 5 not: filter
//!          | 6 and: u16 n, filter × n | 7 or: u16 n, filter × n
//! str    = u16 length, bytes of UTF-8
//! ```
//!
//! Numbers are little-endian. [`parse`] accepts exactly what [`encode`] of valid rules writes, so
//! a configuration has one digest. Guests parse it too, so it is `no_std`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cursor;
mod encode;
mod error;
mod parse;

pub use encode::encode;
pub use error::{Problem, RulesError};
pub use parse::parse;

use alloc::{boxed::Box, vec::Vec};

/// The first bytes of a blob.
pub const MAGIC: [u8; 4] = *b"RTRB";
/// The version of the format.
pub const VERSION: u8 = 1;
/// The most bytes in a blob.
pub const MAX_BLOB_LEN: usize = 4 << 20;
/// The most rules in a blob.
pub const MAX_RULES: u32 = 10_000;
/// The most bytes in a rule's id.
pub const MAX_ID_LEN: usize = 100;
/// The most bytes in a metric, a key, a value or a prefix; none is empty.
pub const MAX_TEXT_LEN: usize = 200;
/// The most keys to group by.
pub const MAX_GROUP_KEYS: usize = 8;
/// The most operators above a leaf of a filter, the leaf included.
pub const MAX_FILTER_DEPTH: usize = 16;
/// The most leaves of a filter.
pub const MAX_FILTER_LEAVES: usize = 64;
/// The shortest window, and what all windows are multiples of.
pub const WINDOW_STEP_MS: u32 = 1_000;
/// The longest window: one hour.
pub const MAX_WINDOW_MS: u32 = 3_600_000;

/// What to compute of the points of a group in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub id: Box<[u8]>,
    pub metric: Box<[u8]>,
    pub aggregate: Aggregate,
    pub window_ms: u32,
    /// Distinct tag keys, in the order in which they were written.
    pub group_by: Vec<Box<[u8]>>,
    pub filter: Filter,
}

/// How the values of a group and window become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aggregate {
    Sum,
    Max,
    Min,
    Count,
    Avg,
}

impl Aggregate {
    /// All of them, each at the index that is its code in a blob.
    pub const ALL: [Aggregate; 5] = [
        Aggregate::Sum,
        Aggregate::Max,
        Aggregate::Min,
        Aggregate::Count,
        Aggregate::Avg,
    ];
}

/// Which tag-sets a rule takes. A missing key matches no leaf but `All`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    All,
    Present(Box<[u8]>),
    /// Key and value.
    Eq(Box<[u8]>, Box<[u8]>),
    /// Key and the beginning of the value.
    Prefix(Box<[u8]>, Box<[u8]>),
    /// Key and distinct values, in the order in which they were written.
    In(Box<[u8]>, Vec<Box<[u8]>>),
    Not(Box<Filter>),
    /// At least two, none of them itself an `And`.
    And(Vec<Filter>),
    /// At least two, none of them itself an `Or`.
    Or(Vec<Filter>),
}
