//! Metrics of every kind become points, as `docs/ingest.md` says.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets as Exponents;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, ExponentialHistogramDataPoint, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use twox_hash::{XxHash3_128, XxHash3_64};

use super::tags::{self, Tags};
use crate::batch::Batch;
use crate::buckets::{label, Buckets, Ladder};
use crate::series::{Key, Observed, SourceId, Staged, Step, Total};
use crate::tally::{Ignored, Reason};

const NANOS_PER_MILLI: u64 = 1_000_000;

/// Whether a request has cumulative points, which need what is remembered of their series.
pub fn needs_series(request: &ExportMetricsServiceRequest) -> bool {
    request.resource_metrics.iter().any(has_cumulative)
}

/// What the cumulative points of these come from.
pub fn sources(resources: &[ResourceMetrics]) -> impl Iterator<Item = SourceId> + '_ {
    let counting = resources.iter().filter(|resource| has_cumulative(resource));
    counting.map(|resource| source(resource.resource.as_ref()))
}

/// A resource by its attributes, in whichever order they come. If two have one name, their totals
/// are stored together; series are still told apart by all of their tags.
fn source(resource: Option<&Resource>) -> SourceId {
    let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
    let hashes = attributes
        .iter()
        .map(|it| XxHash3_64::oneshot(&it.encode_to_vec()));
    hashes.fold(0, u64::wrapping_add)
}

fn has_cumulative(resource: &ResourceMetrics) -> bool {
    let cumulative = |t: i32| t == AggregationTemporality::Cumulative as i32;
    let scopes = resource.scope_metrics.iter();
    scopes
        .flat_map(|s| &s.metrics)
        .any(|metric| match &metric.data {
            Some(Data::Sum(sum)) => sum.is_monotonic && cumulative(sum.aggregation_temporality),
            Some(Data::Histogram(h)) => cumulative(h.aggregation_temporality),
            Some(Data::ExponentialHistogram(h)) => cumulative(h.aggregation_temporality),
            Some(Data::Summary(_)) => true,
            _ => false,
        })
}

/// Puts the points of a request into a batch.
pub fn convert(resources: &[ResourceMetrics], batch: &mut Batch, staged: &mut Staged<'_>) {
    for resource in resources {
        let source = source(resource.resource.as_ref());
        let of_resource = tags::of_resource(resource.resource.as_ref(), &mut batch.tally);
        let scopes = resource.scope_metrics.iter();
        for scope in scopes.filter(|scope| !scope.metrics.is_empty()) {
            let inherited = tags::inherited(&of_resource, scope.scope.as_ref(), &mut batch.tally);
            for metric in &scope.metrics {
                Converter {
                    metric,
                    source,
                    inherited: &inherited,
                    batch,
                    staged,
                }
                .data();
            }
        }
    }
}

/// What is done with a total.
#[derive(Clone, Copy, PartialEq)]
enum Temporality {
    /// It is the rise since the point before, or a state of its own: it counts as it is.
    AsIs,
    Cumulative,
    Unknown,
}

impl Temporality {
    fn of(code: i32) -> Self {
        match AggregationTemporality::try_from(code) {
            Ok(AggregationTemporality::Delta) => Self::AsIs,
            Ok(AggregationTemporality::Cumulative) => Self::Cumulative,
            _ => Self::Unknown,
        }
    }
}

/// When a data point was measured, and since when, in nanoseconds since the epoch.
#[derive(Clone, Copy)]
struct Times {
    start: u64,
    time: u64,
}

impl Times {
    fn millis(self) -> i64 {
        // A quotient of a million fits.
        (self.time / NANOS_PER_MILLI) as i64
    }
}

struct Converter<'a, 'b, 's> {
    metric: &'a Metric,
    source: SourceId,
    inherited: &'a Tags<'a>,
    batch: &'b mut Batch,
    staged: &'b mut Staged<'s>,
}

impl Converter<'_, '_, '_> {
    fn data(&mut self) {
        let metric = self.metric;
        match &metric.data {
            Some(Data::Gauge(gauge)) => self.each(&gauge.data_points, |this, point| {
                this.number(point, Temporality::AsIs)
            }),
            Some(Data::Sum(sum)) => {
                let temporality = match Temporality::of(sum.aggregation_temporality) {
                    // It goes up and down: its newest value counts, as a gauge's does.
                    Temporality::Cumulative if !sum.is_monotonic => Temporality::AsIs,
                    other => other,
                };
                self.each(&sum.data_points, |this, point| {
                    this.number(point, temporality)
                });
            }
            Some(Data::Histogram(histogram)) => {
                let temporality = Temporality::of(histogram.aggregation_temporality);
                self.each(&histogram.data_points, |this, point| {
                    this.histogram(point, temporality)
                });
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                let temporality = Temporality::of(histogram.aggregation_temporality);
                self.each(&histogram.data_points, |this, point| {
                    this.exponential(point, temporality)
                });
            }
            Some(Data::Summary(summary)) => {
                self.each(&summary.data_points, |this, point| this.summary(point));
            }
            None => self.batch.tally.reject(Reason::NoValue, &metric.name),
        }
    }

    fn each<P>(&mut self, points: &[P], mut one: impl FnMut(&mut Self, &P) -> Result<(), Reason>) {
        for point in points {
            if let Err(reason) = one(self, point) {
                self.batch.tally.reject(reason, &self.metric.name);
            }
        }
    }

    /// Whether a point says that there is no value; counts what is left out with it.
    fn is_empty(&mut self, flags: u32, exemplars: usize) -> bool {
        self.batch.tally.ignore(Ignored::Exemplar, exemplars as u64);
        let empty = flags & DataPointFlags::NoRecordedValueMask as u32 != 0;
        self.batch.tally.ignore(Ignored::Stale, empty.into());
        empty
    }

    fn check(&self, tags: usize, times: Times) -> Result<(), Reason> {
        if self.metric.name.is_empty() {
            return Err(Reason::NoName);
        }
        if times.time == 0 {
            return Err(Reason::Timestamp);
        }
        self.batch.check(tags, times.millis())
    }

    fn number(&mut self, point: &NumberDataPoint, temporality: Temporality) -> Result<(), Reason> {
        if self.is_empty(point.flags, point.exemplars.len()) {
            return Ok(());
        }
        let times = Times {
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
        };
        let total = match point.value {
            Some(Value::AsDouble(value)) => Total::Float(value),
            Some(Value::AsInt(value)) => Total::Int(value),
            None => return Err(Reason::NoValue),
        };
        let tags = tags::of_point(
            &point.attributes,
            self.inherited,
            None,
            &mut self.batch.tally,
        );
        self.check(tags.len(), times)?;
        self.batch.room_for(1)?;
        let Some(total) = self.rise(&tags, times, total, temporality)? else {
            return Ok(());
        };
        let name = self.metric.name.as_bytes();
        write(self.batch, name, &tags, times, total.as_float())
    }

    fn histogram(&mut self, point: &HistogramDataPoint, how: Temporality) -> Result<(), Reason> {
        if self.is_empty(point.flags, point.exemplars.len()) {
            return Ok(());
        }
        let (bounds, counts) = (&point.explicit_bounds, &point.bucket_counts);
        let buckets = Buckets::explicit(bounds, counts, point.count).ok_or(Reason::BadHistogram)?;
        let times = Times {
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
        };
        let tags = tags::of_point(
            &point.attributes,
            self.inherited,
            Some("le"),
            &mut self.batch.tally,
        );
        self.buckets(tags, times, buckets, point.sum, how)
    }

    fn exponential(
        &mut self,
        point: &ExponentialHistogramDataPoint,
        how: Temporality,
    ) -> Result<(), Reason> {
        if self.is_empty(point.flags, point.exemplars.len()) {
            return Ok(());
        }
        let buckets = exponential(point).ok_or(Reason::BadHistogram)?;
        let times = Times {
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
        };
        let tags = tags::of_point(
            &point.attributes,
            self.inherited,
            Some("le"),
            &mut self.batch.tally,
        );
        self.buckets(tags, times, buckets, point.sum, how)
    }

    fn buckets(
        &mut self,
        mut tags: Tags<'_>,
        times: Times,
        buckets: Buckets<u64>,
        sum: Option<f64>,
        temporality: Temporality,
    ) -> Result<(), Reason> {
        self.check(tags.len(), times)?;
        self.batch.room_for(buckets.counts.len() + 2)?;
        let total = Total::Histogram {
            buckets: Box::new(buckets),
            sum,
        };
        let rise = self.rise(&tags, times, total, temporality)?;
        let Some(Total::Histogram { buckets, sum }) = rise else {
            return Ok(());
        };
        let name = |suffix| format!("{}{suffix}", self.metric.name).into_bytes();
        let (count_name, sum_name, bucket_name) = (name("_count"), name("_sum"), name("_bucket"));
        let last = tags.len();
        tags.push(("le".into(), "".into()));
        let bounds = buckets.bounds.iter().copied().chain([f64::INFINITY]);
        for (bound, count) in bounds.zip(&buckets.counts) {
            tags[last].1 = label(bound).into();
            write(self.batch, &bucket_name, &tags, times, *count as f64)?;
        }
        tags.pop();
        let count = buckets.counts.last().copied().unwrap_or_default();
        write(self.batch, &count_name, &tags, times, count as f64)?;
        match sum {
            Some(sum) => write(self.batch, &sum_name, &tags, times, sum),
            None => Ok(()),
        }
    }

    /// Quantiles as they are; count and sum rise as those of a histogram do.
    fn summary(&mut self, point: &SummaryDataPoint) -> Result<(), Reason> {
        if self.is_empty(point.flags, 0) {
            return Ok(());
        }
        let times = Times {
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
        };
        let tally = &mut self.batch.tally;
        let mut tags = tags::of_point(&point.attributes, self.inherited, Some("quantile"), tally);
        self.check(tags.len(), times)?;
        self.batch.room_for(point.quantile_values.len() + 2)?;
        let total = Total::Histogram {
            buckets: Box::new(Buckets {
                bounds: Vec::new(),
                counts: vec![point.count],
            }),
            sum: Some(point.sum),
        };
        let rise = self.rise(&tags, times, total, Temporality::Cumulative)?;
        let name = self.metric.name.as_str();
        if let Some(Total::Histogram { buckets, sum }) = rise {
            let count = buckets.counts.last().copied().unwrap_or_default() as f64;
            write(
                self.batch,
                format!("{name}_count").as_bytes(),
                &tags,
                times,
                count,
            )?;
            let sum = sum.unwrap_or_default();
            write(
                self.batch,
                format!("{name}_sum").as_bytes(),
                &tags,
                times,
                sum,
            )?;
        }
        let last = tags.len();
        tags.push(("quantile".into(), "".into()));
        for quantile in &point.quantile_values {
            tags[last].1 = label(quantile.quantile).into();
            write(self.batch, name.as_bytes(), &tags, times, quantile.value)?;
        }
        Ok(())
    }

    /// What to pass on of a total, if anything.
    fn rise(
        &mut self,
        tags: &Tags<'_>,
        times: Times,
        total: Total,
        temporality: Temporality,
    ) -> Result<Option<Total>, Reason> {
        match temporality {
            Temporality::AsIs => return Ok(Some(total)),
            Temporality::Unknown => return Err(Reason::NoTemporality),
            Temporality::Cumulative => {}
        }
        if total.as_float().is_nan() {
            self.batch.tally.ignore(Ignored::Stale, 1);
            return Ok(None);
        }
        let observed = Observed {
            start: times.start,
            time: times.time,
            total,
        };
        let key = key(&self.metric.name, tags);
        match self.staged.step(self.source, key, observed)? {
            Step::Rise(total) => return Ok(Some(total)),
            Step::First => self.batch.tally.ignore(Ignored::First, 1),
            Step::Repeated => self.batch.tally.ignore(Ignored::Repeated, 1),
        }
        Ok(None)
    }
}

fn write(
    batch: &mut Batch,
    name: &[u8],
    tags: &Tags<'_>,
    times: Times,
    value: f64,
) -> Result<(), Reason> {
    let plain: Vec<(&str, &str)> = tags.iter().map(|(k, v)| (&**k, &**v)).collect();
    batch.point(name, &plain, times.millis(), value)
}

/// Names a series, whatever the order of its tags.
fn key(metric: &str, tags: &Tags<'_>) -> Key {
    let mut sorted: Vec<_> = tags.iter().filter(|(_, value)| !value.is_empty()).collect();
    sorted.sort_unstable();
    let mut bytes = Vec::with_capacity(256);
    let texts = sorted.iter().flat_map(|(key, value)| [&**key, &**value]);
    for text in [metric].into_iter().chain(texts) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    XxHash3_128::oneshot(&bytes)
}

/// The ladder of an exponential histogram; `None` where its counts do not add up.
fn exponential(point: &ExponentialHistogramDataPoint) -> Option<Buckets<u64>> {
    let mut ladder = Ladder::<u64>::default();
    ladder.add_up_to(point.zero_threshold, point.zero_count);
    let mut total = point.zero_count;
    let none = Exponents::default();
    for count in &point.negative.as_ref().unwrap_or(&none).bucket_counts {
        total = total.checked_add(*count)?;
        ladder.add_up_to(0.0, *count);
    }
    let positive = point.positive.as_ref().unwrap_or(&none);
    for (index, count) in positive.bucket_counts.iter().enumerate() {
        total = total.checked_add(*count)?;
        // Bucket i ends at base^(i + 1).
        let end = i64::from(positive.offset) + index as i64 + 1;
        ladder.add_exponential(end, point.scale, *count);
    }
    (total == point.count).then(|| ladder.buckets(point.count))
}
