//! Which messages and requests are traced.

use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::Context;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use parking_lot::Mutex;
use ratchet_ingest::trace::TRACEPARENT;

/// Traces that may begin within a second: whoever sends decides on its header, so the header
/// alone must not.
const PER_SECOND_MAX: u32 = 100;

pub struct Sampling {
    one_in: u64,
    seen: AtomicU64,
    propagator: TraceContextPropagator,
    budget: Mutex<Budget>,
}

#[derive(Default)]
struct Budget {
    second: i64,
    used: u32,
}

impl Budget {
    fn take(&mut self, ms: i64) -> bool {
        let second = ms.div_euclid(1_000);
        if second != self.second {
            *self = Self { second, used: 0 };
        }
        self.used += 1;
        self.used <= PER_SECOND_MAX
    }
}

/// The headers of a message.
pub struct Headers<'a>(pub Option<&'a HeaderMap>);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0?.get(key).map(async_nats::HeaderValue::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        let headers = self.0.into_iter().flat_map(HeaderMap::iter);
        headers.map(|(name, _)| name.as_ref()).collect()
    }
}

/// The header `traceparent` of a request.
pub struct Parent<'a>(pub Option<&'a str>);

impl Extractor for Parent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.filter(|_| key == TRACEPARENT)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

impl Sampling {
    /// Of those that say nothing of it, one in so many; 0: none.
    pub fn new(one_in: u32) -> Self {
        Self {
            one_in: one_in.into(),
            seen: AtomicU64::new(0),
            propagator: TraceContextPropagator::new(),
            budget: Mutex::default(),
        }
    }

    /// The context that a trace belongs to, if there is to be one.
    pub fn choose(&self, carrier: &dyn Extractor, now_ms: i64) -> Option<Context> {
        let propagator = &self.propagator;
        let context = propagator.extract_with_context(&Context::new(), carrier);
        let parent = context.span().span_context().clone();
        let chosen = if parent.is_valid() {
            parent.is_sampled()
        } else {
            self.draw()
        };
        (chosen && self.budget.lock().take(now_ms)).then_some(context)
    }

    /// Whether it is the turn of one that says nothing.
    fn draw(&self) -> bool {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        self.one_in > 0 && seen.is_multiple_of(self.one_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn headers(parent: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", parent);
        headers
    }

    #[test]
    fn the_header_decides_and_else_one_in_so_many() {
        let check = |one_in: u32, parent: Option<&str>, expected: [bool; 3]| {
            let sampling = Sampling::new(one_in);
            let headers = parent.map(headers);
            let message = Headers(headers.as_ref());
            let chosen = [0; 3].map(|ms| sampling.choose(&message, ms).is_some());
            assert_eq!(chosen, expected, "{one_in} {parent:?}");
            let sampling = Sampling::new(one_in);
            let chosen = [0; 3].map(|ms| sampling.choose(&Parent(parent), ms).is_some());
            assert_eq!(chosen, expected, "{one_in} {parent:?} of a request");
        };
        let asked = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let denied = format!("00-{TRACE}-00f067aa0ba902b7-00");
        check(0, Some(&asked), [true; 3]);
        check(1, Some(&denied), [false; 3]);
        check(2, None, [true, false, true]);
        check(0, None, [false; 3]);
        check(2, Some("00-zz-00f067aa0ba902b7-01"), [true, false, true]);
        check(0, Some(""), [false; 3]);
    }

    #[test]
    fn a_trace_goes_on_under_its_parent() {
        let asked = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let context = Sampling::new(0).choose(&Headers(Some(&headers(&asked))), 0);
        let context = context.unwrap();
        let parent = context.span().span_context().clone();
        assert_eq!(parent.trace_id().to_string(), TRACE);
        assert_eq!(parent.span_id().to_string(), "00f067aa0ba902b7");
    }

    #[test]
    fn a_second_has_its_most() {
        let sampling = Sampling::new(1);
        let chosen = |ms: i64| {
            let chosen =
                (0..PER_SECOND_MAX + 5).filter(|_| sampling.choose(&Headers(None), ms).is_some());
            chosen.count() as u32
        };
        assert_eq!(chosen(1_500), PER_SECOND_MAX);
        assert_eq!(chosen(1_999), 0);
        assert_eq!(chosen(2_000), PER_SECOND_MAX);
    }
}
