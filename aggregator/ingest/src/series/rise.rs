//! From one total of a series to the next: by how much it rose.

use crate::buckets::Buckets;

/// A total since a series began, or by how much it rose.
#[derive(Clone, Debug, PartialEq)]
pub enum Total {
    Int(i64),
    Float(f64),
    Histogram {
        buckets: Box<Buckets<u64>>,
        sum: Option<f64>,
    },
}

/// A cumulative point; times in nanoseconds since the epoch, a start of 0 being unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    pub start: u64,
    pub time: u64,
    pub total: Total,
}

/// What a cumulative point comes to.
#[derive(Debug, PartialEq)]
pub enum Step {
    Rise(Total),
    First,
    Repeated,
}

/// From one point to a later one. A series that began anew, as its start or a lower total tells,
/// rose by all of its total.
pub fn rise(before: &Observed, now: &Observed) -> Step {
    if now.time <= before.time {
        return Step::Repeated;
    }
    if now.start != before.start && now.start >= before.time {
        return Step::Rise(now.total.clone());
    }
    match (&before.total, &now.total) {
        (Total::Int(a), Total::Int(b)) if a <= b => match b.checked_sub(*a) {
            Some(more) => Step::Rise(Total::Int(more)),
            None => Step::Rise(Total::Float(*b as f64 - *a as f64)),
        },
        (Total::Histogram { buckets: a, sum: s }, Total::Histogram { buckets: b, sum: t }) => {
            histogram(a, b, *s, *t)
        }
        (Total::Histogram { .. }, _) | (_, Total::Histogram { .. }) => Step::First,
        (a, b) => {
            let (from, to) = (a.as_float(), b.as_float());
            Step::Rise(if to < from {
                now.total.clone()
            } else {
                Total::Float(to - from)
            })
        }
    }
}

fn histogram(a: &Buckets<u64>, b: &Buckets<u64>, s: Option<f64>, t: Option<f64>) -> Step {
    // Other bounds without a new start: what was counted before cannot be told apart.
    if a.bounds != b.bounds {
        return Step::First;
    }
    let pairs = a.counts.iter().zip(&b.counts);
    let counts: Option<Vec<u64>> = pairs.map(|(a, b)| b.checked_sub(*a)).collect();
    Step::Rise(match counts {
        Some(counts) => Total::Histogram {
            buckets: Box::new(Buckets {
                bounds: b.bounds.clone(),
                counts,
            }),
            sum: s.zip(t).map(|(s, t)| t - s),
        },
        None => Total::Histogram {
            buckets: Box::new(b.clone()),
            sum: t,
        },
    })
}

impl Total {
    /// The number; a histogram's is that of its values.
    pub fn as_float(&self) -> f64 {
        match self {
            Self::Int(value) => *value as f64,
            Self::Float(value) => *value,
            Self::Histogram { buckets, .. } => {
                buckets.counts.last().copied().unwrap_or_default() as f64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: u64, time: u64, total: Total) -> Observed {
        Observed { start, time, total }
    }

    #[test]
    fn rises_resets_and_repetitions() {
        use Total::{Float, Int};
        let check = |before: (u64, u64, Total), now: (u64, u64, Total), expected: Step| {
            let (before, now) = (at(before.0, before.1, before.2), at(now.0, now.1, now.2));
            assert_eq!(rise(&before, &now), expected, "{before:?} {now:?}");
        };
        check((1, 10, Int(5)), (1, 20, Int(7)), Step::Rise(Int(2)));
        check((1, 10, Int(5)), (1, 20, Int(5)), Step::Rise(Int(0)));
        check((1, 10, Int(5)), (1, 10, Int(9)), Step::Repeated);
        check((1, 10, Int(5)), (1, 9, Int(9)), Step::Repeated);
        check(
            (1, 10, Int(5)),
            (1, 20, Int(3)),
            Step::Rise(Float(3.0)).whole(),
        );
        check((1, 10, Int(5)), (15, 20, Int(9)), Step::Rise(Int(9)));
        check((1, 10, Int(5)), (2, 20, Int(9)), Step::Rise(Int(4)));
        check(
            (0, 10, Float(0.5)),
            (0, 20, Float(2.0)),
            Step::Rise(Float(1.5)),
        );
        check(
            (0, 10, Float(2.0)),
            (0, 20, Float(0.5)),
            Step::Rise(Float(0.5)),
        );
        check((0, 10, Int(2)), (0, 20, Float(2.5)), Step::Rise(Float(0.5)));
        let (low, high) = (i64::MIN, i64::MAX);
        let all = high as f64 - low as f64;
        check((0, 1, Int(low)), (0, 2, Int(high)), Step::Rise(Float(all)));
    }

    impl Step {
        /// A number that was passed on as it came.
        fn whole(self) -> Self {
            match self {
                Self::Rise(total) => Self::Rise(Total::Int(total.as_float() as i64)),
                other => other,
            }
        }
    }

    #[test]
    fn histograms_rise_bucket_by_bucket() {
        let total = |bounds: &[f64], counts: &[u64], sum| Total::Histogram {
            buckets: Box::new(Buckets {
                bounds: bounds.to_vec(),
                counts: counts.to_vec(),
            }),
            sum,
        };
        let check = |before: Total, now: Total, expected: Step| {
            assert_eq!(rise(&at(1, 1, before), &at(1, 2, now)), expected);
        };
        let before = || total(&[1.0], &[2, 3], Some(4.0));
        let now = total(&[1.0], &[2, 5], Some(9.0));
        check(before(), now, Step::Rise(total(&[1.0], &[0, 2], Some(5.0))));
        let fewer = || total(&[1.0], &[1, 4], Some(2.0));
        check(before(), fewer(), Step::Rise(fewer()));
        check(before(), total(&[2.0], &[2, 5], None), Step::First);
        let without = total(&[1.0], &[2, 5], None);
        check(before(), without, Step::Rise(total(&[1.0], &[0, 2], None)));
        check(before(), Total::Int(9), Step::First);
    }
}
