//! The thread that serves a partition: one message at a time, in stream order.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use ratchet_codec::payload::{validate, Header};
use tokio::sync::mpsc;

use super::fallback::{self, Arrival};
use super::instances::make_room;
use super::org::{OrgState, Runs, Start};
use super::outbox::{Gone, Outbox};
use super::publisher::Output;
use super::Input;
use crate::capture::Offer;
use crate::checkpoint::Checkpoint;
use crate::identity::Org;
use crate::late::{self, LateWindow};
use crate::merge::Tally;
use crate::metrics::{PartitionLag, UNKNOWN_ORG};
use crate::parts;
use crate::shared::Shared;
use crate::spread::Place;
use crate::traces::{Journey, Taken};
use crate::watermark::{refuse_time, Watermark};

/// Refusals that are about time; their messages are offered on the side stream.
const OUT_OF_REACH: [&str; 2] = ["future", "ancient"];
/// Stream time between two saves when nothing was emitted.
const SAVE_EVERY_MS: i64 = 5_000;

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
    last_save_ms: i64,
    place: Place,
    outbox: Outbox,
    lag: PartitionLag,
}

impl Worker {
    pub fn new(
        shared: Arc<Shared>,
        partition: u32,
        saved: Checkpoint,
        outputs: mpsc::Sender<Output>,
    ) -> Self {
        let place = Place {
            partition,
            partitions: shared.partitions,
        };
        Self {
            lag: shared.metrics.lag.of(partition, saved.tick_ms),
            shared,
            orgs: HashMap::new(),
            replay_until: saved.head,
            taken: saved.position - 1,
            head: saved.head,
            tick_ms: saved.tick_ms,
            last_save_ms: 0,
            place,
            outbox: Outbox {
                outputs,
                origin_ms: saved.origin_ms,
                place,
                unsaved: false,
            },
            saved,
        }
    }

    /// Serves until it is stopped or nobody feeds it any more.
    pub fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        while let Some(input) = inputs.blocking_recv() {
            let stored_ms = input.stored_ms();
            let served = match input {
                Input::Message {
                    sequence,
                    received_us,
                    subject,
                    payload,
                    trace,
                    permit,
                } => {
                    let received_ms = received_us.div_euclid(1_000);
                    let served = self.message(sequence, received_ms, &subject, payload, trace);
                    drop(permit);
                    if sequence > self.replay_until {
                        self.shared.metrics.latency_since(received_us);
                    }
                    served
                }
                Input::Part {
                    sequence,
                    received_ms,
                    message,
                    permit,
                } => {
                    let served = self.part(sequence, received_ms, message);
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
                tracing::error!(partition = self.place.partition, "the publisher is gone");
                return;
            }
            if let Some(stored_ms) = stored_ms {
                self.lag.served(stored_ms);
            }
        }
        // A stop saves what is settled, so that the next owner reads as little as it can.
        let _ = self.outbox.save(self.snapshot());
    }

    fn message(
        &mut self,
        sequence: u64,
        received_ms: i64,
        subject: &str,
        payload: Bytes,
        mut trace: Option<Box<Journey>>,
    ) -> Result<(), Gone> {
        let replayed = sequence <= self.replay_until;
        self.taken = sequence;
        self.head = self.head.max(sequence);
        let name = subject.rsplit('.').next().unwrap_or_default();
        if let Some(journey) = &mut trace {
            journey.taken(&self.turn(name, sequence, &payload));
        }
        let header = match self.admit(name, received_ms, &payload) {
            Ok(header) => header,
            Err((label, reason)) if !replayed => {
                self.refuse(label, reason);
                if let Some(mut journey) = trace {
                    journey.refused(reason);
                }
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
        org.journey = trace;
        let (runs, late) = self.serve(&mut org, &arrival);
        let ran = !runs.here.is_empty();
        if !replayed {
            self.capture(&mut org, &arrival, received_ms);
            if runs.elsewhere {
                self.refuse(name, late::MISROUTED);
            } else if !ran {
                self.refuse(name, "unconfigured");
            }
        }
        if ran {
            org.watermark.message(header.max_ts, received_ms);
        }
        org.trace_merged(&header);
        let closed = org.close();
        let mut emitted = self.outbox.emit(&org, sequence, closed);
        let offered = if !late.is_empty() {
            Some(late::late_headers(&late))
        } else if runs.elsewhere && !replayed {
            Some(late::refused_headers(late::MISROUTED))
        } else {
            None
        };
        if let Some(headers) = offered {
            emitted = emitted.and_then(|()| self.outbox.late(&org.org, sequence, headers, payload));
        }
        self.orgs.insert(org.org.clone(), org);
        emitted
    }

    /// What a trace says of a message whose turn it is.
    fn turn<'a>(&self, org: &'a str, sequence: u64, payload: &Bytes) -> Taken<'a> {
        Taken {
            org,
            partition: self.place.partition,
            sequence,
            bytes: payload.len(),
        }
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
                let headers = late::refused_headers(reason);
                self.outbox.late(&org, sequence, headers, payload)
            }
            _ => Ok(()),
        }
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
        let parts_ms = self.saved.parts_ms.remove(org.as_str());
        let start = Start {
            watermark: Watermark::start(saved_ms, self.tick_ms),
            parts_ms: parts_ms.unwrap_or_default(),
        };
        let state = OrgState::new(&self.shared, org.clone(), self.place, start);
        self.orgs.insert(org, state);
    }

    /// Runs a message on every configuration that it concerns; with them, the closed windows that
    /// it missed.
    fn serve(&mut self, org: &mut OrgState, arrival: &Arrival<'_>) -> (Runs, Vec<LateWindow>) {
        let runs = org.runs(arrival.header.min_ts, arrival.header.max_ts);
        let mut late = Vec::new();
        for (index, span) in &runs.here {
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
        if !arrival.replayed && !runs.here.is_empty() {
            org.metrics.messages.inc();
            org.metrics.points.inc_by(u64::from(arrival.header.points));
        }
        (runs, late)
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

    /// Takes in what a partition says of an organization whose home is here.
    fn part(
        &mut self,
        sequence: u64,
        received_ms: i64,
        message: async_nats::Message,
    ) -> Result<(), Gone> {
        let replayed = sequence <= self.replay_until;
        self.taken = sequence;
        self.head = self.head.max(sequence);
        let Some((name, source)) = parts::sender(&message.subject) else {
            return Ok(());
        };
        if !self.orgs.contains_key(name) {
            match Org::parse(name) {
                Ok(org) => self.add_org(org),
                Err(_) => return Ok(()),
            }
        }
        let Some(mut org) = self.orgs.remove(name) else {
            return Ok(());
        };
        org.refresh(&self.shared, received_ms);
        org.replaying = replayed;
        let told = parts::read(message.headers.as_ref(), message.payload)
            .and_then(|part| org.part(&self.shared, source, sequence, part));
        let emitted = match told {
            Ok(closed) => self.outbox.emit(&org, sequence, closed),
            // Read again, what was folded before comes late.
            Err(_) if replayed => Ok(()),
            Err(reason) => {
                tracing::error!(org = %org.org, source, reason, "a part of a window is left out");
                self.refuse(org.org.as_str(), reason);
                Ok(())
            }
        };
        self.orgs.insert(org.org.clone(), org);
        emitted
    }

    fn tick(&mut self, sequence: u64, received_ms: i64) -> Result<(), Gone> {
        self.taken = sequence;
        self.head = self.head.max(sequence);
        self.tick_ms = Some(
            self.tick_ms
                .map_or(received_ms, |tick| tick.max(received_ms)),
        );
        self.add_spread_orgs();
        let mut orgs = std::mem::take(&mut self.orgs);
        let mut emitted = Ok(());
        for org in orgs.values_mut() {
            org.refresh(&self.shared, received_ms);
            org.watermark.tick(received_ms);
            org.replaying = sequence <= self.replay_until;
            let closed = org.close_and_tell();
            org.tell_state();
            emitted = emitted.and_then(|()| self.outbox.emit(org, sequence, closed));
        }
        self.orgs = orgs;
        emitted?;
        let due = received_ms.saturating_sub(self.last_save_ms) >= SAVE_EVERY_MS;
        if self.outbox.unsaved || due {
            self.last_save_ms = received_ms;
            self.outbox.save(self.snapshot())?;
        }
        Ok(())
    }

    /// A part of an organization tells its time also when it never had a message.
    fn add_spread_orgs(&mut self) {
        for org in self.shared.directory.spread_organizations() {
            let chronicle = self.shared.directory.chronicle(&org);
            let spread = chronicle.map_or(1, |chronicle| chronicle.spread_max());
            if !self.orgs.contains_key(org.as_str()) && self.place.serves(&org, spread) {
                self.add_org(org);
            }
        }
    }

    /// Where reading would have to start again, and what is closed by then.
    fn snapshot(&self) -> Checkpoint {
        let open = self
            .orgs
            .values()
            .filter_map(OrgState::first_sequence)
            .min();
        let mut times_ms: BTreeMap<String, i64> = self.saved.times_ms.clone();
        let live = self
            .orgs
            .values()
            .map(|org| (org.org.to_string(), org.watermark.ms()));
        times_ms.extend(live);
        // The tick alone puts an organization there.
        times_ms.retain(|_, time_ms| Some(*time_ms) > self.tick_ms);
        let mut parts_ms = self.saved.parts_ms.clone();
        let gathered = self.orgs.values();
        let gathered = gathered.map(|org| (org.org.to_string(), org.parts_ms().clone()));
        parts_ms.extend(gathered.filter(|(_, parts_ms)| !parts_ms.is_empty()));
        Checkpoint {
            position: open.unwrap_or(self.taken + 1),
            head: self.head,
            tick_ms: self.tick_ms,
            times_ms,
            parts_ms,
            ..self.saved.clone()
        }
    }

    fn refuse(&self, org: &str, reason: &str) {
        self.shared.metrics.refuse(org, reason);
    }
}
