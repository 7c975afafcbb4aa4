//! The dictionary: strings by id.

use super::{column, is_run, run};
use crate::payload::{Header, MAX_STRING_LEN};
use vstd::prelude::*;
use vstd::utf8::valid_utf8;

verus! {

/// The length of each string in bytes.
pub open spec fn string_lengths(m: Seq<u8>, h: Header) -> Seq<u32> {
    run(column(m, 0), h.strings as int)
}

/// The sum of the first `i` lengths: where string `i` starts, and where string `i - 1` ends.
pub open spec fn bound(lengths: Seq<u32>, i: int) -> int
    decreases i,
{
    if i <= 0 {
        0
    } else {
        bound(lengths, i - 1) + lengths[i - 1]
    }
}

/// The bytes of string `i`, of strings of these lengths that lie one after the other in `text`.
pub open spec fn piece(text: Seq<u8>, lengths: Seq<u32>, i: int) -> Seq<u8> {
    text.subrange(bound(lengths, i), bound(lengths, i + 1))
}

/// The string with id `i`.
pub open spec fn string(m: Seq<u8>, h: Header, i: int) -> Seq<u8> {
    piece(column(m, 1), string_lengths(m, h), i)
}

/// All strings in the order of their ids.
pub open spec fn dictionary(m: Seq<u8>, h: Header) -> Seq<Seq<u8>> {
    Seq::new(h.strings as nat, |i: int| string(m, h, i))
}

/// Whether the strings can be told apart: their lengths are there, and not more than their bytes.
pub open spec fn dictionary_readable(m: Seq<u8>, h: Header) -> bool {
    &&& is_run(column(m, 0), h.strings as int)
    &&& bound(string_lengths(m, h), h.strings as int) <= column(m, 1).len()
}

/// Whether no two strings are equal.
pub open spec fn distinct(strings: Seq<Seq<u8>>) -> bool {
    forall|i: int, j: int| 0 <= i < j < strings.len() ==> #[trigger] strings[i]
        != #[trigger] strings[j]
}

/// Whether the dictionary has strings of 1 to 1024 bytes, UTF-8, all different, and nothing else.
pub open spec fn dictionary_valid(m: Seq<u8>, h: Header) -> bool {
    let lengths = string_lengths(m, h);
    let strings = dictionary(m, h);
    &&& is_run(column(m, 0), h.strings as int)
    &&& forall|i: int| 0 <= i < lengths.len() ==> 1 <= #[trigger] lengths[i] <= MAX_STRING_LEN
    &&& bound(lengths, h.strings as int) == column(m, 1).len()
    &&& forall|i: int| 0 <= i < strings.len() ==> valid_utf8(#[trigger] strings[i])
    &&& distinct(strings)
}

} // verus!
