//! Columns put together: header, table, columns and the zeros between them, tail.

#[cfg(verus_keep_ghost)]
use super::columns::lemma_kept;
use super::columns::{append, push_u32, push_u64, Coded};
#[cfg(verus_keep_ghost)]
use crate::bytes::le_at;
#[cfg(verus_keep_ghost)]
use crate::payload::spec;
use crate::payload::{Header, HEADER_LEN, MAGIC, MAX_LEN, SPARSE, TAIL_LEN};
#[cfg(verus_keep_ghost)]
use crate::payload::{FIXED_COLUMNS, MAX_KEYS};
use alloc::vec::Vec;
use vstd::prelude::*;

verus! {

/// The message of these columns, with a header of these counts and times: what `header` says of
/// lengths is found out here. `None` when the message would be longer than the format allows.
pub(super) fn assemble(header: &Header, columns: &[Coded]) -> (r: Option<Vec<u8>>)
    requires
        header.keys <= MAX_KEYS,
        are_columns(*header, columns@),
    ensures
        r matches Some(m) ==> holds(m@, *header, columns@),
{
    let first = HEADER_LEN + 8 * columns.len();
    let (prefix, last) = measure(columns, first)?;
    let len = last + TAIL_LEN;
    let header = Header { len: len as u32, prefix: prefix as u32, ..*header };
    let mut out = fixed(&header, len);
    let ghost fixed = out@;
    table(columns, &mut out, first);
    let ghost tabled = out@;
    bodies(columns, &mut out, Ghost(first as int));
    let ghost filled = out@;
    pad(&mut out, len);
    proof {
        lemma_prefixes(fixed, tabled, filled, out@);
        lemma_header_kept(fixed, out@);
        lemma_holds(out@, header, columns@, tabled, filled);
    }
    Some(out)
}

/// Whether these are as many columns as a header asks for, and only those of keys are sparse.
pub(super) open spec fn are_columns(h: Header, columns: Seq<Coded>) -> bool {
    &&& columns.len() == spec::columns(h)
    &&& forall|c: int| 0 <= c < FIXED_COLUMNS ==> !(#[trigger] columns[c]).sparse
}

/// Whether a message has these columns, and a header of these counts and times.
pub(super) open spec fn holds(m: Seq<u8>, given: Header, columns: Seq<Coded>) -> bool {
    let h = spec::header(m);
    &&& m.len() <= MAX_LEN
    &&& spec::word(m, 0) == MAGIC
    &&& spec::word(m, 28) == 0
    &&& h == Header { len: m.len() as u32, prefix: spec::end(m, 2) as u32, ..given }
    &&& spec::layout_valid(m, h)
    &&& forall|c: int| 0 <= c < columns.len() ==> #[trigger] has_column(m, c, columns[c])
}

/// Whether column `c` of a message is this one.
pub(super) open spec fn has_column(m: Seq<u8>, c: int, column: Coded) -> bool {
    spec::column(m, c) == column.bytes@ && spec::sparse(m, c) == column.sparse
}

/// Where column `c` starts when the first one starts at `first`.
spec fn place(columns: Seq<Coded>, first: int, c: int) -> int
    decreases c,
{
    if c <= 0 {
        first
    } else {
        spec::aligned(place(columns, first, c - 1) + columns[c - 1].bytes@.len())
    }
}

/// Where column `c` ends.
spec fn end(columns: Seq<Coded>, first: int, c: int) -> int {
    place(columns, first, c) + columns[c].bytes@.len()
}

proof fn lemma_place_rises(columns: Seq<Coded>, first: int, c: int, d: int)
    requires
        0 <= c <= d,
    ensures
        place(columns, first, c) <= place(columns, first, d),
        c < d ==> end(columns, first, c) <= spec::aligned(end(columns, first, c)) <= place(
            columns,
            first,
            d,
        ),
    decreases d - c,
{
    if c < d {
        lemma_place_rises(columns, first, c, d - 1);
    }
}

/// Where the key ids end, and where the column after the last one would start.
fn measure(columns: &[Coded], first: usize) -> (r: Option<(usize, usize)>)
    requires
        columns@.len() >= FIXED_COLUMNS,
        first <= MAX_LEN,
    ensures
        r matches Some((prefix, last)) ==> {
            &&& prefix == end(columns@, first as int, 2)
            &&& last == place(columns@, first as int, columns@.len() as int)
            &&& prefix <= last
            &&& last + TAIL_LEN <= MAX_LEN
        },
{
    let most = MAX_LEN as usize - TAIL_LEN;
    let mut prefix = first;
    let mut at = first;
    let mut column: usize = 0;
    while column < columns.len()
        invariant
            most == MAX_LEN - TAIL_LEN,
            column <= columns@.len(),
            at <= MAX_LEN,
            at == place(columns@, first as int, column as int),
            column > 2 ==> prefix == end(columns@, first as int, 2) && prefix <= at,
        decreases columns@.len() - column,
    {
        let len = columns[column].bytes.len();
        if len > most {
            return None;
        }
        if column == 2 {
            prefix = at + len;
        }
        at = (at + len + 7) / 8 * 8;
        if at > most {
            return None;
        }
        column += 1;
    }
    if at > most {
        return None;
    }
    Some((prefix, at))
}

/// The fixed header, with room for a message of this length.
fn fixed(header: &Header, len: usize) -> (out: Vec<u8>)
    ensures
        out@.len() == HEADER_LEN,
        spec::word(out@, 0) == MAGIC,
        spec::word(out@, 28) == 0,
        spec::header(out@) == *header,
{
    let mut out: Vec<u8> = Vec::with_capacity(len);
    push_u32(&mut out, MAGIC);
    let ghost a = out@;
    push_u32(&mut out, header.len);
    let ghost b = out@;
    push_u32(&mut out, header.prefix);
    let ghost c = out@;
    push_u32(&mut out, header.strings);
    let ghost d = out@;
    push_u32(&mut out, header.keys);
    let ghost e = out@;
    push_u32(&mut out, header.sets);
    let ghost f = out@;
    push_u32(&mut out, header.points);
    let ghost g = out@;
    push_u32(&mut out, 0);
    let ghost h = out@;
    push_i64(&mut out, header.min_ts);
    let ghost i = out@;
    push_i64(&mut out, header.max_ts);
    proof {
        lemma_kept(a, out@, 0, 4);
        lemma_kept(b, out@, 4, 4);
        lemma_kept(c, out@, 8, 4);
        lemma_kept(d, out@, 12, 4);
        lemma_kept(e, out@, 16, 4);
        lemma_kept(f, out@, 20, 4);
        lemma_kept(g, out@, 24, 4);
        lemma_kept(h, out@, 28, 4);
        lemma_kept(i, out@, 32, 8);
    }
    out
}

/// Appends a signed word of eight bytes.
fn push_i64(out: &mut Vec<u8>, v: i64)
    ensures
        final(out)@.len() == old(out)@.len() + 8,
        old(out)@.is_prefix_of(final(out)@),
        spec::wide(final(out)@, old(out)@.len() as int) == v,
{
    push_u64(out, v as u64);
    proof {
        assert(v >= 0 ==> v as u64 == v) by (bit_vector);
        assert(v < 0 ==> v as u64 == v + 0x1_0000_0000_0000_0000) by (bit_vector);
    }
}

proof fn lemma_header_kept(a: Seq<u8>, b: Seq<u8>)
    requires
        a.is_prefix_of(b),
        a.len() == HEADER_LEN,
    ensures
        spec::header(a) == spec::header(b),
        spec::word(a, 0) == spec::word(b, 0),
        spec::word(a, 28) == spec::word(b, 28),
{
    lemma_kept(a, b, 0, 4);
    lemma_kept(a, b, 4, 4);
    lemma_kept(a, b, 8, 4);
    lemma_kept(a, b, 12, 4);
    lemma_kept(a, b, 16, 4);
    lemma_kept(a, b, 20, 4);
    lemma_kept(a, b, 24, 4);
    lemma_kept(a, b, 28, 4);
    lemma_kept(a, b, 32, 8);
    lemma_kept(a, b, 40, 8);
}

/// What the table holds as the length of a column.
spec fn field(column: Coded) -> int {
    column.bytes@.len() + if column.sparse {
        SPARSE as int
    } else {
        0
    }
}

/// Whether the table lists column `c`.
spec fn listed(out: Seq<u8>, columns: Seq<Coded>, first: int, c: int) -> bool {
    &&& spec::start(out, c) == place(columns, first, c)
    &&& spec::length_field(out, c) == field(columns[c])
}

/// Whether the table lists the first `n` columns.
spec fn lists(out: Seq<u8>, columns: Seq<Coded>, first: int, n: int) -> bool {
    forall|c: int| 0 <= c < n ==> #[trigger] listed(out, columns, first, c)
}

/// One column more is listed.
proof fn lemma_lists_more(
    before: Seq<u8>,
    half: Seq<u8>,
    after: Seq<u8>,
    columns: Seq<Coded>,
    first: int,
    n: int,
)
    requires
        0 <= n,
        lists(before, columns, first, n),
        before.len() == HEADER_LEN + 8 * n,
        half.len() == before.len() + 4,
        before.is_prefix_of(after),
        half.is_prefix_of(after),
        le_at(half, before.len() as int, 4) == place(columns, first, n),
        le_at(after, half.len() as int, 4) == field(columns[n]),
    ensures
        lists(after, columns, first, n + 1),
{
    lemma_kept(half, after, before.len() as int, 4);
    assert forall|c: int| 0 <= c < n + 1 implies #[trigger] listed(after, columns, first, c) by {
        if c < n {
            assert(listed(before, columns, first, c));
            lemma_kept(before, after, HEADER_LEN + 8 * c, 4);
            lemma_kept(before, after, HEADER_LEN + 8 * c + 4, 4);
        }
    }
}

/// Appends the table.
fn table(columns: &[Coded], out: &mut Vec<u8>, first: usize)
    requires
        old(out)@.len() == HEADER_LEN,
        place(columns@, first as int, columns@.len() as int) <= MAX_LEN,
    ensures
        old(out)@.is_prefix_of(final(out)@),
        final(out)@.len() == HEADER_LEN + 8 * columns@.len(),
        lists(final(out)@, columns@, first as int, columns@.len() as int),
{
    let mut at = first;
    let mut column: usize = 0;
    while column < columns.len()
        invariant
            place(columns@, first as int, columns@.len() as int) <= MAX_LEN,
            column <= columns@.len(),
            at == place(columns@, first as int, column as int),
            old(out)@.len() == HEADER_LEN,
            old(out)@.is_prefix_of(out@),
            out@.len() == HEADER_LEN + 8 * column,
            lists(out@, columns@, first as int, column as int),
        decreases columns@.len() - column,
    {
        let ghost before = out@;
        let len = columns[column].bytes.len();
        proof {
            lemma_place_rises(columns@, first as int, column as int, columns@.len() as int);
        }
        push_u32(out, at as u32);
        let ghost half = out@;
        push_u32(out, len as u32 + if columns[column].sparse { SPARSE } else { 0 });
        proof {
            lemma_lists_more(before, half, out@, columns@, first as int, column as int);
        }
        at = (at + len + 7) / 8 * 8;
        column += 1;
    }
}

/// Whether the first `n` columns lie where they must, with zeros after each.
spec fn filled(out: Seq<u8>, columns: Seq<Coded>, first: int, n: int) -> bool {
    &&& out.len() == place(columns, first, n)
    &&& forall|c: int| 0 <= c < n ==> #[trigger] lies(out, columns, first, c)
}

spec fn lies(out: Seq<u8>, columns: Seq<Coded>, first: int, c: int) -> bool {
    let (from, to) = (place(columns, first, c), end(columns, first, c));
    out.subrange(from, to) == columns[c].bytes@ && spec::zeros(out, to, spec::aligned(to))
}

/// Appends the columns, each followed by zeros.
fn bodies(columns: &[Coded], out: &mut Vec<u8>, Ghost(first): Ghost<int>)
    requires
        0 <= first == old(out)@.len(),
        place(columns@, first, columns@.len() as int) <= MAX_LEN,
    ensures
        old(out)@.is_prefix_of(final(out)@),
        filled(final(out)@, columns@, first, columns@.len() as int),
{
    let mut column: usize = 0;
    while column < columns.len()
        invariant
            column <= columns@.len(),
            0 <= first == old(out)@.len(),
            place(columns@, first, columns@.len() as int) <= MAX_LEN,
            old(out)@.is_prefix_of(out@),
            filled(out@, columns@, first, column as int),
        decreases columns@.len() - column,
    {
        let ghost before = out@;
        proof {
            lemma_place_rises(columns@, first, column as int, columns@.len() as int);
        }
        append(out, columns[column].bytes.as_slice());
        let ghost whole = out@;
        let end = out.len();
        pad(out, (end + 7) / 8 * 8);
        proof {
            assert(whole.skip(before.len() as int) =~= columns@[column as int].bytes@);
            assert(out@.subrange(before.len() as int, end as int) =~= whole.skip(
                before.len() as int,
            ));
            assert forall|c: int| 0 <= c <= column implies #[trigger] lies(
                out@,
                columns@,
                first,
                c,
            ) by {
                if c < column {
                    assert(lies(before, columns@, first, c));
                    lemma_place_rises(columns@, first, c + 1, column as int);
                    lemma_lies_on(before, out@, columns@, first, c);
                }
            }
        }
        column += 1;
    }
}

/// A column stays where it lies when more is appended.
proof fn lemma_lies_on(before: Seq<u8>, after: Seq<u8>, columns: Seq<Coded>, first: int, c: int)
    requires
        0 <= first,
        0 <= c,
        lies(before, columns, first, c),
        before.is_prefix_of(after),
        place(columns, first, c + 1) <= before.len(),
    ensures
        lies(after, columns, first, c),
{
    let (from, to) = (place(columns, first, c), end(columns, first, c));
    lemma_place_rises(columns, first, 0, c);
    assert(after.subrange(from, to) =~= before.subrange(from, to));
    assert forall|k: int| to <= k < spec::aligned(to) implies #[trigger] after[k] == 0 by {
        assert(before[k] == 0);
    }
}

/// Appends zeros up to a length.
fn pad(out: &mut Vec<u8>, len: usize)
    requires
        old(out)@.len() <= len,
    ensures
        final(out)@.len() == len,
        old(out)@.is_prefix_of(final(out)@),
        spec::zeros(final(out)@, old(out)@.len() as int, len as int),
{
    out.resize(len, 0);
    proof {
        let kept = out@.subrange(0, old(out)@.len() as int);
        assert(kept =~= old(out)@);
        assert forall|k: int| 0 <= k < kept.len() implies out@[k] == old(out)@[k] by {
            assert(kept[k] == out@[k]);
        }
    }
}

proof fn lemma_prefixes(a: Seq<u8>, b: Seq<u8>, c: Seq<u8>, d: Seq<u8>)
    requires
        a.is_prefix_of(b),
        b.is_prefix_of(c),
        c.is_prefix_of(d),
    ensures
        a.is_prefix_of(d),
        b.is_prefix_of(d),
{
}

/// The parts make a message.
proof fn lemma_holds(
    m: Seq<u8>,
    h: Header,
    columns: Seq<Coded>,
    tabled: Seq<u8>,
    before_tail: Seq<u8>,
)
    requires
        h.keys <= MAX_KEYS,
        are_columns(h, columns),
        tabled.len() == spec::table_end(h),
        tabled.is_prefix_of(m),
        before_tail.is_prefix_of(m),
        spec::word(m, 0) == MAGIC,
        spec::word(m, 28) == 0,
        spec::header(m) == h,
        h.len == m.len() <= MAX_LEN,
        h.prefix == end(columns, spec::table_end(h), 2),
        lists(tabled, columns, spec::table_end(h), columns.len() as int),
        filled(before_tail, columns, spec::table_end(h), columns.len() as int),
        m.len() == before_tail.len() + TAIL_LEN,
        spec::zeros(m, before_tail.len() as int, m.len() as int),
    ensures
        holds(m, h, columns),
{
    let first = spec::table_end(h);
    let n = columns.len() as int;
    assert forall|c: int| 0 <= c < n implies #[trigger] has_column(m, c, columns[c]) && spec::end(
        m,
        c,
    ) == end(columns, first, c) && spec::start(m, c) == place(columns, first, c) && lies(
        m,
        columns,
        first,
        c,
    ) && place(columns, first, c + 1) <= before_tail.len() by {
        lemma_kept(tabled, m, HEADER_LEN + 8 * c, 4);
        lemma_kept(tabled, m, HEADER_LEN + 8 * c + 4, 4);
        assert(listed(tabled, columns, first, c));
        lemma_place_rises(columns, first, c, c + 1);
        lemma_place_rises(columns, first, c + 1, n);
        lemma_place_rises(columns, first, 0, c);
        assert(lies(before_tail, columns, first, c));
        lemma_lies_on(before_tail, m, columns, first, c);
    }
    assert(has_column(m, 2, columns[2]));
    assert forall|c: int| 0 <= c < n implies #[trigger] spec::column_valid(m, h, c) by {
        assert(has_column(m, c, columns[c]));
        if c > 0 {
            assert(has_column(m, c - 1, columns[c - 1]));
        }
    }
    lemma_place_rises(columns, first, 0, n);
    assert(has_column(m, n - 1, columns[n - 1]));
}

} // verus!
