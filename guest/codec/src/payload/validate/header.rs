//! The fields of the fixed header, each by itself.

#[cfg(verus_keep_ghost)]
use super::faults::is_header_fault;
use crate::bytes::load_u32;
#[cfg(verus_keep_ghost)]
use crate::payload::spec;
use crate::payload::{
    Header, PayloadError, FIXED_COLUMNS, HEADER_LEN, MAGIC, MAX_KEYS, MAX_LEN, MAX_POINTS,
    MAX_SETS, MAX_SPAN, MAX_STRINGS, MAX_TIMESTAMP, TAIL_LEN,
};
use vstd::prelude::*;

verus! {

/// Checks each field of the header by itself.
pub(in crate::payload) fn header(bytes: &[u8]) -> (r: Result<Header, PayloadError>)
    ensures
        match r {
            Ok(h) => h == spec::header(bytes@) && spec::header_valid(bytes@),
            Err(e) => is_header_fault(bytes@, e),
        },
{
    let len = bytes.len();
    if len > MAX_LEN as usize {
        return Err(PayloadError::TooLong { len });
    }
    let header = match Header::fields(bytes) {
        Some(header) if len >= HEADER_LEN + 8 * FIXED_COLUMNS + TAIL_LEN => header,
        _ => return Err(PayloadError::TooShort { len }),
    };
    let magic = load_u32(bytes, 0);
    if magic != MAGIC {
        return Err(PayloadError::Magic { found: magic });
    }
    if header.len as usize != len {
        return Err(PayloadError::Length { claimed: header.len, actual: len });
    }
    let reserved = load_u32(bytes, 28);
    if reserved != 0 {
        return Err(PayloadError::Reserved { found: reserved });
    }
    counts(&header, Ghost(bytes@))?;
    times(&header, Ghost(bytes@))?;
    Ok(header)
}

fn counts(header: &Header, Ghost(m): Ghost<Seq<u8>>) -> (r: Result<(), PayloadError>)
    requires
        *header == spec::header(m),
    ensures
        match r {
            Ok(()) => spec::counts_valid(*header),
            Err(e) => is_header_fault(m, e),
        },
{
    if header.strings > MAX_STRINGS {
        return Err(PayloadError::Strings { count: header.strings });
    }
    if header.keys > MAX_KEYS {
        return Err(PayloadError::Keys { count: header.keys });
    }
    if header.sets == 0 || header.sets > MAX_SETS {
        return Err(PayloadError::Sets { count: header.sets });
    }
    if header.points == 0 || header.points > MAX_POINTS {
        return Err(PayloadError::Points { count: header.points });
    }
    Ok(())
}

fn times(header: &Header, Ghost(m): Ghost<Seq<u8>>) -> (r: Result<(), PayloadError>)
    requires
        *header == spec::header(m),
    ensures
        match r {
            Ok(()) => spec::times_valid(*header),
            Err(e) => is_header_fault(m, e),
        },
{
    let (min, max) = (header.min_ts, header.max_ts);
    if min < 0 || min > MAX_TIMESTAMP {
        return Err(PayloadError::TimeRange { ts: min });
    }
    if max < 0 || max > MAX_TIMESTAMP {
        return Err(PayloadError::TimeRange { ts: max });
    }
    if min > max {
        return Err(PayloadError::TimeOrder { min, max });
    }
    if max - min > MAX_SPAN {
        return Err(PayloadError::TimeSpan { span: max - min });
    }
    Ok(())
}

} // verus!
