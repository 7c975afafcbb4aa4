//! Figures about organizations that share an aggregator.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::identity::Org;
use crate::metrics::{Labels, OrgLabel, ReasonLabel};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// Labels are few: those of organizations are shared beyond a number, reasons are a fixed list.
#[derive(Clone)]
pub struct TenantMetrics {
    labels: Labels,
    stood_in: Family<OrgLabel, Counter>,
    dropped: Family<ReasonLabel, Counter>,
    loads: Family<ResultLabel, Counter>,
    pub loaded_modules: Gauge,
    pub loaded_bytes: Gauge,
    pub instances: Gauge,
    pub instance_bytes: Gauge,
}

impl TenantMetrics {
    pub fn new(labels: Labels) -> Self {
        Self {
            labels,
            stood_in: Family::default(),
            dropped: Family::default(),
            loads: Family::default(),
            loaded_modules: Gauge::default(),
            loaded_bytes: Gauge::default(),
            instances: Gauge::default(),
            instance_bytes: Gauge::default(),
        }
    }

    pub fn register(&self, r: &mut Registry) {
        let help = "Messages that another module served while the organization's was not loaded";
        r.register("stood_in_messages", help, self.stood_in.clone());
        let help = "Points beyond a limit of their organization";
        r.register("dropped_points", help, self.dropped.clone());
        let help = "Modules that were loaded again, or not";
        r.register("module_loads", help, self.loads.clone());
        let help = "Tenants' modules that are loaded";
        r.register("loaded_modules", help, self.loaded_modules.clone());
        let help = "Bytes of tenants' modules that are loaded";
        r.register("loaded_module_bytes", help, self.loaded_bytes.clone());
        let help = "Instances that serve, of every module";
        r.register("instances", help, self.instances.clone());
        let help = "Bytes that their memories have grown to";
        r.register("instance_bytes", help, self.instance_bytes.clone());
    }

    pub fn count_load(&self, result: &'static str) {
        self.loads.get_or_create(&ResultLabel { result }).inc();
    }

    /// Counts a message that another module served.
    pub fn stood_in(&self, org: &Org) {
        let label = self.labels.org(org.as_str());
        self.stood_in.get_or_create(&label).inc();
    }

    /// Counts points that were dropped; a line appears with the first.
    pub fn dropped(&self, org: &Org, reason: &str, points: u64) {
        if points > 0 {
            let label = self.labels.reason(org.as_str(), reason);
            self.dropped.get_or_create(&label).inc_by(points);
        }
    }
}
