//! Traced messages with points in windows that are still open.

use std::collections::VecDeque;

use opentelemetry::trace::{SpanKind, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::{Journey, Spans};
use crate::emit::EmittedMessage;

/// Of one organization in a partition; the oldest make room.
const ORIGINS_MAX: usize = 64;
/// Spans of one emission.
const SPANS_MAX: usize = 8;
/// The longest window and the longest lateness after it.
const OPEN_MS_MAX: i64 = 2 * 3_600_000;

/// A traced message that was merged.
pub(super) struct Origin {
    pub tracer: SdkTracer,
    /// What goes below the message's span.
    pub context: Context,
    pub min_ts: i64,
    pub max_ts: i64,
}

#[derive(Default)]
pub struct Origins {
    open: VecDeque<Origin>,
}

impl Origins {
    /// A message with these timestamps is merged.
    pub fn merged(&mut self, journey: Journey, min_ts: i64, max_ts: i64) {
        if let Some(origin) = journey.merged(min_ts, max_ts) {
            self.open.retain(|old| old.max_ts >= max_ts - OPEN_MS_MAX);
            if self.open.len() == ORIGINS_MAX {
                self.open.pop_front();
            }
            self.open.push_back(origin);
        }
    }

    /// The spans of an emission, one below each traced message whose timestamps its window covers.
    /// They begin now.
    pub fn emission(&self, message: &EmittedMessage) -> Spans {
        let end_ms = message.start_ms + i64::from(message.window_ms);
        let covered =
            |origin: &&Origin| origin.min_ts < end_ms && origin.max_ts >= message.start_ms;
        let origins = self.open.iter().filter(covered).take(SPANS_MAX);
        origins.map(|origin| origin.emission(message)).collect()
    }
}

impl Origin {
    fn emission(&self, message: &EmittedMessage) -> Span {
        self.tracer
            .span_builder("ratchet.emit")
            .with_kind(SpanKind::Producer)
            .with_attributes([
                KeyValue::new("messaging.system", "nats"),
                KeyValue::new("messaging.operation.type", "send"),
                KeyValue::new("messaging.destination.name", message.subject.clone()),
                KeyValue::new("ratchet.window_start_ms", message.start_ms),
                KeyValue::new("ratchet.window_ms", i64::from(message.window_ms)),
                KeyValue::new("ratchet.points", message.points as i64),
            ])
            .start_with_context(&self.tracer, &self.context)
    }
}
