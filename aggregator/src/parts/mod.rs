//! Parts of windows, on their way from the partitions that closed them to the second merge.
//!
//! An organization that is spread over several partitions has a part of each window in every one of
//! them. A partition publishes what it closed, and with every tick how far its time has come, into
//! the input of the organization's home ([`subject`]), by the same rules as every other emission: a
//! subject only grows by the next one. There they are messages of the stream like any other, so the
//! second merge ([`Gather`]) is a function of the home's input alone, and a restart reads again
//! what it needs.

mod fold;
mod gather;

use async_nats::HeaderMap;
use bytes::Bytes;
use ratchet_codec::payload::validate;

pub use self::gather::Gather;
use crate::emit::{WINDOW, WINDOW_END};
use crate::identity::Org;
use crate::spread::{self, Place};

/// The stream of the home's input.
pub const STREAM: &str = "INGEST";
/// What every subject of parts begins with.
pub const PREFIX: &str = "parts.";
/// How far a partition's time has come.
const TIME: &str = "Ratchet-Time";

/// Where the home of an organization finds what a partition has of it.
pub fn subject(org: &Org, place: Place) -> String {
    let home = spread::home(org, place.partitions);
    format!("{PREFIX}{home}.{org}.{}", place.partition)
}

/// What a home reads.
pub fn filter(home: u32) -> String {
    format!("{PREFIX}{home}.*.*")
}

/// The organization and the partition that a subject names.
pub fn sender(subject: &str) -> Option<(&str, u32)> {
    let mut tokens = subject.strip_prefix(PREFIX)?.split('.').skip(1);
    let (org, source) = (tokens.next()?, tokens.next()?);
    let source = source.parse().ok()?;
    tokens.next().is_none().then_some((org, source))
}

/// A window of every rule with this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    pub start_ms: i64,
    pub window_ms: u32,
}

/// What one message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Time has come so far, and everything that closed before was sent before.
    Time(i64),
    /// Partials of a closed window, as [`crate::emit`] writes them.
    Window(Window, Bytes),
}

/// The headers of a message that tells a time.
pub fn time_headers(time_ms: i64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(TIME, time_ms.to_string());
    headers
}

/// Reads a message; an error is a reason to count it by.
pub fn read(headers: Option<&HeaderMap>, body: Bytes) -> Result<Part, &'static str> {
    const MALFORMED: &str = "part-malformed";
    let number = |name: &str| -> Option<i64> { headers?.get(name)?.as_str().parse().ok() };
    if let Some(time_ms) = number(TIME) {
        return Ok(Part::Time(time_ms));
    }
    let (end_ms, window_ms) = number(WINDOW_END).zip(number(WINDOW)).ok_or(MALFORMED)?;
    let window = Window {
        start_ms: end_ms.checked_sub(window_ms).ok_or(MALFORMED)?,
        window_ms: u32::try_from(window_ms).map_err(|_| MALFORMED)?,
    };
    validate(&body).map_err(|_| MALFORMED)?;
    Ok(Part::Window(window, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let acme = Org::parse("acme").unwrap();
        let place = Place {
            partition: 3,
            partitions: 4,
        };
        let subject = subject(&acme, place);
        assert_eq!(sender(&subject), Some(("acme", 3)));
        let home = spread::home(&acme, 4);
        assert!(subject.starts_with(filter(home).trim_end_matches("*.*")));
        for bad in [
            "ingest.1.acme",
            "parts.1.acme",
            "parts.1.acme.x",
            "parts.1.acme.2.3",
        ] {
            assert_eq!(sender(bad), None, "{bad}");
        }
    }

    #[test]
    fn messages_that_are_no_parts() {
        let check = |fields: &[(&str, &str)], expected: Result<Part, &'static str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.insert(*name, *value);
            }
            assert_eq!(read(Some(&headers), Bytes::new()), expected, "{fields:?}");
        };
        let malformed = || Err("part-malformed");
        check(&[(TIME, "42")], Ok(Part::Time(42)));
        check(&[(TIME, "x")], malformed());
        check(&[], malformed());
        check(&[(WINDOW, "1000")], malformed());
        check(&[(WINDOW, "-1"), (WINDOW_END, "5000")], malformed());
        check(&[(WINDOW, "1000"), (WINDOW_END, "5000")], malformed());
        assert_eq!(read(None, Bytes::new()), malformed());
    }
}
