//! What a worker gives out: each emission with its place in the order that the stream fixes.

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::lane::Outgoing;
use super::org::{Closed, OrgState};
use super::publisher::Output;
use crate::checkpoint::Checkpoint;
use crate::emit::EmittedMessage;
use crate::identity::Org;
use crate::late;
use crate::parts;
use crate::position::Position;
use crate::spread::Place;
use crate::traces::{traceparent, Spans};

const AGGREGATES: &str = "AGGREGATES";

/// The publisher is gone: nothing more can be emitted.
pub struct Gone;

pub struct Outbox {
    pub outputs: mpsc::Sender<Output>,
    pub origin_ms: i64,
    pub place: Place,
    /// Whether something was emitted since the last save.
    pub unsaved: bool,
    /// How long it has waited for the publisher.
    pub blocked: Duration,
}

impl Outbox {
    /// Emits what one input closed for one organization.
    pub fn emit(&mut self, org: &OrgState, cause: u64, closed: Closed) -> Result<(), Gone> {
        let Closed {
            whole,
            parts,
            time_ms,
        } = closed;
        for (part, message) in (0..).zip(whole) {
            self.points(org, AGGREGATES, message, self.position(cause, part))?;
        }
        let mut part = 0;
        for message in parts {
            self.points(org, parts::STREAM, message, self.position(cause, part))?;
            part += 1;
        }
        let Some(time_ms) = time_ms else {
            return Ok(());
        };
        // Read again, a time says nothing new: it is no reason to save.
        let outgoing = Outgoing {
            stream: parts::STREAM,
            subject: parts::subject(&org.org, self.place),
            position: self.position(cause, part),
            headers: parts::time_headers(time_ms),
            body: Bytes::new(),
            spans: Spans::new(),
        };
        self.send(Output::Emit(outgoing))
    }

    /// Offers a message on the side stream.
    pub fn late(
        &mut self,
        org: &Org,
        cause: u64,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(), Gone> {
        self.unsaved = true;
        self.send(Output::Emit(Outgoing {
            stream: late::STREAM,
            subject: late::subject(org, self.place),
            position: self.position(cause, 0),
            headers,
            body,
            spans: Spans::new(),
        }))
    }

    pub fn save(&mut self, checkpoint: Checkpoint) -> Result<(), Gone> {
        self.unsaved = false;
        self.send(Output::Save(checkpoint))
    }

    fn points(
        &mut self,
        org: &OrgState,
        stream: &'static str,
        message: EmittedMessage,
        position: Position,
    ) -> Result<(), Gone> {
        let spans = org.origins.emission(&message);
        let mut headers = message.headers();
        if let Some(parent) = traceparent(&spans) {
            headers.insert("traceparent", parent);
        }
        if let Some(installed) = org.installed(message.configuration) {
            headers.insert("Ratchet-Module", installed.digest.to_string());
            headers.insert("Ratchet-Version", installed.version.to_string());
        }
        self.unsaved = true;
        self.send(Output::Emit(Outgoing {
            stream,
            subject: message.subject,
            position,
            headers,
            body: message.body,
            spans,
        }))
    }

    fn position(&self, cause: u64, part: u32) -> Position {
        Position {
            origin_ms: self.origin_ms,
            cause,
            part,
        }
    }

    fn send(&mut self, output: Output) -> Result<(), Gone> {
        let output = match self.outputs.try_send(output) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(output)) => output,
            Err(TrySendError::Closed(_)) => return Err(Gone),
        };
        let began = Instant::now();
        let sent = self.outputs.blocking_send(output);
        self.blocked += began.elapsed();
        sent.map_err(|_| Gone)
    }
}
