//! A partition's thread, fed by hand: who is served when, and what is dropped.

mod clocks;

use std::sync::Arc;

use ratchet_codec::payload::write::MessageBuilder;
use tokio::sync::{mpsc, Semaphore};

use super::publisher::Output;
use super::worker::Worker;
use super::Input;
use crate::checkpoint::{Checkpoint, Origin};
use crate::chronicle::Revision;
use crate::configuration::tests::configuration;
use crate::identity::Org;
use crate::metrics::Exposition;
use crate::shared::tests::shared;
use crate::shared::Shared;
use crate::tenants::LimitsTable;
use crate::timeline::Entry;

const T_MS: i64 = 1_700_000_000_000;
const LATER_MS: i64 = T_MS + 60_000;
const POINTS: u64 = 20;

/// Gives an organization a sum by `host` for each length of window, in seconds.
fn configure(shared: &Shared, org: &str, windows_s: &[u32]) {
    let entry = Entry {
        effective_from_ms: 0,
        configuration: Some(configuration("sum", windows_s)),
        spread: 1,
    };
    let revision = Revision {
        number: 1,
        stored_ms: 0,
        entry,
    };
    let org = Org::parse(org).unwrap();
    assert_eq!(shared.directory.apply(&org, revision), Ok(true));
}

fn start() -> Checkpoint {
    Checkpoint::new(&Origin {
        stream: "INGEST".to_owned(),
        created_ms: 0,
        last_sequence: 0,
    })
}

struct Feed {
    shared: Arc<Shared>,
    exposition: Arc<Exposition>,
    inputs: mpsc::Sender<Input>,
    receiver: mpsc::Receiver<Input>,
    bytes: Arc<Semaphore>,
    sequence: u64,
}

impl Feed {
    fn new(directory: &std::path::Path, limits: &str, orgs: &[&str]) -> Self {
        let limits = LimitsTable::parse(limits.as_bytes()).unwrap();
        let (shared, exposition) = shared(directory, limits);
        let (shared, exposition) = (Arc::new(shared), Arc::new(exposition));
        orgs.iter().for_each(|org| configure(&shared, org, &[1]));
        let (inputs, receiver) = mpsc::channel(4096);
        Self {
            shared,
            exposition,
            inputs,
            receiver,
            bytes: Arc::new(Semaphore::new(1 << 20)),
            sequence: 0,
        }
    }

    /// One message, stored by the server at the later moment.
    fn message(&mut self, org: &str, ts: i64) {
        let mut builder = MessageBuilder::new();
        for n in 0..POINTS {
            let host = format!("h{}", n % 4);
            let tags = [("host", host.as_str())];
            builder.point("cpu", &tags, ts, n as f64).unwrap();
        }
        self.sequence += 1;
        let message = Input::Message {
            sequence: self.sequence,
            received_us: LATER_MS * 1_000,
            subject: format!("ingest.0.{org}").into(),
            payload: builder.finish().unwrap().into(),
            trace: None,
            permit: self.bytes.clone().try_acquire_owned().unwrap(),
        };
        self.inputs.try_send(message).unwrap();
    }

    fn tick(&mut self) {
        self.tick_at(LATER_MS);
    }

    fn tick_at(&mut self, received_ms: i64) {
        self.sequence += 1;
        let tick = Input::Tick {
            sequence: self.sequence,
            received_ms,
        };
        self.inputs.try_send(tick).unwrap();
    }

    /// Serves it all: whose windows were emitted, in order, and what was saved last.
    fn serve(self) -> (Vec<String>, Checkpoint) {
        let (outputs, mut emitted) = mpsc::channel(4096);
        let worker = Worker::new(self.shared.clone(), 0, start(), self.bytes.clone(), outputs);
        self.inputs.try_send(Input::Stop).unwrap();
        worker.run(self.receiver);
        let (mut subjects, mut saved) = (Vec::new(), None);
        while let Ok(output) = emitted.try_recv() {
            match output {
                Output::Emit(outgoing) => subjects.push(outgoing.subject),
                Output::Save(checkpoint) => saved = Some(checkpoint),
            }
        }
        (subjects, saved.unwrap())
    }
}

/// The value of a metric, 0 when nothing was counted.
fn metric(exposition: &Exposition, series: &str) -> u64 {
    let text = exposition.text().unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

fn served(exposition: &Exposition, org: &str) -> u64 {
    let series = format!("ratchet_messages_total{{org=\"{org}\"}}");
    metric(exposition, &series)
}

#[test]
fn a_backlog_of_one_does_not_hold_up_another() {
    let directory = tempfile::tempdir().unwrap();
    let mut feed = Feed::new(directory.path(), "{}", &["noisy", "quiet"]);
    // 300 times the load, and all of it is there first.
    (0..599).for_each(|_| feed.message("noisy", T_MS));
    feed.message("noisy", LATER_MS);
    feed.message("quiet", T_MS);
    feed.message("quiet", LATER_MS);
    feed.tick();
    let (metrics, last) = (feed.exposition.clone(), feed.sequence);
    let (subjects, saved) = feed.serve();
    assert_eq!(subjects, ["aggregates.quiet", "aggregates.noisy"]);
    assert_eq!(
        (served(&metrics, "noisy"), served(&metrics, "quiet")),
        (600, 2)
    );
    // What is saved covers all that was taken in; the last windows are open.
    assert_eq!((saved.head, saved.position), (last, 600));
}

#[test]
fn a_backlog_of_one_holds_up_nobody_elses_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut feed = Feed::new(directory.path(), "{}", &["idle", "noisy", "quiet"]);
    feed.message("idle", T_MS);
    for second in 0..10 {
        let now_ms = T_MS + 1_000 * second;
        (0..100).for_each(|_| feed.message("noisy", now_ms));
        feed.message("quiet", now_ms);
        // All that there is of it is closed by time alone.
        feed.tick_at(now_ms + 1_000);
    }
    let last = feed.sequence;
    let (subjects, saved) = feed.serve();
    let of = |org: &str| {
        let places = subjects.iter().enumerate();
        let own = places.filter(|(_, subject)| **subject == format!("aggregates.{org}"));
        own.map(|(place, _)| place).collect::<Vec<_>>()
    };
    assert_eq!(
        [of("idle").len(), of("noisy").len(), of("quiet").len()],
        [1, 10, 10]
    );
    // All of its windows, before the last of what was there first.
    assert!(of("quiet")[9] < of("noisy")[9], "{subjects:?}");
    assert_eq!((saved.head, saved.position), (last, last + 1));
}

/// Whoever has nothing waiting comes to a tick when it is read.
#[test]
fn what_is_open_at_a_tick_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut feed = Feed::new(directory.path(), "{}", &["acme"]);
    let (outputs, mut emitted) = mpsc::channel(4096);
    let worker = Worker::new(feed.shared.clone(), 0, start(), feed.bytes.clone(), outputs);
    let receiver = std::mem::replace(&mut feed.receiver, mpsc::channel(1).1);
    let working = std::thread::spawn(move || worker.run(receiver));
    let mut saved = || loop {
        if let Some(Output::Save(checkpoint)) = emitted.blocking_recv() {
            break checkpoint;
        }
    };
    feed.message("acme", LATER_MS);
    // It is saved at once only when nothing waits.
    while served(&feed.exposition, "acme") == 0 {
        std::thread::yield_now();
    }
    feed.inputs.try_send(Input::Save).unwrap();
    assert_eq!((saved().head, feed.sequence), (1, 1));
    feed.tick();
    let at_tick = saved();
    assert_eq!((at_tick.head, at_tick.position), (2, 1));
    feed.inputs.try_send(Input::Stop).unwrap();
    assert_eq!(saved().position, 1);
    working.join().unwrap();
}

#[test]
fn points_beyond_the_limit_are_dropped_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let limits = r#"{"organizations": {"noisy": {"points_per_second": 10}}}"#;
    let mut feed = Feed::new(directory.path(), limits, &["noisy", "quiet"]);
    for _ in 0..50 {
        feed.message("noisy", T_MS);
        feed.message("quiet", T_MS);
    }
    let metrics = feed.exposition.clone();
    feed.serve();
    // Ten seconds of ten points each are five messages.
    assert_eq!(
        (served(&metrics, "noisy"), served(&metrics, "quiet")),
        (5, 50)
    );
    let refused = |org: &str| {
        let labels = format!("{{org=\"{org}\",reason=\"points-per-second\"}}");
        let of = |name: &str| metric(&metrics, &format!("{name}{labels}"));
        let (messages, points) = (
            of("ratchet_refused_messages_total"),
            of("ratchet_dropped_points_total"),
        );
        (messages, points)
    };
    assert_eq!(
        (refused("noisy"), refused("quiet")),
        ((45, 45 * POINTS), (0, 0))
    );
}

#[test]
fn instances_are_few_and_go_around() {
    let directory = tempfile::tempdir().unwrap();
    let orgs = ["a", "b", "c", "d", "e"];
    let mut feed = Feed::new(directory.path(), "{}", &orgs);
    for turn in 0..20 {
        let org = orgs[(turn * turn) % orgs.len()];
        feed.message(org, T_MS);
        feed.message(orgs[turn % orgs.len()], T_MS);
    }
    let (metrics, shared) = (feed.exposition.clone(), feed.shared.clone());
    feed.serve();
    // Those of the last that were served; the worker that held them is gone.
    assert_eq!(shared.instances.taken(), (0, 0));
    let all: u64 = orgs.iter().map(|org| served(&metrics, org)).sum();
    assert_eq!(all, 40);
}
