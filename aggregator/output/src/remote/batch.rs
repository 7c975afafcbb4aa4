//! Aggregated points as requests of remote write.

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message as _;

use super::proto::{Label, Sample, TimeSeries, WriteRequest};
use super::settings::{RemoteWriteSettings, Stamp};
use crate::emission::{Emission, Point};
use crate::names::{Labels, Naming};

/// One body, and how many samples are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub body: Bytes,
    pub samples: usize,
}

pub struct Encoder {
    naming: Naming,
    stamp: Stamp,
    counts: bool,
    samples_max: usize,
}

impl Encoder {
    pub fn new(settings: &RemoteWriteSettings) -> Self {
        Self {
            naming: settings.naming(),
            stamp: settings.stamp,
            counts: settings.counts,
            samples_max: settings.samples as usize,
        }
    }

    /// How many samples so many points become.
    pub fn samples(&self, points: usize) -> usize {
        if self.counts {
            2 * points
        } else {
            points
        }
    }

    /// Encodes messages of one organization, in their order.
    pub fn requests(&self, emissions: &[Emission]) -> Vec<Request> {
        let mut requests = Vec::new();
        let mut filling = Filling::default();
        for emission in emissions {
            for point in &emission.points {
                self.point(emission, point, &mut filling);
                if filling.samples >= self.samples_max {
                    requests.push(std::mem::take(&mut filling).finish());
                }
            }
            filling.next_message();
        }
        if filling.samples > 0 {
            requests.push(filling.finish());
        }
        requests
    }

    fn point(&self, emission: &Emission, point: &Point, into: &mut Filling) {
        let timestamp = self.stamp.of(point.start_ms, emission.window_ms);
        let series = |suffix| self.series(emission, point.group, suffix);
        let value = point.value;
        into.add(
            (point.group, false),
            || series(""),
            Sample { value, timestamp },
        );
        if self.counts {
            let value = f64::from(point.count);
            into.add(
                (point.group, true),
                || series("_count"),
                Sample { value, timestamp },
            );
        }
    }

    fn series(&self, emission: &Emission, group: u32, suffix: &str) -> Labels {
        let group = &emission.groups[group as usize];
        self.naming.labels(&emission.org, group, suffix)
    }
}

/// The request being filled. A series that comes again within a message gets one more sample.
#[derive(Default)]
struct Filling {
    request: WriteRequest,
    /// Where a group of the message at hand (its value or its count) is in the request.
    places: HashMap<(u32, bool), usize>,
    samples: usize,
}

impl Filling {
    fn add(&mut self, key: (u32, bool), labels: impl FnOnce() -> Labels, sample: Sample) {
        let series = &mut self.request.timeseries;
        let place = *self.places.entry(key).or_insert_with(|| {
            let label = |(name, value): (&str, &str)| Label {
                name: name.to_owned(),
                value: value.to_owned(),
            };
            series.push(TimeSeries {
                labels: labels().iter().map(label).collect(),
                samples: Vec::new(),
            });
            series.len() - 1
        });
        series[place].samples.push(sample);
        self.samples += 1;
    }

    fn next_message(&mut self) {
        self.places.clear();
    }

    fn finish(self) -> Request {
        let plain = self.request.encode_to_vec();
        // Fails only beyond 4 GiB, which so many samples never reach.
        let body = snap::raw::Encoder::new()
            .compress_vec(&plain)
            .unwrap_or_default();
        Request {
            body: body.into(),
            samples: self.samples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emission::tests::emission;
    use crate::remote::settings::tests::settings;

    fn decode(request: &Request) -> Vec<String> {
        let plain = snap::raw::Decoder::new()
            .decompress_vec(&request.body)
            .unwrap();
        let decoded = WriteRequest::decode(&plain[..]).unwrap();
        let told = decoded.timeseries.iter().map(|series| {
            let label = |label: &Label| format!("{}={}", label.name, label.value);
            let labels = series
                .labels
                .iter()
                .map(label)
                .collect::<Vec<_>>()
                .join(" ");
            let sample = |sample: &Sample| format!("{}@{}", sample.value, sample.timestamp);
            let samples = series.samples.iter().map(sample).collect::<Vec<_>>();
            format!("{labels}: {}", samples.join(" "))
        });
        told.collect()
    }

    #[test]
    fn points_become_requests() {
        let one = emission(
            "acme",
            30_000,
            &[
                ("cpu", &[("host", "a")], 60_000, 0.5, 3),
                ("cpu", &[("host", "b")], 60_000, f64::NAN, 1),
            ],
        );
        let two = emission("acme", 30_000, &[("cpu", &[("host", "a")], 90_000, 7.0, 4)]);
        let check = |args: &[&str], expected: &[&[&str]]| {
            let encoder = Encoder::new(&settings(args));
            let requests = encoder.requests(&[one.clone(), two.clone()]);
            let told: Vec<Vec<String>> = requests.iter().map(decode).collect();
            assert_eq!(told, expected, "{args:?}");
            let samples: usize = requests.iter().map(|request| request.samples).sum();
            assert_eq!(samples, encoder.samples(3));
        };
        let a = "__name__=cpu host=a org=acme: 0.5@90000";
        let b = "__name__=cpu host=b org=acme: NaN@90000";
        let later = "__name__=cpu host=a org=acme: 7@120000";
        check(&[], &[&[a, b, later]]);
        check(&["--remote-write-samples", "2"], &[&[a, b], &[later]]);
        check(&["--remote-write-samples", "1"], &[&[a], &[b], &[later]]);
        let bare = [
            "--remote-write-org-label",
            "",
            "--remote-write-stamp",
            "start",
        ];
        check(
            &bare,
            &[&[
                "__name__=cpu host=a: 0.5@60000",
                "__name__=cpu host=b: NaN@60000",
                "__name__=cpu host=a: 7@90000",
            ]],
        );
        check(
            &["--remote-write-counts", "--remote-write-samples", "4"],
            &[
                &[
                    a,
                    "__name__=cpu_count host=a org=acme: 3@90000",
                    b,
                    "__name__=cpu_count host=b org=acme: 1@90000",
                ],
                &[later, "__name__=cpu_count host=a org=acme: 4@120000"],
            ],
        );
        assert_eq!(Encoder::new(&settings(&[])).requests(&[]), []);
    }
}
