//! What every part of the process refers to.

use std::sync::Arc;

use ratchet_sandbox::Engine;

use crate::behind::Behind;
use crate::capture::Capture;
use crate::demotions::Demotions;
use crate::directory::Directory;
use crate::events::Events;
use crate::metrics::Metrics;
use crate::nats::Connections;
use crate::partition::InstanceBudget;
use crate::registry::{ModuleCache, Registry};
use crate::status::StatusBoard;
use crate::tenants::{LimitsTable, TenantMetrics};
use crate::traces::Traces;
use crate::watermark::Lateness;

pub struct Shared {
    pub engine: Engine,
    pub registry: Registry,
    pub modules: ModuleCache,
    pub directory: Arc<Directory>,
    pub demotions: Demotions,
    pub capture: Capture,
    pub metrics: Metrics,
    pub tenant_metrics: TenantMetrics,
    pub events: Events,
    pub behind: Behind,
    pub status: StatusBoard,
    pub traces: Arc<Traces>,
    pub lateness: Lateness,
    pub limits: LimitsTable,
    /// How many partitions the INGEST stream has.
    pub partitions: u32,
    /// What the instances of all partitions may take.
    pub instances: InstanceBudget,
    /// Changes with every connection to NATS: consumers of the one before may be gone.
    pub connections: Connections,
}

#[cfg(test)]
pub mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use ratchet_sandbox::{Engine, Kind, Limits};

    use super::Shared;
    use crate::behind::Behind;
    use crate::capture::{Capture, Rate, SplitKey};
    use crate::demotions::Demotions;
    use crate::directory::Directory;
    use crate::events::Events;
    use crate::metrics::{Exposition, LabelLimits, Metrics};
    use crate::nats::Connections;
    use crate::partition::InstanceBudget;
    use crate::registry::{Bounds, ModuleCache, Registry};
    use crate::status::StatusBoard;
    use crate::tenants::{LimitsTable, TenantMetrics};
    use crate::watermark::Lateness;

    /// What a worker refers to, connected to nothing, and what tells its metrics.
    pub fn shared(directory: &Path, limits: LimitsTable) -> (Shared, Exposition) {
        let engine = Engine::new(Kind::Production, Limits::default()).unwrap();
        let registry = Registry::new(engine.baseline().unwrap());
        let labels = LabelLimits { orgs: 8, rules: 8 };
        let (metrics, mut exposition) = Metrics::new(labels);
        let tenant_metrics = TenantMetrics::new(metrics.labels());
        exposition.add(|registry| tenant_metrics.register(registry));
        let (events, _) = Events::new(metrics.clone());
        let rate = Rate {
            one_in: 2,
            per_second: 1,
            refresh_per_second: 1,
        };
        let key = SplitKey::new(&[7; 32]).unwrap();
        let bounds = Bounds {
            modules: 8,
            bytes: 1 << 30,
        };
        let shared = Shared {
            engine,
            registry,
            modules: ModuleCache::new(bounds).0,
            directory: Arc::new(Directory::default()),
            demotions: Demotions::open(directory).unwrap(),
            capture: Capture::new(key, rate, metrics.clone()).0,
            metrics,
            tenant_metrics,
            events,
            behind: Behind::new().0,
            status: StatusBoard::default(),
            traces: Arc::default(),
            lateness: Lateness::Milliseconds(0),
            limits,
            partitions: 1,
            instances: InstanceBudget::new(4, usize::MAX),
            connections: Connections::default(),
        };
        (shared, exposition)
    }
}
