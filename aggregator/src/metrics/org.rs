//! The figures of one organization within a partition, so that the hot path looks nothing up.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use ratchet_output::metrics::OTHER;

use super::labels::Labels;
use super::{ByRule, Metrics, Share};
use crate::identity::Org;
use crate::registry::Level;

/// The handles of one organization.
pub struct OrgMetrics {
    pub messages: Counter,
    pub points: Counter,
    pub records: Counter,
    /// Messages that were merged the way of one before.
    pub recalled: Counter,
    /// Points that modules were given, and the time that they took for them.
    pub module_points: Counter,
    pub message_seconds: Histogram,
    pub state: StateMetrics,
    /// None where several organizations share the label.
    level: Option<Gauge>,
    org: String,
    labels: Labels,
    emitted: ByRule,
    window_age_seconds: Histogram,
}

/// How large the merge state is.
pub struct StateMetrics {
    pub rules: Share,
    pub open_windows: Share,
    pub groups: Share,
    pub accumulators: Share,
    pub series: Share,
    pub bytes: Share,
}

/// The handles of one rule.
#[derive(Clone)]
pub struct RuleMetrics {
    pub matched: Counter,
    pub late: Counter,
    pub overflow: Counter,
}

impl OrgMetrics {
    pub fn new(metrics: &Metrics, org: &Org) -> Self {
        let label = metrics.labels.org(org.as_str());
        Self {
            messages: metrics.messages.get_or_create_owned(&label),
            points: metrics.points.get_or_create_owned(&label),
            records: metrics.records.get_or_create_owned(&label),
            recalled: metrics.recalled.get_or_create_owned(&label),
            module_points: metrics.module_points.get_or_create_owned(&label),
            message_seconds: metrics.message_seconds.get_or_create_owned(&label),
            state: StateMetrics::new(metrics, org),
            level: (label.org != OTHER).then(|| metrics.serving_level.get_or_create_owned(&label)),
            org: org.to_string(),
            labels: metrics.labels.clone(),
            emitted: metrics.emitted.clone(),
            window_age_seconds: metrics.window_age_seconds.clone(),
        }
    }

    /// Tells what serves.
    pub fn serves(&self, level: Level) {
        if let Some(gauge) = &self.level {
            gauge.set(match level {
                Level::Baseline => 0,
                Level::Fleet => 1,
                Level::Tenant => 2,
            });
        }
    }

    /// Counts aggregated points of a rule.
    pub fn emitted(&self, rule: &[u8], points: usize) {
        let rule = String::from_utf8_lossy(rule);
        let label = self.labels.rule(&self.org, &rule);
        self.emitted.get_or_create(&label).inc_by(points as u64);
    }

    /// Sees a window go, so long after its end.
    pub fn window_closed(&self, age_ms: i64) {
        let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
        self.window_age_seconds.observe(age.as_secs_f64());
    }
}

impl StateMetrics {
    fn new(metrics: &Metrics, org: &Org) -> Self {
        let label = metrics.labels.org(org.as_str());
        let share = |family: &super::ByOrg<_>| Share::of(family.get_or_create_owned(&label));
        Self {
            rules: share(&metrics.rules),
            open_windows: share(&metrics.open_windows),
            groups: share(&metrics.groups),
            accumulators: share(&metrics.accumulators),
            series: share(&metrics.series),
            bytes: share(&metrics.state_bytes),
        }
    }
}

impl RuleMetrics {
    pub fn new(metrics: &Metrics, org: &Org, rule: &[u8]) -> Self {
        let rule = String::from_utf8_lossy(rule);
        let label = metrics.labels.rule(org.as_str(), &rule);
        Self {
            matched: metrics.matched.get_or_create_owned(&label),
            late: metrics.late.get_or_create_owned(&label),
            overflow: metrics.overflow.get_or_create_owned(&label),
        }
    }
}
