//! The loop that keeps a process's leases in step with the bucket.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::kv::{Entry, Operation, Store, Watch};
use async_nats::jetstream::Context;
use futures::StreamExt;
use tokio::sync::mpsc;

use super::board::{Board, Decision};
use super::record::{member_key, partition_key, Key, Lease, Member};
use crate::checkpoint::{Checkpoint, CheckpointError, Checkpoints};
use crate::events::now_ms;
use crate::metrics::PartitionLabel;
use crate::nats::{self, reconnected};
use crate::partition::{self, Owned, Partition, Reading};
use crate::shared::Shared;
use crate::swap::Pokes;
use crate::sweep::Sweep;

/// Every key of the bucket.
const EVERYTHING: &str = ">";
/// Heartbeats within the time after which silence counts as death.
const BEATS_PER_TTL: u32 = 6;
/// A checkpoint that a predecessor writes at the same moment is read again so often.
const ATTEMPTS_MAX: u32 = 5;
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How long a last word may take when the process ends.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

/// How many partitions this process should serve; nobody knows at first. Cloning shares it.
#[derive(Clone)]
pub struct Share(Arc<AtomicUsize>);

impl Default for Share {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }
}

impl Share {
    pub fn get(&self) -> Option<usize> {
        let share = self.0.load(Ordering::Acquire);
        (share != usize::MAX).then_some(share)
    }

    fn set(&self, share: usize) {
        self.0.store(share, Ordering::Release);
    }
}

/// What the keeper works with.
#[derive(Clone)]
pub struct Setup {
    /// The name of this process among the aggregators; no two have the same.
    pub member: String,
    pub partitions: u32,
    pub ttl: Duration,
    pub leases: Store,
    pub checkpoints: Checkpoints,
    pub context: Context,
    pub shared: Arc<Shared>,
    pub pokes: Pokes,
    pub reading: Reading,
    pub share: Share,
    /// How long a message stays in the stream that is done with.
    pub kept: Duration,
}

/// A partition that this process serves.
struct Held {
    partition: Partition,
    epoch: u64,
    /// The revision of the lease that was taken.
    revision: u64,
    /// Of the one partition whose owner sweeps the stream; it ends with what it is held by.
    _sweep: Option<Aborted>,
}

/// A task that ends when this is dropped.
struct Aborted(tokio::task::JoinHandle<()>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum Slot {
    Busy,
    Held(Held),
}

/// What a task that was started has come to.
enum Done {
    Acquired(u32, Held),
    /// Somebody else was first, or NATS is away: looked at again later.
    Idle(u32),
}

pub struct Keeper {
    setup: Setup,
    board: Board,
    slots: HashMap<u32, Slot>,
    done: mpsc::UnboundedSender<Done>,
    finished: mpsc::UnboundedReceiver<Done>,
}

impl Keeper {
    pub fn new(setup: Setup) -> Self {
        // At most one task a partition reports at a time.
        let (done, finished) = mpsc::unbounded_channel();
        let board = Board::new(
            setup.member.clone(),
            setup.ttl,
            setup.partitions,
            Instant::now(),
        );
        Self {
            setup,
            board,
            slots: HashMap::new(),
            done,
            finished,
        }
    }

    /// Serves this process's share until `stop` completes; then gives everything back.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let beats = tokio::spawn(beat(self.setup.clone()));
        tokio::select! {
            () = self.keep() => {}
            () = stop => {}
        }
        beats.abort();
        self.give_all_back().await;
    }

    async fn keep(&mut self) {
        loop {
            match self.setup.leases.watch_with_history(EVERYTHING).await {
                Ok(watch) => self.follow(watch).await,
                Err(error) => tracing::warn!(%error, "leases cannot be watched"),
            }
            tokio::time::sleep(self.setup.ttl / BEATS_PER_TTL).await;
        }
    }

    /// Follows the bucket until the watch ends or the connection is another one.
    async fn follow(&mut self, mut watch: Watch) {
        let mut connections = self.setup.shared.connections.subscribe();
        let mut interval = tokio::time::interval(self.setup.ttl / BEATS_PER_TTL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.board.start_ages_anew(Instant::now());
        let mut listed = false;
        loop {
            tokio::select! {
                biased;
                entry = watch.next() => match entry {
                    Some(Ok(entry)) => {
                        listed |= entry.delta == 0;
                        self.note(&entry);
                    }
                    Some(Err(error)) => {
                        tracing::warn!(%error, "watching leases failed");
                        return;
                    }
                    None => return,
                },
                () = reconnected(&mut connections) => return,
                Some(done) = self.finished.recv() => self.finish(done),
                _ = interval.tick() => {}
            }
            self.board.listen(Instant::now());
            if listed {
                self.act();
            }
        }
    }

    fn note(&mut self, entry: &Entry) {
        let now = Instant::now();
        let put = entry.operation == Operation::Put;
        match Key::parse(&entry.key) {
            Some(Key::Member(name)) if put => self.board.member(name, entry.revision, now),
            Some(Key::Member(name)) => self.board.member_left(&name, entry.revision),
            Some(Key::Partition(number)) if put => match serde_json::from_slice(&entry.value) {
                Ok(lease) => self.board.lease(number, lease, entry.revision),
                Err(error) => tracing::error!(key = entry.key, %error, "a lease is damaged"),
            },
            Some(Key::Partition(number)) => {
                self.board
                    .lease(number, Lease::new(None, 0), entry.revision);
            }
            None => tracing::warn!(key = entry.key, "a lease of nothing"),
        }
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Acquired(number, held) => {
                self.setup.pokes.add(held.partition.inputs());
                let label = PartitionLabel { partition: number };
                let metrics = &self.setup.shared.metrics;
                metrics.epoch.get_or_create(&label).set(held.epoch as i64);
                self.slots.insert(number, Slot::Held(held));
            }
            Done::Idle(number) => {
                self.slots.remove(&number);
            }
        }
    }

    /// Compares what is held with what should be, and starts what has to be done.
    fn act(&mut self) {
        let now = Instant::now();
        let decision = self.board.decide(now);
        self.setup.share.set(decision.mine.len());
        for number in 0..self.setup.partitions {
            self.act_on(number, &decision);
        }
        for (name, revision) in self.board.forgotten(now) {
            self.board.member_left(&name, u64::MAX);
            let leases = self.setup.leases.clone();
            tokio::spawn(async move {
                let key = member_key(&name);
                let _ = leases.delete_expect_revision(key, Some(revision)).await;
            });
        }
    }

    fn act_on(&mut self, number: u32, decision: &Decision) {
        let wanted = decision.mine.contains(&number);
        match self.slots.remove(&number) {
            Some(Slot::Busy) => {
                self.slots.insert(number, Slot::Busy);
            }
            Some(Slot::Held(held)) if self.is_lost(number, &held) || held.partition.is_over() => {
                self.forget(number);
                self.setup.shared.metrics.partitions_lost.inc();
                held.partition.abandon();
            }
            Some(Slot::Held(held)) if wanted => {
                self.slots.insert(number, Slot::Held(held));
            }
            Some(Slot::Held(held)) => self.start_release(number, held),
            None if wanted && self.is_free(number, decision) => self.start_acquire(number),
            // Of the process before this one, by the same name: others wait for it.
            None if decision.surplus.contains(&number) => self.start_give_back(number),
            None => {}
        }
    }

    /// Whether the lease is somebody else's by now, or of an epoch that this process did not start.
    fn is_lost(&self, number: u32, held: &Held) -> bool {
        let (lease, revision) = self.board.lease_of(number);
        let Some(lease) = lease else { return false };
        let mine = lease.owner.as_deref() == Some(self.board.me()) && lease.epoch == held.epoch;
        revision > held.revision && !mine
    }

    fn is_free(&self, number: u32, decision: &Decision) -> bool {
        let owner = decision.owners.get(&number);
        owner.is_none_or(|owner| owner == self.board.me())
    }

    fn start_acquire(&mut self, number: u32) {
        self.slots.insert(number, Slot::Busy);
        let (lease, revision) = self.board.lease_of(number);
        let epoch = lease.map_or(0, |lease| lease.epoch);
        let (setup, done) = (self.setup.clone(), self.done.clone());
        tokio::spawn(async move {
            let outcome = match setup.acquire(number, epoch, revision).await {
                Ok(held) => Done::Acquired(number, held),
                Err(reason) => {
                    tracing::warn!(number, reason, "the partition is not taken");
                    tokio::time::sleep(RETRY_DELAY).await;
                    Done::Idle(number)
                }
            };
            let _ = done.send(outcome);
        });
    }

    fn start_release(&mut self, number: u32, held: Held) {
        self.slots.insert(number, Slot::Busy);
        self.forget(number);
        let (setup, done) = (self.setup.clone(), self.done.clone());
        tokio::spawn(async move {
            setup.release(number, held).await;
            let _ = done.send(Done::Idle(number));
        });
    }

    /// Gives a lease back that is not served.
    fn start_give_back(&mut self, number: u32) {
        let (Some(lease), revision) = self.board.lease_of(number) else {
            return;
        };
        let epoch = lease.epoch;
        self.slots.insert(number, Slot::Busy);
        let (setup, done) = (self.setup.clone(), self.done.clone());
        tokio::spawn(async move {
            setup.give_back(number, epoch, revision).await;
            let _ = done.send(Done::Idle(number));
        });
    }

    async fn give_all_back(&mut self) {
        let slots = std::mem::take(&mut self.slots).into_iter();
        let releases = slots.filter_map(|(number, slot)| match slot {
            Slot::Held(held) => Some(self.setup.release(number, held)),
            // Its lease runs out; nothing of it was emitted that its successor would not find.
            Slot::Busy => None,
        });
        futures::future::join_all(releases).await;
        let gone = self.setup.leases.delete(member_key(&self.setup.member));
        let _ = tokio::time::timeout(GOODBYE_WITHIN, gone).await;
    }

    /// The figures of a partition are told by whoever serves it.
    fn forget(&self, number: u32) {
        let label = PartitionLabel { partition: number };
        let metrics = &self.setup.shared.metrics;
        metrics.epoch.remove(&label);
        metrics.lag_messages.remove(&label);
        metrics.position.remove(&label);
    }
}

impl Setup {
    /// Takes a lease over its known revision, fences the predecessor off, and starts serving.
    async fn acquire(&self, number: u32, epoch: u64, revision: u64) -> Result<Held, String> {
        let stream = nats::ingest(&self.context).await?;
        let origin = nats::origin_of(stream.cached_info());
        let (found, _) = self.load(number).await?;
        let epoch = epoch.max(found.map_or(0, |found| found.epoch)) + 1;
        let lease = Lease::new(Some(self.member.clone()), epoch);
        let json = serde_json::to_vec(&lease).map_err(|error| error.to_string())?;
        let taken = self
            .leases
            .update(partition_key(number), json.into(), revision);
        let revision = taken.await.map_err(|error| error.to_string())?;
        for _ in 0..ATTEMPTS_MAX {
            let (found, found_revision) = self.load(number).await?;
            let checkpoint = match found {
                Some(found) if found.epoch > epoch => {
                    return Err(format!("epoch {} began meanwhile", found.epoch));
                }
                Some(found) => found.on(&origin, now_ms()),
                None => Checkpoint::new(&origin),
            };
            let checkpoint = Checkpoint {
                epoch,
                ..checkpoint
            };
            let saved = self.checkpoints.save(number, &checkpoint, found_revision);
            let checkpoint_revision = match saved.await {
                Ok(revision) => revision,
                Err(CheckpointError::Conflict(_)) => continue,
                Err(error) => return Err(error.to_string()),
            };
            let owned = Owned {
                number,
                checkpoint,
                checkpoints: self.checkpoints.clone(),
                revision: checkpoint_revision,
            };
            let (context, shared) = (self.context.clone(), self.shared.clone());
            let partition = partition::start(owned, context, shared, self.reading.clone())
                .map_err(|error| error.to_string())?;
            return Ok(Held {
                partition,
                epoch,
                revision,
                _sweep: self.start_sweep(number),
            });
        }
        Err("the predecessor goes on writing".to_owned())
    }

    fn start_sweep(&self, number: u32) -> Option<Aborted> {
        let sweep = Sweep {
            context: self.context.clone(),
            checkpoints: self.checkpoints.clone(),
            partitions: self.partitions,
            kept: self.kept,
        };
        (number == Sweep::BY).then(|| Aborted(tokio::spawn(sweep.run())))
    }

    async fn load(&self, number: u32) -> Result<(Option<Checkpoint>, u64), String> {
        let loaded = self.checkpoints.load(number).await;
        loaded.map_err(|error| error.to_string())
    }

    /// Stops serving, and gives the lease back once the checkpoint is saved.
    async fn release(&self, number: u32, held: Held) {
        held.partition.stop().await;
        self.give_back(number, held.epoch, held.revision).await;
    }

    async fn give_back(&self, number: u32, epoch: u64, revision: u64) {
        let lease = Lease::new(None, epoch);
        let Ok(json) = serde_json::to_vec(&lease) else {
            return;
        };
        let given = self
            .leases
            .update(partition_key(number), json.into(), revision);
        match tokio::time::timeout(GOODBYE_WITHIN, given).await {
            Ok(Ok(_)) => tracing::info!(number, "the partition is given back"),
            // Then it runs out.
            Ok(Err(error)) => tracing::warn!(number, %error, "the lease is not given back"),
            Err(_) => tracing::warn!(number, "the lease is not given back in time"),
        }
    }
}

/// Tells the others that this process is there.
async fn beat(setup: Setup) {
    let started_ms = now_ms();
    let mut interval = tokio::time::interval(setup.ttl / BEATS_PER_TTL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for beats in 0.. {
        interval.tick().await;
        let Ok(json) = serde_json::to_vec(&Member::new(started_ms, beats)) else {
            return;
        };
        let told = setup.leases.put(member_key(&setup.member), json.into());
        match tokio::time::timeout(setup.ttl, told).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "heartbeat not written"),
            Err(_) => tracing::debug!("heartbeat not answered"),
        }
    }
}
