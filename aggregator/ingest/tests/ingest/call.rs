//! A caller of gRPC that can do what no library does: stop within a message, and hang up.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{HeaderMap, Request};
use base64::Engine as _;
use bytes::Bytes;
use h2::client::{handshake, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use prost::Message as _;
use ratchet_ingest::otlp::ExportMetricsServiceResponse;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::client::PATIENCE;

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
/// A flag, and the length of the message that follows.
pub const FRAME_HEAD: usize = 5;

/// `google.rpc.Status`, by which OTLP says why.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

impl Status {
    /// After how many seconds the caller may try again.
    fn retry_after_s(&self) -> Option<i64> {
        let detail = self.details.iter().find(|any| any.type_url == RETRY_INFO)?;
        let info = RetryInfo::decode(&detail.value[..]).unwrap();
        Some(info.delay.unwrap().seconds)
    }
}

/// What a call was answered.
#[derive(Debug, PartialEq)]
pub struct Told {
    pub code: i32,
    pub message: String,
    pub retry_after_s: Option<i64>,
    pub reply: Option<ExportMetricsServiceResponse>,
}

/// The frame around a message.
pub fn framed(message: &[u8], compressed: bool) -> Vec<u8> {
    let mut frame = vec![u8::from(compressed)];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

/// A connection.
pub struct Caller {
    requests: SendRequest<Bytes>,
    served: JoinHandle<()>,
}

impl Caller {
    pub async fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).await.unwrap();
        let (requests, connection) = handshake(stream).await.unwrap();
        let served = tokio::spawn(async move {
            // How it ends is seen by its calls.
            let _ = connection.await;
        });
        Self { requests, served }
    }

    /// Sends the head of a call.
    pub async fn begin(&mut self, headers: &[(&str, &str)]) -> Call {
        let mut request = Request::post(format!("http://test{EXPORT}"));
        // gRPC knows no other; headers of the caller's own come after, and count instead.
        let common = [("content-type", "application/grpc"), ("te", "trailers")];
        let own = |name| headers.iter().any(|(own, _)| *own == name);
        let common = common.iter().filter(|(name, _)| !own(*name));
        for (name, value) in common.chain(headers) {
            request = request.header(*name, *value);
        }
        let mut requests = self.requests.clone().ready().await.unwrap();
        let request = request.body(()).unwrap();
        let (answer, body) = requests.send_request(request, false).unwrap();
        Call { body, answer }
    }

    pub async fn call(&mut self, headers: &[(&str, &str)], body: &[u8]) -> Told {
        self.begin(headers).await.finish(body).await
    }

    /// The socket is gone, whatever was sent.
    pub async fn hang_up(self) {
        self.served.abort();
        let _ = self.served.await;
    }

    /// Waits until the server hangs up.
    pub async fn closed(self) {
        let closed = timeout(PATIENCE, self.served).await;
        closed.expect("the server hangs up").unwrap();
    }
}

/// A call whose head is sent.
pub struct Call {
    body: SendStream<Bytes>,
    answer: ResponseFuture,
}

impl Call {
    pub fn send(&mut self, body: &[u8]) {
        let body = Bytes::copy_from_slice(body);
        self.body.send_data(body, false).unwrap();
    }

    /// Sends what is left, and reads the answer.
    pub async fn finish(mut self, body: &[u8]) -> Told {
        let body = Bytes::copy_from_slice(body);
        // A server that refuses by the head alone may have ended the call already.
        let _ = self.body.send_data(body, true);
        self.told().await
    }

    /// Sends a byte now and then, until there is an answer.
    pub async fn drip(mut self, every: Duration) -> Told {
        let mut ticks = interval(every);
        let drip = async {
            loop {
                ticks.tick().await;
                // After the answer nobody takes them any more.
                let _ = self.body.send_data(Bytes::from_static(b"\0"), false);
            }
        };
        tokio::select! {
            told = told(self.answer) => told,
            () = drip => unreachable!("it drips for ever"),
        }
    }

    pub fn reset(mut self) {
        self.body.send_reset(Reason::CANCEL);
    }

    /// The status of HTTP, for what is no gRPC.
    pub async fn http_status(self) -> u16 {
        let answer = timeout(PATIENCE, self.answer).await.expect("an answer");
        answer.unwrap().status().as_u16()
    }

    /// The answer, though the call may not be whole.
    pub async fn told(self) -> Told {
        told(self.answer).await
    }
}

async fn told(answer: ResponseFuture) -> Told {
    let answer = timeout(PATIENCE, answer).await;
    let (head, body) = answer.expect("an answer").unwrap().into_parts();
    assert_eq!(head.status, 200, "what fails by gRPC is no failure of HTTP");
    assert_eq!(head.headers["content-type"], "application/grpc");
    if head.headers.contains_key("grpc-status") {
        return failure(&head.headers);
    }
    let (message, trailers) = timeout(PATIENCE, whole(body)).await.expect("an end");
    assert_eq!(message, framed(&message[FRAME_HEAD..], false));
    assert_eq!(trailers["grpc-status"], "0");
    Told {
        code: 0,
        message: String::new(),
        retry_after_s: None,
        reply: Some(ExportMetricsServiceResponse::decode(&message[FRAME_HEAD..]).unwrap()),
    }
}

async fn whole(mut body: RecvStream) -> (Vec<u8>, HeaderMap) {
    let mut message = Vec::new();
    while let Some(data) = body.data().await {
        message.extend(data.unwrap());
    }
    let trailers = body.trailers().await.unwrap();
    (message, trailers.expect("trailers"))
}

/// A failure is told by the head alone, once in words and once as OTLP's status.
fn failure(headers: &HeaderMap) -> Told {
    let text = |name: &str| headers[name].to_str().unwrap();
    let details = base64::engine::general_purpose::STANDARD_NO_PAD;
    let details = details.decode(text("grpc-status-details-bin")).unwrap();
    let status = Status::decode(&details[..]).unwrap();
    assert_eq!(text("grpc-status"), status.code.to_string());
    assert_eq!(text("grpc-message"), status.message);
    Told {
        code: status.code,
        retry_after_s: status.retry_after_s(),
        message: status.message,
        reply: None,
    }
}
