//! The meaning of aggregates, one value at a time: what every aggregation must agree on.

/// The greater of two values: NaN only if both are, and −0.0 below +0.0.
#[inline(always)]
pub fn max(a: f64, b: f64) -> f64 {
    if b > a || a.is_nan() || (a == b && a.is_sign_negative()) {
        b
    } else {
        a
    }
}

/// The smaller of two values: NaN only if both are, and −0.0 below +0.0.
#[inline(always)]
pub fn min(a: f64, b: f64) -> f64 {
    if b < a || a.is_nan() || (a == b && b.is_sign_negative()) {
        b
    } else {
        a
    }
}

/// The one NaN that output knows.
pub const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0000);

/// The value as it is put out: every NaN is [`NAN`].
#[inline(always)]
pub fn canonical(value: f64) -> f64 {
    if value.is_nan() {
        NAN
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: f64, b: f64, greater: f64, smaller: f64) {
        for (a, b) in [(a, b), (b, a)] {
            assert_eq!(
                canonical(max(a, b)).to_bits(),
                greater.to_bits(),
                "max({a}, {b})"
            );
            assert_eq!(
                canonical(min(a, b)).to_bits(),
                smaller.to_bits(),
                "min({a}, {b})"
            );
        }
    }

    #[test]
    fn extremes_of_every_kind_of_value() {
        check(1.0, 2.0, 2.0, 1.0);
        check(-1.0, -1.0, -1.0, -1.0);
        check(-0.0, 0.0, 0.0, -0.0);
        check(-0.0, -0.0, -0.0, -0.0);
        check(0.0, 0.0, 0.0, 0.0);
        check(f64::NAN, -3.0, -3.0, -3.0);
        check(
            f64::NAN,
            f64::NEG_INFINITY,
            f64::NEG_INFINITY,
            f64::NEG_INFINITY,
        );
        check(f64::from_bits(0xfff8_0000_0000_1234), f64::NAN, NAN, NAN);
        check(f64::INFINITY, f64::MAX, f64::INFINITY, f64::MAX);
    }
}
