//! What all ways know of the rules, made once.

use crate::{Circuit, Forest, Kind, Passes, Spec};
use alloc::vec::Vec;

/// Whoever has the largest of configurations has no more memory than others.
const PAIRS_MAX: usize = 1 << 15;

/// What has to be kept beside counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub sum: bool,
    pub max: bool,
    pub min: bool,
    pub count: bool,
}

pub struct Plan {
    pub spec: &'static Spec,
    pub(crate) circuit: Circuit,
    pub(crate) passes: Passes,
    pub(crate) forest: Forest,
    /// By use of a key, as in [`Passes`]: whether a group-by of the metric asks for the key.
    pub(crate) grouped: Vec<bool>,
    pub(crate) needs: Needs,
}

impl Plan {
    /// `ranks` says key by key when groups are split by it; without ranks, in the order of keys.
    pub fn new(spec: &'static Spec, ranks: &[u16]) -> Self {
        let circuit = Circuit::new(spec);
        Plan {
            spec,
            forest: Forest::new(spec, &circuit, ranks),
            circuit,
            passes: Passes::within(spec, PAIRS_MAX),
            grouped: grouped(spec),
            needs: needs(spec),
        }
    }
}

fn grouped(spec: &Spec) -> Vec<bool> {
    let mut grouped = Vec::new();
    for (rules, keys) in spec.metric_rules.iter().zip(spec.metric_keys) {
        let first = grouped.len();
        grouped.resize(first + keys.len(), false);
        for &rule in *rules {
            for &key in spec.groups[spec.rules[rule as usize].group as usize] {
                let place = keys.partition_point(|each| each.key < key);
                grouped[first + place] = true;
            }
        }
    }
    grouped
}

fn needs(spec: &Spec) -> Needs {
    let mut needs = Needs::default();
    for rule in spec.rules {
        match rule.kind {
            Kind::Sum | Kind::Avg => needs.sum = true,
            Kind::Max => needs.max = true,
            Kind::Min => needs.min = true,
            Kind::Count => needs.count = true,
        }
    }
    needs
}
