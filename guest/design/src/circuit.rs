//! Filters as circuits: each distinct subexpression of a metric's filters is one gate, whatever a
//! wire carries: a bit, or a bit for each of many tag-sets.

use crate::{Spec, AND, ARGUMENT, NOT, OR, TEST, TRUE};
use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::{BitAnd, BitOr, Not};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Not,
    And,
    Or,
}

/// What it computes of its inputs; one that has fewer than four repeats the first.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    pub operation: Operation,
    pub inputs: [u32; 4],
    pub output: u32,
}

/// The first wires are the tests of the rules; the one behind them is true; the others are the
/// outputs of gates, numbered anew for each metric.
#[derive(Default)]
pub struct Circuit {
    truth: u32,
    /// The most wires that a metric has.
    pub wires: usize,
    /// By metric, in the order in which they can be evaluated, alike ones together.
    pub gates: Vec<Vec<Gate>>,
    /// By rule: the wire that says which tag-sets it takes.
    pub wire_of: Vec<u32>,
}

impl Circuit {
    /// Puts a metric's filters on their wires, those of tests being there; `all` is what true is.
    #[inline(always)]
    pub fn evaluate<Mask>(&self, metric: usize, all: Mask, wires: &mut [Mask])
    where
        Mask: Copy + BitAnd<Output = Mask> + BitOr<Output = Mask> + Not<Output = Mask>,
    {
        wires[self.truth as usize] = all;
        for gate in &self.gates[metric] {
            let [a, b, c, d] = gate.inputs.map(|wire| wires[wire as usize]);
            wires[gate.output as usize] = match gate.operation {
                Operation::And => a & b & c & d,
                Operation::Or => a | b | c | d,
                Operation::Not => all & !a,
            };
        }
    }

    /// The wire that is always true.
    fn truth(spec: &Spec) -> u32 {
        spec.tests.len() as u32
    }

    pub fn new(spec: &Spec) -> Self {
        let mut circuit = Circuit {
            truth: Self::truth(spec),
            wires: spec.tests.len() + 1,
            gates: Vec::new(),
            wire_of: Vec::new(),
        };
        circuit.wire_of.resize(spec.rules.len(), 0);
        for rules in spec.metric_rules {
            let mut metric = Metric::new(spec);
            for &rule in *rules {
                let filter = spec.rules[rule as usize].filter;
                circuit.wire_of[rule as usize] = metric.wire(spec.filters[filter as usize]);
            }
            circuit.wires = circuit.wires.max(metric.next as usize);
            circuit.gates.push(metric.sorted());
        }
        circuit
    }
}

/// The gates of one metric while they are found.
struct Metric {
    truth: u32,
    next: u32,
    known: BTreeMap<(Operation, [u32; 4]), u32>,
    /// With how many gates there are on the longest way to them.
    gates: Vec<(u32, Gate)>,
    stack: Vec<u32>,
}

impl Metric {
    fn new(spec: &Spec) -> Self {
        let truth = Circuit::truth(spec);
        Metric {
            truth,
            next: truth + 1,
            known: BTreeMap::new(),
            gates: Vec::new(),
            stack: Vec::new(),
        }
    }

    /// The wire of a filter in postfix code.
    fn wire(&mut self, code: &[u32]) -> u32 {
        self.stack.clear();
        for &word in code {
            let argument = word & ARGUMENT;
            let wire = match word & !ARGUMENT {
                TEST => argument,
                NOT => {
                    let input = self.stack.pop().unwrap_or(self.truth);
                    self.gate(Operation::Not, &[input])
                }
                operation @ (AND | OR) => {
                    let from = self.stack.len().saturating_sub(argument as usize);
                    let mut inputs = self.stack.split_off(from);
                    inputs.sort_unstable();
                    inputs.dedup();
                    let both = if operation == AND {
                        Operation::And
                    } else {
                        Operation::Or
                    };
                    self.tree(both, &inputs)
                }
                TRUE => self.truth,
                _ => self.truth,
            };
            self.stack.push(wire);
        }
        self.stack.pop().unwrap_or(self.truth)
    }

    fn tree(&mut self, operation: Operation, inputs: &[u32]) -> u32 {
        match inputs {
            [] => self.truth,
            [only] => *only,
            _ if inputs.len() <= 4 => self.gate(operation, inputs),
            _ => {
                let first = self.gate(operation, &inputs[..4]);
                let mut rest = inputs[4..].to_vec();
                rest.push(first);
                self.tree(operation, &rest)
            }
        }
    }

    fn gate(&mut self, operation: Operation, of: &[u32]) -> u32 {
        let mut inputs = [of[0]; 4];
        inputs[..of.len()].copy_from_slice(of);
        if let Some(&known) = self.known.get(&(operation, inputs)) {
            return known;
        }
        let output = self.next;
        self.next += 1;
        let depth = of.iter().map(|&wire| self.depth(wire)).max().unwrap_or(0) + 1;
        self.known.insert((operation, inputs), output);
        self.gates.push((
            depth,
            Gate {
                operation,
                inputs,
                output,
            },
        ));
        output
    }

    fn depth(&self, wire: u32) -> u32 {
        let at = wire.checked_sub(self.truth + 1);
        at.map_or(0, |at| self.gates[at as usize].0)
    }

    fn sorted(mut self) -> Vec<Gate> {
        self.gates
            .sort_by_key(|(depth, gate)| (*depth, gate.operation));
        self.gates.into_iter().map(|(_, gate)| gate).collect()
    }
}
