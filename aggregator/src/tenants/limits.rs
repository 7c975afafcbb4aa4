//! How much of the process one organization may use.
//!
//! What exceeds a limit is dropped, and counted with its reason; nothing else of the organization
//! is touched, and nothing of any other.

use std::collections::HashMap;
use std::fs;
use std::mem::size_of;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::identity::Org;
use crate::merge;

/// Over so long the points of an organization are summed up, by the clock of the stream.
pub const PERIOD_MS: i64 = 10_000;
/// The most bytes of a file of limits.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Weights of organizations lie between 1 and this.
pub const WEIGHT_MAX: u32 = 1_000;
const MEMORY_MIB_MAX: u32 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantLimits {
    /// Share of the processor while others wait: in proportion to the weights of those who do.
    pub weight: u32,
    /// Points a second of a partition, as a mean of [`PERIOD_MS`].
    pub points_per_second: u64,
    /// Groups of all rules: what is aggregated to, and emitted.
    pub series: usize,
    /// Merge state.
    pub memory_mib: u32,
}

impl Default for TenantLimits {
    fn default() -> Self {
        Self {
            weight: 100,
            points_per_second: 10_000_000,
            series: 1_000_000,
            memory_mib: 1_024,
        }
    }
}

impl TenantLimits {
    /// What that means for the merge: an eighth each for what it only remembers to be faster.
    pub fn merge(&self) -> merge::Limits {
        let bytes = (self.memory_mib as usize) << 20;
        merge::Limits {
            series: (bytes / 8 / merge::SERIES_BYTES).min(merge::Limits::default().series),
            slots: bytes / 8 / size_of::<u32>(),
            recall_bytes: bytes / 8,
            groups: self.series,
            bytes: bytes / 8 * 5,
        }
    }
}

/// Limits as a file says them; what it does not say is inherited.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireLimits {
    weight: Option<u32>,
    points_per_second: Option<u64>,
    series: Option<usize>,
    memory_mib: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTable {
    #[serde(default)]
    default: WireLimits,
    #[serde(default)]
    organizations: HashMap<String, WireLimits>,
}

#[derive(Debug, thiserror::Error)]
#[error("{path}: {detail}")]
pub struct LimitsError {
    path: PathBuf,
    detail: String,
}

/// The limits of every organization.
#[derive(Clone, Debug, Default)]
pub struct LimitsTable {
    default: TenantLimits,
    organizations: HashMap<Org, TenantLimits>,
}

impl LimitsTable {
    /// Reads a file such as
    /// `{"default": {"series": 50000}, "organizations": {"acme": {"weight": 400}}}`.
    pub fn load(path: &Path) -> Result<Self, LimitsError> {
        let fault = |detail: String| LimitsError {
            path: path.to_owned(),
            detail,
        };
        let size = fs::metadata(path).map_err(|e| fault(e.to_string()))?.len();
        if size > FILE_BYTES_MAX {
            return Err(fault(format!("{size} bytes, {FILE_BYTES_MAX} allowed")));
        }
        let bytes = fs::read(path).map_err(|e| fault(e.to_string()))?;
        Self::parse(&bytes).map_err(fault)
    }

    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let wire: WireTable = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let default = inherit("default", wire.default, TenantLimits::default())?;
        let mut organizations = HashMap::new();
        for (name, limits) in wire.organizations {
            let org = Org::parse(&name).map_err(|e| e.to_string())?;
            organizations.insert(org, inherit(&name, limits, default)?);
        }
        Ok(Self {
            default,
            organizations,
        })
    }

    pub fn of(&self, org: &str) -> TenantLimits {
        let own = self.organizations.get(org);
        own.copied().unwrap_or(self.default)
    }
}

fn inherit(name: &str, wire: WireLimits, from: TenantLimits) -> Result<TenantLimits, String> {
    let limits = TenantLimits {
        weight: wire.weight.unwrap_or(from.weight),
        points_per_second: wire.points_per_second.unwrap_or(from.points_per_second),
        series: wire.series.unwrap_or(from.series),
        memory_mib: wire.memory_mib.unwrap_or(from.memory_mib),
    };
    let TenantLimits {
        weight, memory_mib, ..
    } = limits;
    if !(1..=WEIGHT_MAX).contains(&weight) {
        return Err(format!("{name}: weight {weight}, not 1 to {WEIGHT_MAX}"));
    }
    if !(1..=MEMORY_MIB_MAX).contains(&memory_mib) {
        return Err(format!(
            "{name}: memory_mib {memory_mib}, not 1 to {MEMORY_MIB_MAX}"
        ));
    }
    Ok(limits)
}

/// The points of an organization in the present period of the stream.
///
/// Its clock is the moment at which the server received a message, so that whoever reads the stream
/// again drops the same messages; only the period in which reading begins is counted from there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quota {
    period: i64,
    points: u64,
}

impl Quota {
    /// Takes a message in; false when it exceeds the limit.
    pub fn admit(&mut self, received_ms: i64, points: u32, per_second: u64) -> bool {
        let period = received_ms.div_euclid(PERIOD_MS);
        if period > self.period {
            *self = Self { period, points: 0 };
        }
        let most = per_second.saturating_mul(PERIOD_MS as u64 / 1_000);
        let points = self.points.saturating_add(u64::from(points));
        let admitted = points <= most;
        if admitted {
            self.points = points;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_inherited() {
        let check = |json: &str, org: &str, expected: TenantLimits| {
            assert_eq!(
                LimitsTable::parse(json.as_bytes()).unwrap().of(org),
                expected
            );
        };
        let standard = TenantLimits::default();
        check("{}", "acme", standard);
        let json = r#"{"default": {"series": 50, "weight": 10},
            "organizations": {"acme": {"series": 60, "memory_mib": 8}}}"#;
        let (series, weight, memory_mib) = (60, 10, 8);
        let own = TenantLimits {
            series,
            weight,
            memory_mib,
            ..standard
        };
        check(json, "acme", own);
        let inherited = TenantLimits {
            series: 50,
            memory_mib: standard.memory_mib,
            ..own
        };
        check(json, "globex", inherited);
    }

    #[test]
    fn wrong_limits_are_named() {
        let check = |json: &str, expected: &str| {
            let error = LimitsTable::parse(json.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        };
        check("", "EOF");
        check(r#"{"defaults": {}}"#, "defaults");
        check(r#"{"default": {"cpu": 1}}"#, "cpu");
        check(r#"{"default": {"weight": 0}}"#, "default: weight 0");
        check(
            r#"{"organizations": {"a": {"weight": 1001}}}"#,
            "a: weight 1001",
        );
        check(
            r#"{"organizations": {"a": {"memory_mib": 0}}}"#,
            "a: memory_mib 0",
        );
        check(r#"{"organizations": {"No": {}}}"#, "No");
        let missing = LimitsTable::load(Path::new("/nowhere/limits.json")).unwrap_err();
        assert!(missing.to_string().starts_with("/nowhere/limits.json: "));
    }

    #[test]
    fn a_period_of_the_stream_has_its_points() {
        let mut quota = Quota::default();
        let mut check = |received_ms: i64, points: u32, admitted: bool| {
            assert_eq!(
                quota.admit(received_ms, points, 10),
                admitted,
                "{received_ms}"
            );
        };
        check(50_000, 60, true);
        check(59_999, 41, false);
        // What is dropped counts for nothing.
        check(59_999, 40, true);
        check(59_999, 1, false);
        check(60_000, 100, true);
        // A clock that goes back opens no new period.
        check(59_000, 1, false);
        check(70_000, 101, false);
    }
}
