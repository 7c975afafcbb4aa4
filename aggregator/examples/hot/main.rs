//! The hot path of one workload: modules, the native limit and the merge, side by side.
//! `hot WORKLOAD RULES CORPUS PROMOTED ROUNDS`: a, b or c; a rules blob; a file of messages; a core
//! module. One line of JSON on standard output.
//!
//! Every contestant's records are compared with the baseline's before anything is timed.

mod contest;
mod merging;

use bytes::Bytes;
use contest::{native, Contest, Contestant, Failure};
use merging::Senders;
use ratchet_codec::payload;
use ratchet_native::{Dashboards, Dimensions, Services};
use ratchet_sandbox::bench::corpus;
use ratchet_sandbox::{componentize, Engine, Kind, Limits};
use serde_json::json;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [workload, rules, messages, promoted, rounds] = &args[..] else {
        return Err("usage: hot WORKLOAD RULES CORPUS PROMOTED ROUNDS".into());
    };
    let blob: std::sync::Arc<[u8]> = std::fs::read(rules)?.into();
    let contest = Contest {
        messages: corpus::read(Bytes::from(std::fs::read(messages)?))?
            .into_iter()
            .map(|payload| {
                Ok((
                    payload::validate(&payload).map_err(|e| e.reason())?,
                    payload,
                ))
            })
            .collect::<Result<_, Failure>>()?,
        rounds: rounds.parse()?,
    };
    let engine = Engine::new(Kind::Production, Limits::default())?;
    let promoted = engine.compile(&componentize(&std::fs::read(promoted)?)?)?;
    let mut contestants = vec![
        Contestant::module("baseline", &engine.baseline()?, &blob),
        Contestant::module("per-point", &engine.per_point()?, &blob),
        Contestant::module("promoted", &promoted, &blob),
        match workload.as_str() {
            "a" => native::<Services>(&blob)?,
            "b" => native::<Dimensions>(&blob)?,
            "c" => native::<Dashboards>(&blob)?,
            other => return Err(format!("no workload {other:?}").into()),
        },
    ];
    contest.check(&blob, &mut contestants)?;
    let mut merge = |senders| merging::race(&contest, &blob, &mut contestants[2], senders);
    let (known, new) = (merge(Senders::Repeat)?, merge(Senders::Shuffle)?);
    let guests = contest.race(&mut contestants)?;
    println!(
        "{}",
        json!({ "guests": guests, "merge": known, "merge_new": new })
    );
    Ok(())
}
