//! Requests that are refused as a whole, and how.

use prost::Message as _;
use tokio::io::AsyncWriteExt as _;

use crate::call::Status;
use crate::client::{answer, begin, post, Answer};
use crate::gateway::Setup;
use crate::prometheus::{request_v1, series, snappy};
use crate::round_trips::gzip;
use crate::samples::{native, now};

const BEARER: (&str, &str) = ("authorization", "Bearer token-of-acme");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const SNAPPY: (&str, &str) = ("content-encoding", "snappy");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

/// A request that is refused: path, headers, body, then status and reason.
type Row<'a> = (&'a str, Vec<(&'a str, &'a str)>, Vec<u8>, u16, &'a str);

/// The reason, from wherever the protocol tells it.
fn check_told(path: &str, headers: &[(&str, &str)], answer: &Answer, reason: &str) {
    let media = answer.header("content-type").unwrap_or_default();
    if path != "/v1/metrics" {
        assert_eq!(media, "application/problem+json");
        let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(told["reason"], reason, "{told}");
        assert_eq!(told["status"], answer.status);
    } else if headers.contains(&JSON) {
        assert_eq!(media, "application/json");
        let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(told["code"].as_i64().unwrap() > 0, "{told}");
    } else {
        assert_eq!(media, "application/x-protobuf");
        let told = Status::decode(&answer.body[..]).unwrap();
        assert!(told.code > 0 && !told.message.is_empty(), "{told:?}");
    }
}

const WRITE: &str = "/api/v1/write";
const OTLP: &str = "/v1/metrics";
const NATIVE: &str = "/api/v1/messages";

fn good() -> Vec<u8> {
    let one = series(&[("__name__", "m")], &[(now(), 1.0)]);
    snappy(&request_v1(vec![one]))
}

/// More than there may be, and nearly nothing once compressed.
fn zeros() -> Vec<u8> {
    vec![0; 60_000_000]
}

/// Who sends is not allowed to.
fn unauthorized<'a>() -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for (path, media, body) in [
        (WRITE, vec![PROTOBUF, SNAPPY], good()),
        (OTLP, vec![PROTOBUF], vec![]),
        (OTLP, vec![JSON], b"{}".to_vec()),
        (NATIVE, vec![], native(now(), &[1.0])),
    ] {
        let mut row = |auth: Option<&'a str>, status, reason| {
            let auth = auth.map(|auth| ("authorization", auth));
            let headers = auth.into_iter().chain(media.iter().copied()).collect();
            rows.push((path, headers, body.clone(), status, reason));
        };
        row(None, 401, "no-token");
        row(Some("Bearer nobody"), 401, "wrong-token");
        row(Some("Bearer reads-acme"), 403, "forbidden");
        row(Some("Bearer sends-for-all"), 403, "forbidden");
    }
    rows
}

/// What is sent as `media` is not taken in.
fn row<'a>(
    path: &'a str,
    media: &[(&'a str, &'a str)],
    body: impl Into<Vec<u8>>,
    (status, reason): (u16, &'a str),
) -> Row<'a> {
    let headers = [&[BEARER], media].concat();
    (path, headers, body.into(), status, reason)
}

const UNSUPPORTED: (u16, &str) = (415, "unsupported");
const MALFORMED: (u16, &str) = (400, "malformed");
const TOO_LARGE: (u16, &str) = (413, "too-large");

fn bad_remote_writes<'a>() -> Vec<Row<'a>> {
    vec![
        row(WRITE, &[PROTOBUF], good(), UNSUPPORTED),
        row(WRITE, &[JSON, SNAPPY], good(), UNSUPPORTED),
        row(WRITE, &[PROTOBUF, GZIP], good(), UNSUPPORTED),
        row(WRITE, &[PROTOBUF, SNAPPY], "no snappy", MALFORMED),
        row(WRITE, &[PROTOBUF, SNAPPY], snappy(b"\x0a\x05x"), MALFORMED),
        row(WRITE, &[PROTOBUF, SNAPPY], snappy(&zeros()), TOO_LARGE),
    ]
}

fn bad_exports<'a>() -> Vec<Row<'a>> {
    let no_list = "{\"resourceMetrics\":3}";
    vec![
        row(OTLP, &[], "", UNSUPPORTED),
        row(OTLP, &[PROTOBUF, SNAPPY], "", UNSUPPORTED),
        row(OTLP, &[PROTOBUF], "\x0a\x05x", MALFORMED),
        row(OTLP, &[PROTOBUF, GZIP], "x", MALFORMED),
        row(OTLP, &[PROTOBUF, GZIP], gzip(&zeros()), TOO_LARGE),
        row(OTLP, &[JSON], no_list, MALFORMED),
        row(OTLP, &[JSON], "{", MALFORMED),
        row(OTLP, &[PROTOBUF], vec![0; 9 << 20], TOO_LARGE),
    ]
}

fn bad_messages<'a>() -> Vec<Row<'a>> {
    let future = native(now() + 3_600_000, &[1.0]);
    vec![
        row(NATIVE, &[JSON], "", UNSUPPORTED),
        row(NATIVE, &[], "no message", MALFORMED),
        row(NATIVE, &[], future, MALFORMED),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_protocol_says_why() {
    let setup = Setup::new(&[]).await;
    let rows = [
        unauthorized(),
        bad_remote_writes(),
        bad_exports(),
        bad_messages(),
    ];
    for (path, headers, body, status, reason) in rows.into_iter().flatten() {
        let answer = post(setup.at, path, &headers, &body).await;
        assert_eq!(
            answer.status,
            status,
            "{path} {headers:?} {}",
            answer.text()
        );
        check_told(path, &headers, &answer, reason);
        let challenged = answer
            .header("www-authenticate")
            .is_some_and(|c| c.contains("Bearer"));
        assert_eq!(challenged, status == 401, "{path} {headers:?}");
        assert_eq!(
            answer.header("retry-after"),
            None,
            "trying again does not help"
        );
    }
    assert_eq!(
        post(setup.at, "/v1/logs", &[BEARER, PROTOBUF], b"")
            .await
            .status,
        404
    );
    assert_eq!(setup.stored().await, []);
    let figure = r#"ratchet_ingest_refused_requests_total{org="acme",reason="too-large"}"#;
    assert_eq!(setup.figure(figure), 3.0);
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deeply_nested_and_scattered_content_ends_well() {
    let setup = Setup::new(&[]).await;
    // An attribute whose value is a list in a list, a thousand deep.
    let mut value = vec![0x0a, 0x01, b'x'];
    for _ in 0..1_000 {
        let list = wrap(0x0a, &value);
        value = wrap(0x2a, &list);
    }
    let attribute = [wrap(0x0a, b"k"), wrap(0x12, &value)].concat();
    let resource = wrap(0x0a, &wrap(0x0a, &attribute));
    let answer = setup.send_otlp(&wrap(0x0a, &resource)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(r#"{{"resourceMetrics":{deep}}}"#);
    let answer = setup
        .send("acme", "/v1/metrics", &[JSON], body.as_bytes())
        .await;
    assert_eq!(answer.status, 400);
    setup.end().await;
}

/// A field of bytes.
fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![tag];
    prost::encoding::encode_varint(content.len() as u64, &mut field);
    field.extend(content);
    field
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_still_writes_learns_why() {
    let setup = Setup::new(&[]).await;
    let headers = [PROTOBUF, ("authorization", "Bearer nobody")];
    for path in [WRITE, OTLP, NATIVE] {
        let mut stream = begin(setup.at, path, &headers, 4 << 20).await;
        for _ in 0..4 {
            stream.write_all(&[0; 1 << 20]).await.unwrap();
        }
        assert!([401, 415].contains(&answer(&mut stream).await.status));
    }
    setup.end().await;
}
