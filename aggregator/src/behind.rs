//! Tells gateways which organizations their partitions cannot keep up with, on `behind.<org>`.
//!
//! It is said once and for a moment, to whoever listens: nothing depends on its being heard.

use std::time::Duration;

use async_nats::Client;
use ratchet_ingest::behind::subject;
use tokio::sync::mpsc;

/// Of all partitions; each tells a few at a time.
const QUEUE_MAX: usize = 256;
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Tells without ever blocking the caller.
#[derive(Clone)]
pub struct Behind(mpsc::Sender<String>);

/// The receiving end, published by [`publish`].
pub struct BehindQueue(mpsc::Receiver<String>);

impl Behind {
    pub fn new() -> (Self, BehindQueue) {
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        (Self(queue), BehindQueue(receiver))
    }

    /// An organization has more waiting in a partition than is its part, and others have to wait.
    pub fn tell(&self, org: &str, partition: u32) {
        tracing::debug!(org, partition, "held off: it crowds out its neighbours");
        // What does not fit is said again in half a second.
        let _ = self.0.try_send(org.to_owned());
    }
}

/// Publishes until every sender is gone.
pub async fn publish(client: Client, mut queue: BehindQueue) {
    while let Some(org) = queue.0.recv().await {
        if let Err(error) = client.publish(subject(&org), "".into()).await {
            tracing::warn!(org, %error, "gateways were not told who is behind");
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }
}
