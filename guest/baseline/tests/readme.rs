//! The examples of `guest/README.md`, decoded from its text.

mod common;

use common::meaning_of;
use ratchet_api::payload::{validate, write::MessageBuilder};
use ratchet_api::{run_native, Record};
use ratchet_baseline::Baseline;
use ratchet_rules::{encode, Aggregate, Filter, Rule};

const README: &str = include_str!("../../README.md");

/// The bytes of each line of a fenced block: after the first `skip` characters, before the remark.
fn block(language: &str, skip: usize) -> Vec<u8> {
    let start = format!("```{language}\n");
    let from = README.find(&start).expect("the block is there") + start.len();
    let text = &README[from..from + README[from..].find("```").unwrap()];
    let bytes = |line: &'static str| line[skip..].split("   ").next().unwrap().split_whitespace();
    text.lines()
        .flat_map(bytes)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn example() -> Vec<u8> {
    let mut builder = MessageBuilder::new();
    let first = [("host", "a"), ("env", "prod")];
    builder
        .point("cpu", &first, 1_700_000_000_250, 0.5)
        .unwrap();
    builder
        .point("cpu", &[("host", "b")], 1_700_000_000_000, -2.0)
        .unwrap();
    builder
        .point("cpu", &first, 1_700_000_001_000, 1.0)
        .unwrap();
    builder.finish().unwrap()
}

#[test]
fn the_message_is_what_the_writer_writes() {
    let bytes = block("hex", 4);
    assert_eq!(bytes, example());
    let header = validate(&bytes).unwrap();
    assert_eq!(
        (header.strings, header.keys, header.sets, header.points),
        (6, 2, 2, 3)
    );
    for (n, line) in README[README.find("```hex").unwrap()..]
        .lines()
        .skip(1)
        .take(30)
        .enumerate()
    {
        assert!(line.starts_with(&format!("{:04x}  ", 8 * n)), "{line}");
    }
}

#[test]
fn the_records_are_what_the_baseline_answers() {
    let rule = Rule {
        id: b"r"[..].into(),
        metric: b"cpu"[..].into(),
        aggregate: Aggregate::Sum,
        window_ms: 1_000,
        group_by: vec![b"host"[..].into()],
        filter: Filter::All,
    };
    let payload = block("hex", 4);
    let found = run_native::<Baseline>(&encode(std::slice::from_ref(&rule)), &payload).unwrap();
    let word = |b: &[u8]| u32::from_le_bytes(b.try_into().unwrap());
    let told: Vec<Record> = block("records", 0)
        .chunks(24)
        .map(|b| Record {
            rule: word(&b[0..4]),
            set: word(&b[4..8]),
            window: word(&b[8..12]),
            count: word(&b[12..16]),
            value: f64::from_le_bytes(b[16..24].try_into().unwrap()),
        })
        .collect();
    assert_eq!(told.len(), 3);
    let rules = [rule];
    assert_eq!(
        meaning_of(&rules, &payload, &found),
        meaning_of(&rules, &payload, &told)
    );
}
