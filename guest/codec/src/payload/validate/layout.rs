//! Where the columns lie, and the numbers in them.

#[cfg(verus_keep_ghost)]
use super::faults::{is_after_column, is_layout_fault};
use super::numbers;
use crate::bytes::load_u32;
#[cfg(verus_keep_ghost)]
use crate::payload::spec;
use crate::payload::{Header, PayloadError, FIXED_COLUMNS, HEADER_LEN, SPARSE, TAIL_LEN};
use alloc::vec::Vec;
use vstd::prelude::*;

verus! {

/// A message whose header and table were checked: every column lies where it must.
pub(super) struct Layout<'a> {
    bytes: &'a [u8],
    header: Header,
}

impl<'a> Layout<'a> {
    #[verifier::type_invariant]
    spec fn well_formed(self) -> bool {
        &&& self.header == spec::header(self.bytes@)
        &&& spec::header_valid(self.bytes@)
        &&& spec::layout_valid(self.bytes@, self.header)
    }

    /// The message.
    pub(super) closed spec fn view(self) -> Seq<u8> {
        self.bytes@
    }

    /// Checks the table of a message with this header, and what lies between the columns.
    pub(super) fn read(bytes: &'a [u8], header: Header) -> (r: Result<Self, PayloadError>)
        requires
            header == spec::header(bytes@),
            spec::header_valid(bytes@),
        ensures
            match r {
                Ok(layout) => layout@ == bytes@ && spec::layout_valid(bytes@, header),
                Err(e) => is_layout_fault(bytes@, e),
            },
    {
        let last = bytes.len() - TAIL_LEN;
        let columns = FIXED_COLUMNS + header.keys as usize;
        let mut at = HEADER_LEN + 8 * columns;
        if at > last {
            return Err(PayloadError::Table { end: at });
        }
        let mut column: usize = 0;
        while column < columns
            invariant
                header == spec::header(bytes@),
                spec::header_valid(bytes@),
                last == bytes@.len() - TAIL_LEN,
                columns == spec::columns(header),
                spec::table_end(header) <= last,
                column <= columns,
                at == spec::place(bytes@, header, column as int) <= last,
                column > 2 ==> header.prefix == spec::end(bytes@, 2),
                forall|c: int| 0 <= c < column ==> #[trigger] spec::column_valid(bytes@, header, c),
            decreases columns - column,
        {
            let end = column_end(bytes, &header, column, at)?;
            if let Err((at, found)) = zeros(bytes, end, align8(end)) {
                assert(is_after_column(bytes@, column as int, at as int));
                return Err(PayloadError::Padding { at, found });
            }
            at = align8(end);
            column += 1;
        }
        if at != last {
            return Err(PayloadError::Tail { found: bytes.len() - at });
        }
        if let Err((at, found)) = zeros(bytes, last, bytes.len()) {
            return Err(PayloadError::Padding { at, found });
        }
        Ok(Layout { bytes, header })
    }

    /// The header.
    #[inline(always)]
    pub(super) fn header(&self) -> (h: &Header)
        ensures
            *h == spec::header(self@),
            spec::header_valid(self@),
    {
        proof {
            use_type_invariant(self);
        }
        &self.header
    }

    /// Whether a column is that of a key, in sparse form.
    pub(super) fn is_sparse(&self, column: usize) -> (r: bool)
        requires
            column < spec::columns(spec::header(self@)),
        ensures
            r == spec::sparse(self@, column as int),
    {
        proof {
            use_type_invariant(self);
        }
        column >= FIXED_COLUMNS && load_u32(self.bytes, HEADER_LEN + 8 * column + 4) >= SPARSE
    }

    /// Start and end of a column.
    fn range(&self, column: usize) -> (r: (usize, usize))
        requires
            column < spec::columns(spec::header(self@)),
        ensures
            r.0 == spec::start(self@, column as int),
            r.1 == spec::end(self@, column as int),
            r.0 <= r.1,
            r.1 + TAIL_LEN <= self@.len(),
    {
        proof {
            use_type_invariant(self);
            assert(spec::column_valid(self@, self.header, column as int));
        }
        let start = load_u32(self.bytes, HEADER_LEN + 8 * column) as usize;
        (start, start + length(self.bytes, column) as usize)
    }

    /// The bytes of a column.
    pub(super) fn column(&self, column: usize) -> (r: &'a [u8])
        requires
            column < spec::columns(spec::header(self@)),
        ensures
            r@ == spec::column(self@, column as int),
    {
        let (start, end) = self.range(column);
        &self.bytes[start..end]
    }

    /// Decodes a column that is a run of `count` numbers; answers whether it is.
    pub(super) fn run(&self, column: usize, count: u32, out: &mut Vec<u32>) -> (r: Result<
        (),
        PayloadError,
    >)
        requires
            column < spec::columns(spec::header(self@)),
            count <= numbers::most(),
        ensures
            ({
                let bytes = spec::column(self@, column as int);
                match r {
                    Ok(()) => spec::is_run(bytes, count as int) && final(out)@ == spec::run(
                        bytes,
                        count as int,
                    ),
                    Err(e) => !spec::is_run(bytes, count as int) && is_length(self@, column, e),
                }
            }),
    {
        let (start, end) = self.range(column);
        if numbers::run(self.bytes, start, end, count as usize, out) {
            Ok(())
        } else {
            Err(PayloadError::ColumnLength { column, found: end - start })
        }
    }

    /// The same for a column in sparse form with `count` entries, after their number.
    pub(super) fn sparse_run(&self, column: usize, count: u32, out: &mut Vec<u32>) -> (r: Result<
        (),
        PayloadError,
    >)
        requires
            column < spec::columns(spec::header(self@)),
            spec::column(self@, column as int).len() >= 4,
            2 * count <= numbers::most(),
        ensures
            ({
                let bytes = spec::column(self@, column as int).skip(4);
                match r {
                    Ok(()) => spec::is_run(bytes, 2 * count) && final(out)@ == spec::run(
                        bytes,
                        2 * count,
                    ),
                    Err(e) => !spec::is_run(bytes, 2 * count) && is_length(self@, column, e),
                }
            }),
    {
        let (start, end) = self.range(column);
        proof {
            let bytes = spec::column(self@, column as int).skip(4);
            assert(bytes =~= self@.subrange(start + 4, end as int));
        }
        if numbers::run(self.bytes, start + 4, end, 2 * count as usize, out) {
            Ok(())
        } else {
            Err(PayloadError::ColumnLength { column, found: end - start })
        }
    }
}

/// Whether the error names a column and how many bytes it has.
pub(super) open spec fn is_length(m: Seq<u8>, column: usize, e: PayloadError) -> bool {
    e matches PayloadError::ColumnLength { column: c, found } && c == column && found
        == spec::column(m, column as int).len()
}

/// Where the next column ends, which must start at `at`.
#[inline(always)]
fn column_end(bytes: &[u8], header: &Header, column: usize, at: usize) -> (r: Result<
    usize,
    PayloadError,
>)
    requires
        *header == spec::header(bytes@),
        spec::header_valid(bytes@),
        column < spec::columns(*header),
        spec::table_end(*header) <= bytes@.len() - TAIL_LEN,
        at == spec::place(bytes@, *header, column as int) <= bytes@.len() - TAIL_LEN,
    ensures
        match r {
            Ok(end) => {
                &&& spec::start(bytes@, column as int) == at
                &&& end == spec::end(bytes@, column as int)
                &&& spec::aligned(end as int) <= bytes@.len() - TAIL_LEN
                &&& column == 2 ==> header.prefix == end
            },
            Err(e) => is_layout_fault(bytes@, e),
        },
{
    let last = bytes.len() - TAIL_LEN;
    let found = load_u32(bytes, HEADER_LEN + 8 * column);
    if found as usize != at {
        return Err(PayloadError::ColumnOffset { column, found, expected: at });
    }
    let length = length(bytes, column) as usize;
    let end = if length > usize::MAX - at {
        usize::MAX
    } else {
        at + length
    };
    if end > last || align8(end) > last {
        return Err(PayloadError::ColumnBounds { column, end });
    }
    if column == 2 && header.prefix as usize != end {
        return Err(PayloadError::Prefix { found: header.prefix, expected: end });
    }
    Ok(end)
}

/// How many bytes a column has. The top bit means the sparse form, in a key's column only.
#[inline(always)]
fn length(bytes: &[u8], column: usize) -> (r: u32)
    requires
        HEADER_LEN + 8 * column + 8 <= bytes@.len(),
    ensures
        r == spec::length(bytes@, column as int),
{
    assert(HEADER_LEN + 8 * column + 8 <= bytes.len());  // and so within usize
    let field = load_u32(bytes, HEADER_LEN + 8 * column + 4);
    if column >= FIXED_COLUMNS && field >= SPARSE {
        field - SPARSE
    } else {
        field
    }
}

/// The first multiple of eight at or after `at`.
#[inline(always)]
fn align8(at: usize) -> (r: usize)
    requires
        at <= usize::MAX - 7,
    ensures
        r == spec::aligned(at as int),
{
    (at + 7) / 8 * 8
}

/// Whether the bytes from `from` up to `to` are zeros; if not, one that is none.
#[inline(always)]
fn zeros(bytes: &[u8], from: usize, to: usize) -> (r: Result<(), (usize, u8)>)
    requires
        to <= bytes@.len(),
    ensures
        match r {
            Ok(()) => spec::zeros(bytes@, from as int, to as int),
            Err((at, found)) => from <= at < to && found == bytes@[at as int] && found != 0,
        },
{
    let mut at = from;
    while at < to
        invariant
            from <= at,
            to <= bytes@.len(),
            forall|k: int| from <= k < at ==> #[trigger] bytes@[k] == 0,
        decreases to - at,
    {
        if bytes[at] != 0 {
            return Err((at, bytes[at]));
        }
        at += 1;
    }
    Ok(())
}

} // verus!
