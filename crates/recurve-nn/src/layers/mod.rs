//! The layers of a model: forward, and backward beside it.
//!
//! Between layers flow rows, one for each real step of each sequence in the order of
//! [`Order`], or one for each sequence after pooling. A layer owns its output and the
//! gradient of its input, and reuses their memory from batch to batch.

mod dropout;
mod embedding;
mod linear;
mod norm;
mod pool;
mod stack;

pub(crate) use dropout::{Dropout, Mask};
pub(crate) use embedding::Embedding;
pub(crate) use linear::Linear;
pub(crate) use norm::LayerNorm;
pub(crate) use pool::Pool;
pub(crate) use stack::Stack;

use crate::batch::Order;
use crate::memory::Memory;
use crate::state::Part;
use recurve_kernels::{Buffer, Element, Engine, Keep, Rows, RowsMut};

/// The source of dropout: the same numbers for the same seed and step, whoever computes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    /// The seed of the run.
    pub seed: u64,
    /// The number of the batch.
    pub step: u64,
}

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The output only. Nothing is kept, nothing is dropped.
    Infer,
    /// A backward pass will follow. Dropout draws from the noise.
    Train(Noise),
}

/// What is the same for all layers of a pass.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) order: &'a Order,
    pub(crate) resets: &'a [bool],
    pub(crate) mode: Mode,
    pub(crate) memory: Memory,
}

impl Context<'_> {
    /// What a recurrent layer keeps of a forward pass.
    pub(crate) fn keep(&self) -> Keep {
        match (self.mode, self.memory) {
            (Mode::Infer, _) => Keep::Nothing,
            (Mode::Train(_), Memory::Low) => Keep::States,
            (Mode::Train(_), Memory::Full) => Keep::Columns,
        }
    }
}

/// What a layer reads.
#[derive(Clone, Copy)]
pub(crate) enum Signal<'a, E> {
    Tokens(&'a [u32]),
    Rows(Rows<'a, E>),
}

impl<'a, E: Element> Signal<'a, E> {
    /// The rows of a layer that does not read tokens.
    fn rows(self) -> Rows<'a, E> {
        match self {
            Self::Rows(rows) => rows,
            Self::Tokens(_) => {
                unreachable!("a description puts an embedding first where it reads tokens")
            }
        }
    }
}

/// A layer with its weights in the form it needs them, its output and its room.
pub(crate) trait Node<E: Element>: Send + Sync {
    /// Takes over the weights of the model; for backward too if asked.
    fn load(&mut self, values: &[E], backward: bool) {
        let _ = (values, backward);
    }
    /// Computes the output; replaces the states of the layer by those after the batch.
    fn forward(&mut self, context: &Context<'_>, input: Signal<'_, E>, states: &mut [Part<E>]);
    /// The output of the last forward pass.
    fn output(&self) -> Rows<'_, E>;
    /// From the gradient of the output: that of the input, if wanted, and of the weights. Replaces
    /// the gradients of the states after the batch by those of the states before it.
    fn backward(&mut self, context: &Context<'_>, input: Signal<'_, E>, errors: Back<'_, E>);
    /// The gradient of the input.
    fn d_input(&self) -> Rows<'_, E>;
}

/// What goes into a backward pass of a layer.
pub(crate) struct Back<'a, E> {
    pub(crate) dy: Rows<'a, E>,
    pub(crate) d_states: &'a mut [Part<E>],
    pub(crate) input_wanted: bool,
    /// The gradient of all weights of the model.
    pub(crate) gradients: &'a mut [E],
}

/// Rows that a layer owns.
#[derive(Debug)]
pub(crate) struct Flow<E: Element> {
    data: Buffer<E>,
    width: usize,
    stride: usize,
}

impl<E: Element> Flow<E> {
    /// Rows close to each other.
    pub(crate) fn tight(width: usize) -> Self {
        Self { data: Buffer::new(), width, stride: width }
    }
    /// Rows with room for whole vectors.
    pub(crate) fn padded(engine: Engine, width: usize) -> Self {
        Self { data: Buffer::new(), width, stride: engine.padded::<E>(width) }
    }
    pub(crate) fn resize(&mut self, rows: usize) {
        self.data.resize(rows * self.stride);
    }
    pub(crate) fn rows(&self) -> Rows<'_, E> {
        Rows::new(&self.data, self.width, self.stride)
    }
    pub(crate) fn rows_mut(&mut self) -> RowsMut<'_, E> {
        RowsMut::new(&mut self.data, self.width, self.stride)
    }
    pub(crate) fn row_mut(&mut self, at: usize) -> &mut [E] {
        &mut self.data[at * self.stride..][..self.width]
    }
    pub(crate) fn data_mut(&mut self) -> &mut [E] {
        &mut self.data
    }
}
