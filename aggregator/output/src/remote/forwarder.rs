//! Puts the parts together: reads, queues, delivers, acknowledges.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, AckKind, Message};
use async_nats::{Client as Nats, Subject};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch, Semaphore};
use tokio::time::Instant;

use super::batch::Encoder;
use super::client::{Client, ClientError};
use super::consumer::{self, Reader, PROGRESS_EVERY};
use super::delivery::{age, Delivery};
use super::neighbours::Neighbours;
use super::queue::{Item, Offered, Queues};
use super::settings::RemoteWriteSettings;
use crate::emission::{EmissionError, Envelope};
use crate::metrics::OutputMetrics;

/// Messages between the reader and the queues.
const ARRIVALS_MAX: usize = 64;
const TELL_EVERY: Duration = Duration::from_secs(1);
/// After so long without another one, all messages that come a second time are here.
const GATHERED_AFTER: Duration = Duration::from_secs(1);
/// How long a stop waits for requests under way.
const STOP_WITHIN: Duration = Duration::from_secs(5);

type Sending = FuturesUnordered<BoxFuture<'static, (Arc<str>, Vec<Item>)>>;

/// Forwards aggregated points to one receiver.
pub struct Forwarder {
    nats: Nats,
    settings: RemoteWriteSettings,
    metrics: OutputMetrics,
    delivery: Arc<Delivery>,
    queues: Queues,
    sending: Sending,
    /// While messages come a second time, in any order: until when to wait for more.
    gathering: Option<Instant>,
}

impl Forwarder {
    /// Errors: settings that cannot work.
    pub fn new(
        nats: Nats,
        settings: RemoteWriteSettings,
        metrics: OutputMetrics,
    ) -> Result<Self, ClientError> {
        let delivery = Delivery {
            context: jetstream::new(nats.clone()),
            client: Client::new(&settings)?,
            encoder: Encoder::new(&settings),
            metrics: metrics.clone(),
            permits: Semaphore::new(settings.parallel as usize),
            patience: settings.patience(),
            neighbours: Neighbours::default(),
        };
        Ok(Self {
            nats,
            settings,
            metrics,
            delivery: Arc::new(delivery),
            queues: Queues::default(),
            sending: Sending::new(),
            gathering: None,
        })
    }

    /// Forwards until it is told to stop; then finishes what is under way, and leaves the rest to
    /// the next one.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let (arrivals, mut arrived) = mpsc::channel(ARRIVALS_MAX);
        let reader = Reader {
            context: jetstream::new(self.nats.clone()),
            settings: self.settings.clone(),
            metrics: self.metrics.clone(),
            messages: arrivals,
        };
        let reader = tokio::spawn(reader.run());
        let mut tell = tokio::time::interval(TELL_EVERY);
        let mut progress = tokio::time::interval(PROGRESS_EVERY);
        loop {
            tokio::select! {
                Some(message) = arrived.recv() => self.take_in(message).await,
                Some(settled) = self.sending.next() => self.settle(settled).await,
                _ = tell.tick() => self.tell(),
                _ = progress.tick() => self.hold().await,
                () = reached(self.gathering) => self.gathered(),
                () = stopped(&mut stop) => break,
            }
        }
        reader.abort();
        self.shut_down().await;
    }

    async fn take_in(&mut self, message: Message) {
        let Some(reply) = message.reply.clone() else {
            return;
        };
        let item = match item(&message) {
            Ok(item) => item,
            Err(error) => {
                let subject = message.subject.as_str();
                tracing::error!(subject, %error, "not forwarded");
                self.metrics.malformed.inc();
                return answer(&self.nats, reply, AckKind::Ack).await;
            }
        };
        let org = item.envelope.org.clone();
        let redelivered = message.info().is_ok_and(|info| info.delivered > 1);
        let offered = self.queues.offer(item, reply.clone());
        self.delivery.neighbours.count(self.queues.len());
        match offered {
            Offered::New if redelivered => {
                self.gathering = Some(Instant::now() + GATHERED_AFTER);
            }
            // New ones come behind all that come again.
            Offered::New => {
                self.gathered();
                self.send(org);
            }
            Offered::Again => {}
            Offered::Settled => answer(&self.nats, reply, AckKind::Ack).await,
        }
    }

    /// What was left by another process is here, in stream order.
    fn gathered(&mut self) {
        if self.gathering.take().is_some() {
            self.queues
                .waiting()
                .into_iter()
                .for_each(|org| self.send(org));
        }
    }

    /// Sends the next messages of an organization, if none are under way.
    fn send(&mut self, org: Arc<str>) {
        if self.gathering.is_some() {
            return;
        }
        let encoder = &self.delivery.encoder;
        let weigh = |item: &Item| encoder.samples(item.envelope.header.points as usize);
        let samples = self.settings.samples as usize;
        if let Some(items) = self.queues.take(&org, samples, weigh) {
            let delivery = self.delivery.clone();
            let sending = async move {
                delivery.deliver(&org, &items).await;
                (org, items)
            };
            self.sending.push(sending.boxed());
        }
    }

    async fn settle(&mut self, (org, items): (Arc<str>, Vec<Item>)) {
        for reply in self.queues.settle(&org, &items) {
            answer(&self.nats, reply, AckKind::Ack).await;
        }
        self.delivery.neighbours.count(self.queues.len());
        self.send(org);
    }

    /// Says that what is here is not lost.
    async fn hold(&mut self) {
        for reply in self.queues.replies() {
            answer(&self.nats, reply.clone(), AckKind::Progress).await;
        }
    }

    fn tell(&self) {
        let oldest = self.queues.oldest_ms().map(age).unwrap_or_default();
        self.metrics.lag_seconds.set(oldest.as_secs_f64());
    }

    async fn shut_down(mut self) {
        let until = Instant::now() + STOP_WITHIN;
        while let Ok(Some((org, items))) = tokio::time::timeout_at(until, self.sending.next()).await
        {
            for reply in self.queues.settle(&org, &items) {
                answer(&self.nats, reply, AckKind::Ack).await;
            }
        }
        // In stream order, so that the next one is given them in that order.
        for reply in self.queues.replies() {
            answer(&self.nats, reply.clone(), AckKind::Nak(None)).await;
        }
        let finished = async {
            let _ = self.nats.flush().await;
            consumer::unpin(&jetstream::new(self.nats.clone()), &self.settings).await;
        };
        if tokio::time::timeout(STOP_WITHIN, finished).await.is_err() {
            tracing::warn!("stopped before NATS knew of it");
        }
    }
}

async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could say stop, which is as good.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What is lost on the way is delivered again, and answered again.
async fn answer(nats: &Nats, reply: Subject, kind: AckKind) {
    if let Err(error) = nats.publish(reply, kind.into()).await {
        tracing::debug!(%error, "an acknowledgement is not sent");
    }
}

fn item(message: &Message) -> Result<Item, EmissionError> {
    let headers = message.headers.as_ref();
    let envelope = Envelope::open(&message.subject, headers, &message.payload)?;
    // A message without stream position has no reply either, and was left alone before.
    let (sequence, published_ms) = message.info().map_or((0, 0), |info| {
        let published_ms = info.published.unix_timestamp_nanos() / 1_000_000;
        (info.stream_sequence, published_ms as i64)
    });
    Ok(Item {
        sequence,
        published_ms,
        envelope,
        body: Some(message.payload.clone()),
    })
}
