//! Few sequences at a time, and weights in 8 and 16 bits.
//!
//! One step of one sequence multiplies every weight once. Its time is the time that it takes to read the
//! weights, and all is arranged around that:
//!
//! - Weights may be narrow: `bf16`, multiplied by `f32`, or 8 bits with a scale per row, multiplied by
//!   inputs and states that are rounded to 8 bits at every step with a scale per vector. States, sums of
//!   different scales, biases and the cell are in `f32`.
//! - Members share out the units, so that each reads its part of the weights from its own cache, step
//!   after step. A small layer runs on one: a meeting costs as much as reading some ten thousand weights.
//! - One step goes through the blocks upwards, the next one downwards. What was read last is read first,
//!   and of weights larger than the cache, a cache's worth is still there.
//! - A batch of one step, as a stream makes, has no meeting at all: its parts depend on nothing but the
//!   step before, and what a late worker has not begun, the caller does.
//!
//! Every sum of `f32` is the same chain of additions as in the products of large batches, and sums of
//! 8 bits are exact: the same sequence gives the same bits alone, in a batch, step by step, on any number
//! of threads.

pub(crate) mod kernel;
mod matrix;
mod narrow;
mod pass;

pub use narrow::{bf16_of, int8_of, int8_scale};
pub(super) use pass::SweepRoom;

use crate::Engine;
use crate::element::Element;
use crate::engine::Precision;
use crate::recurrent::RecurrentLayer;
use crate::recurrent::cell::CellKernels;
use crate::recurrent::layout::Layout;
use crate::recurrent::weights::{Part, Weights};
use matrix::Matrix;

/// The weights of a layer in the form that sweeps read: input, first and second recurrent product.
#[derive(Debug, Default)]
pub(super) struct NarrowWeights {
    matrices: [Matrix; 3],
}

/// The most products in a sum of 8-bit numbers: beyond, it might not fit into 32 bits.
pub const INT8_DEPTH: usize = 1 << 17;

/// The parts of a layer's weights.
pub(super) fn parts_of<E: Element>(cell: &CellKernels<E>, layout: &Layout) -> [Part; 3] {
    [Part::input(cell, layout), Part::first(cell, layout), Part::second(cell, layout)]
}

impl NarrowWeights {
    pub(super) fn new<E: Element>(
        engine: Engine,
        cell: &CellKernels<E>,
        layout: &Layout,
        weights: Weights<'_, E>,
    ) -> Self {
        let [w, first, second] = parts_of(cell, layout);
        let precision = engine.precision();
        let input = Matrix::form_of_input(precision, layout.input);
        let form = Matrix::form(precision);
        Self {
            matrices: [
                Matrix::new(input, layout, &w, weights.w),
                Matrix::new(form, layout, &first, weights.r),
                Matrix::new(form, layout, &second, weights.r),
            ],
        }
    }

    fn matrices(&self) -> &[Matrix; 3] {
        &self.matrices
    }

    /// Whether there are weights in 8 or 16 bits.
    pub(super) fn is_narrow(&self) -> bool {
        self.are_full().contains(&false)
    }

    /// Whether each of the three is in the layer's own numbers.
    pub(super) fn are_full(&self) -> [bool; 3] {
        std::array::from_fn(|at| self.matrices[at].form == kernel::Form::Full)
    }
}

/// `weights` rounded to 8 bits with one scale per row of `depth`.
pub(super) fn rounded_to_int8<E: Element>(weights: &[E], depth: usize) -> Vec<E> {
    let mut rounded = Vec::with_capacity(weights.len());
    for row in weights.chunks(depth.max(1)) {
        let row: Vec<f32> = row.iter().map(|w| w.to_f64() as f32).collect();
        let scale = int8_scale(&row);
        let value = |w: &f32| E::from_f64(f64::from(f32::from(int8_of(*w, scale)) * scale));
        rounded.extend(row.iter().map(value));
    }
    rounded
}

impl<E: Element> RecurrentLayer<E> {
    /// Whether a forward pass over `batch` sequences that nothing is kept of is a sweep.
    pub(super) fn is_swept(&self, batch: usize) -> bool {
        match self.engine.precision() {
            Precision::Full => batch == 1,
            Precision::Bf16 => self.narrow.is_narrow() && (batch == 1 || self.half.is_none()),
            Precision::Int8 => self.narrow.is_narrow(),
        }
    }
}
