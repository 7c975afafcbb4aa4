//! Why a message was refused.

use core::fmt;

/// Declares each reason once: variant, stable name, and what `Display` says.
macro_rules! reasons {
    ($($variant:ident { $($field:ident: $type:ty),* } $reason:literal $text:literal)*) => {
        ::vstd::prelude::verus! {

        /// Why a message is not of the format, one variant a reason. [`PayloadError::reason`] is
        /// short and stable, for counters; `Display` names the bad value, for people.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(inconsistent_fields)]
        pub enum PayloadError {
            $($variant { $($field: $type),* },)*
        }

        } // verus!

        /// Every reason, for registering counters and for tests of completeness.
        pub const REASONS: &[&str] = &[$($reason),*];

        impl PayloadError {
            /// A short, stable name of the reason, in kebab case.
            pub fn reason(&self) -> &'static str {
                match self {
                    $(PayloadError::$variant { .. } => $reason,)*
                }
            }
        }

        impl fmt::Display for PayloadError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(PayloadError::$variant { $($field),* } => write!(f, $text),)*
                }
            }
        }
    };
}

reasons! {
    TooShort { len: usize } "too-short"
        "{len} bytes are too few for a message"
    TooLong { len: usize } "too-long"
        "{len} bytes exceed the limit of 1048576"
    Magic { found: u32 } "magic"
        "magic {found:#010x} is not 0x31505452"
    Length { claimed: u32, actual: usize } "length"
        "header claims {claimed} bytes of {actual}"
    Reserved { found: u32 } "reserved"
        "reserved field is {found}, not 0"
    Strings { count: u32 } "strings"
        "{count} strings exceed the limit of 65535"
    Keys { count: u32 } "keys"
        "{count} keys exceed the limit of 256"
    Sets { count: u32 } "sets"
        "{count} tag-sets are not between 1 and 65535"
    Points { count: u32 } "points"
        "{count} points are not between 1 and 65536"
    TimeRange { ts: i64 } "time-range"
        "timestamp {ts} ms is not in the years 1970 to 9999"
    TimeOrder { min: i64, max: i64 } "time-order"
        "min_ts {min} is after max_ts {max}"
    TimeSpan { span: i64 } "time-span"
        "timestamps span {span} ms, more than 3600000"
    Table { end: usize } "table"
        "the column table ends at {end}, past the message"
    ColumnOffset { column: usize, found: u32, expected: usize } "column-offset"
        "column {column} starts at {found}, not at {expected}"
    ColumnBounds { column: usize, end: usize } "column-bounds"
        "column {column} ends at {end}, past the message"
    ColumnLength { column: usize, found: usize } "column-length"
        "column {column} has {found} bytes, which is not what its values take"
    Prefix { found: u32, expected: usize } "prefix"
        "prefix is {found}, not {expected}"
    Padding { at: usize, found: u8 } "padding"
        "padding byte {at} is {found}, not 0"
    Tail { found: usize } "tail"
        "{found} bytes follow the last column, not 16"
    StringLength { string: u32, len: u32 } "string-length"
        "string {string} has {len} bytes, not 1 to 1024"
    StringBytes { claimed: usize, actual: usize } "string-bytes"
        "string lengths add up to {claimed}, but there are {actual} bytes"
    Utf8 { string: u32 } "utf8"
        "string {string} is not UTF-8"
    DuplicateString { first: u32, second: u32 } "duplicate-string"
        "strings {first} and {second} are equal"
    KeyId { key: u32, string: u32 } "key-id"
        "key {key} names string {string}, which does not exist"
    KeyOrder { key: u32 } "key-order"
        "key {key} is not after the key before it"
    MetricId { set: u32, string: u32 } "metric-id"
        "tag-set {set} names metric string {string}, which does not exist"
    SetId { point: u32, set: u32 } "set-id"
        "point {point} names tag-set {set}, which does not exist"
    ValueId { key: u32, set: u32, code: u32 } "value-id"
        "key {key}, tag-set {set}: value code {code} names no string"
    SparseCount { key: u32, count: u32 } "sparse-count"
        "sparse key {key} has {count} entries, more than tag-sets"
    SparseGap { key: u32, entry: u32, gap: u32 } "sparse-gap"
        "sparse key {key}, entry {entry}: gap {gap} is zero or leaves the tag-sets"
    SparseAbsent { key: u32, entry: u32 } "sparse-absent"
        "sparse key {key}, entry {entry} stands for an absent value"
    Timestamp { point: u32, ts: i64 } "timestamp"
        "point {point} has timestamp {ts}, outside the header's range"
    MinTs { claimed: i64, actual: i64 } "min-ts"
        "header claims min_ts {claimed}, the points' is {actual}"
    MaxTs { claimed: i64, actual: i64 } "max-ts"
        "header claims max_ts {claimed}, the points' is {actual}"
}

impl core::error::Error for PayloadError {}
