//! Cross-entropy over classes.
//!
//! With `z` the row minus its greatest entry and `S = Σ exp(zⱼ)`, `ln pⱼ = zⱼ − ln S`: no exponential
//! overflows and no logarithm of 0 is taken. The derivative by an output is `pⱼ − qⱼ`.

use super::exp::exp_nonpositive;
use super::{IGNORE, LossValue, Outputs};
use crate::error::{Error, Result};
use recurve_cell::Real;

pub(super) struct CrossEntropy<'a, F> {
    pub(super) label_smoothing: f64,
    pub(super) outputs: Outputs<'a, F>,
    pub(super) classes: &'a [u32],
}

/// An error where a class is neither below `width` nor [`IGNORE`].
pub(super) fn check(classes: &[u32], width: usize) -> Result<()> {
    match classes.iter().position(|&class| class != IGNORE && class as usize >= width) {
        None => Ok(()),
        Some(row) => Err(Error::usage(format!(
            "the target of row {row} is class {}, but the model has the classes 0 to {}",
            classes[row],
            width - 1
        ))),
    }
}

impl<F: Real> CrossEntropy<'_, F> {
    pub(super) fn forward(&self) -> LossValue {
        let mut sum = 0.0;
        let mut count = 0.0;
        for (row, class, weight) in self.counted() {
            let softmax = Softmax::of(row, |_, _| ());
            sum += weight * self.row_loss(row, class, &softmax);
            count += weight;
        }
        LossValue { mean: if count > 0.0 { sum / count } else { 0.0 }, count }
    }

    pub(super) fn backward(&self, d_outputs: &mut [F]) -> LossValue {
        let count: f64 = self.counted().map(|(_, _, weight)| weight).sum();
        let even = self.label_smoothing / self.outputs.width as f64;
        let mut sum = 0.0;
        for (index, d_row) in d_outputs.chunks_exact_mut(self.outputs.width).enumerate() {
            let Some((row, class, weight)) = self.row(index) else {
                d_row.fill(F::default());
                continue;
            };
            let softmax = Softmax::of(row, |start, exponentials| {
                for (d, e) in d_row[start..].iter_mut().zip(exponentials) {
                    *d = F::from_f64(*e);
                }
            });
            sum += weight * self.row_loss(row, class, &softmax);
            let scale = weight / count;
            let normalise = scale / softmax.sum;
            let even = scale * even;
            for d in d_row.iter_mut() {
                *d = F::from_f64(d.to_f64() * normalise - even);
            }
            let p = exp_nonpositive(row[class].to_f64() - softmax.greatest) / softmax.sum;
            d_row[class] = F::from_f64(scale * (p - (1.0 - self.label_smoothing)) - even);
        }
        LossValue { mean: if count > 0.0 { sum / count } else { 0.0 }, count }
    }

    fn row(&self, index: usize) -> Option<(&[F], usize, f64)> {
        let width = self.outputs.width;
        let weight = self.outputs.weight(index);
        let class = self.classes[index];
        let row = &self.outputs.values[index * width..][..width];
        (class != IGNORE && weight > 0.0).then_some((row, class as usize, weight))
    }

    fn counted(&self) -> impl Iterator<Item = (&[F], usize, f64)> {
        (0..self.outputs.rows()).filter_map(|index| self.row(index))
    }

    fn row_loss(&self, row: &[F], class: usize, softmax: &Softmax) -> f64 {
        let log_sum = softmax.sum.ln();
        let target = log_sum - (row[class].to_f64() - softmax.greatest);
        if self.label_smoothing == 0.0 {
            return target;
        }
        let total: f64 = row.iter().map(|z| z.to_f64() - softmax.greatest).sum();
        let even = log_sum - total / row.len() as f64;
        (1.0 - self.label_smoothing) * target + self.label_smoothing * even
    }
}

/// The greatest entry of a row, and the sum of the exponentials of the entries minus it.
struct Softmax {
    greatest: f64,
    sum: f64,
}

impl Softmax {
    /// `keep` gets the exponentials of the row in turn, with the index of the first of them.
    ///
    /// Eight running values, always folded in the same order, leave the loops free to be vectorised.
    #[inline(always)]
    fn of<F: Real>(row: &[F], mut keep: impl FnMut(usize, &[f64])) -> Self {
        let greater = |a: f64, z: &F| if z.to_f64() > a { z.to_f64() } else { a };
        let (chunks, rest) = row.as_chunks::<8>();
        let mut greatest = [f64::NEG_INFINITY; 8];
        for chunk in chunks {
            for (a, z) in greatest.iter_mut().zip(chunk) {
                *a = greater(*a, z);
            }
        }
        let greatest = greatest.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let greatest = rest.iter().fold(greatest, greater);

        let mut sums = [0.0; 8];
        for (index, chunk) in chunks.iter().enumerate() {
            let exponentials = chunk.map(|z| exp_nonpositive(z.to_f64() - greatest));
            for (sum, e) in sums.iter_mut().zip(&exponentials) {
                *sum += e;
            }
            keep(8 * index, &exponentials);
        }
        for (index, z) in rest.iter().enumerate() {
            let e = exp_nonpositive(z.to_f64() - greatest);
            sums[index] += e;
            keep(8 * chunks.len() + index, &[e]);
        }
        Self { greatest, sum: sums.iter().sum() }
    }
}
