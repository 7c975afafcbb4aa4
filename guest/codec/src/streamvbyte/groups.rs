//! The numbers of whole control bytes, where the data are long enough to load from freely.

use super::sink::GroupSink;
#[cfg(verus_keep_ghost)]
use super::sink::{numbers, refused_in, Sink};
use super::*;

verus! {

/// The streams of a run, and how many numbers it has.
pub(super) type Streams = (Seq<u8>, Seq<u8>, int);

/// Whether the sink took the first `i` numbers of a run.
pub(super) open(super) spec fn took<K: Sink>(
    all: Streams,
    i: int,
    sink: K,
    out: Seq<K::Item>,
) -> bool {
    let (control, data, count) = all;
    &&& i <= count <= MAX_COUNT
    &&& control_len(count) <= control.len()
    &&& sink.well_formed(out)
    &&& sink.taken(out) == numbers(control, data, i)
}

/// Whether `block` are `len` bytes of the data from the first number of control byte `q` on.
pub(super) open(super) spec fn is_block(all: Streams, q: int, block: Seq<u8>, len: int) -> bool {
    let (control, data, _) = all;
    let pos = offset(control, 4 * q);
    &&& 0 <= q
    &&& pos + len <= data.len()
    &&& block == data.subrange(pos, pos + len)
    &&& block.len() == len
}

/// Takes the numbers of control byte `q`, which is `c`. Answers whether all had a place.
#[inline(always)]
pub(super) fn take_group<K: GroupSink>(
    c: u8,
    block: &[u8],
    sink: &mut K,
    out: &mut [K::Item],
    Ghost(all): Ghost<Streams>,
    Ghost(q): Ghost<int>,
) -> (r: bool)
    requires
        took(all, 4 * q, *old(sink), old(out)@),
        4 * q + 4 <= all.2,
        is_block(all, q, block@, 16),
        c == all.0[q],
    ensures
        final(sink).plan() == old(sink).plan(),
        final(sink).well_formed(final(out)@),
        final(out)@.len() == old(out)@.len(),
        r ==> {
            &&& took(all, 4 * q + 4, *final(sink), final(out)@)
            &&& offset(all.0, 4 * q + 4) == offset(all.0, 4 * q) + offset(seq![c], 4)
            &&& offset(all.0, 4 * q + 4) <= all.1.len()
        },
        !r ==> refused_in(numbers(all.0, all.1, all.2), *final(sink), final(out)@),
{
    let v = load_four(c, block);
    let ghost before = sink.taken(out@);
    proof {
        let (control, data, count) = all;
        lemma_slack_four(control, data, q, v@);
        assert(before + v@ =~= numbers(control, data, 4 * q + 4));
    }
    let r = sink.take_four(out, v);
    proof {
        if !r {
            let n = choose|n: int|
                0 <= n < 4 && sink.taken(out@) == before + v@.take(n) && sink.refuses(
                    out@,
                    #[trigger] v@[n],
                );
            let numbers = numbers(all.0, all.1, all.2);
            assert(sink.taken(out@) =~= numbers.take(4 * q + n));
            assert(numbers[4 * q + n] == v@[n]);
        }
    }
    r
}

/// Takes the numbers of four control bytes, the first of which is `q`. `block` are the data from
/// its first number up to sixteen bytes after the first number of the last one.
#[inline(always)]
pub(super) fn take_groups<K: GroupSink>(
    c: &[u8],
    block: &[u8],
    ends: (usize, usize, usize, usize),
    sink: &mut K,
    out: &mut [K::Item],
    Ghost(all): Ghost<Streams>,
    Ghost(q): Ghost<int>,
) -> (r: bool)
    requires
        took(all, 4 * q, *old(sink), old(out)@),
        4 * q + 16 <= all.2,
        c@ == all.0.subrange(q, q + 4),
        are_ends(c@, ends),
        is_block(all, q, block@, ends.2 + 16),
    ensures
        final(sink).plan() == old(sink).plan(),
        final(sink).well_formed(final(out)@),
        final(out)@.len() == old(out)@.len(),
        r ==> {
            &&& took(all, 4 * q + 16, *final(sink), final(out)@)
            &&& offset(all.0, 4 * q + 16) == offset(all.0, 4 * q) + ends.3
            &&& offset(all.0, 4 * q + 16) <= all.1.len()
        },
        !r ==> refused_in(numbers(all.0, all.1, all.2), *final(sink), final(out)@),
{
    let (a, b, c, d) = (c[0], c[1], c[2], c[3]);
    let first = &block[0..16];
    let second = &block[ends.0..ends.0 + 16];
    let third = &block[ends.1..ends.1 + 16];
    let fourth = &block[ends.2..ends.2 + 16];
    proof {
        lemma_groups_alone(all.0, q);
        let data = all.1;
        let pos = offset(all.0, 4 * q);
        lemma_offset(all.0, 0, 4 * q);
        assert(first@ =~= data.subrange(pos, pos + 16));
        assert(second@ =~= data.subrange(pos + ends.0, pos + ends.0 + 16));
        assert(third@ =~= data.subrange(pos + ends.1, pos + ends.1 + 16));
        assert(fourth@ =~= data.subrange(pos + ends.2, pos + ends.2 + 16));
    }
    take_group(a, first, sink, out, Ghost(all), Ghost(q))
        && take_group(b, second, sink, out, Ghost(all), Ghost(q + 1))
        && take_group(c, third, sink, out, Ghost(all), Ghost(q + 2))
        && take_group(d, fourth, sink, out, Ghost(all), Ghost(q + 3))
}

/// Whether the data of four control bytes end there.
pub(super) open(super) spec fn are_ends(c: Seq<u8>, ends: (usize, usize, usize, usize)) -> bool {
    &&& c.len() == 4
    &&& ends.0 == offset(c, 4) <= 16
    &&& ends.1 == offset(c, 8) <= 32
    &&& ends.2 == offset(c, 12) <= 48
    &&& ends.3 == offset(c, 16) <= ends.2 + 16
    &&& ends.0 <= ends.1 <= ends.2 <= ends.3
}

/// Where the data of each of four control bytes end: the sums of codes of `code_sum`, for all four
/// at once, and then the sums of those, so that no load waits for the one before.
#[inline(always)]
pub(super) fn group_ends(c: &[u8]) -> (ends: (usize, usize, usize, usize))
    requires
        c@.len() == 4,
    ensures
        are_ends(c@, ends),
{
    let (c0, c1, c2, c3) = (c[0], c[1], c[2], c[3]);
    let w = c0 as u32 | (c1 as u32) << 8 | (c2 as u32) << 16 | (c3 as u32) << 24;
    proof {
        lemma_ends(w, c0, c1, c2, c3);
        lemma_four(c@, 0);
        lemma_four(c@, 4);
        lemma_four(c@, 8);
        lemma_four(c@, 12);
        let (s0, s1) = (offset(c@, 4), offset(c@, 8) - offset(c@, 4));
        assert(s0 == 4 + (c0 & 3) + ((c0 >> 2) & 3) + ((c0 >> 4) & 3) + (c0 >> 6));
        assert(s1 == 4 + (c1 & 3) + ((c1 >> 2) & 3) + ((c1 >> 4) & 3) + (c1 >> 6));
        let (s2, s3) = (offset(c@, 12) - offset(c@, 8), offset(c@, 16) - offset(c@, 12));
        assert(s2 == 4 + (c2 & 3) + ((c2 >> 2) & 3) + ((c2 >> 4) & 3) + (c2 >> 6));
        assert(s3 == 4 + (c3 & 3) + ((c3 >> 2) & 3) + ((c3 >> 4) & 3) + (c3 >> 6));
        lemma_offset(c@, 4, 8);
        lemma_offset(c@, 8, 12);
        lemma_offset(c@, 12, 16);
    }
    let pairs = (w & 0x3333_3333) + ((w >> 2) & 0x3333_3333);
    let sums = (pairs & 0x0f0f_0f0f) + ((pairs >> 4) & 0x0f0f_0f0f) + 0x0404_0404;
    let two = sums + (sums << 8);
    let ends = two + (two << 16);
    (
        (ends & 0xff) as usize,
        ((ends >> 8) & 0xff) as usize,
        ((ends >> 16) & 0xff) as usize,
        (ends >> 24) as usize,
    )
}

/// How long the first `n` values of control byte `c` are together.
#[inline(always)]
pub(super) fn part_len(c: u8, n: usize) -> (len: usize)
    requires
        1 <= n <= 3,
    ensures
        len == offset(seq![c], n as int),
{
    let n = n as u8;
    let kept = c & (0xff >> (8 - 2 * n));
    proof {
        lemma_four(seq![c], 0);
        assert((kept & 3) + ((kept >> 2) & 3) + ((kept >> 4) & 3) + (kept >> 6) == (c & 3) + (if n
            > 1 {
            (c >> 2) & 3
        } else {
            0
        }) + (if n > 2 {
            (c >> 4) & 3
        } else {
            0
        })) by (bit_vector)
            requires
                1 <= n <= 3,
                kept == c & (0xffu8 >> sub(8, mul(2, n))),
        ;
    }
    n as usize + code_sum(kept) as usize
}

} // verus!
