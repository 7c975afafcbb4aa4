//! One traced message, from the stream to the merge.

use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanKind, TraceContextExt, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::origins::Origin;

/// Its span, which ends when it is dropped, and what goes below that.
pub struct Journey {
    tracer: SdkTracer,
    span: Span,
    below: Context,
    stored: SystemTime,
    matched: u64,
}

/// What is known of a message once it is its turn.
pub struct Taken<'a> {
    pub org: &'a str,
    pub partition: u32,
    pub sequence: u64,
    pub bytes: usize,
}

/// One run of a module on it.
pub struct Run<'a> {
    pub started: SystemTime,
    pub configuration: String,
    pub module: String,
    pub level: &'a str,
    pub version: u64,
    pub records: u64,
    pub matched: u64,
}

impl Journey {
    pub(super) fn begin(tracer: SdkTracer, parent: &Context, stored: SystemTime) -> Self {
        let span = tracer
            .span_builder("ratchet.message")
            .with_kind(SpanKind::Consumer)
            .with_start_time(stored)
            .with_attributes([
                KeyValue::new("messaging.system", "nats"),
                KeyValue::new("messaging.operation.type", "process"),
                KeyValue::new("messaging.destination.name", "INGEST"),
            ])
            .start_with_context(&tracer, parent);
        let below = Context::new().with_remote_span_context(span.span_context().clone());
        Self {
            tracer,
            span,
            below,
            stored,
            matched: 0,
        }
    }

    /// It is its turn to be served.
    pub fn taken(&mut self, taken: &Taken<'_>) {
        let sequence = i64::try_from(taken.sequence).unwrap_or(i64::MAX);
        self.span.set_attributes([
            KeyValue::new("ratchet.org", taken.org.to_owned()),
            KeyValue::new("ratchet.partition", i64::from(taken.partition)),
            KeyValue::new("ratchet.sequence", sequence),
            KeyValue::new("messaging.message.body.size", taken.bytes as i64),
        ]);
        let wait = self
            .tracer
            .span_builder("ratchet.wait")
            .with_start_time(self.stored);
        drop(wait.start_with_context(&self.tracer, &self.below));
    }

    /// It is not served.
    pub fn refused(&mut self, reason: &'static str) {
        self.span
            .set_attribute(KeyValue::new("ratchet.refused", reason));
    }

    /// A module was run on it, and what that gave is merged.
    pub fn ran(&mut self, run: Run<'_>) {
        self.matched += run.matched;
        let span = self
            .tracer
            .span_builder("ratchet.aggregate")
            .with_start_time(run.started)
            .with_attributes([
                KeyValue::new("ratchet.configuration", run.configuration),
                KeyValue::new("ratchet.module", run.module),
                KeyValue::new("ratchet.level", run.level.to_owned()),
                KeyValue::new("ratchet.version", run.version as i64),
                KeyValue::new("ratchet.records", run.records as i64),
                KeyValue::new("ratchet.matched_points", run.matched as i64),
            ]);
        drop(span.start_with_context(&self.tracer, &self.below));
    }

    /// Ends its span; what has a point of it is still to be emitted, unless it matched nothing.
    pub(super) fn merged(self, min_ts: i64, max_ts: i64) -> Option<Origin> {
        let origin = Origin {
            tracer: self.tracer,
            context: self.below,
            min_ts,
            max_ts,
        };
        (self.matched > 0).then_some(origin)
    }
}
