//! The corpus of malformed messages: each is refused, for the reason that it is filed under.

use crate::agreement::agree;
use crate::naive::reader;
use ratchet_codec::payload::REASONS;
use std::collections::BTreeSet;

const CORPUS: &str = include_str!("../../../../test/vectors/payloads.txt");

struct Entry {
    reason: &'static str,
    what: &'static str,
    bytes: Vec<u8>,
}

/// The entries of the corpus; its first lines say how they are written.
fn entries() -> Vec<Entry> {
    let blocks = CORPUS.split("\n\n").map(str::trim);
    let entry = |block: &'static str| {
        let (head, hex) = block.split_once('\n').expect("a head and bytes");
        let (reason, what) = head.split_once(": ").expect("a reason and words");
        let bytes = hex.split_whitespace().flat_map(bytes_of).collect();
        Entry {
            reason,
            what,
            bytes,
        }
    };
    let is_entry = |block: &&str| !block.starts_with('#');
    blocks.filter(is_entry).map(entry).collect()
}

/// `0a1b` or, for so many times a byte, `00*1000`.
fn bytes_of(word: &str) -> Vec<u8> {
    let byte = |hex: &str| u8::from_str_radix(hex, 16).expect("two hexadecimal digits");
    match word.split_once('*') {
        Some((hex, times)) => vec![byte(hex); times.parse().expect("a number")],
        None => (0..word.len())
            .step_by(2)
            .map(|at| byte(&word[at..at + 2]))
            .collect(),
    }
}

#[test]
fn malformed_messages_are_refused_for_their_reason() {
    for Entry {
        reason,
        what,
        bytes,
    } in entries()
    {
        let verdict = agree(&bytes).map_or_else(|error| error.reason(), |_| "accepted");
        assert_eq!(verdict, reason, "{what}: {:?}", reader::read(&bytes));
    }
}

#[test]
fn every_reason_has_an_entry() {
    let filed: BTreeSet<&str> = entries().iter().map(|entry| entry.reason).collect();
    let known: BTreeSet<&str> = REASONS.iter().copied().chain(["accepted"]).collect();
    assert_eq!(filed, known);
    assert_eq!(REASONS.len() + 1, known.len());
}
