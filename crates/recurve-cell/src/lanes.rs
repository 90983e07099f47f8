//! What a cell computes with: one number, or the many numbers of a vector register.

use core::ops::{Add, Mul, Neg, Sub};

/// Arithmetic on one number or on a register of them, lane by lane.
///
/// A cell's equations are written once over this trait. The reference layer runs them on `f32` and
/// `f64`; the kernels run the same text on vector registers.
///
/// There is no constructor. A vector type can only be used where its instructions exist, so a value
/// must come from a value: [`Lanes::like`] makes a constant beside one that is already there.
pub trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Neg<Output = Self>
{
    /// `constant` in every lane.
    fn like(self, constant: f64) -> Self;
    /// `self * factor + addend`, rounded once where the processor can.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The logistic function `1 / (1 + exp(-x))`. NaN stays NaN.
    fn sigmoid(self) -> Self;
    /// The hyperbolic tangent. NaN stays NaN.
    fn tanh(self) -> Self;
    /// `x` where `x > 0`, else 0. NaN stays NaN.
    fn relu(self) -> Self;
    /// 1 where `x > 0`, else 0: the derivative of [`Lanes::relu`].
    fn positive(self) -> Self;
}
