//! Every kind of OpenTelemetry metric, and what it becomes.

use std::time::{Duration, Instant, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use ratchet_ingest::batch::Batch;
use ratchet_ingest::organization::Org;
use ratchet_ingest::otlp::{convert, needs_series, sources, ExportMetricsServiceRequest};
use ratchet_ingest::reach::Reach;
use ratchet_ingest::series::{Series, Staged};
use ratchet_ingest::settings::{FirstPoint, Limits};
use ratchet_ingest::tally::Tally;

use crate::samples::{nanos, point, points, Point};

pub const TS: i64 = 1_700_000_000_000;
const DELTA: i32 = 1;
const CUMULATIVE: i32 = 2;

pub fn limits() -> Limits {
    Limits {
        body: 1 << 20,
        content: 1 << 20,
        points: 10_000,
        tags: 8,
        reach: Reach {
            ahead: Duration::from_secs(60),
            behind: Duration::from_secs(3_600),
        },
        head_time: Duration::from_secs(1),
        body_time: Duration::from_secs(1),
        store_time: Duration::from_secs(1),
    }
}

pub fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Any::StringValue(value.to_owned()))
}

pub fn metric(name: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

pub fn request(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    with_owner(Vec::new(), InstrumentationScope::default(), metrics)
}

pub fn with_owner(
    attributes: Vec<KeyValue>,
    scope: InstrumentationScope,
    metrics: Vec<Metric>,
) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes,
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

pub fn number(ts: i64, value: Value) -> NumberDataPoint {
    NumberDataPoint {
        time_unix_nano: nanos(ts),
        start_time_unix_nano: nanos(TS - 1_000),
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

pub fn gauge(points: Vec<NumberDataPoint>) -> Data {
    Data::Gauge(Gauge {
        data_points: points,
    })
}

pub fn sum(temporality: i32, is_monotonic: bool, points: Vec<NumberDataPoint>) -> Data {
    Data::Sum(Sum {
        data_points: points,
        aggregation_temporality: temporality,
        is_monotonic,
    })
}

/// What a gateway that runs since `TS - 2 s` makes of requests, one after the other.
pub fn converted(requests: &[ExportMetricsServiceRequest]) -> (Vec<Vec<Point>>, Vec<Tally>) {
    let series = Series::new(1_000, FirstPoint::Auto, nanos(TS - 2_000));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let org = Org::parse("acme").unwrap();
    let (mut found, mut tallies) = (Vec::new(), Vec::new());
    for request in requests {
        let now = UNIX_EPOCH + Duration::from_millis(TS as u64);
        let mut batch = Batch::new(&limits(), now);
        let resources = &request.resource_metrics;
        let ids = sources(resources).collect();
        let locked = runtime.block_on(series.lock(&org, ids, Duration::from_secs(1)));
        let mut locked = locked.unwrap();
        let mut staged = Staged::new(locked.quota(UNIX_EPOCH), locked.iter());
        convert(resources, &mut batch, &mut staged);
        let updates: Vec<_> = staged.into_updates().collect();
        assert!(updates.is_empty() || needs_series(request));
        for (id, points) in updates {
            let source = locked.get_mut(id).unwrap();
            let plan = source.plan(points, Instant::now());
            source.commit(plan, 1);
        }
        let (messages, tally) = batch.into_messages();
        found.push(
            messages
                .iter()
                .flat_map(|message| points(message))
                .collect(),
        );
        tallies.push(tally);
    }
    (found, tallies)
}

pub fn check(what: &str, requests: &[ExportMetricsServiceRequest], expected: &[&[Point]]) {
    assert_eq!(converted(requests).0, expected, "{what}");
}

#[test]
fn gauges_and_sums() {
    let one = |data| vec![request(vec![metric("m", data)])];
    let double = |ts, value| number(ts, Value::AsDouble(value));
    let int = |ts, value| number(ts, Value::AsInt(value));
    let at = |ts, value| point("m{}", ts, value);
    let data = gauge(vec![
        double(TS, 0.1),
        int(TS + 1, -3),
        double(TS, f64::INFINITY),
    ]);
    let expected = [at(TS, 0.1), at(TS + 1, -3.0), at(TS, f64::INFINITY)];
    check("gauge", &one(data), &[&expected]);
    let data = sum(DELTA, true, vec![int(TS, 7), int(TS + 1, 7)]);
    check("delta", &one(data), &[&[at(TS, 7.0), at(TS + 1, 7.0)]]);
    let data = sum(CUMULATIVE, false, vec![int(TS, 7), int(TS + 1, 4)]);
    check(
        "up and down",
        &one(data),
        &[&[at(TS, 7.0), at(TS + 1, 4.0)]],
    );
    let cumulative = |ts, value| {
        request(vec![metric(
            "m",
            sum(CUMULATIVE, true, vec![int(ts, value)]),
        )])
    };
    check(
        "cumulative, with a repetition and a reset",
        &[
            cumulative(TS, 5),
            cumulative(TS + 10, 9),
            cumulative(TS + 10, 9),
            cumulative(TS + 20, 2),
            cumulative(TS + 30, 2),
        ],
        &[
            &[at(TS, 5.0)],
            &[at(TS + 10, 4.0)],
            &[],
            &[at(TS + 20, 2.0)],
            &[at(TS + 30, 0.0)],
        ],
    );
}

#[test]
fn a_new_start_is_a_reset_and_an_old_first_point_only_a_beginning() {
    let observed = |start: i64, ts, value| {
        let mut data = number(ts, Value::AsInt(value));
        data.start_time_unix_nano = nanos(start);
        request(vec![metric("m", sum(CUMULATIVE, true, vec![data]))])
    };
    let requests = [
        observed(TS - 9_000, TS, 1_000),
        observed(TS - 9_000, TS + 1, 1_004),
        observed(TS + 2, TS + 3, 2_000),
    ];
    let (found, tallies) = converted(&requests);
    let at = |ts, value| vec![point("m{}", ts, value)];
    assert_eq!(found, [vec![], at(TS + 1, 4.0), at(TS + 3, 2_000.0)]);
    let ignored = tallies[0].ignored.iter().map(|(what, n)| (what.name(), *n));
    assert_eq!(ignored.collect::<Vec<_>>(), [("first", 1)]);
    assert_eq!(tallies[0].complaint(), None);
}

fn histogram(ts: i64, counts: &[u64], sum: Option<f64>, temporality: i32) -> Metric {
    let data_point = HistogramDataPoint {
        time_unix_nano: nanos(ts),
        start_time_unix_nano: nanos(TS - 1_000),
        count: counts.iter().sum(),
        sum,
        bucket_counts: counts.to_vec(),
        explicit_bounds: vec![0.5, 10.0],
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram {
        data_points: vec![data_point],
        aggregation_temporality: temporality,
    };
    metric("h", Data::Histogram(histogram))
}

fn expected_histogram(ts: i64, counts: [f64; 3], sum: Option<f64>) -> Vec<Point> {
    let mut expected = vec![
        point("h_bucket{le=0.5}", ts, counts[0]),
        point("h_bucket{le=10}", ts, counts[1]),
        point("h_bucket{le=+Inf}", ts, counts[2]),
        point("h_count{}", ts, counts[2]),
    ];
    expected.extend(sum.map(|sum| point("h_sum{}", ts, sum)));
    expected
}

#[test]
fn histograms() {
    let one = |metric| vec![request(vec![metric])];
    let delta = histogram(TS, &[1, 2, 3], Some(50.5), DELTA);
    let expected = expected_histogram(TS, [1.0, 3.0, 6.0], Some(50.5));
    check("delta", &one(delta), &[&expected]);
    let requests: Vec<_> = [
        histogram(TS, &[1, 2, 3], Some(50.0), CUMULATIVE),
        histogram(TS + 1, &[1, 4, 3], Some(57.0), CUMULATIVE),
        histogram(TS + 2, &[0, 1, 0], None, CUMULATIVE),
    ]
    .into_iter()
    .flat_map(one)
    .collect();
    let expected = [
        expected_histogram(TS, [1.0, 3.0, 6.0], Some(50.0)),
        expected_histogram(TS + 1, [0.0, 2.0, 2.0], Some(7.0)),
        expected_histogram(TS + 2, [0.0, 1.0, 1.0], None),
    ];
    let expected: Vec<&[Point]> = expected.iter().map(Vec::as_slice).collect();
    check("cumulative", &requests, &expected);
    let mut odd = histogram(TS, &[1, 2, 3], None, DELTA);
    if let Some(Data::Histogram(histogram)) = &mut odd.data {
        histogram.data_points[0].count = 7;
    }
    let (found, tallies) = converted(&one(odd));
    assert_eq!(found, [vec![]]);
    let text = tallies[0].complaint().unwrap();
    assert!(text.contains("bad-histogram: 1"), "{text}");
}

#[test]
fn exponential_histograms_are_counted_on_the_ladder() {
    let side = |offset, counts: &[u64]| {
        Some(Buckets {
            offset,
            bucket_counts: counts.to_vec(),
        })
    };
    let data_point = ExponentialHistogramDataPoint {
        time_unix_nano: nanos(TS),
        count: 10,
        sum: Some(33.0),
        scale: 1,
        zero_count: 1,
        // Up to 2^0.5, 2^1, 2^1.5 and 2^2.
        positive: side(0, &[1, 2, 0, 4]),
        negative: side(3, &[2]),
        ..ExponentialHistogramDataPoint::default()
    };
    let data = Data::ExponentialHistogram(ExponentialHistogram {
        data_points: vec![data_point],
        aggregation_temporality: DELTA,
    });
    let (found, _) = converted(&[request(vec![metric("e", data)])]);
    let value = |series: &str| {
        let row = found[0].iter().find(|(name, ..)| name == series);
        f64::from_bits(row.unwrap_or_else(|| panic!("{series} in {found:?}")).2)
    };
    for (bound, count) in [("0.0009765625", 3.0), ("1", 3.0), ("2", 6.0), ("4", 10.0)] {
        assert_eq!(value(&format!("e_bucket{{le={bound}}}")), count, "{bound}");
    }
    assert_eq!(value("e_bucket{le=+Inf}"), 10.0);
    assert_eq!((value("e_count{}"), value("e_sum{}")), (10.0, 33.0));
    assert_eq!(found[0].len(), 41 + 1 + 2);
}

#[test]
fn summaries() {
    let summary = |ts, count, sum| {
        let data_point = SummaryDataPoint {
            time_unix_nano: nanos(ts),
            start_time_unix_nano: nanos(TS - 1_000),
            count,
            sum,
            quantile_values: vec![ValueAtQuantile {
                quantile: 0.99,
                value: 4.5,
            }],
            ..SummaryDataPoint::default()
        };
        let data = Data::Summary(Summary {
            data_points: vec![data_point],
        });
        request(vec![metric("s", data)])
    };
    let expected = |ts, count, sum| {
        vec![
            point("s_count{}", ts, count),
            point("s_sum{}", ts, sum),
            point("s{quantile=0.99}", ts, 4.5),
        ]
    };
    let all = [expected(TS, 3.0, 9.0), expected(TS + 1, 2.0, 5.0)];
    check(
        "summary",
        &[summary(TS, 3, 9.0), summary(TS + 1, 5, 14.0)],
        &[&all[0], &all[1]],
    );
}

#[test]
fn what_cannot_be_taken_in_is_refused_point_by_point() {
    let mut rows = 0;
    let mut check = |data: Data, name: &str, rejected: &[(&str, u64)], ignored: &[(&str, u64)]| {
        let good = metric("good", gauge(vec![number(TS, Value::AsInt(1))]));
        let (found, tallies) = converted(&[request(vec![metric(name, data), good])]);
        assert_eq!(found, [vec![point("good{}", TS, 1.0)]], "{rejected:?}");
        let counts = tallies[0]
            .rejected
            .iter()
            .map(|(reason, n)| (reason.name(), *n));
        assert_eq!(counts.collect::<Vec<_>>(), rejected);
        let counts = tallies[0].ignored.iter().map(|(what, n)| (what.name(), *n));
        assert_eq!(counts.collect::<Vec<_>>(), ignored);
        rows += 1;
    };
    let plain = || number(TS, Value::AsInt(1));
    let with = |change: &dyn Fn(&mut NumberDataPoint)| {
        let mut data = plain();
        change(&mut data);
        gauge(vec![data])
    };
    check(gauge(vec![plain(), plain()]), "", &[("no-name", 2)], &[]);
    check(with(&|p| p.value = None), "m", &[("no-value", 1)], &[]);
    check(
        with(&|p| p.time_unix_nano = 0),
        "m",
        &[("timestamp", 1)],
        &[],
    );
    check(
        gauge(vec![number(TS + 60_001, Value::AsInt(1))]),
        "m",
        &[("future", 1)],
        &[],
    );
    check(
        sum(0, true, vec![plain()]),
        "m",
        &[("no-temporality", 1)],
        &[],
    );
    check(
        sum(9, true, vec![plain()]),
        "m",
        &[("no-temporality", 1)],
        &[],
    );
    let long = "n".repeat(1_025);
    check(gauge(vec![plain()]), &long, &[("string-too-long", 1)], &[]);
    let tags = |p: &mut NumberDataPoint| {
        p.attributes = (0..9).map(|n| text(&format!("k{n}"), "v")).collect();
    };
    check(with(&tags), "m", &[("too-many-tags", 1)], &[]);
    let empty = |p: &mut NumberDataPoint| p.attributes = vec![text("", "v")];
    check(with(&empty), "m", &[("empty-key", 1)], &[]);
    let stale = |p: &mut NumberDataPoint| {
        p.flags = 1;
        p.exemplars = vec![Exemplar::default(); 2];
    };
    check(with(&stale), "m", &[], &[("stale", 1), ("exemplar", 2)]);
    let nan = number(TS, Value::AsDouble(f64::NAN));
    check(sum(CUMULATIVE, true, vec![nan]), "m", &[], &[("stale", 1)]);
    assert_eq!(rows, 11);
}
