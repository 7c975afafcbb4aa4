//! Remote write of both versions, and what its samples become.

use std::time::{Duration, UNIX_EPOCH};

use prost::Message as _;
use ratchet_ingest::batch::Batch;
use ratchet_ingest::remote_write::{decode_v1, decode_v2, Written, STALE};
use ratchet_ingest::tally::Tally;
use ratchet_ingest::wire::Malformed;

use crate::kinds::{limits, TS};
use crate::prometheus::{request_v1, request_v2, series, v1, v2, Histogram, Span};
use crate::samples::{point, points, Point};

type Decoded = Result<(Vec<Point>, Written, Tally), Malformed>;

fn decode(body: &[u8], with: fn(&[u8], &mut Batch) -> Result<Written, Malformed>) -> Decoded {
    let now = UNIX_EPOCH + Duration::from_millis(TS as u64);
    let mut batch = Batch::new(&limits(), now);
    let written = with(body, &mut batch)?;
    let (messages, tally) = batch.into_messages();
    let points = messages
        .iter()
        .flat_map(|message| points(message))
        .collect();
    Ok((points, written, tally))
}

/// Both versions make the same of the same series.
fn both(timeseries: Vec<v1::TimeSeries>) -> (Vec<Point>, Written, Tally) {
    let first = decode(&request_v1(timeseries.clone()), decode_v1).unwrap();
    let second = decode(&request_v2(timeseries), decode_v2).unwrap();
    assert_eq!(first, second);
    first
}

#[test]
fn samples_are_points_as_they_are() {
    let labels = [
        ("__name__", "http_requests_total"),
        ("code", "200"),
        ("empty", ""),
    ];
    let other = [("zone", "é"), ("__name__", "up")];
    let (points, written, tally) = both(vec![
        series(
            &labels,
            &[(TS, 5.0), (TS + 1_000, 3.0), (TS + 2_000, f64::NAN)],
        ),
        series(&other, &[(TS, -0.5)]),
        series(&[("__name__", "nothing")], &[]),
    ]);
    let name = "http_requests_total{code=200}";
    let expected = [
        point(name, TS, 5.0),
        point(name, TS + 1_000, 3.0),
        point(name, TS + 2_000, f64::NAN),
        point("up{zone=é}", TS, -0.5),
    ];
    assert_eq!(points, expected);
    assert_eq!((written.samples, written.histograms), (4, 0));
    assert_eq!((tally.written, tally.complaint()), (4, None));
}

#[test]
fn single_samples_are_refused_and_the_rest_is_kept() {
    let mut rows = 0;
    let mut check = |labels: &[(&str, &str)], sample: (i64, f64), rejected: &[&str], stale: u64| {
        let good = series(&[("__name__", "good")], &[(TS, 1.0)]);
        let (points, written, tally) = both(vec![series(labels, &[sample]), good]);
        assert_eq!(points, [point("good{}", TS, 1.0)], "{rejected:?}");
        let reasons: Vec<_> = tally.rejected.keys().map(|reason| reason.name()).collect();
        assert_eq!(
            (reasons.as_slice(), tally.ignored.len() as u64),
            (rejected, stale)
        );
        // A marker is dealt with, a refused sample is not.
        assert_eq!(written.samples, 1 + stale);
        rows += 1;
    };
    let name = ("__name__", "m");
    let long = "x".repeat(1_025);
    check(&[("a", "b")], (TS, 1.0), &["no-name"], 0);
    check(&[("__name__", "")], (TS, 1.0), &["no-name"], 0);
    check(
        &[name, ("a", "b"), ("a", "c")],
        (TS, 1.0),
        &["duplicate-tag"],
        0,
    );
    check(&[name, ("", "b")], (TS, 1.0), &["empty-key"], 0);
    check(&[name, ("a", &long)], (TS, 1.0), &["string-too-long"], 0);
    check(&[name], (-1, 1.0), &["timestamp"], 0);
    check(&[name], (TS + 60_001, 1.0), &["future"], 0);
    check(&[name], (TS, f64::from_bits(STALE)), &[], 1);
    let keys: Vec<String> = (0..9).map(|n| format!("k{n}")).collect();
    let mut many = vec![name];
    many.extend(keys.iter().map(|key| (key.as_str(), "v")));
    check(&many, (TS, 1.0), &["too-many-tags"], 0);
    assert_eq!(rows, 9);
}

/// The parts of a series may come in any order, and empty ones are short on the wire.
#[test]
fn labels_may_come_last_and_be_any_number() {
    let timeseries = series(&[("a", "b"), ("__name__", "m")], &[(TS, 1.0)]);
    let of_series = |parts: &[&[u8]]| {
        let bytes = parts.concat();
        let length = bytes.len();
        let mut varint = vec![0x0a];
        let mut rest = length;
        while rest >= 0x80 {
            varint.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        varint.push(rest as u8);
        [varint, bytes].concat()
    };
    let whole = timeseries.encode_to_vec();
    let only = |keep: fn(&mut v1::TimeSeries)| {
        let mut part = timeseries.clone();
        keep(&mut part);
        part.encode_to_vec()
    };
    let (labels, samples) = (only(|it| it.samples.clear()), only(|it| it.labels.clear()));
    let expected = decode(&of_series(&[&whole]), decode_v1).unwrap();
    assert_eq!(expected.0, [point("m{a=b}", TS, 1.0)]);
    let turned = decode(&of_series(&[&samples, &labels]), decode_v1).unwrap();
    assert_eq!(turned, expected);
    let empty = [0x0a, 0x00].repeat(100_000);
    let (points, written, tally) = decode(&of_series(&[&whole, &empty]), decode_v1).unwrap();
    assert_eq!((points.len(), written.samples), (0, 0));
    let reasons: Vec<_> = tally.rejected.keys().map(|it| it.name()).collect();
    assert_eq!(reasons, ["too-many-tags"]);
}

fn native(histogram: Histogram) -> v1::TimeSeries {
    v1::TimeSeries {
        histograms: vec![histogram],
        ..series(&[("__name__", "h")], &[])
    }
}

fn span(offset: i32, length: u32) -> Span {
    Span { offset, length }
}

/// One whose bounds are listed.
fn custom() -> Histogram {
    Histogram {
        count_int: 5,
        sum: 9.0,
        schema: -53,
        positive_spans: vec![span(0, 1), span(1, 1)],
        positive_deltas: vec![3, -1],
        custom_values: vec![1.0, 2.5],
        timestamp: TS,
        ..Histogram::default()
    }
}

#[test]
fn exponential_histograms_are_count_sum_and_buckets() {
    let exponential = Histogram {
        count_int: 12,
        sum: 18.5,
        schema: 1,
        zero_threshold: 1e-9,
        zero_count_int: 1,
        negative_spans: vec![span(0, 1)],
        negative_deltas: vec![2],
        // Buckets 0, 1 and 4 end at 1, 2^0.5 and 4.
        positive_spans: vec![span(0, 2), span(2, 1)],
        positive_deltas: vec![3, 1, -2],
        timestamp: TS,
        ..Histogram::default()
    };
    let (points, written, _) = both(vec![native(exponential)]);
    assert_eq!((written.samples, written.histograms), (0, 1));
    let value = |series: &str| {
        let row = points.iter().find(|(name, ..)| name == series);
        f64::from_bits(row.unwrap_or_else(|| panic!("{series} in {points:?}")).2)
    };
    for (bound, count) in [
        ("0.5", 3.0),
        ("1", 6.0),
        ("2", 10.0),
        ("4", 12.0),
        ("+Inf", 12.0),
    ] {
        assert_eq!(value(&format!("h_bucket{{le={bound}}}")), count, "{bound}");
    }
    assert_eq!((value("h_count{}"), value("h_sum{}")), (12.0, 18.5));
}

#[test]
fn histograms_with_listed_bounds_keep_them() {
    let expected = [
        point("h_bucket{le=1}", TS, 3.0),
        point("h_bucket{le=2.5}", TS, 3.0),
        point("h_bucket{le=+Inf}", TS, 5.0),
        point("h_count{}", TS, 5.0),
        point("h_sum{}", TS, 9.0),
    ];
    assert_eq!(both(vec![native(custom())]).0, expected);
    let stale = Histogram {
        sum: f64::from_bits(STALE),
        ..custom()
    };
    assert_eq!(both(vec![native(stale)]).0, []);
}

#[test]
fn histograms_that_do_not_add_up_are_refused() {
    let check = |change: &dyn Fn(&mut Histogram)| {
        let mut odd = custom();
        change(&mut odd);
        let (points, written, tally) = both(vec![native(odd)]);
        assert_eq!((points.len(), written.histograms), (0, 0));
        assert!(tally.complaint().unwrap().contains("bad-histogram: 1"));
    };
    check(&|h| h.schema = 9);
    check(&|h| h.positive_deltas = vec![1]);
    check(&|h| h.positive_spans = vec![span(0, u32::MAX)]);
    check(&|h| h.positive_spans = vec![span(2, 2)]);
    check(&|h| h.custom_values = vec![2.0, 1.0]);
}

#[test]
fn malformed_requests_are_refused_as_a_whole() {
    let good = request_v1(vec![series(&[("__name__", "m")], &[(TS, 1.0)])]);
    for end in 1..good.len() {
        assert!(decode(&good[..end], decode_v1).is_err(), "cut at {end}");
    }
    assert!(decode(&good, decode_v1).is_ok());
    let check = |labels_refs: Vec<u32>, expected: bool| {
        let request = v2::Request {
            symbols: vec![String::new(), "__name__".to_owned(), "m".to_owned()],
            timeseries: vec![v2::TimeSeries {
                labels_refs,
                ..v2::TimeSeries::default()
            }],
        };
        let decoded = decode(&request.encode_to_vec(), decode_v2);
        assert_eq!(decoded.is_ok(), expected);
    };
    check(vec![], true);
    check(vec![1, 2], true);
    check(vec![1], false);
    check(vec![1, 3], false);
    check(vec![u32::MAX, 0], false);
    // Version 1 read as version 2 has neither symbols nor series: its fields are reserved there.
    let (points, written, _) = decode(&good, decode_v2).unwrap();
    assert_eq!((points, written), (vec![], Written::default()));
}
