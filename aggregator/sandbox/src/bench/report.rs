//! What a benchmark answers: the JSON of `aggregator bench`.

use super::race::Times;
use super::statistics;
use crate::verify::{Problem, Tally};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub messages: usize,
    pub points: u64,
    /// Rounds that were timed.
    pub rounds: u32,
    /// The modules that were timed.
    pub modules: Vec<ModuleReport>,
    pub ratios: Vec<Ratio>,
    /// The first module with a wrong result.
    pub divergence: Option<Divergence>,
    /// The first module that failed otherwise.
    pub trap: Option<TrapReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModuleReport {
    pub name: String,
    /// Median over the rounds.
    pub us_per_message: f64,
    /// Least of the rounds.
    pub us_min: f64,
    pub fuel_per_point: f64,
    /// Over all messages.
    pub records: u64,
}

/// How many times faster `name` is than `reference`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    pub name: String,
    pub reference: String,
    /// Median of the rounds' ratios.
    pub ratio: f64,
    /// 95 % confidence interval of that median.
    pub ci95: [f64; 2],
}

/// The first result of a module that is not the baseline's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    pub module: String,
    /// Index of the message.
    pub message: usize,
    /// Id of the rule.
    pub rule: String,
    pub group: Vec<String>,
    pub window_start_ms: i64,
    /// Count, value and its bits; null when there should be nothing.
    pub expected: Option<String>,
    pub actual: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrapReport {
    pub module: String,
    /// Index of the message.
    pub message: usize,
    pub reason: String,
}

impl Report {
    pub(super) fn add_problem(&mut self, name: &str, problem: Problem) {
        let module = name.to_owned();
        match problem {
            Problem::Differs { message, place } => {
                self.divergence.get_or_insert(Divergence {
                    module,
                    message,
                    rule: place.rule,
                    group: place.group,
                    window_start_ms: place.window_start_ms,
                    expected: place.expected,
                    actual: place.actual,
                });
            }
            other => {
                let (message, reason) = (other.message(), other.to_string());
                self.trap.get_or_insert(TrapReport {
                    module,
                    message,
                    reason,
                });
            }
        }
    }

    pub(super) fn add_times(
        &mut self,
        modules: &[(String, Tally)],
        times: &Times,
        reference: &str,
    ) {
        let micros = 1e6 / self.messages as f64;
        self.rounds = times.rounds() as u32;
        for (at, (name, tally)) in modules.iter().enumerate() {
            let rounds = times.of(at);
            self.modules.push(ModuleReport {
                name: name.clone(),
                us_per_message: micros * statistics::median(rounds),
                us_min: micros * rounds.iter().copied().fold(f64::INFINITY, f64::min),
                fuel_per_point: tally.fuel as f64 / self.points as f64,
                records: tally.records,
            });
        }
        let Some(base) = modules.iter().position(|(name, _)| name == reference) else {
            return;
        };
        for (at, (name, _)) in modules.iter().enumerate().filter(|(at, _)| *at != base) {
            self.ratios
                .push(ratio(name, reference, times.of(base), times.of(at)));
        }
    }
}

/// The ratio of two modules that were timed in the same rounds.
pub fn ratio(name: &str, reference: &str, base: &[f64], times: &[f64]) -> Ratio {
    let paired: Vec<f64> = base
        .iter()
        .zip(times)
        .map(|(base, time)| base / time)
        .collect();
    Ratio {
        name: name.to_owned(),
        reference: reference.to_owned(),
        ratio: statistics::median(&paired),
        ci95: statistics::median_ci95(&paired),
    }
}
