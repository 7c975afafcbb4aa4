//! The thread that serves a partition: one message at a time, each organization's in stream order.

mod hold;
mod message;
mod ticks;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, Semaphore};

use super::crowd::Crowd;
use super::cuts::Cuts;
use super::instances::Instances;
use super::org::{OrgState, Start};
use super::outbox::{Gone, Outbox};
use super::publisher::Output;
use super::turns::Turns;
use super::{Input, WAITING_MAX};
use crate::checkpoint::Checkpoint;
use crate::identity::Org;
use crate::metrics::PartitionLag;
use crate::parts;
use crate::shared::Shared;
use crate::spread::Place;
use crate::watermark::Watermark;

/// What waits for the turn of its organization.
enum Waiting {
    /// A message or a part, and the newest tick before it.
    Input(Input, Option<i64>),
    /// A tick, for an organization that had something waiting when it was read.
    Tick {
        org: String,
        sequence: u64,
        received_ms: i64,
        /// The newest tick by then.
        tick_ms: Option<i64>,
    },
}

pub struct Worker {
    shared: Arc<Shared>,
    /// Boxed: a message takes one out and puts it back.
    orgs: HashMap<Org, Box<OrgState>>,
    /// What was saved when this owner started; `position` and `times_ms` are used up.
    saved: Checkpoint,
    /// Up to here, messages are read a second time: they rebuild windows and count for nothing.
    replay_until: u64,
    /// The newest message taken in by this process.
    taken: u64,
    /// The newest tick before what is being served, and of all that were read.
    tick_ms: Option<i64>,
    newest_tick_ms: Option<i64>,
    /// Ticks that somebody has not come to.
    cuts: Cuts,
    crowd: Crowd,
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
        bytes: Arc<Semaphore>,
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
            tick_ms: saved.tick_ms,
            newest_tick_ms: saved.tick_ms,
            cuts: Cuts::default(),
            crowd: Crowd::new(bytes, Instant::now()),
            last_save_ms: 0,
            place,
            instances: Instances::default(),
            outbox: Outbox {
                outputs,
                origin_ms: saved.origin_ms,
                place,
                unsaved: false,
                blocked: Duration::ZERO,
            },
            saved,
        }
    }

    /// Serves until it is stopped or nobody feeds it any more. What waits is served in turns; each
    /// organization comes to a tick after everything of its own that was before it in the stream.
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
                }) => self.tick(&mut turns, sequence, received_ms),
                Some(Input::Save) if turns.is_empty() => self.outbox.save(self.snapshot()),
                // Nobody waits for a backlog: the next tick that all have come to is saved.
                Some(Input::Save) => {
                    self.outbox.unsaved = true;
                    Ok(())
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
            self.hold_off(&turns);
        }
        // A stop saves what is settled, so that the next owner reads as little as it can.
        let served = self.serve_waiting(&mut turns);
        let _ = served.and_then(|()| self.outbox.save(self.snapshot()));
    }

    fn queue(&self, turns: &mut Turns<Waiting>, input: Input) {
        let subject = match &input {
            Input::Message { subject, .. } => subject.clone(),
            Input::Part { message, .. } => message.subject.clone(),
            Input::Tick { .. } | Input::Save | Input::Refresh(_) | Input::Stop => return,
        };
        let org = match parts::sender(&subject) {
            Some((org, _)) => org,
            None => subject.rsplit('.').next().unwrap_or_default(),
        };
        let waiting = Waiting::Input(input, self.newest_tick_ms);
        turns.push(org, || self.shared.limits.of(org).weight, waiting);
    }

    fn serve_waiting(&mut self, turns: &mut Turns<Waiting>) -> Result<(), Gone> {
        while !turns.is_empty() {
            self.serve_next(turns)?;
        }
        turns.forget_idle();
        Ok(())
    }

    fn serve_next(&mut self, turns: &mut Turns<Waiting>) -> Result<(), Gone> {
        let Some(waiting) = turns.next() else {
            return Ok(());
        };
        let (started, blocked) = (Instant::now(), self.outbox.blocked);
        let served = match waiting {
            Waiting::Input(input, tick_ms) => {
                self.tick_ms = tick_ms;
                let stored_ms = input.stored_ms();
                let served = self.serve_input(input);
                // Whoever is ahead of others does not say how far the partition is.
                if let (Some(stored_ms), true) = (stored_ms, self.cuts.is_empty()) {
                    self.lag.served(stored_ms);
                }
                served
            }
            Waiting::Tick {
                org,
                sequence,
                received_ms,
                tick_ms,
            } => {
                self.tick_ms = tick_ms;
                self.tick_behind(&org, sequence, received_ms)
            }
        };
        // Nobody is charged for what NATS takes.
        let blocked = self.outbox.blocked - blocked;
        let used = started.elapsed().saturating_sub(blocked);
        turns.used(i64::try_from(used.as_nanos()).unwrap_or(i64::MAX));
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
    /// another order; what is saved is saved when everybody has come to a tick.
    fn take_in(&mut self, sequence: u64) {
        self.taken = self.taken.max(sequence);
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

    fn refuse(&self, org: &str, reason: &str) {
        self.shared.metrics.refuse(org, reason);
    }
}
