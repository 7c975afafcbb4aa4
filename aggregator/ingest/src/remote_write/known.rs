//! Requests of version 1.0 that hold nothing but samples of series that came before.

use std::time::SystemTime;

use bytes::Bytes;

use super::{v1, Series, Written, STALE};
use crate::batch::MESSAGES_MAX;
use crate::known::{Catalog, Composer, Misfit};
use crate::reach::Times;
use crate::settings::Limits;
use crate::tally::{Ignored, Tally};
use crate::wire::{Malformed, Reader};

/// The key of a field of labels, and of one of samples.
const LABELS: u8 = 0x0a;
const SAMPLES: u32 = 2;
const TIMESERIES: u32 = 1;

/// What a request came to.
#[derive(Debug, PartialEq)]
pub struct Decoded {
    pub messages: Vec<Bytes>,
    pub tally: Tally,
    pub written: Written,
}

/// Makes messages of a request, as a batch would. `None` if anything in it needs a closer look, be
/// it an error: nothing is decided here.
pub fn decode(
    body: &[u8],
    (catalog, composer): (&mut Catalog, &mut Composer),
    limits: &Limits,
    now: SystemTime,
) -> Option<Decoded> {
    composer.begin();
    let mut request = Request {
        points_max: limits.points as u64,
        tags_max: limits.tags,
        times: limits.reach.from(now),
        catalog,
        composer,
        decoded: Decoded {
            messages: Vec::new(),
            tally: Tally::default(),
            written: Written::default(),
        },
    };
    let mut reader = Reader::new(body);
    while let Some((field, value)) = reader.field().ok()? {
        if field == TIMESERIES {
            request.series(value.bytes(field).ok()?)?;
        }
    }
    request.finish();
    Some(request.decoded)
}

struct Request<'a> {
    points_max: u64,
    tags_max: usize,
    times: Times,
    catalog: &'a mut Catalog,
    composer: &'a mut Composer,
    decoded: Decoded,
}

impl Request<'_> {
    fn series(&mut self, bytes: &[u8]) -> Option<()> {
        let (series, rest) = match self.expected(bytes) {
            Some(expected) => expected,
            None => self.search(bytes)?,
        };
        let mut reader = Reader::new(rest);
        while let Some((field, value)) = reader.field().ok()? {
            if field != SAMPLES {
                return None;
            }
            let sample = super::sample(value.bytes(field).ok()?).ok()?;
            self.decoded.written.samples += 1;
            if sample.value.to_bits() == STALE {
                self.decoded.tally.ignore(Ignored::Stale, 1);
            } else {
                self.point(series, sample)?;
            }
        }
        Some(())
    }

    /// The series that comes next if the request is as one before, if it does; and what follows.
    fn expected<'b>(&self, bytes: &'b [u8]) -> Option<(u32, &'b [u8])> {
        let series = self.composer.expected()?;
        let (_, rest) = bytes.split_at(self.catalog.begins_with(bytes, series)?);
        // Otherwise these are the labels of another one, and more.
        (rest.first() != Some(&LABELS)).then_some((series, rest))
    }

    /// Whatever series it is, new or known, and what follows its labels.
    fn search<'b>(&mut self, bytes: &'b [u8]) -> Option<(u32, &'b [u8])> {
        let (labels, rest) = bytes.split_at(labels_end(bytes)?);
        let series = match self.catalog.find(labels) {
            Ok(series) => series,
            Err(unknown) => {
                let (metric, tags) = parse(labels).ok()??;
                if tags.len() > self.tags_max {
                    return None;
                }
                self.catalog.add(unknown, metric, &tags)?
            }
        };
        Some((series, rest))
    }

    fn point(&mut self, series: u32, sample: super::Sample) -> Option<()> {
        let written = &mut self.decoded.tally.written;
        if self.times.check(sample.ts).is_err() || *written == self.points_max {
            return None;
        }
        *written += 1;
        let super::Sample { ts, value } = sample;
        match self.composer.point(self.catalog, series, ts, value) {
            Ok(()) => Some(()),
            Err(Misfit::Full) if self.decoded.messages.len() + 1 < MESSAGES_MAX => {
                self.finish();
                let again = self.composer.point(self.catalog, series, ts, value);
                again.ok()
            }
            Err(_) => None,
        }
    }

    fn finish(&mut self) {
        if !self.composer.is_empty() {
            let message = self.composer.finish(self.catalog);
            self.decoded.messages.push(message);
            self.composer.begin();
        }
    }
}

/// Where the labels end that a series begins with.
fn labels_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while bytes.get(at) == Some(&LABELS) {
        let length = *bytes.get(at + 1)?;
        if length < 0x80 {
            at += 2 + usize::from(length);
        } else {
            // Two bytes of length reach beyond what two texts may have.
            let high = *bytes.get(at + 2)?;
            at += 3 + usize::from(length & 0x7f) + (usize::from(high) << 7);
            if high >= 0x80 {
                return None;
            }
        }
    }
    (at <= bytes.len()).then_some(at)
}

type Labels<'a> = (&'a [u8], Vec<(&'a [u8], &'a [u8])>);

/// The name and the tags; `None` without a name.
fn parse(labels: &[u8]) -> Result<Option<Labels<'_>>, Malformed> {
    let mut reader = Reader::new(labels);
    let mut series = Series::default();
    while let Some((field, value)) = reader.field()? {
        series.add_label(v1::label(value.bytes(field)?)?);
    }
    Ok(series.name.map(|name| (name, series.labels)))
}
