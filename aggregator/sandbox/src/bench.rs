//! Times modules against each other on the same messages, interleaved in one process.
//!
//! Every output is compared with the baseline's first, in evaluation mode, which also counts fuel.
//! The modules that are right are then timed under production settings.

pub mod corpus;
mod judge;
pub(crate) mod race;
mod report;
pub mod statistics;

pub use self::report::ratio;
pub use self::report::{Divergence, ModuleReport, Ratio, Report, TrapReport};

use self::judge::{Judge, Source};
use crate::compilations::Compilations;
use crate::engine::{CompileError, Engine, EngineError, Kind};
use crate::limits::Limits;
use crate::runner::Runner;
use crate::verify::{Message, Problem, Tally};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Orders of messages are shuffled from this, so that a report can be made again.
const SEED: u64 = 0x5261_7463_6865_7421;

/// The engine's own modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    Baseline,
    PerPoint,
}

impl Builtin {
    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Builtin::Baseline => "baseline",
            Builtin::PerPoint => "per-point",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Builtin::Baseline, Builtin::PerPoint]
            .into_iter()
            .find(|builtin| builtin.name() == name)
    }
}

#[derive(Clone, Debug)]
pub struct Options {
    /// The rules blob.
    pub rules: Arc<[u8]>,
    pub messages: Vec<Bytes>,
    /// Name and component of each module.
    pub modules: Vec<(String, Vec<u8>)>,
    pub builtins: Vec<Builtin>,
    /// The name of the module that ratios refer to.
    pub reference: String,
    /// Timed rounds; a round is one pass over all messages for each module.
    pub rounds: u32,
    /// No round begins after this time, once [`MIN_ROUNDS`] are done.
    pub time: Option<Duration>,
    /// Fewer messages are an error.
    pub min_messages: usize,
    pub limits: Limits,
    /// Where modules that were compiled before are found.
    pub compilations: Option<Compilations>,
}

/// Rounds that are timed even when time is up.
pub const MIN_ROUNDS: u32 = 3;
/// The most rounds.
pub const MAX_ROUNDS: u32 = 10_000;
/// The most modules in one benchmark.
pub const MAX_MODULES: usize = 64;

#[derive(Debug, Error)]
pub enum BenchError {
    #[error("rules: {0}")]
    Rules(String),
    #[error("message {at}: {reason}")]
    Message { at: usize, reason: String },
    #[error("{messages} messages, at least {wanted} wanted")]
    TooFew { messages: usize, wanted: usize },
    #[error("{0} rounds, 1 to {MAX_ROUNDS} wanted")]
    Rounds(u32),
    #[error("{0} modules, 1 to {MAX_MODULES} wanted")]
    Modules(usize),
    #[error("two modules are named {0:?}")]
    Name(String),
    #[error("the reference {0:?} is none of the modules")]
    Reference(String),
    #[error("module {name:?}: {reason}")]
    Module { name: String, reason: CompileError },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("baseline: {0}")]
    Baseline(String),
}

/// Runs a benchmark. A module that diverges or traps is reported, and not timed.
pub fn run(options: &Options) -> Result<Report, BenchError> {
    let names = names(options)?;
    let messages = prepare(options)?;
    let rules = ratchet_rules::parse(&options.rules)
        .map_err(|error| BenchError::Rules(error.to_string()))?;
    let mut report = Report {
        messages: messages.len(),
        points: messages
            .iter()
            .map(|message| u64::from(message.header.points))
            .sum(),
        ..Report::default()
    };
    let engine = |kind| {
        let compilations = options.compilations.as_ref();
        Engine::with(kind, options.limits.clone(), compilations)
    };
    let (evaluation, production) = (engine(Kind::Evaluation)?, engine(Kind::Production)?);
    let judge = Judge {
        evaluation: &evaluation,
        production: &production,
        blob: &options.rules,
        rules: &rules,
        messages: &messages,
    };
    let mut right: Vec<(String, Tally, Runner)> = Vec::new();
    for (name, judged) in judge.judge_all(names)? {
        match judged {
            Ok((tally, module)) => {
                right.push((name, tally, Runner::new(&module, options.rules.clone())));
            }
            Err(problem) => report.add_problem(&name, problem),
        }
    }
    time(&mut report, right, &messages, options);
    Ok(report)
}

fn time(
    report: &mut Report,
    mut right: Vec<(String, Tally, Runner)>,
    messages: &[Message],
    options: &Options,
) {
    // A module that faults in production settings is reported, and the others begin again.
    while !right.is_empty() {
        let runners: Vec<&mut Runner> = right.iter_mut().map(|(_, _, runner)| runner).collect();
        let mut race = race::Race { runners, messages };
        match race.run(options.rounds, options.time) {
            Ok(times) => {
                let modules: Vec<(String, Tally)> = right
                    .into_iter()
                    .map(|(name, tally, _)| (name, tally))
                    .collect();
                report.add_times(&modules, &times, &options.reference);
                return;
            }
            Err(race::Stopped {
                runner,
                message,
                fault,
            }) => {
                let (name, _, _) = right.remove(runner);
                report.add_problem(&name, Problem::Fault { message, fault });
            }
        }
    }
}

/// Name and source of each module, checked.
fn names(options: &Options) -> Result<Vec<(String, Source<'_>)>, BenchError> {
    if options.rounds == 0 || options.rounds > MAX_ROUNDS {
        return Err(BenchError::Rounds(options.rounds));
    }
    let builtins = options.builtins.iter();
    let builtins = builtins.map(|&builtin| (builtin.name().to_owned(), Source::Builtin(builtin)));
    let modules = options.modules.iter();
    let modules = modules.map(|(name, bytes)| (name.clone(), Source::Component(bytes)));
    let names: Vec<(String, Source<'_>)> = builtins.chain(modules).collect();
    if names.is_empty() || names.len() > MAX_MODULES {
        return Err(BenchError::Modules(names.len()));
    }
    for (at, (name, _)) in names.iter().enumerate() {
        if names[..at].iter().any(|(other, _)| other == name) {
            return Err(BenchError::Name(name.clone()));
        }
    }
    if !names.iter().any(|(name, _)| *name == options.reference) {
        return Err(BenchError::Reference(options.reference.clone()));
    }
    Ok(names)
}

fn prepare(options: &Options) -> Result<Vec<Message>, BenchError> {
    let (messages, wanted) = (options.messages.len(), options.min_messages.max(1));
    if messages < wanted {
        return Err(BenchError::TooFew { messages, wanted });
    }
    let prepared = options.messages.iter().enumerate().map(|(at, payload)| {
        Message::new(payload).map_err(|error| BenchError::Message {
            at,
            reason: error.to_string(),
        })
    });
    prepared.collect()
}
