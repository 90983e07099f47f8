//! What a cell computes with: one number, or the many numbers of a vector register.

use core::ops::{Add, Div, Mul, Neg, Sub};

/// Arithmetic on one number or on a register of them, lane by lane.
///
/// A cell's equations are written once over this trait. The reference layer runs them on `f32` and
/// `f64`; the kernels run the same text on vector registers.
///
/// There is no constructor. A vector type can only be used where its instructions exist, so a value
/// must come from a value: [`Lanes::like`] makes a constant beside one that is already there.
pub trait Lanes:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// `constant` in every lane.
    fn like(self, constant: f64) -> Self;
    /// `self * factor + addend`, rounded once where the processor can.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The logistic function `1 / (1 + exp(-x))`. NaN stays NaN.
    fn sigmoid(self) -> Self;
    /// The hyperbolic tangent. NaN stays NaN.
    fn tanh(self) -> Self;
    /// `exp(x)` of numbers that are at most 0. Far below 0 it is 0, or the least value; NaN stays NaN.
    fn exp(self) -> Self;
    /// The larger of the two; `other` where `self` is NaN.
    fn larger(self, other: Self) -> Self;
    /// `x` where `x > 0`, else 0. NaN stays NaN.
    fn relu(self) -> Self;
    /// 1 where `x > 0`, else 0: the derivative of [`Lanes::relu`].
    fn positive(self) -> Self;

    /// The smaller of the two; `other` where `self` is NaN.
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        -(-self).larger(-other)
    }
    /// `x` without its sign.
    #[inline(always)]
    fn abs(self) -> Self {
        self.larger(-self)
    }
    /// `exp(x) - 1` of numbers that are at most 0, without cancellation near 0: with `t = tanh(x/2)`, it
    /// is `2t / (1 - t)`.
    #[inline(always)]
    fn exp_minus_one(self) -> Self {
        let t = (self * self.like(0.5)).tanh();
        (t + t) / (self.like(1.0) - t)
    }
    /// `log(1 + exp(x))`. NaN stays NaN.
    ///
    /// It is `max(x, 0) + log(1 + u)` with `u = exp(-|x|)`, and `log(1 + u) = 2 artanh s` with
    /// `s = u / (2 + u)`, at most a third: the series of `artanh` to `s^35` leaves less than `1e-18`.
    #[inline(always)]
    fn softplus(self) -> Self {
        let u = (-self.abs()).exp();
        let s = u / (u + self.like(2.0));
        let square = s * s;
        let mut sum = self.like(1.0 / 35.0);
        let mut term = 33;
        while term > 0 {
            sum = sum.mul_add(square, self.like(1.0 / f64::from(term)));
            term -= 2;
        }
        (s + s).mul_add(sum, self.relu())
    }
}
