//! Whether strings are UTF-8, as Table 3-7 of the Unicode standard has it.

use super::texts::Texts;
#[cfg(verus_keep_ghost)]
use crate::bytes::lemma_le_upto4;
use crate::bytes::load_u32;
use crate::payload::PayloadError;
#[cfg(verus_keep_ghost)]
use crate::payload::MAX_STRINGS;
use vstd::prelude::*;
#[cfg(verus_keep_ghost)]
use vstd::utf8::*;

verus! {

/// Refuses a dictionary with a string that is not UTF-8.
pub(super) fn check(texts: &Texts<'_>) -> (r: Result<(), PayloadError>)
    requires
        texts@.len() <= MAX_STRINGS,
    ensures
        match r {
            Ok(()) => forall|i: int| 0 <= i < texts@.len() ==> valid_utf8(#[trigger] texts@[i]),
            Err(e) => names_malformed(texts@, e),
        },
{
    if is_ascii(texts.text()) {
        proof {
            assert forall|i: int| 0 <= i < texts@.len() implies valid_utf8(
                #[trigger] texts@[i],
            ) by {
                lemma_ascii(texts@[i]);
            }
        }
        return Ok(());
    }
    let mut id: usize = 0;
    while id < texts.count()
        invariant
            id <= texts@.len() <= MAX_STRINGS,
            forall|i: int| 0 <= i < id ==> valid_utf8(#[trigger] texts@[i]),
        decreases texts@.len() - id,
    {
        if !is_utf8(texts.get(id)) {
            return Err(PayloadError::Utf8 { string: id as u32 });
        }
        id += 1;
    }
    Ok(())
}

/// Whether the error names a string that is not UTF-8.
pub(super) open spec fn names_malformed(strings: Seq<Seq<u8>>, e: PayloadError) -> bool {
    e matches PayloadError::Utf8 { string } && string < strings.len() && !valid_utf8(
        strings[string as int],
    )
}

/// Whether no byte has its top bit. Without an early exit, so that it takes many bytes a step.
fn is_ascii(s: &[u8]) -> (r: bool)
    ensures
        r ==> forall|k: int| 0 <= k < s@.len() ==> #[trigger] s@[k] < 0x80,
{
    let mut all: u8 = 0;
    let mut at: usize = 0;
    while at < s.len()
        invariant
            at <= s@.len(),
            all < 0x80 ==> forall|k: int| 0 <= k < at ==> #[trigger] s@[k] < 0x80,
        decreases s@.len() - at,
    {
        let (old, byte) = (all, s[at]);
        assert(old | byte < 0x80 ==> old < 0x80 && byte < 0x80) by (bit_vector);
        all = old | byte;
        at += 1;
    }
    all < 0x80
}

/// Whether a string is UTF-8.
fn is_utf8(s: &[u8]) -> (r: bool)
    ensures
        r == valid_utf8(s@),
{
    let mut at: usize = 0;
    assert(s@.skip(0) =~= s@);
    while at < s.len()
        invariant
            at <= s@.len(),
            valid_utf8(s@.skip(at as int)) == valid_utf8(s@),
        decreases s@.len() - at,
    {
        let first = s[at];
        let len = if first < 0x80 && s.len() - at >= 8 && are_ascii(s, at) {
            8
        } else {
            scalar(s, at, first)
        };
        if len == 0 {
            return false;
        }
        proof {
            if len == 8 {
                lemma_past_ascii(s@.skip(at as int), 8);
            }
            assert(s@.skip(at as int).skip(len as int) =~= s@.skip(at + len));
        }
        at += len;
    }
    true
}

/// Whether the eight bytes at `at` are ASCII.
#[inline(always)]
fn are_ascii(s: &[u8], at: usize) -> (r: bool)
    requires
        at + 8 <= s@.len(),
    ensures
        r ==> forall|k: int| at <= k < at + 8 ==> #[trigger] s@[k] < 0x80,
{
    assert(at + 8 <= s.len());  // and so within usize
    let (low, high) = (load_u32(s, at), load_u32(s, at + 4));
    proof {
        let at = at as int;
        lemma_le_upto4(s@, at, 4);
        lemma_le_upto4(s@, at + 4, 4);
        lemma_top_bits(low, high, s@[at], s@[at + 1], s@[at + 2], s@[at + 3]);
        lemma_top_bits(high, low, s@[at + 4], s@[at + 5], s@[at + 6], s@[at + 7]);
        assert(low | high == high | low) by (bit_vector);
    }
    (low | high) & 0x8080_8080 == 0
}

proof fn lemma_top_bits(x: u32, other: u32, a: u8, b: u8, c: u8, d: u8)
    requires
        x == a + 0x100 * b + 0x1_0000 * c + 0x100_0000 * d,
    ensures
        (x | other) & 0x8080_8080 == 0 ==> a < 0x80 && b < 0x80 && c < 0x80 && d < 0x80,
{
    assert((x | other) & 0x8080_8080 == 0 ==> a < 0x80 && b < 0x80 && c < 0x80 && d < 0x80)
        by (bit_vector)
        requires
            x == a + 0x100 * b + 0x1_0000 * c + 0x100_0000 * d,
    ;
}

/// The length of the character at `at`, which begins with this byte; 0 if none is there.
#[inline(always)]
fn scalar(s: &[u8], at: usize, first: u8) -> (len: usize)
    requires
        at < s@.len(),
        first == s@[at as int],
    ensures
        ({
            let rest = s@.skip(at as int);
            if valid_first_scalar(rest) {
                len == length_of_first_scalar(rest) && 1 <= len <= rest.len()
                    && pop_first_scalar(rest) == rest.skip(len as int)
            } else {
                len == 0
            }
        }),
{
    let left = s.len() - at;
    proof {
        let rest = s@.skip(at as int);
        let (b, c, d) = (rest[1], rest[2], rest[3]);
        lemma_scalar(first, b, c, d);
        assert(valid_first_scalar(rest) ==> pop_first_scalar(rest) =~= rest.skip(
            length_of_first_scalar(rest),
        ));
    }
    if first < 0x80 {
        1
    } else if first < 0xe0 {
        if first >= 0xc2 && at + 1 < s.len() && follows(s[at + 1]) {
            2
        } else {
            0
        }
    } else if first < 0xf0 {
        if left >= 3 && second_of_three(first, s[at + 1]) && follows(s[at + 2]) {
            3
        } else {
            0
        }
    } else if first <= 0xf4 && left >= 4 && second_of_four(first, s[at + 1]) && follows(s[at + 2])
        && follows(s[at + 3]) {
        4
    } else {
        0
    }
}

/// Whether a byte can be the second or a later one of a character.
#[verifier::allow_in_spec]
#[inline(always)]
fn follows(byte: u8) -> bool
    returns
        0x80 <= byte <= 0xbf,
{
    0x80 <= byte && byte <= 0xbf
}

/// Whether `b` can come second in a character of three bytes that begins with `a`: the shorter
/// encodings of small scalars and the surrogates are left out.
#[verifier::allow_in_spec]
#[inline(always)]
fn second_of_three(a: u8, b: u8) -> bool
    returns
        (if a == 0xe0 { 0xa0u8 } else { 0x80 }) <= b <= (if a == 0xed { 0x9fu8 } else { 0xbf }),
{
    (if a == 0xe0 { 0xa0u8 } else { 0x80 }) <= b && b <= (if a == 0xed { 0x9fu8 } else { 0xbf })
}

/// The same for four bytes: shorter encodings and what lies past U+10FFFF are left out.
#[verifier::allow_in_spec]
#[inline(always)]
fn second_of_four(a: u8, b: u8) -> bool
    returns
        (if a == 0xf0 { 0x90u8 } else { 0x80 }) <= b <= (if a == 0xf4 { 0x8fu8 } else { 0xbf }),
{
    (if a == 0xf0 { 0x90u8 } else { 0x80 }) <= b && b <= (if a == 0xf4 { 0x8fu8 } else { 0xbf })
}

/// The rows of the table are the scalars that take as many bytes and no fewer.
proof fn lemma_scalar(a: u8, b: u8, c: u8, d: u8)
    ensures
        a < 0x80 ==> codepoint_width_1(a) < 0x80,
        0xc0 <= a <= 0xdf && follows(b) ==> {
            let p = codepoint_width_2(a, b);
            p < 0x800 && (0xc2 <= a) == (0x80 <= p)
        },
        0xe0 <= a <= 0xef && follows(b) && follows(c) ==> {
            let p = codepoint_width_3(a, b, c);
            second_of_three(a, b) == (0x800 <= p && !(0xd800 <= p <= 0xdfff))
        },
        0xf0 <= a <= 0xf7 && follows(b) && follows(c) && follows(d) ==> {
            let p = codepoint_width_4(a, b, c, d);
            (a <= 0xf4 && second_of_four(a, b)) == (0x10000 <= p <= 0x10ffff)
        },
{
    assert(a < 0x80 ==> ((a & 0x7f) as u32) < 0x80) by (bit_vector);
    assert(0xc0 <= a <= 0xdf && 0x80 <= b <= 0xbf ==> {
        let p = ((a & 0x1f) as u32) << 6 | ((b & 0x3f) as u32);
        p < 0x800 && (0xc2 <= a) == (0x80 <= p)
    }) by (bit_vector);
    assert(0xe0 <= a <= 0xef && 0x80 <= b <= 0xbf && 0x80 <= c <= 0xbf ==> {
        let p = ((a & 0xf) as u32) << 12 | ((b & 0x3f) as u32) << 6 | ((c & 0x3f) as u32);
        ((a == 0xe0 ==> 0xa0 <= b) && (a == 0xed ==> b <= 0x9f)) == (0x800 <= p && !(0xd800 <= p
            <= 0xdfff))
    }) by (bit_vector);
    assert(0xf0 <= a <= 0xf7 && 0x80 <= b <= 0xbf && 0x80 <= c <= 0xbf && 0x80 <= d <= 0xbf ==> {
        let p = ((a & 7) as u32) << 18 | ((b & 0x3f) as u32) << 12 | ((c & 0x3f) as u32) << 6 | ((d
            & 0x3f) as u32);
        (a <= 0xf4 && (a == 0xf0 ==> 0x90 <= b) && (a == 0xf4 ==> b <= 0x8f)) == (0x10000 <= p
            <= 0x10ffff)
    }) by (bit_vector);
}

/// Whether the rest is UTF-8 decides, after `n` bytes of ASCII.
proof fn lemma_past_ascii(s: Seq<u8>, n: int)
    requires
        0 <= n <= s.len(),
        forall|k: int| 0 <= k < n ==> #[trigger] s[k] < 0x80,
    ensures
        valid_utf8(s) == valid_utf8(s.skip(n)),
    decreases n,
{
    if n > 0 {
        lemma_scalar(s[0], 0, 0, 0);
        lemma_past_ascii(s.skip(1), n - 1);
        assert(pop_first_scalar(s) =~= s.skip(1));
        assert(s.skip(1).skip(n - 1) =~= s.skip(n));
    } else {
        assert(s.skip(0) =~= s);
    }
}

/// ASCII is UTF-8.
proof fn lemma_ascii(s: Seq<u8>)
    requires
        forall|k: int| 0 <= k < s.len() ==> #[trigger] s[k] < 0x80,
    ensures
        valid_utf8(s),
{
    lemma_past_ascii(s, s.len() as int);
}

} // verus!

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Bytes on both sides of every border of the table.
    const EDGES: [u8; 12] = [
        0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xf4, 0xff,
    ];

    fn check(s: &[u8]) {
        assert_eq!(is_utf8(s), core::str::from_utf8(s).is_ok(), "{s:02x?}");
    }

    #[test]
    fn up_to_three_bytes_agree_with_core() {
        for n in 0..=0xff_ffffu32 {
            let s = n.to_le_bytes();
            check(&s[..3]);
            if n <= 0xffff {
                check(&s[..2]);
            }
        }
        (0..=0xff).for_each(|byte| check(&[byte]));
    }

    #[test]
    fn four_bytes_agree_with_core() {
        for first in 0xee..=0xff {
            for second in 0..=0xff {
                for third in EDGES {
                    EDGES
                        .iter()
                        .for_each(|&fourth| check(&[first, second, third, fourth]));
                }
            }
        }
    }

    /// One byte changed, or the end cut off, at every place of a long string.
    #[test]
    fn damaged_text_agrees_with_core() {
        let text = "plain ascii, then \u{e9}\u{20ac}\u{1f600} \u{d7ff}\u{e000}\u{10ffff} and ascii";
        check(text.as_bytes());
        for at in 0..text.len() {
            check(&text.as_bytes()[..at]);
            check(&text.as_bytes()[at..]);
            for byte in 0..=0xff {
                let mut s: Vec<u8> = text.into();
                s[at] = byte;
                check(&s);
            }
        }
    }
}
