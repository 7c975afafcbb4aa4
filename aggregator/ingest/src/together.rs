//! Messages that are stored all or none, in INGEST: atomic batches of JetStream (ADR-50).
//!
//! A server with one replica writes a batch to its disk before it acknowledges it, and stores
//! nothing else meanwhile. So what is asked for while one batch is under way goes into the next one
//! together, and after each the server is left alone for twice as long.

use std::time::{Duration, Instant};

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::HeaderMap;
use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::publish::{describe, server_error};

/// Messages of a batch; a server takes 1,000.
const BATCH_MAX: usize = 1_000;
/// Bytes of a batch that takes no more groups.
const BATCH_BYTES: usize = 16 << 20;
/// Groups that wait; who comes then is told to come later.
const WAITING_MAX: usize = 1_024;
/// For each moment that a batch takes, the server is left alone for so many, up to a bound.
const PAUSES: u32 = 2;
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// A server that has too many batches under way is asked again, so often.
const AGAIN_AFTER: Duration = Duration::from_millis(10);
const ATTEMPTS: u32 = 20;
const ENDS: &str = "the gateway ends";

/// One message.
#[derive(Clone, Debug)]
pub struct Entry {
    pub subject: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Entry {
    /// Stored only if the newest message of its subject is this one; 0 for none.
    pub fn expecting(mut self, sequence: u64) -> Self {
        let header = "Nats-Expected-Last-Subject-Sequence";
        self.headers.push((header, sequence.to_string()));
        self
    }
}

/// Why a group is not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTogether {
    /// The stream has a message of a name that is among them.
    #[error("some of it is stored already")]
    Repeated,
    /// Another message is the newest of a subject than was expected.
    #[error("somebody else stored at the same time")]
    Outdated,
    #[error("too much is being stored at the moment")]
    Busy,
    /// Of so many messages no batch is made.
    #[error("{0} messages are too many to be stored at once")]
    TooMany(usize),
    /// Not stored, for certain.
    #[error("{0}")]
    Refused(String),
    /// Nobody knows whether it is stored.
    #[error("{0}")]
    Unknown(String),
}

/// Puts groups of messages into batches.
#[derive(Clone)]
pub struct Together {
    waiting: mpsc::Sender<Group>,
}

struct Group {
    entries: Vec<Entry>,
    until: Instant,
    answer: oneshot::Sender<Result<u64, NotTogether>>,
}

impl Group {
    /// Messages, and their bytes.
    fn size(&self) -> (usize, usize) {
        let bytes = self.entries.iter().map(|entry| entry.body.len()).sum();
        (self.entries.len(), bytes)
    }

    fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }

    fn answer(self, answer: Result<u64, NotTogether>) {
        // Whoever asked may have gone.
        let _ = self.answer.send(answer);
    }
}

impl Together {
    pub fn new(context: Context) -> Self {
        let (waiting, groups) = mpsc::channel(WAITING_MAX);
        tokio::spawn(Batches { context }.run(groups));
        Self { waiting }
    }

    /// Whether so many messages can be stored as one group.
    pub fn takes(messages: usize) -> Result<(), NotTogether> {
        match messages {
            0..=BATCH_MAX => Ok(()),
            more => Err(NotTogether::TooMany(more)),
        }
    }

    /// Stores a group of messages, and tells the sequence of the first one: the others follow it.
    pub async fn store(&self, entries: Vec<Entry>, within: Duration) -> Result<u64, NotTogether> {
        Self::takes(entries.len())?;
        let (answer, answered) = oneshot::channel();
        let until = Instant::now() + within;
        let group = Group {
            entries,
            until,
            answer,
        };
        self.waiting.try_send(group).map_err(|error| match error {
            TrySendError::Full(_) => NotTogether::Busy,
            TrySendError::Closed(_) => NotTogether::Refused(ENDS.to_owned()),
        })?;
        let ended = |_| NotTogether::Unknown(ENDS.to_owned());
        answered.await.map_err(ended)?
    }
}

struct Batches {
    context: Context,
}

impl Batches {
    async fn run(self, mut groups: mpsc::Receiver<Group>) {
        let mut next = None;
        while let Some(first) = match next.take() {
            Some(group) => Some(group),
            None => groups.recv().await,
        } {
            let mut batch = vec![first];
            let (mut length, mut bytes) = batch[0].size();
            while bytes < BATCH_BYTES {
                let Ok(group) = groups.try_recv() else { break };
                let (more, more_bytes) = group.size();
                (length, bytes) = (length + more, bytes + more_bytes);
                if length > BATCH_MAX {
                    next = Some(group);
                    break;
                }
                batch.push(group);
            }
            let began = Instant::now();
            self.store(batch).await;
            tokio::time::sleep((PAUSES * began.elapsed()).min(PAUSE_MAX)).await;
        }
    }

    /// Stores groups at once; if there is something about one of them, each by itself.
    async fn store(&self, groups: Vec<Group>) {
        let now = Instant::now();
        let (groups, late): (Vec<_>, Vec<_>) = groups.into_iter().partition(|it| it.until > now);
        for group in late {
            group.answer(Err(NotTogether::Busy));
        }
        let groups: Vec<_> = groups.into_iter().filter(Group::is_awaited).collect();
        let all: Vec<&Entry> = groups.iter().flat_map(|group| &group.entries).collect();
        let Some(until) = groups.iter().map(|group| group.until).max() else {
            return;
        };
        let mut first = self.publish(&all, until).await;
        let is_certain = !matches!(first, Ok(_) | Err(NotTogether::Unknown(_)));
        let apart = is_certain && groups.len() > 1;
        for group in groups {
            if apart {
                let entries: Vec<_> = group.entries.iter().collect();
                first = self.publish(&entries, group.until).await;
            }
            let length = group.entries.len() as u64;
            group.answer(first.clone());
            first = first.map(|sequence| sequence + length);
        }
    }

    /// Tells the sequence of the first message.
    async fn publish(&self, entries: &[&Entry], until: Instant) -> Result<u64, NotTogether> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let published = tokio::time::timeout_at(until.into(), self.try_publish(entries));
            let unknown = "the stream did not answer in time".to_owned();
            match published
                .await
                .unwrap_or(Err(NotTogether::Unknown(unknown)))
            {
                Err(NotTogether::Busy) if attempts < ATTEMPTS => {
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
                answer => return answer,
            }
        }
    }

    async fn try_publish(&self, entries: &[&Entry]) -> Result<u64, NotTogether> {
        let Some((last, before)) = entries.split_last() else {
            return Ok(0);
        };
        let client = self.context.client();
        // Nobody else has this name, so nobody else has its last part.
        let name = client.new_inbox();
        let name = name.rsplit('.').next().unwrap_or_default();
        let length = entries.len();
        let headers = |number: usize, entry: &Entry| {
            let mut headers = HeaderMap::new();
            if length > 1 {
                headers.insert("Nats-Batch-Id", name);
                headers.insert("Nats-Batch-Sequence", number.to_string());
            }
            for (header, value) in &entry.headers {
                headers.insert(*header, value.as_str());
            }
            headers
        };
        for (n, entry) in before.iter().enumerate() {
            let headers = headers(n + 1, entry);
            let subject = entry.subject.clone();
            let sent = client.publish_with_headers(subject, headers, entry.body.clone());
            let unsent = |error| NotTogether::Refused(format!("not sent: {error}"));
            sent.await.map_err(unsent)?;
        }
        let mut headers = headers(length, last);
        if length > 1 {
            headers.insert("Nats-Batch-Commit", "1");
        }
        let (subject, body) = (last.subject.clone(), last.body.clone());
        let sent = self.context.publish_with_headers(subject, headers, body);
        let answer = async { sent.await?.await };
        first_of(answer.await.map_err(|error| refused(&error))?, length)
    }
}

/// Where the first message of a batch is.
fn first_of(answer: PublishAck, length: usize) -> Result<u64, NotTogether> {
    if length > 1 && answer.batch_size != Some(length as u64) {
        let text = "the server of INGEST does not store batches as a whole";
        return Err(NotTogether::Unknown(text.to_owned()));
    }
    if answer.duplicate {
        return Err(NotTogether::Repeated);
    }
    Ok((answer.sequence + 1).saturating_sub(length as u64))
}

fn refused(error: &PublishError) -> NotTogether {
    let outdated = [
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE,
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT,
    ];
    // That there are too many is told to the first message of a batch, which nobody hears.
    let busy = [
        ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT,
        ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH,
    ];
    match server_error(error).map(async_nats::jetstream::Error::error_code) {
        Some(code) if outdated.contains(&code) => NotTogether::Outdated,
        Some(code) if busy.contains(&code) => NotTogether::Busy,
        Some(ErrorCode::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE) => NotTogether::Repeated,
        Some(_) => NotTogether::Refused(describe(error)),
        None => match error.kind() {
            PublishErrorKind::StreamNotFound | PublishErrorKind::MaxPayloadExceeded => {
                NotTogether::Refused(describe(error))
            }
            _ => NotTogether::Unknown(describe(error)),
        },
    }
}
