//! Traces of single messages, from the request that brought them to what was emitted of them, by
//! OTLP over HTTP.
//!
//! A request at the gateway is traced when its header `traceparent` (W3C) says so, and one in so
//! many of those that say nothing; its messages go on with that. A message is traced by the same
//! rule. Its span lasts from the moment at which the stream stored it until it was merged; below it
//! lie the wait for its turn and the runs of modules, and one span for each emission that has a
//! point of it: from the close of the windows until the stream had them. These come later, when the
//! windows close, so a trace takes as long as its longest window.
//!
//! Nothing waits for traces: spans beyond a bounded queue are dropped.

mod export;
mod journey;
mod origins;
mod request;
mod sampling;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::HeaderMap;
use opentelemetry::trace::{Span as _, SpanContext};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub use self::export::TracesError;
pub use self::journey::{Journey, Run, Taken};
pub use self::origins::Origins;
use self::sampling::{Headers, Sampling};

/// The spans of an emission; they end when they are dropped.
pub type Spans = Vec<opentelemetry_sdk::trace::Span>;

/// The header by which whoever reads an emission goes on with its first trace.
pub fn traceparent(spans: &Spans) -> Option<String> {
    Some(header(spans.first()?.span_context()))
}

/// How long the end of the process waits until the last spans are sent.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// Makes the traces of this process, or none.
#[derive(Default)]
pub struct Traces {
    running: Option<Running>,
}

struct Running {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    messages: Sampling,
    requests: Sampling,
}

/// Where traces go, and of how many requests and messages.
#[derive(clap::Args, Clone, Debug)]
pub struct TraceSettings {
    /// Where spans are sent by OTLP/HTTP, such as http://127.0.0.1:4318/v1/traces. Without it
    /// nothing is traced.
    #[arg(long, env = "RATCHET_TRACES_ENDPOINT")]
    pub traces_endpoint: Option<String>,
    /// One request to the gateway in so many is traced, and one message in so many that comes
    /// without, besides those whose header `traceparent` asks for it; 0: only those.
    #[arg(long, env = "RATCHET_TRACES_ONE_IN", default_value_t = 10_000)]
    pub traces_one_in: u32,
}

impl Traces {
    /// Errors: an endpoint that cannot be one.
    pub fn new(settings: &TraceSettings) -> Result<Self, TracesError> {
        let Some(endpoint) = &settings.traces_endpoint else {
            return Ok(Self::default());
        };
        let (provider, tracer) = export::start(endpoint)?;
        tracing::info!(endpoint, "traces are sent");
        let running = Running {
            provider,
            tracer,
            messages: Sampling::new(settings.traces_one_in),
            requests: Sampling::new(settings.traces_one_in),
        };
        Ok(Self {
            running: Some(running),
        })
    }

    /// Begins the trace of a message, if it is to have one.
    pub fn begin(&self, headers: Option<&HeaderMap>, stored_ms: i64) -> Option<Box<Journey>> {
        let running = self.running.as_ref()?;
        let parent = running.messages.choose(&Headers(headers), stored_ms)?;
        let stored = moment(stored_ms);
        let journey = Journey::begin(running.tracer.clone(), &parent, stored);
        Some(Box::new(journey))
    }

    /// Sends what is queued. It may block for some seconds.
    pub fn stop(&self) {
        let Some(running) = &self.running else { return };
        if let Err(error) = running.provider.shutdown_with_timeout(STOP_WITHIN) {
            tracing::warn!(%error, "not every span was sent");
        }
    }
}

/// The header by which somebody goes on with the trace of a span.
fn header(span: &SpanContext) -> String {
    format!("00-{}-{}-01", span.trace_id(), span.span_id())
}

fn moment(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
