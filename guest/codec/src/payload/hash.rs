//! A hash of strings, cheap rather than safe: its users bound their own work.

#[cfg(verus_keep_ghost)]
use crate::bytes::le_at;
use crate::bytes::{load_u32, load_u64};
use vstd::prelude::*;

verus! {

const K: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of a string. Verified users need no more of it than that equal strings have equal ones.
pub closed spec fn hash_of(s: Seq<u8>) -> u64 {
    let h = words(s, s.len() as int / 8);
    finished(if s.len() % 8 == 0 { h } else { stepped(h, rest(s)) })
}

spec fn stepped(h: u64, word: u64) -> u64 {
    vstd::wrapping::u64_specs::wrapping_mul(((h << 23) | (h >> 41)) ^ word, K)
}

/// A product's low bits know nothing of a word's high ones, so these are folded in at the end.
spec fn finished(h: u64) -> u64 {
    let h = vstd::wrapping::u64_specs::wrapping_mul(h ^ (h >> 32), K);
    h ^ (h >> 32)
}

/// What the first `n` whole words make of the length.
spec fn words(s: Seq<u8>, n: int) -> u64
    decreases n,
{
    if n <= 0 {
        s.len() as u64
    } else {
        stepped(words(s, n - 1), le_at(s, 8 * (n - 1), 8) as u64)
    }
}

/// All bytes after the last whole word, and some before them where that is less work.
spec fn rest(s: Seq<u8>) -> u64 {
    let n = s.len() as int;
    if n >= 8 {
        le_at(s, n - 8, 8) as u64
    } else if n >= 4 {
        le_at(s, 0, 4) as u64 | (le_at(s, n - 4, 4) as u64) << 32
    } else {
        s[0] as u64 | (s[n / 2] as u64) << 8 | (s[n - 1] as u64) << 16
    }
}

/// Spreads strings over 64 bits, eight bytes a step.
#[inline]
pub(super) fn hash(s: &[u8]) -> (h: u64)
    ensures
        h == hash_of(s@),
{
    let n = s.len();
    let mut h = n as u64;
    let mut at: usize = 0;
    while n - at >= 8
        invariant
            n == s@.len(),
            at <= n,
            at % 8 == 0,
            h == words(s@, at as int / 8),
        decreases n - at,
    {
        h = step(h, load_u64(s, at));
        at += 8;
    }
    if at < n {
        h = step(h, load_rest(s));
    }
    finish(h)
}

#[inline(always)]
fn step(h: u64, word: u64) -> (r: u64)
    ensures
        r == stepped(h, word),
{
    (((h << 23) | (h >> 41)) ^ word).wrapping_mul(K)
}

#[inline(always)]
fn finish(h: u64) -> (r: u64)
    ensures
        r == finished(h),
{
    let h = (h ^ (h >> 32)).wrapping_mul(K);
    h ^ (h >> 32)
}

#[inline(always)]
fn load_rest(s: &[u8]) -> (word: u64)
    requires
        s@.len() > 0,
    ensures
        word == rest(s@),
{
    let n = s.len();
    if n >= 8 {
        load_u64(s, n - 8)
    } else if n >= 4 {
        load_u32(s, 0) as u64 | (load_u32(s, n - 4) as u64) << 32
    } else {
        s[0] as u64 | (s[n / 2] as u64) << 8 | (s[n - 1] as u64) << 16
    }
}

} // verus!

/// Different strings of one hash, for tests of what bounds the work of the hash's users.
#[cfg(test)]
pub(super) fn colliding(count: u64) -> alloc::vec::Vec<[u8; 16]> {
    let string = |first: u64| {
        let last = step(16, first).rotate_left(23);
        let mut s = [0; 16];
        s[..8].copy_from_slice(&first.to_le_bytes());
        s[8..].copy_from_slice(&last.to_le_bytes());
        s
    };
    (0..count).map(string).collect()
}
