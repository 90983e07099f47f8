//! Four elements in an array: plain Rust that runs anywhere, and that compilers turn into the
//! vectors every 64-bit processor has.

use super::{Kernel, Rounded, Simd};
use crate::element::Element;
use core::ops::{Add, Div, Mul, Neg, Sub};
use recurve_cell::{Lanes, Real};

/// Four elements.
#[derive(Clone, Copy)]
pub struct Array4<E>([E; 4]);

impl<E: Real> Array4<E> {
    #[inline(always)]
    fn each(self, f: impl Fn(E) -> E) -> Self {
        Self(self.0.map(f))
    }
    #[inline(always)]
    fn pairs(self, other: Self, f: impl Fn(E, E) -> E) -> Self {
        Self(core::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl<E: Real> Add for Array4<E> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.pairs(other, |a, b| a + b)
    }
}
impl<E: Real> Sub for Array4<E> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.pairs(other, |a, b| a - b)
    }
}
impl<E: Real> Mul for Array4<E> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.pairs(other, |a, b| a * b)
    }
}
impl<E: Real> Div for Array4<E> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.pairs(other, |a, b| a / b)
    }
}
impl<E: Real> Neg for Array4<E> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.each(|a| -a)
    }
}

impl<E: Element> Lanes for Array4<E> {
    #[inline(always)]
    fn like(self, constant: f64) -> Self {
        self.each(|a| a.like(constant))
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        self * factor + addend
    }
    #[inline(always)]
    fn sigmoid(self) -> Self {
        E::portable_sigmoid(self)
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        E::portable_tanh(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        E::portable_exp(self)
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        self.pairs(other, Lanes::larger)
    }
    #[inline(always)]
    fn relu(self) -> Self {
        self.each(Lanes::relu)
    }
    #[inline(always)]
    fn positive(self) -> Self {
        self.each(Lanes::positive)
    }
}

impl<E: Element> Simd for Array4<E> {
    type Elem = E;
    const LANES: usize = 4;
    const SUMS: usize = 12;
    #[inline(always)]
    unsafe fn load(from: *const E) -> Self {
        // SAFETY: the caller promises four readable elements.
        unsafe { Self(from.cast::<[E; 4]>().read()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut E) {
        // SAFETY: the caller promises four writable elements.
        unsafe { to.cast::<[E; 4]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn splat(value: E) -> Self {
        Self([value; 4])
    }
}

impl Array4<f64> {
    #[inline(always)]
    pub(crate) fn by_lane(self, f: impl Fn(f64) -> f64) -> Self {
        self.each(f)
    }
}

/// Adding and taking away 1.5·2²³ leaves the nearest integer.
const ROUNDER: f32 = 12_582_912.0;

impl Rounded for Array4<f32> {
    #[inline(always)]
    fn at_most(self, limit: f64) -> Self {
        self.each(|a| if a > limit as f32 { limit as f32 } else { a })
    }
    #[inline(always)]
    fn at_least(self, limit: f64) -> Self {
        self.each(|a| if a < limit as f32 { limit as f32 } else { a })
    }
    #[inline(always)]
    fn round(self) -> Self {
        self.each(|a| (a + ROUNDER) - ROUNDER)
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        // The integer stands in the low bits of `a + ROUNDER`; NaN gives a finite power, harmlessly.
        self.each(|a| {
            let n = (a + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits());
            f32::from_bits(n.wrapping_add(127) << 23)
        })
    }
    #[inline(always)]
    fn divide(self, by: Self) -> Self {
        self.pairs(by, |a, b| a / b)
    }
}

/// Runs `K` with arrays.
///
/// # Safety
/// `K` is safe to run.
pub(super) unsafe fn enter<E: Element, K: Kernel<E>>(args: &K::Args) {
    // SAFETY: the caller's promise.
    unsafe { K::run::<Array4<E>>(args) }
}
