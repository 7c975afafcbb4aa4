//! Decoding a whole run that is in memory, number by number into a sink.

use super::decode::{group_len, load_value};
#[cfg(verus_keep_ghost)]
use super::groups::Streams;
use super::groups::{group_ends, part_len, take_group, take_groups};
#[cfg(verus_keep_ghost)]
use super::sink::{numbers, refused_in};
use super::sink::{GroupSink, Sink};
use super::*;
use crate::bytes::load_upto4;

verus! {

/// Why a run was not decoded to its end.
pub(crate) enum Stop {
    /// The data end before the numbers do.
    Short,
    /// The sink refused a number.
    Refused,
}

/// Decodes `count` numbers into an empty sink; answers how many bytes of data they took.
#[inline(always)]
pub(crate) fn decode_into<K: GroupSink>(
    control: &[u8],
    data: &[u8],
    count: usize,
    sink: &mut K,
    out: &mut [K::Item],
) -> (r: Result<usize, Stop>)
    requires
        control_len(count as int) <= control@.len(),
        count <= MAX_COUNT,
        old(sink).well_formed(old(out)@),
        old(sink).taken(old(out)@).len() == 0,
    ensures
        final(sink).plan() == old(sink).plan(),
        final(sink).well_formed(final(out)@),
        final(out)@.len() == old(out)@.len(),
        match r {
            Ok(used) => used == offset(control@, count as int) && used <= data@.len()
                && final(sink).taken(final(out)@) == numbers(control@, data@, count as int),
            Err(Stop::Short) => offset(control@, count as int) > data@.len(),
            Err(Stop::Refused) => refused_in(
                numbers(control@, data@, count as int),
                *final(sink),
                final(out)@,
            ),
        },
{
    let whole = count / 4;
    let (mut q, mut pos) = (0usize, 0usize);
    let ghost all: Streams = (control@, data@, count as int);
    assert(sink.taken(out@) =~= numbers(control@, data@, 0));
    // Several groups a turn, because at the end of each a guest looks whether its time is up.
    while whole - q >= 4
        invariant
            whole == count / 4,
            q <= whole,
            count <= MAX_COUNT,
            control_len(count as int) <= control@.len(),
            at(control@, data@, 4 * q as int, pos as int, *sink, out@),
            sink.plan() == old(sink).plan(),
            out@.len() == old(out)@.len(),
            all == (control@, data@, count as int),
        decreases whole - q,
    {
        let c = &control[q..q + 4];
        let ends = group_ends(c);
        proof {
            lemma_groups_alone(control@, q as int);
            assert(c@ =~= control@.subrange(q as int, q + 4));
        }
        if data.len() - pos < ends.2 + 16 {
            break;
        }
        let block = &data[pos..pos + ends.2 + 16];
        if !take_groups(c, block, ends, sink, out, Ghost(all), Ghost(q as int)) {
            return Err(Stop::Refused);
        }
        pos += ends.3;
        q += 4;
    }
    while q < whole && data.len() - pos >= 16
        invariant
            whole == count / 4,
            q <= whole,
            count <= MAX_COUNT,
            control_len(count as int) <= control@.len(),
            at(control@, data@, 4 * q as int, pos as int, *sink, out@),
            sink.plan() == old(sink).plan(),
            out@.len() == old(out)@.len(),
            all == (control@, data@, count as int),
        decreases whole - q,
    {
        let c = control[q];
        if !take_group(c, &data[pos..pos + 16], sink, out, Ghost(all), Ghost(q as int)) {
            return Err(Stop::Refused);
        }
        pos += group_len(c);
        q += 1;
    }
    rest(control, data, count, (4 * q, pos), sink, out)
}

/// Whether the sink took the first `i` numbers, and the next one starts at byte `pos`.
spec fn at<K: Sink>(
    control: Seq<u8>,
    data: Seq<u8>,
    i: int,
    pos: int,
    sink: K,
    out: Seq<K::Item>,
) -> bool {
    &&& pos == offset(control, i)
    &&& pos <= data.len()
    &&& sink.well_formed(out)
    &&& sink.taken(out) == numbers(control, data, i)
}

/// Decodes the last numbers, from the one and the byte of data that `from` says.
#[inline(always)]
fn rest<K: Sink>(
    control: &[u8],
    data: &[u8],
    count: usize,
    from: (usize, usize),
    sink: &mut K,
    out: &mut [K::Item],
) -> (r: Result<usize, Stop>)
    requires
        from.0 <= count <= MAX_COUNT,
        control_len(count as int) <= control@.len(),
        at(control@, data@, from.0 as int, from.1 as int, *old(sink), old(out)@),
    ensures
        final(sink).plan() == old(sink).plan(),
        final(sink).well_formed(final(out)@),
        final(out)@.len() == old(out)@.len(),
        match r {
            Ok(next) => at(
                control@,
                data@,
                count as int,
                next as int,
                *final(sink),
                final(out)@,
            ),
            Err(Stop::Short) => offset(control@, count as int) > data@.len(),
            Err(Stop::Refused) => refused_in(
                numbers(control@, data@, count as int),
                *final(sink),
                final(out)@,
            ),
        },
{
    let (mut i, mut pos) = from;
    if i % 4 == 0 && i < count && count - i < 4 && data.len() - pos >= 16 {
        return last_group(control, data, count, from, sink, out);
    }
    while i < count
        invariant
            i <= count <= MAX_COUNT,
            control_len(count as int) <= control@.len(),
            at(control@, data@, i as int, pos as int, *sink, out@),
            sink.plan() == old(sink).plan(),
            out@.len() == old(out)@.len(),
        decreases count - i,
    {
        pos = one(control, data, Ghost(count as int), (i, pos), sink, out)?;
        i += 1;
    }
    Ok(pos)
}

/// Decodes the last numbers, up to three that have a control byte of their own and sixteen bytes
/// of data to load from.
#[inline(always)]
fn last_group<K: Sink>(
    control: &[u8],
    data: &[u8],
    count: usize,
    from: (usize, usize),
    sink: &mut K,
    out: &mut [K::Item],
) -> (r: Result<usize, Stop>)
    requires
        from.0 % 4 == 0,
        from.0 < count < from.0 + 4,
        count <= MAX_COUNT,
        control_len(count as int) <= control@.len(),
        at(control@, data@, from.0 as int, from.1 as int, *old(sink), old(out)@),
        from.1 + 16 <= data@.len(),
    ensures
        final(sink).plan() == old(sink).plan(),
        final(sink).well_formed(final(out)@),
        final(out)@.len() == old(out)@.len(),
        match r {
            Ok(next) => at(
                control@,
                data@,
                count as int,
                next as int,
                *final(sink),
                final(out)@,
            ),
            Err(Stop::Short) => false,
            Err(Stop::Refused) => refused_in(
                numbers(control@, data@, count as int),
                *final(sink),
                final(out)@,
            ),
        },
{
    let (first, pos) = from;
    let n = count - first;
    let c = control[first / 4];
    assert(pos + 16 <= data.len());  // and so within usize
    let v = load_four(c, &data[pos..pos + 16]);
    proof {
        lemma_slack_four(control@, data@, first as int / 4, v@);
        lemma_byte_alone(control@, first as int, n as int);
        lemma_offset(seq![c], 0, n as int);
    }
    let ghost all = numbers(control@, data@, count as int);
    let mut k: usize = 0;
    while k < n
        invariant
            n == count - first <= 3,
            k <= n,
            all == numbers(control@, data@, count as int),
            forall|j: int|
                0 <= j < 4 ==> #[trigger] v@[j] == value(control@, data@, first + j),
            sink.well_formed(out@),
            sink.taken(out@) == numbers(control@, data@, first + k),
            sink.plan() == old(sink).plan(),
            out@.len() == old(out)@.len(),
        decreases n - k,
    {
        let ghost before = numbers(control@, data@, first + k);
        assert(before.push(v@[k as int]) =~= numbers(control@, data@, first + k + 1));
        if !sink.take(out, v[k]) {
            assert(sink.taken(out@) =~= all.take(first + k));
            return Err(Stop::Refused);
        }
        k += 1;
    }
    Ok(pos + part_len(c, n))
}

/// Decodes the number and from the byte of data that `from` says; answers where the next starts.
#[inline(always)]
fn one<K: Sink>(
    control: &[u8],
    data: &[u8],
    Ghost(count): Ghost<int>,
    from: (usize, usize),
    sink: &mut K,
    out: &mut [K::Item],
) -> (r: Result<usize, Stop>)
    requires
        from.0 < count <= MAX_COUNT,
        control_len(count) <= control@.len(),
        at(control@, data@, from.0 as int, from.1 as int, *old(sink), old(out)@),
    ensures
        final(sink).plan() == old(sink).plan(),
        final(sink).well_formed(final(out)@),
        final(out)@.len() == old(out)@.len(),
        match r {
            Ok(next) => at(
                control@,
                data@,
                from.0 + 1,
                next as int,
                *final(sink),
                final(out)@,
            ),
            Err(Stop::Short) => offset(control@, count) > data@.len(),
            Err(Stop::Refused) => refused_in(
                numbers(control@, data@, count),
                *final(sink),
                final(out)@,
            ),
        },
{
    let (i, pos) = from;
    let len = load_length(control, i);
    let have = data.len() - pos;
    if have < len {
        proof {
            lemma_offset(control@, i + 1, count);
        }
        return Err(Stop::Short);
    }
    let v = if have >= 4 {
        load_value(data, pos, (len - 1) as u8)
    } else {
        load_upto4(data, pos, len)
    };
    let ghost all = numbers(control@, data@, count);
    assert(numbers(control@, data@, i as int).push(v) =~= numbers(control@, data@, i + 1));
    if !sink.take(out, v) {
        assert(sink.taken(out@) =~= all.take(i as int));
        return Err(Stop::Refused);
    }
    Ok(pos + len)
}

} // verus!
