//! The core of a shadow evaluation: may a candidate replace an incumbent?

use crate::bench::Ratio;
use crate::engine::{Engine, EngineError};
use crate::limits::Limits;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub seed: u64,
    /// Fewer held-back messages are insufficient. Default 64.
    pub min_messages: usize,
    /// Fuzzed messages besides. Default 64.
    pub fuzz_messages: usize,
    /// What the lower bound of the ratio to the incumbent must exceed. Default 1.1.
    pub ratio_min: f64,
    /// Rounds of timing. Default 15.
    pub rounds: u32,
    /// No round of timing begins after this time, once three are done. Default 20 s.
    pub time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 0,
            min_messages: 64,
            fuzz_messages: 64,
            ratio_min: 1.1,
            rounds: 15,
            time: Duration::from_secs(20),
        }
    }
}

/// What serves now.
#[derive(Clone, Copy, Debug)]
pub enum Incumbent<'a> {
    Baseline,
    Component(&'a [u8]),
}

pub struct Question<'a> {
    pub rules: Arc<[u8]>,
    /// Held-back messages: valid payloads of the organization.
    pub messages: &'a [Bytes],
    pub candidate: &'a [u8],
    pub incumbent: Incumbent<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Pass,
    Fail(String),
    Insufficient { messages: usize, wanted: usize },
}

impl Verdict {
    /// The one word that leaves the aggregator.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail(_) => "fail",
            Verdict::Insufficient { .. } => "insufficient",
        }
    }
}

/// A verdict, and figures that only operators may see.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub verdict: Verdict,
    /// Messages compared: held back, fuzzed, and made from literals.
    pub compared: usize,
    pub ratio: Option<Ratio>,
}

#[derive(Debug, Error)]
pub enum EvaluateError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("baseline: {0}")]
    Baseline(String),
    #[error("incumbent: {0}")]
    Incumbent(String),
    #[error("rules: {0}")]
    Rules(String),
}

/// Answers questions about candidates. It has engines of its own.
pub struct Evaluator {
    evaluation: Engine,
    production: Engine,
}

impl Evaluator {
    pub fn new(limits: Limits) -> Result<Self, EvaluateError> {
        use crate::engine::Kind;
        let evaluation = Engine::new(Kind::Evaluation, limits.clone())?;
        let production = Engine::new(Kind::Production, limits)?;
        Ok(Evaluator {
            evaluation,
            production,
        })
    }

    pub fn evaluate(
        &self,
        question: &Question<'_>,
        options: &Options,
    ) -> Result<Evaluation, EvaluateError> {
        let _ = (question, options, &self.evaluation, &self.production);
        Err(EvaluateError::Rules("not there yet".to_owned()))
    }
}
