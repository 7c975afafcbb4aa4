//! Runs: numbers in StreamVByte, control bytes first, filling all of their bytes.

use crate::streamvbyte::{control_len, offset, value};
use vstd::prelude::*;

verus! {

/// The control bytes of a run of `n` numbers.
pub open spec fn control(bytes: Seq<u8>, n: int) -> Seq<u8> {
    bytes.take(control_len(n))
}

/// The bytes of the numbers of a run.
pub open spec fn data(bytes: Seq<u8>, n: int) -> Seq<u8> {
    bytes.skip(control_len(n))
}

/// Whether `bytes` are a run of `n` numbers and nothing else.
pub open spec fn is_run(bytes: Seq<u8>, n: int) -> bool {
    &&& control_len(n) <= bytes.len()
    &&& offset(control(bytes, n), n) == data(bytes, n).len()
}

/// Number `i` of a run of `n`.
pub open spec fn number(bytes: Seq<u8>, n: int, i: int) -> u32 {
    value(control(bytes, n), data(bytes, n), i) as u32
}

/// The numbers of a run.
pub open spec fn run(bytes: Seq<u8>, n: int) -> Seq<u32> {
    Seq::new(n as nat, |i: int| number(bytes, n, i))
}

} // verus!
