//! Bytes to generated types, with a bound on what those will take in memory.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use prost::Message as _;
use serde_json::Value as Json;

use crate::refusal::Refusal;
use crate::wire::{Malformed, Reader, Value};

/// What an element takes at most: the largest generated type has less.
const ELEMENT_BYTES: usize = 256;
/// Elements of a request; a point has one and one more for each attribute and exemplar.
const ELEMENTS_MAX: usize = 2_000_000;

/// What a metric of OTLP/JSON may have; one of them.
const KINDS: [&str; 5] = [
    "gauge",
    "sum",
    "histogram",
    "exponentialHistogram",
    "summary",
];
const NAME_CHARS_MAX: usize = 80;

/// What a request will take in memory, known before anything is allocated. Two bytes on the wire
/// can become a point of 150 bytes, so the length alone tells little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Elements {
    /// Messages within the message, whatever they are.
    pub count: usize,
}

impl Elements {
    /// An upper bound of the bytes that the decoded request takes besides its texts.
    pub fn bytes(self) -> usize {
        self.count.saturating_mul(ELEMENT_BYTES)
    }

    fn checked(self) -> Result<Self, Refusal> {
        if self.count > ELEMENTS_MAX {
            return Err(Refusal::TooLarge(format!(
                "the request has more than {ELEMENTS_MAX} points, attributes and exemplars"
            )));
        }
        Ok(self)
    }
}

/// Counts the elements of a request in protobuf or in JSON.
pub fn elements(body: &[u8], json: bool) -> Result<Elements, Refusal> {
    let count = if json {
        // Every element of a list or an object begins after one of these.
        body.iter()
            .filter(|b| matches!(b, b'{' | b'[' | b','))
            .count()
    } else {
        nested(body, REQUEST).map_err(malformed)?
    };
    Elements { count }.checked()
}

pub fn from_protobuf(body: &[u8]) -> Result<ExportMetricsServiceRequest, Refusal> {
    ExportMetricsServiceRequest::decode(body)
        .map_err(|error| Refusal::Malformed(format!("not an export request: {error}")))
}

pub fn from_json(body: &[u8]) -> Result<ExportMetricsServiceRequest, Refusal> {
    let malformed = |error| Refusal::Malformed(format!("not an export request in JSON: {error}"));
    let request: ExportMetricsServiceRequest = serde_json::from_slice(body).map_err(malformed)?;
    if metrics(&request).all(|metric| metric.data.is_some()) {
        return Ok(request);
    }
    // Data that cannot be read looks as if there were none.
    let told: Json = serde_json::from_slice(body).map_err(malformed)?;
    match unread(&told, &request) {
        None => Ok(request),
        Some((name, kind)) => {
            let name: String = name.chars().take(NAME_CHARS_MAX).collect();
            let text = format!("not an export request in JSON: the {kind} of metric {name:?}");
            Err(Refusal::Malformed(text))
        }
    }
}

fn metrics(request: &ExportMetricsServiceRequest) -> impl Iterator<Item = &Metric> {
    let resources = request.resource_metrics.iter();
    let scopes = resources.flat_map(|resource| &resource.scope_metrics);
    scopes.flat_map(|scope| &scope.metrics)
}

/// Name and kind of the first metric that has data, none of which was read.
fn unread<'a>(
    told: &'a Json,
    request: &'a ExportMetricsServiceRequest,
) -> Option<(&'a str, &'static str)> {
    let list = |of: &'a Json, names: [&str; 2]| {
        let found = names.iter().find_map(|name| of.get(name)?.as_array());
        found.into_iter().flatten()
    };
    let resources = list(told, ["resourceMetrics", "resource_metrics"]);
    let scopes = resources.flat_map(|it| list(it, ["scopeMetrics", "scope_metrics"]));
    let all = scopes.flat_map(|it| list(it, ["metrics", "metrics"]));
    let mut both = all.zip(metrics(request));
    both.find_map(|(told, metric)| {
        let kind = KINDS.iter().find(|kind| told.get(kind).is_some());
        let kind = kind.filter(|_| metric.data.is_none())?;
        Some((metric.name.as_str(), *kind))
    })
}

fn malformed(error: Malformed) -> Refusal {
    Refusal::Malformed(format!("not an export request: {error}"))
}

/// The fields of a message that hold messages, and what these hold.
#[derive(Clone, Copy)]
struct Shape(&'static [(u32, Shape)]);

const LEAF: Shape = Shape(&[]);
/// A value may hold lists of values: each is counted as many times as it has bytes.
const ATTRIBUTE: Shape = LEAF;
const EXEMPLAR: Shape = Shape(&[(7, ATTRIBUTE)]);
const NUMBER: Shape = Shape(&[(7, ATTRIBUTE), (5, EXEMPLAR)]);
const HISTOGRAM: Shape = Shape(&[(9, ATTRIBUTE), (8, EXEMPLAR)]);
const EXPONENTIAL: Shape = Shape(&[(1, ATTRIBUTE), (11, EXEMPLAR)]);
const SUMMARY: Shape = Shape(&[(7, ATTRIBUTE), (6, LEAF)]);
const METRIC: Shape = Shape(&[
    (5, Shape(&[(1, NUMBER)])),
    (7, Shape(&[(1, NUMBER)])),
    (9, Shape(&[(1, HISTOGRAM)])),
    (10, Shape(&[(1, EXPONENTIAL)])),
    (11, Shape(&[(1, SUMMARY)])),
    (12, ATTRIBUTE),
]);
const OWNER: Shape = Shape(&[(1, ATTRIBUTE), (3, ATTRIBUTE)]);
const SCOPE_METRICS: Shape = Shape(&[(1, OWNER), (2, METRIC)]);
const REQUEST: Shape = Shape(&[(1, Shape(&[(1, OWNER), (2, SCOPE_METRICS)]))]);

/// Counts the messages within a message. As deep as the shapes are, so it ends.
fn nested(bytes: &[u8], shape: Shape) -> Result<usize, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut count = 0;
    while let Some((number, value)) = reader.field()? {
        let Value::Bytes(content) = value else {
            continue;
        };
        if let Some((_, inner)) = shape.0.iter().find(|(field, _)| *field == number) {
            count += 1;
            count += if inner.0.is_empty() {
                values_in(content)
            } else {
                nested(content, *inner)?
            };
        }
    }
    Ok(count)
}

/// What an attribute can hold at most: an element takes two bytes. Plain ones are short; only a
/// list of empty values is as dense.
fn values_in(content: &[u8]) -> usize {
    const PLAIN: usize = 256;
    if content.len() <= PLAIN {
        content.len() / 64
    } else {
        content.len() / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::metrics::v1::{
        metric::Data, Gauge, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    };

    #[test]
    fn json_that_cannot_be_read_is_refused() {
        let check = |metric: &str, expected: Result<bool, &str>| {
            let scope = format!(r#"{{"metrics":[{{"name":"good","gauge":{{}}}},{metric}]}}"#);
            let body = format!(r#"{{"resourceMetrics":[{{}},{{"scopeMetrics":[{{}},{scope}]}}]}}"#);
            match (from_json(body.as_bytes()), expected) {
                (Ok(request), Ok(has_data)) => {
                    let last = metrics(&request).last().unwrap();
                    assert_eq!(last.data.is_some(), has_data, "{metric}");
                }
                (Err(Refusal::Malformed(text)), Err(part)) => {
                    assert!(text.contains(part), "{metric}: {text}");
                }
                (found, _) => panic!("{metric}: {found:?}"),
            }
        };
        let point = r#"{"timeUnixNano":"1","count":"1","sum":2}"#;
        let histogram =
            |points: &str| format!(r#"{{"name":"h","histogram":{{"dataPoints":[{points}]}}}}"#);
        check(&histogram(point), Ok(true));
        check(r#"{"name":"bare"}"#, Ok(false));
        let infinite = point.replace("2}", "\"Infinity\"}");
        let both = histogram(&format!("{point},{infinite}"));
        check(&both, Err("the histogram of metric \"h\""));
        check(r#"{"name":"s","sum":7}"#, Err("the sum of metric \"s\""));
        check(r#"{"name":7}"#, Err("in JSON"));
    }

    #[test]
    fn elements_are_counted_before_they_are_made() {
        let request = |points: usize| ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                scope_metrics: vec![ScopeMetrics {
                    metrics: vec![Metric {
                        data: Some(Data::Gauge(Gauge {
                            data_points: vec![NumberDataPoint::default(); points],
                        })),
                        ..Metric::default()
                    }],
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        let count = |points| elements(&request(points).encode_to_vec(), false);
        assert_eq!(count(0), Ok(Elements { count: 4 }));
        assert_eq!(count(10), Ok(Elements { count: 14 }));
        assert!(matches!(count(ELEMENTS_MAX), Err(Refusal::TooLarge(_))));
        assert_eq!(elements(b"{\"a\":[1,2]}", true), Ok(Elements { count: 3 }));
        let commas = vec![b','; ELEMENTS_MAX + 1];
        assert!(matches!(elements(&commas, true), Err(Refusal::TooLarge(_))));
        assert!(matches!(
            elements(&[0x0a, 9], false),
            Err(Refusal::Malformed(_))
        ));
    }
}
