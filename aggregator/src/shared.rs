//! What every part of the process refers to.

use ratchet_sandbox::Engine;

use crate::capture::Capture;
use crate::demotions::Demotions;
use crate::directory::Directory;
use crate::events::Events;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::status::StatusBoard;

pub struct Shared {
    pub engine: Engine,
    pub registry: Registry,
    pub directory: Directory,
    pub demotions: Demotions,
    pub capture: Capture,
    pub metrics: Metrics,
    pub events: Events,
    pub status: StatusBoard,
    pub lateness_ms: i64,
}
