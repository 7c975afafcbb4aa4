//! Greatest and least values, kept as floats or as integers of the same order.

use crate::{key_of, value_of};
use ratchet_api::meaning;

/// What a greatest or least value is kept as. NaN counts only where there is nothing else.
pub trait Extreme: Copy {
    /// Of no values, below and above all.
    const LEAST: Self;
    const MOST: Self;

    /// A value, to be compared for the greatest.
    fn above(value: f64) -> Self;
    fn greater(self, other: Self) -> Self;
    fn greatest(self) -> f64;

    /// A value, to be compared for the least.
    fn below(value: f64) -> Self;
    fn smaller(self, other: Self) -> Self;
    fn least(self) -> f64;
}

impl Extreme for f64 {
    const LEAST: Self = f64::NAN;
    const MOST: Self = f64::NAN;

    #[inline(always)]
    fn above(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        meaning::max(self, other)
    }

    #[inline(always)]
    fn greatest(self) -> f64 {
        self
    }

    #[inline(always)]
    fn below(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        meaning::min(self, other)
    }

    #[inline(always)]
    fn least(self) -> f64 {
        self
    }
}

/// Compared without a branch.
impl Extreme for i64 {
    const LEAST: Self = i64::MIN;
    const MOST: Self = i64::MAX;

    #[inline(always)]
    fn above(value: f64) -> Self {
        key_of(value, Self::LEAST)
    }

    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        self.max(other)
    }

    #[inline(always)]
    fn greatest(self) -> f64 {
        value_of(self, Self::LEAST)
    }

    #[inline(always)]
    fn below(value: f64) -> Self {
        key_of(value, Self::MOST)
    }

    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        self.min(other)
    }

    #[inline(always)]
    fn least(self) -> f64 {
        value_of(self, Self::MOST)
    }
}
