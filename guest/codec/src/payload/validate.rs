//! The check of a whole message against every rule of the format.
//!
//! Nothing is allocated from a count before the bytes that it claims were seen to be there, and
//! the work is linear in the message, whoever made it.

mod distinct;

use super::{
    align8, Header, PayloadError, FIXED_COLUMNS, HEADER_LEN, MAGIC, MAX_KEYS, MAX_LEN, MAX_POINTS,
    MAX_SETS, MAX_SPAN, MAX_STRINGS, MAX_STRING_LEN, MAX_TIMESTAMP, SPARSE, TAIL_LEN,
};
use crate::bytes::read_u32;
use crate::streamvbyte::Decoder;
use crate::zigzag;
use alloc::vec::Vec;

/// Checks a whole message; answers its header.
pub fn validate(bytes: &[u8]) -> Result<Header, PayloadError> {
    let header = header(bytes)?;
    let layout = Layout::read(bytes, header)?;
    dictionary(&layout)?;
    sets(&layout)?;
    points(&layout)?;
    for key in 0..header.keys {
        key_column(&layout, key)?;
    }
    Ok(header)
}

/// Checks each field of the header by itself.
pub(super) fn header(bytes: &[u8]) -> Result<Header, PayloadError> {
    let len = bytes.len();
    if len > MAX_LEN as usize {
        return Err(PayloadError::TooLong { len });
    }
    let header = match Header::fields(bytes) {
        Some(header) if len >= HEADER_LEN + 8 * FIXED_COLUMNS + TAIL_LEN => header,
        _ => return Err(PayloadError::TooShort { len }),
    };
    let magic = word(bytes, 0);
    if magic != MAGIC {
        return Err(PayloadError::Magic { found: magic });
    }
    if header.len as usize != len {
        return Err(PayloadError::Length {
            claimed: header.len,
            actual: len,
        });
    }
    let reserved = word(bytes, 28);
    if reserved != 0 {
        return Err(PayloadError::Reserved { found: reserved });
    }
    counts(&header)?;
    times(&header)?;
    Ok(header)
}

fn counts(header: &Header) -> Result<(), PayloadError> {
    if header.strings > MAX_STRINGS {
        return Err(PayloadError::Strings {
            count: header.strings,
        });
    }
    if header.keys > MAX_KEYS {
        return Err(PayloadError::Keys { count: header.keys });
    }
    if header.sets == 0 || header.sets > MAX_SETS {
        return Err(PayloadError::Sets { count: header.sets });
    }
    if header.points == 0 || header.points > MAX_POINTS {
        return Err(PayloadError::Points {
            count: header.points,
        });
    }
    Ok(())
}

fn times(header: &Header) -> Result<(), PayloadError> {
    for ts in [header.min_ts, header.max_ts] {
        if !(0..=MAX_TIMESTAMP).contains(&ts) {
            return Err(PayloadError::TimeRange { ts });
        }
    }
    let (min, max) = (header.min_ts, header.max_ts);
    if min > max {
        return Err(PayloadError::TimeOrder { min, max });
    }
    if max - min > MAX_SPAN {
        return Err(PayloadError::TimeSpan { span: max - min });
    }
    Ok(())
}

/// A message whose table was checked: every column lies where it must, within the message.
struct Layout<'a> {
    bytes: &'a [u8],
    header: Header,
}

impl<'a> Layout<'a> {
    fn read(bytes: &'a [u8], header: Header) -> Result<Self, PayloadError> {
        let mut at = header.table_end();
        if at > bytes.len() - TAIL_LEN {
            return Err(PayloadError::Table { end: at });
        }
        let layout = Layout { bytes, header };
        let last = bytes.len() - TAIL_LEN;
        for column in 0..header.columns() {
            let found = word(bytes, HEADER_LEN + 8 * column);
            if found as usize != at {
                return Err(PayloadError::ColumnOffset {
                    column,
                    found,
                    expected: at,
                });
            }
            let end = at.saturating_add(layout.column_len(column));
            if align8(end.min(last + 1)) > last {
                return Err(PayloadError::ColumnBounds { column, end });
            }
            if column == super::Column::KeyIds.index() && header.prefix as usize != end {
                return Err(PayloadError::Prefix {
                    found: header.prefix,
                    expected: end,
                });
            }
            zeros(bytes, end, align8(end))?;
            at = align8(end);
        }
        if at != last {
            return Err(PayloadError::Tail {
                found: bytes.len() - at,
            });
        }
        zeros(bytes, last, bytes.len())?;
        Ok(layout)
    }

    /// The length of a column. The top bit means the sparse form, in a key's column only.
    fn column_len(&self, column: usize) -> usize {
        let length = word(self.bytes, HEADER_LEN + 8 * column + 4);
        let flag = if column >= FIXED_COLUMNS { SPARSE } else { 0 };
        (length & !flag) as usize
    }

    fn is_sparse(&self, column: usize) -> bool {
        word(self.bytes, HEADER_LEN + 8 * column + 4) & SPARSE != 0
    }

    /// The bytes of a column.
    fn column(&self, column: usize) -> &'a [u8] {
        let start = word(self.bytes, HEADER_LEN + 8 * column) as usize;
        &self.bytes[start..start + self.column_len(column)]
    }

    /// Calls `visit` with each index and value of a column that is one run of `count` values.
    fn each<F>(&self, column: super::Column, count: u32, visit: F) -> Result<(), PayloadError>
    where
        F: FnMut(u32, u32) -> Result<(), PayloadError>,
    {
        let index = column.index();
        run(self.column(index), index, count, visit)
    }
}

/// Calls `visit` with each index and value of a run that takes all of `bytes`.
fn run<F>(bytes: &[u8], column: usize, count: u32, mut visit: F) -> Result<(), PayloadError>
where
    F: FnMut(u32, u32) -> Result<(), PayloadError>,
{
    let bad = PayloadError::ColumnLength {
        column,
        found: bytes.len(),
    };
    let count = count as usize;
    let split = count.div_ceil(4);
    if split > bytes.len() {
        return Err(bad);
    }
    let (control, data) = bytes.split_at(split);
    let mut decoder = Decoder::new(control, count).map_err(|_| bad)?;
    let mut block = [0u32; 128];
    let mut index = 0;
    while decoder.remaining() > 0 {
        let window = &data[decoder.data_offset()..];
        let n = decoder.next_block(window, &mut block).map_err(|_| bad)?;
        for &value in &block[..n] {
            visit(index, value)?;
            index += 1;
        }
    }
    if decoder.data_offset() == data.len() {
        Ok(())
    } else {
        Err(bad)
    }
}

fn dictionary(layout: &Layout<'_>) -> Result<(), PayloadError> {
    use super::Column::{KeyIds, StringBytes, StringLengths};
    let header = &layout.header;
    let text = layout.column(StringBytes.index());
    let lengths = layout.column(StringLengths.index());
    if lengths.len() < header.strings as usize {
        let column = StringLengths.index();
        return Err(PayloadError::ColumnLength {
            column,
            found: lengths.len(),
        });
    }
    let mut bounds: Vec<u32> = Vec::with_capacity(header.strings as usize + 1);
    bounds.push(0);
    let mut end: u32 = 0;
    layout.each(StringLengths, header.strings, |string, len| {
        if len == 0 || len > MAX_STRING_LEN {
            return Err(PayloadError::StringLength { string, len });
        }
        end += len;
        bounds.push(end);
        Ok(())
    })?;
    if end as usize != text.len() {
        return Err(PayloadError::StringBytes {
            claimed: end as usize,
            actual: text.len(),
        });
    }
    utf8(text, &bounds)?;
    distinct::check(text, &bounds)?;
    let string = |id: u32| &text[bounds[id as usize] as usize..bounds[id as usize + 1] as usize];
    let mut last: &[u8] = &[];
    layout.each(KeyIds, header.keys, |key, id| {
        if id >= header.strings {
            return Err(PayloadError::KeyId { key, string: id });
        }
        if string(id) <= last {
            return Err(PayloadError::KeyOrder { key });
        }
        last = string(id);
        Ok(())
    })
}

/// Checks that each string is UTF-8: the whole is, and none starts inside a character.
fn utf8(text: &[u8], bounds: &[u32]) -> Result<(), PayloadError> {
    let count = bounds.len() - 1;
    if let Err(error) = core::str::from_utf8(text) {
        let at = error.valid_up_to() as u32;
        let string = bounds[1..].partition_point(|&end| end <= at) as u32;
        return Err(PayloadError::Utf8 { string });
    }
    for string in 0..count {
        if text[bounds[string] as usize] & 0xc0 == 0x80 {
            return Err(PayloadError::Utf8 {
                string: string as u32,
            });
        }
    }
    Ok(())
}

fn sets(layout: &Layout<'_>) -> Result<(), PayloadError> {
    let header = &layout.header;
    layout.each(super::Column::MetricIds, header.sets, |set, string| {
        if string >= header.strings {
            return Err(PayloadError::MetricId { set, string });
        }
        Ok(())
    })
}

fn points(layout: &Layout<'_>) -> Result<(), PayloadError> {
    use super::Column::{Counts, SetIds, Timestamps, Values};
    let header = &layout.header;
    layout.each(SetIds, header.points, |point, set| {
        if set >= header.sets {
            return Err(PayloadError::SetId { point, set });
        }
        Ok(())
    })?;
    let (mut ts, mut min, mut max) = (header.min_ts, i64::MAX, i64::MIN);
    layout.each(Timestamps, header.points, |point, code| {
        // Both stay far below 2^63: a timestamp out of range ends the walk.
        ts += zigzag::decode(u64::from(code));
        if !(0..=MAX_TIMESTAMP).contains(&ts) {
            return Err(PayloadError::Timestamp { point, ts });
        }
        min = min.min(ts);
        max = max.max(ts);
        Ok(())
    })?;
    if min != header.min_ts {
        return Err(PayloadError::MinTs {
            claimed: header.min_ts,
            actual: min,
        });
    }
    if max != header.max_ts {
        return Err(PayloadError::MaxTs {
            claimed: header.max_ts,
            actual: max,
        });
    }
    let found = layout.column(Values.index()).len();
    if found != 8 * header.points as usize {
        return Err(PayloadError::ColumnLength {
            column: Values.index(),
            found,
        });
    }
    if layout.column(Counts.index()).is_empty() {
        return Ok(());
    }
    layout.each(Counts, header.points, |_, _| Ok(()))
}

fn key_column(layout: &Layout<'_>, key: u32) -> Result<(), PayloadError> {
    let header = &layout.header;
    let column = super::Column::Key(key);
    if layout.is_sparse(column.index()) {
        return sparse(layout, key);
    }
    layout.each(column, header.sets, |set, code| {
        if code > header.strings {
            return Err(PayloadError::ValueId { key, set, code });
        }
        Ok(())
    })
}

fn sparse(layout: &Layout<'_>, key: u32) -> Result<(), PayloadError> {
    let header = &layout.header;
    let column = super::Column::Key(key).index();
    let bytes = layout.column(column);
    let count = match read_u32(bytes, 0) {
        Ok(count) => count,
        Err(_) => {
            return Err(PayloadError::ColumnLength {
                column,
                found: bytes.len(),
            })
        }
    };
    if count > header.sets {
        return Err(PayloadError::SparseCount { key, count });
    }
    let mut set: u64 = 0;
    run(&bytes[4..], column, 2 * count, |index, value| {
        let entry = index / 2;
        if index % 2 == 0 {
            set += u64::from(value);
            if set >= u64::from(header.sets) || (entry > 0 && value == 0) {
                return Err(PayloadError::SparseGap {
                    key,
                    entry,
                    gap: value,
                });
            }
            return Ok(());
        }
        match value {
            0 => Err(PayloadError::SparseAbsent { key, entry }),
            code if code > header.strings => Err(PayloadError::ValueId {
                key,
                set: set as u32,
                code,
            }),
            _ => Ok(()),
        }
    })
}

fn zeros(bytes: &[u8], from: usize, to: usize) -> Result<(), PayloadError> {
    match bytes[from..to].iter().position(|&b| b != 0) {
        Some(n) => Err(PayloadError::Padding {
            at: from + n,
            found: bytes[from + n],
        }),
        None => Ok(()),
    }
}

/// The word at `at`, which the caller has seen to be there; zero otherwise.
fn word(bytes: &[u8], at: usize) -> u32 {
    read_u32(bytes, at).unwrap_or(0)
}
