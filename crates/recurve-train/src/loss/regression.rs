//! Losses that compare numbers with numbers, element by element.

use super::{LossValue, Outputs};
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
    pub(super) outputs: Outputs<'a, F>,
    pub(super) targets: &'a [F],
}

impl<F: Real> Regression<'_, F> {
    pub(super) fn forward(&self) -> LossValue {
        let count = self.count();
        let mut sum = 0.0;
        for index in 0..self.outputs.rows() {
            sum += self.row_sum(index);
        }
        self.value(sum, count)
    }

    pub(super) fn backward(&self, d_outputs: &mut [F]) -> LossValue {
        let width = self.outputs.width;
        let count = self.count();
        let mut sum = 0.0;
        for (index, d_row) in d_outputs.chunks_exact_mut(width).enumerate() {
            let weight = self.outputs.weight(index);
            if weight == 0.0 {
                d_row.fill(F::default());
                continue;
            }
            sum += self.row_sum(index);
            let scale = weight / (count * width as f64);
            let (outputs, targets) = self.row(index);
            for ((d, y), t) in d_row.iter_mut().zip(outputs).zip(targets) {
                *d = F::from_f64(scale * self.pointwise.backward(y.to_f64() - t.to_f64()));
            }
        }
        self.value(sum, count)
    }

    fn row(&self, index: usize) -> (&[F], &[F]) {
        let width = self.outputs.width;
        (&self.outputs.values[index * width..][..width], &self.targets[index * width..][..width])
    }

    fn row_sum(&self, index: usize) -> f64 {
        let weight = self.outputs.weight(index);
        if weight == 0.0 {
            return 0.0;
        }
        let (outputs, targets) = self.row(index);
        let terms = outputs.iter().zip(targets).map(|(y, t)| y.to_f64() - t.to_f64());
        weight * terms.map(|e| self.pointwise.forward(e)).sum::<f64>()
    }

    fn count(&self) -> f64 {
        (0..self.outputs.rows()).map(|row| self.outputs.weight(row)).sum()
    }

    fn value(&self, sum: f64, count: f64) -> LossValue {
        let elements = count * self.outputs.width as f64;
        LossValue { mean: if count > 0.0 { sum / elements } else { 0.0 }, count }
    }
}
