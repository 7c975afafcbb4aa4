//! Figures of the output, and names in labels that stay few.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Stands for every name beyond the limit.
pub const OTHER: &str = "other";
/// Organizations with labels of their own.
const ORGS_MAX: usize = 1000;

/// The first names that come keep their own, up to a limit; all others are [`OTHER`]. So labels
/// stay few, and no name changes its label while the process lives.
#[derive(Clone)]
pub struct Names {
    max: usize,
    known: Arc<Mutex<HashSet<String>>>,
}

impl Names {
    pub fn new(max: usize) -> Self {
        Self {
            max,
            known: Arc::default(),
        }
    }

    pub fn label(&self, name: &str) -> String {
        let mut known = self.known.lock();
        if known.contains(name) {
            return name.to_owned();
        }
        if known.len() >= self.max {
            return OTHER.to_owned();
        }
        known.insert(name.to_owned());
        name.to_owned()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OrgLabel {
    pub org: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DropLabel {
    pub org: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct QueryLabel {
    pub endpoint: &'static str,
    pub status: u16,
}

type FloatGauge = Gauge<f64, AtomicU64>;

/// Every metric of the output. Cloning shares them.
#[derive(Clone)]
pub struct OutputMetrics {
    orgs: Names,
    samples: Family<OrgLabel, Counter>,
    dropped: Family<DropLabel, Counter>,
    retries: Family<ReasonLabel, Counter>,
    pub requests: Histogram,
    pub lost: Counter,
    pub malformed: Counter,
    pub lag: Gauge,
    pub lag_seconds: FloatGauge,
    pub query_windows: Gauge,
    pub query_bytes: Gauge,
    evicted: Family<OrgLabel, Counter>,
    queries: Family<QueryLabel, Counter>,
}

impl Default for OutputMetrics {
    fn default() -> Self {
        let buckets = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
        Self {
            orgs: Names::new(ORGS_MAX),
            samples: Family::default(),
            dropped: Family::default(),
            retries: Family::default(),
            requests: Histogram::new(buckets),
            lost: Counter::default(),
            malformed: Counter::default(),
            lag: Gauge::default(),
            lag_seconds: FloatGauge::default(),
            query_windows: Gauge::default(),
            query_bytes: Gauge::default(),
            evicted: Family::default(),
            queries: Family::default(),
        }
    }
}

impl OutputMetrics {
    fn org(&self, org: &str) -> OrgLabel {
        let org = self.orgs.label(org);
        OrgLabel { org }
    }

    pub fn sent(&self, org: &str, samples: usize) {
        let label = self.org(org);
        self.samples.get_or_create(&label).inc_by(samples as u64);
    }

    pub fn dropped(&self, org: &str, reason: &str, samples: usize) {
        let (org, reason) = (self.orgs.label(org), reason.to_owned());
        let label = DropLabel { org, reason };
        self.dropped.get_or_create(&label).inc_by(samples as u64);
    }

    pub fn retried(&self, reason: &str) {
        let reason = reason.to_owned();
        self.retries.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub fn evicted(&self, org: &str, windows: usize) {
        let label = self.org(org);
        self.evicted.get_or_create(&label).inc_by(windows as u64);
    }

    pub fn queried(&self, endpoint: &'static str, status: u16) {
        let label = QueryLabel { endpoint, status };
        self.queries.get_or_create(&label).inc();
    }

    /// Registers what the forwarder counts.
    pub fn register_remote(&self, registry: &mut Registry) {
        let r = registry.sub_registry_with_prefix("remote_write");
        let help = "Samples that the receiver took";
        r.register("samples", help, self.samples.clone());
        let help = "Samples given up, by reason";
        r.register("dropped_samples", help, self.dropped.clone());
        let help = "Requests repeated, by reason";
        r.register("retries", help, self.retries.clone());
        let help = "Time of one request to the receiver";
        r.register("request_seconds", help, self.requests.clone());
        let help = "Messages that the stream dropped before they were forwarded";
        r.register("lost_messages", help, self.lost.clone());
        let help = "Messages of the stream that no aggregator can have written";
        r.register("malformed_messages", help, self.malformed.clone());
        let help = "Messages not forwarded yet";
        r.register("lag_messages", help, self.lag.clone());
        let help = "Age of the oldest message that waits for the receiver";
        r.register("lag_seconds", help, self.lag_seconds.clone());
    }

    /// Registers what the query store counts.
    pub fn register_query(&self, registry: &mut Registry) {
        let r = registry.sub_registry_with_prefix("query");
        r.register("windows", "Windows in memory", self.query_windows.clone());
        let help = "Memory of the windows kept, about";
        r.register("bytes", help, self.query_bytes.clone());
        let help = "Windows given up early because a limit was reached";
        r.register("evicted_windows", help, self.evicted.clone());
        r.register("requests", "Requests answered", self.queries.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_few() {
        let names = Names::new(2);
        let told = ["a", "b", "c", "a", "b", "c"].map(|name| names.label(name));
        assert_eq!(told, ["a", "b", OTHER, "a", "b", OTHER]);
    }
}
