//! Histograms as Prometheus writes them: a count of all values up to each bound `le`.
//!
//! Exponential histograms choose their bounds by themselves, and two of one metric choose
//! differently; their buckets could not be added up. So they are counted on one fixed ladder, the
//! powers of two from 2^-10 to 2^30: every bound of the ladder is a bound of every histogram whose
//! scale is at least 0, so nothing is estimated. A wider bucket counts at its upper bound.

/// The exponents of the ladder.
const LOWEST: i32 = -10;
const HIGHEST: i32 = 30;
const RUNGS: usize = (HIGHEST - LOWEST + 1) as usize;

/// A histogram at one moment: how many values there were up to each bound. The bound after the
/// last is infinite, and its count that of all values.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets<T> {
    pub bounds: Vec<f64>,
    pub counts: Vec<T>,
}

impl Buckets<u64> {
    /// Of counts between bounds; `None` where the numbers do not fit together.
    pub fn explicit(bounds: &[f64], counts: &[u64], total: u64) -> Option<Self> {
        if bounds.is_empty() && counts.is_empty() {
            return Some(Self {
                bounds: Vec::new(),
                counts: vec![total],
            });
        }
        let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if counts.len() != bounds.len() + 1 || !ascending || bounds.iter().any(|b| b.is_nan()) {
            return None;
        }
        let mut sum: u64 = 0;
        let mut running = Vec::with_capacity(counts.len());
        for count in counts {
            sum = sum.checked_add(*count)?;
            running.push(sum);
        }
        (sum == total).then(|| Self {
            bounds: bounds.to_vec(),
            counts: running,
        })
    }
}

/// Counts of an exponential histogram on the ladder.
pub struct Ladder<T> {
    /// Values above the rung before and not above this one.
    rungs: [T; RUNGS],
}

/// A number of values: whole for integer histograms, not for float ones.
pub trait Count: Copy + Default + std::ops::AddAssign {}
impl Count for u64 {}
impl Count for f64 {}

impl<T: Count> Default for Ladder<T> {
    fn default() -> Self {
        Self {
            rungs: [T::default(); RUNGS],
        }
    }
}

impl<T: Count> Ladder<T> {
    /// Values in the bucket that ends at 2^(`end` / 2^`scale`); negative values and zeros end below
    /// any rung.
    pub fn add_exponential(&mut self, end: i64, scale: i32, count: T) {
        self.add_at(rung(end, scale), count);
    }

    /// Values that are at most `bound`.
    pub fn add_up_to(&mut self, bound: f64, count: T) {
        let ends = (LOWEST..=HIGHEST).find(|exponent| bound <= f64::from(*exponent).exp2());
        self.add_at(ends.map_or(i64::MAX, i64::from), count);
    }

    /// The buckets; `total` also counts what lies above the ladder.
    pub fn buckets(&self, total: T) -> Buckets<T> {
        let mut sum = T::default();
        let mut counts = Vec::with_capacity(RUNGS + 1);
        for rung in self.rungs {
            sum += rung;
            counts.push(sum);
        }
        counts.push(total);
        let bounds = (LOWEST..=HIGHEST).map(|exponent| f64::from(exponent).exp2());
        Buckets {
            bounds: bounds.collect(),
            counts,
        }
    }

    fn add_at(&mut self, exponent: i64, count: T) {
        if exponent <= i64::from(HIGHEST) {
            let index = (exponent - i64::from(LOWEST)).max(0);
            self.rungs[usize::try_from(index).unwrap_or(0)] += count;
        }
    }
}

/// The exponent of the lowest power of two at or above 2^(`end` / 2^`scale`).
fn rung(end: i64, scale: i32) -> i64 {
    if scale >= 0 {
        // Rounded up; beyond 63 bits only the sign is left.
        let shift = scale.min(62) as u32;
        let floor = end >> shift;
        floor + i64::from(floor << shift != end)
    } else {
        end.saturating_mul(1_i64 << scale.unsigned_abs().min(62))
    }
}

/// A bound as the label `le` has it.
pub fn label(bound: f64) -> String {
    if bound == f64::INFINITY {
        "+Inf".to_owned()
    } else if bound == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        bound.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explicit_buckets_add_up() {
        let check = |bounds: &[f64], counts: &[u64], total, expected: Option<&[u64]>| {
            let found = Buckets::explicit(bounds, counts, total).map(|b| b.counts);
            assert_eq!(found.as_deref(), expected, "{bounds:?} {counts:?}");
        };
        check(&[1.0, 5.0], &[2, 0, 3], 5, Some(&[2, 2, 5]));
        check(&[], &[], 7, Some(&[7]));
        check(&[], &[7], 7, Some(&[7]));
        check(&[1.0], &[2], 2, None);
        check(&[1.0, 1.0], &[0, 0, 1], 1, None);
        check(&[2.0, 1.0], &[0, 0, 1], 1, None);
        check(&[f64::NAN], &[0, 1], 1, None);
        check(&[1.0], &[1, 1], 3, None);
        check(&[1.0], &[u64::MAX, 1], 0, None);
    }

    #[test]
    fn rungs_of_exponential_buckets() {
        let check = |end, scale, expected| assert_eq!(rung(end, scale), expected, "{end} {scale}");
        check(0, i32::MIN, 0);
        check(1, i32::MIN, 1 << 62);
        check(0, 0, 0);
        check(3, 0, 3);
        check(1, 1, 1);
        check(2, 1, 1);
        check(3, 1, 2);
        check(-1, 1, 0);
        check(-2, 1, -1);
        check(-3, 1, -1);
        check(1, 20, 1);
        check(1, -1, 2);
        check(-1, -1, -2);
        check(1 << 31, -30, 1 << 61);
        check(1 << 31, -40, i64::MAX);
        check(-5, 200, 0);
    }

    #[test]
    fn a_ladder_counts_every_value_once() {
        let mut ladder = Ladder::<u64>::default();
        ladder.add_exponential(0, 0, 4); // (0.5, 1]
        ladder.add_exponential(5, 2, 3); // up to 2^1.25, so up to 4
        ladder.add_exponential(-500, 0, 2);
        ladder.add_exponential(31, 0, 9);
        ladder.add_up_to(0.0, 1);
        let buckets = ladder.buckets(19);
        let at = |bound: f64| {
            let index = buckets.bounds.iter().position(|b| *b == bound).unwrap();
            buckets.counts[index]
        };
        assert_eq!(at(f64::from(-10).exp2()), 3);
        assert_eq!((at(0.5), at(1.0), at(2.0), at(4.0)), (3, 7, 7, 10));
        assert_eq!(buckets.counts.last(), Some(&19));
        assert_eq!((buckets.bounds.len(), buckets.counts.len()), (41, 42));
    }

    #[test]
    fn labels_are_those_of_prometheus() {
        for (bound, text) in [
            (0.005, "0.005"),
            (1.0, "1"),
            (2.5, "2.5"),
            (f64::INFINITY, "+Inf"),
            (1073741824.0, "1073741824"),
            (0.0009765625, "0.0009765625"),
        ] {
            assert_eq!(label(bound), text);
        }
    }
}
