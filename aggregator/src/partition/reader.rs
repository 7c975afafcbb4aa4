//! Reads a partition's messages in stream order, and publishes its ticks.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::{self, MessagesError, MessagesErrorKind, Stream};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::stream::Info;
use futures::StreamExt;
use tokio::sync::{mpsc, watch, Semaphore};

use super::{Input, Reading};
use crate::chronicle::VISIBLE_AFTER_MS;
use crate::metrics::PartitionLabel;
use crate::nats::{self, reconnected};
use crate::parts;
use crate::shared::Shared;

const TICK_EVERY: Duration = Duration::from_secs(1);
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How often a running reader looks whether the stream still has what it is to read.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long the stream may take to store a tick.
const STORED_WITHIN: Duration = Duration::from_secs(1);
/// Ticks come every second; silence for so long means that the consumer is gone.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// What is asked for at a time, and asked for again when half of it is taken. A loaded server takes
/// its time to hear the next question, and sends nothing when it has answered the last one.
const ASKED_MESSAGES: usize = 4096;
/// Bytes of them, of up to sixteen partitions together: what is asked for, and half as much again,
/// may be on its way on the one connection, which a server closes when 64 MiB wait there. More
/// partitions than that are for more aggregators than one.
const ASKED_BYTES_TOGETHER: usize = 32 << 20;
const ASKED_BYTES_MAX: usize = 8 << 20;
/// The largest message fits.
const ASKED_BYTES_MIN: usize = 2 << 20;
/// The server forgets a consumer that is asked for nothing, and has nothing more to send, for so
/// long. It must be less than the 35 s after which the client takes its question for lost: asked
/// once more, a consumer that was not forgotten would send what nobody counts on.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// Why reading stopped.
enum Stopped {
    /// The consumer was forgotten, because what it had sent took long to be served.
    Forgotten,
    Otherwise,
}

pub struct Reader {
    pub partition: u32,
    pub context: jetstream::Context,
    /// The next message to be read.
    pub next: u64,
    /// Up to here, messages were served before.
    pub replay_until: u64,
    pub inputs: mpsc::Sender<Input>,
    pub bytes: Arc<Semaphore>,
    pub stopped: watch::Receiver<bool>,
    pub shared: Arc<Shared>,
    pub reading: Reading,
}

impl Reader {
    pub async fn run(mut self) {
        let inputs = self.inputs.clone();
        let tick = tokio::spawn(tick(self.context.clone(), self.partition, inputs));
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = self.read_for_ever() => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        tick.abort();
    }

    /// Reads on after every error: messages are numbered, so none is read twice or skipped.
    async fn read_for_ever(&mut self) {
        loop {
            match self.consume().await {
                Ok(messages) => {
                    let _reading = self.reading.begin();
                    if let Stopped::Forgotten = self.forward(messages).await {
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(partition = self.partition, error, "cannot read the stream");
                }
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    async fn consume(&mut self) -> Result<Stream, String> {
        let p = self.partition;
        let stream = nats::ingest(&self.context).await?;
        let info = stream.cached_info();
        self.look_for_gap(info);
        // The stream reaches so far already: nobody has to ask again for what is older.
        let last_ms = info.state.last_timestamp.unix_timestamp_nanos() / 1_000_000;
        let known = &self.shared.directory.completeness;
        known.see(i64::try_from(last_ms).unwrap_or(0));
        let config = pull::Config {
            filter_subjects: vec![
                format!("ingest.{p}.*"),
                format!("tick.{p}"),
                parts::filter(p),
            ],
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: self.next,
            },
            // Where to go on is in the checkpoint.
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: FORGOTTEN_AFTER,
            ..pull::Config::default()
        };
        let consumer = stream
            .create_consumer(config)
            .await
            .map_err(|error| error.to_string())?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(ASKED_MESSAGES)
            .max_bytes_per_batch(asked_bytes(self.shared.partitions))
            .messages();
        messages.await.map_err(|error| error.to_string())
    }

    /// Tells of messages that are gone and were not read. What is removed in good order was read.
    fn look_for_gap(&mut self, info: &Info) {
        let (first, next) = (info.state.first_sequence, self.next);
        if first > next && next > 1 {
            let partition = self.partition;
            tracing::error!(partition, first, next, "the stream no longer has messages");
            self.shared.metrics.ingest_lost.inc_by(first - next);
            self.next = first;
        }
    }

    /// Hands messages to the worker until the consumer fails.
    async fn forward(&mut self, mut messages: Stream) -> Stopped {
        let label = PartitionLabel {
            partition: self.partition,
        };
        let lag = self.shared.metrics.lag_messages.get_or_create_owned(&label);
        let position = self.shared.metrics.position.get_or_create_owned(&label);
        let mut connections = self.shared.connections.subscribe();
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut delivered = 0;
        loop {
            let next = tokio::select! {
                next = tokio::time::timeout(SILENCE_MAX, messages.next()) => next,
                _ = look.tick() => {
                    if let Ok(stream) = nats::ingest(&self.context).await {
                        self.look_for_gap(stream.cached_info());
                    }
                    continue;
                }
                () = reconnected(&mut connections) => {
                    tracing::info!(partition = self.partition, "reading on a new connection");
                    return Stopped::Otherwise;
                }
            };
            let message = match next {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return self.failed(&error, delivered),
                Ok(None) | Err(_) => {
                    tracing::warn!(partition = self.partition, "consumer is silent");
                    return Stopped::Otherwise;
                }
            };
            let Ok(info) = message.info() else {
                tracing::warn!(
                    partition = self.partition,
                    "message without stream position"
                );
                return Stopped::Otherwise;
            };
            // One that was sent did not come, or came twice.
            delivered += 1;
            if info.consumer_sequence != delivered {
                tracing::warn!(
                    partition = self.partition,
                    "a message was lost on its way; reading on from the last one"
                );
                return Stopped::Otherwise;
            }
            let sequence = info.stream_sequence;
            let received_us = (info.published.unix_timestamp_nanos() / 1_000) as i64;
            lag.set(i64::try_from(info.pending).unwrap_or(i64::MAX));
            if sequence < self.next {
                continue;
            }
            if self
                .hand_over(message.message, sequence, received_us)
                .await
                .is_none()
            {
                return Stopped::Otherwise;
            }
            self.next = sequence + 1;
            position.set(i64::try_from(sequence).unwrap_or(i64::MAX));
        }
    }

    /// What follows from an error, after so many messages.
    fn failed(&self, error: &MessagesError, delivered: u64) -> Stopped {
        let partition = self.partition;
        // Something was sent: whoever asks anew does not run in circles.
        if delivered > 0 && is_gone(error) {
            tracing::debug!(partition, "asking for a consumer anew");
            return Stopped::Forgotten;
        }
        tracing::warn!(partition, %error, "consumer failed");
        Stopped::Otherwise
    }

    /// `None` when the worker is gone.
    async fn hand_over(
        &self,
        message: async_nats::Message,
        sequence: u64,
        received_us: i64,
    ) -> Option<()> {
        let received_ms = received_us.div_euclid(1_000);
        // What counts for this message must be known before it is served.
        let known = &self.shared.directory.completeness;
        known
            .wait(received_ms, received_ms - VISIBLE_AFTER_MS)
            .await;
        let input = if message.subject.starts_with("tick.") {
            Input::Tick {
                sequence,
                received_ms,
            }
        } else {
            let kib = u32::try_from(message.payload.len().div_ceil(1024)).unwrap_or(u32::MAX);
            let kib = kib.clamp(1, super::INPUT_KIB_MAX as u32);
            let permit = self.bytes.clone().acquire_many_owned(kib).await.ok()?;
            if message.subject.starts_with(parts::PREFIX) {
                Input::Part {
                    sequence,
                    received_ms,
                    message,
                    permit,
                }
            } else {
                let traces = &self.shared.traces;
                // What is read a second time was traced the first time.
                let trace = (sequence > self.replay_until)
                    .then(|| traces.begin(message.headers.as_ref(), received_ms))
                    .flatten();
                let (subject, payload) = (message.subject, message.payload);
                Input::Message {
                    sequence,
                    received_us,
                    subject,
                    payload,
                    trace,
                    permit,
                }
            }
        };
        self.inputs.send(input).await.ok()
    }
}

fn asked_bytes(partitions: u32) -> usize {
    let share = ASKED_BYTES_TOGETHER / (partitions.max(1) as usize);
    share.clamp(ASKED_BYTES_MIN, ASKED_BYTES_MAX)
}

fn is_gone(error: &MessagesError) -> bool {
    matches!(
        error.kind(),
        MessagesErrorKind::NoResponders | MessagesErrorKind::ConsumerDeleted
    )
}

/// Time enters the partition as messages of its own stream.
async fn tick(context: jetstream::Context, partition: u32, inputs: mpsc::Sender<Input>) {
    let mut interval = tokio::time::interval(TICK_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let stored = async {
            let published = context.publish(format!("tick.{partition}"), Vec::new().into());
            published.await?.await
        };
        if let Ok(Err(error)) = tokio::time::timeout(STORED_WITHIN, stored).await {
            tracing::debug!(partition, %error, "tick not stored");
            // Usually time makes the worker save; it is full too if the worker is behind.
            let _ = inputs.try_send(Input::Save);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_share_what_may_be_on_its_way() {
        for (partitions, expected) in [(1, 8), (4, 8), (8, 4), (16, 2), (64, 2), (0, 8)] {
            assert_eq!(asked_bytes(partitions), expected << 20, "{partitions}");
        }
    }

    #[test]
    fn only_a_consumer_that_is_gone_is_asked_for_at_once() {
        for (kind, expected) in [
            (MessagesErrorKind::NoResponders, true),
            (MessagesErrorKind::ConsumerDeleted, true),
            (MessagesErrorKind::Pull, false),
            (MessagesErrorKind::MissingHeartbeat, false),
        ] {
            assert_eq!(is_gone(&MessagesError::new(kind)), expected, "{kind}");
        }
    }
}
