//! Numbers: `f32` and `f64` as one lane.
//!
//! The functions of `f32` are computed in `f64` and rounded once, so they are the nearest `f32` but
//! for a few arguments in a billion. That is slow, and right: fast approximations are measured against
//! it.

use crate::{Lanes, math};

/// A floating-point number, `f32` or `f64`: one lane.
pub trait Real:
    Lanes + PartialOrd + Default + Send + Sync + core::fmt::Debug + core::fmt::Display + 'static
{
    /// The nearest value to `value`.
    fn from_f64(value: f64) -> Self;
    /// The same value.
    fn to_f64(self) -> f64;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

macro_rules! real {
    ($t:ty) => {
        impl Real for $t {
            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                <$t>::is_finite(self)
            }
        }

        impl Lanes for $t {
            #[inline(always)]
            fn like(self, constant: f64) -> Self {
                constant as $t
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                self * factor + addend
            }
            #[inline]
            fn sigmoid(self) -> Self {
                math::sigmoid(f64::from(self)) as $t
            }
            #[inline]
            fn tanh(self) -> Self {
                math::tanh(f64::from(self)) as $t
            }
            #[inline]
            fn exp(self) -> Self {
                math::exp(f64::from(self)) as $t
            }
            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                if self > other { self } else { other }
            }
            #[inline(always)]
            fn relu(self) -> Self {
                if self <= 0.0 { 0.0 } else { self }
            }
            #[inline(always)]
            fn positive(self) -> Self {
                if self > 0.0 { 1.0 } else { 0.0 }
            }
        }
    };
}
real!(f32);
real!(f64);
