//! One partition of the INGEST stream: a task that reads, a thread that serves, a task that emits.
//!
//! ```text
//! INGEST ─► reader (task) ─bounded─► worker (OS thread) ─bounded─► publisher (task) ─► AGGREGATES
//!           from the checkpoint      messages in stream order     acks, then saves    LATE, INGEST
//! ```
//!
//! Exactly once: a window's values are a function of the stream, every emission has a place in the
//! order that the stream fixes ([`crate::position`]), and a subject only ever grows by the next one
//! of that order ([`lane`]). The checkpoint says no more than what was acknowledged. So a partition
//! may be served by nobody for a while, or by two at a time, and what is emitted stays the same;
//! `docs/exactly-once.md` goes through the cases.

mod crowd;
mod cuts;
mod fallback;
mod figures;
mod instances;
mod lane;
mod lanes;
mod org;
mod outbox;
mod publisher;
mod reader;
mod served;
#[cfg(test)]
mod tests;
mod turns;
mod worker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::Subject;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch, OwnedSemaphorePermit, Semaphore};

pub use self::instances::InstanceBudget;
use self::lane::Writer;
use self::publisher::Publisher;
use self::reader::Reader;
use self::worker::Worker;
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::shared::Shared;
use crate::traces::Journey;

/// Messages that wait for their turn; more wait in the channel, in stream order. The more there
/// are, the more of one organization are served at a time: its state is fetched from memory once
/// for all of them.
const WAITING_MAX: usize = 8192;
/// Messages between the reader and the worker.
const INPUTS_MAX: usize = 1024;
/// Their bytes, counted in permits of one KiB.
const INPUT_KIB_MAX: usize = 64 * 1024;
/// Batches between the worker and the publisher.
const OUTPUTS_MAX: usize = 64;
/// How long a stop waits for NATS before it gives up emitting; what is open is read again.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// What the worker takes in, in order.
pub(crate) enum Input {
    Message {
        sequence: u64,
        /// When the server stored it, in microseconds.
        received_us: i64,
        subject: Subject,
        payload: Bytes,
        /// Its trace, if it has one.
        trace: Option<Box<Journey>>,
        /// Keeps the bytes counted until the message is done.
        permit: OwnedSemaphorePermit,
    },
    /// What another partition, or this one, has of an organization whose home is here.
    Part {
        sequence: u64,
        received_ms: i64,
        message: async_nats::Message,
        permit: OwnedSemaphorePermit,
    },
    Tick {
        sequence: u64,
        received_ms: i64,
    },
    /// The stream has no room for time: save what is done with, so that it can be removed.
    Save,
    /// Look at the registry now, and answer when done.
    Refresh(oneshot::Sender<()>),
    Stop,
}

impl Input {
    /// When the stream stored it, if it is of the stream.
    fn stored_ms(&self) -> Option<i64> {
        match self {
            Self::Message { received_us, .. } => Some(received_us.div_euclid(1_000)),
            Self::Part { received_ms, .. } | Self::Tick { received_ms, .. } => Some(*received_ms),
            Self::Save | Self::Refresh(_) | Self::Stop => None,
        }
    }

    /// What it holds of [`INPUT_KIB_MAX`].
    fn kib(&self) -> usize {
        match self {
            Self::Message { permit, .. } | Self::Part { permit, .. } => permit.num_permits(),
            Self::Tick { .. } | Self::Save | Self::Refresh(_) | Self::Stop => 0,
        }
    }
}

/// A running partition.
pub struct Partition {
    number: u32,
    inputs: mpsc::Sender<Input>,
    stop: watch::Sender<bool>,
    reader: tokio::task::JoinHandle<()>,
    worker: std::thread::JoinHandle<()>,
    publisher: tokio::task::JoinHandle<()>,
}

/// How many partitions are reading.
#[derive(Clone, Default)]
pub struct Reading(Arc<AtomicUsize>);

impl Reading {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// One more, until what it returns is dropped.
    fn begin(&self) -> impl Drop {
        self.0.fetch_add(1, Ordering::AcqRel);
        Read(self.clone())
    }
}

struct Read(Reading);

impl Drop for Read {
    fn drop(&mut self) {
        self.0 .0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What an owner starts with: the checkpoint that it has written its epoch into.
pub struct Owned {
    pub number: u32,
    pub checkpoint: Checkpoint,
    pub checkpoints: Checkpoints,
    /// The revision that it wrote.
    pub revision: u64,
}

/// Starts serving a partition from its checkpoint.
pub fn start(
    owned: Owned,
    context: jetstream::Context,
    shared: Arc<Shared>,
    reading: Reading,
) -> std::io::Result<Partition> {
    let Owned {
        number,
        checkpoint,
        checkpoints,
        revision,
    } = owned;
    let (inputs, worker_inputs) = mpsc::channel(INPUTS_MAX);
    let (outputs, publisher_outputs) = mpsc::channel(OUTPUTS_MAX);
    let (stop, stopped) = watch::channel(false);
    let Checkpoint {
        position,
        head,
        epoch,
        ..
    } = checkpoint;
    tracing::info!(number, position, head, epoch, "partition starts");
    let bytes = Arc::new(Semaphore::new(INPUT_KIB_MAX));
    let reader = Reader {
        partition: number,
        context: context.clone(),
        next: position,
        replay_until: head,
        inputs: inputs.clone(),
        bytes: bytes.clone(),
        stopped,
        shared: shared.clone(),
        reading,
    };
    let connections = shared.connections.clone();
    let publish_seconds = shared.metrics.publish_seconds.clone();
    let worker = Worker::new(shared, number, checkpoint, bytes, outputs);
    let worker = std::thread::Builder::new()
        .name(format!("partition-{number}"))
        .spawn(move || worker.run(worker_inputs))?;
    let publisher = Publisher {
        writer: Writer {
            context,
            connections,
            partition: number,
            epoch,
            publish_seconds,
        },
        checkpoints,
        revision,
    };
    Ok(Partition {
        number,
        inputs,
        stop,
        reader: tokio::spawn(reader.run()),
        worker,
        publisher: tokio::spawn(publisher.run(publisher_outputs)),
    })
}

impl Partition {
    /// A handle that makes the worker look at the registry.
    pub(crate) fn inputs(&self) -> mpsc::Sender<Input> {
        self.inputs.clone()
    }

    /// Whether a part of it ended by itself: another owner has written, or something broke.
    pub fn is_over(&self) -> bool {
        self.publisher.is_finished() || self.reader.is_finished() || self.worker.is_finished()
    }

    /// Finishes the message at hand, emits what is closed, saves the checkpoint.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.reader.await;
        let publisher = self.publisher.abort_handle();
        let finish = async {
            let _ = self.inputs.send(Input::Stop).await;
            self.publisher.await
        };
        if tokio::time::timeout(STOP_WITHIN, finish).await.is_err() {
            publisher.abort();
            tracing::warn!(
                partition = self.number,
                "stopped before everything was emitted"
            );
            return;
        }
        let worker = self.worker;
        let _ = tokio::task::spawn_blocking(move || worker.join()).await;
        tracing::info!(partition = self.number, "partition stopped");
    }

    /// Stops at once and saves nothing: somebody else serves the partition.
    pub fn abandon(self) {
        let _ = self.stop.send(true);
        self.publisher.abort();
        // The thread ends with its next emission, or when it comes to this.
        tokio::spawn(async move { self.inputs.send(Input::Stop).await });
        tracing::warn!(partition = self.number, "partition abandoned");
    }
}
