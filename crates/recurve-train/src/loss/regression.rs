//! Losses that compare numbers with numbers, element by element.

use crate::error::{Error, Result};
use recurve_cell::Real;

/// The loss of one element, by its output `y` and target `t`; most depend on the error `e = y − t` alone.
#[derive(Clone, Copy)]
pub(super) enum Pointwise {
    Square,
    Absolute,
    Huber { delta: f64 },
    Logistic,
}

impl Pointwise {
    #[inline(always)]
    fn forward(self, y: f64, t: f64) -> f64 {
        let e = y - t;
        match self {
            Pointwise::Square => e * e,
            Pointwise::Absolute => e.abs(),
            Pointwise::Huber { delta } if e.abs() <= delta => 0.5 * e * e,
            Pointwise::Huber { delta } => delta * (e.abs() - 0.5 * delta),
            Pointwise::Logistic => {
                // `max(y, 0)` would lose a NaN.
                let above = if y < 0.0 { 0.0 } else { y };
                above - y * t + (-y.abs()).exp().ln_1p()
            }
        }
    }

    #[inline(always)]
    fn backward(self, y: f64, t: f64) -> f64 {
        let e = y - t;
        match self {
            Pointwise::Square => 2.0 * e,
            Pointwise::Absolute if e == 0.0 => 0.0,
            Pointwise::Absolute => 1f64.copysign(e) + 0.0 * e,
            Pointwise::Huber { delta } => {
                let low = if e < -delta { -delta } else { e };
                if low > delta { delta } else { low }
            }
            Pointwise::Logistic => {
                let small = (-y.abs()).exp();
                let chance = if y < 0.0 { small / (1.0 + small) } else { 1.0 / (1.0 + small) };
                chance - t
            }
        }
    }
}

/// Refuses targets of the binary cross-entropy that are no share of truth.
pub(super) fn check_marks<F: Real>(targets: &[F], width: usize) -> Result<()> {
    match targets.iter().position(|t| !(0.0..=1.0).contains(&t.to_f64())) {
        Some(at) => Err(Error::usage(format!(
            "the target {} of output {} in row {}: the binary cross-entropy needs numbers from 0 (false) to 1 \
             (true)",
            targets[at].to_f64(),
            at % width,
            at / width
        ))),
        None => Ok(()),
    }
}

pub(super) struct Regression<'a, F> {
    pub(super) pointwise: Pointwise,
    pub(super) targets: &'a [F],
}

/// The loss of a row is the mean over its elements whose target was measured.
impl<F: Real> Regression<'_, F> {
    pub(super) fn forward(&self, index: usize, row: &[F]) -> f64 {
        let terms = row.iter().zip(self.row(index, row.len()));
        let terms = terms.filter(|(_, t)| !t.to_f64().is_nan());
        let terms = terms.map(|(y, t)| self.pointwise.forward(y.to_f64(), t.to_f64()));
        terms.sum::<f64>() / self.measured(index, row.len())
    }

    fn measured(&self, index: usize, width: usize) -> f64 {
        let row = self.row(index, width).iter();
        row.filter(|t| !t.to_f64().is_nan()).count().max(1) as f64
    }

    /// Replaces the row by `scale` times the derivative of its loss.
    pub(super) fn backward(&self, index: usize, row: &mut [F], scale: f64) -> f64 {
        let loss = self.forward(index, row);
        let width = row.len();
        let scale = scale / self.measured(index, width);
        for (y, t) in row.iter_mut().zip(self.row(index, width)) {
            let (output, target) = (y.to_f64(), t.to_f64());
            let slope =
                if target.is_nan() { 0.0 } else { scale * self.pointwise.backward(output, target) };
            *y = F::from_f64(slope);
        }
        loss
    }

    fn row(&self, index: usize, width: usize) -> &[F] {
        &self.targets[index * width..][..width]
    }
}
