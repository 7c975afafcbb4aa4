//! A configuration as the aggregator uses it: the rules blob and the meaning of each rule.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use ratchet_rules::{Rule, RulesError};
use ratchet_trust::{ConfigurationDigest, Sha256Digest};

use crate::identity::Org;

/// A rule with the digest of its meaning (id, metric, filter, group-by, aggregate and window as
/// the blob spells them). Merge state is keyed by that digest, never by the rule's index, so a
/// rule that a new configuration leaves untouched keeps its open windows.
pub struct MeaningfulRule {
    pub rule: Rule,
    pub meaning: Sha256Digest,
}

/// The rules of one organization, identified by the SHA-256 of the blob that modules are given.
pub struct Configuration {
    pub org: Org,
    pub digest: ConfigurationDigest,
    pub blob: Bytes,
    pub rules: Vec<Arc<MeaningfulRule>>,
    /// The distinct window lengths, ascending.
    windows_ms: Vec<i64>,
    by_meaning: HashMap<Sha256Digest, usize>,
}

impl Configuration {
    pub fn parse(org: Org, blob: Bytes) -> Result<Self, RulesError> {
        let parsed = ratchet_rules::parse(&blob)?;
        let rules: Vec<_> = parsed
            .into_iter()
            .map(|rule| {
                let meaning = Sha256Digest::of(&ratchet_rules::encode(std::slice::from_ref(&rule)));
                Arc::new(MeaningfulRule { rule, meaning })
            })
            .collect();
        let mut windows_ms: Vec<i64> = rules.iter().map(|r| i64::from(r.rule.window_ms)).collect();
        windows_ms.sort_unstable();
        windows_ms.dedup();
        let meanings = rules.iter().map(|rule| rule.meaning);
        let by_meaning = meanings.zip(0..).collect();
        Ok(Self {
            org,
            digest: ConfigurationDigest::of(&blob),
            blob,
            rules,
            windows_ms,
            by_meaning,
        })
    }

    pub fn rule(&self, meaning: &Sha256Digest) -> Option<&Arc<MeaningfulRule>> {
        self.rules.get(*self.by_meaning.get(meaning)?)
    }

    /// The earliest start of a window that a point at `ts` belongs to.
    pub fn earliest_window_start_ms(&self, ts: i64) -> i64 {
        self.window_starts(ts).min().unwrap_or(ts)
    }

    /// The latest start of a window that a point at `ts` belongs to.
    pub fn latest_window_start_ms(&self, ts: i64) -> i64 {
        self.window_starts(ts).max().unwrap_or(ts)
    }

    fn window_starts(&self, ts: i64) -> impl Iterator<Item = i64> + '_ {
        self.windows_ms.iter().map(move |w| ts.div_euclid(*w) * w)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ratchet_rules::{Aggregate, Filter};

    pub fn rule(id: &str, metric: &str, aggregate: Aggregate, window_s: u32, by: &[&str]) -> Rule {
        Rule {
            id: id.as_bytes().into(),
            metric: metric.as_bytes().into(),
            aggregate,
            window_ms: window_s * 1000,
            group_by: by.iter().map(|k| k.as_bytes().into()).collect(),
            filter: Filter::All,
        }
    }

    pub fn of_rules(rules: &[Rule]) -> Arc<Configuration> {
        let blob = Bytes::from(ratchet_rules::encode(rules));
        let org = Org::parse("acme").unwrap();
        Arc::new(Configuration::parse(org, blob).unwrap())
    }

    /// One rule a window length in seconds, ids `<name>-<window>`.
    pub fn configuration(name: &str, windows_s: &[u32]) -> Arc<Configuration> {
        let rules: Vec<Rule> = windows_s
            .iter()
            .map(|w| rule(&format!("{name}-{w}"), "cpu", Aggregate::Sum, *w, &["host"]))
            .collect();
        of_rules(&rules)
    }

    #[test]
    fn meaning_is_independent_of_the_index() {
        let kept = rule("m", "cpu", Aggregate::Sum, 30, &["host"]);
        let alone = of_rules(std::slice::from_ref(&kept));
        let second = of_rules(&[rule("a", "cpu", Aggregate::Max, 30, &[]), kept]);
        assert_eq!(alone.rules[0].meaning, second.rules[1].meaning);
        assert_ne!(alone.digest, second.digest);
        for changed in [
            rule("n", "cpu", Aggregate::Sum, 30, &["host"]),
            rule("m", "mem", Aggregate::Sum, 30, &["host"]),
            rule("m", "cpu", Aggregate::Max, 30, &["host"]),
            rule("m", "cpu", Aggregate::Sum, 60, &["host"]),
            rule("m", "cpu", Aggregate::Sum, 30, &["pod"]),
        ] {
            assert_ne!(
                of_rules(&[changed]).rules[0].meaning,
                alone.rules[0].meaning
            );
        }
    }

    #[test]
    fn window_starts_of_a_point() {
        let configuration = configuration("a", &[7, 30]);
        assert_eq!(configuration.earliest_window_start_ms(59_000), 30_000);
        assert_eq!(configuration.latest_window_start_ms(59_000), 56_000);
    }
}
