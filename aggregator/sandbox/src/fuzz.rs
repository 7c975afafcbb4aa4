//! Messages that nobody sent: seeded, so that a failure can be repeated.

use bytes::Bytes;
use ratchet_rules::Rule;

/// `count` messages of the same shape as `sample`, with unseen series and values.
pub fn like(sample: &[Bytes], rules: &[Rule], seed: u64, count: usize) -> Vec<Bytes> {
    let _ = (sample, rules, seed, count);
    Vec::new()
}

/// Messages made from the literals of each rule: points that hit, that nearly miss, and that lack a
/// tag.
pub fn literals(rules: &[Rule], seed: u64) -> Vec<Bytes> {
    let _ = (rules, seed);
    Vec::new()
}
