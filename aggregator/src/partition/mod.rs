//! One partition of the INGEST stream: a task that reads, a thread that serves, a task that emits.
//!
//! ```text
//! INGEST ─► reader (task) ─bounded─► worker (OS thread) ─bounded─► publisher (task) ─► AGGREGATES
//!           from the saved position  messages in stream order     acks, then saves state
//! ```

mod fallback;
mod instances;
mod org;
mod publisher;
mod reader;
mod worker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::Subject;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch, OwnedSemaphorePermit, Semaphore};

use self::publisher::Publisher;
use self::reader::Reader;
use self::worker::Worker;
use crate::shared::Shared;
use crate::state::{PartitionState, StateError, StateFile};

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
        received_ms: i64,
        subject: Subject,
        payload: Bytes,
        /// Keeps the bytes counted until the message is done.
        permit: OwnedSemaphorePermit,
    },
    Tick {
        sequence: u64,
        received_ms: i64,
    },
    /// Look at the registry now, and answer when done.
    Refresh(oneshot::Sender<()>),
    Stop,
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

#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// How many partitions are reading.
#[derive(Clone, Default)]
pub struct Reading(Arc<AtomicUsize>);

impl Reading {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn remove(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Starts partition `number` of the stream called `stream` from its saved state.
pub fn start(
    number: u32,
    stream: &str,
    file: StateFile,
    context: jetstream::Context,
    shared: Arc<Shared>,
    reading: Reading,
) -> Result<Partition, PartitionError> {
    let state = match file.load()? {
        Some(state) if state.stream == stream => state,
        Some(state) => {
            tracing::warn!(
                number,
                old = state.stream,
                new = stream,
                "the stream was made anew"
            );
            PartitionState::new(stream)
        }
        None => PartitionState::new(stream),
    };
    let (inputs, worker_inputs) = mpsc::channel(INPUTS_MAX);
    let (outputs, publisher_outputs) = mpsc::channel(OUTPUTS_MAX);
    let (stop, stopped) = watch::channel(false);
    let reader = Reader {
        partition: number,
        context: context.clone(),
        next: state.position,
        inputs: inputs.clone(),
        bytes: Arc::new(Semaphore::new(INPUT_KIB_MAX)),
        stopped,
        shared: shared.clone(),
        reading,
    };
    tracing::info!(
        number,
        position = state.position,
        head = state.head,
        "partition starts"
    );
    let worker = Worker::new(shared.clone(), number, state, outputs);
    let worker = std::thread::Builder::new()
        .name(format!("partition-{number}"))
        .spawn(move || worker.run(worker_inputs))?;
    let publisher = Publisher { context, file };
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

    /// Finishes the message at hand, emits what is closed, saves state.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.reader.await;
        let finish = async {
            let _ = self.inputs.send(Input::Stop).await;
            self.publisher.await
        };
        if tokio::time::timeout(STOP_WITHIN, finish).await.is_err() {
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
}
