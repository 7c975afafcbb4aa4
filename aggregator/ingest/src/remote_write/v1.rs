//! `prometheus.WriteRequest`.

use super::{Series, Written};
use crate::batch::Batch;
use crate::wire::{Malformed, Reader};

/// Fields of a request; those not named here are reserved or hold metadata.
const TIMESERIES: u32 = 1;
/// Fields of a series.
const LABELS: u32 = 1;
const EXEMPLARS: u32 = 3;
const HISTOGRAMS: u32 = 4;

/// Puts the samples of a request into the batch.
pub fn decode(body: &[u8], batch: &mut Batch) -> Result<Written, Malformed> {
    let mut written = Written::default();
    let mut series = Series::default();
    let mut request = Reader::new(body);
    while let Some((field, value)) = request.field()? {
        if field == TIMESERIES {
            series.clear();
            let bytes = value.bytes(field)?;
            read(bytes, &mut series)?;
            series.store(bytes, HISTOGRAMS, batch, &mut written)?;
        }
    }
    Ok(written)
}

fn read<'a>(bytes: &'a [u8], series: &mut Series<'a>) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.field()? {
        match field {
            LABELS => series.add_label(label(value.bytes(field)?)?),
            EXEMPLARS => series.exemplars += 1,
            _ => {}
        }
    }
    Ok(())
}

#[inline]
pub fn label(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut name, mut content): (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 => name = value.bytes(field)?,
            2 => content = value.bytes(field)?,
            _ => {}
        }
    }
    Ok((name, content))
}
