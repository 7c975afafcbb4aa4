//! Every protocol of plain HTTP into a real stream, and back bit by bit.

use std::io::Write as _;

use flate2::{write::GzEncoder, Compression};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message as _;
use ratchet_ingest::otlp::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};

use crate::client::Answer;
use crate::gateway::Setup;
use crate::kinds::{gauge, metric, number, request, sum};
use crate::prometheus::{request_v1, request_v2, series, snappy};
use crate::samples::{nanos, native, now, point, points, Point};

const OTLP: &str = "/v1/metrics";
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const V2: (&str, &str) = (
    "content-type",
    "application/x-protobuf;proto=io.prometheus.write.v2.Request",
);
const SNAPPY: (&str, &str) = ("content-encoding", "snappy");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn export(ts: i64, value: f64) -> ExportMetricsServiceRequest {
    let data = number(ts, Value::AsDouble(value));
    request(vec![metric("otlp", gauge(vec![data]))])
}

/// As a person writes it: numbers as text, enums as numbers, fields that nobody knows.
fn json(ts: i64, value: f64) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[
        {{"key":"host","value":{{"stringValue":"a"}}}}]}},
        "scopeMetrics":[{{"scope":{{}},"metrics":[{{"name":"json","unit":"1","later":true,
        "sum":{{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[
        {{"timeUnixNano":"{ts}000000","startTimeUnixNano":"0","asDouble":{value},"attributes":[]}},
        {{"timeUnixNano":"{ts}000000","asInt":"12"}}]}}}}]}}]}}]}}"#
    )
}

fn is_success(answer: &Answer, media: &str) {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some(media))
    );
}

/// A number with a full mantissa.
fn value(n: u64) -> f64 {
    f64::from_bits(0x3ff0_1234_5678_9abc + n)
}

async fn otlp_protobuf(setup: &Setup, ts: i64, expected: &mut Vec<Vec<Point>>) {
    let body = export(ts, value(1)).encode_to_vec();
    let answer = setup.send("acme", OTLP, &[PROTOBUF], &body).await;
    is_success(&answer, "application/x-protobuf");
    let response = ExportMetricsServiceResponse::decode(&answer.body[..]).unwrap();
    assert_eq!(response.partial_success, None);
    expected.push(vec![point("otlp{}", ts, value(1))]);
    let body = gzip(&export(ts, value(2)).encode_to_vec());
    let answer = setup.send("acme", OTLP, &[PROTOBUF, GZIP], &body).await;
    is_success(&answer, "application/x-protobuf");
    expected.push(vec![point("otlp{}", ts, value(2))]);
}

async fn otlp_json(setup: &Setup, ts: i64, expected: &mut Vec<Vec<Point>>) {
    for (body, coding) in [
        (json(ts, 0.25).into_bytes(), None),
        (gzip(json(ts, 0.5).as_bytes()), Some(GZIP)),
    ] {
        let headers: Vec<_> = [JSON].into_iter().chain(coding).collect();
        let answer = setup.send("acme", OTLP, &headers, &body).await;
        is_success(&answer, "application/json");
        let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(told["code"].is_null(), "{told}");
        let first = if coding.is_none() { 0.25 } else { 0.5 };
        expected.push(vec![
            point("json{host=a}", ts, first),
            point("json{host=a}", ts, 12.0),
        ]);
    }
}

async fn both_remote_writes(setup: &Setup, ts: i64, expected: &mut Vec<Vec<Point>>) {
    let labels = [("__name__", "up"), ("job", "x")];
    let body = snappy(&request_v1(vec![series(&labels, &[(ts, value(3))])]));
    let headers = [PROTOBUF, SNAPPY];
    let answer = setup.send("acme", "/api/v1/write", &headers, &body).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    expected.push(vec![point("up{job=x}", ts, value(3))]);
    let samples = [(ts, value(4)), (ts + 1, f64::NAN)];
    let body = snappy(&request_v2(vec![series(&labels, &samples)]));
    let headers = [V2, SNAPPY];
    let answer = setup.send("acme", "/api/v1/push", &headers, &body).await;
    assert_eq!(answer.status, 204);
    let written = |kind: &str| {
        let name = format!("x-prometheus-remote-write-{kind}-written");
        answer.header(&name).unwrap().parse::<u64>().unwrap()
    };
    let all = ["samples", "histograms", "exemplars"].map(written);
    assert_eq!(all, [2, 0, 0]);
    expected.push(vec![
        point("up{job=x}", ts, value(4)),
        point("up{job=x}", ts + 1, f64::NAN),
    ]);
}

async fn native_messages(setup: &Setup, ts: i64, expected: &mut Vec<Vec<Point>>) {
    for (message, coding) in [
        (native(ts, &[value(5)]), None),
        (native(ts, &[value(6)]), Some(GZIP)),
    ] {
        let body = if coding.is_some() {
            gzip(&message)
        } else {
            message.clone()
        };
        let headers: Vec<_> = coding.into_iter().collect();
        let answer = setup
            .send("acme", "/api/v1/messages", &headers, &body)
            .await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        expected.push(points(&message));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_in_the_stream_bit_by_bit() {
    let setup = Setup::new(&[]).await;
    let ts = now();
    let mut expected = Vec::new();
    otlp_protobuf(&setup, ts, &mut expected).await;
    otlp_json(&setup, ts, &mut expected).await;
    both_remote_writes(&setup, ts, &mut expected).await;
    native_messages(&setup, ts, &mut expected).await;
    let stored = setup.stored().await;
    let found: Vec<_> = stored.iter().map(|(_, message)| points(message)).collect();
    assert_eq!(found, expected);
    for (subject, _) in &stored {
        assert!(
            subject.starts_with("ingest.") && subject.ends_with(".acme"),
            "{subject}"
        );
    }
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn organizations_are_those_of_the_tokens() {
    let setup = Setup::new(&["--ingest-anonymous", "home"]).await;
    let ts = now();
    let body = export(ts, 1.0).encode_to_vec();
    assert_eq!(
        setup.send("globex", OTLP, &[PROTOBUF], &body).await.status,
        200
    );
    let headers = [
        PROTOBUF,
        ("authorization", "Bearer sends-for-all"),
        ("x-scope-orgid", "initech"),
    ];
    let answer = crate::client::post(setup.at, OTLP, &headers, &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        crate::client::post(setup.at, OTLP, &[PROTOBUF], &body)
            .await
            .status,
        200
    );
    let stored = setup.stored().await;
    let orgs: Vec<_> = stored
        .iter()
        .map(|(subject, _)| subject.rsplit('.').next().unwrap())
        .collect();
    assert_eq!(orgs, ["globex", "initech", "home"]);
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_success_is_told_in_the_protocols_own_way() {
    let setup = Setup::new(&[]).await;
    let ts = now();
    let data = gauge(vec![
        number(ts, Value::AsInt(1)),
        number(ts + 3_600_000, Value::AsInt(2)),
        number(ts, Value::AsInt(3)),
    ]);
    let unknown = sum(0, true, vec![number(ts, Value::AsInt(4))]);
    let body = request(vec![metric("a", data), metric("b", unknown)]);
    let answer = setup.send_otlp(&body.encode_to_vec()).await;
    is_success(&answer, "application/x-protobuf");
    let response = ExportMetricsServiceResponse::decode(&answer.body[..]).unwrap();
    let partial = response.partial_success.unwrap();
    assert_eq!(partial.rejected_data_points, 2);
    let text = "future: 1, no-temporality: 1";
    assert!(
        partial.error_message.contains(text),
        "{}",
        partial.error_message
    );
    let body = serde_json::to_vec(&body).unwrap();
    let answer = setup.send("acme", OTLP, &[JSON], &body).await;
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let message = told["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(message.contains(text), "{told}");
    assert_eq!(
        told["partialSuccess"]["rejectedDataPoints"]
            .to_string()
            .trim_matches('"'),
        "2"
    );

    let bad = series(&[("job", "x")], &[(ts, 1.0), (ts + 1, 2.0)]);
    let good = series(&[("__name__", "c")], &[(ts, 5.0)]);
    let answer = setup
        .send_v1(&snappy(&request_v1(vec![bad.clone(), good.clone()])))
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (400, Some("application/problem+json"))
    );
    assert!(answer.text().contains("no-name: 2"), "{}", answer.text());
    let body = snappy(&request_v2(vec![bad, good]));
    let answer = setup
        .send("acme", "/api/v1/write", &[V2, SNAPPY], &body)
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.header("x-prometheus-remote-write-samples-written"),
        Some("1")
    );
    let found = setup.stored_points().await;
    let a = [point("a{}", ts, 1.0), point("a{}", ts, 3.0)];
    // What came again with the same content is in the stream once.
    let expected: Vec<_> = a.into_iter().chain([point("c{}", ts, 5.0)]).collect();
    assert_eq!(found, expected);
    let figure = r#"ratchet_ingest_rejected_points_total{org="acme",reason="no-name"}"#;
    assert_eq!(setup.figure(figure), 4.0);
    assert_eq!(setup.figure("ratchet_ingest_repeated_messages_total"), 2.0);
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_belong_to_the_trace_of_their_request() {
    let setup = Setup::new(&[]).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let point = |value| gauge(vec![number(now(), Value::AsInt(value))]);
    let body = |value| request(vec![metric("a", point(value))]).encode_to_vec();
    let mut total = number(now() + 10, Value::AsInt(3));
    total.start_time_unix_nano = nanos(now() + 1);
    let counted = request(vec![metric("c", sum(2, true, vec![total]))]);
    let traced = ("traceparent", parent);
    let first = setup
        .send("acme", OTLP, &[PROTOBUF, traced], &body(1))
        .await;
    let second = setup.send("acme", OTLP, &[PROTOBUF], &body(2)).await;
    let third = [PROTOBUF, ("traceparent", "by hand")];
    let third = setup.send("acme", OTLP, &third, &body(3)).await;
    let native = native(now(), &[1.0]);
    let fourth = setup
        .send("acme", "/api/v1/messages", &[traced], &native)
        .await;
    let statuses = [first, second, third, fourth].map(|answer| answer.status);
    assert_eq!(statuses, [200, 200, 200, 204]);
    let counted = counted.encode_to_vec();
    let headers = [PROTOBUF, traced];
    let fifth = setup.send("acme", OTLP, &headers, &counted);
    assert_eq!(fifth.await.status, 200);
    let stream = setup.context.get_stream("INGEST").await.unwrap();
    let mut told = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        if !message.subject.starts_with("ingest.") {
            continue;
        }
        told.push(message.headers.get("traceparent").map(|v| v.to_string()));
    }
    let parent = Some(parent.to_owned());
    assert_eq!(told, [parent.clone(), None, None, parent.clone(), parent]);
    setup.end().await;
}
