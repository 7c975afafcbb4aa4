//! The thread that serves a partition: one message at a time, in stream order.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_nats::HeaderMap;
use bytes::Bytes;
use ratchet_codec::payload::{validate, Header};
use tokio::sync::mpsc;

use super::fallback::{self, Arrival};
use super::instances::make_room;
use super::lane::Outgoing;
use super::org::OrgState;
use super::publisher::Output;
use super::Input;
use crate::capture::Offer;
use crate::checkpoint::Checkpoint;
use crate::emit::EmittedMessage;
use crate::identity::Org;
use crate::late::{self, LateWindow};
use crate::merge::Tally;
use crate::metrics::{PartitionLag, UNKNOWN_ORG};
use crate::position::Position;
use crate::shared::Shared;
use crate::watermark::{refuse_time, Watermark};

const AGGREGATES: &str = "AGGREGATES";
/// Refusals that are about time; their messages are offered on the side stream.
const OUT_OF_REACH: [&str; 2] = ["future", "ancient"];
/// Stream time between two saves when nothing was emitted.
const SAVE_EVERY_MS: i64 = 5_000;

/// The publisher is gone: nothing more can be emitted.
struct Gone;

pub struct Worker {
    shared: Arc<Shared>,
    orgs: HashMap<Org, OrgState>,
    /// What was saved when this owner started; `position` and `times_ms` are used up.
    saved: Checkpoint,
    /// Up to here, messages are read a second time: they rebuild windows and count for nothing.
    replay_until: u64,
    /// The newest message taken in by this process, and by any.
    taken: u64,
    head: u64,
    tick_ms: Option<i64>,
    emitted_since_save: bool,
    last_save_ms: i64,
    outputs: mpsc::Sender<Output>,
    partition: u32,
    lag: PartitionLag,
}

impl Worker {
    pub fn new(
        shared: Arc<Shared>,
        partition: u32,
        saved: Checkpoint,
        outputs: mpsc::Sender<Output>,
    ) -> Self {
        Self {
            lag: shared.metrics.lag.of(partition, saved.tick_ms),
            shared,
            orgs: HashMap::new(),
            replay_until: saved.head,
            taken: saved.position - 1,
            head: saved.head,
            tick_ms: saved.tick_ms,
            emitted_since_save: false,
            last_save_ms: 0,
            saved,
            outputs,
            partition,
        }
    }

    /// Serves until it is stopped or nobody feeds it any more.
    pub fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        while let Some(input) = inputs.blocking_recv() {
            let stored_ms = input.stored_ms();
            let served = match input {
                Input::Message {
                    sequence,
                    received_ms,
                    subject,
                    payload,
                    permit,
                } => {
                    let served = self.message(sequence, received_ms, &subject, payload);
                    drop(permit);
                    served
                }
                Input::Tick {
                    sequence,
                    received_ms,
                } => self.tick(sequence, received_ms),
                Input::Refresh(done) => {
                    let orgs = self.orgs.values_mut();
                    orgs.for_each(|org| org.refresh_modules(&self.shared));
                    let _ = done.send(());
                    Ok(())
                }
                Input::Stop => break,
            };
            if served.is_err() {
                tracing::error!(partition = self.partition, "the publisher is gone");
                return;
            }
            if let Some(stored_ms) = stored_ms {
                self.lag.served(stored_ms);
            }
        }
        // A stop saves what is settled, so that the next owner reads as little as it can.
        let _ = self.save();
    }

    fn message(
        &mut self,
        sequence: u64,
        received_ms: i64,
        subject: &str,
        payload: Bytes,
    ) -> Result<(), Gone> {
        let replayed = sequence <= self.replay_until;
        self.taken = sequence;
        self.head = self.head.max(sequence);
        let name = subject.rsplit('.').next().unwrap_or_default();
        let header = match self.admit(name, received_ms, &payload) {
            Ok(header) => header,
            Err((label, reason)) if !replayed => {
                self.refuse(label, reason);
                return self.offer_refused(label, reason, sequence, payload);
            }
            Err(_) => return Ok(()),
        };
        let Some(mut org) = self.orgs.remove(name) else {
            return Ok(());
        };
        let arrival = Arrival {
            sequence,
            payload: &payload,
            header: &header,
            replayed,
        };
        org.replaying = replayed;
        let (ran, late) = self.serve(&mut org, &arrival);
        if !replayed {
            self.capture(&mut org, &arrival, received_ms);
            if !ran {
                self.refuse(name, "unconfigured");
            }
        }
        if ran {
            org.watermark.message(header.max_ts, received_ms);
        }
        let closed = org.close();
        let mut emitted = self.emit(&org, sequence, closed);
        if !late.is_empty() {
            let headers = late::late_headers(&late);
            emitted = emitted.and_then(|()| self.offer_late(&org.org, sequence, headers, payload));
        }
        self.orgs.insert(org.org.clone(), org);
        emitted
    }

    /// Offers a message that came at an impossible time on the side stream.
    fn offer_refused(
        &mut self,
        name: &str,
        reason: &str,
        sequence: u64,
        payload: Bytes,
    ) -> Result<(), Gone> {
        let out_of_reach = self.orgs.contains_key(name) && OUT_OF_REACH.contains(&reason);
        match Org::parse(name) {
            Ok(org) if out_of_reach => {
                self.offer_late(&org, sequence, late::refused_headers(reason), payload)
            }
            _ => Ok(()),
        }
    }

    fn offer_late(
        &mut self,
        org: &Org,
        sequence: u64,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(), Gone> {
        self.send(Outgoing {
            stream: late::STREAM,
            subject: late::subject(org),
            position: self.position(sequence, 0),
            headers,
            body,
        })
    }

    fn position(&self, cause: u64, part: u32) -> Position {
        Position {
            origin_ms: self.saved.origin_ms,
            cause,
            part,
        }
    }

    fn send(&mut self, outgoing: Outgoing) -> Result<(), Gone> {
        self.emitted_since_save = true;
        self.outputs
            .blocking_send(Output::Emit(outgoing))
            .map_err(|_| Gone)
    }

    /// Checks a message, and makes its organization ready to serve it. What it refuses comes with
    /// the organization's label and the reason.
    fn admit<'a>(
        &mut self,
        name: &'a str,
        received_ms: i64,
        payload: &Bytes,
    ) -> Result<Header, (&'a str, &'static str)> {
        if !self.orgs.contains_key(name) {
            let org = Org::parse(name).map_err(|_| (UNKNOWN_ORG, "organization"))?;
            if self.shared.directory.chronicle(&org).is_none() {
                return Err((UNKNOWN_ORG, "unconfigured"));
            }
            self.add_org(org);
        }
        let header = match validate(payload) {
            Ok(header) => header,
            Err(error) => {
                tracing::debug!(org = name, %error, "malformed message");
                return Err((name, error.reason()));
            }
        };
        if let Some(reason) = refuse_time(header.min_ts, header.max_ts, received_ms) {
            return Err((name, reason));
        }
        if let Some(org) = self.orgs.get_mut(name) {
            org.refresh(&self.shared, received_ms);
        }
        Ok(header)
    }

    fn add_org(&mut self, org: Org) {
        let saved_ms = self.saved.times_ms.remove(org.as_str());
        let watermark = Watermark::start(saved_ms, self.tick_ms);
        let state = OrgState::new(&self.shared, org.clone(), watermark);
        self.orgs.insert(org, state);
    }

    /// Runs a message on every configuration that it concerns: whether there is one, and the closed
    /// windows that it missed.
    fn serve(&mut self, org: &mut OrgState, arrival: &Arrival<'_>) -> (bool, Vec<LateWindow>) {
        let runs = org.runs(arrival.header.min_ts, arrival.header.max_ts);
        let mut late = Vec::new();
        for (index, span) in &runs {
            self.claim_instances(org, *index, arrival.sequence);
            match fallback::serve(&self.shared, org, *index, *span, arrival) {
                Ok(tally) if !arrival.replayed => late.extend(self.count(org, *index, &tally)),
                Ok(_) => {}
                Err(reason) => {
                    tracing::error!(org = %org.org, reason, "the baseline failed on a message");
                    self.refuse(org.org.as_str(), "baseline-fault");
                }
            }
        }
        if !arrival.replayed && !runs.is_empty() {
            org.metrics.messages.inc();
            org.metrics.points.inc_by(u64::from(arrival.header.points));
        }
        (!runs.is_empty(), late)
    }

    /// Notes that a configuration is in use; idle ones make room for it if they must.
    fn claim_instances(&mut self, org: &mut OrgState, index: usize, sequence: u64) {
        if !org.served[index].live {
            let others = self.orgs.values_mut().flat_map(|other| &mut other.served);
            make_room(others.chain(&mut org.served), self.shared.instances_max);
        }
        let served = &mut org.served[index];
        (served.live, served.last_used) = (true, sequence);
    }

    /// Counts what became of a message's records; returns the closed windows that it missed.
    fn count(&self, org: &OrgState, index: usize, tally: &Tally) -> Vec<LateWindow> {
        org.metrics.records.inc_by(tally.records);
        let served = &org.served[index];
        served.count(tally);
        late::windows(&served.configuration, &tally.late)
    }

    fn capture(&self, org: &mut OrgState, arrival: &Arrival<'_>, received_ms: i64) {
        let Some(configuration) = org.timeline().serving(arrival.header.max_ts) else {
            return;
        };
        let offer = Offer {
            org: &org.org,
            configuration: configuration.digest,
            sequence: arrival.sequence,
            received_ms,
            payload: arrival.payload,
            header: arrival.header,
        };
        self.shared.capture.offer(&offer, &mut org.budget);
    }

    fn tick(&mut self, sequence: u64, received_ms: i64) -> Result<(), Gone> {
        self.taken = sequence;
        self.head = self.head.max(sequence);
        self.tick_ms = Some(
            self.tick_ms
                .map_or(received_ms, |tick| tick.max(received_ms)),
        );
        let mut orgs = std::mem::take(&mut self.orgs);
        let mut emitted = Ok(());
        for org in orgs.values_mut() {
            org.refresh(&self.shared, received_ms);
            org.watermark.tick(received_ms);
            org.replaying = sequence <= self.replay_until;
            let closed = org.close();
            org.tell_state();
            emitted = emitted.and_then(|()| self.emit(org, sequence, closed));
        }
        self.orgs = orgs;
        emitted?;
        let due = received_ms.saturating_sub(self.last_save_ms) >= SAVE_EVERY_MS;
        if self.emitted_since_save || due {
            self.last_save_ms = received_ms;
            self.emitted_since_save = false;
            self.save()?;
        }
        Ok(())
    }

    /// Emits what one input closed for one organization.
    fn emit(
        &mut self,
        org: &OrgState,
        cause: u64,
        messages: Vec<EmittedMessage>,
    ) -> Result<(), Gone> {
        for (part, message) in (0u32..).zip(messages) {
            let mut headers = HeaderMap::new();
            let end_ms = message.start_ms + i64::from(message.window_ms);
            headers.insert("Ratchet-Window-End", end_ms.to_string());
            headers.insert("Ratchet-Window", message.window_ms.to_string());
            if let Some(digest) = message.configuration {
                headers.insert("Ratchet-Configuration", digest.to_string());
            }
            if let Some(installed) = org.installed(message.configuration) {
                headers.insert("Ratchet-Module", installed.module.digest());
                headers.insert("Ratchet-Version", installed.version.to_string());
            }
            self.send(Outgoing {
                stream: AGGREGATES,
                subject: message.subject,
                position: self.position(cause, part),
                headers,
                body: message.body,
            })?;
        }
        Ok(())
    }

    fn save(&self) -> Result<(), Gone> {
        self.outputs
            .blocking_send(Output::Save(self.snapshot()))
            .map_err(|_| Gone)
    }

    /// Where reading would have to start again, and what is closed by then.
    fn snapshot(&self) -> Checkpoint {
        let open = self
            .orgs
            .values()
            .filter_map(|org| org.merger.first_sequence())
            .min();
        let mut times_ms: BTreeMap<String, i64> = self.saved.times_ms.clone();
        let live = self
            .orgs
            .values()
            .map(|org| (org.org.to_string(), org.watermark.ms()));
        times_ms.extend(live);
        // The tick alone puts an organization there.
        times_ms.retain(|_, time_ms| Some(*time_ms) > self.tick_ms);
        Checkpoint {
            position: open.unwrap_or(self.taken + 1),
            head: self.head,
            tick_ms: self.tick_ms,
            times_ms,
            ..self.saved.clone()
        }
    }

    fn refuse(&self, org: &str, reason: &str) {
        self.shared.metrics.refuse(org, reason);
    }
}
