//! Gradient accumulation: the step of a large batch from the gradients of small ones.
//!
//! The running value is at every moment the weighted mean of what was added, so accumulating one
//! batch gives its gradient to the bit, and accumulating several, each with the
//! [`count`](crate::loss::LossValue::count) of its loss as weight, gives the gradient of the one
//! batch they make up, even where they hold different numbers of real steps.

use crate::error::{Error, Result};
use recurve_cell::Real;

/// The weighted mean of gradients and losses since the last [`clear`](Accumulator::clear).
///
/// A batch writes its gradient into [`Accumulator::room`], then [`Accumulator::add`] takes it in. The
/// room of the first batch is the mean itself, so a step of one batch copies nothing and needs no memory
/// beside the gradient.
#[derive(Clone, Debug)]
pub struct Accumulator<F> {
    grads: Vec<F>,
    /// The gradient of a batch that is not the first; empty until there is one.
    next: Vec<F>,
    loss: f64,
    weight: f64,
    batches: usize,
}

impl<F: Real> Accumulator<F> {
    /// For gradients of `len` parameters.
    pub fn new(len: usize) -> Self {
        Self { grads: vec![F::default(); len], next: vec![], loss: 0.0, weight: 0.0, batches: 0 }
    }

    /// Where the gradient of the next batch is to be written: all of it, whatever stands there.
    pub fn room(&mut self) -> &mut [F] {
        if self.weight == 0.0 {
            return &mut self.grads;
        }
        self.next.resize(self.grads.len(), F::default());
        &mut self.next
    }

    /// Takes in what stands in the room, and the loss beside it: both means over `weight` counted
    /// rows. A batch of weight 0 changes no mean.
    ///
    /// # Errors
    /// A weight that is negative or not finite.
    pub fn add(&mut self, loss: f64, weight: f64) -> Result<()> {
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(Error::usage(format!(
                "the weight of a batch must be at least 0, not {weight}"
            )));
        }
        self.batches += 1;
        if weight == 0.0 {
            return Ok(());
        }
        let first = self.weight == 0.0;
        self.weight += weight;
        if first {
            self.loss = loss;
            return Ok(());
        }
        let share = weight / self.weight;
        for (mean, g) in self.grads.iter_mut().zip(&self.next) {
            *mean = F::from_f64(mean.to_f64() + (g.to_f64() - mean.to_f64()) * share);
        }
        self.loss += (loss - self.loss) * share;
        Ok(())
    }

    /// How many batches were added since the last clear.
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// The mean loss; 0 where nothing counted.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The mean gradient, to be given to the optimiser; 0 where nothing counted.
    pub fn grads(&mut self) -> &[F] {
        if self.weight == 0.0 {
            self.grads.fill(F::default());
        }
        &self.grads
    }

    /// Forgets everything: the next batch is the first.
    pub fn clear(&mut self) {
        self.loss = 0.0;
        self.weight = 0.0;
        self.batches = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{Loss, Outputs, Targets};

    #[test]
    fn parts_make_up_the_whole_batch() {
        let outputs: Vec<f64> = (0..24).map(|i| f64::from(i).sin()).collect();
        let targets: Vec<f64> = (0..24).map(|i| f64::from(i).cos()).collect();
        let weights = [1.0, 0.0, 1.0, 1.0, 1.0, 0.5, 0.0, 1.0];
        let loss = Loss::Mse {};
        let mut d_whole = vec![0.0; 24];
        let all = Outputs::new(&outputs, 3).weighted(&weights);
        let whole = loss.backward(all, Targets::Values(&targets), &mut d_whole).unwrap();

        // The "model" has one parameter that shifts every output, so its gradient is a sum.
        let mut sum = Accumulator::<f64>::new(1);
        for (first, last) in [(0, 3), (3, 7), (7, 8)] {
            let range = 3 * first..3 * last;
            let mut d = vec![0.0; range.len()];
            let part = Outputs::new(&outputs[range.clone()], 3).weighted(&weights[first..last]);
            let value = loss.backward(part, Targets::Values(&targets[range]), &mut d).unwrap();
            sum.room()[0] = d.iter().sum();
            sum.add(value.mean, value.count).unwrap();
        }
        assert_eq!(sum.batches(), 3);
        assert!((sum.loss() - whole.mean).abs() < 1e-15);
        assert!((sum.grads()[0] - d_whole.iter().sum::<f64>()).abs() < 1e-15);
    }

    #[test]
    fn one_batch_is_itself_to_the_bit_and_clear_forgets() {
        let mut sum = Accumulator::<f32>::new(3);
        for grads in [[0.1, -7.3, 1e-30], [f32::MAX, 0.0, -0.3]] {
            sum.room().copy_from_slice(&grads);
            sum.add(0.7, 13.0).unwrap();
            assert_eq!(sum.grads(), grads);
            assert_eq!(sum.loss(), 0.7);
            sum.room().fill(f32::NAN);
            sum.add(f64::NAN, 0.0).unwrap();
            assert_eq!(sum.grads(), grads);
            sum.clear();
            assert_eq!((sum.batches(), sum.loss()), (0, 0.0));
            assert_eq!(sum.grads(), [0.0; 3]);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut sum = Accumulator::<f32>::new(2);
        assert!(sum.add(0.0, f64::NAN).unwrap_err().to_string().contains("NaN"));
        assert!(sum.add(0.0, -1.0).is_err());
        sum.room().fill(f32::NAN);
        sum.add(0.0, 0.0).unwrap();
        assert_eq!(sum.grads(), [0.0; 2]);
    }
}
