//! Held-back messages: reading them, counting them, and choosing which of them a question meets.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::consumer::DeliverPolicy;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use ratchet_trust::ConfigurationDigest;

/// Messages that are read for one question; the stream keeps no more a subject.
const MESSAGES_MAX: usize = 512;
/// Their bytes: a limit on memory.
const BYTES_MAX: usize = 64 * 1024 * 1024;
const READ_WITHIN: Duration = Duration::from_secs(20);
/// With fewer messages than twice this, a question meets more than half of them.
const SAMPLE_MIN: usize = 64;

pub const VALIDATION: &str = "VALIDATION";
pub const TRAINING: &str = "TRAINING";

/// The held-back messages of a configuration, the oldest first.
pub async fn read(
    context: &jetstream::Context,
    org: &str,
    configuration: ConfigurationDigest,
) -> Result<Vec<Bytes>, String> {
    let stream = context.get_stream_no_info(VALIDATION).await.map_err(text)?;
    let config = OrderedConfig {
        filter_subject: subject(VALIDATION, org, configuration),
        deliver_policy: DeliverPolicy::All,
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.map_err(text)?;
    if consumer.cached_info().num_pending == 0 {
        return Ok(Vec::new());
    }
    let mut source = consumer.messages().await.map_err(text)?;
    let reading = async {
        let (mut messages, mut size) = (Vec::new(), 0);
        while let Some(message) = source.next().await {
            let message = message.map_err(text)?;
            let pending = message.info().map_or(0, |info| info.pending);
            size += message.payload.len();
            messages.push(message.payload.clone());
            if pending == 0 || messages.len() >= MESSAGES_MAX || size >= BYTES_MAX {
                break;
            }
        }
        Ok(messages)
    };
    tokio::time::timeout(READ_WITHIN, reading)
        .await
        .unwrap_or_else(|_| Err(format!("{VALIDATION} was not read in {READ_WITHIN:?}")))
}

/// How many captured messages of a configuration a stream holds.
pub async fn count(
    context: &jetstream::Context,
    stream: &str,
    org: &str,
    configuration: ConfigurationDigest,
) -> Result<u64, String> {
    let handle = context.get_stream_no_info(stream).await.map_err(text)?;
    let subject = subject(stream, org, configuration);
    let mut subjects = handle.info_with_subjects(&subject).await.map_err(text)?;
    let mut held = 0;
    while let Some((_, count)) = subjects.try_next().await.map_err(text)? {
        held += count as u64;
    }
    Ok(held)
}

/// How many captured messages of each subject a stream holds.
pub async fn counts(
    context: &jetstream::Context,
    stream: &str,
) -> Result<HashMap<String, u64>, String> {
    let handle = context.get_stream_no_info(stream).await.map_err(text)?;
    let every = format!("{}.>", stream.to_lowercase());
    let mut subjects = handle.info_with_subjects(&every).await.map_err(text)?;
    let mut held = HashMap::new();
    while let Some((subject, count)) = subjects.try_next().await.map_err(text)? {
        held.insert(subject, count as u64);
    }
    Ok(held)
}

/// The part of the messages that one question meets: a half that the seed chooses, so that the
/// answers of many questions do not add up to knowledge of each message.
pub fn sample(messages: Vec<Bytes>, seed: u64) -> Vec<Bytes> {
    let total = messages.len();
    let wanted = (total / 2).max(SAMPLE_MIN.min(total));
    let mut random = seed;
    let mut left = wanted;
    let chosen = messages.into_iter().enumerate().filter(|(index, _)| {
        // Selection sampling: each subset of `wanted` messages is as likely as any other.
        let rest = (total - index) as u64;
        let take = below(&mut random, rest) < left as u64;
        left -= usize::from(take);
        take
    });
    chosen.map(|(_, message)| message).collect()
}

/// SplitMix64, reduced to `0..bound`.
fn below(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let word = word ^ (word >> 31);
    ((u128::from(word) * u128::from(bound)) >> 64) as u64
}

pub fn subject(stream: &str, org: &str, configuration: ConfigurationDigest) -> String {
    format!(
        "{}.{org}.{}",
        stream.to_lowercase(),
        configuration.0.short()
    )
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_half_but_enough() {
        let check = |total: usize, expected: usize| {
            let messages: Vec<Bytes> = (0..total)
                .map(|n| Bytes::copy_from_slice(&n.to_le_bytes()))
                .collect();
            for seed in 0..20 {
                let chosen = sample(messages.clone(), seed);
                assert_eq!(chosen.len(), expected, "{total} messages, seed {seed}");
                let mut distinct = chosen.clone();
                distinct.sort();
                distinct.dedup();
                assert_eq!(distinct.len(), expected, "{total} messages, seed {seed}");
                assert_eq!(chosen, sample(messages.clone(), seed));
            }
        };
        check(0, 0);
        check(1, 1);
        check(63, 63);
        check(64, 64);
        check(100, 64);
        check(128, 64);
        check(300, 150);
        check(512, 256);
    }

    #[test]
    fn every_message_is_met_about_as_often() {
        let messages: Vec<Bytes> = (0..=199u8).map(|n| Bytes::copy_from_slice(&[n])).collect();
        let mut met = [0; 200];
        for seed in 0..1000 {
            for message in sample(messages.clone(), seed) {
                met[usize::from(message[0])] += 1;
            }
        }
        let (low, high) = (met.iter().min(), met.iter().max());
        assert!(low > Some(&400) && high < Some(&600), "{low:?} to {high:?}");
    }

    #[test]
    fn subjects() {
        let configuration = ConfigurationDigest::of(b"");
        let found = subject(VALIDATION, "acme", configuration);
        assert_eq!(found, "validation.acme.e3b0c44298fc1c14");
    }
}
