//! Whether INGEST has room for points.
//!
//! A stream that refuses what is new would refuse time too, once it is full: then no window would
//! close, nothing would be done with, and nothing could be removed. So points are refused a little
//! before, and the rest of the stream is for ticks and for parts of windows.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_nats::jetstream::stream::Info;
use async_nats::jetstream::Context;
use parking_lot::Mutex;

const STREAM: &str = "INGEST";
/// One part in so many is not for points.
const KEPT_PART: u64 = 16;
/// What the stream keeps beside a body: subject, headers, its own record.
const BESIDE: u64 = 256;
/// How long an answer holds, and how long one is waited for.
const ASK_EVERY: Duration = Duration::from_millis(500);
const ASK_AGAIN: Duration = Duration::from_millis(100);
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

pub struct Room {
    context: Context,
    seen: Mutex<Seen>,
}

/// What was free when the stream was asked, less what was sent since: however fast one gateway
/// sends between two answers, it does not send into what is kept.
#[derive(Clone, Copy)]
struct Seen {
    asked: Option<Instant>,
    free: u64,
}

impl Room {
    pub fn new(context: Context) -> Self {
        let seen = Mutex::new(Seen {
            asked: None,
            free: u64::MAX,
        });
        Self { context, seen }
    }

    /// Whether there is room for these bodies, which is theirs then. Asks the stream now and then;
    /// who does not hear from it lets it refuse by itself.
    pub async fn is_there_for(&self, bodies: impl Iterator<Item = usize>) -> bool {
        let bytes = bodies.map(|bytes| bytes as u64 + BESIDE).sum();
        if self.is_due(Instant::now(), bytes) {
            let answer = tokio::time::timeout(ANSWER_WITHIN, self.ask()).await;
            let info = answer.ok().flatten();
            let free = info.map(|info| free(info.state.bytes, info.config.max_bytes));
            self.seen.lock().free = free.unwrap_or(u64::MAX);
        }
        self.seen.lock().take(bytes)
    }

    /// The moment from which on nothing was removed; the first of all if nothing ever was, and now
    /// if the stream does not say.
    pub async fn oldest(&self) -> SystemTime {
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.ask()).await;
        answer.ok().flatten().map_or_else(SystemTime::now, oldest)
    }

    /// Whether it is time to ask; only one asks at a time.
    fn is_due(&self, now: Instant, bytes: u64) -> bool {
        let mut seen = self.seen.lock();
        let holds = if seen.free < bytes {
            ASK_AGAIN
        } else {
            ASK_EVERY
        };
        let due = seen.asked.is_none_or(|asked| now - asked >= holds);
        if due {
            seen.asked = Some(now);
        }
        due
    }

    async fn ask(&self) -> Option<Info> {
        let stream = self.context.get_stream(STREAM).await.ok()?;
        Some(stream.cached_info().clone())
    }
}

impl Seen {
    fn take(&mut self, bytes: u64) -> bool {
        let left = self.free.checked_sub(bytes);
        self.free = left.unwrap_or(self.free);
        left.is_some()
    }
}

fn oldest(info: Info) -> SystemTime {
    match info.state {
        state if state.first_sequence <= 1 => UNIX_EPOCH,
        state if state.messages == 0 => SystemTime::now(),
        state => state.first_timestamp.into(),
    }
}

/// Bytes for points. A limit below zero is none.
fn free(bytes: u64, max_bytes: i64) -> u64 {
    match u64::try_from(max_bytes) {
        Ok(most) if most > 0 => (most - most / KEPT_PART).saturating_sub(bytes),
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_not_for_points() {
        for (bytes, max_bytes, expected) in [
            (0, 1600, 1500),
            (1499, 1600, 1),
            (1500, 1600, 0),
            (1600, 1600, 0),
            (9, -1, u64::MAX),
            (9, 0, u64::MAX),
        ] {
            assert_eq!(free(bytes, max_bytes), expected, "{bytes} of {max_bytes}");
        }
    }

    #[test]
    fn what_is_sent_takes_room_until_the_stream_is_asked_again() {
        let mut seen = Seen {
            asked: None,
            free: 100,
        };
        for (bytes, expected, left) in [(60, true, 40), (41, false, 40), (40, true, 0)] {
            assert_eq!(seen.take(bytes), expected, "{bytes}");
            assert_eq!(seen.free, left, "after {bytes}");
        }
    }
}
