//! Compares a module with the baseline, message by message, and with itself.

use crate::compare::{self, CompareError, Difference, Groups};
use crate::engine::Module;
use crate::fault::Fault;
use crate::random::Random;
use crate::runner::Runner;
use bytes::Bytes;
use ratchet_api::Record;
use ratchet_codec::payload::{self, Header, PayloadError};
use ratchet_rules::Rule;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// A message that has been checked.
#[derive(Clone)]
pub(crate) struct Message {
    pub payload: Bytes,
    pub header: Header,
}

impl Message {
    pub fn new(payload: &Bytes) -> Result<Self, PayloadError> {
        Ok(Message {
            payload: payload.clone(),
            header: payload::validate(payload)?,
        })
    }
}

/// What a module that is right used and gave, over all messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub records: u64,
    pub fuel: u64,
}

/// Where a module is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Problem {
    Fault {
        message: usize,
        fault: Fault,
    },
    Differs {
        message: usize,
        place: Place,
    },
    Repeats {
        message: usize,
        error: CompareError,
    },
    /// It gave other bytes for the same message: it keeps state between messages.
    Unstable {
        message: usize,
        circumstance: &'static str,
    },
}

/// A difference told by names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub rule: String,
    pub group: Vec<String>,
    pub window_start_ms: i64,
    pub expected: Option<String>,
    pub actual: Option<String>,
}

impl Problem {
    pub fn message(&self) -> usize {
        match self {
            Problem::Fault { message, .. }
            | Problem::Differs { message, .. }
            | Problem::Repeats { message, .. }
            | Problem::Unstable { message, .. } => *message,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Fault { message, fault } => write!(f, "message {message}: {fault}"),
            Problem::Differs { message, place } => {
                let none = || "nothing".to_owned();
                let expected = place.expected.clone().unwrap_or_else(none);
                let actual = place.actual.clone().unwrap_or_else(none);
                let Place {
                    rule,
                    group,
                    window_start_ms,
                    ..
                } = place;
                write!(
                    f,
                    "message {message}, rule {rule}, group {group:?}, window from "
                )?;
                write!(f, "{window_start_ms} ms: {actual} instead of {expected}")
            }
            Problem::Repeats { message, error } => write!(f, "message {message}: {error}"),
            Problem::Unstable {
                message,
                circumstance,
            } => {
                write!(
                    f,
                    "message {message}: keeps state, answers otherwise {circumstance}"
                )
            }
        }
    }
}

/// Compares modules with a baseline of the same engine.
pub(crate) struct Verifier<'a> {
    blob: Arc<[u8]>,
    rules: &'a [Rule],
    baseline: Runner,
}

/// The baseline failed on a message, so that nothing can be said of any module.
#[derive(Debug)]
pub(crate) struct BaselineFailed(pub String);

impl<'a> Verifier<'a> {
    pub fn new(baseline: &Module, blob: Arc<[u8]>, rules: &'a [Rule]) -> Self {
        Verifier {
            baseline: Runner::new(baseline, blob.clone()),
            blob,
            rules,
        }
    }

    /// How many records the baseline makes of a message.
    pub fn records(&mut self, message: &Message) -> Result<usize, Fault> {
        let Message { payload, header } = message;
        self.baseline.process(payload, header, <[Record]>::len)
    }

    /// Runs every message: on one instance in the given order, then in a shuffled one; then at most
    /// `alone` of them, any ones, each on an instance of its own. The first run is compared with
    /// the baseline, the others with it.
    pub fn check(
        &mut self,
        module: &Module,
        messages: &[Message],
        alone: usize,
        random: &mut Random,
    ) -> Result<Result<Tally, Problem>, BaselineFailed> {
        let mut runner = Runner::new(module, self.blob.clone());
        let mut tally = Tally::default();
        let mut digests = Vec::with_capacity(messages.len());
        for (at, message) in messages.iter().enumerate() {
            match self.compare(&mut runner, at, message)? {
                Ok((records, digest)) => {
                    tally.records += records as u64;
                    digests.push(digest);
                }
                Err(problem) => return Ok(Err(problem)),
            }
        }
        tally.fuel = runner.fuel_used();
        if module.is_builtin() {
            return Ok(Ok(tally));
        }
        let mut order: Vec<usize> = (0..messages.len()).collect();
        random.shuffle(&mut order);
        runner.reset();
        for &at in &order {
            if let Err(problem) = repeat(&mut runner, at, &messages[at], &digests[at], SHUFFLED) {
                return Ok(Err(problem));
            }
        }
        for &at in order.iter().take(alone) {
            runner.reset();
            if let Err(problem) = repeat(&mut runner, at, &messages[at], &digests[at], FRESH) {
                return Ok(Err(problem));
            }
        }
        Ok(Ok(tally))
    }

    fn compare(
        &mut self,
        runner: &mut Runner,
        at: usize,
        message: &Message,
    ) -> Result<Result<(usize, [u8; 32]), Problem>, BaselineFailed> {
        let failed = |reason: String| BaselineFailed(format!("message {at}: {reason}"));
        let Message { payload, header } = message;
        let groups = Groups::new(payload, self.rules).map_err(|e| failed(e.to_string()))?;
        let expected = self
            .baseline
            .process(payload, header, |records| groups.canonical(records))
            .map_err(|fault| failed(fault.to_string()))?
            .map_err(|error| failed(error.to_string()))?;
        let ran = runner.process(payload, header, |records| {
            (records.len(), digest(records), groups.canonical(records))
        });
        let (count, digest, actual) = match ran {
            Ok(ran) => ran,
            Err(fault) => return Ok(Err(Problem::Fault { message: at, fault })),
        };
        let actual = match actual {
            Ok(actual) => actual,
            Err(error) => return Ok(Err(Problem::Repeats { message: at, error })),
        };
        match compare::first_difference(&expected, &actual) {
            Some(difference) => {
                let place = place(&groups, self.rules, &difference);
                Ok(Err(Problem::Differs { message: at, place }))
            }
            None => Ok(Ok((count, digest))),
        }
    }
}

const SHUFFLED: &str = "in another order";
const FRESH: &str = "on a fresh instance";

fn repeat(
    runner: &mut Runner,
    at: usize,
    message: &Message,
    expected: &[u8; 32],
    circumstance: &'static str,
) -> Result<(), Problem> {
    match runner.process(&message.payload, &message.header, digest) {
        Ok(actual) if actual == *expected => Ok(()),
        Ok(_) => Err(Problem::Unstable {
            message: at,
            circumstance,
        }),
        Err(fault) => Err(Problem::Fault { message: at, fault }),
    }
}

fn digest(records: &[Record]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for record in records {
        let Record {
            rule,
            set,
            window,
            count,
            value,
        } = *record;
        let words = [rule, set, window, count].map(u32::to_le_bytes);
        hash.update(words.as_flattened());
        hash.update(value.to_bits().to_le_bytes());
    }
    hash.finalize().into()
}

fn place(groups: &Groups, rules: &[Rule], difference: &Difference) -> Place {
    let Difference {
        rule,
        window,
        ref group,
        expected,
        actual,
    } = *difference;
    let known = rules.get(rule as usize);
    let id = |rule: &Rule| String::from_utf8_lossy(&rule.id).into_owned();
    Place {
        rule: known.map_or_else(|| rule.to_string(), id),
        group: groups.names(rule, group),
        window_start_ms: known.map_or(0, |rule| groups.window_start_ms(rule, window)),
        expected: expected.map(|outcome| outcome.to_string()),
        actual: actual.map(|outcome| outcome.to_string()),
    }
}
