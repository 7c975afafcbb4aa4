//! Interleaved timing: all modules take turns on the same blocks of messages.

use super::MIN_ROUNDS;
use crate::fault::Fault;
use crate::runner::Runner;
use crate::verify::Message;
use cpu_time::ThreadTime;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Messages of a turn: long beside the clock's own cost, short beside the machine's moods.
const BLOCK: usize = 64;

pub(crate) struct Race<'a> {
    pub runners: Vec<&'a mut Runner>,
    pub messages: &'a [Message],
}

/// Seconds of CPU time that each runner took, round by round.
#[derive(Debug)]
pub(crate) struct Times {
    of: Vec<Vec<f64>>,
}

impl Times {
    pub fn of(&self, runner: usize) -> &[f64] {
        &self.of[runner]
    }

    pub fn rounds(&self) -> usize {
        self.of.first().map_or(0, Vec::len)
    }
}

/// A runner failed.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub runner: usize,
    pub message: usize,
    pub fault: Fault,
}

impl Race<'_> {
    /// One round to warm up, then up to `rounds`. None begins after `time`, but for the first few.
    pub fn run(&mut self, rounds: u32, time: Option<Duration>) -> Result<Times, Stopped> {
        self.round(0)?;
        let begin = Instant::now();
        let mut times = Times {
            of: vec![Vec::new(); self.runners.len()],
        };
        for round in 0..rounds {
            let late = time.is_some_and(|time| begin.elapsed() >= time);
            if late && round >= MIN_ROUNDS {
                break;
            }
            for (all, seconds) in times.of.iter_mut().zip(self.round(round as usize)?) {
                all.push(seconds);
            }
        }
        Ok(times)
    }

    /// Each block in turn by every runner; who goes first changes from block to block.
    fn round(&mut self, round: usize) -> Result<Vec<f64>, Stopped> {
        let count = self.runners.len();
        let mut seconds = vec![0.0; count];
        for (at, block) in self.messages.chunks(BLOCK).enumerate() {
            for turn in 0..count {
                let runner = (round + at + turn) % count;
                let begin = ThreadTime::now();
                pass(self.runners[runner], block).map_err(|(message, fault)| Stopped {
                    runner,
                    message: at * BLOCK + message,
                    fault,
                })?;
                seconds[runner] += begin.elapsed().as_secs_f64();
            }
        }
        Ok(seconds)
    }
}

fn pass(runner: &mut Runner, block: &[Message]) -> Result<(), (usize, Fault)> {
    for (at, message) in block.iter().enumerate() {
        runner
            .process(&message.payload, &message.header, |records| {
                black_box(records);
            })
            .map_err(|fault| (at, fault))?;
    }
    Ok(())
}
