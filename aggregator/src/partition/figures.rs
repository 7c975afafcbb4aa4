//! What is counted of the rules of a configuration.

use ratchet_sandbox::Record;

use crate::configuration::Configuration;
use crate::identity::Org;
use crate::merge::Tally;
use crate::metrics::{Metrics, RuleMetrics};

/// The figures of each rule. Matched points are told now and then, not with every message: that
/// names most rules, and counters that other threads read are slow to write.
#[derive(Default)]
pub struct RuleFigures {
    rules: Vec<RuleMetrics>,
    /// Matched points by rule that are still to be told.
    matched: Vec<u64>,
    has_news: bool,
}

impl RuleFigures {
    pub fn new(metrics: &Metrics, org: &Org, configuration: &Configuration) -> Self {
        let rules = configuration.rules.iter();
        Self {
            rules: rules
                .map(|rule| RuleMetrics::new(metrics, org, &rule.rule.id))
                .collect(),
            matched: vec![0; configuration.rules.len()],
            has_news: false,
        }
    }

    /// Counts what became of the records of a message that was merged.
    pub fn count(&mut self, records: &[Record], tally: &Tally) {
        self.has_news = true;
        for record in records {
            self.matched[record.rule as usize] += u64::from(record.count);
        }
        for apart in tally.elsewhere.iter().chain(&tally.overflow) {
            self.matched[apart.rule as usize] -= apart.points;
        }
        for overflow in &tally.overflow {
            self.rules[overflow.rule as usize]
                .overflow
                .inc_by(overflow.points);
        }
        for late in &tally.late {
            let (rule, points) = (late.rule as usize, u64::from(late.points));
            self.matched[rule] -= points;
            self.rules[rule].late.inc_by(points);
        }
    }

    /// Tells how many points matched.
    pub fn tell(&mut self) {
        if !std::mem::take(&mut self.has_news) {
            return;
        }
        for (rule, matched) in self.rules.iter().zip(&mut self.matched) {
            rule.matched.inc_by(std::mem::take(matched));
        }
    }
}

impl Drop for RuleFigures {
    fn drop(&mut self) {
        self.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::tests::{of_rules, rule};
    use crate::merge::{LatePoints, RulePoints};
    use crate::metrics::LabelLimits;
    use ratchet_rules::Aggregate;

    #[test]
    fn all_points_are_counted_once() {
        let rules = ["a", "b"].map(|id| rule(id, "cpu", Aggregate::Sum, 10, &[]));
        let (metrics, _) = Metrics::new(LabelLimits { orgs: 2, rules: 3 });
        let org = Org::parse("acme").unwrap();
        let mut figures = RuleFigures::new(&metrics, &org, &of_rules(&rules));
        let counters: Vec<_> = figures.rules.clone();
        let told = || {
            let of =
                |rule: &RuleMetrics| [&rule.matched, &rule.late, &rule.overflow].map(|c| c.get());
            [of(&counters[0]), of(&counters[1])]
        };
        let record = |rule, count| Record {
            rule,
            set: 0,
            window: 0,
            count,
            value: 1.0,
        };
        let apart = |rule, points| vec![RulePoints { rule, points }];
        let tally = Tally {
            late: vec![LatePoints {
                rule: 0,
                start_ms: 0,
                points: 3,
            }],
            elsewhere: apart(1, 20),
            overflow: apart(1, 4),
            ..Tally::default()
        };
        figures.count(&[record(0, 3), record(1, 50), record(0, 7)], &tally);
        assert_eq!(told(), [[0, 3, 0], [0, 0, 4]]);
        figures.tell();
        assert_eq!(told(), [[7, 3, 0], [26, 0, 4]]);
        figures.count(&[record(1, 1)], &Tally::default());
        drop(figures);
        assert_eq!(
            told(),
            [[7, 3, 0], [27, 0, 4]],
            "what is left is told at the end"
        );
    }
}
