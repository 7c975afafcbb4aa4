//! A whole message from its numbers and bytes, proven to read back.

use super::assemble::assemble;
#[cfg(verus_keep_ghost)]
use super::assemble::{has_column, holds};
#[cfg(verus_keep_ghost)]
use super::columns::says;
use super::columns::{copy, run, time_codes, words, Coded, KeyColumn};
#[cfg(verus_keep_ghost)]
use crate::bytes::le_at;
#[cfg(verus_keep_ghost)]
use crate::payload::spec;
#[cfg(verus_keep_ghost)]
use crate::payload::theorems::lemma_offered;
use crate::payload::{
    Header, FIXED_COLUMNS, MAX_KEYS, MAX_POINTS, MAX_SETS, MAX_SPAN, MAX_STRINGS, MAX_TIMESTAMP,
};
#[cfg(verus_keep_ghost)]
use crate::payload::{Reader, Source, MAGIC, MAX_LEN};
use alloc::vec::Vec;
use vstd::prelude::*;

verus! {

/// What a message says, column by column.
pub(super) struct Parts {
    /// The lengths of the strings, and their bytes.
    pub(super) lengths: Vec<u32>,
    pub(super) text: Vec<u8>,
    /// The string of each key, and of each tag-set's metric.
    pub(super) key_ids: Vec<u32>,
    pub(super) metrics: Vec<u32>,
    /// Tag-set, timestamp and bits of the value of each point; its count where there are counts.
    pub(super) sets: Vec<u32>,
    pub(super) times: Vec<i64>,
    pub(super) values: Vec<u64>,
    pub(super) counts: Vec<u32>,
    /// For each key the string id + 1 of its value in each tag-set; 0 where the tag is absent.
    pub(super) keys: Vec<KeyColumn>,
    pub(super) min_ts: i64,
    pub(super) max_ts: i64,
}

/// The message that says this. `None` where the parts do not fit together, break a limit of the
/// format, or would make a message that is too long.
pub(super) fn message(parts: &Parts) -> (r: Option<Vec<u8>>)
    ensures
        r matches Some(m) ==> reads_back(m@, *parts),
{
    if !fit(parts) {
        return None;
    }
    let header = Header {
        len: 0,
        prefix: 0,
        strings: parts.lengths.len() as u32,
        keys: parts.keys.len() as u32,
        sets: parts.metrics.len() as u32,
        points: parts.times.len() as u32,
        min_ts: parts.min_ts,
        max_ts: parts.max_ts,
    };
    let codes = time_codes(parts.min_ts, &parts.times);
    let mut columns = fixed_columns(parts, &codes);
    let ghost fixed = columns@;
    key_columns(parts, &mut columns);
    proof {
        assert(forall|c: int| 0 <= c < FIXED_COLUMNS ==> #[trigger] columns@[c] == fixed[c]);
    }
    let m = assemble(&header, &columns)?;
    proof {
        lemma_reads_back(m@, header, columns@, *parts, codes@);
    }
    Some(m)
}

/// Whether the message says what the parts say.
pub(super) open spec fn reads_back(m: Seq<u8>, parts: Parts) -> bool {
    let h = spec::header(m);
    &&& m.len() == h.len <= MAX_LEN
    &&& spec::word(m, 0) == MAGIC
    &&& spec::word(m, 28) == 0
    &&& h.strings == parts.lengths@.len()
    &&& h.keys == parts.keys@.len() == parts.key_ids@.len()
    &&& h.sets == parts.metrics@.len()
    &&& h.points == parts.times@.len() == parts.sets@.len()
    &&& h.min_ts == parts.min_ts && h.max_ts == parts.max_ts
    &&& spec::layout_valid(m, h)
    &&& is_run_of(spec::column(m, 0), parts.lengths@)
    &&& spec::column(m, 1) == parts.text@
    &&& is_run_of(spec::column(m, 2), parts.key_ids@)
    &&& is_run_of(spec::column(m, 3), parts.metrics@)
    &&& is_run_of(spec::column(m, 4), parts.sets@)
    &&& spec::is_run(spec::column(m, 5), h.points as int)
    &&& spec::times(m, h) == parts.times@
    &&& spec::column(m, 6).len() == 8 * h.points
    &&& spec::values(m, h) == parts.values@
    &&& is_run_of(spec::column(m, 7), parts.counts@)
    &&& parts.counts@.len() == 0 ==> spec::column(m, 7).len() == 0
    &&& forall|k: int| 0 <= k < h.keys ==> #[trigger] key_reads_back(m, h, k, parts.keys@[k]@)
}

/// Whether these bytes are the run of these numbers.
pub(super) open spec fn is_run_of(bytes: Seq<u8>, values: Seq<u32>) -> bool {
    &&& spec::is_run(bytes, values.len() as int)
    &&& spec::run(bytes, values.len() as int) == values
}

/// Whether the column of a key says these values.
pub(super) open spec fn key_reads_back(m: Seq<u8>, h: Header, k: int, values: Seq<u32>) -> bool {
    spec::key_column_readable(m, h, k) && spec::key_column(m, h, k) == values
}

/// Whether parts fit together and keep the limits.
spec fn fitting(parts: Parts) -> bool {
    let points = parts.times@.len();
    &&& parts.lengths@.len() <= MAX_STRINGS
    &&& parts.key_ids@.len() == parts.keys@.len() <= MAX_KEYS
    &&& parts.metrics@.len() <= MAX_SETS
    &&& parts.sets@.len() == parts.values@.len() == points <= MAX_POINTS
    &&& parts.counts@.len() == 0 || parts.counts@.len() == points
    &&& 0 <= parts.min_ts <= MAX_TIMESTAMP
    &&& forall|i: int|
        0 <= i < points ==> parts.min_ts <= #[trigger] parts.times@[i] <= parts.min_ts + MAX_SPAN
    &&& forall|k: int|
        0 <= k < parts.keys@.len() ==> (#[trigger] parts.keys@[k])@.len() == parts.metrics@.len()
}

/// Exec form of [`fitting`].
fn fit(parts: &Parts) -> (r: bool)
    ensures
        r ==> fitting(*parts),
{
    let points = parts.times.len();
    let counts = parts.counts.len();
    parts.lengths.len() <= MAX_STRINGS as usize && parts.key_ids.len() == parts.keys.len()
        && parts.keys.len() <= MAX_KEYS as usize && parts.metrics.len() <= MAX_SETS as usize
        && parts.sets.len() == points && parts.values.len() == points && points
        <= MAX_POINTS as usize && (counts == 0 || counts == points) && times_fit(parts)
        && keys_fit(parts)
}

fn times_fit(parts: &Parts) -> (r: bool)
    ensures
        r ==> 0 <= parts.min_ts <= MAX_TIMESTAMP && forall|i: int|
            0 <= i < parts.times@.len() ==> parts.min_ts <= #[trigger] parts.times@[i]
                <= parts.min_ts + MAX_SPAN,
{
    let min = parts.min_ts;
    if min < 0 || min > MAX_TIMESTAMP {
        return false;
    }
    let mut i: usize = 0;
    while i < parts.times.len()
        invariant
            i <= parts.times@.len(),
            0 <= min == parts.min_ts <= MAX_TIMESTAMP,
            forall|k: int| 0 <= k < i ==> min <= #[trigger] parts.times@[k] <= min + MAX_SPAN,
        decreases parts.times@.len() - i,
    {
        if parts.times[i] < min || parts.times[i] > min + MAX_SPAN {
            return false;
        }
        i += 1;
    }
    true
}

fn keys_fit(parts: &Parts) -> (r: bool)
    ensures
        r ==> forall|k: int|
            0 <= k < parts.keys@.len() ==> (#[trigger] parts.keys@[k])@.len()
                == parts.metrics@.len(),
{
    let mut key: usize = 0;
    while key < parts.keys.len()
        invariant
            key <= parts.keys@.len(),
            forall|k: int|
                0 <= k < key ==> (#[trigger] parts.keys@[k])@.len() == parts.metrics@.len(),
        decreases parts.keys@.len() - key,
    {
        if parts.keys[key].len() != parts.metrics.len() {
            return false;
        }
        key += 1;
    }
    true
}

/// The columns that every message has.
fn fixed_columns(parts: &Parts, codes: &[u32]) -> (columns: Vec<Coded>)
    requires
        fitting(*parts),
        codes@.len() == parts.times@.len(),
    ensures
        columns@.len() == FIXED_COLUMNS,
        forall|c: int| 0 <= c < FIXED_COLUMNS ==> !(#[trigger] columns@[c]).sparse,
        fixed_say(columns@, *parts, codes@),
{
    let mut columns: Vec<Coded> = Vec::with_capacity(FIXED_COLUMNS + parts.keys.len());
    columns.push(dense(&parts.lengths));
    columns.push(Coded { bytes: copy(&parts.text), sparse: false });
    columns.push(dense(&parts.key_ids));
    columns.push(dense(&parts.metrics));
    columns.push(dense(&parts.sets));
    columns.push(dense(codes));
    columns.push(Coded { bytes: words(&parts.values), sparse: false });
    columns.push(dense(&parts.counts));
    columns
}

/// Whether the first columns say what the parts say.
spec fn fixed_say(columns: Seq<Coded>, parts: Parts, codes: Seq<u32>) -> bool {
    &&& is_run_of(columns[0].bytes@, parts.lengths@)
    &&& columns[1].bytes@ == parts.text@
    &&& is_run_of(columns[2].bytes@, parts.key_ids@)
    &&& is_run_of(columns[3].bytes@, parts.metrics@)
    &&& is_run_of(columns[4].bytes@, parts.sets@)
    &&& is_run_of(columns[5].bytes@, codes)
    &&& columns[6].bytes@.len() == 8 * parts.values@.len()
    &&& forall|i: int|
        0 <= i < parts.values@.len() ==> le_at(columns[6].bytes@, 8 * i, 8)
            == #[trigger] parts.values@[i]
    &&& is_run_of(columns[7].bytes@, parts.counts@)
}

fn dense(values: &[u32]) -> (column: Coded)
    requires
        values@.len() <= MAX_POINTS,
    ensures
        !column.sparse,
        is_run_of(column.bytes@, values@),
{
    Coded { bytes: run(values), sparse: false }
}

/// Appends the columns of the keys.
fn key_columns(parts: &Parts, columns: &mut Vec<Coded>)
    requires
        fitting(*parts),
        old(columns)@.len() == FIXED_COLUMNS,
    ensures
        final(columns)@.len() == FIXED_COLUMNS + parts.keys@.len(),
        old(columns)@.is_prefix_of(final(columns)@),
        forall|k: int|
            0 <= k < parts.keys@.len() ==> #[trigger] column_says(
                final(columns)@[FIXED_COLUMNS + k],
                parts.keys@[k]@,
            ),
{
    let mut key: usize = 0;
    while key < parts.keys.len()
        invariant
            fitting(*parts),
            key <= parts.keys@.len(),
            old(columns)@.len() == FIXED_COLUMNS,
            columns@.len() == FIXED_COLUMNS + key,
            old(columns)@.is_prefix_of(columns@),
            forall|k: int|
                0 <= k < key ==> #[trigger] column_says(
                    columns@[FIXED_COLUMNS + k],
                    parts.keys@[k]@,
                ),
        decreases parts.keys@.len() - key,
    {
        columns.push(parts.keys[key].coded());
        key += 1;
    }
}

spec fn column_says(column: Coded, values: Seq<u32>) -> bool {
    says(column.bytes@, column.sparse, values)
}

/// The columns of a message are those that the parts were made into.
proof fn lemma_reads_back(
    m: Seq<u8>,
    given: Header,
    columns: Seq<Coded>,
    parts: Parts,
    codes: Seq<u32>,
)
    requires
        fitting(parts),
        holds(m, given, columns),
        given.strings == parts.lengths@.len(),
        given.keys == parts.keys@.len(),
        given.sets == parts.metrics@.len(),
        given.points == parts.times@.len(),
        given.min_ts == parts.min_ts && given.max_ts == parts.max_ts,
        columns.len() == FIXED_COLUMNS + parts.keys@.len(),
        fixed_say(columns, parts, codes),
        codes.len() == parts.times@.len(),
        forall|i: int|
            0 <= i < codes.len() ==> spec::time_after(parts.min_ts as int, codes, i + 1)
                == #[trigger] parts.times@[i],
        forall|k: int|
            0 <= k < parts.keys@.len() ==> #[trigger] column_says(
                columns[FIXED_COLUMNS + k],
                parts.keys@[k]@,
            ),
    ensures
        reads_back(m, parts),
{
    let h = spec::header(m);
    assert forall|c: int| 0 <= c < columns.len() implies spec::column(m, c)
        == #[trigger] columns[c].bytes@ by {
        assert(has_column(m, c, columns[c]));
    }
    assert(spec::times(m, h) =~= parts.times@);
    assert(spec::values(m, h) =~= parts.values@);
    assert forall|k: int| 0 <= k < h.keys implies #[trigger] key_reads_back(
        m,
        h,
        k,
        parts.keys@[k]@,
    ) by {
        assert(has_column(m, FIXED_COLUMNS + k, columns[FIXED_COLUMNS + k]));
        assert(column_says(columns[FIXED_COLUMNS + k], parts.keys@[k]@));
    }
}

/// What the proven reader reads of a written message, once it has pulled it all.
spec fn is_read<S: Source + ?Sized>(reader: Reader<'_, S>, parts: Parts) -> bool {
    let (m, h) = (reader.message(), reader.fields());
    &&& reader.offers_run(0, h.strings as int) && spec::string_lengths(m, h) == parts.lengths@
    &&& reader.offers(1) && spec::column(m, 1) == parts.text@
    &&& reader.offers_run(2, h.keys as int) && spec::key_ids(m, h) == parts.key_ids@
    &&& reader.offers_run(3, h.sets as int) && spec::metric_ids(m, h) == parts.metrics@
    &&& reader.offers_run(4, h.points as int) && spec::set_ids(m, h) == parts.sets@
    &&& reader.offers_run(5, h.points as int) && spec::times(m, h) == parts.times@
    &&& reader.offers(6) && spec::column(m, 6).len() == 8 * h.points
    &&& spec::values(m, h) == parts.values@
    &&& parts.counts@.len() == h.points ==> reader.offers_run(7, h.points as int)
    &&& parts.counts@.len() == h.points ==> spec::counts(m, h) == parts.counts@
    &&& forall|k: int| 0 <= k < h.keys ==> #[trigger] reader.offers(spec::key(k))
    &&& forall|k: int| 0 <= k < h.keys ==> #[trigger] key_reads_back(m, h, k, parts.keys@[k]@)
}

/// A reader that has pulled what was written reads what was given.
proof fn lemma_round_trip<S: Source + ?Sized>(reader: Reader<'_, S>, parts: Parts)
    requires
        reads_back(reader.message(), parts),
        reader.fields() == spec::header(reader.message()),
        forall|c: int| 0 <= c < spec::columns(reader.fields()) ==> #[trigger] reader.has(c),
    ensures
        is_read(reader, parts),
{
    lemma_offered(reader);
    assert forall|k: int| 0 <= k < reader.fields().keys implies #[trigger] reader.offers(
        spec::key(k),
    ) by {
        assert(reader.offers(FIXED_COLUMNS + k));
    }
}

} // verus!
