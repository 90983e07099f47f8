//! From `f32` to 8 and 16 bits.
//!
//! A row of weights in 8 bits is integers from -127 to 127 and one scale, the value of 1. The scale is
//! rounded up to sixteen significant bits, so that integer times scale is exact in `f32`: weights that were
//! once rounded stay what they are when they are rounded again.

use crate::detect::Isa;
use crate::isa::{Entry, Narrow, NarrowKernel, narrow_entry};

/// The scale of a row of weights in 8 bits: 0 for a row of zeros, not finite where a weight is not.
pub fn int8_scale(row: &[f32]) -> f32 {
    let scale = largest(row) / 127.0;
    if scale.is_finite() { f32::from_bits(scale.to_bits().next_multiple_of(1 << 8)) } else { scale }
}

/// `value` as a multiple of `scale`, from -127 to 127.
pub fn int8_of(value: f32, scale: f32) -> i8 {
    if scale > 0.0 { (value / scale).round_ties_even().clamp(-127.0, 127.0) as i8 } else { 0 }
}

/// The upper half of the nearest `f32` whose lower half is zero; of two as near, the even one. NaN stays
/// NaN.
pub fn bf16_of(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The largest size; NaN where there is one.
#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    // As integers, sizes stand in their order, infinity and then NaN above all others.
    let size = |value: &f32| value.to_bits() & 0x7fff_ffff;
    f32::from_bits(values.iter().map(size).fold(0, u32::max))
}

/// Adding 1.5·2²³ leaves the nearest integer in the low bits.
const ROUNDER: f32 = 12_582_912.0;

/// Rows of numbers, and where they go in 8 bits: 128 above their multiple of a scale of each row, so
/// that the largest is 127 scales.
pub(super) struct Rounded {
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) from: *const f32,
    pub(super) from_row: usize,
    pub(super) to: *mut u8,
    pub(super) to_row: usize,
    pub(super) scales: *mut f32,
}

struct Round;

/// The instance of [`Round`] for `isa`.
pub(super) fn round(isa: Isa) -> Entry<Rounded> {
    narrow_entry::<Round>(isa)
}

impl NarrowKernel for Round {
    type Args = Rounded;
    /// # Safety
    /// All that the fields describe is readable and writable.
    #[inline(always)]
    unsafe fn run<N: Narrow>(rounded: &Rounded) {
        for row in 0..rounded.rows {
            // SAFETY: the caller's promise.
            let (from, to, scale) = unsafe {
                (
                    std::slice::from_raw_parts(
                        rounded.from.add(row * rounded.from_row),
                        rounded.width,
                    ),
                    std::slice::from_raw_parts_mut(
                        rounded.to.add(row * rounded.to_row),
                        rounded.width,
                    ),
                    &mut *rounded.scales.add(row),
                )
            };
            let largest = largest(from);
            // What is smaller has no reciprocal, and counts for nothing.
            let (one, per_one) =
                if largest < 1e-30 { (0.0, 0.0) } else { (largest / 127.0, 127.0 / largest) };
            *scale = one;
            for (to, value) in to.iter_mut().zip(from) {
                *to = (value * per_one + ROUNDER).to_bits().wrapping_add(128) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_rounded_twice_are_those_rounded_once() {
        let mut state = 1_u64;
        for _ in 0..2000 {
            let mut draw = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 40) as f32 / (1 << 23) as f32 - 1.0
            };
            let row: Vec<f32> = (0..9).map(|_| draw() * 0.3).collect();
            let scale = int8_scale(&row);
            let once: Vec<i8> = row.iter().map(|w| int8_of(*w, scale)).collect();
            let values: Vec<f32> = once.iter().map(|q| f32::from(*q) * scale).collect();
            assert_eq!(int8_scale(&values), scale, "{row:?}");
            assert!(once.iter().zip(&values).all(|(q, v)| int8_of(*v, scale) == *q));
            assert!(row.iter().zip(&values).all(|(w, v)| (w - v).abs() <= 0.501 * scale));
            assert!(once.iter().any(|q| q.abs() == 127), "{once:?}");
        }
        assert_eq!(int8_scale(&[0.0, -0.0]), 0.0);
        assert!(int8_scale(&[1.0, f32::NAN]).is_nan());
    }

    #[test]
    fn bf16_is_the_nearest() {
        for (value, expected) in [
            (1.0, 0x3f80),
            (-2.0, 0xc000),
            (1.0 + 1.0 / 256.0, 0x3f80),
            (1.0 + 3.0 / 256.0, 0x3f82),
            (1.003_907, 0x3f81),
            (f32::MAX, 0x7f80),
            (f32::INFINITY, 0x7f80),
        ] {
            assert_eq!(bf16_of(value), expected, "{value}");
        }
        assert!(f32::from_bits(u32::from(bf16_of(f32::NAN)) << 16).is_nan());
    }
}
