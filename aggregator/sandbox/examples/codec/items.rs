//! What is decoded: messages as they are, their runs, and runs of random lengths.

use bytes::Bytes;
use ratchet_bench_codec::{Item, SLACK};
use ratchet_codec::payload::{validate, Message, PayloadError};
use ratchet_codec::{streamvbyte, zigzag, DecodeError};

const MIXED_RUNS: usize = 16;
const MIXED_NUMBERS: usize = 4096;

/// Whole messages.
pub fn messages(messages: &[Bytes]) -> Vec<Item> {
    let item = |message: &Bytes| padded(0, message);
    messages.iter().map(item).collect()
}

/// All the runs of valid messages, in the order in which they lie there.
pub fn runs_of(messages: &[Bytes]) -> Result<Vec<Item>, Box<dyn std::error::Error>> {
    let mut items = Vec::new();
    for message in messages {
        let numbers = columns_of(message)?.map_err(|error| format!("{error:?}"))?;
        items.extend(numbers.iter().map(|numbers| run(numbers)));
    }
    Ok(items)
}

/// Runs whose numbers have one to four bytes, each length as often.
pub fn mixed_runs() -> Vec<Item> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut number = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 32) as u32 >> (8 * ((state >> 30) & 3))
    };
    let mut numbers = || -> Vec<u32> { (0..MIXED_NUMBERS).map(|_| number()).collect() };
    (0..MIXED_RUNS).map(|_| run(&numbers())).collect()
}

fn columns_of(message: &Bytes) -> Result<Result<Vec<Vec<u32>>, DecodeError>, PayloadError> {
    let header = validate(message)?;
    let mut numbers = vec![Vec::new(); 5 + header.keys as usize];
    let decode = || {
        let (mut source, mut mirror, mut bounds) = (&message[..], Vec::new(), Vec::new());
        let mut message = Message::new(header, &mut source, &mut mirror)?;
        message.pull_all()?;
        let strings = message.strings(&mut bounds)?;
        numbers[0].extend(strings.iter().map(|string| string.len() as u32));
        message.key_ids(&mut numbers[1])?;
        message.metric_ids(&mut numbers[2])?;
        message.set_ids(&mut numbers[3])?;
        let (mut times, mut last) = (Vec::new(), header.min_ts);
        message.timestamps(&mut times)?;
        for ts in times {
            numbers[4].push(zigzag::encode(ts - last) as u32);
            last = ts;
        }
        for key in 0..header.keys {
            message.key_column(key, &mut numbers[5 + key as usize])?;
        }
        Ok(numbers)
    };
    Ok(decode())
}

fn run(numbers: &[u32]) -> Item {
    let controls = numbers.len().div_ceil(4);
    let mut bytes = vec![0; controls + 4 * numbers.len()];
    let (control, data) = bytes.split_at_mut(controls);
    let used = streamvbyte::encode(numbers, control, data).unwrap_or(0);
    padded(numbers.len() as u32, &bytes[..controls + used])
}

fn padded(count: u32, bytes: &[u8]) -> Item {
    Item {
        count,
        bytes: [bytes, &[0; SLACK]].concat(),
    }
}
