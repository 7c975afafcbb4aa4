//! Decoding a whole run, number by number into a [`Sink`].

#[cfg(verus_keep_ghost)]
use super::spec;
use super::TAIL_LEN;
use crate::bytes::load_upto4;
#[cfg(verus_keep_ghost)]
use crate::streamvbyte::{
    control_len, lemma_offset, lemma_piece, lemma_slack_four, offset, value, MAX_COUNT,
};
use crate::streamvbyte::{load_four, load_length};
use vstd::prelude::*;

verus! {

/// What numbers of a run are decoded into.
pub(super) trait Sink {
    spec fn well_formed(&self) -> bool;

    /// The numbers taken so far.
    spec fn taken(&self) -> Seq<u32>;

    /// What the sink was made for; it stays.
    spec fn plan(&self) -> (int, int);

    /// Whether the sink has no place for `v` as the next number.
    spec fn refuses(&self, v: u32) -> bool;

    /// Takes the next number; answers whether it has a place.
    fn take(&mut self, v: u32) -> (r: bool)
        requires
            old(self).well_formed(),
        ensures
            final(self).well_formed(),
            final(self).plan() == old(self).plan(),
            r ==> final(self).taken() == old(self).taken().push(v),
            !r ==> final(self).taken() == old(self).taken() && final(self).refuses(v),
    ;
}

/// Why a run was not decoded to its end.
pub(super) enum Stop {
    /// The bytes are not a run of so many numbers.
    Malformed,
    /// The sink refused a number.
    Refused,
}

/// A run of numbers that is to fill its bytes.
pub(super) struct Run<'s> {
    control: &'s [u8],
    /// The bytes of the numbers, and what follows them: loads may then reach beyond the run.
    data: &'s [u8],
    /// How many bytes of `data` are the run's own.
    room: usize,
    count: usize,
}

impl<'s> Run<'s> {
    #[verifier::type_invariant]
    spec fn invariant(self) -> bool {
        &&& self.count <= MAX_COUNT
        &&& self.control@.len() == control_len(self.count as int)
        &&& self.room <= self.data@.len()
    }

    /// The bytes of the run.
    pub(super) closed spec fn bytes(self) -> Seq<u8> {
        self.control@ + self.data@.take(self.room as int)
    }

    /// How many numbers it is to have.
    pub(super) closed spec fn total(self) -> int {
        self.count as int
    }

    /// The run of `count` numbers in `bytes` from `start` to `end`; `None` when even their control
    /// bytes are more.
    pub(super) fn new(bytes: &'s [u8], start: usize, end: usize, count: usize) -> (r: Option<Self>)
        requires
            start <= end <= bytes@.len(),
            count <= MAX_COUNT,
        ensures
            match r {
                Some(run) => run.bytes() == bytes@.subrange(start as int, end as int)
                    && run.total() == count,
                None => control_len(count as int) > end - start,
            },
    {
        let controls = (count + 3) / 4;
        if end - start < controls {
            return None;
        }
        let split = start + controls;
        let limit = if bytes.len() - end < TAIL_LEN {
            bytes.len()
        } else {
            end + TAIL_LEN
        };
        let run = Run {
            control: &bytes[start..split],
            data: &bytes[split..limit],
            room: end - split,
            count,
        };
        assert(run.bytes() =~= bytes@.subrange(start as int, end as int));
        Some(run)
    }

    /// Decodes all numbers into an empty sink.
    #[inline(always)]
    pub(super) fn decode<K: Sink>(&self, sink: &mut K) -> (r: Result<(), Stop>)
        requires
            old(sink).well_formed(),
            old(sink).taken().len() == 0,
        ensures
            final(sink).well_formed(),
            final(sink).plan() == old(sink).plan(),
            match r {
                Ok(()) => spec::is_run(self.bytes(), self.total()) && final(sink).taken()
                    == spec::run(self.bytes(), self.total()),
                Err(Stop::Malformed) => !spec::is_run(self.bytes(), self.total()),
                Err(Stop::Refused) => spec::is_run(self.bytes(), self.total()) ==> refused_in(
                    spec::run(self.bytes(), self.total()),
                    *final(sink),
                ),
            },
    {
        proof {
            use_type_invariant(self);
        }
        let (control, data, count) = (self.control, self.data, self.count);
        let (whole, mut q, mut pos) = (count / 4, 0usize, 0usize);
        assert(sink.taken() =~= numbers(control@, data@, 0));
        while q < whole
            invariant
                whole == count / 4,
                q <= whole,
                count <= MAX_COUNT,
                control@.len() == control_len(count as int),
                control == self.control,
                data == self.data,
                count == self.count,
                self.room <= data@.len(),
                pos == offset(control@, 4 * q),
                pos <= data@.len(),
                sink.well_formed(),
                sink.plan() == old(sink).plan(),
                sink.taken() == numbers(control@, data@, 4 * q),
            decreases whole - q,
        {
            let (v, next) = match four(control, data, q, pos) {
                Some(found) => found,
                None => {
                    proof {
                        self.lemma_short(4 * q + 4);
                    }
                    return Err(Stop::Malformed);
                },
            };
            proof {
                self.lemma_next(4 * q as int, v[0]);
                self.lemma_next(4 * q + 1, v[1]);
                self.lemma_next(4 * q + 2, v[2]);
                self.lemma_next(4 * q + 3, v[3]);
            }
            if !(sink.take(v[0]) && sink.take(v[1]) && sink.take(v[2]) && sink.take(v[3])) {
                proof {
                    self.lemma_refused(*sink);
                }
                return Err(Stop::Refused);
            }
            pos = next;
            q += 1;
        }
        self.finish(sink, 4 * whole, pos)
    }

    /// Decodes the last numbers, from number `i` at byte `pos` on.
    #[inline(always)]
    fn finish<K: Sink>(&self, sink: &mut K, i: usize, pos: usize) -> (r: Result<(), Stop>)
        requires
            i <= self.count,
            pos == offset(self.control@, i as int),
            pos <= self.data@.len(),
            old(sink).well_formed(),
            old(sink).taken() == numbers(self.control@, self.data@, i as int),
        ensures
            final(sink).well_formed(),
            final(sink).plan() == old(sink).plan(),
            match r {
                Ok(()) => spec::is_run(self.bytes(), self.total()) && final(sink).taken()
                    == spec::run(self.bytes(), self.total()),
                Err(Stop::Malformed) => !spec::is_run(self.bytes(), self.total()),
                Err(Stop::Refused) => spec::is_run(self.bytes(), self.total()) ==> refused_in(
                    spec::run(self.bytes(), self.total()),
                    *final(sink),
                ),
            },
    {
        proof {
            use_type_invariant(self);
        }
        let (control, data, count) = (self.control, self.data, self.count);
        let (mut i, mut pos) = (i, pos);
        while i < count
            invariant
                i <= count <= MAX_COUNT,
                control@.len() == control_len(count as int),
                control == self.control,
                data == self.data,
                count == self.count,
                self.room <= data@.len(),
                pos == offset(control@, i as int),
                pos <= data@.len(),
                sink.well_formed(),
                sink.plan() == old(sink).plan(),
                sink.taken() == numbers(control@, data@, i as int),
            decreases count - i,
        {
            let (v, next) = match one(control, data, i, pos) {
                Some(found) => found,
                None => {
                    proof {
                        self.lemma_short(i + 1);
                    }
                    return Err(Stop::Malformed);
                },
            };
            proof {
                self.lemma_next(i as int, v);
            }
            if !sink.take(v) {
                proof {
                    self.lemma_refused(*sink);
                }
                return Err(Stop::Refused);
            }
            pos = next;
            i += 1;
        }
        proof {
            self.lemma_split();
        }
        if pos != self.room {
            return Err(Stop::Malformed);
        }
        proof {
            self.lemma_all();
        }
        Ok(())
    }

    /// Both streams, as the specification cuts them.
    proof fn lemma_split(&self)
        requires
            self.invariant(),
        ensures
            spec::control(self.bytes(), self.total()) == self.control@,
            spec::data(self.bytes(), self.total()) == self.data@.take(self.room as int),
            spec::is_run(self.bytes(), self.total()) == (offset(self.control@, self.count as int)
                == self.room),
    {
        assert(spec::control(self.bytes(), self.total()) =~= self.control@);
        assert(spec::data(self.bytes(), self.total()) =~= self.data@.take(self.room as int));
    }

    /// It is no run when its first `i` numbers take more bytes than there are.
    proof fn lemma_short(&self, i: int)
        requires
            self.invariant(),
            0 <= i <= self.count,
            offset(self.control@, i) > self.data@.len(),
        ensures
            !spec::is_run(self.bytes(), self.total()),
    {
        self.lemma_split();
        lemma_offset(self.control@, i, self.count as int);
    }

    /// One number more.
    proof fn lemma_next(&self, i: int, v: u32)
        requires
            0 <= i,
            v == value(self.control@, self.data@, i),
        ensures
            numbers(self.control@, self.data@, i).push(v) == numbers(
                self.control@,
                self.data@,
                i + 1,
            ),
    {
        assert(numbers(self.control@, self.data@, i).push(v) =~= numbers(
            self.control@,
            self.data@,
            i + 1,
        ));
    }

    /// What lies behind the run does not matter to its numbers.
    proof fn lemma_all(&self)
        requires
            self.invariant(),
            offset(self.control@, self.count as int) == self.room,
        ensures
            numbers(self.control@, self.data@, self.count as int) == spec::run(
                self.bytes(),
                self.total(),
            ),
    {
        self.lemma_split();
        assert forall|i: int| 0 <= i < self.count implies #[trigger] value(
            self.control@,
            self.data@,
            i,
        ) == value(self.control@, self.data@.take(self.room as int), i) by {
            lemma_offset(self.control@, i + 1, self.count as int);
            lemma_piece(self.control@, self.data@, 0, self.data@.take(self.room as int), i);
        }
        assert(numbers(self.control@, self.data@, self.count as int) =~= spec::run(
            self.bytes(),
            self.total(),
        ));
    }

    /// A refused number is one of the run's.
    proof fn lemma_refused<K: Sink>(&self, sink: K)
        requires
            self.invariant(),
            sink.taken().len() < self.count,
            sink.taken() == numbers(self.control@, self.data@, sink.taken().len() as int),
            sink.refuses(
                value(self.control@, self.data@, sink.taken().len() as int) as u32,
            ),
        ensures
            spec::is_run(self.bytes(), self.total()) ==> refused_in(
                spec::run(self.bytes(), self.total()),
                sink,
            ),
    {
        self.lemma_split();
        if offset(self.control@, self.count as int) == self.room {
            self.lemma_all();
            let n = sink.taken().len() as int;
            let all = spec::run(self.bytes(), self.total());
            assert(all[n] == numbers(self.control@, self.data@, self.count as int)[n]);
            assert(sink.taken() =~= all.take(n));
        }
    }
}

/// Whether the sink took the first of these numbers, but not all, and refuses the next.
pub(super) open spec fn refused_in<K: Sink>(all: Seq<u32>, sink: K) -> bool {
    let n = sink.taken().len() as int;
    n < all.len() && sink.taken() == all.take(n) && sink.refuses(all[n])
}

/// The first `n` numbers of two streams.
spec fn numbers(control: Seq<u8>, data: Seq<u8>, n: int) -> Seq<u32> {
    Seq::new(n as nat, |i: int| value(control, data, i) as u32)
}

/// Number `i`, which starts at byte `pos`, and where the next one does. `None` when it is cut.
#[inline(always)]
fn one(control: &[u8], data: &[u8], i: usize, pos: usize) -> (r: Option<(u32, usize)>)
    requires
        i / 4 < control@.len(),
        pos == offset(control@, i as int),
        pos <= data@.len(),
    ensures
        match r {
            Some((v, next)) => next == offset(control@, i + 1) && next <= data@.len() && v == value(
                control@,
                data@,
                i as int,
            ),
            None => offset(control@, i + 1) > data@.len(),
        },
{
    let len = load_length(control, i);
    if data.len() - pos < len {
        return None;
    }
    Some((load_upto4(data, pos, len), pos + len))
}

/// The four numbers of control byte `q`, which start at byte `pos`, and where the next one does.
/// `None` when one of them is cut.
#[inline(always)]
fn four(control: &[u8], data: &[u8], q: usize, pos: usize) -> (r: Option<([u32; 4], usize)>)
    requires
        q < control@.len(),
        4 * q + 4 <= MAX_COUNT,
        pos == offset(control@, 4 * q),
        pos <= data@.len(),
    ensures
        match r {
            Some((v, next)) => next == offset(control@, 4 * q + 4) && next <= data@.len() && forall|
                j: int,
            |
                0 <= j < 4 ==> #[trigger] v@[j] == value(control@, data@, 4 * q + j),
            None => offset(control@, 4 * q + 4) > data@.len(),
        },
{
    if data.len() - pos < 16 {
        return four_at_end(control, data, q, pos);
    }
    let (v, used) = load_four(control[q], &data[pos..pos + 16]);
    proof {
        lemma_slack_four(control@, data@, q as int, v@);
    }
    Some((v, pos + used))
}

/// Like [`four`], where there are too few bytes to load freely.
#[cold]
fn four_at_end(control: &[u8], data: &[u8], q: usize, pos: usize) -> (r: Option<([u32; 4], usize)>)
    requires
        q < control@.len(),
        4 * q + 4 <= MAX_COUNT,
        pos == offset(control@, 4 * q),
        pos <= data@.len(),
    ensures
        match r {
            Some((v, next)) => next == offset(control@, 4 * q + 4) && next <= data@.len() && forall|
                j: int,
            |
                0 <= j < 4 ==> #[trigger] v@[j] == value(control@, data@, 4 * q + j),
            None => offset(control@, 4 * q + 4) > data@.len(),
        },
{
    let mut v = [0u32; 4];
    let mut pos = pos;
    let mut j: usize = 0;
    while j < 4
        invariant
            j <= 4,
            q < control@.len(),
            4 * q + 4 <= MAX_COUNT,
            pos == offset(control@, 4 * q + j),
            pos <= data@.len(),
            forall|k: int| 0 <= k < j ==> #[trigger] v@[k] == value(control@, data@, 4 * q + k),
        decreases 4 - j,
    {
        match one(control, data, 4 * q + j, pos) {
            Some((number, next)) => {
                v[j] = number;
                pos = next;
            },
            None => {
                proof {
                    lemma_offset(control@, 4 * q + j + 1, 4 * q + 4);
                }
                return None;
            },
        }
        j += 1;
    }
    Some((v, pos))
}

} // verus!
