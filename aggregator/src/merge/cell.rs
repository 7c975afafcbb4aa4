//! One accumulator and how partials fold into it.

use ratchet_rules::Aggregate;

/// The bits of every NaN that leaves the aggregator.
const CANONICAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0000);

/// The value of one (rule, group, window) so far. `count == 0` means: nothing yet. Four of them
/// fill a cache line.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub value: f64,
    pub count: u32,
    /// The pass that touched this cell last: a second touch in one pass is a duplicate record.
    pub stamp: u32,
}

impl Cell {
    pub const EMPTY: Self = Self {
        value: 0.0,
        count: 0,
        stamp: 0,
    };

    /// Folds one partial in; partials arrive in stream order, which is what makes a sum exact.
    #[inline]
    pub fn fold(&mut self, aggregate: Aggregate, value: f64, count: u32) {
        match aggregate {
            Aggregate::Sum | Aggregate::Avg | Aggregate::Count => self.fold_by(add, value, count),
            Aggregate::Max => self.fold_by(greater, value, count),
            Aggregate::Min => self.fold_by(lesser, value, count),
        }
    }

    /// The same where it is known how two values become one.
    #[inline(always)]
    pub fn fold_by(&mut self, join: impl Fn(f64, f64) -> f64, value: f64, count: u32) {
        self.value = if self.count == 0 {
            value
        } else {
            join(self.value, value)
        };
        self.count = self.count.saturating_add(count);
    }

    /// What is emitted when the window closes.
    pub fn finish(&self, aggregate: Aggregate) -> f64 {
        let value = match aggregate {
            Aggregate::Avg => self.value / f64::from(self.count),
            // A count's values are counts: their sum is exact far beyond what `count` can hold.
            Aggregate::Sum | Aggregate::Max | Aggregate::Min | Aggregate::Count => self.value,
        };
        if value.is_nan() {
            CANONICAL_NAN
        } else {
            value
        }
    }
}

#[inline(always)]
pub fn add(a: f64, b: f64) -> f64 {
    a + b
}

/// The maximum that ignores NaN unless all are NaN, with −0.0 < +0.0.
#[inline(always)]
pub fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || (!b.is_nan() && b.total_cmp(&a).is_gt()) {
        b
    } else {
        a
    }
}

/// The minimum that ignores NaN unless all are NaN, with −0.0 < +0.0.
#[inline(always)]
pub fn lesser(a: f64, b: f64) -> f64 {
    if a.is_nan() || (!b.is_nan() && b.total_cmp(&a).is_lt()) {
        b
    } else {
        a
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(aggregate: Aggregate, partials: &[(f64, u32)], expected: f64) {
        let mut cell = Cell::EMPTY;
        for (value, count) in partials {
            cell.fold(aggregate, *value, *count);
        }
        let actual = cell.finish(aggregate).to_bits();
        assert_eq!(actual, expected.to_bits(), "{aggregate:?} of {partials:?}");
    }

    #[test]
    fn folds() {
        let nan = f64::from_bits(0xfff8_0000_0000_1234);
        check(Aggregate::Sum, &[(-0.0, 1)], -0.0);
        check(
            Aggregate::Sum,
            &[(0.1, 1), (0.2, 1), (0.3, 1)],
            0.1 + 0.2 + 0.3,
        );
        check(Aggregate::Sum, &[(1.0, 1), (nan, 1)], CANONICAL_NAN);
        check(Aggregate::Avg, &[(3.0, 2), (4.0, 2)], 1.75);
        check(Aggregate::Count, &[(3.0, 3), (4.0, 4)], 7.0);
        check(Aggregate::Max, &[(nan, 1), (-1.0, 1), (nan, 1)], -1.0);
        check(Aggregate::Max, &[(-0.0, 1), (0.0, 1)], 0.0);
        check(Aggregate::Max, &[(0.0, 1), (-0.0, 1)], 0.0);
        check(Aggregate::Min, &[(0.0, 1), (-0.0, 1)], -0.0);
        check(Aggregate::Min, &[(nan, 1), (nan, 1)], CANONICAL_NAN);
        check(
            Aggregate::Min,
            &[(2.0, 1), (f64::NEG_INFINITY, 1)],
            f64::NEG_INFINITY,
        );
    }
}
