//! Aggregated points as messages.
//!
//! All rules of one organization with the same window close together, so they share messages. What
//! a message holds and its order are a function of the windows alone: whoever closes the same
//! windows again produces the same messages, and leaves out those that are emitted already.

use std::collections::BTreeSet;

use async_nats::HeaderMap;
use bytes::Bytes;
use ratchet_codec::payload::write::{BuildError, MessageBuilder};
use ratchet_trust::ConfigurationDigest;

use crate::merge::{group_values, ClosedGroup, ClosedWindow};

/// Points in one message.
pub const POINTS_MAX: usize = 4096;
/// Tag keys in one message: the payload's limit.
const KEYS_MAX: usize = 256;
/// Bytes of tags and ids in one message; keeps it far below the limit of a payload.
const TEXT_BYTES_MAX: usize = 512 * 1024;
/// A digest as text.
const MEANING_BYTES: usize = 64;

/// One message of the AGGREGATES stream.
#[derive(Clone, Debug, PartialEq)]
pub struct EmittedMessage {
    pub subject: String,
    pub start_ms: i64,
    pub window_ms: u32,
    pub configuration: Option<ConfigurationDigest>,
    pub points: usize,
    pub body: Bytes,
}

/// Which configuration the windows of a message are of, and how long and when they are.
pub const CONFIGURATION: &str = "Ratchet-Configuration";
pub const WINDOW: &str = "Ratchet-Window";
pub const WINDOW_END: &str = "Ratchet-Window-End";

impl EmittedMessage {
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let end_ms = self.start_ms + i64::from(self.window_ms);
        headers.insert(WINDOW_END, end_ms.to_string());
        headers.insert(WINDOW, self.window_ms.to_string());
        if let Some(digest) = self.configuration {
            headers.insert(CONFIGURATION, digest.to_string());
        }
        headers
    }
}

/// What of a window is emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Its values.
    Values,
    /// What a second merge folds with the same windows of other partitions; the metric is the
    /// digest of the rule's meaning.
    Partials,
}

/// Encodes closed windows, ordered as [`crate::merge::Merger::close`] gives them.
pub fn encode(
    subject: &str,
    form: Form,
    configuration_of: impl Fn(&ClosedWindow) -> Option<ConfigurationDigest>,
    windows: &[ClosedWindow],
) -> Result<Vec<EmittedMessage>, BuildError> {
    let mut out = Vec::new();
    let same = |a: &ClosedWindow, b: &ClosedWindow| {
        (a.start_ms, a.rule.rule.window_ms) == (b.start_ms, b.rule.rule.window_ms)
    };
    for batch in windows.chunk_by(same) {
        let first = &batch[0];
        let mut chunk = Chunk::new(subject, form, configuration_of(first), first);
        for window in batch {
            chunk.keys_of(window, &mut out)?;
            for group in &window.groups {
                chunk.point(window, group, &mut out)?;
            }
        }
        chunk.flush(&mut out)?;
    }
    Ok(out)
}

/// The message being filled.
struct Chunk {
    subject: String,
    form: Form,
    start_ms: i64,
    window_ms: u32,
    configuration: Option<ConfigurationDigest>,
    builder: MessageBuilder,
    keys: BTreeSet<Box<[u8]>>,
    text_bytes: usize,
}

impl Chunk {
    fn new(
        subject: &str,
        form: Form,
        configuration: Option<ConfigurationDigest>,
        window: &ClosedWindow,
    ) -> Self {
        Self {
            subject: subject.to_owned(),
            form,
            start_ms: window.start_ms,
            window_ms: window.rule.rule.window_ms,
            configuration,
            builder: MessageBuilder::new(),
            keys: BTreeSet::new(),
            text_bytes: 0,
        }
    }

    /// Takes the keys of a window's rule in, in a new message if they are too many for this one.
    fn keys_of(
        &mut self,
        window: &ClosedWindow,
        out: &mut Vec<EmittedMessage>,
    ) -> Result<(), BuildError> {
        let keys = &window.rule.rule.group_by;
        if self.keys.len() + keys.len() > KEYS_MAX {
            self.flush(out)?;
            self.keys.clear();
        }
        self.keys.extend(keys.iter().cloned());
        Ok(())
    }

    fn point(
        &mut self,
        window: &ClosedWindow,
        group: &ClosedGroup,
        out: &mut Vec<EmittedMessage>,
    ) -> Result<(), BuildError> {
        let rule = &window.rule.rule;
        let text_bytes = rule.id.len().max(MEANING_BYTES) + group.key.len();
        let full =
            self.builder.len() >= POINTS_MAX || self.text_bytes + text_bytes > TEXT_BYTES_MAX;
        if full {
            self.flush(out)?;
        }
        self.text_bytes += text_bytes;
        let tags: Vec<(&[u8], &[u8])> = rule
            .group_by
            .iter()
            .map(|key| &**key)
            .zip(group_values(&group.key))
            .collect();
        let (start_ms, count) = (window.start_ms, group.count);
        let builder = &mut self.builder;
        match self.form {
            Form::Values => builder.point_with_count(&rule.id, &tags, start_ms, group.value, count),
            Form::Partials => {
                let meaning = window.rule.meaning.to_string();
                builder.point_with_count(meaning, &tags, start_ms, group.partial, count)
            }
        }
    }

    fn flush(&mut self, out: &mut Vec<EmittedMessage>) -> Result<(), BuildError> {
        if self.builder.is_empty() {
            return Ok(());
        }
        let points = self.builder.len();
        out.push(EmittedMessage {
            subject: self.subject.clone(),
            start_ms: self.start_ms,
            window_ms: self.window_ms,
            configuration: self.configuration,
            points,
            body: self.builder.finish()?.into(),
        });
        self.text_bytes = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ratchet_codec::payload::{validate, Message};
    use ratchet_rules::Aggregate;

    use super::*;
    use crate::configuration::tests::{of_rules, rule};

    fn group(host: &str, value: f64, count: u32) -> ClosedGroup {
        let mut key = (host.len() as u16).to_le_bytes().to_vec();
        key.extend_from_slice(host.as_bytes());
        ClosedGroup {
            key: key.into(),
            value,
            partial: 2.0 * value,
            count,
        }
    }

    #[test]
    fn windows_become_messages() {
        let configuration = of_rules(&[
            rule("a", "cpu", Aggregate::Sum, 10, &["host"]),
            rule("b", "cpu", Aggregate::Sum, 60, &["host"]),
            rule("c", "cpu", Aggregate::Sum, 60, &["host"]),
        ]);
        let window = |rule: usize, start_ms, groups: Vec<ClosedGroup>| ClosedWindow {
            rule: Arc::clone(&configuration.rules[rule]),
            start_ms,
            groups,
        };
        let many = (0..POINTS_MAX)
            .map(|i| group(&format!("h{i:04}"), 1.0, 2))
            .collect();
        let windows = [
            window(0, 60_000, vec![group("", 0.5, 3)]),
            window(1, 60_000, many),
            window(2, 60_000, vec![group("x", f64::NAN, u32::MAX)]),
        ];
        let digest = Some(configuration.digest);
        let encode = |form| encode("aggregates.acme", form, |_| digest, &windows).unwrap();
        let messages = encode(Form::Values);
        let shapes: Vec<_> = messages
            .iter()
            .map(|m| (m.window_ms, m.start_ms, m.points))
            .collect();
        assert_eq!(
            shapes,
            [
                (10_000, 60_000, 1),
                (60_000, 60_000, POINTS_MAX),
                (60_000, 60_000, 1),
            ]
        );
        for message in &messages {
            let header = validate(&message.body).unwrap();
            assert_eq!((header.min_ts, header.max_ts), (60_000, 60_000));
            assert_eq!(header.points as usize, message.points);
        }
        let header = validate(&messages[0].body).unwrap();
        assert_eq!(header.keys, 0, "an absent tag is dropped");
        let (mut mirror, mut counts, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let mut source: &[u8] = &messages[0].body;
        let mut decoded = Message::new(header, &mut source, &mut mirror).unwrap();
        decoded.pull_all().unwrap();
        decoded.counts(&mut counts).unwrap();
        decoded.values(&mut values).unwrap();
        assert_eq!((counts, values), (vec![3], vec![0.5]));
        assert_eq!(encode(Form::Values), messages);
        let partials = encode(Form::Partials);
        assert_eq!(partials.len(), messages.len());
        assert_ne!(partials, messages);
    }
}
