//! How the totals of a source are stored beside its points: one record a part, in protobuf.

use prost::{Message, Oneof};

use super::rise::{Observed, Total};
use super::Key;
use crate::buckets::Buckets;

/// The totals of one part of a source.
#[derive(Clone, PartialEq, Message)]
pub struct Record {
    /// How often each part was written; told by the first part, which is written with every other.
    #[prost(uint64, repeated, tag = "1")]
    pub versions: Vec<u64>,
    /// How often this part was written.
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(message, repeated, tag = "3")]
    series: Vec<SeriesRecord>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a record of totals")]
pub struct NotARecord;

/// Times in nanoseconds since the epoch.
#[derive(Clone, PartialEq, Message)]
struct SeriesRecord {
    #[prost(fixed64, tag = "1")]
    key_low: u64,
    #[prost(fixed64, tag = "2")]
    key_high: u64,
    #[prost(fixed64, tag = "3")]
    start: u64,
    #[prost(fixed64, tag = "4")]
    time: u64,
    #[prost(oneof = "TotalRecord", tags = "5, 6, 7")]
    total: Option<TotalRecord>,
}

#[derive(Clone, PartialEq, Oneof)]
enum TotalRecord {
    #[prost(sint64, tag = "5")]
    Int(i64),
    #[prost(double, tag = "6")]
    Float(f64),
    #[prost(message, tag = "7")]
    Histogram(HistogramRecord),
}

#[derive(Clone, PartialEq, Message)]
struct HistogramRecord {
    #[prost(double, repeated, tag = "1")]
    bounds: Vec<f64>,
    #[prost(uint64, repeated, tag = "2")]
    counts: Vec<u64>,
    #[prost(double, optional, tag = "3")]
    sum: Option<f64>,
}

impl Record {
    pub fn new<'a>(version: u64, points: impl Iterator<Item = (Key, &'a Observed)>) -> Self {
        Self {
            versions: Vec::new(),
            version,
            series: points.map(|(key, point)| series(key, point)).collect(),
        }
    }

    /// Reads what [`Message::encode_to_vec`] wrote.
    pub fn read(bytes: &[u8]) -> Result<Self, NotARecord> {
        Self::decode(bytes).map_err(|_| NotARecord)
    }

    pub fn into_points(self) -> Result<Vec<(Key, Observed)>, NotARecord> {
        self.series.into_iter().map(point).collect()
    }
}

/// Bytes that a point takes in a record, at most.
pub fn bytes_of(point: &Observed) -> usize {
    const PLAIN: usize = 72;
    const BOUND: usize = 8;
    const COUNT: usize = 10;
    PLAIN
        + match &point.total {
            Total::Int(_) | Total::Float(_) => 0,
            Total::Histogram { buckets, .. } => {
                BOUND * buckets.bounds.len() + COUNT * buckets.counts.len()
            }
        }
}

fn series(key: Key, point: &Observed) -> SeriesRecord {
    SeriesRecord {
        // The two halves of it.
        key_low: key as u64,
        key_high: (key >> 64) as u64,
        start: point.start,
        time: point.time,
        total: Some(match &point.total {
            Total::Int(value) => TotalRecord::Int(*value),
            Total::Float(value) => TotalRecord::Float(*value),
            Total::Histogram { buckets, sum } => TotalRecord::Histogram(HistogramRecord {
                bounds: buckets.bounds.clone(),
                counts: buckets.counts.clone(),
                sum: *sum,
            }),
        }),
    }
}

fn point(record: SeriesRecord) -> Result<(Key, Observed), NotARecord> {
    let total = match record.total.ok_or(NotARecord)? {
        TotalRecord::Int(value) => Total::Int(value),
        TotalRecord::Float(value) => Total::Float(value),
        TotalRecord::Histogram(HistogramRecord {
            bounds,
            counts,
            sum,
        }) => {
            if counts.len() != bounds.len() + 1 {
                return Err(NotARecord);
            }
            let buckets = Box::new(Buckets { bounds, counts });
            Total::Histogram { buckets, sum }
        }
    };
    let key = Key::from(record.key_high) << 64 | Key::from(record.key_low);
    let (start, time) = (record.start, record.time);
    Ok((key, Observed { start, time, total }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let histogram = Total::Histogram {
            buckets: Box::new(Buckets {
                bounds: vec![0.5, 2.0],
                counts: vec![1, 1, u64::MAX],
            }),
            sum: None,
        };
        let totals = [Total::Int(i64::MIN), Total::Float(-0.5), histogram];
        let point = |total| Observed {
            start: 3,
            time: u64::MAX,
            total,
        };
        let points: Vec<_> = totals
            .into_iter()
            .enumerate()
            .map(|(n, total)| (Key::MAX - n as Key, point(total)))
            .collect();
        let mut record = Record::new(7, points.iter().map(|(key, point)| (*key, point)));
        record.versions = vec![7, 2];
        let bytes = record.encode_to_vec();
        let most: usize = points.iter().map(|(_, point)| bytes_of(point)).sum();
        assert!(bytes.len() <= most, "{} of {most}", bytes.len());
        let read = Record::read(&bytes).unwrap();
        assert_eq!((read.version, &read.versions[..]), (7, &[7, 2][..]));
        assert_eq!(read.into_points(), Ok(points));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(Record::read(&[0xff]), Err(NotARecord));
        let check = |total| {
            let series = vec![SeriesRecord {
                total,
                ..SeriesRecord::default()
            }];
            let record = Record {
                series,
                ..Record::default()
            };
            assert_eq!(record.into_points(), Err(NotARecord));
        };
        check(None);
        check(Some(TotalRecord::Histogram(HistogramRecord::default())));
    }
}
