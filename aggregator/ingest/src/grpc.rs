//! OTLP over gRPC: one method, one message each way.
//!
//! Framed here, on hyper's HTTP/2, so that bodies are read, reserved, limited and decompressed by
//! the same code as those of plain HTTP: a generated server gathers and decompresses a message
//! before anybody can ask whether there is room for it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{HeaderMap, HeaderName, HeaderValue, CONTENT_TYPE};
use axum::http::{Method, Request, Response, StatusCode};
use base64::Engine as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;

use crate::body::Coding;
use crate::gateway::Gateway;
use crate::http::{export_response, Counted};
use crate::refusal::Refusal;
use crate::status;

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const PROTOCOL: &str = "otlp-grpc";
const GRPC: &str = "application/grpc";
/// A flag, and the length of the message that follows.
const FRAME_HEAD: usize = 5;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Answers a call. Failures are answers too.
pub async fn serve<B>(
    gateway: Arc<Gateway>,
    request: Request<B>,
) -> Result<Response<Body>, Infallible>
where
    B: hyper::body::Body<Data = Bytes>,
{
    let (parts, body) = request.into_parts();
    let counted = Counted::new(&gateway, PROTOCOL);
    let media = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    if !media.is_some_and(is_grpc) {
        counted.count(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Ok(answer);
    }
    let coding = match parts.headers.get(&GRPC_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(Coding::Plain),
        Some(b"gzip") => Ok(Coding::Gzip),
        Some(_) => Err(Refusal::Unsupported("only gzip is understood".to_owned())),
    };
    let taken = async {
        let path = parts.uri.path();
        if path != EXPORT || parts.method != Method::POST {
            let text = format!("there is no method {path}");
            return Err((None, Refusal::Unsupported(text)));
        }
        let coding = coding.map_err(|refusal| (None, refusal))?;
        let unframe = |body| unframe(body, coding);
        let headers = &parts.headers;
        gateway
            .otlp(PROTOCOL, (headers, body), unframe, false)
            .await
    };
    Ok(match taken.await {
        Ok(tally) => {
            counted.count(StatusCode::OK);
            reply(&export_response(&tally).encode_to_vec())
        }
        Err(failed) => {
            let refusal = counted.refuse(failed);
            counted.count(refusal.status());
            failure(&refusal)
        }
    })
}

/// `application/grpc`, also with what the message is encoded in, if that is protobuf.
fn is_grpc(media: &str) -> bool {
    match media.strip_prefix(GRPC) {
        Some(rest) => rest.is_empty() || rest == "+proto" || rest.starts_with(';'),
        None => false,
    }
}

/// The one message of a body, and whether it is compressed.
fn unframe(mut body: Bytes, coding: Coding) -> Result<(Bytes, Coding), Refusal> {
    let bad = |text: &str| Refusal::Malformed(text.to_owned());
    let Some(head) = body.first_chunk::<FRAME_HEAD>() else {
        return Err(bad("the call has no message"));
    };
    let [flag, length @ ..] = *head;
    let length = u32::from_be_bytes(length) as usize;
    let message = body.split_off(FRAME_HEAD);
    if message.len() != length {
        return Err(bad("the call has another length than its one message"));
    }
    match (flag, coding) {
        (0, _) => Ok((message, Coding::Plain)),
        (1, Coding::Gzip) => Ok((message, Coding::Gzip)),
        (1, _) => Err(bad(
            "the message is compressed, and grpc-encoding does not say how",
        )),
        _ => Err(bad("the message has an unknown flag")),
    }
}

fn reply(message: &[u8]) -> Response<Body> {
    let mut framed = BytesMut::with_capacity(FRAME_HEAD + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let body = Full::new(framed.freeze()).with_trailers(async move { Some(Ok(trailers)) });
    let mut answer = Response::new(Body::new(body));
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
    answer
}

/// A failed call has no message: its trailers come as headers.
fn failure(refusal: &Refusal) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
    headers.insert(GRPC_STATUS, HeaderValue::from(refusal.grpc_code()));
    headers.insert(GRPC_ACCEPT, HeaderValue::from_static("identity,gzip"));
    let details =
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(status::protobuf(refusal));
    let texts = [
        (GRPC_MESSAGE, percent_encoded(&refusal.to_string())),
        (GRPC_DETAILS, details),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
    answer
}

/// As gRPC asks: printable ASCII without the percent sign stays.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        let check = |body: &[u8], coding, expected: Option<(&[u8], Coding)>| {
            let found = unframe(Bytes::copy_from_slice(body), coding).ok();
            let expected = expected.map(|(m, c)| (Bytes::copy_from_slice(m), c));
            assert_eq!(found, expected, "{body:?}");
        };
        check(
            b"\0\0\0\0\x02ab",
            Coding::Plain,
            Some((b"ab", Coding::Plain)),
        );
        check(
            b"\0\0\0\0\x02ab",
            Coding::Gzip,
            Some((b"ab", Coding::Plain)),
        );
        check(
            b"\x01\0\0\0\x02ab",
            Coding::Gzip,
            Some((b"ab", Coding::Gzip)),
        );
        check(b"\0\0\0\0\0", Coding::Plain, Some((b"", Coding::Plain)));
        check(b"\x01\0\0\0\x02ab", Coding::Plain, None);
        check(b"\x02\0\0\0\x02ab", Coding::Gzip, None);
        check(b"\0\0\0\0\x03ab", Coding::Plain, None);
        check(b"\0\0\0\0\x01ab", Coding::Plain, None);
        check(b"\0\0\0\0", Coding::Plain, None);
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encoded("100% é\n~"), "100%25 %C3%A9%0A~");
    }

    #[test]
    fn media_types() {
        for (media, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x=1", true),
            ("application/grpc+json", false),
            ("application/json", false),
        ] {
            assert_eq!(is_grpc(media), expected, "{media}");
        }
    }
}
