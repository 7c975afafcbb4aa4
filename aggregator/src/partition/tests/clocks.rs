//! The clock of the NATS server jumps: no window is corrupted.
//!
//! Producers send points of their own moments, which are right; the server stores messages and
//! ticks by a clock that is off by a jump. What must come of that is computed once more, in the
//! words of `docs/exactly-once.md`: a point is in the window that its timestamp names, or it is
//! offered as late; nothing is emitted twice; and whoever reads on from any checkpoint arrives at
//! the same.

use std::collections::BTreeMap;

use ratchet_codec::payload::{validate, Message};
use serde_json::Value;

use super::*;
use crate::partition::lane::Outgoing;
use crate::watermark::{refuse_time, Lateness};

const SECOND_MS: i64 = 1_000;
const LATENESS_MS: i64 = 1_500;
const WINDOWS_MS: [i64; 2] = [SECOND_MS, 5 * SECOND_MS];
/// A round is stored every so often: three messages of one, one of the other; a fifth is a tick.
const ROUND_MS: i64 = 125;
const ROUNDS: i64 = 350;
const ORGS: [&str; 4] = ["noisy", "noisy", "quiet", "noisy"];

/// One input of the stream.
#[derive(Clone, Copy)]
enum Step {
    /// A message with points of two moments, each of this value.
    Points {
        org: &'static str,
        received_ms: i64,
        ts: [i64; 2],
        value: f64,
    },
    Tick {
        received_ms: i64,
    },
}

/// How far the server's clock is off, by the round.
type Jump = fn(i64) -> i64;

const HOUR_MS: i64 = 3_600_000;

const JUMPS: [(&str, Jump); 9] = [
    ("right", |_| 0),
    ("ahead, then back", |n| i64::from(n / 100 == 1) * 90_000),
    ("back, then ahead", |n| i64::from(n / 100 == 1) * -90_000),
    ("ahead for good", |n| i64::from(n >= 150) * 600_000),
    ("back for good", |n| i64::from(n >= 150) * -20_000),
    ("so far back that points are refused", |n| {
        i64::from(n / 100 == 1) * -600_000
    }),
    ("so far ahead that points are refused", |n| {
        i64::from(n / 100 == 1) * 3 * HOUR_MS
    }),
    // The 199th is one.
    ("a day ahead for one tick", |n| {
        i64::from(n == 199) * 24 * HOUR_MS
    }),
    ("to and fro", |n| [0, 2_300, -1_900, 700][n as usize % 4]),
];

fn script(jump: Jump) -> Vec<Step> {
    let round = |n: i64| {
        let true_ms = T_MS + n * ROUND_MS;
        let received_ms = true_ms + jump(n);
        let message = move |(org, k): (&'static str, i64)| {
            // Some of one are too late by themselves, none of the other.
            let age_ms = n * 71 % if org == "noisy" { 3_000 } else { 1_400 };
            Step::Points {
                org,
                received_ms,
                ts: [true_ms - (n + k) * 37 % 400, true_ms - age_ms],
                value: (4 * n + k) as f64,
            }
        };
        let tick = (n % 5 == 4).then_some(Step::Tick { received_ms });
        ORGS.into_iter().zip(1..).map(message).chain(tick)
    };
    (0..ROUNDS).flat_map(round).collect()
}

/// What comes of one organization's messages.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    /// `(window's length, start) -> (sum, points)`.
    emitted: BTreeMap<(i64, i64), (f64, u64)>,
    /// Points of windows, as told with the messages.
    late: BTreeMap<(i64, i64), u64>,
    /// Messages, by reason.
    refused: BTreeMap<String, u64>,
}

/// The contract, point by point.
fn expected(script: &[Step], name: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let mut time_ms = i64::MIN;
    let closes_ms = |window_ms: i64, start_ms: i64| start_ms + window_ms + LATENESS_MS;
    for step in script {
        let (received_ms, ts, value) = match *step {
            Step::Tick { received_ms } => {
                time_ms = time_ms.max(received_ms);
                continue;
            }
            Step::Points { org, .. } if org != name => continue,
            Step::Points {
                received_ms,
                ts,
                value,
                ..
            } => (received_ms, ts, value),
        };
        let newest_ms = ts[0].max(ts[1]);
        if let Some(reason) = refuse_time(ts[0].min(ts[1]), newest_ms, received_ms) {
            *outcome.refused.entry(reason.to_owned()).or_default() += 1;
            continue;
        }
        for (window_ms, ts) in WINDOWS_MS.iter().flat_map(|w| ts.map(|ts| (*w, ts))) {
            let start_ms = ts.div_euclid(window_ms) * window_ms;
            if closes_ms(window_ms, start_ms) <= time_ms {
                *outcome.late.entry((window_ms, start_ms)).or_default() += 1;
                continue;
            }
            let window = outcome.emitted.entry((window_ms, start_ms)).or_default();
            window.0 += value;
            window.1 += 1;
        }
        time_ms = time_ms.max(newest_ms.min(received_ms));
    }
    let is_closed =
        |(window_ms, start_ms): &(i64, i64)| closes_ms(*window_ms, *start_ms) <= time_ms;
    outcome.emitted.retain(|window, _| is_closed(window));
    outcome
}

fn stage() -> (tempfile::TempDir, Arc<Shared>) {
    let directory = tempfile::tempdir().unwrap();
    let limits = LimitsTable::parse(b"{}").unwrap();
    let (mut shared, _) = shared(directory.path(), limits);
    shared.lateness = Lateness::Milliseconds(LATENESS_MS);
    let windows_s = WINDOWS_MS.map(|ms| (ms / SECOND_MS) as u32);
    for org in ["noisy", "quiet"] {
        configure(&shared, org, &windows_s);
    }
    (directory, Arc::new(shared))
}

/// Serves a stream from a checkpoint on, all of which is there already.
fn serve(shared: &Arc<Shared>, script: &[Step], from: &Checkpoint) -> Vec<Output> {
    let (inputs, receiver) = mpsc::channel(script.len() + 1);
    let bytes = Arc::new(Semaphore::new(script.len()));
    for (sequence, step) in (1..).zip(script).skip(from.position as usize - 1) {
        let permit = bytes.clone().try_acquire_owned().unwrap();
        inputs.try_send(input(sequence, step, permit)).unwrap();
    }
    let (outputs, mut given) = mpsc::channel(script.len() * 4);
    let worker = Worker::new(shared.clone(), 0, from.clone(), bytes, outputs);
    inputs.try_send(Input::Stop).unwrap();
    worker.run(receiver);
    std::iter::from_fn(|| given.try_recv().ok()).collect()
}

fn input(sequence: u64, step: &Step, permit: tokio::sync::OwnedSemaphorePermit) -> Input {
    let (org, received_ms, ts, value) = match *step {
        Step::Tick { received_ms } => {
            return Input::Tick {
                sequence,
                received_ms,
            }
        }
        Step::Points {
            org,
            received_ms,
            ts,
            value,
        } => (org, received_ms, ts, value),
    };
    let mut builder = MessageBuilder::new();
    for ts in ts {
        builder.point("cpu", &[("host", "h")], ts, value).unwrap();
    }
    Input::Message {
        sequence,
        received_us: received_ms * 1_000,
        subject: format!("ingest.0.{org}").into(),
        payload: builder.finish().unwrap().into(),
        trace: None,
        permit,
    }
}

fn emissions(outputs: Vec<Output>) -> Vec<Outgoing> {
    let emission = |output| match output {
        Output::Emit(outgoing) => Some(outgoing),
        Output::Save(_) => None,
    };
    outputs.into_iter().filter_map(emission).collect()
}

/// Reads what was emitted for one: places rise along each subject, and no window comes twice.
fn read(emitted: &[Outgoing], org: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let mut last = BTreeMap::new();
    for outgoing in emitted.iter().filter(|e| e.subject.ends_with(org)) {
        let before = last.insert(&outgoing.subject, outgoing.position);
        assert!(before < Some(outgoing.position), "{before:?} is before");
        let header = |name: &str| outgoing.headers.get(name).map(|value| value.as_str());
        if let Some(reason) = header("Ratchet-Refused") {
            *outcome.refused.entry(reason.to_owned()).or_default() += 1;
        } else if let Some(told) = header("Ratchet-Late") {
            let told: Value = serde_json::from_str(told).unwrap();
            for window in told["windows"].as_array().unwrap() {
                let number = |name: &str| window[name].as_i64().unwrap();
                let window = (number("window_ms"), number("start_ms"));
                *outcome.late.entry(window).or_default() += number("points") as u64;
            }
        } else {
            let window_ms = header("Ratchet-Window").unwrap().parse().unwrap();
            let (start_ms, sum, points) = point(&outgoing.body);
            let window = (window_ms, start_ms);
            let twice = outcome.emitted.insert(window, (sum, points));
            assert_eq!(twice, None, "{window:?} came twice");
        }
    }
    outcome
}

/// The one point of a window: its start, its value, and how many points it is of.
fn point(body: &[u8]) -> (i64, f64, u64) {
    let header = validate(body).unwrap();
    let (mut source, mut mirror) = (body, Vec::new());
    let mut message = Message::new(header, &mut source, &mut mirror).unwrap();
    message.pull_all().unwrap();
    let (mut times, mut values, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    message.timestamps(&mut times).unwrap();
    message.values(&mut values).unwrap();
    message.counts(&mut counts).unwrap();
    assert_eq!(times.len(), 1, "one series has one group");
    (times[0], values[0], u64::from(counts[0]))
}

#[test]
fn every_point_is_in_its_window_or_late() {
    let (_directory, shared) = stage();
    for (name, jump) in JUMPS {
        let script = script(jump);
        let emitted = emissions(serve(&shared, &script, &start()));
        for org in ["noisy", "quiet"] {
            let expected = expected(&script, org);
            assert!(!expected.emitted.is_empty(), "{name}: nothing to see");
            assert_eq!(read(&emitted, org), expected, "{name}: {org}");
        }
    }
}

/// What a subject holds of two stretches of emissions: as a lane does, it leaves out of the second
/// what stands at or before the last place of the first.
fn joined<'a>(first: &'a [Outgoing], second: &'a [Outgoing], subject: &str) -> Vec<&'a Outgoing> {
    let of = |e: &&Outgoing| e.subject == subject;
    let mut joined: Vec<_> = first.iter().filter(of).collect();
    let last = joined.last().map(|e| e.position);
    joined.extend(second.iter().filter(of).filter(|e| Some(e.position) > last));
    joined
}

/// One organization goes on while the other has not come to the tick that is saved.
#[test]
fn whoever_reads_on_from_a_checkpoint_arrives_at_the_same() {
    let (_directory, shared) = stage();
    let subjects = ["aggregates", "late"].map(|s| ["noisy", "quiet"].map(|o| format!("{s}.{o}")));
    for (name, jump) in JUMPS {
        let script = script(jump);
        let whole = emissions(serve(&shared, &script, &start()));
        let (mut first, mut saves) = (Vec::new(), 0);
        for output in serve(&shared, &script, &start()) {
            let saved = match output {
                Output::Emit(outgoing) => {
                    first.push(outgoing);
                    continue;
                }
                Output::Save(saved) => saved,
            };
            saves += 1;
            if saves % 16 != 3 {
                continue;
            }
            let second = emissions(serve(&shared, &script, &saved));
            for subject in subjects.as_flattened() {
                let place = |e: &Outgoing| (e.position, e.body.clone());
                let of = |e: &&Outgoing| e.subject == *subject;
                let whole: Vec<_> = whole.iter().filter(of).map(place).collect();
                let joined = joined(&first, &second, subject);
                let joined: Vec<_> = joined.into_iter().map(place).collect();
                assert!(joined == whole, "{name}, {saves}. save, {subject}");
            }
        }
        assert!(saves > 20, "{name}: {saves} saves");
    }
}
