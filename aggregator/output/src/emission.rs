//! One message of the AGGREGATES stream, decoded: points of one organization and window length.

use std::sync::Arc;

use async_nats::HeaderMap;
use ratchet_codec::error::DecodeError;
use ratchet_codec::payload::{validate, Header, Message, PayloadError};

use crate::WINDOW_HEADER;

/// The longest window that rules may have.
const WINDOW_MS_MAX: u32 = 3_600_000;

/// Tags of a group, by key; those whose value is empty are absent.
pub type Tags = Vec<(Arc<str>, Arc<str>)>;

/// A rule and the tags of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub rule: Arc<str>,
    pub tags: Tags,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Index into [`Emission::groups`].
    pub group: u32,
    pub start_ms: i64,
    pub value: f64,
    /// How many points went into it.
    pub count: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Emission {
    pub org: Arc<str>,
    pub window_ms: u32,
    pub groups: Vec<Group>,
    pub points: Vec<Point>,
}

/// Why a message of the stream cannot be used. It was not written by an aggregator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmissionError {
    #[error("subject {0:?} is not aggregates.<org>")]
    Subject(String),
    #[error("header {WINDOW_HEADER} is {0:?}, not a length in milliseconds")]
    Window(String),
    #[error("payload: {}", .0.reason())]
    Payload(PayloadError),
    #[error("payload: a column does not hold what its header says")]
    Column,
}

impl From<DecodeError> for EmissionError {
    fn from(_: DecodeError) -> Self {
        Self::Column
    }
}

/// One point of one rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RulePoint {
    pub tags: Tags,
    pub start_ms: i64,
    pub value: f64,
    pub count: u32,
}

/// What is in a message, in short.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// Sorted, each once.
    pub rules: Vec<Arc<str>>,
    /// Starts of windows; the same.
    pub starts_ms: Vec<i64>,
}

/// What is known of a message without decoding its columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    pub org: Arc<str>,
    pub window_ms: u32,
    pub header: Header,
}

impl Envelope {
    pub fn open(
        subject: &str,
        headers: Option<&HeaderMap>,
        payload: &[u8],
    ) -> Result<Self, EmissionError> {
        let org = subject
            .strip_prefix("aggregates.")
            .filter(|org| !org.is_empty() && !org.contains('.'))
            .ok_or_else(|| EmissionError::Subject(subject.to_owned()))?;
        let text = headers.and_then(|headers| headers.get(WINDOW_HEADER));
        let text = text.map_or("", |value| value.as_str());
        let window_ms = text
            .parse()
            .ok()
            .filter(|ms| (1..=WINDOW_MS_MAX).contains(ms));
        Ok(Self {
            org: Arc::from(org),
            window_ms: window_ms.ok_or_else(|| EmissionError::Window(text.to_owned()))?,
            header: validate(payload).map_err(EmissionError::Payload)?,
        })
    }

    /// Decodes the payload that the envelope was opened for.
    pub fn decode(self, payload: &[u8]) -> Result<Emission, EmissionError> {
        let (mut source, mut mirror) = (payload, Vec::new());
        let mut message = Message::new(self.header, &mut source, &mut mirror)?;
        message.pull_all()?;
        Ok(Emission {
            org: self.org,
            window_ms: self.window_ms,
            groups: groups(&message, &self.header)?,
            points: points(&message)?,
        })
    }
}

/// The rules and windows that a message has points of.
pub fn contents(header: Header, payload: &[u8]) -> Result<Contents, EmissionError> {
    let (mut source, mut mirror) = (payload, Vec::new());
    let mut message = Message::new(header, &mut source, &mut mirror)?;
    message.pull_all()?;
    let (mut ids, mut bounds) = (Vec::new(), Vec::new());
    message.metric_ids(&mut ids)?;
    ids.sort_unstable();
    ids.dedup();
    let strings = message.strings(&mut bounds)?;
    let text = |id: &u32| Arc::from(String::from_utf8_lossy(strings.get(*id)));
    let mut rules: Vec<Arc<str>> = ids.iter().map(text).collect();
    rules.sort_unstable();
    let mut starts_ms = vec![header.min_ts];
    if header.max_ts > header.min_ts {
        message.timestamps(&mut starts_ms)?;
        starts_ms.sort_unstable();
        starts_ms.dedup();
    }
    Ok(Contents { rules, starts_ms })
}

/// The points of one rule, in the order of the message.
pub fn points_of(
    header: Header,
    payload: &[u8],
    rule: &str,
) -> Result<Vec<RulePoint>, EmissionError> {
    let (mut source, mut mirror) = (payload, Vec::new());
    let mut message = Message::new(header, &mut source, &mut mirror)?;
    message.pull_all()?;
    let (mut keys, mut metrics, mut bounds) = (Vec::new(), Vec::new(), Vec::new());
    message.key_ids(&mut keys)?;
    message.metric_ids(&mut metrics)?;
    let strings = message.strings(&mut bounds)?;
    let is_rule: Vec<bool> = (0..header.strings)
        .map(|id| strings.get(id) == rule.as_bytes())
        .collect();
    let is_rule = |metric: &u32| is_rule.get(*metric as usize) == Some(&true);
    let taken: Vec<usize> = (0..metrics.len())
        .filter(|set| is_rule(&metrics[*set]))
        .collect();
    let mut texts: Vec<Option<Arc<str>>> = vec![None; header.strings as usize];
    let mut text = |id: u32| {
        let known = texts.get_mut(id as usize).ok_or(EmissionError::Column)?;
        let text = known.get_or_insert_with(|| Arc::from(String::from_utf8_lossy(strings.get(id))));
        Ok::<_, EmissionError>(text.clone())
    };
    let mut tags: Vec<Option<Tags>> = vec![None; metrics.len()];
    for set in &taken {
        tags[*set] = Some(Vec::new());
    }
    let mut column = Vec::new();
    for (index, key) in (0..header.keys).zip(&keys) {
        message.key_column(index, &mut column)?;
        for set in &taken {
            let value = column.get(*set).copied().ok_or(EmissionError::Column)?;
            if let Some(tags) = tags[*set].as_mut().filter(|_| value != 0) {
                tags.push((text(*key)?, text(value - 1)?));
            }
        }
    }
    let of_rule = points(&message)?.into_iter().filter_map(|point| {
        let tags = tags.get(point.group as usize)?.clone()?;
        let Point {
            start_ms,
            value,
            count,
            ..
        } = point;
        Some(RulePoint {
            tags,
            start_ms,
            value,
            count,
        })
    });
    Ok(of_rule.collect())
}

fn groups(message: &Message<'_>, header: &Header) -> Result<Vec<Group>, EmissionError> {
    let (mut keys, mut metrics) = (Vec::new(), Vec::new());
    message.key_ids(&mut keys)?;
    message.metric_ids(&mut metrics)?;
    let mut bounds = Vec::new();
    let strings = message.strings(&mut bounds)?;
    // Validated: the strings are UTF-8, and every id is one of theirs.
    let texts: Vec<Arc<str>> = (0..header.strings)
        .map(|id| Arc::from(String::from_utf8_lossy(strings.get(id))))
        .collect();
    let text = |id: u32| texts.get(id as usize).cloned().ok_or(EmissionError::Column);
    let mut groups = Vec::with_capacity(metrics.len());
    for metric in &metrics {
        let (rule, tags) = (text(*metric)?, Vec::new());
        groups.push(Group { rule, tags });
    }
    let mut column = Vec::new();
    for (index, key) in (0..header.keys).zip(&keys) {
        message.key_column(index, &mut column)?;
        let key = text(*key)?;
        for (group, value) in groups.iter_mut().zip(&column).filter(|(_, v)| **v != 0) {
            group.tags.push((key.clone(), text(value - 1)?));
        }
    }
    Ok(groups)
}

fn points(message: &Message<'_>) -> Result<Vec<Point>, EmissionError> {
    let (mut sets, mut times) = (Vec::new(), Vec::new());
    let (mut values, mut counts) = (Vec::new(), Vec::new());
    message.set_ids(&mut sets)?;
    message.timestamps(&mut times)?;
    message.values(&mut values)?;
    message.counts(&mut counts)?;
    let columns = sets.iter().zip(&times).zip(values.iter().zip(&counts));
    let point = |((group, start_ms), (value, count)): ((&u32, &i64), (&f64, &u32))| Point {
        group: *group,
        start_ms: *start_ms,
        value: *value,
        count: *count,
    };
    Ok(columns.map(point).collect())
}

/// Messages for the tests of this crate.
#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ratchet_codec::payload::write::MessageBuilder;

    pub fn headers(window_ms: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(WINDOW_HEADER, window_ms);
        headers
    }

    /// `(rule, tags, start, value, count)` of each point.
    pub type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], i64, f64, u32);

    pub fn payload(rows: &[Row<'_>]) -> Vec<u8> {
        let mut builder = MessageBuilder::new();
        for (rule, tags, start_ms, value, count) in rows {
            builder
                .point_with_count(rule, tags, *start_ms, *value, *count)
                .unwrap();
        }
        builder.finish().unwrap()
    }

    pub fn emission(org: &str, window_ms: u32, rows: &[Row<'_>]) -> Emission {
        let (envelope, payload) = message(org, window_ms, rows);
        envelope.decode(&payload).unwrap()
    }

    /// The same, as the stream gives it.
    pub fn message(org: &str, window_ms: u32, rows: &[Row<'_>]) -> (Envelope, Vec<u8>) {
        let payload = payload(rows);
        let headers = headers(&window_ms.to_string());
        let envelope = Envelope::open(&format!("aggregates.{org}"), Some(&headers), &payload);
        (envelope.unwrap(), payload)
    }

    #[test]
    fn one_rule_is_decoded_as_all_are() {
        let rows: [Row<'_>; 5] = [
            ("cpu", &[("host", "a"), ("zone", "z")], 30_000, 0.5, 3),
            ("disk", &[("host", "a")], 30_000, 1.5, 1),
            ("cpu", &[("host", "b")], 0, f64::INFINITY, 1),
            ("host", &[], 30_000, -1.0, u32::MAX),
            ("cpu", &[("host", "a"), ("zone", "z")], 0, 2.5, 2),
        ];
        let (envelope, payload) = message("acme", 30_000, &rows);
        let header = envelope.header;
        let all = envelope.decode(&payload).unwrap();
        let told = contents(header, &payload).unwrap();
        let rules: Vec<&str> = told.rules.iter().map(|rule| &**rule).collect();
        assert_eq!(rules, ["cpu", "disk", "host"]);
        assert_eq!(told.starts_ms, [0, 30_000]);
        for rule in rules.into_iter().chain(["none", "a"]) {
            let of_rule = all.points.iter().filter_map(|point| {
                let group = &all.groups[point.group as usize];
                (*group.rule == *rule).then(|| RulePoint {
                    tags: group.tags.clone(),
                    start_ms: point.start_ms,
                    value: point.value,
                    count: point.count,
                })
            });
            let expected: Vec<_> = of_rule.collect();
            assert_eq!(
                points_of(header, &payload, rule).unwrap(),
                expected,
                "{rule}"
            );
        }
    }

    #[test]
    fn decodes_what_an_aggregator_emits() {
        let rows: [Row<'_>; 3] = [
            ("cpu", &[("host", "a"), ("zone", "z")], 30_000, 0.5, 3),
            (
                "cpu",
                &[("host", "b"), ("zone", "")],
                30_000,
                f64::INFINITY,
                1,
            ),
            ("total", &[], 0, -1.0, u32::MAX),
        ];
        let emission = emission("acme", 30_000, &rows);
        assert_eq!((&*emission.org, emission.window_ms), ("acme", 30_000));
        let told: Vec<_> = emission
            .points
            .iter()
            .map(|point| {
                let group = &emission.groups[point.group as usize];
                let tags = group.tags.iter().map(|(k, v)| format!("{k}={v}"));
                let tags = tags.collect::<Vec<_>>().join(",");
                (
                    group.rule.to_string(),
                    tags,
                    point.start_ms,
                    point.value,
                    point.count,
                )
            })
            .collect();
        let expected = [
            ("cpu".to_owned(), "host=a,zone=z".to_owned(), 30_000, 0.5, 3),
            (
                "cpu".to_owned(),
                "host=b".to_owned(),
                30_000,
                f64::INFINITY,
                1,
            ),
            ("total".to_owned(), String::new(), 0, -1.0, u32::MAX),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn refuses_what_no_aggregator_wrote() {
        let payload = payload(&[("cpu", &[], 0, 1.0, 1)]);
        let check = |subject: &str, window: Option<&str>, body: &[u8], expected: &str| {
            let headers = window.map(headers);
            let error = Envelope::open(subject, headers.as_ref(), body).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        check("aggregates", Some("1000"), &payload, "subject");
        check("aggregates.", Some("1000"), &payload, "subject");
        check("aggregates.a.b", Some("1000"), &payload, "subject");
        for window in [
            None,
            Some(""),
            Some("0"),
            Some("-1"),
            Some("3600001"),
            Some("1s"),
        ] {
            check("aggregates.a", window, &payload, WINDOW_HEADER);
        }
        check("aggregates.a", Some("1000"), b"", "payload: ");
        check(
            "aggregates.a",
            Some("1000"),
            &payload[..payload.len() - 1],
            "payload: ",
        );
        let mut builder = MessageBuilder::new();
        builder.point("cpu", &[("a", "b")], 0, 1.0).unwrap();
        let without_counts = builder.finish().unwrap();
        let headers = headers("1000");
        let envelope = Envelope::open("aggregates.a", Some(&headers), &without_counts).unwrap();
        assert_eq!(envelope.decode(&without_counts), Err(EmissionError::Column));
    }
}
