//! Prometheus remote write, 1.0 and 2.0: samples as points, counters as they are.
//!
//! A malformed request is refused before anything of it is stored. Samples that the format cannot
//! hold are refused one by one, and the rest is stored.

mod histogram;
mod known;
mod v1;
mod v2;

pub use known::{decode as decode_known, Decoded};
pub use v1::decode as decode_v1;
pub use v2::decode as decode_v2;

use crate::batch::Batch;
use crate::tally::{Ignored, Reason};
use crate::wire::{Malformed, Reader};

const NAME: &[u8] = b"__name__";
/// The value that says that a series has ended; other NaNs are values.
pub const STALE: u64 = 0x7ff0_0000_0000_0002;

/// What was taken in, for the headers of remote write 2.0. Markers of staleness count: they are
/// dealt with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub samples: u64,
    pub histograms: u64,
}

#[derive(Clone, Copy)]
struct Sample {
    value: f64,
    ts: i64,
}

/// One series of a request. Its buffers are used again for the next one.
#[derive(Default)]
struct Series<'a> {
    labels: Vec<(&'a [u8], &'a [u8])>,
    samples: Vec<Sample>,
    histograms: Vec<&'a [u8]>,
    exemplars: u64,
}

impl<'a> Series<'a> {
    fn clear(&mut self) {
        self.labels.clear();
        self.samples.clear();
        self.histograms.clear();
        self.exemplars = 0;
    }

    fn add_sample(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        self.samples.push(sample(bytes)?);
        Ok(())
    }

    /// Puts the series' points into the batch.
    fn store(&mut self, batch: &mut Batch, written: &mut Written) -> Result<(), Malformed> {
        batch.tally.ignore(Ignored::Exemplar, self.exemplars);
        let at = self.labels.iter().position(|(key, _)| *key == NAME);
        let name = at.map_or(&[][..], |at| self.labels.remove(at).1);
        for sample in &self.samples {
            match store_sample(batch, name, &self.labels, *sample) {
                Ok(()) => written.samples += 1,
                Err(reason) => reject(batch, reason, name),
            }
        }
        for bytes in &self.histograms {
            let histogram = histogram::Histogram::read(bytes)?;
            match histogram.store(batch, name, &self.labels) {
                Ok(()) => written.histograms += 1,
                Err(reason) => reject(batch, reason, name),
            }
        }
        Ok(())
    }
}

/// Both versions number the fields of a sample alike.
fn sample(bytes: &[u8]) -> Result<Sample, Malformed> {
    let mut sample = Sample { value: 0.0, ts: 0 };
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 => sample.value = value.double(field)?,
            2 => sample.ts = value.varint(field)? as i64,
            _ => {}
        }
    }
    Ok(sample)
}

fn reject(batch: &mut Batch, reason: Reason, name: &[u8]) {
    batch.tally.reject(reason, &String::from_utf8_lossy(name));
}

fn store_sample(
    batch: &mut Batch,
    name: &[u8],
    tags: &[(&[u8], &[u8])],
    sample: Sample,
) -> Result<(), Reason> {
    if sample.value.to_bits() == STALE {
        batch.tally.ignore(Ignored::Stale, 1);
        return Ok(());
    }
    check(batch, name, tags, sample.ts)?;
    batch.point(name, tags, sample.ts, sample.value)
}

fn check(batch: &Batch, name: &[u8], tags: &[(&[u8], &[u8])], ts: i64) -> Result<(), Reason> {
    if name.is_empty() {
        return Err(Reason::NoName);
    }
    batch.check(tags.len(), ts)
}
