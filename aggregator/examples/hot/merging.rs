//! The aggregator's merge, fed with the records that the promoted module makes of the messages.

use crate::contest::{Contest, Contestant, Failure};
use bytes::Bytes;
use cpu_time::ThreadTime;
use ratchet_aggregator::configuration::Configuration;
use ratchet_aggregator::identity::Org;
use ratchet_aggregator::merge::{Binding, Limits, Merger, Pass};
use ratchet_aggregator::timeline::Span;
use ratchet_aggregator::watermark::Lateness;
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_codec::payload::{validate, Header};
use ratchet_sandbox::bench::statistics::{median, median_ci95};
use ratchet_sandbox::fuzz::draft::{decode, Draft, Point, Series};
use ratchet_sandbox::Record;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
pub struct Figures {
    records_per_message: f64,
    ns_per_record: f64,
    ci95: [f64; 2],
    us_per_message: f64,
}

/// So many records, at least, are made between two looks at the clock, which then costs nothing
/// beside them. They are merged while they are in a cache close by, as in an aggregator.
const BATCH: usize = 4_096;

/// No divisor of how many points a message has, so the order is another in each of many rounds.
const ROTATION: usize = 7;

const EVERYTHING: Span = Span {
    from_ms: i64::MIN,
    until_ms: i64::MAX,
};

/// How messages come from one round to the next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Senders {
    /// As they are: their tag-sets come again, as from processes that export the same series every
    /// few seconds.
    Repeat,
    /// With their points in another order, hence with tag-sets that are numbered otherwise: all
    /// series are known, but no message was seen before.
    Shuffle,
}

/// Merges all messages, round after round, into the same windows: none closes, so this is the
/// merge alone.
pub fn race(
    contest: &Contest,
    blob: &[u8],
    promoted: &mut Contestant,
    senders: Senders,
) -> Result<Figures, Failure> {
    let mut race = Race::new(blob)?;
    let mut times = Vec::new();
    let mut records = 0;
    // The first round meets every series for the first time.
    for round in 0..=contest.rounds {
        let taken = match senders {
            Senders::Repeat => race.round(&contest.messages, promoted)?,
            Senders::Shuffle => race.round(&rotated(&contest.messages, round)?, promoted)?,
        };
        records = taken.records;
        if round > 0 {
            times.push(taken.seconds);
        }
    }
    let per_record = |seconds: f64| 1e9 * seconds / records as f64;
    let messages = contest.messages.len() as f64;
    Ok(Figures {
        records_per_message: records as f64 / messages,
        ns_per_record: per_record(median(&times)),
        ci95: median_ci95(&times).map(per_record),
        us_per_message: 1e6 * median(&times) / messages,
    })
}

/// The same points, some of the first ones last: so many more from round to round.
fn rotated(messages: &[(Header, Bytes)], round: usize) -> Result<Vec<(Header, Bytes)>, Failure> {
    let rotate = |(_, payload): &(Header, Bytes)| {
        let Draft { series, mut points } =
            decode(payload).map_err(|error| format!("a message does not decode: {error:?}"))?;
        let some = ROTATION * (round + 1) % points.len();
        points.rotate_left(some);
        let mut builder = MessageBuilder::new();
        for Point {
            series: of,
            ts,
            value,
        } in points
        {
            let Series { metric, tags } = &series[of];
            let added = builder.point(metric, tags, ts, value);
            added.map_err(|error| format!("a message cannot be written: {error:?}"))?;
        }
        let built = builder.finish();
        let payload = Bytes::from(built.map_err(|error| format!("no message: {error:?}"))?);
        let header = validate(&payload).map_err(|error| error.reason())?;
        Ok((header, payload))
    };
    messages.iter().map(rotate).collect()
}

struct Race {
    merger: Merger,
    binding: Binding,
    sequence: u64,
    /// Of a batch, and where each message's end.
    records: Vec<Record>,
    ends: Vec<usize>,
}

#[derive(Default)]
struct Taken {
    records: usize,
    seconds: f64,
}

impl Race {
    fn new(blob: &[u8]) -> Result<Self, Failure> {
        let org = Org::parse("bench")?;
        let configuration = Configuration::parse(org, Bytes::copy_from_slice(blob))
            .map_err(|error| error.problem.reason())?;
        let mut merger = Merger::new(Limits::default(), Lateness::default());
        let binding = merger.bind(&[Arc::new(configuration)]).remove(0);
        Ok(Race {
            merger,
            binding,
            sequence: 0,
            records: Vec::new(),
            ends: Vec::new(),
        })
    }

    fn round(
        &mut self,
        messages: &[(Header, Bytes)],
        promoted: &mut Contestant,
    ) -> Result<Taken, Failure> {
        let mut taken = Taken::default();
        let mut rest = messages;
        while !rest.is_empty() {
            self.make(rest, promoted)?;
            let (batch, others) = rest.split_at(self.ends.len());
            let begin = ThreadTime::now();
            self.merge(batch)?;
            taken.seconds += begin.elapsed().as_secs_f64();
            taken.records += self.records.len();
            rest = others;
        }
        Ok(taken)
    }

    /// Makes the records of the next batch.
    fn make(
        &mut self,
        messages: &[(Header, Bytes)],
        promoted: &mut Contestant,
    ) -> Result<(), Failure> {
        self.records.clear();
        self.ends.clear();
        for (header, payload) in messages {
            (promoted.process)(payload, header, &mut |records| {
                self.records.extend_from_slice(records)
            })?;
            self.ends.push(self.records.len());
            if self.records.len() >= BATCH {
                break;
            }
        }
        Ok(())
    }

    fn merge(&mut self, batch: &[(Header, Bytes)]) -> Result<(), Failure> {
        let mut from = 0;
        for ((header, payload), end) in batch.iter().zip(&self.ends) {
            self.sequence += 1;
            let pass = Pass {
                payload,
                header,
                sequence: self.sequence,
                binding: &self.binding,
                span: EVERYTHING,
                time_ms: i64::MIN,
            };
            let records = &self.records[from..*end];
            let tally = self.merger.merge(&pass, records)?;
            if tally.records != records.len() as u64 {
                return Err(format!("{tally:?} of {} records", records.len()).into());
            }
            from = *end;
        }
        Ok(())
    }
}
