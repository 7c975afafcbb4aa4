//! Columns that are one run of numbers, filling all of their bytes.

#[cfg(verus_keep_ghost)]
use super::spec;
use super::TAIL_LEN;
use crate::streamvbyte::sink::GroupSink;
use crate::streamvbyte::whole::{decode_into, Stop};
#[cfg(verus_keep_ghost)]
use crate::streamvbyte::{
    control_len, lemma_offset, lemma_piece, offset,
    sink::{numbers, refused_in},
    value, MAX_COUNT,
};
use vstd::prelude::*;

verus! {

/// Why a column was not decoded.
pub(super) enum Problem {
    /// Its bytes are not a run of so many numbers.
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
    #[inline(always)]
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
    pub(super) fn decode<K: GroupSink>(&self, sink: &mut K, out: &mut [K::Item]) -> (r: Result<
        (),
        Problem,
    >)
        requires
            old(sink).well_formed(old(out)@),
            old(sink).taken(old(out)@).len() == 0,
        ensures
            final(sink).plan() == old(sink).plan(),
            final(sink).well_formed(final(out)@),
            final(out)@.len() == old(out)@.len(),
            ({
                let all = spec::run(self.bytes(), self.total());
                let is_run = spec::is_run(self.bytes(), self.total());
                match r {
                    Ok(()) => is_run && final(sink).taken(final(out)@) == all,
                    Err(Problem::Malformed) => !is_run,
                    Err(Problem::Refused) => is_run ==> refused_in(all, *final(sink), final(out)@),
                }
            }),
    {
        proof {
            use_type_invariant(self);
            self.lemma_split();
            self.lemma_all();
        }
        match decode_into(self.control, self.data, self.count, sink, out) {
            Ok(used) if used == self.room => Ok(()),
            Ok(_) => Err(Problem::Malformed),
            Err(Stop::Short) => Err(Problem::Malformed),
            Err(Stop::Refused) => Err(Problem::Refused),
        }
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

    /// What lies behind the run does not matter to its numbers.
    proof fn lemma_all(&self)
        requires
            self.invariant(),
        ensures
            offset(self.control@, self.count as int) == self.room ==> numbers(
                self.control@,
                self.data@,
                self.count as int,
            ) == spec::run(self.bytes(), self.total()),
    {
        self.lemma_split();
        if offset(self.control@, self.count as int) == self.room {
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
    }
}

} // verus!
