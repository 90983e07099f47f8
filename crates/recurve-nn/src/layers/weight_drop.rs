//! Dropout of recurrent weights (DropConnect: Wan et al. 2013; for LSTM, Merity, Keskar & Socher 2018).
//!
//! The mask is drawn once for a batch and lies on the weights, not on what flows: the layer runs with
//! other weights, as fast as with its own, and the gradient of what was dropped is zero. Weights are
//! packed when the batch comes, since only then is the draw known.

use super::dropout::{Factors, Kind};
use super::{Mode, Noise};
use recurve_kernels::{Element, Engine, each};
use std::ops::Range;

pub(crate) struct WeightDrop<E> {
    id: u64,
    rate: f64,
    /// The weights of a direction as they were loaded, and as they are packed.
    values: Vec<E>,
    masked: Vec<E>,
    factors: Vec<E>,
    backward: bool,
    /// What they are packed for: a draw, or none.
    packed: Option<Option<Noise>>,
}

impl<E: Element> WeightDrop<E> {
    /// `id` tells the masks of a model apart.
    pub(crate) fn of(id: u64, rate: f64) -> Option<Self> {
        let (values, masked, factors) = (vec![], vec![], vec![]);
        let new = Self { id, rate, values, masked, factors, backward: false, packed: None };
        (rate > 0.0).then_some(new)
    }

    /// Takes over new weights.
    pub(crate) fn load(&mut self, values: &[E], backward: bool) {
        self.values.clear();
        self.values.extend_from_slice(values);
        (self.backward, self.packed) = (backward, None);
    }

    /// The weights to pack for a pass, and whether for backward too; none where they are packed. `r` is
    /// where those stand that are dropped, in rows of `width`.
    pub(crate) fn due(
        &mut self,
        engine: Engine,
        mode: Mode,
        (r, width): (Range<usize>, usize),
    ) -> Option<(&[E], bool)> {
        let noise = match mode {
            Mode::Infer => None,
            Mode::Train(noise) => Some(noise),
        };
        if self.packed == Some(noise) {
            return None;
        }
        self.packed = Some(noise);
        let Some(noise) = noise else { return Some((&self.values, self.backward)) };
        let source = Factors::new(noise, Kind::Weights, self.id, self.rate);
        self.factors.resize(r.len(), E::default());
        let rows = self.factors.chunks_mut(width.max(1)).enumerate();
        each(engine.threads_over(r.len()), rows, |(row, factors)| {
            let mut next = source.of(row as u64);
            factors.iter_mut().for_each(|factor| *factor = next());
        });
        self.masked.clone_from(&self.values);
        for (value, factor) in self.masked[r].iter_mut().zip(&self.factors) {
            *value = *value * *factor;
        }
        Some((&self.masked, self.backward))
    }

    /// Turns the gradient of the masked weights into that of the weights.
    pub(crate) fn backward(&self, d_r: &mut [E]) {
        d_r.iter_mut().zip(&self.factors).for_each(|(d, factor)| *d = *d * *factor);
    }
}
