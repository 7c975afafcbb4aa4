//! One accumulator and how partials fold into it.

use ratchet_rules::Aggregate;

/// What joins no value.
const NOTHING: u64 = 1 << 63;

/// The bits of every NaN that leaves the aggregator.
const CANONICAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0000);

/// The value of one (rule, group, window) so far. `count == 0` means: nothing yet. Four of them
/// fill a cache line.
///
/// A partial is joined to it without a look at what it is: values are kept in a form where the same
/// bits stand for nothing, whatever the aggregate. For a sum these are those of −0.0, which adds
/// nothing to any number. For an extreme they are the least integer, below all that values become
/// then: integers that ascend from the value that any other replaces.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub form: u64,
    pub count: u32,
    /// The pass that found this cell last: a second time in one pass is a duplicate record.
    pub stamp: u32,
}

impl Cell {
    pub const EMPTY: Self = Self {
        form: NOTHING,
        count: 0,
        stamp: 0,
    };

    /// Folds one partial in; partials arrive in stream order, which is what makes a sum exact.
    #[inline(always)]
    pub fn fold(&mut self, join: impl Fn(u64, f64) -> u64, value: f64, points: u32) {
        self.form = join(self.form, value);
        self.count = self.count.saturating_add(points);
    }

    /// What another accumulator of the same aggregate folds on.
    pub fn partial(&self, aggregate: Aggregate) -> f64 {
        match aggregate {
            Aggregate::Sum | Aggregate::Avg | Aggregate::Count => f64::from_bits(self.form),
            Aggregate::Max => value_of_rank(self.form, 0),
            Aggregate::Min => value_of_rank(self.form, -1),
        }
    }

    /// What is emitted when the window closes.
    pub fn finish(&self, aggregate: Aggregate) -> f64 {
        let partial = self.partial(aggregate);
        let value = match aggregate {
            Aggregate::Avg => partial / f64::from(self.count),
            // A count's values are counts: their sum is exact far beyond what `count` can hold.
            Aggregate::Sum | Aggregate::Max | Aggregate::Min | Aggregate::Count => partial,
        };
        if value.is_nan() {
            CANONICAL_NAN
        } else {
            value
        }
    }
}

/// How a value joins the form of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Join {
    Add,
    Greater,
    Lesser,
}

impl Join {
    pub fn of(aggregate: Aggregate) -> Self {
        match aggregate {
            Aggregate::Sum | Aggregate::Avg | Aggregate::Count => Self::Add,
            Aggregate::Max => Self::Greater,
            Aggregate::Min => Self::Lesser,
        }
    }

    /// Without a branch: records of rules of all kinds follow each other in no order that a
    /// processor could foresee.
    #[inline(always)]
    pub fn join(self, form: u64, value: f64) -> u64 {
        let all_bits_if = |is: bool| -i64::from(is);
        let sum = add(form, value);
        let extreme = raise(form, value, all_bits_if(self == Self::Lesser));
        extreme ^ ((extreme ^ sum) & all_bits_if(self == Self::Add).cast_unsigned())
    }
}

#[inline(always)]
pub fn add(form: u64, value: f64) -> u64 {
    (f64::from_bits(form) + value).to_bits()
}

/// The maximum that ignores NaN unless all are NaN, with −0.0 < +0.0.
#[inline(always)]
pub fn greater(form: u64, value: f64) -> u64 {
    raise(form, value, 0)
}

/// The minimum that ignores NaN unless all are NaN, with −0.0 < +0.0.
#[inline(always)]
pub fn lesser(form: u64, value: f64) -> u64 {
    raise(form, value, -1)
}

#[inline(always)]
fn raise(form: u64, value: f64, reverses: i64) -> u64 {
    form.cast_signed()
        .max(rank(value, reverses))
        .cast_unsigned()
}

/// Integers in the order of [`f64::total_cmp`], or, with all bits reversed, in the contrary one.
/// NaN comes before all numbers.
#[inline(always)]
fn rank(value: f64, reverses: i64) -> i64 {
    let bits = value.to_bits().cast_signed();
    if value.is_nan() {
        NOTHING.cast_signed()
    } else {
        mirrored(bits) ^ reverses
    }
}

fn value_of_rank(form: u64, reverses: i64) -> f64 {
    if form == NOTHING {
        return CANONICAL_NAN;
    }
    f64::from_bits(mirrored(form.cast_signed() ^ reverses).cast_unsigned())
}

/// Turns the order of negative numbers round, which their bits have the wrong way; twice is as
/// before.
#[inline(always)]
fn mirrored(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(aggregate: Aggregate, partials: &[(f64, u32)], expected: f64) {
        let mut cell = Cell::EMPTY;
        for (value, count) in partials {
            cell.fold(
                |form, value| Join::of(aggregate).join(form, value),
                *value,
                *count,
            );
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

    /// Whether the aggregate is known beforehand or not, the same comes of it.
    #[test]
    fn joins_alike() {
        let values = [
            0.0,
            -0.0,
            1.5,
            -2.5,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ];
        for aggregate in Aggregate::ALL {
            let join: fn(u64, f64) -> u64 = match aggregate {
                Aggregate::Sum | Aggregate::Avg | Aggregate::Count => add,
                Aggregate::Max => greater,
                Aggregate::Min => lesser,
            };
            for (a, b) in values.iter().flat_map(|a| values.map(|b| (*a, b))) {
                let form = join(NOTHING, a);
                let finished = |form| {
                    let cell = Cell {
                        form,
                        ..Cell::EMPTY
                    };
                    cell.partial(aggregate).to_bits()
                };
                // Of NaN that arithmetic makes, the bits are anybody's.
                let bits = |form| match f64::from_bits(finished(form)).is_nan() {
                    true => CANONICAL_NAN.to_bits(),
                    false => finished(form),
                };
                let actual = Join::of(aggregate).join(form, b);
                let expected = join(form, b);
                assert_eq!(bits(actual), bits(expected), "{aggregate:?} of {a} and {b}");
            }
        }
    }
}
