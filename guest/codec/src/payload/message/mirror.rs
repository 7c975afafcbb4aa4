//! The bytes of a message, as far as they were pulled.

use super::pulled::Pulled;
use crate::bytes::load_u32;
#[cfg(verus_keep_ghost)]
use crate::bytes::{le_at, lemma_le_upto4};
use crate::error::DecodeError;
#[cfg(verus_keep_ghost)]
use crate::payload::spec;
use crate::payload::{Header, Source, FIXED_COLUMNS, HEADER_LEN, SPARSE};
use alloc::vec::Vec;
use vstd::prelude::*;

verus! {

/// Where a column lies.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub start: usize,
    pub end: usize,
    /// Whether it is that of a key, in sparse form.
    pub sparse: bool,
}

/// A source, and its bytes as far as they were pulled.
pub(super) struct Mirror<'a, S: Source + ?Sized> {
    source: &'a mut S,
    /// Bytes of the message at their own offsets. It outlives the message, to be used again, so
    /// what was not pulled holds bytes of older messages: `pulled` keeps them out of sight.
    bytes: &'a mut Vec<u8>,
    /// Whether the column table was pulled.
    table: bool,
    pulled: Pulled,
}

/// Whether `a` and `b` have the same bytes from `from` up to `to`.
spec fn agree(a: Seq<u8>, b: Seq<u8>, from: int, to: int) -> bool {
    &&& to <= a.len()
    &&& to <= b.len()
    &&& forall|k: int| from <= k < to ==> #[trigger] a[k] == b[k]
}

impl<'a, S: Source + ?Sized> Mirror<'a, S> {
    /// The message at the source.
    pub(super) closed spec fn message(self) -> Seq<u8> {
        self.source.message()
    }

    /// Whether column `c` was pulled.
    pub(super) closed spec fn has(self, c: int) -> bool {
        self.table && self.pulled.has(c)
    }

    /// Whether the table was pulled.
    pub(super) closed spec fn has_table(self) -> bool {
        self.table
    }

    /// Whether what was pulled is what the source has.
    pub(super) closed spec fn well_formed(self, h: Header) -> bool {
        &&& spec::within_limits(h)
        &&& h.len <= self.bytes@.len()
        &&& self.table ==> agree(self.bytes@, self.message(), 0, spec::table_end(h))
        &&& forall|c: int| #[trigger] self.pulled.has(c) ==> self.table && self.holds(h, c)
    }

    /// Whether the bytes of column `c` are those of the message, if it is one of its columns.
    spec fn holds(self, h: Header, c: int) -> bool {
        let m = self.message();
        spec::fits(m, h, c) ==> agree(self.bytes@, m, spec::start(m, c), spec::end(m, c))
    }

    /// Nothing is pulled yet.
    pub(super) fn new(h: &Header, source: &'a mut S, bytes: &'a mut Vec<u8>) -> (r: Self)
        requires
            spec::within_limits(*h),
        ensures
            r.well_formed(*h),
            r.message() == old(source).message(),
            forall|c: int| !#[trigger] r.has(c),
    {
        if bytes.len() < h.len as usize {
            bytes.resize(h.len as usize, 0);
        }
        Mirror { source, bytes, table: false, pulled: Pulled::none() }
    }

    /// Pulls the whole message.
    pub(super) fn pull_all(&mut self, h: &Header) -> (r: Result<(), DecodeError>)
        requires
            old(self).well_formed(*h),
        ensures
            final(self).well_formed(*h),
            final(self).message() == old(self).message(),
            r is Ok ==> forall|c: int| 0 <= c < spec::columns(*h) ==> #[trigger] final(self).has(c),
    {
        self.read(0, h.len as usize, Ghost(*h))?;
        self.table = true;
        self.pulled = Pulled::all();
        Ok(())
    }

    /// Pulls what lies before `prefix`: the table, and the first three columns.
    pub(super) fn pull_prefix(&mut self, h: &Header) -> (r: Result<(), DecodeError>)
        requires
            old(self).well_formed(*h),
        ensures
            final(self).well_formed(*h),
            final(self).message() == old(self).message(),
            r is Ok ==> final(self).pulled_since(*old(self), *h, 0, 2, 0, h.prefix as int),
    {
        let end = h.prefix as usize;
        self.read(0, end, Ghost(*h))?;
        self.table = true;
        self.mark(h, 0, 2, 0, end);
        Ok(())
    }

    /// Pulls what lies between the start of column `first` and the end of column `last`.
    pub(super) fn pull(&mut self, h: &Header, first: usize, last: usize) -> (r: Result<
        (),
        DecodeError,
    >)
        requires
            old(self).well_formed(*h),
        ensures
            final(self).well_formed(*h),
            final(self).message() == old(self).message(),
            r is Ok ==> {
                let m = final(self).message();
                let (from, to) = (spec::start(m, first as int), spec::end(m, last as int));
                &&& spec::fits(m, *h, first as int) && spec::fits(m, *h, last as int)
                &&& final(self).pulled_since(*old(self), *h, first as int, last as int, from, to)
            },
    {
        if first > last {
            return Err(DecodeError::Truncated);
        }
        let (from, to) = (self.entry(h, first), self.entry(h, last));
        let (Some(from), Some(to)) = (from, to) else {
            return Err(DecodeError::Truncated);
        };
        let (start, end) = (from.start, to.end);
        if start > end {
            return Err(DecodeError::Truncated);
        }
        self.read(start, end, Ghost(*h))?;
        self.mark(h, first, last, start, end);
        Ok(())
    }

    /// Whether what `before` had is still there, and the columns `first` to `last` that lie between
    /// byte `start` and byte `end`.
    pub(super) open spec fn pulled_since(
        self,
        before: Self,
        h: Header,
        first: int,
        last: int,
        start: int,
        end: int,
    ) -> bool {
        &&& forall|c: int| before.has(c) ==> #[trigger] self.has(c)
        &&& forall|c: int|
            first <= c <= last && spec::fits(self.message(), h, c) && start <= spec::start(
                self.message(),
                c,
            ) && spec::end(self.message(), c) <= end ==> #[trigger] self.has(c)
    }

    /// Reads the bytes from `start` to `end`. After an error nothing counts as pulled: what a
    /// source leaves behind then may be anything.
    fn read(&mut self, start: usize, end: usize, Ghost(h): Ghost<Header>) -> (r: Result<
        (),
        DecodeError,
    >)
        requires
            old(self).well_formed(h),
            start <= end <= h.len,
        ensures
            final(self).well_formed(h),
            final(self).message() == old(self).message(),
            r is Ok ==> {
                &&& agree(final(self).bytes@, final(self).message(), start as int, end as int)
                &&& final(self).table == old(self).table
                &&& final(self).pulled == old(self).pulled
            },
    {
        let ghost before = *self;
        let r = fetch(self.source, self.bytes, start, end);
        if r.is_err() {
            self.table = false;
            self.pulled = Pulled::none();
        } else {
            proof {
                assert forall|c: int| #[trigger] self.pulled.has(c) implies self.holds(h, c) by {
                    assert(before.holds(h, c));
                }
            }
        }
        r
    }

    /// Marks the columns `first` to `last` as pulled, but for those that do not lie between byte
    /// `start` and byte `end`, as they do in any valid message.
    fn mark(&mut self, h: &Header, first: usize, last: usize, start: usize, end: usize)
        requires
            first <= last < usize::MAX,
            spec::within_limits(*h),
            h.len <= old(self).bytes@.len(),
            old(self).table,
            agree(old(self).bytes@, old(self).message(), 0, spec::table_end(*h)),
            agree(old(self).bytes@, old(self).message(), start as int, end as int),
            forall|c: int| #[trigger] old(self).pulled.has(c) ==> old(self).holds(*h, c),
        ensures
            final(self).well_formed(*h),
            final(self).message() == old(self).message(),
            final(self).pulled_since(
                *old(self),
                *h,
                first as int,
                last as int,
                start as int,
                end as int,
            ),
    {
        let ghost before = *self;
        let mut c = first;
        while c <= last
            invariant
                first <= c <= last + 1,
                last < usize::MAX,
                self.well_formed(*h),
                self.table,
                self.message() == before.message(),
                self.bytes@ == before.bytes@,
                agree(self.bytes@, self.message(), start as int, end as int),
                self.pulled_since(before, *h, first as int, c - 1, start as int, end as int),
            decreases last + 1 - c,
        {
            let ghost earlier = *self;
            if let Some(place) = self.entry(h, c) {
                if start <= place.start && place.end <= end {
                    self.pulled.insert(c);
                }
            }
            proof {
                assert forall|d: int| #[trigger] self.pulled.has(d) implies self.holds(*h, d) by {
                    assert(earlier.pulled.has(d) ==> earlier.holds(*h, d));
                }
                assert forall|d: int| earlier.has(d) implies #[trigger] self.has(d) by {
                    assert(earlier.pulled.has(d));
                }
                assert forall|d: int| before.has(d) implies #[trigger] self.has(d) by {
                    assert(earlier.has(d));
                }
            }
            c += 1;
        }
    }

    /// The bytes; those of a column that was pulled are the message's.
    #[inline(always)]
    pub(super) fn bytes(&self) -> (r: &[u8])
        ensures
            r@ == self.contents(),
    {
        self.bytes.as_slice()
    }

    pub(super) closed spec fn contents(self) -> Seq<u8> {
        self.bytes@
    }

    /// Where column `c` lies, if it was pulled and lies within the message.
    #[inline]
    pub(super) fn column(&self, h: &Header, c: usize) -> (r: Option<Place>)
        requires
            self.well_formed(*h),
        ensures
            match r {
                Some(p) => {
                    let m = self.message();
                    &&& self.has(c as int)
                    &&& spec::fits(m, *h, c as int)
                    &&& p.start <= p.end <= h.len <= self.contents().len()
                    &&& self.contents().subrange(p.start as int, p.end as int) == spec::column(
                        m,
                        c as int,
                    )
                    &&& p.sparse == spec::sparse(m, c as int)
                },
                None => !self.has(c as int) || !spec::fits(self.message(), *h, c as int),
            },
    {
        if !self.table || !self.pulled.contains(c) {
            return None;
        }
        let place = self.entry(h, c)?;
        proof {
            let m = self.message();
            assert(self.holds(*h, c as int));
            assert(self.bytes@.subrange(place.start as int, place.end as int) =~= spec::column(
                m,
                c as int,
            ));
        }
        Some(place)
    }

    /// Where the table puts column `c`, if it was pulled, and that is within the message.
    fn entry(&self, h: &Header, c: usize) -> (r: Option<Place>)
        requires
            self.well_formed(*h),
        ensures
            match r {
                Some(p) => {
                    let m = self.message();
                    &&& self.table
                    &&& spec::fits(m, *h, c as int)
                    &&& p.start == spec::start(m, c as int)
                    &&& p.end == spec::end(m, c as int)
                    &&& p.start <= p.end <= h.len
                    &&& p.sparse == spec::sparse(m, c as int)
                },
                None => !self.table || !spec::fits(self.message(), *h, c as int),
            },
    {
        if !self.table || c >= h.columns() {
            return None;
        }
        let at = HEADER_LEN + 8 * c;
        let start = load_u32(self.bytes.as_slice(), at);
        let field = load_u32(self.bytes.as_slice(), at + 4);
        proof {
            let m = self.message();
            lemma_word(self.bytes@, m, at as int);
            lemma_word(self.bytes@, m, at + 4);
        }
        let sparse = c >= FIXED_COLUMNS && field >= SPARSE;
        let len = if sparse {
            field - SPARSE
        } else {
            field
        };
        if start > h.len || len > h.len - start {
            return None;
        }
        Some(Place { start: start as usize, end: (start + len) as usize, sparse })
    }
}

/// Reads bytes of a message to their own offsets.
fn fetch<S: Source + ?Sized>(
    source: &mut S,
    bytes: &mut Vec<u8>,
    start: usize,
    end: usize,
) -> (r: Result<(), DecodeError>)
    requires
        start <= end <= old(bytes)@.len(),
        end <= u32::MAX,
    ensures
        final(source).message() == old(source).message(),
        final(bytes)@.len() == old(bytes)@.len(),
        forall|k: int|
            0 <= k < old(bytes)@.len() && !(start <= k < end) ==> #[trigger] final(bytes)@[k]
                == old(bytes)@[k],
        r is Ok ==> agree(final(bytes)@, old(source).message(), start as int, end as int),
{
    let (before_end, _) = bytes.as_mut_slice().split_at_mut(end);
    let (_, into) = before_end.split_at_mut(start);
    source.read(start as u32, into)
}

/// A word is the same where the bytes are.
proof fn lemma_word(a: Seq<u8>, b: Seq<u8>, at: int)
    requires
        0 <= at,
        at + 4 <= a.len(),
        at + 4 <= b.len(),
        forall|k: int| at <= k < at + 4 ==> #[trigger] a[k] == b[k],
    ensures
        le_at(a, at, 4) == le_at(b, at, 4),
{
    assert(a.subrange(at, at + 4) =~= b.subrange(at, at + 4));
}

} // verus!
