//! The configuration as constants: generated, and not edited by evolution.
//!
//! Texts of the organization appear only as byte arrays.

/// The rules blob. An aggregator refuses every other.
pub const RULES_BLOB: [u8; 97] = [
    82, 84, 82, 66, 1, 2, 0, 0, 0, 11, 0, 99, 112, 117, 45, 98, 121, 45, 104, 111, 115, 116, 9, 0,
    99, 112, 117, 46, 117, 115, 97, 103, 101, 1, 16, 39, 0, 0, 1, 4, 0, 104, 111, 115, 116, 0, 8,
    0, 114, 101, 113, 117, 101, 115, 116, 115, 13, 0, 104, 116, 116, 112, 46, 114, 101, 113, 117,
    101, 115, 116, 115, 0, 48, 117, 0, 0, 0, 2, 7, 0, 115, 101, 114, 118, 105, 99, 101, 8, 0, 99,
    104, 101, 99, 107, 111, 117, 116,
];

/// A rule, by its index in the blob.
pub struct Rule {
    pub metric: &'static [u8],
    pub window_ms: u32,
}

pub const RULES: [Rule; 2] = [
    Rule {
        metric: &[99, 112, 117, 46, 117, 115, 97, 103, 101],
        window_ms: 10_000,
    },
    Rule {
        metric: &[
            104, 116, 116, 112, 46, 114, 101, 113, 117, 101, 115, 116, 115,
        ],
        window_ms: 30_000,
    },
];

/// The key that rule 0 groups by.
pub const HOST: &[u8] = &[104, 111, 115, 116];

/// The key and value that rule 1 asks for.
pub const SERVICE: &[u8] = &[115, 101, 114, 118, 105, 99, 101];
pub const CHECKOUT: &[u8] = &[99, 104, 101, 99, 107, 111, 117, 116];
