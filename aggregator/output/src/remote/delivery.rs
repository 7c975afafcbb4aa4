//! Brings one organization's messages to the receiver, however long that takes.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_nats::jetstream;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::backoff::Backoff;
use super::batch::{Encoder, Request};
use super::client::{Answer, Client, THROTTLED};
use super::consumer;
use super::neighbours::{Neighbours, CROWDING};
use super::queue::Item;
use crate::emission::Emission;
use crate::metrics::OutputMetrics;

pub struct Delivery {
    pub context: jetstream::Context,
    pub client: Client,
    pub encoder: Encoder,
    pub metrics: OutputMetrics,
    /// Requests that may be under way at a time. Whoever waits to try again has none.
    pub permits: Semaphore,
    pub patience: Duration,
    pub neighbours: Neighbours,
}

impl Delivery {
    /// Returns once the receiver took or refused everything.
    pub async fn deliver(&self, org: &Arc<str>, items: &[Item]) {
        let mut emissions = Vec::with_capacity(items.len());
        for item in items {
            emissions.extend(self.decode(item).await);
        }
        let oldest_ms = items.first().map_or(0, |item| item.published_ms);
        for request in self.encoder.requests(&emissions) {
            self.write(org, &request, oldest_ms).await;
        }
    }

    async fn decode(&self, item: &Item) -> Option<Emission> {
        let body = match &item.body {
            Some(body) => body.clone(),
            None => self.read_again(item.sequence).await?,
        };
        let decoded = item.envelope.clone().decode(&body);
        if let Err(error) = &decoded {
            let org = &item.envelope.org;
            tracing::error!(%org, %error, sequence = item.sequence, "not forwarded");
            self.metrics.malformed.inc();
        }
        decoded.ok()
    }

    /// The body of a message that is still in the stream; `None` when the stream dropped it.
    async fn read_again(&self, sequence: u64) -> Option<Bytes> {
        let mut backoff = Backoff::new();
        loop {
            match self.raw(sequence).await {
                Ok(Some(body)) => return Some(body),
                Ok(None) => {
                    self.metrics.lost.inc();
                    return None;
                }
                Err(error) => tracing::warn!(sequence, error, "cannot read a message again"),
            }
            tokio::time::sleep(backoff.next(None)).await;
        }
    }

    async fn raw(&self, sequence: u64) -> Result<Option<Bytes>, String> {
        let stream: Stream = consumer::stream(&self.context).await?;
        match stream.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(message.payload)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn write(&self, org: &str, request: &Request, published_ms: i64) {
        let mut backoff = Backoff::new();
        loop {
            let (reason, detail, after) = match self.send(org, &request.body).await {
                Answer::Taken => {
                    self.neighbours.served(org, Instant::now());
                    return self.metrics.sent(org, request.samples);
                }
                Answer::Refused { reason, detail } => {
                    self.neighbours.served(org, Instant::now());
                    return self.give_up(org, request, &reason, &detail);
                }
                Answer::Retry {
                    reason,
                    detail,
                    after,
                } => (reason, detail, after),
            };
            if reason == THROTTLED && age(published_ms) > self.patience {
                return self.give_up(org, request, reason, &detail);
            }
            if self.neighbours.failed(org, Instant::now()) {
                return self.give_up(org, request, CROWDING, &detail);
            }
            let wait = backoff.next(after);
            self.metrics.retried(reason);
            let wait_s = wait.as_secs_f64();
            tracing::warn!(org, reason, detail, wait_s, "remote write waits");
            tokio::time::sleep(wait).await;
        }
    }

    async fn send(&self, org: &str, body: &Bytes) -> Answer {
        // Never closed.
        let _permit = self.permits.acquire().await;
        let started = Instant::now();
        let answer = self.client.send(org, body.clone()).await;
        self.metrics
            .requests
            .observe(started.elapsed().as_secs_f64());
        answer
    }

    fn give_up(&self, org: &str, request: &Request, reason: &str, detail: &str) {
        let samples = request.samples;
        self.metrics.dropped(org, reason, samples);
        tracing::error!(org, reason, detail, samples, "the receiver refused samples");
    }
}

/// How long ago a message was published, by this machine's clock.
pub fn age(published_ms: i64) -> Duration {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let published = Duration::from_millis(u64::try_from(published_ms).unwrap_or(0));
    now.saturating_sub(published)
}
