//! A hash of strings, cheap rather than safe: its users bound their own work.

/// Spreads strings over 64 bits, eight bytes a step.
pub(super) fn hash(s: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut h = s.len() as u64;
    let mut chunks = s.chunks_exact(8);
    for c in &mut chunks {
        let w = u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]);
        h = (h.rotate_left(23) ^ w).wrapping_mul(K);
    }
    for &b in chunks.remainder() {
        h = (h.rotate_left(5) ^ u64::from(b)).wrapping_mul(K);
    }
    // A product's low bits know nothing of a word's high ones, so these are folded in first.
    h = (h ^ (h >> 32)).wrapping_mul(K);
    h ^ (h >> 32)
}
