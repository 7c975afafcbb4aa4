//! Points of one request, gathered into as few messages as the format's limits allow.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ratchet_codec::payload::write::{BuildError, MessageBuilder};

use crate::reach::Times;
use crate::settings::Limits;
use crate::tally::{Reason, Tally};

/// Messages of a request that are open at a time: each takes points of one hour.
const OPEN_MAX: usize = 4;
/// Messages of one request; more only if its points are scattered over hours.
pub const MESSAGES_MAX: usize = 256;

pub struct Batch {
    points_max: usize,
    tags_max: usize,
    times: Times,
    /// The one that took the last point comes last.
    open: Vec<MessageBuilder>,
    done: Vec<Bytes>,
    pub tally: Tally,
}

impl Batch {
    pub fn new(limits: &Limits, now: SystemTime) -> Self {
        Self {
            points_max: limits.points,
            tags_max: limits.tags,
            times: limits.reach.from(now),
            open: Vec::new(),
            done: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Whether so many points may still come.
    pub fn room_for(&self, points: usize) -> Result<(), Reason> {
        let written = usize::try_from(self.tally.written).unwrap_or(usize::MAX);
        match written.checked_add(points) {
            Some(sum) if sum <= self.points_max => Ok(()),
            _ => Err(Reason::TooManyPoints),
        }
    }

    /// Checks what the format does not: how many tags there are, and that the time has come.
    pub fn check(&self, tags: usize, ts: i64) -> Result<(), Reason> {
        if tags > self.tags_max {
            return Err(Reason::TooManyTags);
        }
        self.times.check(ts)
    }

    /// Adds a point. Its refusal is for the caller to count: a data point may be several of these.
    pub fn point<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        metric: &[u8],
        tags: &[(K, V)],
        ts: i64,
        value: f64,
    ) -> Result<(), Reason> {
        self.room_for(1)?;
        let last = self.open.len().saturating_sub(1);
        for index in (0..self.open.len()).rev() {
            match self.open[index].point(metric, tags, ts, value) {
                Ok(()) => {
                    self.open.swap(index, last);
                    self.tally.written += 1;
                    return Ok(());
                }
                Err(BuildError::Span(_)) => {}
                Err(BuildError::Full) => {
                    self.finish(index)?;
                    break;
                }
                Err(error) => return Err(reason(error)),
            }
        }
        self.point_in_new(metric, tags, ts, value)
    }

    /// The messages, in the order in which they were filled.
    pub fn into_messages(mut self) -> (Vec<Bytes>, Tally) {
        for mut builder in std::mem::take(&mut self.open) {
            if let Ok(message) = builder.finish() {
                self.done.push(message.into());
            }
        }
        (self.done, self.tally)
    }

    fn point_in_new<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        metric: &[u8],
        tags: &[(K, V)],
        ts: i64,
        value: f64,
    ) -> Result<(), Reason> {
        if self.open.len() == OPEN_MAX {
            self.finish(0)?;
        }
        let mut builder = MessageBuilder::new();
        builder.point(metric, tags, ts, value).map_err(reason)?;
        self.open.push(builder);
        self.tally.written += 1;
        Ok(())
    }

    fn finish(&mut self, index: usize) -> Result<(), Reason> {
        if self.done.len() + self.open.len() >= MESSAGES_MAX {
            return Err(Reason::TooManyMessages);
        }
        if let Ok(message) = self.open.remove(index).finish() {
            self.done.push(message.into());
        }
        Ok(())
    }
}

/// Milliseconds since the epoch.
pub fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn reason(error: BuildError) -> Reason {
    match error {
        BuildError::EmptyName => Reason::EmptyKey,
        BuildError::StringTooLong(_) => Reason::StringTooLong,
        BuildError::Utf8 => Reason::NotUtf8,
        BuildError::DuplicateKey => Reason::DuplicateTag,
        BuildError::Timestamp(_) => Reason::Timestamp,
        // A new message has room for any point and any time, and none here has counts.
        BuildError::Empty | BuildError::Span(_) | BuildError::Full | BuildError::MixedCounts => {
            Reason::TooManyTags
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratchet_codec::payload::validate;

    const HOUR: i64 = 3_600_000;

    fn batch(points_max: usize) -> Batch {
        Batch {
            points_max,
            tags_max: 3,
            times: Times {
                earliest: 0,
                latest: 1_000 * HOUR,
            },
            open: Vec::new(),
            done: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn counts(batch: Batch) -> Vec<u32> {
        let (messages, _) = batch.into_messages();
        let points = messages.iter().map(|m| validate(m).unwrap().points);
        points.collect()
    }

    #[test]
    fn points_of_distant_hours_go_to_messages_of_their_own() {
        let none: [(&str, &str); 0] = [];
        let check = |hours: &[i64], expected: &[u32]| {
            let mut batch = batch(100);
            for hour in hours {
                batch.point(b"m", &none, hour * HOUR, 1.0).unwrap();
            }
            assert_eq!(counts(batch), expected, "{hours:?}");
        };
        check(&[], &[]);
        check(&[5, 5, 6], &[3]);
        check(&[0, 9, 0, 9, 0], &[2, 3]);
        check(&[0, 10, 20, 30, 40, 0], &[1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn a_full_message_is_followed_by_another() {
        let mut batch = batch(100_000);
        let mut last = Ok(());
        for n in 0..70_000 {
            last = batch.point(b"m", &[("k", "v")], n, n as f64);
        }
        assert_eq!(last, Ok(()));
        let counts = counts(batch);
        assert_eq!(counts.iter().sum::<u32>(), 70_000);
        assert!(counts.len() > 1, "{counts:?}");
    }

    #[test]
    fn what_is_refused_leaves_the_rest() {
        let mut batch = batch(3);
        let mut check = |metric: &[u8], tags: &[(&[u8], &[u8])], ts, expected| {
            assert_eq!(batch.point(metric, tags, ts, 0.0), expected);
        };
        check(b"m", &[(b"k", b"v")], 0, Ok(()));
        check(b"", &[], 0, Err(Reason::EmptyKey));
        check(b"m", &[(b"", b"v")], 0, Err(Reason::EmptyKey));
        check(b"m", &[(b"k", b"\xff")], 0, Err(Reason::NotUtf8));
        check(
            b"m",
            &[(b"k", &[b'v'; 1_025])],
            0,
            Err(Reason::StringTooLong),
        );
        check(
            b"m",
            &[(b"k", b"v"), (b"k", b"w")],
            0,
            Err(Reason::DuplicateTag),
        );
        check(b"m", &[], -1, Err(Reason::Timestamp));
        check(b"m", &[], 1, Ok(()));
        check(b"m", &[], 2, Ok(()));
        check(b"m", &[], 3, Err(Reason::TooManyPoints));
        assert_eq!(batch.check(3, 1_000 * HOUR), Ok(()));
        assert_eq!(batch.check(4, 0), Err(Reason::TooManyTags));
        assert_eq!(batch.check(0, 1_000 * HOUR + 1), Err(Reason::Future));
        assert_eq!(counts(batch), [3]);
    }

    #[test]
    fn scattered_points_do_not_make_endless_messages() {
        let mut batch = batch(100_000);
        let none: [(&str, &str); 0] = [];
        let mut refused = 0;
        for n in 0..1_000 {
            if batch.point(b"m", &none, n * 2 * HOUR, 0.0) == Err(Reason::TooManyMessages) {
                refused += 1;
            }
        }
        assert_eq!(counts(batch).len() + refused, 1_000);
        assert!(refused > 700);
    }
}
