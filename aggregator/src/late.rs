//! Points that came too late, offered on the side stream LATE as `late.<org>`.
//!
//! The message goes there whole, as it was sent, with a header that names the windows it missed, so
//! that whoever wants to can mend downstream totals. A message whose timestamps are out of reach
//! goes there too, with the reason.

use async_nats::HeaderMap;
use serde::Serialize;

use crate::configuration::Configuration;
use crate::identity::Org;
use crate::merge::LatePoints;
use crate::spread::Place;

pub const STREAM: &str = "LATE";
const WINDOWS: &str = "Ratchet-Late";
const REFUSED: &str = "Ratchet-Refused";
/// Windows that one header names; of the others it gives the number.
const WINDOWS_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LateWindow {
    pub rule: String,
    pub start_ms: i64,
    pub window_ms: u32,
    pub points: u32,
}

#[derive(Serialize)]
struct Told<'a> {
    windows: &'a [LateWindow],
    omitted: usize,
}

/// Each partition of an organization writes its own subject.
pub fn subject(org: &Org, place: Place) -> String {
    if place.is_home(org) {
        format!("late.{org}")
    } else {
        format!("late.{org}.{}", place.partition)
    }
}

/// Names what a message missed, one entry a rule and window.
pub fn windows(configuration: &Configuration, late: &[LatePoints]) -> Vec<LateWindow> {
    let mut windows: Vec<(LatePoints, LateWindow)> = Vec::new();
    for points in late {
        let same = |(p, _): &&mut (LatePoints, LateWindow)| {
            (p.rule, p.start_ms) == (points.rule, points.start_ms)
        };
        if let Some((_, window)) = windows.iter_mut().find(same) {
            window.points = window.points.saturating_add(points.points);
            continue;
        }
        let Some(rule) = configuration.rules.get(points.rule as usize) else {
            continue;
        };
        let window = LateWindow {
            rule: String::from_utf8_lossy(&rule.rule.id).into_owned(),
            start_ms: points.start_ms,
            window_ms: rule.rule.window_ms,
            points: points.points,
        };
        windows.push((*points, window));
    }
    windows.into_iter().map(|(_, window)| window).collect()
}

pub fn late_headers(windows: &[LateWindow]) -> HeaderMap {
    let told = Told {
        windows: &windows[..windows.len().min(WINDOWS_MAX)],
        omitted: windows.len().saturating_sub(WINDOWS_MAX),
    };
    // Plain fields cannot fail to be written.
    let text = serde_json::to_string(&told).unwrap_or_default();
    let mut headers = HeaderMap::new();
    headers.insert(WINDOWS, text.as_str());
    headers
}

/// A message with points of windows that have no part in the partition it was published to.
pub const MISROUTED: &str = "misrouted";

pub fn refused_headers(reason: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(REFUSED, reason);
    headers
}

#[cfg(test)]
mod tests {
    use ratchet_rules::Aggregate;

    use super::*;
    use crate::configuration::tests::{of_rules, rule};

    #[test]
    fn one_entry_a_rule_and_window() {
        let configuration = of_rules(&[
            rule("a", "cpu", Aggregate::Sum, 10, &["host"]),
            rule("b", "cpu", Aggregate::Sum, 60, &["host"]),
        ]);
        let late = |rule, start_ms, points| LatePoints {
            rule,
            start_ms,
            points,
        };
        let late = [
            late(0, 10, 1),
            late(0, 10, 2),
            late(0, 20, 4),
            late(1, 0, 8),
        ];
        let told: Vec<_> = windows(&configuration, &late)
            .into_iter()
            .map(|w| (w.rule, w.start_ms, w.window_ms, w.points))
            .collect();
        let expected = [
            ("a", 10, 10_000, 3),
            ("a", 20, 10_000, 4),
            ("b", 0, 60_000, 8),
        ];
        assert_eq!(told, expected.map(|(r, s, w, p)| (r.to_owned(), s, w, p)));
    }

    #[test]
    fn headers_are_bounded() {
        let window = LateWindow {
            rule: "a".to_owned(),
            start_ms: 10,
            window_ms: 10_000,
            points: 1,
        };
        let headers = late_headers(&vec![window; WINDOWS_MAX + 3]);
        let told: serde_json::Value =
            serde_json::from_str(headers.get(WINDOWS).unwrap().as_str()).unwrap();
        assert_eq!(told["windows"].as_array().map(Vec::len), Some(WINDOWS_MAX));
        assert_eq!(told["omitted"], 3);
        assert_eq!(told["windows"][0]["rule"], "a");
    }
}
