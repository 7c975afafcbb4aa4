//! One traced request, from its head until its messages are stored.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _};
use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::Span;
use ratchet_ingest::organization::Org;
use ratchet_ingest::refusal::Refusal;
use ratchet_ingest::tally::Tally;
use ratchet_ingest::trace::{RequestTrace, RequestTraces};

use super::sampling::Parent;
use super::{header, Traces};

/// Its span, which ends when it is dropped.
struct Request {
    span: Span,
    is_answered: bool,
}

impl RequestTraces for Traces {
    fn begin(
        &self,
        parent: Option<&str>,
        org: &Org,
        protocol: &'static str,
    ) -> Option<Box<dyn RequestTrace>> {
        let running = self.running.as_ref()?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = since.map_or(0, |since| since.as_millis() as i64);
        let parent = running.requests.choose(&Parent(parent), now_ms)?;
        let span = running
            .tracer
            .span_builder("ratchet.request")
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("ratchet.org", org.to_string()),
                KeyValue::new("ratchet.protocol", protocol),
            ])
            .start_with_context(&running.tracer, &parent);
        Some(Box::new(Request {
            span,
            is_answered: false,
        }))
    }
}

impl RequestTrace for Request {
    fn traceparent(&self) -> String {
        header(self.span.span_context())
    }

    fn stored(mut self: Box<Self>, tally: &Tally) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.is_answered = true;
        self.span.set_attributes([
            KeyValue::new("ratchet.points", number(tally.written)),
            KeyValue::new("ratchet.points_refused", number(tally.rejections())),
        ]);
    }

    fn refused(mut self: Box<Self>, refusal: &Refusal) {
        self.is_answered = true;
        self.refuse(refusal.kind());
        // A sender's mistake is none of this service.
        if refusal.status().is_server_error() {
            self.span.set_status(Status::error(refusal.to_string()));
        }
    }
}

impl Request {
    fn refuse(&mut self, reason: &'static str) {
        let reason = KeyValue::new("ratchet.refused", reason);
        self.span.set_attribute(reason);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.is_answered {
            self.refuse("given-up");
        }
    }
}
