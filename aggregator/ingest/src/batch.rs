//! Points of one request, gathered into as few messages as the format's limits allow.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ratchet_codec::payload::write::{BuildError, MessageBuilder};

use crate::reach::Times;
use crate::settings::Limits;
use crate::spread::{series_hash, Placed, Spread};
use crate::tally::{Reason, Tally};

/// Messages of a partition that are open at a time: each takes points of one hour.
const OPEN_MAX: usize = 4;
/// Messages of one request; more only if its points are scattered over hours.
pub const MESSAGES_MAX: usize = 256;

pub struct Batch {
    points_max: usize,
    tags_max: usize,
    times: Times,
    /// Where points go; home where there is none.
    spread: Option<Arc<dyn Spread>>,
    /// The one that took the last point comes last.
    open: Vec<Open>,
    done: Vec<Placed>,
    pub tally: Tally,
}

/// A message that takes more points, and the partition that is to have it if that is certain.
struct Open {
    partition: Option<u32>,
    builder: MessageBuilder,
    oldest_ms: i64,
    newest_ms: i64,
}

impl Batch {
    pub fn new(limits: &Limits, now: SystemTime) -> Self {
        Self {
            points_max: limits.points,
            tags_max: limits.tags,
            times: limits.reach.from(now),
            spread: None,
            open: Vec::new(),
            done: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// For an organization whose points do not all go home.
    pub fn spread(mut self, spread: Option<Arc<dyn Spread>>) -> Self {
        self.spread = spread;
        self
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
        let partition = self.partition(metric, tags, ts);
        let last = self.open.len().saturating_sub(1);
        for index in (0..self.open.len()).rev() {
            if self.open[index].partition != partition {
                continue;
            }
            match self.open[index].builder.point(metric, tags, ts, value) {
                Ok(()) => {
                    self.open[index].reach(ts);
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
        self.point_in_new(partition, (metric, tags), ts, value)
    }

    /// The messages, in the order in which they were filled.
    pub fn into_placed(mut self) -> (Vec<Placed>, Tally) {
        for open in std::mem::take(&mut self.open) {
            self.done.extend(open.finish(self.spread.as_deref()));
        }
        (self.done, self.tally)
    }

    /// The same of an organization whose points all go home.
    pub fn into_messages(self) -> (Vec<Bytes>, Tally) {
        let (placed, tally) = self.into_placed();
        (
            placed.into_iter().map(|placed| placed.body).collect(),
            tally,
        )
    }

    fn partition<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        metric: &[u8],
        tags: &[(K, V)],
        ts: i64,
    ) -> Option<u32> {
        let spread = self.spread.as_ref()?;
        spread.partition((ts, ts), series_hash(metric, tags))
    }

    fn point_in_new<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        partition: Option<u32>,
        (metric, tags): (&[u8], &[(K, V)]),
        ts: i64,
        value: f64,
    ) -> Result<(), Reason> {
        let of_partition = |open: &Open| open.partition == partition;
        if self.open.iter().filter(|open| of_partition(open)).count() == OPEN_MAX {
            let oldest = self.open.iter().position(of_partition);
            self.finish(oldest.unwrap_or_default())?;
        }
        let mut builder = MessageBuilder::new();
        builder.point(metric, tags, ts, value).map_err(reason)?;
        self.open.push(Open {
            partition,
            builder,
            oldest_ms: ts,
            newest_ms: ts,
        });
        self.tally.written += 1;
        Ok(())
    }

    fn finish(&mut self, index: usize) -> Result<(), Reason> {
        if self.done.len() + self.open.len() >= MESSAGES_MAX {
            return Err(Reason::TooManyMessages);
        }
        let open = self.open.remove(index);
        self.done.extend(open.finish(self.spread.as_deref()));
        Ok(())
    }
}

impl Open {
    fn reach(&mut self, ts: i64) {
        self.oldest_ms = self.oldest_ms.min(ts);
        self.newest_ms = self.newest_ms.max(ts);
    }

    /// `None` for one that took no point.
    fn finish(mut self, spread: Option<&dyn Spread>) -> Option<Placed> {
        let times_ms = (self.oldest_ms, self.newest_ms);
        let certain = spread.is_some_and(|spread| spread.is_certain(times_ms));
        let body = self.builder.finish().ok()?.into();
        Some(Placed {
            partition: self.partition.filter(|_| certain),
            body,
        })
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
            spread: None,
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

    /// Series by their hash, and none of what is older than a second; certain before so many
    /// milliseconds.
    struct ByHash(i64);

    impl Spread for ByHash {
        fn partition(&self, (oldest_ms, _): (i64, i64), hash: u64) -> Option<u32> {
            (oldest_ms >= 1_000).then_some((hash % 3) as u32)
        }

        fn is_certain(&self, (_, newest_ms): (i64, i64)) -> bool {
            newest_ms < self.0
        }
    }

    /// Three hundred points of thirty series, from 900 ms on.
    fn spread(certain_until_ms: i64) -> (Vec<Placed>, Tally) {
        let mut batch = batch(1_000).spread(Some(Arc::new(ByHash(certain_until_ms))));
        for n in 0..300 {
            let tag = [("n", format!("{}", n % 30))];
            batch.point(b"m", &tag, 900 + n, 0.0).unwrap();
        }
        batch.into_placed()
    }

    #[test]
    fn messages_are_the_same_wherever_they_go() {
        let bodies = |placed: &[Placed]| -> Vec<_> {
            let bodies = placed.iter().map(|placed| placed.body.clone());
            bodies.collect()
        };
        let (home, _) = spread(0);
        assert!(home.iter().all(|placed| placed.partition.is_none()));
        assert_eq!(home.len(), 4);
        for certain_until_ms in [1_100, 1_198, i64::MAX] {
            let (placed, _) = spread(certain_until_ms);
            assert_eq!(bodies(&placed), bodies(&home), "{certain_until_ms}");
        }
    }

    #[test]
    fn a_series_goes_to_one_partition() {
        let (placed, tally) = spread(i64::MAX);
        let points = |placed: &Placed| validate(&placed.body).unwrap().points;
        let mut found: Vec<_> = placed.iter().map(|p| (p.partition, points(p))).collect();
        found.sort_unstable();
        let partitions: Vec<_> = found.iter().map(|(partition, _)| *partition).collect();
        assert_eq!(partitions, [None, Some(0), Some(1), Some(2)]);
        assert_eq!((found[0].1, tally.written), (100, 300));
        assert_eq!(found.iter().map(|(_, points)| points).sum::<u32>(), 300);
        // Each of the thirty series is in one of them.
        let sets = |placed: &Placed| validate(&placed.body).unwrap().sets;
        let spread = placed.iter().filter(|placed| placed.partition.is_some());
        assert_eq!(spread.map(sets).sum::<u32>(), 30);
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
