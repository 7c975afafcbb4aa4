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
pub use v2::{decode as decode_v2, table_bytes};

use ratchet_codec::payload::MAX_KEYS;

use crate::batch::Batch;
use crate::tally::{Ignored, Reason};
use crate::wire::{Malformed, Reader};

const NAME: &[u8] = b"__name__";
/// The value that says that a series has ended; other NaNs are values.
pub const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Labels that are kept of a series besides its name: one that has so many is refused, whatever the
/// limit on tags is. A label of two bytes on the wire takes 32 here.
const LABELS_KEPT: usize = MAX_KEYS as usize;
/// The field of a series that holds a sample, in both versions.
const SAMPLES: u32 = 2;

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

/// What the points of one series have in common. Its buffer is used again for the next one.
#[derive(Default)]
struct Series<'a> {
    name: Option<&'a [u8]>,
    labels: Labels<'a>,
    exemplars: u64,
}

type Labels<'a> = Vec<(&'a [u8], &'a [u8])>;

impl<'a> Series<'a> {
    fn clear(&mut self) {
        self.name = None;
        self.labels.clear();
        self.exemplars = 0;
    }

    fn add_label(&mut self, (key, value): (&'a [u8], &'a [u8])) {
        if key == NAME && self.name.is_none() {
            self.name = Some(value);
        } else if self.labels.len() < LABELS_KEPT {
            self.labels.push((key, value));
        }
    }

    /// Puts the series' points into the batch as they are read from its bytes: they may be many,
    /// and their labels may come after them.
    fn store(
        &self,
        bytes: &[u8],
        histograms: u32,
        batch: &mut Batch,
        written: &mut Written,
    ) -> Result<(), Malformed> {
        batch.tally.ignore(Ignored::Exemplar, self.exemplars);
        let name = self.name.unwrap_or_default();
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.field()? {
            let (stored, count) = if field == SAMPLES {
                let sample = sample(value.bytes(field)?)?;
                let stored = store_sample(batch, name, &self.labels, sample);
                (stored, &mut written.samples)
            } else if field == histograms {
                let histogram = histogram::Histogram::read(value.bytes(field)?)?;
                let stored = histogram.store(batch, name, &self.labels);
                (stored, &mut written.histograms)
            } else {
                continue;
            };
            match stored {
                Ok(()) => *count += 1,
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
