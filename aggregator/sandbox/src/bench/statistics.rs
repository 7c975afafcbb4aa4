//! Medians, and how sure they are.

use crate::random::Random;

/// Resamples behind a confidence interval.
const RESAMPLES: usize = 2_000;
/// The same times give the same interval.
const SEED: u64 = 1;

/// The middle value; NaN when there is none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => (low + high) / 2.0,
        _ => f64::NAN,
    }
}

/// The 95 % confidence interval of the median, by bootstrap.
pub fn median_ci95(values: &[f64]) -> [f64; 2] {
    if values.is_empty() {
        return [f64::NAN; 2];
    }
    let mut random = Random::new(SEED);
    let mut draw = vec![0.0; values.len()];
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            draw.iter_mut()
                .for_each(|slot| *slot = values[random.below(values.len())]);
            median(&draw)
        })
        .collect();
    medians.sort_unstable_by(f64::total_cmp);
    let tail = RESAMPLES / 40;
    [medians[tail], medians[RESAMPLES - 1 - tail]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let cases: [(&[f64], f64); 5] = [
            (&[3.0], 3.0),
            (&[1.0, 2.0], 1.5),
            (&[9.0, 1.0, 2.0], 2.0),
            (&[4.0, 1.0, 3.0, 2.0], 2.5),
            (&[1.0, 1.0, 1.0, 1e9], 1.0),
        ];
        for (values, expected) in cases {
            assert_eq!(median(values), expected, "{values:?}");
        }
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn interval_holds_the_median_and_repeats() {
        let values: Vec<f64> = (0..41).map(|at| 2.0 + f64::from(at % 7) * 0.01).collect();
        let [low, high] = median_ci95(&values);
        assert!(low <= median(&values) && median(&values) <= high);
        assert!(2.0 <= low && high <= 2.06);
        assert_eq!(median_ci95(&values), [low, high]);
        assert_eq!(median_ci95(&[2.5]), [2.5, 2.5]);
        assert!(median_ci95(&[])[0].is_nan());
    }
}
