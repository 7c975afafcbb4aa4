//! Points as tests write them down, and messages taken apart again.

use std::time::{SystemTime, UNIX_EPOCH};

use ratchet_codec::payload::write::MessageBuilder;
use ratchet_codec::payload::{validate, Message};

/// `metric{key=value,…}`, timestamp and the bits of the value.
pub type Point = (String, i64, u64);

pub fn point(series: &str, ts: i64, value: f64) -> Point {
    (series.to_owned(), ts, value.to_bits())
}

/// The points of a message, in their order.
pub fn points(bytes: &[u8]) -> Vec<Point> {
    let header = validate(bytes).unwrap();
    let (mut source, mut mirror) = (bytes, Vec::new());
    let mut message = Message::new(header, &mut source, &mut mirror).unwrap();
    message.pull_all().unwrap();
    let mut bounds = Vec::new();
    let strings = message.strings(&mut bounds).unwrap();
    let text = |id: u32| String::from_utf8(strings.get(id).to_vec()).unwrap();
    let (mut keys, mut metrics, mut sets) = (Vec::new(), Vec::new(), Vec::new());
    message.key_ids(&mut keys).unwrap();
    message.metric_ids(&mut metrics).unwrap();
    message.set_ids(&mut sets).unwrap();
    let (mut times, mut values) = (Vec::new(), Vec::new());
    message.timestamps(&mut times).unwrap();
    message.values(&mut values).unwrap();
    let mut tags = vec![Vec::new(); metrics.len()];
    for (index, key) in keys.iter().enumerate() {
        let mut column = Vec::new();
        message.key_column(index as u32, &mut column).unwrap();
        for (set, code) in column.iter().enumerate().filter(|(_, code)| **code > 0) {
            tags[set].push(format!("{}={}", text(*key), text(code - 1)));
        }
    }
    let name = |set: u32| {
        let metric = text(metrics[set as usize]);
        format!("{metric}{{{}}}", tags[set as usize].join(","))
    };
    let rows = sets.iter().zip(times.iter().zip(&values));
    rows.map(|(set, (ts, value))| (name(*set), *ts, value.to_bits()))
        .collect()
}

/// A message of Ratchet's own format with one point for each number.
pub fn native(ts: i64, values: &[f64]) -> Vec<u8> {
    let mut builder = MessageBuilder::new();
    for value in values {
        builder
            .point("native", &[("host", "a")], ts, *value)
            .unwrap();
    }
    builder.finish().unwrap()
}

/// Now, in whole milliseconds.
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64
}

pub fn nanos(ts: i64) -> u64 {
    ts as u64 * 1_000_000
}
