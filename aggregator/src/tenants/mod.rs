//! What keeps many organizations apart on one aggregator: bounds of each, and what is counted of
//! them.

mod limits;
mod metrics;

pub use self::limits::{LimitsError, LimitsTable, Quota, TenantLimits};
pub use self::metrics::TenantMetrics;
