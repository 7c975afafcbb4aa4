//! Whether INGEST has room for points.
//!
//! A stream that refuses what is new would refuse time too, once it is full: then no window would
//! close, nothing would be done with, and nothing could be removed. So points are refused a little
//! before, and the rest of the stream is for ticks and for parts of windows.

use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use parking_lot::Mutex;

const STREAM: &str = "INGEST";
/// One part in so many is not for points.
const KEPT_PART: u64 = 16;
/// How long an answer holds, and how long one is waited for.
const ASK_EVERY: Duration = Duration::from_millis(500);
const ASK_AGAIN: Duration = Duration::from_millis(100);
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

pub struct Room {
    context: Context,
    seen: Mutex<Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    asked: Option<Instant>,
    full: bool,
}

impl Room {
    pub fn new(context: Context) -> Self {
        let seen = Mutex::new(Seen {
            asked: None,
            full: false,
        });
        Self { context, seen }
    }

    /// Asks the stream now and then; who does not hear from it lets it refuse by itself.
    pub async fn is_full(&self) -> bool {
        if !self.is_due(Instant::now()) {
            return self.seen.lock().full;
        }
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.ask()).await;
        let full = answer.ok().flatten().unwrap_or(false);
        self.seen.lock().full = full;
        full
    }

    /// Whether it is time to ask; only one asks at a time.
    fn is_due(&self, now: Instant) -> bool {
        let mut seen = self.seen.lock();
        let holds = if seen.full { ASK_AGAIN } else { ASK_EVERY };
        let due = seen.asked.is_none_or(|asked| now - asked >= holds);
        if due {
            seen.asked = Some(now);
        }
        due
    }

    async fn ask(&self) -> Option<bool> {
        let stream = self.context.get_stream(STREAM).await.ok()?;
        let info = stream.cached_info();
        Some(leaves_no_room(info.state.bytes, info.config.max_bytes))
    }
}

/// A limit below zero is none.
fn leaves_no_room(bytes: u64, max_bytes: i64) -> bool {
    match u64::try_from(max_bytes) {
        Ok(most) if most > 0 => bytes >= most - most / KEPT_PART,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_not_for_points() {
        for (bytes, max_bytes, expected) in [
            (0, 1600, false),
            (1499, 1600, false),
            (1500, 1600, true),
            (u64::MAX, -1, false),
            (u64::MAX, 0, false),
        ] {
            let told = leaves_no_room(bytes, max_bytes);
            assert_eq!(told, expected, "{bytes} of {max_bytes}");
        }
    }
}
