//! What the running aggregator knows, as the shadow service asks for it.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use ratchet_trust::floor::AcceptedModule;
use ratchet_trust::{ConfigurationDigest, Floor, FloorStore, ModuleDigest, FLEET};

use super::{Knowledge, Tenant};
use crate::demotions::Demotion;
use crate::identity::Org;
use crate::registry::Level;
use crate::shared::Shared;

pub struct Live {
    pub shared: Arc<Shared>,
    pub floors: Arc<Mutex<FloorStore>>,
}

impl Knowledge for Live {
    fn rules(&self, org: &str, configuration: ConfigurationDigest) -> Option<Bytes> {
        let timeline = self.shared.directory.timeline(&Org::parse(org).ok()?)?;
        Some(timeline.find(&configuration)?.blob.clone())
    }

    fn newest(&self, org: &str) -> Option<ConfigurationDigest> {
        let timeline = self.shared.directory.timeline(&Org::parse(org).ok()?)?;
        Some(timeline.newest()?.digest)
    }

    fn tenants(&self) -> Vec<Tenant> {
        let organizations = self.shared.directory.organizations();
        let newest = organizations.into_iter().filter_map(|(org, timeline)| {
            let configuration = timeline.newest()?;
            Some(Tenant {
                org: org.as_str().to_owned(),
                configuration: configuration.digest,
                rules: configuration.blob.clone(),
            })
        });
        newest.collect()
    }

    fn serving(&self, org: &str, configuration: ConfigurationDigest) -> Option<ModuleDigest> {
        let registry = &self.shared.registry;
        let serving = match org {
            FLEET => registry.fleet()?,
            org => registry.incumbent(&Org::parse(org).ok()?, configuration),
        };
        (serving.level != Level::Baseline).then_some(serving.digest)
    }

    fn floor(&self, org: &str) -> Option<Floor> {
        self.floors.lock().get(org)
    }

    fn accepted(&self, org: &str) -> Vec<AcceptedModule> {
        self.floors.lock().accepted(org).to_vec()
    }

    fn demoted(&self, org: &str, configuration: ConfigurationDigest, module: ModuleDigest) -> bool {
        let demotion = Demotion {
            org: org.to_owned(),
            configuration,
            module,
        };
        self.shared.demotions.contains(&demotion)
    }
}
