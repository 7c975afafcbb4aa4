//! Columns, decoded from bytes that are at hand. `start` and `end` say which bytes are the column.

#[cfg(verus_keep_ghost)]
use super::sinks::lemma_entries_fit;
use super::sinks::{Entries, Times};
use super::word::Word;
#[cfg(verus_keep_ghost)]
use crate::bytes::le_at;
use crate::bytes::{load_u32, load_u64};
use crate::error::DecodeError;
use crate::payload::run::{Problem, Run};
#[cfg(verus_keep_ghost)]
use crate::payload::{spec, MAX_POINTS, MAX_SETS, MAX_TIMESTAMP};
use crate::streamvbyte::numbers::Numbers;
#[cfg(verus_keep_ghost)]
use crate::streamvbyte::sink::Sink;
#[cfg(verus_keep_ghost)]
use crate::streamvbyte::{lemma_offset, offset};
use alloc::vec::Vec;
use vstd::prelude::*;

verus! {

/// The numbers of a column that is one run.
pub(super) fn numbers(
    bytes: &[u8],
    start: usize,
    end: usize,
    count: usize,
    out: &mut Vec<u32>,
) -> (r: Result<(), DecodeError>)
    requires
        start <= end <= bytes@.len(),
        count <= MAX_POINTS,
    ensures
        match r {
            Ok(()) => {
                let column = bytes@.subrange(start as int, end as int);
                spec::is_run(column, count as int) && final(out)@ == spec::run(column, count as int)
            },
            Err(e) => e == DecodeError::Truncated && !spec::is_run(
                bytes@.subrange(start as int, end as int),
                count as int,
            ),
        },
{
    let run = match could_be_run(bytes, start, end, count) {
        Some(run) => run,
        None => return Err(DecodeError::Truncated),
    };
    out.resize(count, 0);
    let mut sink = Numbers { n: 0, before: Ghost(out@) };
    let r = run.decode(&mut sink, out.as_mut_slice());
    assert(r is Ok ==> out@.take(count as int) =~= out@);
    match r {
        Ok(()) => Ok(()),
        Err(_) => Err(DecodeError::Truncated),
    }
}

/// The timestamps whose codes a column has.
pub(super) fn times(
    bytes: &[u8],
    start: usize,
    end: usize,
    count: usize,
    base: i64,
    out: &mut Vec<i64>,
) -> (r: Result<(), DecodeError>)
    requires
        start <= end <= bytes@.len(),
        count <= MAX_POINTS,
        0 <= base <= MAX_TIMESTAMP,
    ensures
        match r {
            Ok(()) => {
                let column = bytes@.subrange(start as int, end as int);
                let codes = spec::run(column, count as int);
                &&& spec::is_run(column, count as int)
                &&& final(out)@.len() == count
                &&& forall|i: int|
                    0 <= i < count ==> #[trigger] final(out)@[i] == spec::time_after(
                        base as int,
                        codes,
                        i + 1,
                    )
            },
            Err(e) => e == DecodeError::Truncated && !spec::is_run(
                bytes@.subrange(start as int, end as int),
                count as int,
            ),
        },
{
    let run = match could_be_run(bytes, start, end, count) {
        Some(run) => run,
        None => return Err(DecodeError::Truncated),
    };
    let seen = Ghost((base, Seq::empty()));
    let mut sink = Times { n: 0, last: base, seen };
    out.resize(count, 0);
    match run.decode(&mut sink, out.as_mut_slice()) {
        Ok(()) => Ok(()),
        Err(_) => Err(DecodeError::Truncated),
    }
}

/// The values of a key's column in sparse form, for `sets` tag-sets.
pub(super) fn sparse(
    bytes: &[u8],
    start: usize,
    end: usize,
    sets: usize,
    out: &mut Vec<u32>,
) -> (r: Result<(), DecodeError>)
    requires
        start <= end <= bytes@.len(),
        sets <= MAX_SETS,
    ensures
        ({
            let column = bytes@.subrange(start as int, end as int);
            match r {
                Ok(()) => {
                    let (pairs, n) = (spec::pairs(column), spec::entries(column));
                    &&& spec::is_sparse_column(column)
                    &&& spec::entries_fit(column, sets as int)
                    &&& final(out)@ == spec::spread(pairs, n, sets as nat)
                },
                Err(DecodeError::Truncated) => !spec::is_sparse_column(column),
                Err(e) => e == DecodeError::NoRoom && (spec::is_sparse_column(column)
                    ==> !spec::entries_fit(column, sets as int)),
            }
        }),
{
    let ghost column = bytes@.subrange(start as int, end as int);
    if end - start < 4 {
        return Err(DecodeError::Truncated);
    }
    let pairs = load_u32(bytes, start) as usize;
    proof {
        assert(bytes@.subrange(start as int, start + 4) =~= column.subrange(0, 4));
        assert(column.skip(4) =~= bytes@.subrange(start + 4, end as int));
    }
    if pairs > sets {
        return Err(DecodeError::NoRoom);
    }
    let run = match Run::new(bytes, start + 4, end, 2 * pairs) {
        Some(run) => run,
        None => return Err(DecodeError::Truncated),
    };
    let mut sink = Entries { set: 0, odd: false, pairs: Ghost(Seq::empty()) };
    out.clear();
    out.resize(sets, 0);
    assert(out@ =~= spec::spread(Seq::empty(), 0, sets as nat));
    let r = run.decode(&mut sink, out.as_mut_slice());
    proof {
        lemma_entries_fit(column, sink, out@);
    }
    match r {
        Ok(()) => Ok(()),
        Err(Problem::Malformed) => Err(DecodeError::Truncated),
        Err(Problem::Refused) => Err(DecodeError::NoRoom),
    }
}

/// Numbers of 64 bits, as many as the column has bytes for.
pub(super) fn words<W: Word>(
    bytes: &[u8],
    start: usize,
    end: usize,
    count: usize,
    out: &mut Vec<W>,
) -> (r: Result<(), DecodeError>)
    requires
        start <= end <= bytes@.len(),
        count <= MAX_POINTS,
    ensures
        match r {
            Ok(()) => {
                let column = bytes@.subrange(start as int, end as int);
                &&& column.len() == 8 * count
                &&& final(out)@.len() == count
                &&& forall|i: int|
                    0 <= i < count ==> (#[trigger] final(out)@[i]).bits() == le_at(
                        column,
                        8 * i,
                        8,
                    )
            },
            Err(e) => e == DecodeError::Truncated && end - start != 8 * count,
        },
{
    if end - start != 8 * count {
        return Err(DecodeError::Truncated);
    }
    let column = &bytes[start..end];
    out.resize(count, W::from_bits(0));
    let mut i: usize = 0;
    // Several numbers a turn, because at the end of each a guest looks whether its time is up.
    while count - i >= 8
        invariant
            i <= count <= MAX_POINTS,
            column@.len() == 8 * count,
            out@.len() == count,
            are_words(column@, out@, i as int),
        decreases count - i,
    {
        let (_, rest) = out.as_mut_slice().split_at_mut(i);
        let (eight, _) = rest.split_at_mut(8);
        let block = &column[8 * i..8 * i + 64];
        eight_words(block, eight);
        proof {
            assert forall|k: int| i <= k < i + 8 implies (#[trigger] out@[k]).bits() == le_at(
                column@,
                8 * k,
                8,
            ) by {
                lemma_within(column@, 8 * i as int, block@, 8 * (k - i));
                assert(eight@[k - i] == out@[k]);
            }
        }
        i += 8;
    }
    while i < count
        invariant
            i <= count <= MAX_POINTS,
            column@.len() == 8 * count,
            out@.len() == count,
            are_words(column@, out@, i as int),
        decreases count - i,
    {
        out[i] = W::from_bits(load_u64(column, 8 * i));
        i += 1;
    }
    Ok(())
}

/// Whether the first `n` elements are the numbers of a column.
spec fn are_words<W: Word>(column: Seq<u8>, out: Seq<W>, n: int) -> bool {
    forall|k: int| 0 <= k < n ==> (#[trigger] out[k]).bits() == le_at(column, 8 * k, 8)
}

/// Eight numbers. The compiler copies them two at a time.
#[inline(always)]
fn eight_words<W: Word>(block: &[u8], out: &mut [W])
    requires
        block@.len() == 64,
        old(out)@.len() == 8,
    ensures
        final(out)@.len() == 8,
        are_words(block@, final(out)@, 8),
{
    out[0] = W::from_bits(load_u64(block, 0));
    out[1] = W::from_bits(load_u64(block, 8));
    out[2] = W::from_bits(load_u64(block, 16));
    out[3] = W::from_bits(load_u64(block, 24));
    out[4] = W::from_bits(load_u64(block, 32));
    out[5] = W::from_bits(load_u64(block, 40));
    out[6] = W::from_bits(load_u64(block, 48));
    out[7] = W::from_bits(load_u64(block, 56));
}

/// A number is the same in a piece of the bytes.
proof fn lemma_within(all: Seq<u8>, from: int, piece: Seq<u8>, at: int)
    requires
        0 <= from,
        0 <= at,
        at + 8 <= piece.len(),
        from + piece.len() <= all.len(),
        piece == all.subrange(from, from + piece.len()),
    ensures
        le_at(piece, at, 8) == le_at(all, from + at, 8),
{
    assert(piece.subrange(at, at + 8) =~= all.subrange(from + at, from + at + 8));
}

/// Refuses a count that so many bytes cannot hold, before a buffer is made for it.
#[inline(always)]
fn could_be_run<'s>(bytes: &'s [u8], start: usize, end: usize, count: usize) -> (r: Option<Run<'s>>)
    requires
        start <= end <= bytes@.len(),
        count <= MAX_POINTS,
    ensures
        match r {
            Some(run) => run.bytes() == bytes@.subrange(start as int, end as int) && run.total()
                == count,
            None => !spec::is_run(bytes@.subrange(start as int, end as int), count as int),
        },
{
    proof {
        let column = bytes@.subrange(start as int, end as int);
        lemma_offset(spec::control(column, count as int), 0, count as int);
    }
    if end - start < count {
        return None;
    }
    Run::new(bytes, start, end, count)
}

} // verus!
