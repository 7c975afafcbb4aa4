//! The aggregator's merge, fed with the records that the promoted module makes of the messages.

use crate::contest::{Contest, Contestant, Failure};
use bytes::Bytes;
use cpu_time::ThreadTime;
use ratchet_aggregator::configuration::Configuration;
use ratchet_aggregator::identity::Org;
use ratchet_aggregator::merge::{Limits, Merger, Pass};
use ratchet_aggregator::timeline::Span;
use ratchet_aggregator::watermark::Lateness;
use ratchet_sandbox::bench::statistics::{median, median_ci95};
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

const EVERYTHING: Span = Span {
    from_ms: i64::MIN,
    until_ms: i64::MAX,
};

/// Merges all messages, round after round, into the same windows: none closes, so this is the
/// merge alone.
pub fn race(contest: &Contest, blob: &[u8], promoted: &mut Contestant) -> Result<Figures, Failure> {
    let mut fed: Vec<Vec<Record>> = Vec::new();
    for (header, payload) in &contest.messages {
        let mut kept = Vec::new();
        (promoted.process)(payload, header, &mut |records| {
            kept.extend_from_slice(records)
        })?;
        fed.push(kept);
    }
    let org = Org::parse("bench")?;
    let configuration = Configuration::parse(org, Bytes::copy_from_slice(blob))
        .map_err(|error| error.problem.reason())?;
    let mut merger = Merger::new(Limits::default(), Lateness::default());
    let binding = merger.bind(&[Arc::new(configuration)]).remove(0);
    let mut times = Vec::new();
    let mut sequence = 0;
    for round in 0..=contest.rounds {
        let begin = ThreadTime::now();
        for ((header, payload), records) in contest.messages.iter().zip(&fed) {
            sequence += 1;
            let pass = Pass {
                payload,
                header,
                sequence,
                binding: &binding,
                span: EVERYTHING,
                time_ms: i64::MIN,
            };
            let tally = merger.merge(&pass, records)?;
            if tally.records != records.len() as u64 {
                return Err(format!("{tally:?} of {} records", records.len()).into());
            }
        }
        // The first round meets every series for the first time.
        if round > 0 {
            times.push(begin.elapsed().as_secs_f64());
        }
    }
    let records: usize = fed.iter().map(Vec::len).sum();
    let per_record = |seconds: f64| 1e9 * seconds / records as f64;
    let messages = fed.len() as f64;
    Ok(Figures {
        records_per_message: records as f64 / messages,
        ns_per_record: per_record(median(&times)),
        ci95: median_ci95(&times).map(per_record),
        us_per_message: 1e6 * median(&times) / messages,
    })
}
