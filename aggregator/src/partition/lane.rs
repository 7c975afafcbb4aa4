//! One output subject, as the one writer sees it that may write there.
//!
//! Emissions of a subject have places that rise ([`Position`]). A writer knows the last message of
//! the subject: it leaves out what is there already, and publishes the next one only if that last
//! message still is the last (`Nats-Expected-Last-Subject-Sequence`). Hence, whoever writes and
//! however often, a subject holds a prefix of the one sequence that the input stream determines:
//!
//! - an acknowledgement that was lost: the message is found to be there;
//! - a new owner that reads the stream again: what its predecessor emitted is found to be there;
//! - a predecessor that wakes up late: its message is refused, because others came after; or it is
//!   the very next one, and then it is the new owner that finds it there.

use std::time::Duration;

use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::jetstream::{self};
use async_nats::HeaderMap;
use bytes::Bytes;
use prometheus_client::metrics::histogram::Histogram;

use crate::nats::{reconnected, Connections};
use crate::position::Position;
use crate::traces::Spans;

pub const POSITION: &str = "Ratchet-Position";
pub const EPOCH: &str = "Ratchet-Epoch";
pub const PARTITION: &str = "Ratchet-Partition";

const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// An answer that does not come within this is looked up instead.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A message ready to be published.
pub struct Outgoing {
    pub stream: &'static str,
    pub subject: String,
    pub position: Position,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// They end with the delivery, by being dropped.
    pub spans: Spans,
}

/// Another owner has the partition by now.
#[derive(Debug, thiserror::Error)]
#[error("epoch {theirs} has written; this is epoch {ours}")]
pub struct Fenced {
    pub theirs: u64,
    pub ours: u64,
}

/// What every lane of a partition writes with.
#[derive(Clone)]
pub struct Writer {
    pub context: jetstream::Context,
    pub connections: Connections,
    pub partition: u32,
    pub epoch: u64,
    pub publish_seconds: Histogram,
}

/// The last message of a subject; sequence 0 when there is none.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    sequence: u64,
    position: Option<Position>,
    epoch: u64,
}

enum Sent {
    Stored(u64),
    /// The stream knows the id already.
    Known,
    /// Another message came first.
    Overtaken,
    /// No answer, or an error: it may be there or not.
    Unsure(String),
}

#[derive(Default)]
pub struct Lane {
    last: Option<Last>,
}

impl Lane {
    /// Returns once the message is in its stream, put there now or before.
    pub async fn deliver(&mut self, writer: &Writer, message: &Outgoing) -> Result<(), Fenced> {
        let mut delay = RETRY_FIRST;
        let mut known_by_id = false;
        loop {
            let last = match self.last {
                Some(last) => last,
                None => writer.last(message).await,
            };
            self.last = Some(last);
            if last.epoch > writer.epoch {
                let (theirs, ours) = (last.epoch, writer.epoch);
                return Err(Fenced { theirs, ours });
            }
            let there = last.position.is_some_and(|p| p >= message.position);
            // By its id alone: it was there, and the stream's limits removed it since.
            if there || known_by_id {
                return Ok(());
            }
            match writer.send(message, last.sequence).await {
                Sent::Stored(sequence) => {
                    self.last = Some(Last {
                        sequence,
                        position: Some(message.position),
                        epoch: writer.epoch,
                    });
                    return Ok(());
                }
                Sent::Known => known_by_id = true,
                Sent::Overtaken => {}
                Sent::Unsure(error) => {
                    tracing::warn!(subject = message.subject, error, "emission is looked up");
                    tokio::time::sleep(delay).await;
                    delay = (2 * delay).min(RETRY_MAX);
                }
            }
            self.last = None;
        }
    }
}

impl Writer {
    /// Asks for the last message of a subject until there is an answer. Only the leader of a stream
    /// answers this; a copy could be behind.
    async fn last(&self, message: &Outgoing) -> Last {
        let mut delay = RETRY_FIRST;
        loop {
            match self.last_once(message).await {
                Ok(last) => return last,
                Err(error) => {
                    tracing::warn!(
                        subject = message.subject,
                        error,
                        "the last emission is asked"
                    );
                }
            }
            tokio::time::sleep(delay).await;
            delay = (2 * delay).min(RETRY_MAX);
        }
    }

    async fn last_once(&self, message: &Outgoing) -> Result<Last, String> {
        let stream = self.context.get_stream_no_info(message.stream).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let found = stream.get_last_raw_message_by_subject(&message.subject);
        match found.await {
            Ok(found) => {
                let text = |name: &str| Some(found.headers.get(name)?.as_str().to_owned());
                Ok(Last {
                    sequence: found.sequence,
                    position: text(POSITION).and_then(|text| text.parse().ok()),
                    epoch: text(EPOCH).and_then(|text| text.parse().ok()).unwrap_or(0),
                })
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                Ok(Last::default())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn send(&self, message: &Outgoing, after: u64) -> Sent {
        let mut headers = message.headers.clone();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, after.to_string());
        let id = format!("{}/{}", message.subject, message.position);
        headers.insert(NATS_MESSAGE_ID, id);
        headers.insert(POSITION, message.position.to_string());
        headers.insert(EPOCH, self.epoch.to_string());
        headers.insert(PARTITION, self.partition.to_string());
        // Whatever was sent on an old connection may never be answered.
        let mut connections = self.connections.subscribe();
        let sent = self.context.publish_with_headers(
            message.subject.clone(),
            headers,
            message.body.clone(),
        );
        let answer = async { sent.await?.await };
        let answer = tokio::select! {
            answer = tokio::time::timeout(ANSWER_WITHIN, answer) => answer,
            () = reconnected(&mut connections) => {
                return Sent::Unsure("the connection was made anew".to_owned());
            }
        };
        match answer {
            Err(_) => Sent::Unsure("no answer".to_owned()),
            Ok(Ok(ack)) if ack.duplicate => Sent::Known,
            Ok(Ok(ack)) => Sent::Stored(ack.sequence),
            Ok(Err(error)) if error.kind() == PublishErrorKind::WrongLastSequence => {
                Sent::Overtaken
            }
            Ok(Err(error)) => Sent::Unsure(error.to_string()),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use async_nats::ConnectOptions;
    use prometheus_client::metrics::histogram::exponential_buckets;

    use super::*;

    /// Far more than it takes to decide by what is known.
    const AT_ONCE: Duration = Duration::from_secs(10);

    /// A writer of an epoch that reaches no server.
    pub async fn writer(epoch: u64) -> Writer {
        let options = ConnectOptions::new().retry_on_initial_connect();
        let client = options.connect("127.0.0.1:1").await.unwrap();
        Writer {
            context: jetstream::new(client),
            connections: Connections::default(),
            partition: 0,
            epoch,
            publish_seconds: Histogram::new(exponential_buckets(1.0, 2.0, 2)),
        }
    }

    /// A lane whose subject ends with an emission of an epoch.
    pub fn lane(epoch: u64, cause: u64) -> Lane {
        Lane {
            last: Some(Last {
                sequence: 1,
                position: Some(position(cause)),
                epoch,
            }),
        }
    }

    pub fn outgoing(cause: u64) -> Outgoing {
        Outgoing {
            stream: "AGGREGATES",
            subject: "aggregates.acme".to_owned(),
            position: position(cause),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            spans: Spans::new(),
        }
    }

    fn position(cause: u64) -> Position {
        Position {
            origin_ms: 0,
            cause,
            part: 0,
        }
    }

    #[tokio::test]
    async fn whoever_sees_a_higher_epoch_stops() {
        let writer = writer(6).await;
        for (theirs, cause, expected) in [
            (5, 10, Ok(())),
            (6, 11, Ok(())),
            // It stops also where its emission is there already: the successor's.
            (7, 10, Err((7, 6))),
            (7, 9, Err((7, 6))),
        ] {
            let (mut lane, message) = (lane(theirs, cause), outgoing(10));
            let delivered = tokio::time::timeout(AT_ONCE, lane.deliver(&writer, &message)).await;
            let delivered = delivered.expect("nothing is sent");
            let told = delivered.map_err(|fenced| (fenced.theirs, fenced.ours));
            assert_eq!(told, expected, "epoch {theirs} at {cause}");
        }
    }
}
