//! Totals that are stored with what was made of them: whichever process takes them, and whenever
//! one ends, what was counted counts once.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, NumberDataPoint, ResourceMetrics,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use ratchet_ingest::otlp::ExportMetricsServiceRequest;

use crate::gateway::{send, Setup};
use crate::kinds::{gauge, metric, number, request, sum};
use crate::samples::{nanos, now, Point};

/// A counter of so much, since before any gateway began: its first point does not count.
fn old(ts: i64, total: i64) -> NumberDataPoint {
    let mut data = number(ts, Value::AsInt(total));
    data.start_time_unix_nano = nanos(ts - 3_600_000);
    data
}

fn counter(ts: i64, total: i64) -> Vec<u8> {
    request(vec![metric("c", sum(2, true, vec![old(ts, total)]))]).encode_to_vec()
}

fn total(points: &[Point], name: &str) -> f64 {
    let of_name = points
        .iter()
        .filter(|(series, ..)| series.starts_with(name));
    of_name.map(|(_, _, bits)| f64::from_bits(*bits)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_goes_on_where_one_ended() {
    let setup = Setup::new(&[]).await;
    let ts = now();
    for (after, count) in [(0, 100), (1, 104)] {
        let answer = setup.send_otlp(&counter(ts + after, count)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    setup.running.stop().await;
    let second = setup.another(&[]).await;
    for (after, count) in [(2, 109), (3, 111), (3, 111)] {
        let answer = send(second.http.unwrap(), &counter(ts + after, count)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(total(&setup.stored_points().await, "c"), 11.0);
    second.stop().await;
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_take_one_series_at_the_same_time() {
    let setup = Setup::new(&[]).await;
    let second = setup.another(&[]).await;
    let ts = now();
    for n in 0..20 {
        let gateway = if n % 2 == 0 { &setup.running } else { &second };
        let answer = send(gateway.http.unwrap(), &counter(ts + n, 10 * n)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(total(&setup.stored_points().await, "c"), 190.0);
    // Both at once: an older total that comes after a newer one is a repetition.
    let bodies: Vec<_> = (20..40).map(|n| counter(ts + n, 10 * n)).collect();
    let sent = bodies.iter().enumerate().map(|(n, body)| {
        let gateway = if n % 2 == 0 { &setup.running } else { &second };
        send(gateway.http.unwrap(), body)
    });
    for answer in futures::future::join_all(sent).await {
        // Who did not get a turn is told to come again.
        assert!([200, 503].contains(&answer.status), "{}", answer.text());
    }
    let last = setup.send_otlp(&counter(ts + 40, 400)).await;
    assert_eq!(last.status, 200, "{}", last.text());
    assert_eq!(total(&setup.stored_points().await, "c"), 400.0);
    second.stop().await;
    setup.end().await;
}

/// How far a sender is.
#[derive(Default)]
struct Progress {
    stop: AtomicBool,
    sent: AtomicI64,
    refused: AtomicI64,
}

impl Progress {
    /// Waits until so many more are sent.
    async fn after(&self, more: i64) {
        let wanted = self.sent.load(Ordering::Relaxed) + more;
        let sent = async {
            while self.sent.load(Ordering::Relaxed) < wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let within = Duration::from_secs(120);
        let sent = tokio::time::timeout(within, sent).await;
        sent.expect("the sender goes on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_and_doubles_nothing() {
    let mut setup = Setup::new(&["--ingest-store-timeout-ms", "2000"]).await;
    let second = setup.another(&["--ingest-store-timeout-ms", "2000"]).await;
    let gateways = [setup.at, second.http.unwrap()];
    let (ts, url) = (now(), setup.nats.url.clone());
    let progress = Arc::new(Progress::default());
    let told = progress.clone();
    let sending = tokio::spawn(async move {
        let mut gateway = gateways.iter().cycle();
        while !told.stop.load(Ordering::Relaxed) {
            let sent = told.sent.load(Ordering::Relaxed);
            let body = counter(ts + sent, 3 * sent);
            loop {
                let answer = send(*gateway.next().unwrap(), &body).await;
                if answer.status == 200 {
                    break;
                }
                assert_eq!(answer.status, 503, "{}", answer.text());
                told.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            told.sent.fetch_add(1, Ordering::Relaxed);
        }
    });
    // However slow the machine is, something was stored before each kill, and some kill came while
    // something was being stored.
    let mut round = 0;
    while round < 5 || progress.refused.load(Ordering::Relaxed) == 0 {
        assert!(round < 50, "no kill came while something was being stored");
        progress.after(3).await;
        tokio::time::sleep(Duration::from_millis(13 * (round % 7))).await;
        setup.nats.restart().await;
        round += 1;
    }
    progress.stop.store(true, Ordering::Relaxed);
    sending.await.unwrap();
    let sent = progress.sent.load(Ordering::Relaxed);
    let client = async_nats::connect(&url).await.unwrap();
    setup.context = async_nats::jetstream::new(client);
    let expected = 3 * (sent - 1);
    assert_eq!(total(&setup.stored_points().await, "c"), expected as f64);
    second.stop().await;
    setup.end().await;
}

/// INGEST may be swept at once when it is crowded: nothing counts twice then, and a gateway that is
/// alone loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_swept_does_not_count_twice() {
    // Two gateways have seen each other before: then what is missing is missing, and also a series
    // that began after them does not count whole again.
    for (gateways, young, expected) in [
        (1, false, 50.0),
        (1, true, 50.0),
        (2, false, 20.0),
        (2, true, 20.0),
    ] {
        let setup = Setup::new(&[]).await;
        let second = setup.another(&[]).await;
        let ats = [setup.at, second.http.unwrap()];
        let (ts, mut counted) = (now(), 0.0);
        for n in 0..6 {
            let mut data = old(ts + 1 + n as i64, 10 * n as i64);
            if young {
                data.start_time_unix_nano = nanos(ts);
            }
            let body = request(vec![metric("c", sum(2, true, vec![data]))]).encode_to_vec();
            let answer = send(ats[n % gateways], &body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            if n < 2 {
                continue;
            }
            counted += total(&setup.stored_points().await, "c");
            let stream = setup.context.get_stream("INGEST").await.unwrap();
            stream.purge().await.unwrap();
        }
        assert_eq!(counted, expected, "{gateways} gateways, {young}");
        second.stop().await;
        setup.end().await;
    }
}

/// Histograms that grow, and more of them than a record has room for.
#[tokio::test(flavor = "multi_thread")]
async fn no_record_is_larger_than_the_stream_takes() {
    let setup = Setup::new(&[]).await;
    let ts = now();
    let many = |after: i64, bounds: usize| {
        let point = |n: usize| {
            let mut point = histogram_of(bounds);
            point.time_unix_nano = nanos(ts + after);
            point.start_time_unix_nano = nanos(ts - 3_600_000);
            point.attributes = vec![attribute("n", &n.to_string())];
            point
        };
        let points = (0..2_500).map(point).collect();
        request(vec![metric("h", cumulative(points))]).encode_to_vec()
    };
    for (after, bounds) in [(0, 1), (1, 1), (2, 40), (3, 40)] {
        let answer = setup.send_otlp(&many(after, bounds)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains("rejected"), "{}", answer.text());
    }
    let wide = request(vec![metric("w", cumulative(vec![histogram_of(10_000)]))]);
    let answer = setup.send_otlp(&wide.encode_to_vec()).await;
    assert!(
        answer.body.windows(13).any(|it| it == b"bad-histogram"),
        "{}",
        answer.text()
    );
    setup.end().await;
}

/// Its answer got lost, and the process with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_again_to_another_process_counts_once() {
    let setup = Setup::new(&[]).await;
    let ts = now();
    assert_eq!(setup.send_otlp(&counter(ts, 5)).await.status, 200);
    let both = request(vec![
        metric("g", gauge(vec![number(ts + 1, Value::AsInt(3))])),
        metric("c", sum(2, true, vec![old(ts + 1, 9)])),
    ]);
    let both = both.encode_to_vec();
    assert_eq!(setup.send_otlp(&both).await.status, 200);
    let second = setup.another(&[]).await;
    for gateway in [&second, &setup.running, &second] {
        assert_eq!(send(gateway.http.unwrap(), &both).await.status, 200);
    }
    let points = setup.stored_points().await;
    assert_eq!((total(&points, "c"), total(&points, "g")), (4.0, 3.0));
    let next = counter(ts + 2, 10);
    assert_eq!(send(second.http.unwrap(), &next).await.status, 200);
    assert_eq!(total(&setup.stored_points().await, "c"), 5.0);
    second.stop().await;
    setup.end().await;
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let text = Any::StringValue(value.to_owned());
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(text) }),
        ..KeyValue::default()
    }
}

fn cumulative(points: Vec<HistogramDataPoint>) -> Data {
    Data::Histogram(Histogram {
        data_points: points,
        aggregation_temporality: 2,
    })
}

fn histogram_of(bounds: usize) -> HistogramDataPoint {
    HistogramDataPoint {
        time_unix_nano: nanos(now()),
        explicit_bounds: (0..bounds).map(|bound| bound as f64).collect(),
        bucket_counts: vec![1; bounds + 1],
        count: bounds as u64 + 1,
        ..HistogramDataPoint::default()
    }
}

fn of_resource(n: usize, ts: i64, total: i64) -> ResourceMetrics {
    let mut all = request(vec![metric("c", sum(2, true, vec![old(ts, total)]))]);
    let mut resource = all.resource_metrics.remove(0);
    resource.resource = Some(Resource {
        attributes: vec![attribute("host.name", &format!("host-{n}"))],
        ..Resource::default()
    });
    resource
}

/// More than are stored at once.
#[tokio::test(flavor = "multi_thread")]
async fn resources_of_a_collector_are_remembered_one_by_one() {
    let setup = Setup::new(&[]).await;
    let ts = now();
    let many = |after: i64, total: i64| {
        let resources = (0..600).map(|n| of_resource(n, ts + after, total));
        let resource_metrics = resources.collect();
        ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
    };
    let second = setup.another(&[]).await;
    for (gateway, after, total) in [(&setup.running, 0, 7), (&second, 1, 8), (&second, 2, 10)] {
        let answer = send(gateway.http.unwrap(), &many(after, total)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let points = setup.stored_points().await;
    assert_eq!((points.len(), total(&points, "c")), (1_200, 1_800.0));
    second.stop().await;
    setup.end().await;
}

/// A few points rewrite whole records, which wait for the stream in memory.
#[tokio::test(flavor = "multi_thread")]
async fn records_wait_within_the_memory_of_requests() {
    const SERIES: i64 = 20_000;
    let setup = Setup::new(&["--ingest-series-max", "200000"]).await;
    let of = |step: usize, ts: i64| {
        let series = (0..SERIES).step_by(step);
        let rising = |n| metric(&format!("c{n}"), sum(2, true, vec![old(ts, n)]));
        request(series.map(rising).collect()).encode_to_vec()
    };
    let ts = now();
    let all = setup.send_otlp(&of(1, ts)).await;
    assert_eq!(all.status, 200, "{}", all.text());
    let small = setup.another(&["--ingest-memory-mib", "1"]).await;
    let some = of(500, ts + 1);
    let answer = send(small.http.unwrap(), &some).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(answer
        .text()
        .contains("bytes that an organization may have"));
    let one = send(small.http.unwrap(), &of(SERIES as usize, ts + 2)).await;
    assert_eq!(one.status, 200, "{}", one.text());
    let answer = setup.send_otlp(&some).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    small.stop().await;
    setup.end().await;
}
