//! Plain HTTP: OTLP, remote write and native messages, each with the answers of its own protocol.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::Router;
use prost::Message as _;

use crate::body::{self, Coding};
use crate::gateway::{Gateway, Refused, RemoteWrite};
use crate::metrics::RequestLabel;
use crate::otlp::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse};
use crate::refusal::Refusal;
use crate::remote_write::Written;
use crate::status;
use crate::tally::Tally;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
const MESSAGE_V2: &str = "io.prometheus.write.v2.Request";
const MESSAGE_V1: &str = "prometheus.WriteRequest";
/// What senders of native messages may call them.
const NATIVE_TYPES: [&str; 2] = [
    "application/octet-stream",
    "application/vnd.ratchet.message",
];

pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/v1/metrics", post(otlp))
        .route("/api/v1/write", post(remote_write))
        .route("/api/v1/push", post(remote_write))
        .route("/api/v1/messages", post(native))
        .with_state(gateway)
}

async fn otlp(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let json = media_type(&parts.headers) == JSON;
    let protocol = if json { "otlp-http-json" } else { "otlp-http" };
    let counted = Counted::new(&gateway, protocol);
    let taken = async {
        let coding = check_otlp(&parts.headers).map_err(|refusal| (None, refusal))?;
        let unframe = |body| Ok((body, coding));
        gateway
            .otlp(protocol, (&parts.headers, &mut body), unframe, json)
            .await
    };
    let answer = match taken.await {
        Ok(tally) => {
            let response = export_response(&tally);
            let body = if json {
                serde_json::to_vec(&response).unwrap_or_default()
            } else {
                response.encode_to_vec()
            };
            (
                [(header::CONTENT_TYPE, if json { JSON } else { PROTOBUF })],
                body,
            )
                .into_response()
        }
        Err(failed) => {
            let refusal = counted.refuse(failed);
            read_on(&refusal, &parts.headers, &mut body).await;
            if json {
                refused(&refusal, JSON, status::json(&refusal))
            } else {
                refused(&refusal, PROTOBUF, status::protobuf(&refusal))
            }
        }
    };
    counted.answer(answer)
}

/// What OTLP answers when points were taken in.
pub fn export_response(tally: &Tally) -> ExportMetricsServiceResponse {
    let partial = |error_message| ExportMetricsPartialSuccess {
        rejected_data_points: i64::try_from(tally.rejections()).unwrap_or(i64::MAX),
        error_message,
    };
    ExportMetricsServiceResponse {
        partial_success: tally.complaint().map(partial),
    }
}

fn check_otlp(headers: &HeaderMap) -> Result<Coding, Refusal> {
    let media = media_type(headers);
    if media != JSON && media != PROTOBUF {
        let text = format!("the content type is {media:?}, neither {PROTOBUF} nor {JSON}");
        return Err(Refusal::Unsupported(text));
    }
    plain_or_gzip(headers)
}

async fn remote_write(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let version = check_remote_write(&parts.headers);
    let protocol = match version {
        Ok(RemoteWrite::V2) => "remote-write-2",
        _ => "remote-write",
    };
    let counted = Counted::new(&gateway, protocol);
    let taken = async {
        let version = version.map_err(|refusal| (None, refusal))?;
        let taken = gateway
            .remote_write(protocol, (&parts.headers, &mut body), version)
            .await?;
        Ok((version, taken))
    };
    let answer = match taken.await {
        Ok((version, (tally, written))) => {
            let mut answer = match tally.complaint() {
                None => StatusCode::NO_CONTENT.into_response(),
                // All else is stored; what was refused would be refused again.
                Some(complaint) => problem(&Refusal::Malformed(complaint)),
            };
            if version == RemoteWrite::V2 {
                tell_written(answer.headers_mut(), written);
            }
            answer
        }
        Err(failed) => {
            let refusal = counted.refuse(failed);
            read_on(&refusal, &parts.headers, &mut body).await;
            problem(&refusal)
        }
    };
    counted.answer(answer)
}

fn tell_written(headers: &mut HeaderMap, written: Written) {
    let mut tell = |name: &'static str, count: u64| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(count));
    };
    tell("x-prometheus-remote-write-samples-written", written.samples);
    tell(
        "x-prometheus-remote-write-histograms-written",
        written.histograms,
    );
    tell("x-prometheus-remote-write-exemplars-written", 0);
}

fn check_remote_write(headers: &HeaderMap) -> Result<RemoteWrite, Refusal> {
    let unsupported = |text: String| Err(Refusal::Unsupported(text));
    let media = media_type(headers);
    if media != PROTOBUF {
        return unsupported(format!("the content type is {media:?}, not {PROTOBUF}"));
    }
    let coding = text_of(headers, header::CONTENT_ENCODING);
    if !coding.eq_ignore_ascii_case("snappy") {
        return unsupported(format!("the content encoding is {coding:?}, not snappy"));
    }
    let parameters = text_of(headers, header::CONTENT_TYPE).split(';').skip(1);
    let proto = parameters
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("proto"));
    match proto.map(|(_, message)| message.trim_matches('"')) {
        None | Some(MESSAGE_V1) => Ok(RemoteWrite::V1),
        Some(MESSAGE_V2) => Ok(RemoteWrite::V2),
        Some(other) => unsupported(format!("{other:?} is no message of remote write")),
    }
}

async fn native(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    const PROTOCOL: &str = "native-http";
    let (parts, mut body) = request.into_parts();
    let counted = Counted::new(&gateway, PROTOCOL);
    let taken = async {
        let coding = check_native(&parts.headers).map_err(|refusal| (None, refusal))?;
        gateway
            .native(PROTOCOL, (&parts.headers, &mut body), coding)
            .await
    };
    let answer = match taken.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(failed) => {
            let refusal = counted.refuse(failed);
            read_on(&refusal, &parts.headers, &mut body).await;
            problem(&refusal)
        }
    };
    counted.answer(answer)
}

fn check_native(headers: &HeaderMap) -> Result<Coding, Refusal> {
    let media = media_type(headers);
    if !media.is_empty() && !NATIVE_TYPES.contains(&media.as_str()) {
        let text = format!("the content type is {media:?}, not one of {NATIVE_TYPES:?}");
        return Err(Refusal::Unsupported(text));
    }
    plain_or_gzip(headers)
}

fn plain_or_gzip(headers: &HeaderMap) -> Result<Coding, Refusal> {
    match text_of(headers, header::CONTENT_ENCODING) {
        "" | "identity" => Ok(Coding::Plain),
        "gzip" => Ok(Coding::Gzip),
        other => Err(Refusal::Unsupported(format!(
            "the content encoding is {other:?}, neither gzip nor identity"
        ))),
    }
}

/// The content type without its parameters.
fn media_type(headers: &HeaderMap) -> String {
    let text = text_of(headers, header::CONTENT_TYPE);
    text.split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// A header's value, empty where there is none that is text.
fn text_of(headers: &HeaderMap, name: HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .trim()
}

/// Reads what is left of a refused request. Whoever still writes when the connection is closed
/// would learn that it is gone, and not why.
async fn read_on(refusal: &Refusal, headers: &HeaderMap, body: &mut Body) {
    let waits = headers.contains_key(header::EXPECT);
    if !waits && *refusal != Refusal::Slow {
        body::discard(body).await;
    }
}

/// A problem document (RFC 9457).
pub fn problem(refusal: &Refusal) -> Response {
    let status = refusal.status();
    let document = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": refusal.to_string(),
        "reason": refusal.kind(),
    });
    refused(refusal, PROBLEM, document.to_string().into_bytes())
}

fn refused(refusal: &Refusal, media: &'static str, body: Vec<u8>) -> Response {
    let mut answer = (refusal.status(), Body::from(body)).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    if let Some(challenge) = refusal.challenge() {
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        );
    }
    if let Some(seconds) = refusal.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// A request in progress; it is counted with the status of its answer.
pub struct Counted<'a> {
    gateway: &'a Gateway,
    protocol: &'static str,
}

impl<'a> Counted<'a> {
    pub fn new(gateway: &'a Gateway, protocol: &'static str) -> Self {
        gateway.metrics.in_flight.inc();
        Self { gateway, protocol }
    }

    /// Books a refusal, and answers it.
    pub fn refuse(&self, (org, refusal): Refused) -> Refusal {
        let name = org.as_ref().map_or("", |org| org.as_str());
        tracing::debug!(org = name, protocol = self.protocol, %refusal, "refused");
        self.gateway.metrics.refuse(org.as_ref(), refusal.kind());
        refusal
    }

    pub fn answer(self, answer: Response) -> Response {
        self.count(answer.status());
        answer
    }

    pub fn count(&self, status: StatusCode) {
        let label = RequestLabel {
            protocol: self.protocol,
            status: status.as_u16(),
        };
        self.gateway.metrics.requests.get_or_create(&label).inc();
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.gateway.metrics.in_flight.dec();
    }
}
