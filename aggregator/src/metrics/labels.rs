//! Labels that stay few, however many organizations and rules there are.

use prometheus_client::encoding::EncodeLabelSet;
use ratchet_output::metrics::{Names, OTHER};
use ratchet_trust::FLEET;

/// Stands for every organization that no configuration names, since anybody may send such names.
pub const UNKNOWN_ORG: &str = "unknown";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OrgLabel {
    pub org: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    pub org: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RuleLabel {
    pub org: String,
    pub rule: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DestinationLabel {
    pub org: String,
    pub destination: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PartitionLabel {
    pub partition: u32,
}

/// How many organizations and rules have labels of their own; all beyond share [`OTHER`].
#[derive(Clone, Copy, Debug)]
pub struct LabelLimits {
    pub orgs: usize,
    /// Of all organizations together.
    pub rules: usize,
}

/// Gives labels, first come, first served: a name keeps its label while the process lives, so a
/// counter never falls.
#[derive(Clone)]
pub struct Labels {
    orgs: Names,
    rules: Names,
}

impl Labels {
    pub fn new(limits: LabelLimits) -> Self {
        let fixed = [FLEET, UNKNOWN_ORG];
        let orgs = Names::new(limits.orgs + fixed.len());
        for name in fixed {
            orgs.label(name);
        }
        let rules = Names::new(limits.rules);
        Self { orgs, rules }
    }

    pub fn org(&self, org: &str) -> OrgLabel {
        let org = self.orgs.label(org);
        OrgLabel { org }
    }

    pub fn reason(&self, org: &str, reason: &str) -> ReasonLabel {
        let (org, reason) = (self.orgs.label(org), reason.to_owned());
        ReasonLabel { org, reason }
    }

    pub fn rule(&self, org: &str, rule: &str) -> RuleLabel {
        let org = self.orgs.label(org);
        // No name of an organization holds a slash.
        let named = org != OTHER && self.rules.label(&format!("{org}/{rule}")) != OTHER;
        let rule = if named { rule } else { OTHER }.to_owned();
        RuleLabel { org, rule }
    }

    pub fn destination(&self, org: &str, destination: &str) -> DestinationLabel {
        let (org, destination) = (self.orgs.label(org), destination.to_owned());
        DestinationLabel { org, destination }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_few() {
        let labels = Labels::new(LabelLimits { orgs: 2, rules: 3 });
        let check = |org: &str, rule: &str, expected: (&str, &str)| {
            let label = labels.rule(org, rule);
            assert_eq!((&*label.org, &*label.rule), expected, "{org}/{rule}");
            assert_eq!(labels.org(org).org, expected.0);
        };
        check("a", "x", ("a", "x"));
        check("b", "x", ("b", "x"));
        check("c", "x", (OTHER, OTHER));
        check("a", "y", ("a", "y"));
        check("b", "y", ("b", OTHER));
        check("a", "x", ("a", "x"));
        assert_eq!(labels.reason(FLEET, "demoted").org, FLEET);
        assert_eq!(labels.reason(UNKNOWN_ORG, "magic").org, UNKNOWN_ORG);
    }
}
