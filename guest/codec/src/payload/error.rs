//! Why a message was refused.

use core::fmt;

/// Why a message is not of the format, one variant a reason. [`PayloadError::reason`] is short and
/// stable, for counters; `Display` names the bad value, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadError {
    TooShort {
        len: usize,
    },
    TooLong {
        len: usize,
    },
    Magic {
        found: u32,
    },
    Length {
        claimed: u32,
        actual: usize,
    },
    Reserved {
        found: u32,
    },
    Strings {
        count: u32,
    },
    Keys {
        count: u32,
    },
    Sets {
        count: u32,
    },
    Points {
        count: u32,
    },
    TimeRange {
        ts: i64,
    },
    TimeOrder {
        min: i64,
        max: i64,
    },
    TimeSpan {
        span: i64,
    },
    Table {
        end: usize,
    },
    ColumnOffset {
        column: usize,
        found: u32,
        expected: usize,
    },
    ColumnBounds {
        column: usize,
        end: usize,
    },
    ColumnLength {
        column: usize,
        found: usize,
    },
    Prefix {
        found: u32,
        expected: usize,
    },
    Padding {
        at: usize,
        found: u8,
    },
    Tail {
        found: usize,
    },
    StringLength {
        string: u32,
        len: u32,
    },
    StringBytes {
        claimed: usize,
        actual: usize,
    },
    Utf8 {
        string: u32,
    },
    DuplicateString {
        first: u32,
        second: u32,
    },
    KeyId {
        key: u32,
        string: u32,
    },
    KeyOrder {
        key: u32,
    },
    MetricId {
        set: u32,
        string: u32,
    },
    SetId {
        point: u32,
        set: u32,
    },
    ValueId {
        key: u32,
        set: u32,
        code: u32,
    },
    SparseCount {
        key: u32,
        count: u32,
    },
    SparseGap {
        key: u32,
        entry: u32,
        gap: u32,
    },
    SparseAbsent {
        key: u32,
        entry: u32,
    },
    Timestamp {
        point: u32,
        ts: i64,
    },
    MinTs {
        claimed: i64,
        actual: i64,
    },
    MaxTs {
        claimed: i64,
        actual: i64,
    },
}

/// Every reason, for registering counters and for tests of completeness.
pub const REASONS: [&str; 34] = [
    "too-short",
    "too-long",
    "magic",
    "length",
    "reserved",
    "strings",
    "keys",
    "sets",
    "points",
    "time-range",
    "time-order",
    "time-span",
    "table",
    "column-offset",
    "column-bounds",
    "column-length",
    "prefix",
    "padding",
    "tail",
    "string-length",
    "string-bytes",
    "utf8",
    "duplicate-string",
    "key-id",
    "key-order",
    "metric-id",
    "set-id",
    "value-id",
    "sparse-count",
    "sparse-gap",
    "sparse-absent",
    "timestamp",
    "min-ts",
    "max-ts",
];

impl PayloadError {
    /// A short, stable name of the reason, in kebab case.
    pub fn reason(&self) -> &'static str {
        use PayloadError::*;
        match self {
            TooShort { .. } => "too-short",
            TooLong { .. } => "too-long",
            Magic { .. } => "magic",
            Length { .. } => "length",
            Reserved { .. } => "reserved",
            Strings { .. } => "strings",
            Keys { .. } => "keys",
            Sets { .. } => "sets",
            Points { .. } => "points",
            TimeRange { .. } => "time-range",
            TimeOrder { .. } => "time-order",
            TimeSpan { .. } => "time-span",
            Table { .. } => "table",
            ColumnOffset { .. } => "column-offset",
            ColumnBounds { .. } => "column-bounds",
            ColumnLength { .. } => "column-length",
            Prefix { .. } => "prefix",
            Padding { .. } => "padding",
            Tail { .. } => "tail",
            StringLength { .. } => "string-length",
            StringBytes { .. } => "string-bytes",
            Utf8 { .. } => "utf8",
            DuplicateString { .. } => "duplicate-string",
            KeyId { .. } => "key-id",
            KeyOrder { .. } => "key-order",
            MetricId { .. } => "metric-id",
            SetId { .. } => "set-id",
            ValueId { .. } => "value-id",
            SparseCount { .. } => "sparse-count",
            SparseGap { .. } => "sparse-gap",
            SparseAbsent { .. } => "sparse-absent",
            Timestamp { .. } => "timestamp",
            MinTs { .. } => "min-ts",
            MaxTs { .. } => "max-ts",
        }
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use PayloadError::*;
        match self {
            TooShort { len } => write!(f, "{len} bytes are too few for a message"),
            TooLong { len } => write!(f, "{len} bytes exceed the limit of 1048576"),
            Magic { found } => write!(f, "magic {found:#010x} is not 0x31505452"),
            Length { claimed, actual } => write!(f, "header claims {claimed} bytes of {actual}"),
            Reserved { found } => write!(f, "reserved field is {found}, not 0"),
            Strings { count } => write!(f, "{count} strings exceed the limit of 65535"),
            Keys { count } => write!(f, "{count} keys exceed the limit of 256"),
            Sets { count } => write!(f, "{count} tag-sets are not between 1 and 65535"),
            Points { count } => write!(f, "{count} points are not between 1 and 65536"),
            TimeRange { ts } => write!(f, "timestamp {ts} ms is not in the years 1970 to 9999"),
            TimeOrder { min, max } => write!(f, "min_ts {min} is after max_ts {max}"),
            TimeSpan { span } => write!(f, "timestamps span {span} ms, more than 3600000"),
            Table { end } => write!(f, "the column table ends at {end}, past the message"),
            ColumnOffset {
                column,
                found,
                expected,
            } => write!(f, "column {column} starts at {found}, not at {expected}"),
            ColumnBounds { column, end } => {
                write!(f, "column {column} ends at {end}, past the message")
            }
            ColumnLength { column, found } => write!(
                f,
                "column {column} has {found} bytes, which is not what its values take"
            ),
            Prefix { found, expected } => write!(f, "prefix is {found}, not {expected}"),
            Padding { at, found } => write!(f, "padding byte {at} is {found}, not 0"),
            Tail { found } => write!(f, "{found} bytes follow the last column, not 16"),
            StringLength { string, len } => {
                write!(f, "string {string} has {len} bytes, not 1 to 1024")
            }
            StringBytes { claimed, actual } => write!(
                f,
                "string lengths add up to {claimed}, but there are {actual} bytes"
            ),
            Utf8 { string } => write!(f, "string {string} is not UTF-8"),
            DuplicateString { first, second } => {
                write!(f, "strings {first} and {second} are equal")
            }
            KeyId { key, string } => {
                write!(f, "key {key} names string {string}, which does not exist")
            }
            KeyOrder { key } => write!(f, "key {key} is not after the key before it"),
            MetricId { set, string } => write!(
                f,
                "tag-set {set} names metric string {string}, which does not exist"
            ),
            SetId { point, set } => {
                write!(f, "point {point} names tag-set {set}, which does not exist")
            }
            ValueId { key, set, code } => write!(
                f,
                "key {key}, tag-set {set}: value code {code} names no string"
            ),
            SparseCount { key, count } => write!(
                f,
                "sparse key {key} has {count} entries, more than tag-sets"
            ),
            SparseGap { key, entry, gap } => write!(
                f,
                "sparse key {key}, entry {entry}: gap {gap} is zero or leaves the tag-sets"
            ),
            SparseAbsent { key, entry } => write!(
                f,
                "sparse key {key}, entry {entry} stands for an absent value"
            ),
            Timestamp { point, ts } => write!(
                f,
                "point {point} has timestamp {ts}, outside the header's range"
            ),
            MinTs { claimed, actual } => {
                write!(f, "header claims min_ts {claimed}, the points' is {actual}")
            }
            MaxTs { claimed, actual } => {
                write!(f, "header claims max_ts {claimed}, the points' is {actual}")
            }
        }
    }
}

impl core::error::Error for PayloadError {}
