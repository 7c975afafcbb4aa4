//! What is being served right now, for the live view.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::Serialize;

use crate::identity::Org;
use crate::registry::{Installed, Level};

/// One organization, written by the thread that serves it.
#[derive(Default)]
pub struct OrgStatus {
    messages: AtomicU64,
    us_per_message: AtomicU64,
    open_windows: AtomicU64,
    serving: Mutex<Serving>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Serving {
    pub configuration: Option<String>,
    pub module: Option<String>,
    pub level: &'static str,
    pub version: u64,
}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    serving: Serving,
    messages: u64,
    us_per_message: Option<f64>,
    open_windows: u64,
}

impl OrgStatus {
    /// Weight of one message in the moving average.
    const WEIGHT: f64 = 1.0 / 64.0;

    /// Sees the guest time of one message; returns the moving average.
    pub fn message(&self, us: f64) -> f64 {
        self.messages.fetch_add(1, Ordering::Relaxed);
        let average = match self.us_per_message() {
            Some(average) => average + (us - average) * Self::WEIGHT,
            None => us,
        };
        self.us_per_message
            .store(average.to_bits(), Ordering::Relaxed);
        average
    }

    pub fn set_open_windows(&self, count: usize) {
        self.open_windows.store(count as u64, Ordering::Relaxed);
    }

    /// Another module serves: the average starts anew.
    pub fn set_serving(&self, serving: Serving) {
        let mut current = self.serving.lock();
        if *current != serving {
            *current = serving;
            self.us_per_message.store(0, Ordering::Relaxed);
        }
    }

    fn us_per_message(&self) -> Option<f64> {
        let bits = self.us_per_message.load(Ordering::Relaxed);
        (bits != 0).then(|| f64::from_bits(bits))
    }
}

/// All organizations.
#[derive(Default)]
pub struct StatusBoard {
    lines: RwLock<BTreeMap<Org, Arc<OrgStatus>>>,
}

impl StatusBoard {
    pub fn of(&self, org: &Org) -> Arc<OrgStatus> {
        self.lines.write().entry(org.clone()).or_default().clone()
    }

    /// With the module of the fleet, if there is one, and how many organizations it serves.
    pub fn json(&self, fleet: Option<&Installed>) -> serde_json::Value {
        let line = |status: &OrgStatus| Line {
            serving: status.serving.lock().clone(),
            messages: status.messages.load(Ordering::Relaxed),
            us_per_message: status.us_per_message(),
            open_windows: status.open_windows.load(Ordering::Relaxed),
        };
        let lines = self.lines.read();
        let organizations: BTreeMap<_, _> = lines
            .iter()
            .map(|(org, status)| (org.as_str(), line(status)))
            .collect();
        let serves = || {
            let served = lines.values().map(|status| status.serving.lock().level);
            served.filter(|level| *level == Level::Fleet.name()).count()
        };
        let fleet = fleet.map(|installed| {
            serde_json::json!({
                "module": installed.digest.to_string(),
                "version": installed.version,
                "serves": serves(),
            })
        });
        serde_json::json!({ "organizations": organizations, "fleet": fleet })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_starts_anew_with_another_module() {
        let board = StatusBoard::default();
        let status = board.of(&Org::parse("acme").unwrap());
        assert_eq!(status.message(10.0), 10.0);
        assert_eq!(status.message(74.0), 11.0);
        status.set_serving(Serving {
            version: 2,
            level: "tenant",
            ..Serving::default()
        });
        assert_eq!(
            board.json(None)["organizations"]["acme"]["us_per_message"],
            serde_json::Value::Null
        );
        status.message(3.0);
        let line = &board.json(None)["organizations"]["acme"];
        assert_eq!(
            (&line["messages"], &line["version"]),
            (&3.into(), &2.into())
        );
        assert_eq!(line["us_per_message"], 3.0);
    }
}
