//! Cumulative series become differences: what a rule sums in a window is what was counted there.
//!
//! A cumulative point is the total since the series began. The gateway remembers the newest total
//! of each series and passes on by how much it rose, as the processor `cumulativetodelta` of the
//! OpenTelemetry collector does. Unlike there, the totals are stored in the INGEST stream together
//! with the messages that were made from them: all of it or nothing ([`crate::together`]), and only
//! if the totals that the differences start from are still the newest. So it does not matter which
//! process takes a series' points, nor when one ends.

pub mod plan;
pub mod record;
pub mod rise;
pub mod shelf;
pub mod source;
pub mod stage;

pub use plan::Plan;
pub use rise::{Observed, Step, Total};
pub use shelf::{Locked, Series};
pub use source::{Source, SourceId};
pub use stage::Staged;

/// A hash of a series' metric and tags.
pub type Key = u128;
