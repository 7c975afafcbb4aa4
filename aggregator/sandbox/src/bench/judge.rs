//! All modules of a benchmark are compiled and checked before any is timed, side by side.

use super::{BenchError, Builtin, SEED};
use crate::engine::{CompileError, Engine, Module};
use crate::random::Random;
use crate::verify::{Message, Problem, Tally, Verifier};
use ratchet_rules::Rule;
use rayon::prelude::*;
use std::sync::Arc;

#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Builtin(Builtin),
    Component(&'a [u8]),
}

/// Messages that get an instance of their own. With 2,000 rules that takes 6 ms, and a message 0.1,
/// so not all get one here; before a module serves, all held-back ones do.
const ALONE: usize = 8;

/// What modules are held against.
pub(super) struct Judge<'a> {
    pub evaluation: &'a Engine,
    pub production: &'a Engine,
    pub blob: &'a Arc<[u8]>,
    pub rules: &'a [Rule],
    pub messages: &'a [Message],
}

/// A module that is right, ready to be timed under production settings; or where it is wrong.
pub(super) type Judged = Result<(Tally, Module), Problem>;

impl Judge<'_> {
    /// In the order of the sources; the first in that order that cannot be judged is the error.
    pub fn judge_all(
        &self,
        sources: Vec<(String, Source<'_>)>,
    ) -> Result<Vec<(String, Judged)>, BenchError> {
        // Compiled on first use: here, once, and not by all of them at a time.
        let failed = |reason: CompileError| BenchError::Baseline(reason.to_string());
        let baseline = self.evaluation.baseline().map_err(failed)?;
        let judged: Vec<Result<(String, Judged), BenchError>> = sources
            .into_par_iter()
            .map(|(name, source)| {
                let judged = self.judge(&baseline, &name, source)?;
                Ok((name, judged))
            })
            .collect();
        judged.into_iter().collect()
    }

    /// Its outputs must be the baseline's on each message, whatever ran on the instance before.
    fn judge(
        &self,
        baseline: &Module,
        name: &str,
        source: Source<'_>,
    ) -> Result<Judged, BenchError> {
        let failed = |reason: CompileError| BenchError::Module {
            name: name.to_owned(),
            reason,
        };
        let module = compile(self.evaluation, source).map_err(failed)?;
        let checked = Verifier::new(baseline, self.blob.clone(), self.rules)
            .check(&module, self.messages, ALONE, &mut Random::new(SEED))
            .map_err(|error| BenchError::Baseline(error.0))?;
        Ok(match checked {
            Ok(tally) => Ok((tally, compile(self.production, source).map_err(failed)?)),
            Err(problem) => Err(problem),
        })
    }
}

fn compile(engine: &Engine, source: Source<'_>) -> Result<Module, CompileError> {
    match source {
        Source::Builtin(Builtin::Baseline) => engine.baseline(),
        Source::Builtin(Builtin::PerPoint) => engine.per_point(),
        Source::Component(bytes) => engine.compile(bytes),
    }
}
