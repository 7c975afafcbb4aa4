//! How far from now a point may lie.
//!
//! An aggregator refuses a whole message for one point that is out of its reach, so the gateway's
//! own reach ends before: it refuses the point, tells its sender, and stores the rest.

use std::time::{Duration, SystemTime};

use crate::batch::millis;
use crate::tally::Reason;

/// How far an aggregator takes a message's points ahead of the moment at which the stream received
/// it, in milliseconds.
pub const FUTURE_MS_MAX: i64 = 5 * 60 * 1000;
/// How far behind: the longest window and the longest lateness.
pub const ANCIENT_MS_MAX: i64 = 2 * 60 * 60 * 1000;

/// The defaults leave a minute for clocks that differ, and for storing.
pub const AHEAD_S: u32 = 240;
pub const BEHIND_S: u32 = 7_140;
pub const AHEAD_S_MAX: i64 = FUTURE_MS_MAX / 1000 - 1;
pub const BEHIND_S_MAX: i64 = ANCIENT_MS_MAX / 1000 - 1;

#[derive(Clone, Copy, Debug)]
pub struct Reach {
    pub ahead: Duration,
    pub behind: Duration,
}

/// The moments that are within reach, both ends included, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub earliest: i64,
    pub latest: i64,
}

impl Reach {
    pub fn from(self, now: SystemTime) -> Times {
        Times {
            earliest: millis(now - self.behind),
            latest: millis(now + self.ahead),
        }
    }
}

impl Times {
    pub fn check(self, ts: i64) -> Result<(), Reason> {
        if ts < 0 {
            Err(Reason::Timestamp)
        } else if ts > self.latest {
            Err(Reason::Future)
        } else if ts < self.earliest {
            Err(Reason::TooOld)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_within_reach() {
        let reach = Reach {
            ahead: Duration::from_secs(AHEAD_S.into()),
            behind: Duration::from_secs(BEHIND_S.into()),
        };
        let now = 1_700_000_000_000;
        let times = reach.from(SystemTime::UNIX_EPOCH + Duration::from_millis(now));
        let check = |after_ms: i64, expected| {
            assert_eq!(times.check(now as i64 + after_ms), expected, "{after_ms}");
        };
        check(240_000, Ok(()));
        check(240_001, Err(Reason::Future));
        check(-7_140_000, Ok(()));
        check(-7_140_001, Err(Reason::TooOld));
        check(-1_700_000_000_001, Err(Reason::Timestamp));
    }
}
