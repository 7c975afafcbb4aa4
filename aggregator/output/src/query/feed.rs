//! Fills the store: the stream's last minutes first, then whatever comes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::DeliverPolicy;
use futures::StreamExt;
use tokio::sync::watch;

use super::store::Store;
use crate::emission::Envelope;
use crate::metrics::OutputMetrics;
use crate::{STREAM, SUBJECTS};

const RETRY_DELAY: Duration = Duration::from_secs(1);

pub struct Feed {
    pub context: jetstream::Context,
    pub store: Arc<Store>,
    pub metrics: OutputMetrics,
    /// How far back the first reading goes.
    pub history: Duration,
    /// Told once the store has what the stream held at the start.
    pub filled: watch::Sender<bool>,
}

impl Feed {
    /// Reads for ever; after an error it goes on behind the last message that it had.
    pub async fn run(self) {
        let mut next = None;
        loop {
            if let Err(error) = self.read(&mut next).await {
                tracing::warn!(error, "cannot read aggregated points");
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    async fn read(&self, next: &mut Option<u64>) -> Result<(), String> {
        let stream = self.context.get_stream(STREAM).await;
        let stream = stream.map_err(|error| format!("stream {STREAM}: {error}"))?;
        let last = stream.cached_info().state.last_sequence;
        let begun = SystemTime::now() - self.history;
        let deliver_policy = match *next {
            // A stream that ends before it was made anew.
            Some(start_sequence) if start_sequence <= last + 1 => {
                DeliverPolicy::ByStartSequence { start_sequence }
            }
            _ => DeliverPolicy::ByStartTime {
                start_time: begun.into(),
            },
        };
        let config = OrderedConfig {
            filter_subject: SUBJECTS.to_owned(),
            deliver_policy,
            ..OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await;
        let consumer = consumer.map_err(|error| error.to_string())?;
        if consumer.cached_info().num_pending == 0 {
            self.filled.send_replace(true);
        }
        let messages = consumer.messages().await;
        let messages = messages.map_err(|error| error.to_string())?;
        self.take_in(messages, last, next).await
    }

    async fn take_in(
        &self,
        mut messages: Ordered,
        last: u64,
        next: &mut Option<u64>,
    ) -> Result<(), String> {
        loop {
            let message = messages.next().await.ok_or("the consumer ended")?;
            let message = message.map_err(|error| error.to_string())?;
            let headers = message.headers.as_ref();
            let opened = Envelope::open(&message.subject, headers, &message.payload);
            let added = opened.and_then(|envelope| self.store.add(&envelope, &message.payload));
            if let Err(error) = added {
                tracing::error!(subject = %message.subject, %error, "not kept");
                self.metrics.malformed.inc();
            }
            let info = message.info().map_err(|error| error.to_string())?;
            *next = Some(info.stream_sequence + 1);
            if info.stream_sequence >= last || info.pending == 0 {
                self.filled.send_replace(true);
            }
        }
    }
}
