//! Removes from INGEST what nobody will read again.
//!
//! INGEST refuses what is new once it is full, so that nothing is lost that was acknowledged. What
//! is done with has to make room: every message before those that a partition may still have to be
//! read from, as the checkpoints say. One aggregator removes, the owner of the first partition; two
//! that do at a time remove the same. A partition that nobody serves keeps everything since.
//!
//! While a server removes, it stores nothing. Windows that close leave the messages of half a
//! minute behind, and all of them at once would keep senders waiting for most of a second: they go
//! little by little.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use async_nats::jetstream::stream::{Info, State, Stream};
use async_nats::jetstream::Context;

use crate::checkpoint::{Checkpoint, Checkpoints, Origin};
use crate::nats;

const EVERY: Duration = Duration::from_secs(5);
/// What is done with stays so long where there is little room: totals of series are stored again
/// within four minutes (`ratchet_ingest::cumulative`).
const KEPT_WITH_LITTLE_ROOM: Duration = Duration::from_secs(300);
/// Whoever has not answered by then is asked in the next round.
const ROUND_WITHIN: Duration = Duration::from_secs(30);
/// A round that has removed for so long leaves the rest to the next one.
const REMOVE_FOR: Duration = Duration::from_secs(20);
/// What is removed at once: a server takes some milliseconds for it, most of them to read and write
/// the one block of 8 MiB that goes in part; the others it has but to unlink.
const STEP_MESSAGES: u64 = 4_000;
const STEP_BYTES: u64 = 16 << 20;
/// More of them at once where the rest would take more steps than these.
const STEPS_MAX: u64 = 400;
/// For each moment that the server removes, it is left alone for so many, up to a bound; for one
/// where hardly any room is left.
const PAUSES: u32 = 9;
const PAUSES_IN_HASTE: u32 = 1;
const PAUSE_MAX: Duration = Duration::from_millis(100);

pub struct Sweep {
    pub context: Context,
    pub checkpoints: Checkpoints,
    pub partitions: u32,
    /// How long a message stays that is done with, as long as there is room.
    pub kept: Duration,
}

impl Sweep {
    /// The partition whose owner sweeps.
    pub const BY: u32 = 0;

    pub async fn run(self) {
        let mut passed = Passed::default();
        loop {
            tokio::time::sleep(EVERY).await;
            match tokio::time::timeout(ROUND_WITHIN, self.once(&mut passed)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(error, "INGEST is not swept"),
                Err(_) => tracing::warn!("INGEST is not swept in time"),
            }
        }
    }

    async fn once(&self, passed: &mut Passed) -> Result<(), String> {
        let stream = nats::ingest(&self.context).await?;
        let info = stream.cached_info();
        let origin = nats::origin_of(info);
        let Some(done) = self.done(&origin).await? else {
            return Ok(());
        };
        let room = Room::of(info);
        let now = Instant::now();
        passed.note(now, self.kept, done);
        let until = match room {
            Room::Enough => passed.before(now, self.kept),
            Room::Little => passed.before(now, self.kept.min(KEPT_WITH_LITTLE_ROOM)),
            Room::Scarce | Room::Last => done,
        };
        self.remove(stream, &origin, until).await
    }

    /// Removes what comes before `until` from the stream of this origin, or much of it.
    async fn remove(&self, mut stream: Stream, origin: &Origin, until: u64) -> Result<(), String> {
        let (began, mut steps) = (Instant::now(), 0);
        let mut info = stream.cached_info();
        let step = step(&info.state, until);
        // Another stream of the name begins anew: nothing of it is done with.
        while nats::origin_of(info).stream == origin.stream && info.state.first_sequence < until {
            let at = until.min(info.state.first_sequence.saturating_add(step));
            let asked = Instant::now();
            let purged = stream.purge().sequence(at).await;
            purged.map_err(|error| error.to_string())?;
            steps += 1;
            if at == until || began.elapsed() > REMOVE_FOR {
                break;
            }
            let pauses = match Room::of(info) {
                Room::Enough | Room::Little | Room::Scarce => PAUSES,
                Room::Last => PAUSES_IN_HASTE,
            };
            tokio::time::sleep((pauses * asked.elapsed()).min(PAUSE_MAX)).await;
            stream = nats::ingest(&self.context).await?;
            info = stream.cached_info();
        }
        tracing::debug!(until, steps, "INGEST is swept");
        Ok(())
    }

    /// The first message that may still be read; `None` while that is not known.
    async fn done(&self, origin: &Origin) -> Result<Option<u64>, String> {
        let mut done = u64::MAX;
        for partition in 0..self.partitions {
            let (found, _) = self
                .checkpoints
                .load(partition)
                .await
                .map_err(|error| error.to_string())?;
            let Some(position) = found.and_then(|found| position(&found, origin)) else {
                return Ok(None);
            };
            done = done.min(position);
        }
        Ok(Some(done))
    }
}

/// How many messages are removed at once when all before `until` have to go.
fn step(state: &State, until: u64) -> u64 {
    let mean = (state.bytes / state.messages.max(1)).max(1);
    let small = (STEP_BYTES / mean).clamp(1, STEP_MESSAGES);
    small.max(until.saturating_sub(state.first_sequence) / STEPS_MAX)
}

/// Where a partition is read from, if its checkpoint is of the stream as it is.
fn position(checkpoint: &Checkpoint, origin: &Origin) -> Option<u64> {
    let holds = checkpoint.stream == origin.stream && checkpoint.head <= origin.last_sequence;
    holds.then_some(checkpoint.position)
}

/// How much room a stream has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Enough,
    /// Worth more than a long look back.
    Little,
    /// Worth more than any look back.
    Scarce,
    /// Worth more than quick answers, too. Beyond fifteen sixteenths gateways refuse what is new.
    Last,
}

impl Room {
    fn of(info: &Info) -> Self {
        Self::beside(info.state.bytes, info.config.max_bytes)
    }

    /// A limit below zero is none.
    fn beside(bytes: u64, max_bytes: i64) -> Self {
        match u64::try_from(max_bytes) {
            Ok(most) if most > 0 && bytes > most / 8 * 7 => Self::Last,
            Ok(most) if most > 0 && bytes > most / 4 * 3 => Self::Scarce,
            Ok(most) if most > 0 && bytes > most / 2 => Self::Little,
            Ok(_) | Err(_) => Self::Enough,
        }
    }
}

/// How far everything was done with, and when that was seen.
#[derive(Default)]
struct Passed {
    /// Of the last hour at most, one a round.
    seen: VecDeque<(Instant, u64)>,
    aged: u64,
}

impl Passed {
    /// Takes note of how far everything is done with; nobody asks for longer ago than `kept`.
    fn note(&mut self, now: Instant, kept: Duration, done: u64) {
        self.aged = self.before(now, kept);
        self.seen
            .retain(|(seen, _)| now.duration_since(*seen) < kept);
        self.seen.push_back((now, done));
    }

    /// How far everything was done with so long ago.
    fn before(&self, now: Instant, kept: Duration) -> u64 {
        let old = self.seen.iter().rev();
        let mut old = old.skip_while(|(seen, _)| now.duration_since(*seen) < kept);
        old.next().map_or(self.aged, |(_, done)| *done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_with_stays_a_while() {
        let (start, kept) = (Instant::now(), Duration::from_secs(10));
        let mut passed = Passed::default();
        for (at_s, done, expected) in [
            (0, 5, 0),
            (5, 9, 0),
            (10, 12, 5),
            (14, 13, 5),
            (60, 20, 13),
            (70, 20, 20),
        ] {
            let now = start + Duration::from_secs(at_s);
            passed.note(now, kept, done);
            assert_eq!(passed.before(now, kept), expected, "after {at_s} s");
            assert_eq!(passed.before(now, Duration::ZERO), done, "after {at_s} s");
        }
        let mut at_once = Passed::default();
        at_once.note(start, Duration::ZERO, 7);
        assert_eq!(at_once.before(start, Duration::ZERO), 7);
    }

    #[test]
    fn a_step_is_bounded_in_messages_and_bytes() {
        let check = |(messages, bytes), until, expected| {
            let json = format!(
                r#"{{"messages":{messages},"bytes":{bytes},"first_seq":1,"last_seq":{messages},
                "first_ts":"1970-01-01T00:00:00Z","last_ts":"1970-01-01T00:00:00Z",
                "consumer_count":0}}"#
            );
            let state = serde_json::from_str(&json).unwrap();
            assert_eq!(step(&state, until), expected, "{bytes} in {messages}");
        };
        check((0, 0), 0, 4_000);
        check((350_000, 70_000_000), 350_000, 4_000);
        check((1_000, 16_000_000), 900, 1_048);
        check((10, 160 << 20), 10, 1);
        check((1, 64 << 20), 1, 1);
        check((8_000_000, 1_600_000_000), 6_000_001, 15_000);
    }

    #[test]
    fn room_is_told_by_what_is_used() {
        for (bytes, max_bytes, expected) in [
            (50, 100, Room::Enough),
            (51, 100, Room::Little),
            (75, 100, Room::Little),
            (76, 100, Room::Scarce),
            (84, 100, Room::Scarce),
            (85, 100, Room::Last),
            (u64::MAX, -1, Room::Enough),
            (1, 0, Room::Enough),
        ] {
            assert_eq!(
                Room::beside(bytes, max_bytes),
                expected,
                "{bytes} of {max_bytes}"
            );
        }
    }

    #[test]
    fn a_checkpoint_of_another_stream_says_nothing() {
        let origin = |stream: &str, last_sequence| Origin {
            stream: stream.to_owned(),
            created_ms: 0,
            last_sequence,
        };
        let checkpoint = Checkpoint {
            position: 4,
            head: 8,
            ..Checkpoint::new(&origin("INGEST a", 0))
        };
        for (found, expected) in [
            (origin("INGEST a", 8), Some(4)),
            (origin("INGEST b", 8), None),
            (origin("INGEST a", 7), None),
        ] {
            assert_eq!(position(&checkpoint, &found), expected, "{found:?}");
        }
    }
}
