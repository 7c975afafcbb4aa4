//! Messages into the INGEST stream: stored, or told that they are not.

use std::future::IntoFuture as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use async_nats::connection::State;
use async_nats::jetstream::{self, context::PublishErrorKind, ErrorCode};
use async_nats::{Client, ConnectOptions, Event, HeaderMap};
use futures::future::join_all;
use twox_hash::XxHash3_128;

use crate::metrics::Metrics;
use crate::organization::Org;
use crate::room::Room;
use crate::servers::Servers;
use crate::settings::{IngestSettings, Repeated};
use crate::spread::Placed;
use crate::together::{Entry, NotTogether, Together};
use crate::totals::Totals;
use crate::trace::TRACEPARENT;

const RECONNECT_MAX: Duration = Duration::from_secs(2);
const MESSAGE_ID: &str = "Nats-Msg-Id";
const AWAY: &str = "NATS is not connected";
const FULL: &str = "the stream is full: what is left of it is for time";

/// How the messages of a request are stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner<'a> {
    /// The trace that the request is part of.
    pub traceparent: Option<&'a str>,
}

/// Some message of a request was not stored, or nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotStored(pub String);

#[derive(Clone)]
pub struct Publisher {
    client: Client,
    context: jetstream::Context,
    together: Together,
    pub totals: Totals,
    room: Arc<Room>,
    repeated: Repeated,
    timeout: Duration,
    metrics: Metrics,
}

impl Publisher {
    /// Connects, now or as soon as NATS is there, and reconnects for ever.
    pub async fn connect(
        servers: &Servers,
        settings: &IngestSettings,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let told = metrics.clone();
        let mut options = ConnectOptions::new()
            .name("ratchet-ingest")
            .custom_inbox_prefix(format!("_INBOX_{}", settings.nats_user))
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(|attempts| {
                let doubled = Duration::from_millis(50 << attempts.min(10));
                doubled.min(RECONNECT_MAX)
            })
            .event_callback(move |event| tell(event, told.clone()));
        if let Some(path) = &settings.nats_password_file {
            let password = read_password(path)?;
            options = options.user_and_password(settings.nats_user.clone(), password);
        }
        let client = servers.connect(options).await?;
        let timeout = settings.limits().store_time;
        let context = jetstream::ContextBuilder::new()
            .ack_timeout(timeout)
            .build(client.clone());
        Ok(Self {
            client,
            room: Arc::new(Room::new(context.clone())),
            together: Together::new(context.clone()),
            totals: Totals::new(context.clone()),
            context,
            repeated: settings.repeated,
            timeout,
            metrics,
        })
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Stores messages in their order. Ends within the time that there is, and well only when
    /// JetStream has acknowledged every one.
    pub async fn store(
        &self,
        org: &Org,
        messages: &[Placed],
        manner: Manner<'_>,
    ) -> Result<(), NotStored> {
        if messages.is_empty() {
            return Ok(());
        }
        // The client would keep them and send them after all, when nobody waits any more.
        if !self.is_connected() {
            return Err(NotStored(AWAY.to_owned()));
        }
        let bodies = messages.iter().map(|message| message.body.len());
        if !self.room.is_there_for(bodies).await {
            return Err(NotStored(FULL.to_owned()));
        }
        let began = Instant::now();
        let stored = tokio::time::timeout(self.timeout, self.send(org, messages, manner)).await;
        self.metrics
            .publish_seconds
            .observe(began.elapsed().as_secs_f64());
        let late = "the stream did not answer in time";
        stored.unwrap_or_else(|_| Err(NotStored(late.to_owned())))
    }

    /// The moment from which on nothing was removed from the stream.
    pub async fn oldest(&self) -> SystemTime {
        self.room.oldest().await
    }

    /// Stores messages all or none, and tells the sequence of the first: the others follow it.
    pub async fn together(&self, entries: Vec<Entry>) -> Result<u64, NotTogether> {
        if entries.is_empty() {
            return Ok(0);
        }
        if !self.is_connected() {
            return Err(NotTogether::Refused(AWAY.to_owned()));
        }
        let bodies = entries.iter().map(|entry| entry.body.len());
        if !self.room.is_there_for(bodies).await {
            return Err(NotTogether::Refused(FULL.to_owned()));
        }
        let began = Instant::now();
        let stored = self.together.store(entries, self.timeout).await;
        let seconds = began.elapsed().as_secs_f64();
        self.metrics.publish_seconds.observe(seconds);
        stored
    }

    /// A message of points as one of several that are stored together.
    pub fn entry(&self, org: &Org, message: &Placed, manner: Manner<'_>) -> Entry {
        let traceparent = manner.traceparent.map(|it| (TRACEPARENT, it.to_owned()));
        Entry {
            subject: message.subject(org),
            headers: traceparent.into_iter().collect(),
            body: message.body.clone(),
        }
    }

    /// Gives a message a name by which the stream knows it if it comes again.
    pub fn name(&self, entry: &mut Entry, name: &str) {
        if self.repeated == Repeated::Drop {
            entry.headers.push((MESSAGE_ID, name.to_owned()));
        }
    }

    async fn send(
        &self,
        org: &Org,
        messages: &[Placed],
        manner: Manner<'_>,
    ) -> Result<(), NotStored> {
        let named = self.repeated == Repeated::Drop;
        let mut answers = Vec::with_capacity(messages.len());
        let mut failed = None;
        for message in messages {
            let mut headers = HeaderMap::new();
            if named {
                headers.insert(MESSAGE_ID, message_id(org, &message.body).as_str());
            }
            if let Some(traceparent) = manner.traceparent {
                headers.insert(TRACEPARENT, traceparent);
            }
            let sent = self.context.publish_with_headers(
                message.subject(org),
                headers,
                message.body.clone(),
            );
            match sent.await {
                Ok(answer) => answers.push(answer.into_future()),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        for answer in join_all(answers).await {
            match answer {
                Ok(answer) => {
                    let repeated = answer.duplicate.into();
                    self.metrics.repeated_messages.inc_by(repeated);
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(()), |error| Err(NotStored(describe(&error))))
    }
}

pub(crate) fn server_error(error: &jetstream::context::PublishError) -> Option<&jetstream::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

pub(crate) fn describe(error: &jetstream::context::PublishError) -> String {
    let full = [
        ErrorCode::STREAM_STORE_FAILED,
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::MEMORY_RESOURCES_EXCEEDED,
    ];
    match server_error(error) {
        Some(refused) if full.contains(&refused.error_code()) => {
            format!("the stream is full: {refused}")
        }
        Some(refused) => format!("the stream refused the points: {refused}"),
        None => match error.kind() {
            PublishErrorKind::StreamNotFound => "there is no INGEST stream".to_owned(),
            _ => format!("the points could not be stored: {error}"),
        },
    }
}

/// Names a message by what it holds, within its organization: a request that comes again, because
/// its answer was lost, is stored once. Points of one series and one moment are one point, to
/// OpenTelemetry and Prometheus alike, so nothing else can have the same content.
fn message_id(org: &Org, message: &[u8]) -> String {
    format!("{org}-{:032x}", XxHash3_128::oneshot(message))
}

async fn tell(event: Event, metrics: Metrics) {
    match event {
        Event::Connected => {
            metrics.connected.set(1);
            tracing::info!("the gateway is connected to NATS");
        }
        Event::Disconnected => {
            metrics.connected.set(0);
            tracing::warn!("the gateway is disconnected from NATS");
        }
        other => tracing::warn!(event = %other, "NATS of the gateway"),
    }
}

fn read_password(path: &PathBuf) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(text.trim().to_owned())
}
