//! Figures for operators, in the text format of OpenMetrics. `docs/observability.md` says which
//! question each of them answers.

mod exposition;
mod labels;
mod lag;
mod org;
mod share;

use std::collections::BTreeMap;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{exponential_buckets, Histogram};
use prometheus_client::registry::Registry;
use ratchet_output::metrics::OTHER;

pub use self::exposition::Exposition;
use self::labels::{DestinationLabel, RuleLabel};
pub use self::labels::{LabelLimits, Labels, OrgLabel, PartitionLabel, ReasonLabel, UNKNOWN_ORG};
pub use self::lag::{Lag, PartitionLag};
pub use self::org::{OrgMetrics, RuleMetrics, StateMetrics};
pub use self::share::Share;
use crate::events::now_us;

type ByOrg<M> = Family<OrgLabel, M>;
type ByRule = Family<RuleLabel, Counter>;
type ByReason = Family<ReasonLabel, Counter>;
type ByPartition = Family<PartitionLabel, Gauge>;
type HistogramByOrg = Family<OrgLabel, Histogram, fn() -> Histogram>;

/// Every metric of the process. Cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    labels: Labels,
    messages: ByOrg<Counter>,
    points: ByOrg<Counter>,
    refused: ByReason,
    matched: ByRule,
    late: ByRule,
    overflow: ByRule,
    emitted: ByRule,
    records: ByOrg<Counter>,
    recalled: ByOrg<Counter>,
    rules: ByOrg<Gauge>,
    open_windows: ByOrg<Gauge>,
    groups: ByOrg<Gauge>,
    accumulators: ByOrg<Gauge>,
    series: ByOrg<Gauge>,
    state_bytes: ByOrg<Gauge>,
    captured: Family<DestinationLabel, Counter>,
    pub capture_dropped: Counter,
    pub events_dropped: Counter,
    active_version: ByOrg<Gauge>,
    serving_level: ByOrg<Gauge>,
    expired: ByOrg<Gauge>,
    swaps: ByOrg<Counter>,
    pub swap_seconds: Histogram,
    pub swap_pause_seconds: Histogram,
    refused_modules: ByReason,
    faults: ByReason,
    demotions: ByOrg<Counter>,
    module_points: ByOrg<Counter>,
    message_seconds: HistogramByOrg,
    window_age_seconds: Histogram,
    pub publish_seconds: Histogram,
    latency_seconds: Histogram,
    pub lag: Lag,
    pub lag_messages: ByPartition,
    pub position: ByPartition,
    pub epoch: ByPartition,
    pub partitions_lost: Counter,
    pub ingest_lost: Counter,
    pub connected: Gauge,
}

/// From one microsecond to a quarter of a second.
fn message_histogram() -> Histogram {
    Histogram::new([
        1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.25,
    ])
}

/// From a microsecond to ten milliseconds: how long serving stands still.
fn pause_histogram() -> Histogram {
    Histogram::new([1e-6, 5e-6, 2e-5, 1e-4, 5e-4, 2e-3, 1e-2])
}

/// From a millisecond to half a minute.
fn work_histogram() -> Histogram {
    Histogram::new([1e-3, 5e-3, 2e-2, 0.1, 0.5, 2.0, 10.0, 30.0])
}

/// From a second to four hours: the longest windows and the longest lateness.
fn age_histogram() -> Histogram {
    Histogram::new([
        1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 1800.0, 7200.0, 14400.0,
    ])
}

/// From a tenth of a millisecond to ten seconds, in steps of 5 %: fine enough for what the last
/// message in a thousand waits longer during swaps.
fn latency_histogram() -> Histogram {
    Histogram::new(exponential_buckets(1e-4, 1.05, 236))
}

impl Metrics {
    /// Sees a message done that the server stored at a moment, by this machine's clock.
    pub fn latency_since(&self, stored_us: i64) {
        let waited_us = now_us().saturating_sub(stored_us).max(0);
        self.latency_seconds.observe(waited_us as f64 / 1e6);
    }

    /// The metrics, and the registry that encodes them.
    pub fn new(limits: LabelLimits) -> (Self, Exposition) {
        let metrics = Self {
            labels: Labels::new(limits),
            messages: Family::default(),
            points: Family::default(),
            refused: Family::default(),
            matched: Family::default(),
            late: Family::default(),
            overflow: Family::default(),
            emitted: Family::default(),
            records: Family::default(),
            recalled: Family::default(),
            rules: Family::default(),
            open_windows: Family::default(),
            groups: Family::default(),
            accumulators: Family::default(),
            series: Family::default(),
            state_bytes: Family::default(),
            captured: Family::default(),
            capture_dropped: Counter::default(),
            events_dropped: Counter::default(),
            active_version: Family::default(),
            serving_level: Family::default(),
            expired: Family::default(),
            swaps: Family::default(),
            swap_seconds: work_histogram(),
            swap_pause_seconds: pause_histogram(),
            refused_modules: Family::default(),
            faults: Family::default(),
            demotions: Family::default(),
            module_points: Family::default(),
            message_seconds: Family::new_with_constructor(message_histogram),
            window_age_seconds: age_histogram(),
            publish_seconds: work_histogram(),
            latency_seconds: latency_histogram(),
            lag: Lag::default(),
            lag_messages: Family::default(),
            position: Family::default(),
            epoch: Family::default(),
            partitions_lost: Counter::default(),
            ingest_lost: Counter::default(),
            connected: Gauge::default(),
        };
        let exposition = Exposition::of(metrics.register());
        (metrics, exposition)
    }

    /// The labels, for metrics that are kept elsewhere.
    pub fn labels(&self) -> Labels {
        self.labels.clone()
    }

    /// Counts a message that an organization is not served.
    pub fn refuse(&self, org: &str, reason: &str) {
        let label = self.labels.reason(org, reason);
        self.refused.get_or_create(&label).inc();
    }

    pub fn captured(&self, org: &str, destination: &str) {
        let label = self.labels.destination(org, destination);
        self.captured.get_or_create(&label).inc();
    }

    /// Counts a swap to a version, 0 for none of its own.
    pub fn swapped(&self, org: &str, version: u64) {
        let label = self.labels.org(org);
        self.swaps.get_or_create(&label).inc();
        self.serves(&label, version);
    }

    pub fn demoted(&self, org: &str) {
        let label = self.labels.org(org);
        self.demotions.get_or_create(&label).inc();
        self.serves(&label, 0);
    }

    /// Versions of several organizations make no sum.
    fn serves(&self, label: &OrgLabel, version: u64) {
        if label.org != OTHER {
            let version = i64::try_from(version).unwrap_or(i64::MAX);
            self.active_version.get_or_create(label).set(version);
        }
    }

    pub fn module_refused(&self, org: &str, reason: &str) {
        let label = self.labels.reason(org, reason);
        self.refused_modules.get_or_create(&label).inc();
    }

    /// Counts a message that a module failed on.
    pub fn module_failed(&self, org: &str, reason: &str) {
        let label = self.labels.reason(org, reason);
        self.faults.get_or_create(&label).inc();
    }

    /// Tells for each module that serves whether its manifest is expired.
    pub fn tell_expired<'a>(&self, manifests: impl Iterator<Item = (&'a str, bool)>) {
        let mut expired: BTreeMap<String, i64> = BTreeMap::new();
        for (org, is_expired) in manifests {
            let label = self.labels.org(org);
            *expired.entry(label.org).or_default() += i64::from(is_expired);
        }
        self.expired.clear();
        for (org, count) in expired {
            self.expired.get_or_create(&OrgLabel { org }).set(count);
        }
    }
}

impl Metrics {
    fn register(&self) -> Registry {
        let mut registry = Registry::with_prefix("ratchet");
        self.register_traffic(&mut registry);
        self.register_state(&mut registry);
        self.register_capture(&mut registry);
        self.register_modules(&mut registry);
        self.register_process(&mut registry);
        registry
    }

    fn register_traffic(&self, r: &mut Registry) {
        r.register("messages", "Messages aggregated", self.messages.clone());
        let help = "Points in aggregated messages";
        r.register("points", help, self.points.clone());
        r.register("refused_messages", "Messages refused", self.refused.clone());
        let help = "Points that a rule took into a window";
        r.register("matched_points", help, self.matched.clone());
        let help = "Points of windows that had closed";
        r.register("late_points", help, self.late.clone());
        let help = "Points of groups beyond the limit";
        r.register("overflow_points", help, self.overflow.clone());
        let help = "Aggregated points that a rule gave";
        r.register("emitted_points", help, self.emitted.clone());
        r.register("records", "Partial records merged", self.records.clone());
        let help = "Messages merged the way of one before";
        r.register("recalled_messages", help, self.recalled.clone());
        let help = "From the end of a window until it was closed";
        r.register("window_age_seconds", help, self.window_age_seconds.clone());
        let help = "How long it took until the stream had an emission";
        r.register("publish_seconds", help, self.publish_seconds.clone());
    }

    fn register_state(&self, r: &mut Registry) {
        r.register("rules", "Rules in force", self.rules.clone());
        let help = "Open windows: one for all rules that have it";
        r.register("open_windows", help, self.open_windows.clone());
        r.register("groups", "Groups in memory", self.groups.clone());
        let help = "Values in memory, one a group and open window";
        r.register("accumulators", help, self.accumulators.clone());
        r.register("series", "Series in memory", self.series.clone());
        let help = "Memory of the merge state, about";
        r.register("state_bytes", help, self.state_bytes.clone());
    }

    fn register_capture(&self, r: &mut Registry) {
        r.register(
            "captured_messages",
            "Messages captured",
            self.captured.clone(),
        );
        let help = "From the moment at which the server stored a message until it was merged";
        r.register("latency_seconds", help, self.latency_seconds.clone());
        let help = "Captures given up because the queue was full";
        r.register("capture_dropped", help, self.capture_dropped.clone());
        let help = "Events given up because the queue was full";
        r.register("events_dropped", help, self.events_dropped.clone());
    }

    fn register_modules(&self, r: &mut Registry) {
        let help = "Version of the module that serves, 0 for none of its own";
        r.register("active_version", help, self.active_version.clone());
        let help = "What serves: 0 the baseline, 1 the fleet's module, 2 a module of its own";
        r.register("serving_level", help, self.serving_level.clone());
        let help = "Modules that serve under an expired manifest";
        r.register("manifest_expired", help, self.expired.clone());
        r.register("swaps", "Modules taken up", self.swaps.clone());
        let help = "From a new manifest until its module served";
        r.register("swap_seconds", help, self.swap_seconds.clone());
        let help = "How long a swap held up messages";
        r.register("swap_pause_seconds", help, self.swap_pause_seconds.clone());
        let help = "Manifests refused";
        r.register("refused_modules", help, self.refused_modules.clone());
        let help = "Messages that a module failed on";
        r.register("module_faults", help, self.faults.clone());
        r.register("demotions", "Modules demoted", self.demotions.clone());
        let help = "Points of messages that modules were run on";
        r.register("module_points", help, self.module_points.clone());
        let help = "Guest time of a message";
        r.register("message_seconds", help, self.message_seconds.clone());
    }

    fn register_process(&self, r: &mut Registry) {
        let help = "Messages still to be read";
        r.register("lag_messages", help, self.lag_messages.clone());
        r.register_collector(Box::new(self.lag.clone()));
        let help = "Newest message that was taken in";
        r.register("position", help, self.position.clone());
        let help = "Epoch under which this process serves a partition";
        r.register("partition_epoch", help, self.epoch.clone());
        let help = "Partitions that another aggregator took over or that broke off";
        r.register("partitions_lost", help, self.partitions_lost.clone());
        let help = "Messages that INGEST removed before they were read, of all partitions together";
        r.register("ingest_lost_messages", help, self.ingest_lost.clone());
        let help = "1 while connected to NATS";
        r.register("nats_connected", help, self.connected.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Org;

    #[test]
    fn exposition_names_what_it_counts() {
        let (metrics, exposition) = Metrics::new(LabelLimits { orgs: 1, rules: 1 });
        for org in ["acme", "zeta", "eta"] {
            let parsed = Org::parse(org).unwrap();
            OrgMetrics::new(&metrics, &parsed).messages.inc_by(3);
            RuleMetrics::new(&metrics, &parsed, b"cpu").late.inc_by(2);
            metrics.swapped(org, 7);
        }
        metrics.refuse("acme", "magic");
        metrics.tell_expired([("acme", false), ("eta", true), ("zeta", true)].into_iter());
        let text = exposition.text().unwrap();
        for line in [
            "ratchet_messages_total{org=\"acme\"} 3",
            "ratchet_messages_total{org=\"other\"} 6",
            "ratchet_refused_messages_total{org=\"acme\",reason=\"magic\"} 1",
            "ratchet_late_points_total{org=\"acme\",rule=\"cpu\"} 2",
            "ratchet_late_points_total{org=\"other\",rule=\"other\"} 4",
            "ratchet_active_version{org=\"acme\"} 7",
            "ratchet_manifest_expired{org=\"other\"} 2",
            "ratchet_process_cpu_seconds_total",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("ratchet_active_version{org=\"other\"}"));
    }
}
