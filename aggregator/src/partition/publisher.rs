//! Emits aggregated points, and saves state once everything before it is acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream::{self, context::PublishAckFuture};
use async_nats::HeaderMap;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::state::{PartitionState, StateFile};

/// Messages sent whose acknowledgement is not there yet.
const UNACKNOWLEDGED_MAX: usize = 256;
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// A message ready to be published.
pub struct Outgoing {
    pub subject: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What the worker gives out, in order.
pub enum Output {
    Emit(Outgoing),
    Save(PartitionState),
}

pub struct Publisher {
    pub context: jetstream::Context,
    pub file: StateFile,
}

impl Publisher {
    /// Runs until the worker is gone.
    pub async fn run(self, mut outputs: mpsc::Receiver<Output>) {
        let mut sent: VecDeque<(Outgoing, PublishAckFuture)> = VecDeque::new();
        while let Some(output) = outputs.recv().await {
            match output {
                Output::Emit(message) => {
                    if sent.len() >= UNACKNOWLEDGED_MAX {
                        self.settle(&mut sent).await;
                    }
                    let ack = self.send(&message).await;
                    sent.push_back((message, ack));
                }
                Output::Save(state) => {
                    self.settle(&mut sent).await;
                    self.save(state).await;
                }
            }
        }
    }

    /// Waits until every message sent is in the stream. A repeated message has the same id.
    async fn settle(&self, sent: &mut VecDeque<(Outgoing, PublishAckFuture)>) {
        let mut delay = RETRY_FIRST;
        while let Some((message, ack)) = sent.pop_front() {
            if let Err(error) = ack.await {
                tracing::warn!(subject = message.subject, %error, "emission is repeated");
                tokio::time::sleep(delay).await;
                delay = (2 * delay).min(RETRY_MAX);
                let again = self.send(&message).await;
                sent.push_front((message, again));
            }
        }
    }

    /// Sends without waiting for the acknowledgement; tries until the connection takes it.
    async fn send(&self, message: &Outgoing) -> PublishAckFuture {
        let mut delay = RETRY_FIRST;
        loop {
            let Outgoing {
                subject,
                headers,
                body,
            } = message;
            let sent = self
                .context
                .publish_with_headers(subject.clone(), headers.clone(), body.clone())
                .await;
            match sent {
                Ok(ack) => return ack,
                Err(error) => tracing::warn!(subject, %error, "emission waits"),
            }
            tokio::time::sleep(delay).await;
            delay = (2 * delay).min(RETRY_MAX);
        }
    }

    async fn save(&self, state: PartitionState) {
        let file = self.file.clone();
        let saved = tokio::task::spawn_blocking(move || file.save(&state)).await;
        match saved {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "state is not saved"),
            Err(error) => tracing::error!(%error, "state is not saved"),
        }
    }
}
