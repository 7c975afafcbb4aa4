//! `io.prometheus.write.v2.Request`: every string once, in a table of symbols.

use super::{Series, Written};
use crate::batch::Batch;
use crate::wire::{Malformed, Reader, Value};

const SYMBOLS: u32 = 4;
const TIMESERIES: u32 = 5;
/// The field of a series that holds a histogram.
const HISTOGRAMS: u32 = 3;
/// Symbols of a request; each takes 16 bytes here, and 2 on the wire at least.
const SYMBOLS_MAX: usize = 1_000_000;

const NO_SYMBOL: Malformed = Malformed::Content("a label refers to a symbol that is not there");
const ODD: Malformed = Malformed::Content("a label has a name and no value");
const CROWDED: Malformed = Malformed::Content("there are more than 1,000,000 symbols");

/// Puts the samples of a request into the batch. Created timestamps are not needed: counters are
/// stored as they are.
pub fn decode(body: &[u8], batch: &mut Batch) -> Result<Written, Malformed> {
    let symbols = symbols(body)?;
    let mut written = Written::default();
    let mut series = Series::default();
    let mut request = Reader::new(body);
    while let Some((field, value)) = request.field()? {
        if field == TIMESERIES {
            series.clear();
            let bytes = value.bytes(field)?;
            read(bytes, &symbols, &mut series)?;
            series.store(bytes, HISTOGRAMS, batch, &mut written)?;
        }
    }
    Ok(written)
}

/// What the table of a request's symbols takes in memory, known before it is made.
pub fn table_bytes(body: &[u8]) -> Result<usize, Malformed> {
    Ok(count_symbols(body)? * size_of::<&[u8]>())
}

fn count_symbols(body: &[u8]) -> Result<usize, Malformed> {
    let (mut count, mut request) = (0, Reader::new(body));
    while let Some((field, _)) = request.field()? {
        count += usize::from(field == SYMBOLS);
    }
    if count > SYMBOLS_MAX {
        return Err(CROWDED);
    }
    Ok(count)
}

fn symbols(body: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut symbols = Vec::with_capacity(count_symbols(body)?);
    let mut request = Reader::new(body);
    while let Some((field, value)) = request.field()? {
        if field == SYMBOLS {
            symbols.push(value.bytes(field)?);
        }
    }
    Ok(symbols)
}

fn read<'a>(
    bytes: &'a [u8],
    symbols: &[&'a [u8]],
    series: &mut Series<'a>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    let mut name = None;
    while let Some((field, value)) = reader.field()? {
        match (field, value) {
            (1, Value::Bytes(packed)) => {
                let mut refs = Reader::new(packed);
                while let Some(index) = refs.packed_varint()? {
                    refer(index, symbols, &mut name, series)?;
                }
            }
            (1, value) => refer(value.varint(field)?, symbols, &mut name, series)?,
            (4, _) => series.exemplars += 1,
            _ => {}
        }
    }
    match name {
        None => Ok(()),
        Some(_) => Err(ODD),
    }
}

/// Every other reference is a name.
fn refer<'a>(
    index: u64,
    symbols: &[&'a [u8]],
    name: &mut Option<&'a [u8]>,
    series: &mut Series<'a>,
) -> Result<(), Malformed> {
    let at = usize::try_from(index).map_err(|_| NO_SYMBOL)?;
    let symbol = *symbols.get(at).ok_or(NO_SYMBOL)?;
    match name.take() {
        None => *name = Some(symbol),
        Some(name) => series.add_label((name, symbol)),
    }
    Ok(())
}
