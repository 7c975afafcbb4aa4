//! Step-wise decoding: bytes are pulled in ranges of columns, then decoded column by column.

mod columns;
mod mirror;
mod pulled;
mod sinks;
mod word;

pub use word::Word;

#[cfg(verus_keep_ghost)]
use super::spec;
use super::{Column, Header, Source, Strings};
use super::{MAX_KEYS, MAX_LEN, MAX_POINTS, MAX_SETS, MAX_STRINGS, MAX_TIMESTAMP};
use crate::error::DecodeError;
use alloc::vec::Vec;
use mirror::{Mirror, Place};
use vstd::prelude::*;

verus! {

/// One message, as far as its bytes have been pulled.
///
/// Every decoder fills the buffer that it is given, and answers [`DecodeError::Truncated`] when
/// the column was not pulled, or is not what the header says. What the buffer then holds is of no
/// use.
pub struct Reader<'a, S: Source + ?Sized> {
    header: Header,
    /// Taken out while a source is at work: should that panic, the message is closed for good.
    mirror: Option<Mirror<'a, S>>,
}

impl<'a, S: Source + ?Sized> Reader<'a, S> {
    #[verifier::type_invariant]
    spec fn invariant(self) -> bool {
        &&& spec::within_limits(self.header)
        &&& self.mirror matches Some(mirror) ==> mirror.well_formed(self.header)
    }

    /// The message, as the source has it.
    pub closed spec fn message(self) -> Seq<u8> {
        match self.mirror {
            Some(mirror) => mirror.message(),
            None => Seq::empty(),
        }
    }

    /// The header that it is read with.
    pub closed spec fn fields(self) -> Header {
        self.header
    }

    /// Whether column `c` was pulled.
    pub closed spec fn has(self, c: int) -> bool {
        self.mirror matches Some(mirror) && mirror.has(c)
    }

    /// Whether column `c` was pulled and lies within the message.
    pub open spec fn offers(self, c: int) -> bool {
        self.has(c) && spec::fits(self.message(), self.fields(), c)
    }

    /// Whether column `c` can be decoded as a run of `n` numbers.
    pub open spec fn offers_run(self, c: int, n: int) -> bool {
        self.offers(c) && spec::is_run(spec::column(self.message(), c), n)
    }

    /// A message none of whose bytes are pulled yet. `mirror` may be reused for the next message.
    ///
    /// Errors: [`DecodeError::Overflow`] when the header exceeds the limits of the format.
    pub fn new(header: Header, source: &'a mut S, mirror: &'a mut Vec<u8>) -> (r: Result<
        Self,
        DecodeError,
    >)
        ensures
            match r {
                Ok(reader) => {
                    &&& spec::within_limits(header)
                    &&& reader.fields() == header
                    &&& reader.message() == old(source).message()
                    &&& forall|c: int| !#[trigger] reader.has(c)
                },
                Err(e) => e == DecodeError::Overflow && !spec::within_limits(header),
            },
    {
        let counts = header.strings <= MAX_STRINGS && header.keys <= MAX_KEYS && header.sets
            <= MAX_SETS && header.points <= MAX_POINTS;
        let times = 0 <= header.min_ts && header.min_ts <= MAX_TIMESTAMP;
        let fits = header.len <= MAX_LEN && header.prefix <= header.len && header.table_end()
            <= header.prefix as usize;
        if !(counts && times && fits) {
            return Err(DecodeError::Overflow);
        }
        let mirror = Mirror::new(&header, source, mirror);
        Ok(Reader { header, mirror: Some(mirror) })
    }

    /// What the header says.
    #[inline]
    pub fn header(&self) -> (header: &Header)
        ensures
            *header == self.fields(),
    {
        &self.header
    }

    /// Pulls the whole message in one read.
    pub fn pull_all(&mut self) -> (r: Result<(), DecodeError>)
        ensures
            final(self).fields() == old(self).fields(),
            final(self).message() == old(self).message(),
            r is Ok ==> forall|c: int|
                0 <= c < spec::columns(final(self).fields()) ==> #[trigger] final(self).has(c),
    {
        proof {
            use_type_invariant(&*self);
        }
        let mut mirror = match self.mirror.take() {
            Some(mirror) => mirror,
            None => return Err(DecodeError::Truncated),
        };
        let r = mirror.pull_all(&self.header);
        self.mirror = Some(mirror);
        r
    }

    /// Pulls header, column table, dictionary and key ids in one read.
    pub fn pull_prefix(&mut self) -> (r: Result<(), DecodeError>)
        ensures
            final(self).fields() == old(self).fields(),
            final(self).message() == old(self).message(),
            r is Ok ==> final(self).pulled_since(
                *old(self),
                0,
                2,
                0,
                final(self).fields().prefix as int,
            ),
    {
        proof {
            use_type_invariant(&*self);
        }
        let mut mirror = match self.mirror.take() {
            Some(mirror) => mirror,
            None => return Err(DecodeError::Truncated),
        };
        let r = mirror.pull_prefix(&self.header);
        self.mirror = Some(mirror);
        r
    }

    /// Pulls the columns from `first` to `last`, which lie side by side, in one read. The prefix
    /// must have been pulled before.
    pub fn pull(&mut self, first: Column, last: Column) -> (r: Result<(), DecodeError>)
        ensures
            final(self).fields() == old(self).fields(),
            final(self).message() == old(self).message(),
            r is Ok ==> final(self).pulled_since(
                *old(self),
                spec::index(first),
                spec::index(last),
                spec::start(final(self).message(), spec::index(first)),
                spec::end(final(self).message(), spec::index(last)),
            ),
    {
        proof {
            use_type_invariant(&*self);
        }
        let mut mirror = match self.mirror.take() {
            Some(mirror) => mirror,
            None => return Err(DecodeError::Truncated),
        };
        let r = mirror.pull(&self.header, first.index(), last.index());
        self.mirror = Some(mirror);
        r
    }

    /// Whether what `before` had is still there, and with it the columns `first` to `last`, but
    /// for those that do not lie between byte `start` and byte `end`.
    pub open spec fn pulled_since(
        self,
        before: Self,
        first: int,
        last: int,
        start: int,
        end: int,
    ) -> bool {
        let (m, h) = (self.message(), self.fields());
        &&& forall|c: int| before.has(c) ==> #[trigger] self.has(c)
        &&& forall|c: int|
            first <= c <= last && spec::fits(m, h, c) && start <= spec::start(m, c) && spec::end(
                m,
                c,
            ) <= end ==> #[trigger] self.has(c)
    }

    /// Decodes the dictionary. `bounds` is a buffer for the offsets of the strings.
    pub fn strings<'s>(&'s self, bounds: &'s mut Vec<u32>) -> (r: Result<Strings<'s>, DecodeError>)
        ensures
            ({
                let (m, h) = (self.message(), self.fields());
                match r {
                    Ok(strings) => {
                        &&& self.offers(0) && self.offers(1)
                        &&& spec::dictionary_readable(m, h)
                        &&& strings.all() == spec::dictionary(m, h)
                    },
                    Err(e) => e == DecodeError::Truncated && !(self.offers(0) && self.offers(1)
                        && spec::dictionary_readable(m, h)),
                }
            }),
    {
        proof {
            use_type_invariant(self);
        }
        let (bytes, text) = self.column(1)?;
        self.numbers(0, self.header.strings, bounds)?;
        let strings = Strings::new(&bytes[text.start..text.end], bounds)?;
        assert(strings.all() =~= spec::dictionary(self.message(), self.fields()));
        Ok(strings)
    }

    /// The string id of each key, in the order of the key columns.
    pub fn key_ids(&self, out: &mut Vec<u32>) -> (r: Result<(), DecodeError>)
        ensures
            match r {
                Ok(()) => self.offers_run(2, self.fields().keys as int) && final(out)@
                    == spec::key_ids(self.message(), self.fields()),
                Err(e) => e == DecodeError::Truncated && !self.offers_run(
                    2,
                    self.fields().keys as int,
                ),
            },
    {
        proof {
            use_type_invariant(self);
        }
        self.numbers(2, self.header.keys, out)
    }

    /// The string id of each tag-set's metric.
    pub fn metric_ids(&self, out: &mut Vec<u32>) -> (r: Result<(), DecodeError>)
        ensures
            match r {
                Ok(()) => self.offers_run(3, self.fields().sets as int) && final(out)@
                    == spec::metric_ids(self.message(), self.fields()),
                Err(e) => e == DecodeError::Truncated && !self.offers_run(
                    3,
                    self.fields().sets as int,
                ),
            },
    {
        proof {
            use_type_invariant(self);
        }
        self.numbers(3, self.header.sets, out)
    }

    /// The tag-set of each point.
    pub fn set_ids(&self, out: &mut Vec<u32>) -> (r: Result<(), DecodeError>)
        ensures
            match r {
                Ok(()) => self.offers_run(4, self.fields().points as int) && final(out)@
                    == spec::set_ids(self.message(), self.fields()),
                Err(e) => e == DecodeError::Truncated && !self.offers_run(
                    4,
                    self.fields().points as int,
                ),
            },
    {
        proof {
            use_type_invariant(self);
        }
        self.numbers(4, self.header.points, out)
    }

    /// How many points each point stands for: in aggregated output only.
    pub fn counts(&self, out: &mut Vec<u32>) -> (r: Result<(), DecodeError>)
        ensures
            match r {
                Ok(()) => self.offers_run(7, self.fields().points as int) && final(out)@
                    == spec::counts(self.message(), self.fields()),
                Err(e) => e == DecodeError::Truncated && !self.offers_run(
                    7,
                    self.fields().points as int,
                ),
            },
    {
        proof {
            use_type_invariant(self);
        }
        self.numbers(7, self.header.points, out)
    }

    /// The timestamp of each point, in milliseconds since the epoch.
    pub fn timestamps(&self, out: &mut Vec<i64>) -> (r: Result<(), DecodeError>)
        ensures
            match r {
                Ok(()) => self.offers_run(5, self.fields().points as int) && final(out)@
                    == spec::times(self.message(), self.fields()),
                Err(e) => e == DecodeError::Truncated && !self.offers_run(
                    5,
                    self.fields().points as int,
                ),
            },
    {
        proof {
            use_type_invariant(self);
        }
        let (bytes, place) = self.column(5)?;
        let count = self.header.points as usize;
        columns::times(bytes, place.start, place.end, count, self.header.min_ts, out)?;
        assert(out@ =~= spec::times(self.message(), self.fields()));
        Ok(())
    }

    /// The bits of the value of each point.
    pub fn value_bits<W: Word>(&self, out: &mut Vec<W>) -> (r: Result<(), DecodeError>)
        ensures
            ({
                let (m, h) = (self.message(), self.fields());
                match r {
                    Ok(()) => {
                        &&& self.offers(6)
                        &&& spec::column(m, 6).len() == 8 * h.points
                        &&& final(out)@.map_values(|w: W| w.bits()) == spec::values(m, h)
                    },
                    Err(e) => e == DecodeError::Truncated && !(self.offers(6) && spec::column(
                        m,
                        6,
                    ).len() == 8 * h.points),
                }
            }),
    {
        proof {
            use_type_invariant(self);
        }
        let (bytes, place) = self.column(6)?;
        columns::words(bytes, place.start, place.end, self.header.points as usize, out)?;
        assert(out@.map_values(|w: W| w.bits()) =~= spec::values(self.message(), self.fields()));
        Ok(())
    }

    /// The value of key `key` in each tag-set, as its string id + 1; 0 where the tag is absent.
    /// Dense and sparse columns look alike.
    ///
    /// Errors: also [`DecodeError::NoRoom`] when a sparse column names tag-sets that do not exist.
    pub fn key_column(&self, key: u32, out: &mut Vec<u32>) -> (r: Result<(), DecodeError>)
        ensures
            ({
                let (m, h) = (self.message(), self.fields());
                match r {
                    Ok(()) => {
                        &&& self.offers(spec::key(key as int))
                        &&& spec::key_column_readable(m, h, key as int)
                        &&& final(out)@ == spec::key_column(m, h, key as int)
                    },
                    Err(_) => !(self.offers(spec::key(key as int)) && spec::key_column_readable(
                        m,
                        h,
                        key as int,
                    )),
                }
            }),
    {
        proof {
            use_type_invariant(self);
        }
        if key >= self.header.keys {
            return Err(DecodeError::Truncated);
        }
        let (bytes, place) = self.column(super::FIXED_COLUMNS + key as usize)?;
        let sets = self.header.sets as usize;
        if place.sparse {
            columns::sparse(bytes, place.start, place.end, sets, out)
        } else {
            columns::numbers(bytes, place.start, place.end, sets, out)
        }
    }

    /// A column that is one run of `count` numbers.
    fn numbers(&self, c: usize, count: u32, out: &mut Vec<u32>) -> (r: Result<(), DecodeError>)
        requires
            count <= MAX_POINTS,
        ensures
            match r {
                Ok(()) => {
                    &&& self.offers_run(c as int, count as int)
                    &&& final(out)@ == spec::run(
                        spec::column(self.message(), c as int),
                        count as int,
                    )
                },
                Err(e) => e == DecodeError::Truncated && !self.offers_run(c as int, count as int),
            },
    {
        let (bytes, place) = self.column(c)?;
        columns::numbers(bytes, place.start, place.end, count as usize, out)
    }

    /// The bytes at hand, and where in them column `c` lies.
    #[inline(always)]
    fn column(&self, c: usize) -> (r: Result<(&[u8], Place), DecodeError>)
        ensures
            match r {
                Ok((bytes, place)) => {
                    &&& self.offers(c as int)
                    &&& place.start <= place.end <= bytes@.len()
                    &&& place.end <= self.fields().len
                    &&& bytes@.subrange(place.start as int, place.end as int) == spec::column(
                        self.message(),
                        c as int,
                    )
                    &&& place.sparse == spec::sparse(self.message(), c as int)
                },
                Err(e) => e == DecodeError::Truncated && !self.offers(c as int),
            },
    {
        proof {
            use_type_invariant(self);
        }
        let mirror = match &self.mirror {
            Some(mirror) => mirror,
            None => return Err(DecodeError::Truncated),
        };
        match mirror.column(&self.header, c) {
            Some(place) => Ok((mirror.bytes(), place)),
            None => Err(DecodeError::Truncated),
        }
    }
}

} // verus!

/// A message from whatever source.
pub type Message<'a> = Reader<'a, dyn Source + 'a>;

impl<S: Source + ?Sized> Reader<'_, S> {
    /// The value of each point, bit for bit.
    pub fn values(&self, out: &mut Vec<f64>) -> Result<(), DecodeError> {
        self.value_bits(out)
    }
}
