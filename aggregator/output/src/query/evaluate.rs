//! Selectors against the windows that are kept.
//!
//! A window's sample lies at the window's end. At a moment, a series has the value of its newest
//! sample that is not older than the *lookback*: five minutes, as Prometheus has it, or two
//! windows where they are longer, so that a series of hourly windows has no gaps.

use std::collections::HashMap;
use std::sync::Arc;

use super::org::{metric_of, OrgStore, RuleStore};
use super::selector::Selector;
use crate::names::Labels;

const LOOKBACK_MS: i64 = 300_000;
/// Series in one answer.
pub const SERIES_MAX: usize = 10_000;
/// Values in one answer.
pub const VALUES_MAX: usize = 1_000_000;

/// Samples of one series: moments in milliseconds, ascending, and values.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub labels: Labels,
    pub values: Vec<(i64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    #[error("the answer would have more than {SERIES_MAX} series")]
    Series,
    #[error("the answer would have more than {VALUES_MAX} values")]
    Values,
}

/// Moments from `start_ms` to `end_ms`, `step_ms` apart.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    pub start_ms: i64,
    pub end_ms: i64,
    pub step_ms: i64,
}

impl Steps {
    pub fn at(moment_ms: i64) -> Self {
        Self {
            start_ms: moment_ms,
            end_ms: moment_ms,
            step_ms: 1,
        }
    }

    pub fn count(&self) -> usize {
        ((self.end_ms - self.start_ms) / self.step_ms + 1).max(0) as usize
    }

    pub fn moments(self) -> impl Iterator<Item = i64> {
        (0..self.count() as i64).map(move |i| self.start_ms + i * self.step_ms)
    }
}

fn lookback_ms(window_ms: i64) -> i64 {
    LOOKBACK_MS.max(2 * window_ms)
}

/// The value of each series at each step; series without any are left out.
pub fn steps(org: &OrgStore, selector: &Selector, steps: Steps) -> Result<Vec<Row>, TooMuch> {
    let mut rows = Vec::new();
    for id in matching(org, selector) {
        let longest_ms = org.windows_of(id).map(|(end, start)| end - start).max();
        let from_ms = steps
            .start_ms
            .saturating_sub(lookback_ms(longest_ms.unwrap_or(0)));
        let (rule, samples) = samples(org, id, selector, (from_ms, steps.end_ms));
        if (rows.len() + samples.len()).saturating_mul(steps.count()) > VALUES_MAX {
            return Err(TooMuch::Values);
        }
        for (series, samples) in samples {
            push(&mut rows, &rule, series, at_steps(&samples, steps))?;
        }
    }
    rows.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Ok(rows)
}

/// The samples of each series after `from_ms` up to `to_ms`.
pub fn raw(
    org: &OrgStore,
    selector: &Selector,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<Row>, TooMuch> {
    let (mut rows, mut total) = (Vec::new(), 0);
    for id in matching(org, selector) {
        let (rule, samples) = samples(org, id, selector, (from_ms, to_ms));
        for (series, samples) in samples {
            total += samples.len();
            if total > VALUES_MAX {
                return Err(TooMuch::Values);
            }
            let values = samples.iter().map(|s| (s.at_ms, s.value)).collect();
            push(&mut rows, &rule, series, values)?;
        }
    }
    rows.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Ok(rows)
}

fn matching<'a>(org: &'a OrgStore, selector: &'a Selector) -> impl Iterator<Item = &'a Arc<str>> {
    let rules = org.rules().into_iter();
    rules.filter(|rule| selector.may_match(&metric_of(rule)))
}

fn push(
    rows: &mut Vec<Row>,
    rule: &RuleStore,
    series: u32,
    values: Vec<(i64, f64)>,
) -> Result<(), TooMuch> {
    let series = rule.series.get(series as usize);
    let Some(series) = series.filter(|_| !values.is_empty()) else {
        return Ok(());
    };
    if rows.len() >= SERIES_MAX {
        return Err(TooMuch::Series);
    }
    let labels = series.labels.clone();
    rows.push(Row { labels, values });
    Ok(())
}

#[derive(Clone, Copy)]
struct Sample {
    at_ms: i64,
    /// Until this moment, exclusively, it stands for its series.
    until_ms: i64,
    value: f64,
}

/// By series, in order of time; a later message about the same window replaces an earlier one.
fn samples(
    org: &OrgStore,
    id: &str,
    selector: &Selector,
    (after_ms, to_ms): (i64, i64),
) -> (RuleStore, HashMap<u32, Vec<Sample>>) {
    let begin = (after_ms.min(to_ms).saturating_add(1), i64::MIN);
    let rule = org.rule(id, begin..(to_ms.saturating_add(1), i64::MIN));
    let series = (0..).zip(&rule.series);
    let matching = series.filter(|(_, s)| selector.matches(&s.labels));
    let mut found: HashMap<u32, Vec<Sample>> =
        matching.map(|(place, _)| (place, Vec::new())).collect();
    for ((end_ms, start_ms), points) in &rule.windows {
        let until_ms = end_ms + lookback_ms(end_ms - start_ms);
        for point in points {
            let Some(samples) = found.get_mut(&point.series) else {
                continue;
            };
            let sample = Sample {
                at_ms: *end_ms,
                until_ms,
                value: point.value,
            };
            match samples.last_mut() {
                Some(last) if last.at_ms == *end_ms => *last = sample,
                _ => samples.push(sample),
            }
        }
    }
    (rule, found)
}

fn at_steps(samples: &[Sample], steps: Steps) -> Vec<(i64, f64)> {
    let mut next = 0;
    let value = |moment_ms| {
        while samples
            .get(next)
            .is_some_and(|sample| sample.at_ms <= moment_ms)
        {
            next += 1;
        }
        let newest = next.checked_sub(1).map(|index| samples[index])?;
        (moment_ms < newest.until_ms).then_some((moment_ms, newest.value))
    };
    steps.moments().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emission::tests::message;

    fn store(rows: &[(&str, &str, u32, i64, f64)]) -> OrgStore {
        let mut org = OrgStore::default();
        for (rule, host, window_s, start_s, value) in rows {
            let tags: &[_] = &[("host", *host)];
            let row = (*rule, tags, 1000 * start_s, *value, 1);
            let (envelope, payload) = message("acme", 1000 * window_s, &[row]);
            org.add(&envelope, &payload).unwrap();
        }
        org
    }

    type Told<'a> = (&'a str, &'a [(i64, f64)]);

    /// Hosts and their values, moments in seconds.
    fn check(rows: Vec<Row>, expected: &[Told<'_>]) {
        let told: Vec<(String, Vec<(i64, f64)>)> = rows
            .iter()
            .map(|row| {
                let values = row.values.iter().map(|(ms, value)| (ms / 1000, *value));
                let host = row.labels.get("host").unwrap_or_default();
                (host.to_owned(), values.collect())
            })
            .collect();
        let told: Vec<Told<'_>> = told.iter().map(|(h, v)| (&**h, &**v)).collect();
        assert_eq!(told, expected);
    }

    fn range(start_s: i64, end_s: i64, step_s: i64) -> Steps {
        Steps {
            start_ms: 1000 * start_s,
            end_ms: 1000 * end_s,
            step_ms: 1000 * step_s,
        }
    }

    #[test]
    fn a_series_has_its_newest_value_within_the_lookback() {
        let org = store(&[
            ("cpu", "a", 30, 0, 1.0),
            ("cpu", "a", 30, 30, 2.0),
            ("cpu", "b", 30, 0, 3.0),
            ("mem", "a", 30, 30, 9.0),
        ]);
        let cpu = Selector::parse("cpu").unwrap();
        let at = |second: i64| steps(&org, &cpu, Steps::at(1000 * second)).unwrap();
        check(at(29), &[]);
        check(at(30), &[("a", &[(30, 1.0)]), ("b", &[(30, 3.0)])]);
        check(at(60), &[("a", &[(60, 2.0)]), ("b", &[(60, 3.0)])]);
        check(at(329), &[("a", &[(329, 2.0)]), ("b", &[(329, 3.0)])]);
        check(at(330), &[("a", &[(330, 2.0)])]);
        check(at(360), &[]);
        let told = steps(&org, &cpu, range(0, 90, 20)).unwrap();
        let a: Told<'_> = ("a", &[(40, 1.0), (60, 2.0), (80, 2.0)]);
        check(told, &[a, ("b", &[(40, 3.0), (60, 3.0), (80, 3.0)])]);
    }

    #[test]
    fn long_windows_look_back_further() {
        let org = store(&[("cpu", "a", 3600, 0, 1.0)]);
        let cpu = Selector::parse("cpu").unwrap();
        let at = |second: i64| steps(&org, &cpu, Steps::at(1000 * second)).unwrap();
        check(at(3 * 3600 - 1), &[("a", &[(3 * 3600 - 1, 1.0)])]);
        check(at(3 * 3600), &[]);
    }

    #[test]
    fn raw_samples_after_a_moment() {
        let org = store(&[
            ("cpu", "a", 10, 0, 1.0),
            ("cpu", "a", 10, 10, 2.0),
            ("cpu", "a", 10, 20, 3.0),
            ("cpu", "a", 10, 20, 4.0),
        ]);
        let cpu = Selector::parse("cpu").unwrap();
        let raw = |from_s: i64, to_s: i64| raw(&org, &cpu, 1000 * from_s, 1000 * to_s).unwrap();
        check(raw(0, 100), &[("a", &[(10, 1.0), (20, 2.0), (30, 4.0)])]);
        check(raw(10, 20), &[("a", &[(20, 2.0)])]);
        check(raw(30, 100), &[]);
        check(raw(5, 5), &[]);
    }

    #[test]
    fn answers_are_bounded() {
        let org = store(&[("cpu", "a", 10, 0, 1.0)]);
        let cpu = Selector::parse("cpu").unwrap();
        let long = range(0, 2_000_000, 1);
        assert_eq!(steps(&org, &cpu, long), Err(TooMuch::Values));
    }
}
