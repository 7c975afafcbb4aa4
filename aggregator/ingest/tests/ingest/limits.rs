//! Senders that are slow, too many or too large at a time.

use std::time::{Duration, Instant};

use ratchet_ingest::behind::subject;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::client::{answer, begin, until_closed, PATIENCE};
use crate::gateway::Setup;
use crate::prometheus::{request_v1, series, snappy};
use crate::samples::{native, now};

const HEADERS: [(&str, &str); 3] = [
    ("authorization", "Bearer token-of-acme"),
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
];

fn body() -> Vec<u8> {
    snappy(&request_v1(vec![series(
        &[("__name__", "m")],
        &[(now(), 1.0)],
    )]))
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_requests_end() {
    let flags = [
        "--ingest-head-timeout-ms",
        "300",
        "--ingest-body-timeout-ms",
        "300",
    ];
    let setup = Setup::new(&flags).await;
    let mut silent = TcpStream::connect(setup.at).await.unwrap();
    let mut half_head = TcpStream::connect(setup.at).await.unwrap();
    half_head
        .write_all(b"POST /api/v1/write HTTP/1.1\r\nhost: x\r\nauth")
        .await
        .unwrap();
    let body = body();
    let mut half_body = begin(setup.at, "/api/v1/write", &HEADERS, body.len()).await;
    half_body.write_all(&body[..body.len() / 2]).await.unwrap();
    assert_eq!(answer(&mut half_body).await.status, 408);
    assert_eq!(until_closed(&mut silent).await, b"");
    assert_eq!(until_closed(&mut half_head).await, b"");
    let mut cut = begin(setup.at, "/api/v1/write", &HEADERS, body.len()).await;
    cut.write_all(&body[..3]).await.unwrap();
    cut.shutdown().await.unwrap();
    until_closed(&mut cut).await;
    assert_eq!(setup.send_v1(&body).await.status, 204);
    assert_eq!(setup.stored().await.len(), 1);
    setup.end().await;
}

/// Half of a body.
const HALF: usize = 300 * 1024;

/// So many requests of acme that send half of their bodies; these lie in memory.
async fn held_back(setup: &Setup, requests: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..requests {
        let mut stream = begin(setup.at, "/api/v1/write", &HEADERS, 2 * HALF).await;
        stream.write_all(&vec![0; HALF]).await.unwrap();
        held.push(stream);
    }
    let (until, all) = (Instant::now() + PATIENCE, (requests * HALF) as f64);
    while setup.figure("ratchet_ingest_reserved_bytes") < all {
        assert!(Instant::now() < until, "the bodies are not in memory");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_is_refused_before_memory_grows() {
    let setup = Setup::new(&["--ingest-memory-mib", "1"]).await;
    let held = held_back(&setup, 2).await;
    let mut third = begin(setup.at, "/api/v1/write", &HEADERS, 2 * HALF).await;
    let _ = third.write_all(&vec![0; 2 * HALF]).await;
    let refused = answer(&mut third).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.text().contains("overloaded"), "{}", refused.text());
    drop(held);
    while setup.send_v1(&body()).await.status == 429 {
        tokio::task::yield_now().await;
    }
    assert_eq!(setup.send_v1(&body()).await.status, 204);
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_organization_leaves_room_for_others() {
    let setup = Setup::new(&["--ingest-memory-mib", "1"]).await;
    let slow = held_back(&setup, 2).await;
    let values: Vec<_> = (0..24_000).map(f64::from).collect();
    let body = native(now(), &values);
    assert!((170..400).contains(&(body.len() / 1024)), "{}", body.len());
    // It would fit, but for the share that one organization has.
    for (org, status) in [("acme", 429), ("globex", 204)] {
        let answer = setup.send(org, "/api/v1/messages", &[], &body).await;
        assert_eq!(answer.status, status, "{org}: {}", answer.text());
    }
    // It is back once nobody needs it.
    drop(slow);
    while setup
        .send("acme", "/api/v1/messages", &[], &body)
        .await
        .status
        == 429
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(setup.stored_points().await.len(), 2 * values.len());
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait() {
    let flags = [
        "--ingest-connections-max",
        "2",
        "--ingest-head-timeout-ms",
        "60000",
    ];
    let setup = Setup::new(&flags).await;
    let first = TcpStream::connect(setup.at).await.unwrap();
    let second = TcpStream::connect(setup.at).await.unwrap();
    let body = body();
    let mut third = Box::pin(setup.send_v1(&body));
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut third).await;
    assert!(
        early.is_err(),
        "the third is not served before there is a slot"
    );
    drop(first);
    assert_eq!((&mut third).await.status, 204);
    drop(third);
    drop(second);
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn points_beyond_the_limit_are_refused_and_told() {
    let setup = Setup::new(&["--ingest-points-max", "10"]).await;
    let ts = now();
    let samples: Vec<_> = (0..15).map(|n| (ts + n, 1.0)).collect();
    let body = snappy(&request_v1(vec![series(&[("__name__", "m")], &samples)]));
    let answer = setup.send_v1(&body).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("too-many-points: 5"),
        "{}",
        answer.text()
    );
    assert_eq!(setup.stored_points().await.len(), 10);
    for (points, status) in [(11, 413), (10, 204)] {
        let body = native(now(), &vec![1.0; points]);
        let answer = setup.send("acme", "/api/v1/messages", &[], &body).await;
        assert_eq!(answer.status, status, "{points} points of our own format");
    }
    assert_eq!(setup.stored_points().await.len(), 20);
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_beyond_its_rate_waits_and_others_do_not() {
    let setup = Setup::new(&["--ingest-org-points-per-s", "2"]).await;
    let send = async |org: &str| {
        let body = native(now(), &[1.0; 60]);
        setup.send(org, "/api/v1/messages", &[], &body).await
    };
    assert_eq!(send("acme").await.status, 204);
    let refused = send("acme").await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(
        refused.text().contains("2 points a second"),
        "{}",
        refused.text()
    );
    // Twenty points were there, and forty are owed.
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((15..=20).contains(&wait), "{wait} s");
    assert_eq!(send("globex").await.status, 204);
    let labels = r#"{org="acme",reason="too-fast"}"#;
    let counted = setup.figure(&format!("ratchet_ingest_refused_requests_total{labels}"));
    assert_eq!(counted, 1.0);
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_is_behind_is_sent_away_for_a_moment() {
    let setup = Setup::new(&[]).await;
    let send = async |org: &str| {
        let body = native(now(), &[1.0]);
        setup.send(org, "/api/v1/messages", &[], &body).await
    };
    // Until the gateway listens nobody hears it.
    let mut told = 0;
    let refused = loop {
        let client = setup.context.client();
        client.publish(subject("acme"), "".into()).await.unwrap();
        client.flush().await.unwrap();
        let answer = send("acme").await;
        if answer.status == 429 {
            break answer;
        }
        told += 1;
        assert!(answer.status == 204 && told < 500, "{}", answer.text());
    };
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.text().contains("behind"), "{}", refused.text());
    assert_eq!(send("globex").await.status, 204);
    let labels = r#"{org="acme",reason="behind"}"#;
    let counted = setup.figure(&format!("ratchet_ingest_refused_requests_total{labels}"));
    assert!(counted >= 1.0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(send("acme").await.status, 204);
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_many_hours_becomes_a_message_an_hour() {
    let setup = Setup::new(&[]).await;
    let ts = now();
    // As far apart as points may be that are within reach.
    let samples = [
        (ts + 230_000, 0.0),
        (ts - 3_500_000, 1.0),
        (ts - 7_125_000, 2.0),
    ];
    let body = snappy(&request_v1(vec![series(&[("__name__", "m")], &samples)]));
    assert_eq!(setup.send_v1(&body).await.status, 204);
    assert_eq!(setup.stored().await.len(), 3);
    let many: Vec<_> = (0..60_000).map(|n| (ts - n % 1_000, n as f64)).collect();
    let body = snappy(&request_v1(vec![series(&[("__name__", "m")], &many)]));
    assert_eq!(setup.send_v1(&body).await.status, 204);
    let points = setup.stored_points().await;
    let sum: f64 = points
        .iter()
        .map(|(_, _, bits)| f64::from_bits(*bits))
        .sum();
    assert_eq!((points.len(), sum), (60_003, 59_999.0 * 30_000.0 + 3.0));
    setup.end().await;
}
