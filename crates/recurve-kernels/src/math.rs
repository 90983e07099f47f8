//! Activations on vectors of `f32`.
//!
//! Both rest on one approximation. With `n = round(t / ln 2)` and `r = t - n ln 2`, so that
//! `|r| ≤ ln(2)/2`, `expm1(r) = r + r² q(r)` for a polynomial `q` of degree 4 whose coefficients come
//! from `expm1_coefficients.py` beside this file (worst relative error 1.4e-8 before rounding).
//! Then `exp(t) - 1 = 2ⁿ expm1(r) + (2ⁿ - 1)`, without cancellation near 0, and
//!
//! ```text
//! tanh(x) = (exp(2x) - 1) / (exp(2x) + 1)      σ(x) = 1 / (1 + exp(-x))
//! ```
//!
//! The error of each is at most 4 units in the last place over all `f32` (σ: down to -87, below which
//! it stays at σ(-87) = 1.6e-38). NaN stays NaN.

use crate::isa::Rounded;

const Q: [f64; 5] = [
    0.499_999_981_496_204_17,
    0.166_665_434_242_790_43,
    0.041_667_200_711_399_43,
    0.008_366_547_130_333_985,
    0.001_388_251_648_333_493,
];

/// `ln 2` in two parts: the first has trailing zeros, so that `n` times it is exact.
const LN2: [f64; 2] = [0.693_359_375, -2.121_944_400_546_905_8e-4];

/// `(2ⁿ, expm1(r))` of `t = n ln 2 + r`.
#[inline(always)]
fn reduced<V: Rounded>(t: V) -> (V, V) {
    let n = (t * t.like(core::f64::consts::LOG2_E)).round();
    let r = n.mul_add(t.like(-LN2[0]), t);
    let r = n.mul_add(t.like(-LN2[1]), r);
    let mut q = t.like(Q[4]);
    for c in Q[..4].iter().rev() {
        q = q.mul_add(r, t.like(*c));
    }
    (n.power_of_two(), (r * r).mul_add(q, r))
}

/// The hyperbolic tangent. Beyond ±9.02 it is ±1 to the last bit.
#[inline(always)]
pub(crate) fn tanh<V: Rounded>(x: V) -> V {
    let (scale, e) = reduced((x + x).at_most(18.04).at_least(-18.04));
    let expm1 = scale.mul_add(e, scale - x.like(1.0));
    expm1.divide(expm1 + x.like(2.0))
}

/// The logistic function.
#[inline(always)]
pub(crate) fn sigmoid<V: Rounded>(x: V) -> V {
    let (scale, e) = reduced((-x).at_most(87.0).at_least(-87.0));
    let one = x.like(1.0);
    one.divide(scale.mul_add(e, scale) + one)
}
