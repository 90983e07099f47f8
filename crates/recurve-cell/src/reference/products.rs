//! Sums and products over rows, and the way between rows and the values of one unit.

use crate::{Group, Real};
use core::ops::Range;

/// The place of row `at` in rows of `len`.
pub(super) fn row(at: usize, len: usize) -> Range<usize> {
    at * len..(at + 1) * len
}

/// The value of `unit` in every row of `rows [N, H]`.
pub(super) fn gather<F: Copy, G: Group<F>>(rows: &[F], hidden: usize, unit: usize) -> G {
    G::from_fn(|k| rows[k * hidden + unit])
}

/// The reverse of [`gather`].
pub(super) fn scatter<F: Copy, G: Group<F>>(rows: &mut [F], hidden: usize, unit: usize, group: G) {
    for (k, value) in group.values().iter().enumerate() {
        rows[k * hidden + unit] = *value;
    }
}

/// `sum += addend`, value by value.
pub(super) fn add<F: Real>(sum: &mut [F], addend: &[F]) {
    for (sum, addend) in sum.iter_mut().zip(addend) {
        *sum = *sum + *addend;
    }
}

/// `column [H] += weights_gate [H, N] · operand [N] + bias_gate [H]`.
pub(super) fn add_product<F: Real>(
    column: &mut [F],
    weights: &[F],
    bias: &[F],
    gate: usize,
    operand: &[F],
) {
    let hidden = column.len();
    for (unit, sum) in column.iter_mut().enumerate() {
        let at = gate * hidden + unit;
        let start = bias.get(at).copied().unwrap_or_default();
        let weights = &weights[row(at, operand.len())];
        let product = weights.iter().zip(operand).fold(start, |sum, (w, v)| w.mul_add(*v, sum));
        *sum = *sum + product;
    }
}

/// `d_operand [N] += weights_gate [H, N]ᵀ · d_column [H]`.
pub(super) fn add_transposed<F: Real>(
    d_operand: &mut [F],
    weights: &[F],
    gate: usize,
    d_column: &[F],
) {
    for (unit, d) in d_column.iter().enumerate() {
        let weights = &weights[row(gate * d_column.len() + unit, d_operand.len())];
        for (sum, w) in d_operand.iter_mut().zip(weights) {
            *sum = w.mul_add(*d, *sum);
        }
    }
}

/// `d_weights_gate [H, N] += d_column [H] operand [N]ᵀ` and `d_bias_gate [H] += d_column [H]`.
pub(super) fn add_outer<F: Real>(
    d_weights: &mut [F],
    d_bias: &mut [F],
    gate: usize,
    d_column: &[F],
    operand: &[F],
) {
    for (unit, d) in d_column.iter().enumerate() {
        let at = gate * d_column.len() + unit;
        for (sum, v) in d_weights[row(at, operand.len())].iter_mut().zip(operand) {
            *sum = d.mul_add(*v, *sum);
        }
        if let Some(sum) = d_bias.get_mut(at) {
            *sum = *sum + *d;
        }
    }
}
