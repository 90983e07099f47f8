//! Cross-entropy over classes.
//!
//! With `z` the row minus its greatest entry and `S = Σ exp(zⱼ)`, `ln pⱼ = zⱼ − ln S`: no exponential
//! overflows and no logarithm of 0 is taken. The derivative by an output is `pⱼ − qⱼ`. The exponentials
//! are those of [`Softmax`], with its error; the class itself goes through `f64`.

use super::IGNORE;
use crate::error::{Error, Result};
use recurve_kernels::{Element, LogSum, Softmax, exp_nonpositive};

pub(super) struct CrossEntropy<'a, F: Element> {
    pub(super) label_smoothing: f64,
    pub(super) classes: &'a [u32],
    pub(super) softmax: Softmax<F>,
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

impl<F: Element> CrossEntropy<'_, F> {
    pub(super) fn counts(&self, index: usize) -> bool {
        self.classes[index] != IGNORE
    }

    pub(super) fn forward(&self, index: usize, row: &[F]) -> f64 {
        self.loss(row, self.classes[index] as usize)(self.softmax.sum(row))
    }

    /// Replaces the row by `scale` times the derivative of its loss.
    pub(super) fn backward(&self, index: usize, row: &mut [F], scale: f64) -> f64 {
        let class = self.classes[index] as usize;
        let (target, loss) = (row[class].to_f64(), self.loss(row, class));
        let found = self.softmax.exponentials(row);
        let even = scale * self.label_smoothing / row.len() as f64;
        self.softmax.scale(row, F::from_f64(scale / found.sum), F::from_f64(-even));
        let p = exp_nonpositive(target - found.greatest) / found.sum;
        row[class] = F::from_f64(scale * (p - (1.0 - self.label_smoothing)) - even);
        loss(found)
    }

    /// The loss of a row, once the sum of its exponentials is known.
    fn loss(&self, row: &[F], class: usize) -> impl Fn(LogSum) -> f64 + use<F> {
        let smoothing = self.label_smoothing;
        let (target, len) = (row[class].to_f64(), row.len() as f64);
        let total = if smoothing > 0.0 { row.iter().map(|z| z.to_f64()).sum() } else { 0.0 };
        move |LogSum { greatest, sum }| {
            let log_sum = sum.ln();
            let target = log_sum - (target - greatest);
            if smoothing == 0.0 {
                return target;
            }
            let even = log_sum - (total / len - greatest);
            (1.0 - smoothing) * target + smoothing * even
        }
    }
}
