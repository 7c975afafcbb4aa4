//! How far time has come for an organization, as its stream tells it.
//!
//! Time enters only through the stream: the greatest timestamp in the organization's messages and
//! the newest tick of the partition, less the lateness that points are allowed. It never falls, so
//! a restart that reads the stream again arrives at the same value.

/// Rises with messages and ticks; windows that end at or before it are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark(i64);

impl Watermark {
    /// Where an organization starts: at its saved frontier, and where the newest tick puts it.
    pub fn start(frontier_ms: Option<i64>, tick_ms: Option<i64>, lateness_ms: i64) -> Self {
        let mut watermark = Self(frontier_ms.unwrap_or(i64::MIN));
        if let Some(tick_ms) = tick_ms {
            watermark.raise(tick_ms, lateness_ms);
        }
        watermark
    }

    /// Sees a moment of the stream.
    pub fn raise(&mut self, moment_ms: i64, lateness_ms: i64) {
        self.0 = self.0.max(moment_ms.saturating_sub(lateness_ms));
    }

    pub fn ms(self) -> i64 {
        self.0
    }
}

/// How far a message's points may be ahead of the moment at which the stream received it.
pub const FUTURE_MS_MAX: i64 = 5 * 60 * 1000;
/// How far its points may be behind.
pub const ANCIENT_MS_MAX: i64 = 60 * 60 * 1000;

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
        let mut watermark = Watermark::start(None, Some(100), 30);
        assert_eq!(watermark.ms(), 70);
        for (moment, expected) in [(90, 70), (101, 71), (500, 470), (480, 470)] {
            watermark.raise(moment, 30);
            assert_eq!(watermark.ms(), expected, "after {moment}");
        }
        assert_eq!(Watermark::start(Some(470), Some(100), 30).ms(), 470);
        assert_eq!(Watermark::start(None, None, 30).ms(), i64::MIN);
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
