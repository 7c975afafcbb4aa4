//! Traces of messages, as a receiver of OTLP/HTTP gets them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull::OrderedConfig;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::Router;
use futures::StreamExt;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use ratchet_codec::payload::write::MessageBuilder;
use ratchet_rules::Aggregate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::output::{assert_same, collect};
use crate::process::free_address;
use crate::stage::Stage;
use crate::traffic::{now_ms, rule, Oracle, Publisher};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

type Received = Arc<Mutex<Vec<Span>>>;

async fn receive(State(received): State<Received>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for resource in request.resource_spans {
        let attributes = resource.resource.unwrap().attributes;
        let named = attributes.iter().find(|a| a.key == "service.name");
        assert_eq!(
            text(&named.unwrap().value.as_ref().unwrap().value),
            "ratchet"
        );
        let spans = resource
            .scope_spans
            .into_iter()
            .flat_map(|scope| scope.spans);
        received.lock().unwrap().extend(spans);
    }
}

/// A receiver of OTLP/HTTP, and its address.
async fn receiver(received: Received) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/v1/traces", post(receive))
        .with_state(received);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    endpoint
}

fn text(value: &Option<Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let of = |value: &Option<opentelemetry_proto::tonic::common::v1::AnyValue>| {
        text(&value.as_ref().unwrap().value)
    };
    let pairs = span.attributes.iter();
    pairs.map(|a| (a.key.as_str(), of(&a.value))).collect()
}

/// Publishes three points of `host`, with a header `traceparent` if one is given.
async fn publish(stage: &Stage, env: &str, traceparent: Option<String>) -> u64 {
    let mut builder = MessageBuilder::new();
    for value in [1.0, 2.0, 3.0] {
        let tags = [("host", "a"), ("env", env)];
        builder.point("cpu", &tags, now_ms(), value).unwrap();
    }
    let mut headers = async_nats::HeaderMap::new();
    if let Some(traceparent) = traceparent {
        headers.insert("traceparent", traceparent);
    }
    let body = builder.finish().unwrap().into();
    let sent = stage
        .context
        .publish_with_headers("ingest.acme", headers, body);
    sent.await.unwrap().await.unwrap().sequence
}

/// Waits until so many spans are there.
async fn spans(received: &Received, count: usize) -> Vec<Span> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let spans = received.lock().unwrap().clone();
        if spans.len() >= count {
            return spans;
        }
        let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
        assert!(Instant::now() < until, "{names:?}, not {count} spans");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// `traceparent` of each message of AGGREGATES.
async fn emitted(stage: &Stage) -> Vec<Option<String>> {
    let stream = stage.context.get_stream("AGGREGATES").await.unwrap();
    let consumer = stream.create_consumer(OrderedConfig::default()).await;
    let consumer = consumer.unwrap();
    let left = consumer.cached_info().num_pending as usize;
    let messages = consumer.messages().await.unwrap().take(left);
    let parent = |message: Result<async_nats::jetstream::Message, _>| {
        let message = message.unwrap();
        let headers = message.headers.as_ref().unwrap();
        headers.get("traceparent").map(|value| value.to_string())
    };
    messages.map(parent).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_followed_to_its_emission() {
    let stage = Stage::new().await;
    let rules = [rule("sum", Aggregate::Sum, 2, &["host"])];
    let configuration = stage.configure("acme", now_ms() - 60_000, &rules).await;
    let received = Received::default();
    let endpoint = receiver(received.clone()).await;
    let flags = ["--traces-endpoint", &endpoint, "--traces-one-in", "0"];
    let aggregator = stage.aggregator_with(&flags).await;
    publish(&stage, "prod", None).await;
    publish(&stage, "prod", Some(format!("00-{TRACE}-{PARENT}-00"))).await;
    // Matches no rule, so that nothing of it is emitted.
    let other = TRACE.replace('4', "5");
    publish(&stage, "dev", Some(format!("00-{other}-{PARENT}-01"))).await;
    stage.settle(2).await;
    let sequence = publish(&stage, "prod", Some(format!("00-{TRACE}-{PARENT}-01"))).await;
    let found = spans(&received, 7).await;
    assert_eq!(found.len(), 7, "{found:#?}");
    let of = |trace: &str| -> BTreeMap<&str, &Span> {
        let spans = found.iter().filter(|span| hex(&span.trace_id) == trace);
        spans.map(|span| (span.name.as_str(), span)).collect()
    };
    let unmatched: Vec<_> = of(&other).into_keys().collect();
    assert_eq!(
        unmatched,
        ["ratchet.aggregate", "ratchet.message", "ratchet.wait"]
    );
    let followed = of(TRACE);
    let names: Vec<_> = followed.keys().copied().collect();
    assert_eq!(
        names,
        [
            "ratchet.aggregate",
            "ratchet.emit",
            "ratchet.message",
            "ratchet.wait"
        ]
    );
    let message = followed["ratchet.message"];
    assert_eq!(hex(&message.parent_span_id), PARENT);
    let told = attributes(message);
    assert_eq!(told["ratchet.org"], "acme");
    assert_eq!(told["ratchet.sequence"], sequence.to_string());
    for name in ["ratchet.aggregate", "ratchet.emit", "ratchet.wait"] {
        let span = followed[name];
        assert_eq!(span.parent_span_id, message.span_id, "{name}");
        assert!(
            span.start_time_unix_nano <= span.end_time_unix_nano,
            "{name}"
        );
        assert!(
            message.start_time_unix_nano <= span.start_time_unix_nano,
            "{name}"
        );
    }
    let run = attributes(followed["ratchet.aggregate"]);
    assert_eq!(run["ratchet.configuration"], configuration.to_string());
    assert_eq!(run["ratchet.level"], "baseline");
    assert_eq!(run["ratchet.matched_points"], "3");
    let emission = followed["ratchet.emit"];
    assert_eq!(attributes(emission)["ratchet.window_ms"], "2000");
    assert!(emission.start_time_unix_nano > message.end_time_unix_nano);
    // Whoever reads AGGREGATES goes on from there.
    let next = format!("00-{TRACE}-{}-01", hex(&emission.span_id));
    let headers = emitted(&stage).await;
    assert_eq!(headers.last(), Some(&Some(next)));
    assert_eq!(headers.iter().flatten().count(), 1, "{headers:?}");
    assert_eq!(aggregator.terminate().await, Some(0));
}

/// Sends a native message by way of the gateway, and tells the status of the answer.
async fn request(at: &str, parent: Option<&str>, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let parent = parent.map_or_else(String::new, |it| format!("traceparent: {it}\r\n"));
    let length = body.len();
    let head = format!(
        "POST /api/v1/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{parent}\
         content-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_followed_into_the_stream() {
    let stage = Stage::new().await;
    let rules = [rule("sum", Aggregate::Sum, 2, &["host"])];
    stage.configure("acme", now_ms() - 60_000, &rules).await;
    let received = Received::default();
    let (endpoint, at) = (receiver(received.clone()).await, free_address());
    let traced = ["--traces-endpoint", &endpoint, "--traces-one-in", "0"];
    let own = ["--ingest-http", &at, "--ingest-anonymous", "acme"];
    let flags = [&traced[..], &own].concat();
    let aggregator = stage.aggregator_with(&flags).await;
    let body = |value: f64| {
        let mut builder = MessageBuilder::new();
        // Matches no rule, so that nothing of it is emitted.
        let tags = [("host", "a"), ("env", "dev")];
        builder.point("cpu", &tags, now_ms(), value).unwrap();
        builder.finish().unwrap()
    };
    let (asked, other) = (format!("00-{TRACE}-{PARENT}-01"), TRACE.replace('4', "5"));
    let refused = format!("00-{other}-{PARENT}-01");
    assert_eq!(request(&at, None, &body(1.0)).await, "204");
    assert_eq!(request(&at, Some(&refused), b"no message").await, "400");
    assert_eq!(request(&at, Some(&asked), &body(2.0)).await, "204");
    let found = spans(&received, 5).await;
    assert_eq!(found.len(), 5, "{found:#?}");
    let of = |trace: &str, name: &str| {
        let span = |span: &&Span| hex(&span.trace_id) == trace && span.name == name;
        found.iter().find(span).expect(name)
    };
    let taken = of(TRACE, "ratchet.request");
    assert_eq!(hex(&taken.parent_span_id), PARENT);
    let told = attributes(taken);
    assert_eq!(told["ratchet.org"], "acme");
    assert_eq!(told["ratchet.protocol"], "native-http");
    assert_eq!(told["ratchet.points"], "1");
    let message = of(TRACE, "ratchet.message");
    assert_eq!(message.parent_span_id, taken.span_id);
    for name in ["ratchet.aggregate", "ratchet.wait"] {
        assert_eq!(of(TRACE, name).parent_span_id, message.span_id, "{name}");
    }
    let refused = of(&other, "ratchet.request");
    assert_eq!(attributes(refused)["ratchet.refused"], "malformed");
    // It is its sender's mistake.
    let code = refused.status.as_ref().map_or(0, |status| status.code);
    assert_eq!(code, StatusCode::Unset as i32);
    assert_eq!(aggregator.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_down_holds_up_nothing() {
    let stage = Stage::new().await;
    let rules = [rule("sum", Aggregate::Sum, 1, &["host"])];
    stage.configure("acme", now_ms() - 60_000, &rules).await;
    let endpoint = format!("http://{}/v1/traces", free_address());
    let flags = ["--traces-endpoint", &endpoint, "--traces-one-in", "1"];
    let aggregator = stage.aggregator_with(&flags).await;
    let mut publisher = Publisher::new(stage.context.clone(), "acme", 7, Oracle::new(&rules));
    publisher.publish_for(Duration::from_secs(2), 100).await;
    stage.settle(1).await;
    let output = collect(&stage.context, "acme").await;
    assert_same(&output.points, &publisher.oracle.outcomes());
    assert_eq!(aggregator.terminate().await, Some(0));
}
