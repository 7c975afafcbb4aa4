//! Writing a blob.

use crate::{Filter, Rule, MAGIC, VERSION};
use alloc::vec::Vec;

/// The blob of these rules, which are sorted by id first.
///
/// Limits are not checked here: `parse` of the result does that. A text longer than a `u16` can
/// count is cut, which `parse` then refuses too, because it is far beyond every limit.
pub fn encode(rules: &[Rule]) -> Vec<u8> {
    let mut sorted: Vec<&Rule> = rules.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    out.extend((sorted.len() as u32).to_le_bytes());
    for rule in sorted {
        text(&mut out, &rule.id);
        text(&mut out, &rule.metric);
        out.push(rule.aggregate as u8);
        out.extend(rule.window_ms.to_le_bytes());
        out.push(rule.group_by.len().min(usize::from(u8::MAX)) as u8);
        for key in &rule.group_by {
            text(&mut out, key);
        }
        filter(&mut out, &rule.filter);
    }
    out
}

fn filter(out: &mut Vec<u8>, node: &Filter) {
    match node {
        Filter::All => out.push(0),
        Filter::Present(key) => {
            out.push(1);
            text(out, key);
        }
        Filter::Eq(key, value) => pair(out, 2, key, value),
        Filter::Prefix(key, prefix) => pair(out, 3, key, prefix),
        Filter::In(key, values) => {
            out.push(4);
            text(out, key);
            out.extend(count(values.len()).to_le_bytes());
            for value in values {
                text(out, value);
            }
        }
        Filter::Not(inner) => {
            out.push(5);
            filter(out, inner);
        }
        Filter::And(parts) => list(out, 6, parts),
        Filter::Or(parts) => list(out, 7, parts),
    }
}

fn list(out: &mut Vec<u8>, op: u8, parts: &[Filter]) {
    out.push(op);
    out.extend(count(parts.len()).to_le_bytes());
    for part in parts {
        filter(out, part);
    }
}

fn pair(out: &mut Vec<u8>, op: u8, key: &[u8], value: &[u8]) {
    out.push(op);
    text(out, key);
    text(out, value);
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = count(bytes.len());
    out.extend(len.to_le_bytes());
    out.extend(&bytes[..usize::from(len)]);
}

fn count(n: usize) -> u16 {
    n.min(usize::from(u16::MAX)) as u16
}
