//! Times the decoders of `bench/codec` in a guest under production settings, and natively, and
//! prints the figures as JSON. `npm run bench -- codec` builds the guest and gives what it needs:
//! `codec GUEST.wasm CORPUS.rtc ROUNDS`
//!
//! `codec GUEST.wasm` compares in the guest what SIMD decodes with what proven code does, for every
//! control byte, and prints how many items it compared: `{"items":N}`.

mod arena;
mod items;

use arena::{Arena, Figures};
use bytes::Bytes;
use ratchet_bench_codec::{every_control_byte, Item, Part, Task};
use ratchet_sandbox::{bench::corpus, Limits};
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    messages: usize,
    /// Decoding runs of numbers: those of the messages, and those of random lengths.
    runs: Vec<Race>,
    /// Decoding columns of the messages.
    columns: Vec<Race>,
}

#[derive(Serialize)]
struct Race {
    name: String,
    /// Numbers decoded in a pass, or messages.
    units: u64,
    figures: Vec<Figures>,
}

type Failure = Box<dyn std::error::Error>;

/// Ten minutes: it is one call, and takes a second where nothing else runs.
const COMPARE_TICKS: u64 = 120_000;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [guest, corpus, rounds] => race(guest, corpus, rounds.parse()?),
        [guest] => compare(guest),
        _ => Err("usage: codec GUEST.wasm [CORPUS.rtc ROUNDS]".into()),
    }
}

fn race(guest: &str, corpus: &str, rounds: u32) -> Result<(), Failure> {
    let messages = corpus::read(Bytes::from(std::fs::read(corpus)?))?;
    let arena = Arena::new(&std::fs::read(guest)?, Limits::default(), rounds)?;
    let report = Report {
        messages: messages.len(),
        runs: runs(&arena, &messages)?,
        columns: columns(&arena, &messages)?,
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn compare(guest: &str) -> Result<(), Failure> {
    let items = every_control_byte();
    let limits = Limits {
        deadline_ticks: COMPARE_TICKS,
        ..Limits::default()
    };
    let arena = Arena::new(&std::fs::read(guest)?, limits, 0)?;
    arena.check(&[("codec", Task::EveryControlByte)], &items)?;
    println!("{{\"items\":{}}}", items.len());
    Ok(())
}

fn runs(arena: &Arena, messages: &[Bytes]) -> Result<Vec<Race>, Failure> {
    let tasks: Vec<(&str, Task)> = Task::runs().collect();
    let sets = [
        ("workload A", items::runs_of(messages)?),
        ("mixed lengths", items::mixed_runs()),
    ];
    let race = |(name, items): (&str, Vec<Item>)| {
        Ok(Race {
            name: name.to_owned(),
            units: items.iter().map(|item| u64::from(item.count)).sum(),
            figures: arena.race(&tasks, &items)?,
        })
    };
    sets.into_iter().map(race).collect()
}

fn columns(arena: &Arena, messages: &[Bytes]) -> Result<Vec<Race>, Failure> {
    let items = items::messages(messages);
    let race = |part: Part| {
        Ok(Race {
            name: format!("{part:?}"),
            units: items.len() as u64,
            figures: arena.race(&Task::columns(part), &items)?,
        })
    };
    Part::EVERY.into_iter().map(race).collect()
}
