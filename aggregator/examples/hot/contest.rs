//! Contestants take turns on the same blocks of messages, in one thread.

use bytes::Bytes;
use cpu_time::ThreadTime;
use ratchet_codec::payload::Header;
use ratchet_native::{Kernel, Limit};
use ratchet_sandbox::bench::statistics::median;
use ratchet_sandbox::bench::{ratio, Ratio};
use ratchet_sandbox::compare::{first_difference, Groups};
use ratchet_sandbox::{Module, Record, Runner};
use serde::Serialize;
use std::hint::black_box;
use std::sync::Arc;

pub type Failure = Box<dyn std::error::Error>;
type Read<'a> = &'a mut dyn FnMut(&[Record]);
type Process = Box<dyn FnMut(&Bytes, &Header, Read<'_>) -> Result<(), Failure>>;

/// Messages of a turn: long beside the clock's own cost, short beside the machine's moods.
const BLOCK: usize = 32;

/// Somebody who makes records of messages, on one instance.
pub struct Contestant {
    name: &'static str,
    pub process: Process,
}

/// What one contestant took.
#[derive(Serialize)]
pub struct Figures {
    name: &'static str,
    /// Median over the rounds, and the least.
    us_per_message: f64,
    us_min: f64,
    points_per_s: f64,
    /// How many times faster the promoted one is, of that round by round.
    promoted_vs: Ratio,
}

pub struct Contest {
    pub messages: Vec<(Header, Bytes)>,
    pub rounds: usize,
}

impl Contestant {
    pub fn module(name: &'static str, module: &Module, blob: &Arc<[u8]>) -> Self {
        let mut runner = Runner::new(module, blob.clone());
        let process = move |payload: &Bytes, header: &Header, read: Read<'_>| {
            Ok(runner.process(payload, header, read)?)
        };
        Contestant {
            name,
            process: Box::new(process),
        }
    }
}

/// The kernel by hand.
pub fn native<K: Kernel + 'static>(blob: &[u8]) -> Result<Contestant, Failure> {
    let mut limit = Limit::<K>::new(blob).map_err(|refusal| refusal.to_string())?;
    let process = move |payload: &Bytes, header: &Header, read: Read<'_>| {
        read(
            limit
                .process(payload, header)
                .map_err(|error| error.to_string())?,
        );
        Ok(())
    };
    Ok(Contestant {
        name: "native",
        process: Box::new(process),
    })
}

impl Contest {
    /// All must answer what the first one does, bit by bit.
    pub fn check(&self, blob: &[u8], all: &mut [Contestant]) -> Result<(), Failure> {
        let rules = ratchet_rules::parse(blob).map_err(|e| e.problem.reason())?;
        for (header, payload) in &self.messages {
            let groups = Groups::new(payload, &rules)?;
            let mut expected = None;
            for Contestant { name, process } in all.iter_mut() {
                let mut found = Ok(Vec::new());
                process(payload, header, &mut |records| {
                    found = groups.canonical(records)
                })?;
                let found = found?;
                let expected = expected.get_or_insert_with(|| found.clone());
                if let Some(difference) = first_difference(expected, &found) {
                    return Err(format!("{name} differs: {difference:?}").into());
                }
            }
        }
        Ok(())
    }

    pub fn race(&self, all: &mut [Contestant]) -> Result<Vec<Figures>, Failure> {
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); all.len()];
        self.round(0, all)?;
        for round in 0..self.rounds {
            for (times, seconds) in times.iter_mut().zip(self.round(round, all)?) {
                times.push(seconds);
            }
        }
        let points: u64 = self
            .messages
            .iter()
            .map(|(header, _)| u64::from(header.points))
            .sum();
        let promoted = all
            .iter()
            .position(|one| one.name == "promoted")
            .ok_or("no promoted")?;
        let per_message = |seconds: f64| 1e6 * seconds / self.messages.len() as f64;
        let figures = all.iter().zip(&times).map(|(one, own)| Figures {
            name: one.name,
            us_per_message: per_message(median(own)),
            us_min: per_message(own.iter().copied().fold(f64::INFINITY, f64::min)),
            points_per_s: points as f64 / median(own),
            promoted_vs: ratio("promoted", one.name, own, &times[promoted]),
        });
        Ok(figures.collect())
    }

    /// Seconds of CPU time of each. Who goes first changes from block to block.
    fn round(&self, round: usize, all: &mut [Contestant]) -> Result<Vec<f64>, Failure> {
        let mut seconds = vec![0.0; all.len()];
        for (at, block) in self.messages.chunks(BLOCK).enumerate() {
            for turn in 0..all.len() {
                let who = (round + at + turn) % all.len();
                let begin = ThreadTime::now();
                for (header, payload) in block {
                    (all[who].process)(payload, header, &mut |records| {
                        black_box(records);
                    })?;
                }
                seconds[who] += begin.elapsed().as_secs_f64();
            }
        }
        Ok(seconds)
    }
}
