//! Native histograms, alike in both versions: their count, sum and buckets, as they are.

use super::{check, STALE};
use crate::batch::Batch;
use crate::buckets::{label, Buckets, Ladder};
use crate::tally::{Ignored, Reason};
use crate::wire::{zigzag, Malformed, Reader, Value};

/// The schema of a histogram whose bounds are listed.
const CUSTOM: i64 = -53;

/// A native histogram. Counts are floats: they end as such.
#[derive(Default)]
pub(super) struct Histogram {
    count: f64,
    sum: f64,
    schema: i64,
    zero_threshold: f64,
    zero_count: f64,
    negative: Side,
    positive: Side,
    ts: i64,
    custom: Vec<f64>,
}

/// The buckets on one side of zero: runs of neighbours, and the counts of all of them.
#[derive(Default)]
struct Side {
    /// The gap before a run, and its length.
    spans: Vec<(i64, u64)>,
    counts: Vec<f64>,
    /// The last count, where differences are sent.
    last: i64,
}

impl Histogram {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut histogram = Self::default();
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.field()? {
            match field {
                1 => histogram.count = value.varint(field)? as f64,
                2 => histogram.count = value.double(field)?,
                3 => histogram.sum = value.double(field)?,
                4 => histogram.schema = zigzag(value.varint(field)?),
                5 => histogram.zero_threshold = value.double(field)?,
                6 => histogram.zero_count = value.varint(field)? as f64,
                7 => histogram.zero_count = value.double(field)?,
                8..=10 => histogram.negative.field(field, field - 8, value)?,
                11..=13 => histogram.positive.field(field, field - 11, value)?,
                15 => histogram.ts = value.varint(field)? as i64,
                16 => doubles(field, value, &mut histogram.custom)?,
                _ => {}
            }
        }
        Ok(histogram)
    }

    pub(super) fn store(
        &self,
        batch: &mut Batch,
        name: &[u8],
        labels: &[(&[u8], &[u8])],
    ) -> Result<(), Reason> {
        if self.sum.to_bits() == STALE {
            batch.tally.ignore(Ignored::Stale, 1);
            return Ok(());
        }
        check(batch, name, labels, self.ts)?;
        let buckets = self.buckets().ok_or(Reason::BadHistogram)?;
        batch.room_for(buckets.counts.len() + 2)?;
        let named = |suffix: &[u8]| [name, suffix].concat();
        let bucket_name = named(b"_bucket");
        let bounds = buckets.bounds.iter().copied().chain([f64::INFINITY]);
        for (bound, count) in bounds.zip(&buckets.counts) {
            let le = label(bound);
            let mut tags: Vec<_> = labels
                .iter()
                .filter(|(key, _)| *key != b"le")
                .copied()
                .collect();
            tags.push((b"le", le.as_bytes()));
            batch.point(&bucket_name, &tags, self.ts, *count)?;
        }
        batch.point(&named(b"_count"), labels, self.ts, self.count)?;
        batch.point(&named(b"_sum"), labels, self.ts, self.sum)
    }

    /// The buckets; `None` where the numbers do not fit together.
    fn buckets(&self) -> Option<Buckets<f64>> {
        if self.schema == CUSTOM {
            return self.custom_buckets();
        }
        if !(-4..=8).contains(&self.schema) {
            return None;
        }
        let mut ladder = Ladder::<f64>::default();
        ladder.add_up_to(self.zero_threshold, self.zero_count);
        for (_, count) in self.negative.buckets()? {
            ladder.add_up_to(0.0, count);
        }
        for (index, count) in self.positive.buckets()? {
            // Bucket i ends at base^i.
            ladder.add_exponential(index, i32::try_from(self.schema).ok()?, count);
        }
        Some(ladder.buckets(self.count))
    }

    fn custom_buckets(&self) -> Option<Buckets<f64>> {
        let mut counts = vec![0.0; self.custom.len() + 1];
        for (index, count) in self.positive.buckets()? {
            *counts.get_mut(usize::try_from(index).ok()?)? += count;
        }
        let mut sum = 0.0;
        for count in &mut counts {
            sum += *count;
            *count = sum;
        }
        let ascending = self.custom.windows(2).all(|pair| pair[0] < pair[1]);
        ascending.then(|| Buckets {
            bounds: self.custom.clone(),
            counts,
        })
    }
}

impl Side {
    /// Takes the field of spans (0), of differences (1) or of counts (2).
    fn field(&mut self, field: u32, which: u32, value: Value<'_>) -> Result<(), Malformed> {
        match which {
            0 => self.spans.push(span(value.bytes(field)?)?),
            1 => match value {
                Value::Bytes(packed) => {
                    let mut codes = Reader::new(packed);
                    while let Some(code) = codes.packed_varint()? {
                        self.difference(code);
                    }
                }
                single => self.difference(single.varint(field)?),
            },
            _ => doubles(field, value, &mut self.counts)?,
        }
        Ok(())
    }

    fn difference(&mut self, code: u64) {
        self.last = self.last.wrapping_add(zigzag(code));
        self.counts.push(self.last as f64);
    }

    /// Each bucket's index and count; `None` where spans and counts do not fit.
    fn buckets(&self) -> Option<Vec<(i64, f64)>> {
        let length = self
            .spans
            .iter()
            .try_fold(0_u64, |sum, s| sum.checked_add(s.1))?;
        if length != self.counts.len() as u64 {
            return None;
        }
        let mut found = Vec::with_capacity(self.counts.len());
        let mut index: i64 = 0;
        let mut counts = self.counts.iter();
        for (gap, length) in &self.spans {
            index = index.checked_add(*gap)?;
            for _ in 0..*length {
                found.push((index, *counts.next()?));
                index = index.checked_add(1)?;
            }
        }
        Some(found)
    }
}

fn span(bytes: &[u8]) -> Result<(i64, u64), Malformed> {
    let (mut gap, mut length) = (0, 0);
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 => gap = zigzag(value.varint(field)?),
            2 => length = value.varint(field)?,
            _ => {}
        }
    }
    Ok((gap, length))
}

fn doubles(field: u32, value: Value<'_>, into: &mut Vec<f64>) -> Result<(), Malformed> {
    match value {
        Value::Bytes(packed) => {
            let mut reader = Reader::new(packed);
            while let Some(number) = reader.packed_double()? {
                into.push(number);
            }
        }
        single => into.push(single.double(field)?),
    }
    Ok(())
}
