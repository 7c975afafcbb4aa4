//! The durable consumer that is the forwarder's queue, and what it delivers.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::{self, Stream as Messages};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, PriorityPolicy};
use async_nats::jetstream::stream::{ConsumerErrorKind, Stream};
use async_nats::jetstream::{self, Message};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::settings::RemoteWriteSettings;
use crate::metrics::OutputMetrics;
use crate::{STREAM, SUBJECTS};

/// A message that nobody speaks for is delivered again after so long.
const ACK_WAIT: Duration = Duration::from_secs(12);
/// How often the forwarder says that it still has its messages.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(4);
/// When the process that reads is gone, another one reads after so long: by then all that it had
/// is delivered again, and comes first, in any order.
pub const TAKE_OVER: Duration = Duration::from_secs(20);
/// A request for messages lasts so long; it also says that its process lives.
const PULL: Duration = Duration::from_secs(5);
/// Messages delivered and not settled.
pub const PENDING_MAX: usize = 8192;
const GROUP: &str = "forwarder";
const RETRY_DELAY: Duration = Duration::from_secs(1);
const LAG_EVERY: Duration = Duration::from_secs(5);

pub type Pull = Consumer<pull::Config>;

pub async fn stream(context: &jetstream::Context) -> Result<Stream, String> {
    let stream = context.get_stream(STREAM).await;
    stream.map_err(|error| format!("stream {STREAM}: {error}"))
}

/// The consumer as it is, or a new one that begins some time ago.
async fn find(stream: &Stream, settings: &RemoteWriteSettings) -> Result<Pull, String> {
    let name = &settings.consumer;
    match stream.get_consumer::<pull::Config>(name).await {
        Ok(consumer) => Ok(consumer),
        Err(error) if error.to_string().contains("not found") => create(stream, settings).await,
        Err(error) => Err(format!("consumer {name}: {error}")),
    }
}

async fn create(stream: &Stream, settings: &RemoteWriteSettings) -> Result<Pull, String> {
    let now = std::time::SystemTime::now();
    let start = now - Duration::from_secs(settings.backfill_s.into());
    let config = pull::Config {
        durable_name: Some(settings.consumer.clone()),
        description: Some("Forwards aggregated points by remote write".to_owned()),
        deliver_policy: DeliverPolicy::ByStartTime {
            start_time: start.into(),
        },
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: PENDING_MAX as i64,
        filter_subject: SUBJECTS.to_owned(),
        priority_policy: PriorityPolicy::PinnedClient,
        priority_groups: vec![GROUP.to_owned()],
        priority_timeout: TAKE_OVER,
        ..pull::Config::default()
    };
    let created = stream.create_consumer(config).await;
    created.map_err(|error| match error.kind() {
        ConsumerErrorKind::TimedOut => "no answer, or no right to make a consumer".to_owned(),
        _ => error.to_string(),
    })
}

/// Reads for ever, and counts what the stream dropped before it could be read.
pub struct Reader {
    pub context: jetstream::Context,
    pub settings: RemoteWriteSettings,
    pub metrics: OutputMetrics,
    pub messages: mpsc::Sender<Message>,
}

impl Reader {
    /// Ends when nobody takes messages any more.
    pub async fn run(self) {
        while !self.messages.is_closed() {
            if let Err(error) = self.read().await {
                tracing::warn!(error, "cannot read aggregated points");
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    async fn read(&self) -> Result<(), String> {
        let mut consumer = find(&stream(&self.context).await?, &self.settings).await?;
        let mut messages = self.pull(&consumer).await?;
        let info = consumer.info().await.map_err(|error| error.to_string())?;
        let delivered = (
            info.delivered.consumer_sequence,
            info.delivered.stream_sequence,
        );
        let mut gaps = Gaps::new(delivered);
        let mut lag = tokio::time::interval(LAG_EVERY);
        loop {
            let next = tokio::select! {
                next = messages.next() => next,
                () = self.messages.closed() => return Ok(()),
                _ = lag.tick() => {
                    self.tell_lag(&mut consumer).await?;
                    continue;
                }
            };
            let message = next.ok_or("the consumer ended")?;
            let message = message.map_err(|error| error.to_string())?;
            if let Ok(info) = message.info() {
                let at = (info.consumer_sequence, info.stream_sequence);
                let first = info.delivered == 1;
                self.metrics.lost.inc_by(gaps.delivered(at, first));
            }
            if self.messages.send(message).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn pull(&self, consumer: &Pull) -> Result<Messages, String> {
        let messages = consumer
            .stream()
            .group(GROUP)
            .expires(PULL)
            .heartbeat(PULL / 2);
        messages.messages().await.map_err(|error| error.to_string())
    }

    async fn tell_lag(&self, consumer: &mut Pull) -> Result<(), String> {
        let info = consumer.info().await.map_err(|error| error.to_string())?;
        let pending = info.num_pending + info.num_ack_pending as u64;
        self.metrics
            .lag
            .set(i64::try_from(pending).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// Lets another process read at once.
pub async fn unpin(context: &jetstream::Context, settings: &RemoteWriteSettings) {
    let unpinned = async {
        let stream = stream(context).await?;
        let unpinned = stream.unpin_consumer(&settings.consumer, GROUP).await;
        unpinned.map_err(|error| error.to_string())
    };
    if let Err(error) = unpinned.await {
        tracing::info!(error, "the next forwarder waits until this one is missed");
    }
}

/// Sees which messages of the stream never came.
struct Gaps {
    /// `(consumer sequence, stream sequence)` of the newest first delivery.
    last: (u64, u64),
}

impl Gaps {
    fn new(delivered: (u64, u64)) -> Self {
        Self { last: delivered }
    }

    /// How many messages are missing before this one. Where the consumer's own count has a gap
    /// too, another process read in between, and what is missing here came there.
    fn delivered(&mut self, at: (u64, u64), first: bool) -> u64 {
        let ours = at.0 == self.last.0 + 1;
        let missing = match self.last.1 {
            // Nothing was delivered before: the consumer begins where it was told to.
            0 => 0,
            last => at.1.saturating_sub(last + 1),
        };
        self.last = (at.0, self.last.1.max(at.1));
        if ours && first {
            missing
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_what_the_stream_dropped() {
        let mut gaps = Gaps::new((0, 0));
        let told = [
            ((1, 40), true),
            ((2, 41), true),
            ((3, 50), true),
            ((4, 41), false),
            ((5, 51), true),
            ((9, 70), true),
            ((10, 71), true),
        ];
        let missing = told.map(|(at, first)| gaps.delivered(at, first));
        assert_eq!(missing, [0, 0, 8, 0, 0, 0, 0]);
        assert_eq!(Gaps::new((7, 70)).delivered((8, 75), true), 4);
    }
}
