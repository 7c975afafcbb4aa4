//! The core of a shadow evaluation: may a candidate replace an incumbent?

use crate::bench::race::{Race, Stopped};
use crate::bench::Ratio;
use crate::engine::{CompileError, Engine, EngineError, Kind, Module};
use crate::fuzz;
use crate::limits::Limits;
use crate::policy::World;
use crate::random::Random;
use crate::records::RECORD_BYTES;
use crate::runner::Runner;
use crate::verify::{Message, Problem, Verifier};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Fuzzed messages and orders come from it: draw it anew for each generation.
    pub seed: u64,
    /// Fewer held-back messages are insufficient. Default 64.
    pub min_messages: usize,
    /// Fuzzed messages besides. Default 96.
    pub fuzz_messages: usize,
    /// What the lower bound of the ratio to the incumbent must exceed. Default 1.1.
    pub ratio_min: f64,
    /// Rounds of timing. Default 21.
    pub rounds: u32,
    /// No round of timing begins after this time, but for the first few. Default 20 s.
    pub time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 0,
            min_messages: 64,
            fuzz_messages: 96,
            ratio_min: 1.1,
            rounds: 21,
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

/// A question about a candidate.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The rules blob.
    pub rules: Arc<[u8]>,
    /// Held-back messages of the organization. What is malformed among them is left out.
    pub messages: &'a [Bytes],
    /// A component.
    pub candidate: &'a [u8],
    /// What it may import at most, where the limits allow it.
    pub world: World,
    pub incumbent: Incumbent<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Pass,
    Fail(Failure),
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

/// Why a candidate fails. For operators only: it tells of held-back messages.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Failure {
    #[error("not admitted: {0}")]
    Refused(String),
    #[error("wrong: {0}")]
    Wrong(String),
    #[error("stopped: {0}")]
    Stopped(String),
    #[error("unstable: {0}")]
    Unstable(String),
    #[error("slow: {ratio:.3} times the incumbent's speed, at least {low:.3}; {wanted} wanted")]
    Slow { ratio: f64, low: f64, wanted: f64 },
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let text = problem.to_string();
        match problem {
            Problem::Differs { .. } | Problem::Repeats { .. } => Failure::Wrong(text),
            Problem::Fault { .. } => Failure::Stopped(text),
            Problem::Unstable { .. } => Failure::Unstable(text),
        }
    }
}

/// A verdict, and figures that only operators may see.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub verdict: Verdict,
    /// Held-back messages compared.
    pub held_back: usize,
    /// Messages compared that were fuzzed or made from literals.
    pub made: usize,
    /// The candidate's ratio to the incumbent, when it came to that.
    pub ratio: Option<Ratio>,
}

/// Nothing can be said of the candidate.
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

/// Answers questions about candidates, on engines of its own.
pub struct Evaluator {
    evaluation: Engine,
    production: Engine,
}

impl Evaluator {
    pub fn new(limits: Limits) -> Result<Self, EvaluateError> {
        let evaluation = Engine::new(Kind::Evaluation, limits.clone())?;
        let production = Engine::new(Kind::Production, limits)?;
        Ok(Evaluator {
            evaluation,
            production,
        })
    }

    /// Takes seconds of CPU time.
    ///
    /// The outputs must be the baseline's, bit for bit, on held-back, fuzzed and rule-literal
    /// messages, in any order, on fresh and used instances; then the candidate must be faster than
    /// the incumbent on the held-back ones. A wrong candidate fails however few messages there are.
    pub fn evaluate(
        &self,
        question: &Question<'_>,
        options: &Options,
    ) -> Result<Evaluation, EvaluateError> {
        let rules = ratchet_rules::parse(&question.rules)
            .map_err(|error| EvaluateError::Rules(error.to_string()))?;
        let baseline = self
            .evaluation
            .baseline()
            .map_err(told(EvaluateError::Baseline))?;
        let mut verifier = Verifier::new(&baseline, question.rules.clone(), &rules);
        let mut random = Random::new(options.seed);
        let held_back = prepare(question.messages);
        let mut made = fuzz::like(
            question.messages,
            &rules,
            random.next(),
            options.fuzz_messages,
        );
        made.extend(fuzz::literals(&rules, random.next()));
        let mut all = prepare(&made);
        all.retain(|message| self.is_fair(&mut verifier, message));
        all.extend(held_back.iter().cloned());
        random.shuffle(&mut all);
        let (compared, held) = (all.len(), held_back.len());
        let answer = |verdict: Verdict, ratio: Option<Ratio>| {
            Ok(Evaluation {
                verdict,
                held_back: held,
                made: compared - held,
                ratio,
            })
        };

        let candidate = match compile(&self.evaluation, question) {
            Ok(module) => module,
            Err(error) => return answer(Verdict::Fail(refused(&error)), None),
        };
        let checked = verifier.check(&candidate, &all, all.len(), &mut random);
        if let Err(problem) = checked.map_err(|error| EvaluateError::Baseline(error.0))? {
            return answer(Verdict::Fail(problem.into()), None);
        }
        if held < options.min_messages.max(1) {
            let wanted = options.min_messages.max(1);
            return answer(
                Verdict::Insufficient {
                    messages: held,
                    wanted,
                },
                None,
            );
        }
        match self.ratio(question, &held_back, options)? {
            Ok(ratio) if ratio.ci95[0] > options.ratio_min => answer(Verdict::Pass, Some(ratio)),
            Ok(ratio) => {
                let (low, wanted) = (ratio.ci95[0], options.ratio_min);
                let slow = Failure::Slow {
                    ratio: ratio.ratio,
                    low,
                    wanted,
                };
                answer(Verdict::Fail(slow), Some(ratio))
            }
            Err(failure) => answer(Verdict::Fail(failure), None),
        }
    }

    /// Whether a made message is one that every right module has the memory for: its records take
    /// an eighth of it at most. Held-back messages must be served whatever they take.
    fn is_fair(&self, verifier: &mut Verifier<'_>, message: &Message) -> bool {
        let most = self.evaluation.limits().memory_bytes / RECORD_BYTES / 8;
        verifier
            .records(message)
            .is_ok_and(|records| records <= most)
    }

    /// Times candidate and incumbent, interleaved, under production settings.
    fn ratio(
        &self,
        question: &Question<'_>,
        messages: &[Message],
        options: &Options,
    ) -> Result<Result<Ratio, Failure>, EvaluateError> {
        let incumbent = self.incumbent(question)?;
        let candidate = match compile(&self.production, question) {
            Ok(module) => module,
            Err(error) => return Ok(Err(refused(&error))),
        };
        let mut incumbent = Runner::new(&incumbent, question.rules.clone());
        let mut candidate = Runner::new(&candidate, question.rules.clone());
        let mut race = Race {
            runners: vec![&mut incumbent, &mut candidate],
            messages,
        };
        match race.run(options.rounds, Some(options.time)) {
            Ok(times) => {
                let (base, own) = (times.of(0), times.of(1));
                Ok(Ok(crate::bench::ratio("candidate", "incumbent", base, own)))
            }
            Err(Stopped {
                runner: 0,
                message,
                fault,
            }) => Err(EvaluateError::Incumbent(format!(
                "message {message}: {fault}"
            ))),
            Err(Stopped { message, fault, .. }) => {
                Ok(Err(Problem::Fault { message, fault }.into()))
            }
        }
    }

    fn incumbent(&self, question: &Question<'_>) -> Result<Module, EvaluateError> {
        match question.incumbent {
            Incumbent::Baseline => self
                .production
                .baseline()
                .map_err(told(EvaluateError::Baseline)),
            Incumbent::Component(bytes) => self
                .production
                .compile(bytes)
                .map_err(told(EvaluateError::Incumbent)),
        }
    }
}

fn prepare(payloads: &[Bytes]) -> Vec<Message> {
    payloads
        .iter()
        .filter_map(|payload| Message::new(payload).ok())
        .collect()
}

fn compile(engine: &Engine, question: &Question<'_>) -> Result<Module, CompileError> {
    engine.compile_within(question.candidate, question.world)
}

fn refused(error: &CompileError) -> Failure {
    Failure::Refused(error.to_string())
}

fn told(error: fn(String) -> EvaluateError) -> impl Fn(CompileError) -> EvaluateError {
    move |reason| error(reason.to_string())
}
