//! What reaches the receiver, through faults of every side.

use clap::Parser;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use ratchet_output::metrics::OutputMetrics;
use ratchet_output::remote::{Forwarder, RemoteWriteSettings};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::publish::{eventually, expect, second_ago, Bed, Samples};
use crate::receiver::Receiver;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    settings: RemoteWriteSettings,
}

/// A forwarder as a process would run it.
pub struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    registry: Registry,
}

impl Running {
    pub async fn start(bed: &Bed, url: &str, args: &[&str]) -> Self {
        let given = ["forward", "--remote-write", url];
        let args = given.iter().chain(args);
        let settings = Command::try_parse_from(args).unwrap().settings;
        let metrics = OutputMetrics::default();
        let mut registry = Registry::default();
        metrics.register_remote(&mut registry);
        let nats = async_nats::connect(&bed.server.url).await.unwrap();
        let forwarder = Forwarder::new(nats, settings, metrics).unwrap();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(forwarder.run(stopped));
        Self {
            stop,
            task,
            registry,
        }
    }

    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }

    /// As SIGKILL: nothing is said to anybody.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub fn metric(&self, series: &str) -> f64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// Messages of three organizations, `count` each, one window a message.
pub async fn publish(bed: &Bed, from: i64, count: i64) -> Samples {
    let mut expected = Samples::new();
    for index in from..from + count {
        for org in ["acme", "beta", "gamma"] {
            for rule in ["cpu", "mem"] {
                let start_ms = second_ago(600) / 600_000 * 600_000 + 1000 * index;
                bed.publish(org, rule, start_ms, &["a", "b"]).await;
                expect(&mut expected, org, rule, start_ms, &["a", "b"]);
            }
        }
    }
    expected
}

pub async fn arrives(receiver: &Receiver, expected: &Samples) {
    eventually("every sample", async || {
        receiver.samples().len() >= expected.len()
    })
    .await;
    assert_eq!(receiver.samples(), *expected);
    receiver.assert_kept_the_protocol();
}

#[tokio::test]
async fn everything_arrives_in_order_and_once() {
    let bed = Bed::new(None).await;
    let receiver = Receiver::start().await;
    let secret = bed.directory.path().join("secret");
    std::fs::write(&secret, "user:pass\n").unwrap();
    let file = ["--remote-write-basic-file", secret.to_str().unwrap()];
    let forwarder = Running::start(&bed, &receiver.url(), &file).await;
    let mut expected = publish(&bed, 0, 20).await;
    arrives(&receiver, &expected).await;
    expected.extend(publish(&bed, 20, 5).await);
    arrives(&receiver, &expected).await;
    {
        let received = receiver.received.lock().unwrap();
        assert_eq!((received.again, received.most_busy), (0, 1));
        assert_eq!(
            received.authorization.as_deref(),
            Some("Basic dXNlcjpwYXNz")
        );
    }
    let sent = |org: &str| format!("remote_write_samples_total{{org=\"{org}\"}}");
    assert_eq!(forwarder.metric(&sent("acme")), 100.0);
    assert_eq!(forwarder.metric("remote_write_lost_messages_total"), 0.0);
    eventually("no lag", async || {
        forwarder.metric("remote_write_lag_messages") == 0.0
    })
    .await;
    forwarder.stop().await;
}

#[tokio::test]
async fn errors_that_pass_are_waited_for() {
    let bed = Bed::new(None).await;
    let receiver = Receiver::start().await;
    let answers: [(&str, u16, Option<&'static str>); 5] = [
        ("", 500, None),
        ("", 503, Some("0")),
        ("", 429, Some("1")),
        ("", 429, None),
        ("", 599, Some("rubbish")),
    ];
    receiver.script(&answers);
    let forwarder = Running::start(&bed, &receiver.url(), &[]).await;
    let expected = publish(&bed, 0, 5).await;
    arrives(&receiver, &expected).await;
    let retries = |reason: &str| {
        let series = format!("remote_write_retries_total{{reason=\"{reason}\"}}");
        forwarder.metric(&series)
    };
    assert_eq!((retries("server-error"), retries("throttled")), (3.0, 2.0));
    forwarder.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_given_up_and_counted_and_holds_up_nobody() {
    let bed = Bed::new(None).await;
    let receiver = Receiver::start().await;
    receiver.script(&[("beta", 400, None), ("beta", 413, None)]);
    let one = ["--remote-write-samples", "2"];
    let forwarder = Running::start(&bed, &receiver.url(), &one).await;
    let published = publish(&bed, 0, 4).await;
    eventually("what is left", async || {
        receiver.scripted() == 0 && receiver.samples().len() == published.len() - 4
    })
    .await;
    receiver.assert_kept_the_protocol();
    for (key, bits) in receiver.samples() {
        assert_eq!(published.get(&key), Some(&bits), "{key:?}");
    }
    for reason in ["http-400", "http-413"] {
        let labels = format!("{{org=\"beta\",reason=\"{reason}\"}}");
        let series = format!("remote_write_dropped_samples_total{labels}");
        assert_eq!(forwarder.metric(&series), 2.0);
    }
    forwarder.stop().await;
}

#[tokio::test]
async fn one_organization_that_waits_holds_up_nobody_and_patience_ends() {
    let bed = Bed::new(None).await;
    let receiver = Receiver::start().await;
    // The others' requests find this at the front of the script and pass it.
    receiver.script(&[("beta", 429, Some("2"))]);
    let args = [
        "--remote-write-patience",
        "0",
        "--remote-write-samples",
        "2",
    ];
    let forwarder = Running::start(&bed, &receiver.url(), &args).await;
    let published = publish(&bed, 0, 4).await;
    let others = published
        .iter()
        .filter(|((org, ..), _)| org != "beta")
        .count();
    eventually("the others", async || receiver.samples().len() >= others).await;
    let labels = r#"{org="beta",reason="throttled"}"#;
    let dropped = format!("remote_write_dropped_samples_total{labels}");
    eventually("the end of patience", async || {
        forwarder.metric(&dropped) == 2.0
    })
    .await;
    eventually("the rest", async || {
        receiver.samples().len() == published.len() - 2
    })
    .await;
    receiver.assert_kept_the_protocol();
    forwarder.stop().await;
}

/// More than the consumer delivers waits for one that the receiver fails for, and for it alone.
#[tokio::test]
async fn one_organization_that_fails_does_not_crowd_out_others() {
    let bed = Bed::new(None).await;
    let receiver = Receiver::start().await;
    receiver.script(&[("beta", 503, Some("0")); 20_000]);
    let one = ["--remote-write-samples", "2"];
    let forwarder = Running::start(&bed, &receiver.url(), &one).await;
    let mut published = publish(&bed, 0, 1).await;
    let retries = || forwarder.metric("remote_write_retries_total{reason=\"server-error\"}");
    let mut round = 1;
    while retries() < 8.0 {
        assert!(round < 500, "{} retries", retries());
        published.extend(publish(&bed, round, 1).await);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        round += 1;
    }
    for index in 0..8_300 {
        let start_ms = second_ago(600) / 600_000 * 600_000 + 1000 * (round + index);
        bed.publish("beta", "cpu", start_ms, &["a"]).await;
    }
    published.extend(publish(&bed, round + 8_300, 2).await);
    published.retain(|(org, ..), _| org != "beta");
    eventually("the others", async || {
        let mut found = receiver.samples();
        found.retain(|(org, ..), _| org != "beta");
        found == published
    })
    .await;
    let labels = r#"{org="beta",reason="crowding"}"#;
    let dropped = format!("remote_write_dropped_samples_total{labels}");
    assert!(forwarder.metric(&dropped) > 0.0);
    receiver.assert_kept_the_protocol();
    forwarder.stop().await;
}

#[tokio::test]
async fn a_restart_in_the_middle_loses_nothing() {
    let bed = Bed::new(None).await;
    let receiver = Receiver::start().await;
    receiver.script(&[("beta", 429, Some("60"))]);
    let forwarder = Running::start(&bed, &receiver.url(), &[]).await;
    let mut expected = publish(&bed, 0, 10).await;
    eventually("a beginning", async || {
        receiver.scripted() == 0 && receiver.samples().len() >= expected.len() / 2
    })
    .await;
    forwarder.kill().await;
    expected.extend(publish(&bed, 10, 5).await);
    let forwarder = Running::start(&bed, &receiver.url(), &[]).await;
    arrives(&receiver, &expected).await;
    // Told to stop, a forwarder leaves at once what the next one goes on with.
    forwarder.stop().await;
    expected.extend(publish(&bed, 15, 5).await);
    let forwarder = Running::start(&bed, &receiver.url(), &[]).await;
    arrives(&receiver, &expected).await;
    assert_eq!(forwarder.metric("remote_write_lost_messages_total"), 0.0);
    forwarder.stop().await;
}

#[tokio::test]
async fn of_two_forwarders_one_writes_and_the_other_takes_over() {
    let bed = Bed::new(None).await;
    let receiver = Receiver::start().await;
    let first = Running::start(&bed, &receiver.url(), &[]).await;
    let mut expected = publish(&bed, 0, 2).await;
    arrives(&receiver, &expected).await;
    let second = Running::start(&bed, &receiver.url(), &[]).await;
    expected.extend(publish(&bed, 2, 10).await);
    arrives(&receiver, &expected).await;
    let acme = r#"remote_write_samples_total{org="acme"}"#;
    assert_eq!((first.metric(acme), second.metric(acme)), (48.0, 0.0));
    first.stop().await;
    expected.extend(publish(&bed, 12, 5).await);
    arrives(&receiver, &expected).await;
    assert_eq!(second.metric(acme), 20.0);
    assert_eq!(receiver.received.lock().unwrap().again, 0);
    second.stop().await;
}
