//! Runs of numbers, decoded whole.

#[cfg(verus_keep_ghost)]
use crate::payload::spec::{control, data, is_run, run as run_of};
use crate::payload::TAIL_LEN;
use crate::streamvbyte::decode;
#[cfg(verus_keep_ghost)]
use crate::streamvbyte::{control_len, lemma_offset, lemma_piece, offset, value};
use alloc::vec::Vec;
use vstd::prelude::*;

verus! {

/// No message has a longer run: a gap and a value for each tag-set.
pub(super) open spec fn most() -> int {
    131_072
}

/// Decodes the run of `count` numbers that takes all bytes from `start` up to `end`; answers
/// whether it is one. The decoder may load bytes after the end, of which the tail makes enough.
pub(super) fn run(bytes: &[u8], start: usize, end: usize, count: usize, out: &mut Vec<u32>) -> (r:
    bool)
    requires
        start <= end,
        end + TAIL_LEN <= bytes@.len(),
        count <= most(),
    ensures
        ({
            let piece = bytes@.subrange(start as int, end as int);
            &&& r == is_run(piece, count as int)
            &&& r ==> final(out)@ == run_of(piece, count as int)
        }),
{
    let ghost piece = bytes@.subrange(start as int, end as int);
    let ghost n = count as int;
    let split = (count + 3) / 4;
    proof {
        if control_len(n) <= piece.len() {
            lemma_offset(control(piece, n), 0, n);
        }
    }
    if end - start < split || end - start - split < count {
        return false;
    }
    assert(end + TAIL_LEN <= bytes.len());  // and so within usize
    let codes = &bytes[start..start + split];
    let window = &bytes[start + split..end + TAIL_LEN];
    let room = end - start - split;
    assert(codes@ =~= control(piece, n));
    out.resize(count, 0);
    match decode(codes, window, count, out.as_mut_slice()) {
        Ok(used) if used == room => {
            proof {
                lemma_own_data(codes@, window@, data(piece, n), out@, n);
                assert(out@ =~= run_of(piece, n));
            }
            true
        },
        _ => false,
    }
}

/// Bytes after the run's own do not matter.
proof fn lemma_own_data(codes: Seq<u8>, window: Seq<u8>, own: Seq<u8>, out: Seq<u32>, n: int)
    requires
        own.is_prefix_of(window),
        offset(codes, n) == own.len(),
        forall|i: int| 0 <= i < n ==> #[trigger] out[i] == value(codes, window, i),
    ensures
        forall|i: int| 0 <= i < n ==> #[trigger] out[i] == value(codes, own, i),
{
    assert(window.skip(0) =~= window);
    assert forall|i: int| 0 <= i < n implies #[trigger] out[i] == value(codes, own, i) by {
        lemma_offset(codes, i + 1, n);
        lemma_piece(codes, window, 0, own, i);
    }
}

/// Where a number is not below `limit`.
pub(super) fn beyond(values: &[u32], limit: u32) -> (r: Option<usize>)
    ensures
        match r {
            None => forall|i: int| 0 <= i < values@.len() ==> #[trigger] values@[i] < limit,
            Some(i) => i < values@.len() && values@[i as int] >= limit,
        },
{
    // Without an early exit, so that it takes many numbers a step.
    let mut most: u32 = 0;
    let mut i: usize = 0;
    while i < values.len()
        invariant
            i <= values@.len(),
            forall|k: int| 0 <= k < i ==> #[trigger] values@[k] <= most,
        decreases values@.len() - i,
    {
        let value = values[i];
        most = if value > most { value } else { most };
        i += 1;
    }
    if most < limit {
        return None;
    }
    i = 0;
    while i < values.len()
        invariant
            i <= values@.len(),
            forall|k: int| 0 <= k < i ==> #[trigger] values@[k] < limit,
        decreases values@.len() - i,
    {
        if values[i] >= limit {
            return Some(i);
        }
        i += 1;
    }
    None
}

} // verus!
