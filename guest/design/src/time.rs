//! Windows, and values in their order.

use crate::Spec;

/// Whether every rule sees the message within one of its windows.
#[inline]
pub fn single_window(spec: &Spec, min: i64, max: i64) -> bool {
    spec.windows
        .iter()
        .all(|&window| min / i64::from(window) == max / i64::from(window))
}

/// A number that is ordered as values are, -0.0 below +0.0; a NaN is `none`.
#[inline(always)]
pub fn key_of(value: f64, none: i64) -> i64 {
    let bits = value.to_bits() as i64;
    let key = bits ^ ((bits >> 63) as u64 >> 1) as i64;
    if value.is_nan() {
        none
    } else {
        key
    }
}

/// The value of such a number.
#[inline(always)]
pub fn value_of(key: i64, none: i64) -> f64 {
    let bits = key ^ ((key >> 63) as u64 >> 1) as i64;
    if key == none {
        f64::NAN
    } else {
        f64::from_bits(bits as u64)
    }
}
