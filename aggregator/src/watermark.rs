//! How far time has come for an organization, as its stream tells it.
//!
//! Time enters only through the stream: the greatest timestamp in the organization's messages, the
//! moments at which the server received them, and the newest tick of the partition. It never falls,
//! so whoever reads the stream again arrives at the same value. The one clock that can move it
//! forward is the server's: a producer whose clock is ahead closes nobody's window.

use ratchet_ingest::reach::{ANCIENT_MS_MAX, FUTURE_MS_MAX};

/// How long a window waits for late points after its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lateness {
    /// As long as it is itself.
    #[default]
    OneWindow,
    Milliseconds(i64),
}

impl Lateness {
    pub fn of(self, window_ms: i64) -> i64 {
        match self {
            Self::OneWindow => window_ms,
            Self::Milliseconds(ms) => ms,
        }
    }
}

/// The organization's time: rises with messages and ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark(i64);

impl Watermark {
    /// Where an organization starts: where its messages had brought it, and the newest tick.
    pub fn start(saved_ms: Option<i64>, tick_ms: Option<i64>) -> Self {
        Self(saved_ms.max(tick_ms).unwrap_or(i64::MIN))
    }

    /// Sees the newest point of a message.
    pub fn message(&mut self, newest_ms: i64, received_ms: i64) {
        self.0 = self.0.max(newest_ms.min(received_ms));
    }

    pub fn tick(&mut self, received_ms: i64) {
        self.0 = self.0.max(received_ms);
    }

    pub fn ms(self) -> i64 {
        self.0
    }
}

/// Why a message's timestamps are refused, if they are: a label for metrics.
pub fn refuse_time(min_ts: i64, max_ts: i64, received_ms: i64) -> Option<&'static str> {
    if max_ts > received_ms.saturating_add(FUTURE_MS_MAX) {
        Some("future")
    } else if min_ts < received_ms.saturating_sub(ANCIENT_MS_MAX) {
        Some("ancient")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rises() {
        let mut watermark = Watermark::start(None, Some(100));
        assert_eq!(watermark.ms(), 100);
        for (newest, received, expected) in [
            (90, 95, 100),
            (101, 120, 101),
            // A producer that is ahead of the server.
            (900, 130, 130),
            (480, 125, 130),
        ] {
            watermark.message(newest, received);
            assert_eq!(watermark.ms(), expected, "after {newest} at {received}");
        }
        watermark.tick(90);
        assert_eq!(watermark.ms(), 130, "the server's clock went back");
        watermark.tick(140);
        assert_eq!(watermark.ms(), 140);
        assert_eq!(Watermark::start(Some(470), Some(100)).ms(), 470);
        assert_eq!(Watermark::start(None, None).ms(), i64::MIN);
    }

    #[test]
    fn lateness_of_a_window() {
        assert_eq!(Lateness::OneWindow.of(30_000), 30_000);
        assert_eq!(Lateness::Milliseconds(7).of(30_000), 7);
    }

    #[test]
    fn times_out_of_reach() {
        let received = 10_000_000;
        let check = |min, max, expected| {
            assert_eq!(refuse_time(min, max, received), expected, "{min}..{max}");
        };
        check(received, received + FUTURE_MS_MAX, None);
        check(received, received + FUTURE_MS_MAX + 1, Some("future"));
        check(received - ANCIENT_MS_MAX, received, None);
        check(received - ANCIENT_MS_MAX - 1, received, Some("ancient"));
    }
}
