//! Losses that compare numbers with numbers, element by element.

use recurve_cell::Real;

/// The loss of one element, as a function of its error `e = output − target`.
#[derive(Clone, Copy)]
pub(super) enum Pointwise {
    Square,
    Absolute,
    Huber { delta: f64 },
}

impl Pointwise {
    #[inline(always)]
    fn forward(self, e: f64) -> f64 {
        match self {
            Pointwise::Square => e * e,
            Pointwise::Absolute => e.abs(),
            Pointwise::Huber { delta } if e.abs() <= delta => 0.5 * e * e,
            Pointwise::Huber { delta } => delta * (e.abs() - 0.5 * delta),
        }
    }

    #[inline(always)]
    fn backward(self, e: f64) -> f64 {
        match self {
            Pointwise::Square => 2.0 * e,
            Pointwise::Absolute if e == 0.0 => 0.0,
            Pointwise::Absolute => 1f64.copysign(e) + 0.0 * e,
            Pointwise::Huber { delta } => {
                let low = if e < -delta { -delta } else { e };
                if low > delta { delta } else { low }
            }
        }
    }
}

pub(super) struct Regression<'a, F> {
    pub(super) pointwise: Pointwise,
    pub(super) targets: &'a [F],
}

/// The loss of a row is the mean over its elements.
impl<F: Real> Regression<'_, F> {
    pub(super) fn forward(&self, index: usize, row: &[F]) -> f64 {
        let terms = row.iter().zip(self.row(index, row.len()));
        let terms = terms.map(|(y, t)| self.pointwise.forward(y.to_f64() - t.to_f64()));
        terms.sum::<f64>() / row.len() as f64
    }

    /// Replaces the row by `scale` times the derivative of its loss.
    pub(super) fn backward(&self, index: usize, row: &mut [F], scale: f64) -> f64 {
        let loss = self.forward(index, row);
        let scale = scale / row.len() as f64;
        let width = row.len();
        for (y, t) in row.iter_mut().zip(self.row(index, width)) {
            *y = F::from_f64(scale * self.pointwise.backward(y.to_f64() - t.to_f64()));
        }
        loss
    }

    fn row(&self, index: usize, width: usize) -> &[F] {
        &self.targets[index * width..][..width]
    }
}
