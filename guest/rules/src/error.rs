//! Why a blob was refused, and where.

use alloc::{boxed::Box, string::String};
use core::fmt;

/// A blob that is not a valid configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesError {
    /// The byte at which what is wrong begins.
    pub at: usize,
    pub problem: Problem,
}

/// What is wrong, with the bad value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The blob is longer than the limit; its length.
    TooLong(usize),
    /// The blob ends inside a value of so many bytes.
    Truncated(usize),
    /// The first four bytes.
    Magic([u8; 4]),
    Version(u8),
    RuleCount(u32),
    /// An id with other characters than `[a-z0-9][a-z0-9._-]*`, or of a length other than 1 to 100.
    Id(Box<[u8]>),
    /// An id that is not after the one before it.
    IdOrder(Box<[u8]>),
    Aggregate(u8),
    /// A window that is not a whole number of seconds between one second and one hour.
    Window(u32),
    /// More keys to group by than eight.
    GroupCount(u8),
    /// A key to group by that was there before.
    DuplicateKey(Box<[u8]>),
    /// A metric, key or value of a length other than 1 to 200 bytes; the length.
    TextLength(usize),
    /// A text that is not UTF-8.
    Text(Box<[u8]>),
    /// An unknown filter operator.
    Operator(u8),
    /// A filter deeper than sixteen levels.
    Depth,
    /// A filter of more than 64 leaves.
    Leaves,
    /// Fewer operands than two, or no value in IN; the count.
    Operands(u16),
    /// AND directly in AND, or OR directly in OR.
    Nested,
    /// A value that is twice in one IN.
    DuplicateValue(Box<[u8]>),
    /// Bytes after the last rule; how many.
    Trailing(usize),
}

impl Problem {
    /// A short, stable name of the reason, in kebab case.
    pub fn reason(&self) -> &'static str {
        match self {
            Problem::TooLong(_) => "too-long",
            Problem::Truncated(_) => "truncated",
            Problem::Magic(_) => "magic",
            Problem::Version(_) => "version",
            Problem::RuleCount(_) => "rule-count",
            Problem::Id(_) => "id",
            Problem::IdOrder(_) => "id-order",
            Problem::Aggregate(_) => "aggregate",
            Problem::Window(_) => "window",
            Problem::GroupCount(_) => "group-count",
            Problem::DuplicateKey(_) => "duplicate-key",
            Problem::TextLength(_) => "text-length",
            Problem::Text(_) => "text",
            Problem::Operator(_) => "operator",
            Problem::Depth => "depth",
            Problem::Leaves => "leaves",
            Problem::Operands(_) => "operands",
            Problem::Nested => "nested",
            Problem::DuplicateValue(_) => "duplicate-value",
            Problem::Trailing(_) => "trailing",
        }
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.at, self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Problem::TooLong(n) => write!(f, "{n} bytes exceed the limit of 4 MiB"),
            Problem::Truncated(n) => write!(f, "the blob ends inside a value of {n} bytes"),
            Problem::Magic(m) => write!(f, "magic {:?} is not \"RTRB\"", text(m)),
            Problem::Version(v) => write!(f, "version {v} is not 1"),
            Problem::RuleCount(n) => write!(f, "{n} rules exceed the limit of 10000"),
            Problem::Id(id) => write!(f, "rule id {:?} is malformed", text(id)),
            Problem::IdOrder(id) => write!(f, "rule id {:?} is out of order", text(id)),
            Problem::Aggregate(code) => write!(f, "aggregate {code} is unknown"),
            Problem::Window(ms) => write!(f, "window {ms} ms is not 1 s to 1 h in whole seconds"),
            Problem::GroupCount(n) => write!(f, "{n} keys to group by exceed the limit of 8"),
            Problem::DuplicateKey(key) => write!(f, "group-by key {:?} occurs twice", text(key)),
            Problem::TextLength(n) => write!(f, "a text of {n} bytes is not 1 to 200 long"),
            Problem::Text(bytes) => write!(f, "text {:?} is not UTF-8", text(bytes)),
            Problem::Operator(op) => write!(f, "filter operator {op} is unknown"),
            Problem::Depth => write!(f, "the filter is deeper than 16 levels"),
            Problem::Leaves => write!(f, "the filter has more than 64 leaves"),
            Problem::Operands(n) => write!(f, "{n} operands are too few"),
            Problem::Nested => write!(f, "AND in AND, or OR in OR, is not flattened"),
            Problem::DuplicateValue(v) => write!(f, "value {:?} occurs twice in IN", text(v)),
            Problem::Trailing(n) => write!(f, "{n} bytes follow the last rule"),
        }
    }
}

impl core::error::Error for RulesError {}
