//! Texts as numbers that are cheap to compare.

/// The first eight bytes, filled up with zeros.
#[inline]
pub fn head(text: &[u8]) -> u64 {
    match text.first_chunk::<8>() {
        Some(&head) => u64::from_le_bytes(head),
        None => text
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
    }
}

/// Of the length, the first and the last eight bytes.
#[inline]
pub fn hash(text: &[u8]) -> u32 {
    let n = text.len() as u64;
    let (head, tail) = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(&head), Some(&tail)) => (u64::from_le_bytes(head), u64::from_le_bytes(tail)),
        _ => match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            (Some(&head), Some(&tail)) => (
                u64::from(u32::from_le_bytes(head)),
                u64::from(u32::from_le_bytes(tail)) << 32,
            ),
            _ => (
                text.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
                0,
            ),
        },
    };
    let mixed = (head ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ tail.rotate_left(23);
    (mixed.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) as u32
}
