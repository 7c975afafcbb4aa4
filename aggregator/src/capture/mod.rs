//! Capture: a sample of live messages, split into what the evolver may see and what is held back.
//!
//! The serving thread only decides and hands over; what does not fit the queue is dropped and
//! counted. Training copies lose the points of held-back series.

mod plenty;
mod publish;
mod redact;
mod split;

use bytes::Bytes;
use ratchet_codec::payload::Header;
use ratchet_trust::ConfigurationDigest;
use tokio::sync::mpsc;

use crate::identity::Org;
use crate::metrics::Metrics;
use plenty::Plenty;
pub use publish::run;
pub use redact::{RedactError, Redactor};
pub use split::{Destination, SplitKey, SplitKeyError, HELD_BACK_SERIES};

/// Samples on their way; each may be a whole message.
const QUEUE_MAX: usize = 128;

pub struct Sample {
    pub org: Org,
    pub configuration: ConfigurationDigest,
    pub sequence: u64,
    pub destination: Destination,
    pub payload: Bytes,
    pub header: Header,
}

/// How much is captured.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub one_in: u32,
    pub per_second: u32,
    /// Where plenty is held already: what is held stays fresh, at little cost.
    pub refresh_per_second: u32,
}

/// What one organization has used of the current second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    second: i64,
    used: u32,
}

impl Budget {
    /// Takes one of `per_second`, in the second of the stream's own time.
    pub fn take(&mut self, received_ms: i64, per_second: u32) -> bool {
        let second = received_ms.div_euclid(1000);
        if second != self.second {
            *self = Self { second, used: 0 };
        }
        let granted = self.used < per_second;
        self.used += u32::from(granted);
        granted
    }
}

pub struct Capture {
    key: SplitKey,
    rate: Rate,
    plenty: Plenty,
    queue: mpsc::Sender<Sample>,
    metrics: Metrics,
}

/// The receiving end, published by [`run`].
pub struct SampleQueue {
    samples: mpsc::Receiver<Sample>,
    key: SplitKey,
    plenty: Plenty,
    metrics: Metrics,
}

/// A message that may be captured.
pub struct Offer<'a> {
    pub org: &'a Org,
    pub configuration: ConfigurationDigest,
    pub sequence: u64,
    pub received_ms: i64,
    pub payload: &'a Bytes,
    pub header: &'a Header,
}

impl Capture {
    pub fn new(key: SplitKey, rate: Rate, metrics: Metrics) -> (Self, SampleQueue) {
        let (queue, samples) = mpsc::channel(QUEUE_MAX);
        let plenty = Plenty::default();
        let receiver = SampleQueue {
            samples,
            key: key.clone(),
            plenty: plenty.clone(),
            metrics: metrics.clone(),
        };
        (
            Self {
                key,
                rate,
                plenty,
                queue,
                metrics,
            },
            receiver,
        )
    }

    pub fn offer(&self, offer: &Offer<'_>, budget: &mut Budget) {
        let chosen = self
            .key
            .destination(offer.org, offer.sequence, self.rate.one_in);
        let Some(destination) = chosen else { return };
        let is_plenty = self.plenty.is_held(offer.org, offer.configuration);
        let per_second = if is_plenty {
            self.rate.refresh_per_second.min(self.rate.per_second)
        } else {
            self.rate.per_second
        };
        if !budget.take(offer.received_ms, per_second) {
            return;
        }
        let sample = Sample {
            org: offer.org.clone(),
            configuration: offer.configuration,
            sequence: offer.sequence,
            destination,
            payload: offer.payload.clone(),
            header: *offer.header,
        };
        if self.queue.try_send(sample).is_err() {
            self.metrics.capture_dropped.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_is_per_second() {
        let mut budget = Budget::default();
        let granted: Vec<bool> = [5_000, 5_100, 5_999, 6_000, 6_001]
            .map(|ms| budget.take(ms, 2))
            .into();
        assert_eq!(granted, [true, true, false, true, true]);
    }
}
