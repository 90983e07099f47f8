//! What a softmax needs of a vector: the exponential, and the larger of two.

use super::Array4;
#[cfg(target_arch = "x86_64")]
use super::{F32x8, F32x16, F64x4, F64x8};
use crate::element::Element;
#[cfg(target_arch = "x86_64")]
use crate::exp64::exp_nonpositive;
#[cfg(target_arch = "x86_64")]
use crate::math;

/// Vectors with an exponential.
pub trait Exponential: Copy {
    /// `exp(self)` of numbers that are at most 0, to the error that `math` states. Far
    /// below 0 it is 0, or the least value; NaN stays NaN.
    fn exp(self) -> Self;
    /// Lane by lane the larger one; `other` where `self` is NaN.
    fn larger(self, other: Self) -> Self;
}

impl<E: Element> Exponential for Array4<E> {
    #[inline(always)]
    fn exp(self) -> Self {
        E::portable_exp(self)
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        self.pairs(other, |a, b| if a > b { a } else { b })
    }
}

/// `max` of two registers gives the second where one is NaN.
#[cfg(target_arch = "x86_64")]
macro_rules! larger {
    ($max:path) => {
        #[inline(always)]
        fn larger(self, other: Self) -> Self {
            // SAFETY: a value of this type exists only where its instructions do.
            unsafe { Self($max(self.0, other.0)) }
        }
    };
}

#[cfg(target_arch = "x86_64")]
macro_rules! exponential {
    ($f32:ident, $f64:ident, $max32:path, $max64:path) => {
        impl Exponential for $f32 {
            #[inline(always)]
            fn exp(self) -> Self {
                math::exp(self)
            }
            larger!($max32);
        }
        impl Exponential for $f64 {
            #[inline(always)]
            fn exp(self) -> Self {
                self.each(exp_nonpositive)
            }
            larger!($max64);
        }
    };
}

#[cfg(target_arch = "x86_64")]
exponential!(F32x8, F64x4, core::arch::x86_64::_mm256_max_ps, core::arch::x86_64::_mm256_max_pd);
#[cfg(target_arch = "x86_64")]
exponential!(F32x16, F64x8, core::arch::x86_64::_mm512_max_ps, core::arch::x86_64::_mm512_max_pd);
