//! Figures for operators, in the text format of Prometheus.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::identity::Org;

/// Stands for every organization that no configuration names, so that labels stay bounded.
pub const UNKNOWN_ORG: &str = "unknown";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OrgLabel {
    pub org: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    pub org: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RuleLabel {
    pub org: String,
    pub rule: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DestinationLabel {
    pub org: String,
    pub destination: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PartitionLabel {
    pub partition: u32,
}

type FloatGauge = Gauge<f64, AtomicU64>;
type FloatCounter = Counter<f64, AtomicU64>;
type ByOrg<M> = Family<OrgLabel, M>;
type HistogramByOrg = Family<OrgLabel, Histogram, fn() -> Histogram>;

/// Every metric of the process. Cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    pub messages: ByOrg<Counter>,
    pub points: ByOrg<Counter>,
    pub refused: Family<ReasonLabel, Counter>,
    pub late: Family<RuleLabel, Counter>,
    pub overflow: ByOrg<Counter>,
    pub records: ByOrg<Counter>,
    pub groups: ByOrg<Gauge>,
    pub open_windows: ByOrg<Gauge>,
    pub emitted: ByOrg<Counter>,
    pub captured: Family<DestinationLabel, Counter>,
    pub capture_dropped: Counter,
    pub events_dropped: Counter,
    pub active_version: ByOrg<Gauge>,
    pub expired: ByOrg<Gauge>,
    pub swaps: ByOrg<Counter>,
    pub refused_modules: Family<ReasonLabel, Counter>,
    pub faults: Family<ReasonLabel, Counter>,
    pub demotions: ByOrg<Counter>,
    pub us_per_message: ByOrg<FloatGauge>,
    pub message_seconds: HistogramByOrg,
    pub lag: Family<PartitionLabel, Gauge>,
    pub position: Family<PartitionLabel, Gauge>,
    pub epoch: Family<PartitionLabel, Gauge>,
    pub partitions_lost: Counter,
    pub connected: Gauge,
}

/// From one microsecond to a quarter of a second.
fn message_histogram() -> Histogram {
    Histogram::new([
        1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.25,
    ])
}

impl Metrics {
    /// The metrics, and the registry that encodes them.
    pub fn new() -> (Self, Exposition) {
        let metrics = Self {
            messages: Family::default(),
            points: Family::default(),
            refused: Family::default(),
            late: Family::default(),
            overflow: Family::default(),
            records: Family::default(),
            groups: Family::default(),
            open_windows: Family::default(),
            emitted: Family::default(),
            captured: Family::default(),
            capture_dropped: Counter::default(),
            events_dropped: Counter::default(),
            active_version: Family::default(),
            expired: Family::default(),
            swaps: Family::default(),
            refused_modules: Family::default(),
            faults: Family::default(),
            demotions: Family::default(),
            us_per_message: Family::default(),
            message_seconds: Family::new_with_constructor(message_histogram),
            lag: Family::default(),
            position: Family::default(),
            epoch: Family::default(),
            partitions_lost: Counter::default(),
            connected: Gauge::default(),
        };
        let exposition = Exposition::of(metrics.register());
        (metrics, exposition)
    }

    fn register(&self) -> Registry {
        let mut registry = Registry::with_prefix("ratchet");
        self.register_traffic(&mut registry);
        self.register_modules(&mut registry);
        self.register_process(&mut registry);
        registry
    }

    fn register_traffic(&self, r: &mut Registry) {
        r.register("messages", "Messages aggregated", self.messages.clone());
        r.register(
            "points",
            "Points in aggregated messages",
            self.points.clone(),
        );
        r.register("refused_messages", "Messages refused", self.refused.clone());
        r.register(
            "late_points",
            "Points of windows that had closed",
            self.late.clone(),
        );
        r.register(
            "overflow_points",
            "Points of groups beyond the limit",
            self.overflow.clone(),
        );
        r.register("records", "Partial records merged", self.records.clone());
        r.register("groups", "Groups in memory", self.groups.clone());
        r.register(
            "open_windows",
            "Windows of rules that are open",
            self.open_windows.clone(),
        );
        r.register(
            "emitted_points",
            "Aggregated points emitted",
            self.emitted.clone(),
        );
        r.register(
            "captured_messages",
            "Messages captured",
            self.captured.clone(),
        );
        let help = "Captures given up because the queue was full";
        r.register("capture_dropped", help, self.capture_dropped.clone());
        let help = "Events given up because the queue was full";
        r.register("events_dropped", help, self.events_dropped.clone());
    }

    fn register_modules(&self, r: &mut Registry) {
        let help = "Version of the module that serves, 0 for none of its own";
        r.register("active_version", help, self.active_version.clone());
        let help = "1 while the manifest of the serving module is expired";
        r.register("manifest_expired", help, self.expired.clone());
        r.register("swaps", "Modules taken up", self.swaps.clone());
        r.register(
            "refused_modules",
            "Manifests refused",
            self.refused_modules.clone(),
        );
        r.register(
            "module_faults",
            "Messages that a module failed on",
            self.faults.clone(),
        );
        r.register("demotions", "Modules demoted", self.demotions.clone());
        let help = "Moving average of guest time, microseconds";
        r.register("us_per_message", help, self.us_per_message.clone());
        r.register(
            "message_seconds",
            "Guest time of a message",
            self.message_seconds.clone(),
        );
    }

    fn register_process(&self, r: &mut Registry) {
        r.register(
            "lag_messages",
            "Messages still to be read",
            self.lag.clone(),
        );
        r.register(
            "position",
            "Newest message that was taken in",
            self.position.clone(),
        );
        let help = "Epoch under which this process serves a partition";
        r.register("partition_epoch", help, self.epoch.clone());
        let help = "Partitions that another aggregator took over or that broke off";
        r.register("partitions_lost", help, self.partitions_lost.clone());
        r.register(
            "nats_connected",
            "1 while connected to NATS",
            self.connected.clone(),
        );
    }
}

/// Encodes the metrics.
pub struct Exposition {
    registry: Registry,
    cpu_seconds: FloatCounter,
}

impl Exposition {
    /// Of a registry with the prefix of all, and of the process itself.
    pub fn of(mut registry: Registry) -> Self {
        let cpu_seconds = FloatCounter::default();
        let help = "CPU time of this process";
        registry.register("process_cpu_seconds", help, cpu_seconds.clone());
        Self {
            registry,
            cpu_seconds,
        }
    }

    /// Takes in the metrics of another part of the process.
    pub fn add(&mut self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.registry);
    }

    pub fn text(&self) -> Result<String, std::fmt::Error> {
        if let Some(cpu) = process_cpu() {
            let known = self.cpu_seconds.get();
            self.cpu_seconds
                .inc_by((cpu.as_secs_f64() - known).max(0.0));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Clock ticks a second in /proc; fixed by the Linux ABI.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time of this process, where /proc tells it.
fn process_cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// The handles of one organization, so that the hot path looks nothing up.
pub struct OrgMetrics {
    pub messages: Counter,
    pub points: Counter,
    pub records: Counter,
    pub overflow: Counter,
    pub emitted: Counter,
    pub groups: Gauge,
    pub open_windows: Gauge,
    pub us_per_message: FloatGauge,
    pub message_seconds: Histogram,
}

impl OrgMetrics {
    pub fn new(metrics: &Metrics, org: &Org) -> Self {
        let label = OrgLabel {
            org: org.to_string(),
        };
        Self {
            messages: metrics.messages.get_or_create_owned(&label),
            points: metrics.points.get_or_create_owned(&label),
            records: metrics.records.get_or_create_owned(&label),
            overflow: metrics.overflow.get_or_create_owned(&label),
            emitted: metrics.emitted.get_or_create_owned(&label),
            groups: metrics.groups.get_or_create_owned(&label),
            open_windows: metrics.open_windows.get_or_create_owned(&label),
            us_per_message: metrics.us_per_message.get_or_create_owned(&label),
            message_seconds: metrics.message_seconds.get_or_create_owned(&label),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposition_names_what_it_counts() {
        let (metrics, exposition) = Metrics::new();
        let org = Org::parse("acme").unwrap();
        OrgMetrics::new(&metrics, &org).messages.inc_by(3);
        metrics
            .refused
            .get_or_create(&ReasonLabel {
                org: "acme".into(),
                reason: "magic".into(),
            })
            .inc();
        let text = exposition.text().unwrap();
        for line in [
            "ratchet_messages_total{org=\"acme\"} 3",
            "ratchet_refused_messages_total{org=\"acme\",reason=\"magic\"} 1",
            "ratchet_process_cpu_seconds_total",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
