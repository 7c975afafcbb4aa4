//! Interleaved timing of guests under production settings, and of the same code natively.

use bytes::Bytes;
use cpu_time::ThreadTime;
use ratchet_bench_codec::{self as contest, Contestant, Item, Task};
use ratchet_codec::payload::Header;
use ratchet_rules::{Aggregate, Filter, Rule};
use ratchet_sandbox::bench::statistics::median;
use ratchet_sandbox::bench::{ratio, Ratio};
use ratchet_sandbox::{componentize, Engine, Kind, Limits, Module, Runner};
use serde::Serialize;
use std::time::Duration;

/// A turn lasts about so long: far longer than the clock takes to be read.
const TURN: Duration = Duration::from_millis(1);
/// The most passes in a turn.
const PASSES_MAX: u32 = 1 << 16;

/// What one decoder took.
#[derive(Serialize)]
pub struct Figures {
    pub name: String,
    /// Nanoseconds for a pass over all items, in a guest: median of the rounds.
    pub guest_ns: f64,
    pub native_ns: f64,
    /// How many times faster the first decoder is, in a guest; nothing for itself.
    pub first_is_faster: Option<Ratio>,
}

type Failure = Box<dyn std::error::Error>;

pub struct Arena {
    module: Module,
    rounds: u32,
}

/// Something that decodes all items once.
type Pass = Box<dyn FnMut() -> Result<(), Failure>>;

impl Arena {
    pub fn new(guest: &[u8], limits: Limits, rounds: u32) -> Result<Self, Failure> {
        let engine = Engine::new(Kind::Production, limits)?;
        let module = engine.compile(&componentize(guest)?)?;
        Ok(Arena { module, rounds })
    }

    /// Times decoders on the same items, after all of them were seen to give the same.
    pub fn race(&self, tasks: &[(&str, Task)], items: &[Item]) -> Result<Vec<Figures>, Failure> {
        self.check(tasks, items)?;
        let block = Bytes::from(contest::write(items));
        let mut passes: Vec<Pass> = Vec::new();
        for (_, task) in tasks {
            passes.push(self.guest_pass(*task, block.clone()));
            passes.push(native_pass(*task, items)?);
        }
        let times = times(&mut passes, self.rounds)?;
        let figures = tasks.iter().zip(times.chunks_exact(2)).map(|(task, pair)| {
            let name = task.0.to_owned();
            let other = name != tasks[0].0;
            Figures {
                guest_ns: 1e9 * median(&pair[0]),
                native_ns: 1e9 * median(&pair[1]),
                first_is_faster: other.then(|| ratio(tasks[0].0, &name, &pair[0], &times[0])),
                name,
            }
        });
        Ok(figures.collect())
    }

    /// All decoders must give the same, in a guest and natively.
    pub fn check(&self, tasks: &[(&str, Task)], items: &[Item]) -> Result<(), Failure> {
        let block = Bytes::from(contest::write(items));
        let mut answers = Vec::new();
        for (name, task) in tasks {
            let mut runner = Runner::new(&self.module, rules("check", *task));
            let header = header_of(&block);
            let value = runner.process(&block, &header, |records| records[0].value)?;
            let digest = contestant(*task, items)?
                .digest()
                .ok_or("malformed items")?;
            answers.push((name, value, (digest >> 11) as f64));
        }
        let (_, first, _) = answers[0];
        let same = |(_, guest, native): &(&&str, f64, f64)| *guest == first && *native == first;
        match answers.iter().all(same) {
            true => Ok(()),
            false => Err(format!("the decoders differ: {answers:?}").into()),
        }
    }

    fn guest_pass(&self, task: Task, block: Bytes) -> Pass {
        let header = header_of(&block);
        let mut runner = Runner::new(&self.module, rules("time", task));
        Box::new(move || Ok(runner.process(&block, &header, |_| ())?))
    }
}

fn native_pass(task: Task, items: &[Item]) -> Result<Pass, Failure> {
    let mut contestant = contestant(task, items)?;
    Ok(Box::new(move || {
        contestant.pass().ok_or("malformed items".into())
    }))
}

fn contestant(task: Task, items: &[Item]) -> Result<Contestant, Failure> {
    Contestant::new(task, items.to_vec()).ok_or(format!("no items for {task:?}").into())
}

/// Seconds a pass, of each in each round. Who goes first changes from round to round.
fn times(passes: &mut [Pass], rounds: u32) -> Result<Vec<Vec<f64>>, Failure> {
    let mut turns = Vec::new();
    for pass in passes.iter_mut() {
        turn(pass, 3)?;
        let once = turn(pass, 3)?.max(1e-9);
        turns.push(((TURN.as_secs_f64() / once) as u32).clamp(1, PASSES_MAX));
    }
    let mut times = vec![Vec::new(); passes.len()];
    for round in 0..rounds as usize {
        for offset in 0..passes.len() {
            let at = (round + offset) % passes.len();
            times[at].push(turn(&mut passes[at], turns[at])?);
        }
    }
    Ok(times)
}

fn turn(pass: &mut Pass, count: u32) -> Result<f64, Failure> {
    let begin = ThreadTime::now();
    (0..count).try_for_each(|_| pass())?;
    Ok(begin.elapsed().as_secs_f64() / f64::from(count))
}

/// How the guest learns what to do.
fn rules(id: &str, task: Task) -> std::sync::Arc<[u8]> {
    let rule = Rule {
        id: id.as_bytes().into(),
        metric: task.number().to_string().into_bytes().into(),
        aggregate: Aggregate::Sum,
        window_ms: 1_000,
        group_by: Vec::new(),
        filter: Filter::All,
    };
    ratchet_rules::encode(&[rule]).into()
}

/// The guest looks at the length alone; the rest lets its record pass.
fn header_of(block: &Bytes) -> Header {
    Header {
        len: block.len() as u32,
        prefix: 0,
        strings: 0,
        keys: 0,
        sets: 1,
        points: 1,
        min_ts: 0,
        max_ts: 0,
    }
}
