//! Runs designs natively beside the baseline, bit by bit. Compiled by the harness, which writes
//! the list of designs (`run_all`) behind this file.
//!
//! Arguments: a directory with `<corpus>.blob` and `<corpus>.rtc` files, and optionally a number of
//! rounds to time each design for. A line of JSON a design: its first difference, or its time.

extern crate alloc;

use ratchet_api::{meaning, Aggregate, Native, Record};
use ratchet_codec::payload::{Column, Header, Message};
use std::time::Instant;

type Meaning = (u32, Vec<Vec<u8>>, u32, u32, u64);

struct Corpus {
    blob: Vec<u8>,
    messages: Vec<Vec<u8>>,
}

fn read(directory: &str, name: &str) -> Corpus {
    let file = |suffix: &str| {
        let path = format!("{directory}/{name}.{suffix}");
        std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let (blob, corpus) = (file("blob"), file("rtc"));
    assert_eq!(&corpus[..4], b"RTC1");
    let mut messages = Vec::new();
    let mut at = 4;
    while at < corpus.len() {
        let len = u32::from_le_bytes(corpus[at..at + 4].try_into().unwrap()) as usize;
        messages.push(corpus[at + 4..at + 4 + len].to_vec());
        at += 4 + len;
    }
    Corpus { blob, messages }
}

/// Records with their groups spelled out, sorted: what comparisons are about.
fn meaning_of(rules: &[ratchet_rules::Rule], payload: &[u8], records: &[Record]) -> Vec<Meaning> {
    let header = Header::read(payload).unwrap();
    let (mut source, mut mirror) = (payload, Vec::new());
    let mut message = Message::new(header, &mut source, &mut mirror).unwrap();
    message.pull(Column::StringLengths, Column::StringLengths).ok();
    message.pull_all().unwrap();
    let (mut bounds, mut ids) = (Vec::new(), Vec::new());
    let strings = message.strings(&mut bounds).unwrap();
    message.key_ids(&mut ids).unwrap();
    let columns: Vec<(Vec<u8>, Vec<u32>)> = (0..header.keys)
        .map(|key| {
            let mut column = Vec::new();
            message.key_column(key, &mut column).unwrap();
            (strings.get(ids[key as usize]).to_vec(), column)
        })
        .collect();
    let value = |key: &[u8], set: u32| {
        let id = columns.iter().find(|(name, _)| name == key).map_or(0, |(_, c)| c[set as usize]);
        if id == 0 { Vec::new() } else { strings.get(id - 1).to_vec() }
    };
    let mut all: Vec<Meaning> = records
        .iter()
        .map(|r| {
            let keys = &rules[r.rule as usize].group_by;
            let group = keys.iter().map(|key| value(key, r.set)).collect();
            (r.rule, group, r.window, r.count, meaning::canonical(r.value).to_bits())
        })
        .collect();
    all.sort();
    all
}

/// The first message on which a design differs from the baseline, or a used instance, after others
/// in any order, from a fresh one.
fn difference<A: Aggregate>(corpus: &Corpus) -> Option<String> {
    let rules = ratchet_rules::parse(&corpus.blob).unwrap();
    let mut baseline = Native::<ratchet_baseline::Baseline>::new(&corpus.blob).unwrap();
    let mut used = match Native::<A>::new(&corpus.blob) {
        Ok(native) => native,
        Err(refusal) => return Some(format!("refused: {refusal}")),
    };
    let mut seen = Vec::new();
    for (index, payload) in corpus.messages.iter().enumerate() {
        let expected = meaning_of(&rules, payload, baseline.process(payload).unwrap());
        let mut fresh = Native::<A>::new(&corpus.blob).ok()?;
        let records = match fresh.process(payload) {
            Ok(records) => records,
            Err(error) => return Some(format!("message {index}: {error}")),
        };
        let actual = meaning_of(&rules, payload, records);
        if actual != expected {
            let at = actual.iter().zip(&expected).take_while(|(a, e)| a == e).count();
            let lengths = (actual.len(), expected.len());
            let (a, e) = (actual.get(at), expected.get(at));
            return Some(format!("message {index}, {lengths:?}: {a:?}, not {e:?}"));
        }
        seen.push(bits_of(records));
    }
    let mut shuffled: Vec<usize> = (0..seen.len()).collect();
    shuffled.sort_by_key(|&index| (index as u32 + 1).wrapping_mul(0x9e37_79b9));
    for index in (0..seen.len()).chain(shuffled) {
        match used.process(&corpus.messages[index]) {
            Ok(records) if bits_of(records) == seen[index] => {}
            Ok(_) => return Some(format!("message {index}: a used instance has other records")),
            Err(error) => return Some(format!("message {index}, used: {error}")),
        }
    }
    None
}

fn bits_of(records: &[Record]) -> Vec<(u32, u32, u32, u32, u64)> {
    let each = records.iter();
    each.map(|r| (r.rule, r.set, r.window, r.count, r.value.to_bits())).collect()
}

/// Microseconds a message, the least of the rounds.
fn time<A: Aggregate>(corpus: &Corpus, rounds: u32) -> f64 {
    let mut native = Native::<A>::new(&corpus.blob).unwrap();
    let mut least = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        for payload in &corpus.messages {
            std::hint::black_box(native.process(payload).unwrap());
        }
        least = least.min(start.elapsed().as_secs_f64());
    }
    least * 1e6 / corpus.messages.len() as f64
}

fn report<A: Aggregate>(directory: &str, name: &str, corpus: &str, rounds: u32) {
    let corpus = read(directory, corpus);
    let outcome = std::panic::catch_unwind(|| difference::<A>(&corpus))
        .unwrap_or_else(|_| Some("panic".to_owned()));
    let outcome = outcome.map_or("null".to_owned(), |text| format!("{text:?}"));
    let us = if rounds > 0 { time::<A>(&corpus, rounds) } else { 0.0 };
    println!("{{\"name\":\"{name}\",\"us\":{us:.3},\"difference\":{outcome}}}");
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("a directory");
    let rounds = arguments.next().map_or(0, |rounds| rounds.parse().expect("a number"));
    run_all(&directory, rounds);
}
