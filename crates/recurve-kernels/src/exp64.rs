//! `exp` of an `f64` as plain arithmetic.
//!
//! A call of the system's `exp` for every class of every row keeps the loop scalar. The same value
//! as additions, multiplications and one shift lets the compiler use vector registers, and gives the
//! same bits on every system.

/// `exp(x)` for `x ≤ 0`, to a relative error of 2.5e-16 for `x ≥ −708`; below that the value at −708
/// (3e-308). NaN stays NaN.
///
/// `x = n ln 2 + r` with `|r| ≤ ½ ln 2`, `ln 2` split in two so that `r` is exact to the last bit
/// (Cody & Waite 1980); `exp(r)` is its Taylor sum to the 13th power, whose remainder is below 5e-18
/// on that interval; `2ⁿ` goes straight into the exponent bits.
#[inline(always)]
pub fn exp_nonpositive(x: f64) -> f64 {
    /// 1.5 · 2⁵²: adding it leaves the nearest integer in the low bits of the sum.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// The leading bits of ln 2, few enough that `n · LN2_HIGH` is exact, and the rest of it.
    const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const INVERSE_FACTORIALS: [f64; 12] = [
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
    ];
    let x = if x < -708.0 { -708.0 } else { x };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut sum = INVERSE_FACTORIALS[0];
    for coefficient in &INVERSE_FACTORIALS[1..] {
        sum = sum * r + coefficient;
    }
    let sum = (sum * r) * r + r + 1.0;
    let exponent = shifted.to_bits().wrapping_add(1023) << 52;
    sum * f64::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::exp_nonpositive;

    #[test]
    fn it_keeps_its_error_bound() {
        let mut worst: f64 = 0.0;
        for step in 0..2_000_000 {
            let x = -708.0 * (f64::from(step) / 2_000_000.0).powi(3);
            let error = (exp_nonpositive(x) / x.exp() - 1.0).abs();
            worst = worst.max(error);
        }
        assert!(
            worst <= 2.5e-16 + 2.3e-16,
            "{worst:e}, the last part being that of the system's exp"
        );
    }

    #[test]
    fn its_ends_are_what_they_should_be() {
        assert_eq!(exp_nonpositive(0.0), 1.0);
        assert_eq!(exp_nonpositive(-0.0), 1.0);
        assert!(exp_nonpositive(f64::NEG_INFINITY) < 4e-308);
        assert!(exp_nonpositive(-1e300) < 4e-308);
        assert!(exp_nonpositive(f64::NAN).is_nan());
        assert!((exp_nonpositive(-1.0) - 0.367_879_441_171_442_33).abs() < 1e-16);
    }
}
