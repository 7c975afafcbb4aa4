//! The thread that serves a partition: one message at a time, each organization's in stream order.

mod message;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::instances::Instances;
use super::org::{OrgState, Start};
use super::outbox::{Gone, Outbox};
use super::publisher::Output;
use super::turns::Turns;
use super::Input;
use crate::checkpoint::Checkpoint;
use crate::identity::Org;
use crate::metrics::PartitionLag;
use crate::parts;
use crate::shared::Shared;
use crate::spread::Place;
use crate::watermark::Watermark;

/// Messages that wait for their turn; more wait in the channel, in stream order. The more there
/// are, the more of one organization are served at a time: its state is fetched from memory once
/// for all of them.
const WAITING_MAX: usize = 8192;
/// Stream time between two saves when nothing was emitted.
const SAVE_EVERY_MS: i64 = 5_000;

pub struct Worker {
    shared: Arc<Shared>,
    /// Boxed: a message takes one out and puts it back.
    orgs: HashMap<Org, Box<OrgState>>,
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
    instances: Instances,
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
            instances: Instances::default(),
            outbox: Outbox {
                outputs,
                origin_ms: saved.origin_ms,
                place,
                unsaved: false,
            },
            saved,
        }
    }

    /// Serves until it is stopped or nobody feeds it any more. What waits is served in turns; a
    /// tick comes after everything that was before it in the stream.
    pub fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let mut turns = Turns::default();
        loop {
            let input = match turns.len() {
                0 => inputs.blocking_recv(),
                WAITING_MAX.. => None,
                _ => inputs.try_recv().ok(),
            };
            let served = match input {
                Some(input @ (Input::Message { .. } | Input::Part { .. })) => {
                    self.queue(&mut turns, input);
                    Ok(())
                }
                Some(Input::Tick {
                    sequence,
                    received_ms,
                }) => {
                    let served = self.serve_waiting(&mut turns);
                    let ticked = served.and_then(|()| self.tick(sequence, received_ms));
                    self.lag.served(received_ms);
                    ticked
                }
                Some(Input::Save) => {
                    let served = self.serve_waiting(&mut turns);
                    served.and_then(|()| self.outbox.save(self.snapshot()))
                }
                Some(Input::Refresh(done)) => {
                    let orgs = self.orgs.values_mut();
                    orgs.for_each(|org| org.refresh_modules(&self.shared));
                    let _ = done.send(());
                    Ok(())
                }
                None if !turns.is_empty() => self.serve_next(&mut turns),
                Some(Input::Stop) | None => break,
            };
            if served.is_err() {
                tracing::error!(partition = self.place.partition, "the publisher is gone");
                return;
            }
        }
        // A stop saves what is settled, so that the next owner reads as little as it can.
        let served = self.serve_waiting(&mut turns);
        let _ = served.and_then(|()| self.outbox.save(self.snapshot()));
    }

    fn queue(&self, turns: &mut Turns<Input>, input: Input) {
        let subject = match &input {
            Input::Message { subject, .. } => subject.clone(),
            Input::Part { message, .. } => message.subject.clone(),
            Input::Tick { .. } | Input::Save | Input::Refresh(_) | Input::Stop => return,
        };
        let org = match parts::sender(&subject) {
            Some((org, _)) => org,
            None => subject.rsplit('.').next().unwrap_or_default(),
        };
        turns.push(org, || self.shared.limits.of(org).weight, input);
    }

    fn serve_waiting(&mut self, turns: &mut Turns<Input>) -> Result<(), Gone> {
        while !turns.is_empty() {
            self.serve_next(turns)?;
        }
        turns.forget_idle();
        Ok(())
    }

    fn serve_next(&mut self, turns: &mut Turns<Input>) -> Result<(), Gone> {
        let Some(input) = turns.next() else {
            return Ok(());
        };
        let (started, stored_ms) = (Instant::now(), input.stored_ms());
        let served = self.serve_input(input);
        if let Some(stored_ms) = stored_ms {
            self.lag.served(stored_ms);
        }
        turns.used(i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX));
        served
    }

    fn serve_input(&mut self, input: Input) -> Result<(), Gone> {
        match input {
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
            Input::Tick { .. } | Input::Save | Input::Refresh(_) | Input::Stop => Ok(()),
        }
    }

    /// Notes how far the stream was taken in. Messages of different organizations may come in
    /// another order; what is saved is saved when all up to a tick are done.
    fn take_in(&mut self, sequence: u64) {
        self.taken = self.taken.max(sequence);
        self.head = self.head.max(sequence);
    }

    fn add_org(&mut self, org: Org) {
        let saved_ms = self.saved.times_ms.remove(org.as_str());
        let parts_ms = self.saved.parts_ms.remove(org.as_str());
        let start = Start {
            watermark: Watermark::start(saved_ms, self.tick_ms),
            parts_ms: parts_ms.unwrap_or_default(),
        };
        let state = OrgState::new(&self.shared, org.clone(), self.place, start);
        self.orgs.insert(org, Box::new(state));
    }

    /// Takes in what a partition says of an organization whose home is here.
    fn part(
        &mut self,
        sequence: u64,
        received_ms: i64,
        message: async_nats::Message,
    ) -> Result<(), Gone> {
        let replayed = sequence <= self.replay_until;
        self.take_in(sequence);
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
        self.take_in(sequence);
        self.tick_ms = Some(
            self.tick_ms
                .map_or(received_ms, |tick| tick.max(received_ms)),
        );
        self.add_spread_orgs();
        let mut orgs = std::mem::take(&mut self.orgs);
        let mut emitted = Ok(());
        for org in orgs.values_mut() {
            org.refresh(&self.shared, received_ms);
            org.follow_modules(&self.shared);
            org.watermark.tick(received_ms);
            org.replaying = sequence <= self.replay_until;
            let closed = org.close_and_tell();
            org.tell_state_if_changed();
            org.tell_matched();
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
            .filter_map(|org| org.first_sequence())
            .min();
        // The tick alone puts an organization there.
        let ahead = |time_ms: &i64| Some(*time_ms) > self.tick_ms;
        let mut times_ms: BTreeMap<String, i64> = self.saved.times_ms.clone();
        times_ms.retain(|_, time_ms| ahead(time_ms));
        let mut parts_ms = self.saved.parts_ms.clone();
        for org in self.orgs.values() {
            if ahead(&org.watermark.ms()) {
                times_ms.insert(org.org.to_string(), org.watermark.ms());
            }
            if !org.parts_ms().is_empty() {
                parts_ms.insert(org.org.to_string(), org.parts_ms().clone());
            }
        }
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
