//! Runs one message on a configuration's module, and on the baseline when the module fails.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use ratchet_codec::payload::Header;
use ratchet_sandbox::{compare, Fault, Record, Runner};
use ratchet_trust::FLEET;

use super::org::OrgState;
use super::served::Served;
use crate::demotions::Demotion;
use crate::merge::{MergeFault, Pass, Tally};
use crate::registry::Level;
use crate::shared::Shared;
use crate::timeline::Span;

/// One message in so many of a module's is run again on the baseline and compared.
const CHECK_ONE_IN: u64 = 64;
/// Why a module that does not take the rules fails.
const UNFIT: &str = "init";

/// A message that was admitted.
pub struct Arrival<'a> {
    pub sequence: u64,
    pub payload: &'a Bytes,
    pub header: &'a Header,
    /// It was read before; it only rebuilds windows.
    pub replayed: bool,
}

/// What became of a message that was served.
pub struct Merged {
    pub tally: Tally,
    /// Points that went into windows, by any rule; for a trace.
    pub matched: u64,
    /// How long the module took.
    guest: Duration,
}

/// Why a module did not serve a message.
struct Failure {
    reason: &'static str,
    detail: String,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self {
            reason: fault.reason(),
            detail: fault.to_string(),
        }
    }
}

impl From<MergeFault> for Failure {
    fn from(fault: MergeFault) -> Self {
        Self {
            reason: fault.reason(),
            detail: fault.to_string(),
        }
    }
}

/// Aggregates and merges one message. An error means that not even the baseline could.
pub fn serve(
    shared: &Shared,
    org: &mut OrgState,
    index: usize,
    span: Span,
    arrival: &Arrival<'_>,
) -> Result<Tally, String> {
    let served = &mut org.served[index];
    served.messages += 1;
    let checked = !served.is_baseline() && served.messages.is_multiple_of(CHECK_ONE_IN);
    if checked {
        check(shared, org, index, arrival);
    }
    if org.served[index].installed.is_demoted() {
        org.served[index].take_up(shared, &org.org);
    }
    let started = org.journey.is_some().then(SystemTime::now);
    match attempt(org, index, span, arrival, Which::Installed) {
        Ok(merged) => {
            org.trace_run(index, started, &merged);
            let guest = merged.guest;
            let us = guest.as_secs_f64() * 1e6;
            org.status.message(us);
            org.metrics.message_seconds.observe(guest.as_secs_f64());
            let points = u64::from(arrival.header.points);
            org.metrics.module_points.inc_by(points);
            Ok(merged.tally)
        }
        Err(failure) if org.served[index].is_baseline() => Err(failure.detail),
        Err(failure) => {
            count_fault(shared, org, index, &failure);
            let again = attempt(org, index, span, arrival, Which::Baseline);
            again
                .map(|merged| merged.tally)
                .map_err(|failure| failure.detail)
        }
    }
}

#[derive(Clone, Copy)]
enum Which {
    Installed,
    Baseline,
}

/// One try; when the pool of instances is exhausted, the organization gives its own up and it is
/// tried again.
fn attempt(
    org: &mut OrgState,
    index: usize,
    span: Span,
    arrival: &Arrival<'_>,
    which: Which,
) -> Result<Merged, Failure> {
    match attempt_once(org, index, span, arrival, which) {
        Err(Fault::Capacity(_)) => {
            org.served.iter_mut().for_each(Served::release);
            attempt_once(org, index, span, arrival, which)?.map_err(Failure::from)
        }
        other => other?.map_err(Failure::from),
    }
}

type Attempt = Result<Result<Merged, MergeFault>, Fault>;

fn attempt_once(
    org: &mut OrgState,
    index: usize,
    span: Span,
    arrival: &Arrival<'_>,
    which: Which,
) -> Attempt {
    let OrgState {
        served,
        merger,
        watermark,
        journey,
        ..
    } = org;
    let Served {
        binding,
        rules,
        runner,
        baseline,
        ..
    } = &mut served[index];
    let runner = match which {
        Which::Installed => runner,
        Which::Baseline => baseline,
    };
    let pass = Pass {
        payload: arrival.payload,
        header: arrival.header,
        sequence: arrival.sequence,
        binding,
        span,
        time_ms: watermark.ms(),
    };
    let started = Instant::now();
    runner.process(arrival.payload, arrival.header, |records| {
        let guest = started.elapsed();
        let tally = merger.merge(&pass, records)?;
        if !arrival.replayed {
            rules.count(records, &tally);
        }
        let matched = match journey {
            Some(_) => tally.matched_of(records),
            None => 0,
        };
        Ok(Merged {
            tally,
            matched,
            guest,
        })
    })
}

/// Runs the message on module and baseline, and demotes the module at a difference.
fn check(shared: &Shared, org: &mut OrgState, index: usize, arrival: &Arrival<'_>) {
    let served = &mut org.served[index];
    let run =
        |runner: &mut Runner| runner.process(arrival.payload, arrival.header, <[Record]>::to_vec);
    let (Ok(actual), Ok(expected)) = (run(&mut served.runner), run(&mut served.baseline)) else {
        // The attempt that follows meets the same fault, and counts it.
        return;
    };
    let rules: Vec<_> = served
        .configuration
        .rules
        .iter()
        .map(|r| r.rule.clone())
        .collect();
    let canonical = |records: &[Record]| compare::canonical(arrival.payload, &rules, records);
    let reason = match (canonical(&expected), canonical(&actual)) {
        (Ok(expected), Ok(actual)) => compare::first_difference(&expected, &actual)
            .map(|difference| format!("divergence from the baseline: {difference:?}")),
        (_, Err(error)) => Some(format!("divergence from the baseline: {error}")),
        (Err(error), _) => {
            tracing::error!(org = %org.org, %error, "the baseline's records cannot be compared");
            None
        }
    };
    if let Some(reason) = reason {
        if served.installed.demote() {
            demote(shared, org, index, "divergence", &reason);
        }
    }
}

fn count_fault(shared: &Shared, org: &mut OrgState, index: usize, failure: &Failure) {
    let served = &org.served[index];
    let metrics = &shared.metrics;
    metrics.module_failed(org.org.as_str(), failure.reason);
    let fields = serde_json::json!({
        "configuration": served.configuration.digest.to_string(),
        "module": served.installed.digest.to_string(),
        "version": served.installed.version,
        "reason": failure.reason,
        "detail": failure.detail,
    });
    shared.events.send(org.org.as_str(), "trapped", fields);
    // Rules that are too much for the fleet's module are no reason to take it from everybody.
    if failure.reason == UNFIT && served.installed.level == Level::Fleet {
        org.served[index].stand_aside(shared);
        org.tell_status();
        return;
    }
    if served.installed.count_fault() {
        demote(shared, org, index, failure.reason, &failure.detail);
    }
}

/// Takes a module out of service for good.
fn demote(shared: &Shared, org: &mut OrgState, index: usize, reason: &str, detail: &str) {
    let served = &mut org.served[index];
    let gone = served.installed.clone();
    shared.registry.remove(&gone);
    let module = gone.digest;
    let (owner, configuration) = match gone.level {
        Level::Fleet => (FLEET, ratchet_trust::ConfigurationDigest::NONE),
        Level::Baseline | Level::Tenant => (org.org.as_str(), served.configuration.digest),
    };
    let demotion = Demotion {
        org: owner.to_owned(),
        configuration,
        module,
    };
    if let Err(error) = shared.demotions.add(demotion) {
        tracing::error!(%error, "a demotion is not saved");
    }
    shared.metrics.demoted(owner);
    // Whose messages the fleet's module failed on is for all to know, their values are not.
    let detail = match gone.level {
        Level::Fleet => format!("on messages of `{}`", org.org),
        Level::Baseline | Level::Tenant => detail.to_owned(),
    };
    let fields = serde_json::json!({
        "configuration": configuration.to_string(),
        "module": module.to_string(),
        "version": gone.version,
        "reason": reason,
        "detail": detail,
    });
    shared.events.send(owner, "demoted", fields);
    served.take_up(shared, &org.org);
}
