//! A stream that is full, away or slow: nothing that was acknowledged is lost, and what comes again
//! counts once.

use std::collections::HashSet;

use async_nats::jetstream::stream::DiscardPolicy;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message as _;

use crate::gateway::Setup;
use crate::kinds::{metric, number, request, sum};
use crate::prometheus::{request_v1, series, snappy};
use crate::samples::{now, Point};

fn sample(n: i64, ts: i64) -> Vec<u8> {
    let n = format!("{n}{}", "x".repeat(500));
    snappy(&request_v1(vec![series(
        &[("__name__", "m"), ("n", &n)],
        &[(ts, 1.0)],
    )]))
}

/// A counter of so much, since the gateway began.
fn counter(start: i64, ts: i64, total: i64) -> Vec<u8> {
    let mut data = number(ts, Value::AsInt(total));
    data.start_time_unix_nano = crate::samples::nanos(start);
    request(vec![metric("c", sum(2, true, vec![data]))]).encode_to_vec()
}

fn total(points: &[Point]) -> f64 {
    points
        .iter()
        .map(|(_, _, bits)| f64::from_bits(*bits))
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_acknowledges_nothing_that_it_does_not_hold() {
    let setup = Setup::with_stream(&[], |config| {
        config.max_bytes = 20_000;
        config.discard = DiscardPolicy::New;
    })
    .await;
    let ts = now();
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    for n in 0..60 {
        let answer = setup.send_v1(&sample(n, ts)).await;
        match answer.status {
            204 => acknowledged.push(n),
            503 => {
                assert_eq!(answer.header("retry-after"), Some("5"));
                assert!(
                    answer.text().contains("the stream is full"),
                    "{}",
                    answer.text()
                );
                refused += 1;
            }
            other => panic!("{other}: {}", answer.text()),
        }
    }
    assert!(!acknowledged.is_empty() && refused > 0);
    let held: HashSet<i64> = setup
        .stored_points()
        .await
        .iter()
        .map(|(name, ..)| {
            let digits = name.trim_start_matches("m{n=");
            let end = digits.find('x').unwrap();
            digits[..end].parse().unwrap()
        })
        .collect();
    assert_eq!(held, acknowledged.iter().copied().collect());
    let stream = setup.context.get_stream("INGEST").await.unwrap();
    stream.purge().await.unwrap();
    // How full the stream is is asked now and then.
    let mut refused = 0;
    while setup.send_v1(&sample(100, ts)).await.status != 204 {
        refused += 1;
        assert!(refused < 500, "there is room");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_away_is_unavailable_and_a_counter_loses_nothing() {
    let mut setup = Setup::new(&["--ingest-store-timeout-ms", "2000"]).await;
    let start = now() + 1;
    assert_eq!(
        setup.send_otlp(&counter(start, start + 10, 5)).await.status,
        200
    );
    let url = setup.nats.url.clone();
    setup.nats.restart().await;
    assert_eq!(setup.nats.url, url);
    // The gateway finds out by itself; whatever it answers meanwhile is no acknowledgement.
    let mut refused = 0;
    loop {
        let answer = setup.send_otlp(&counter(start, start + 20, 9)).await;
        if answer.status == 200 {
            break;
        }
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.header("retry-after"), Some("5"));
        refused += 1;
        assert!(refused < 2_000);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(
        setup
            .send_otlp(&counter(start, start + 30, 12))
            .await
            .status,
        200
    );
    let client = async_nats::connect(&url).await.unwrap();
    setup.context = async_nats::jetstream::new(client);
    assert_eq!(total(&setup.stored_points().await), 12.0);
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_counter_counts_whole_when_there_is_room_again() {
    let setup = Setup::with_stream(&[], |config| {
        config.max_messages = 2;
        config.discard = DiscardPolicy::New;
    })
    .await;
    let start = now() + 1;
    assert_eq!(
        setup.send_otlp(&counter(start, start + 1, 5)).await.status,
        200
    );
    for n in 0..3 {
        let answer = setup
            .send_otlp(&counter(start, start + 10 + n, 9 + n))
            .await;
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    let stream = setup.context.get_stream("INGEST").await.unwrap();
    stream.purge().await.unwrap();
    assert_eq!(
        setup
            .send_otlp(&counter(start, start + 20, 15))
            .await
            .status,
        200
    );
    assert_eq!(total(&setup.stored_points().await), 10.0);
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_again_is_stored_once_unless_told_otherwise() {
    for (flag, expected) in [("drop", 2), ("keep", 4)] {
        let setup = Setup::new(&["--ingest-repeated", flag]).await;
        let ts = now();
        for n in [1, 1, 2, 2] {
            assert_eq!(setup.send_v1(&sample(n, ts)).await.status, 204);
        }
        assert_eq!(setup.stored().await.len(), expected, "{flag}");
        setup.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_counters_add_up() {
    let setup = Setup::new(&[]).await;
    let start = now() + 1;
    let requests = (1..=40).map(|n| counter(start, start + n, n));
    let requests: Vec<_> = requests.collect();
    let sent = requests.iter().map(|body| setup.send_otlp(body));
    for answer in futures::future::join_all(sent).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // Older ones that arrived late are repetitions; the newest total is what all came to.
    assert_eq!(total(&setup.stored_points().await), 40.0);
    setup.end().await;
}
