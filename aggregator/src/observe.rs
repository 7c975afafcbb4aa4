//! What is told of this process: how much of it, and where to.

use clap::Args;

use crate::metrics::LabelLimits;
use crate::settings::Span;
use crate::traces::TraceSettings;

#[derive(Args, Clone, Debug)]
pub struct ObserveSettings {
    /// Organizations with figures of their own in /metrics; the others are told together, as
    /// `other`.
    #[arg(long, env = "RATCHET_METRICS_ORGS", default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    metrics_orgs: u32,
    /// Rules with figures of their own, of all organizations together.
    #[arg(long, env = "RATCHET_METRICS_RULES", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    metrics_rules: u32,
    /// A partition that is further behind than this makes the process not ready.
    #[arg(long, env = "RATCHET_READY_LAG", default_value = "30s")]
    pub ready_lag: Span,
    #[command(flatten)]
    pub traces: TraceSettings,
}

impl ObserveSettings {
    pub fn label_limits(&self) -> LabelLimits {
        LabelLimits {
            orgs: self.metrics_orgs as usize,
            rules: self.metrics_rules as usize,
        }
    }
}
