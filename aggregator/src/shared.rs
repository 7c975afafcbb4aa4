//! What every part of the process refers to.

use ratchet_sandbox::Engine;

use crate::capture::Capture;
use crate::demotions::Demotions;
use crate::directory::Directory;
use crate::events::Events;
use crate::metrics::Metrics;
use crate::nats::Connections;
use crate::registry::Registry;
use crate::status::StatusBoard;
use crate::traces::Traces;
use crate::watermark::Lateness;

pub struct Shared {
    pub engine: Engine,
    pub registry: Registry,
    pub directory: Directory,
    pub demotions: Demotions,
    pub capture: Capture,
    pub metrics: Metrics,
    pub events: Events,
    pub status: StatusBoard,
    pub traces: Traces,
    pub lateness: Lateness,
    /// How many partitions the INGEST stream has.
    pub partitions: u32,
    /// Configurations of a partition that may hold instances at a time.
    pub instances_max: usize,
    /// Changes with every connection to NATS: consumers of the one before may be gone.
    pub connections: Connections,
}
