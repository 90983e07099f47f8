//! The layers of a model: forward, and backward beside it.
//!
//! Between layers flow rows, one for each real step of each sequence in the order of
//! [`Order`], or one for each sequence after pooling. A layer owns its output and the
//! gradient of its input, and reuses their memory from batch to batch.

mod attention;
mod attention_pool;
mod direction;
mod dropout;
mod embedding;
mod kernel;
mod linear;
mod link;
mod matrix;
mod norm;
mod pool;
mod segments;
mod self_attention;
mod side;
mod stack;
mod staged;
mod tcn;
mod transformer;
mod transitions;
mod weight_drop;
mod words;

pub(crate) use attention_pool::AttentionPool;
pub(crate) use direction::Ranges;
pub(crate) use dropout::{Dropout, Mask};
pub(crate) use embedding::Embedding;
pub(crate) use linear::Linear;
pub(crate) use matrix::Shape;
pub(crate) use norm::LayerNorm;
pub(crate) use pool::{Ends, Pool};
pub(crate) use segments::Segments;
pub(crate) use self_attention::AttentionLayer;
pub(crate) use stack::Stack;
pub(crate) use tcn::TcnStack;
pub(crate) use transformer::TransformerStack;
pub(crate) use transitions::Transitions;
pub(crate) use words::WordVectors;

use crate::batch::{Order, Words};
use crate::error::Result;
use crate::memory::Memory;
use crate::state::Part;
use crate::trace::LayerTrace;
use recurve_kernels::{Buffer, Element, Engine, Keep, Rows, RowsMut, each};
use std::ops::Range;

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

/// What receives the outputs of a model as they come: some rows after the others, each piece with the
/// numbers of its rows in the order of [`Order`] (or of the sequences, after pooling). It may overwrite
/// them; in training, it replaces them by the gradients of what is minimised.
pub type Judge<'a, E> = dyn FnMut(Range<usize>, &mut [E]) + 'a;

/// What is the same for all layers of a pass.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) order: &'a Order,
    pub(crate) resets: &'a [bool],
    pub(crate) mode: Mode,
    pub(crate) memory: Memory,
    /// Whether everything is kept, to be looked at.
    pub(crate) traced: bool,
    /// Whether the states before the batch were given; else they are the initial ones of the model.
    pub(crate) given: bool,
    /// The sequences that resets cut the batch into, for layers that ask for it.
    pub(crate) segments: Option<&'a Segments>,
}

impl Context<'_> {
    /// What a recurrent layer keeps of a forward pass.
    pub(crate) fn keep(&self) -> Keep {
        match (self.mode, self.memory) {
            _ if self.traced => Keep::Columns,
            (Mode::Infer, _) => Keep::Nothing,
            (Mode::Train(_), Memory::Low) => Keep::States,
            (Mode::Train(_), Memory::Full) => Keep::Columns,
        }
    }

    /// For each row, the step of the last reset in the batch at its step or before.
    pub(crate) fn since(&self, to: &mut Vec<Option<usize>>) {
        let steps = self.order.steps();
        to.clear();
        to.resize(steps.rows(), None);
        if self.resets.is_empty() {
            return;
        }
        for t in 0..steps.count() {
            for at in 0..steps.active(t) {
                let row = steps.first_row(t) + at;
                let before = t.checked_sub(1).and_then(|t| to[steps.first_row(t) + at]);
                to[row] = if self.resets[row] { Some(t) } else { before };
            }
        }
    }

    /// How many steps of each sequence, in the caller's order, lie before the batch, as `counts` says;
    /// that becomes the number after it. `since` is as [`Context::since`] has it.
    pub(crate) fn count<E: Element>(
        &self,
        since: &mut Vec<Option<usize>>,
        before: &mut Vec<usize>,
        counts: &mut Part<E>,
    ) {
        self.since(since);
        before.extend(counts.h.iter().map(|count| count.to_f64() as usize));
        let steps = self.order.steps();
        for (place, b) in self.order.sequences().iter().enumerate() {
            let length = steps.lengths()[place];
            let last = length.checked_sub(1).and_then(|t| since[steps.first_row(t) + place]);
            let now = last.map_or(before[*b] + length, |since| length - since);
            counts.h[*b] = E::from_f64(now as f64);
        }
    }
}

/// What a layer reads.
#[derive(Clone, Copy)]
pub(crate) enum Signal<'a, E> {
    Tokens(&'a [u32]),
    /// The tokens and forms row by row.
    Words(Words<'a>),
    Rows(Rows<'a, E>),
}

impl<'a, E: Element> Signal<'a, E> {
    /// The rows of a layer that does not read tokens.
    fn rows(self) -> Rows<'a, E> {
        match self {
            Self::Rows(rows) => rows,
            Self::Tokens(_) | Self::Words(_) => {
                unreachable!("a description puts vectors first where it reads tokens or words")
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
    /// Sets the states of the layer to those before the first step, where they are not zero.
    fn begin(&self, states: &mut [Part<E>]) {
        let _ = states;
    }
    /// Refuses a batch that does not fit.
    fn check(&self, context: &Context<'_>, states: &[Part<E>]) -> Result<()> {
        let _ = (context, states);
        Ok(())
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
    /// Everything that recurrent layers kept of the last pass, if they were asked to; `name` is that of
    /// the layer.
    fn trace(&self, context: &Context<'_>, name: &str, to: &mut Vec<LayerTrace<E>>) {
        let _ = (context, name, to);
    }
    /// How much each row of the last pass weighed, where the layer weighs rows.
    fn weights(&self) -> Option<&[E]> {
        None
    }
    /// The layer as one whose outputs can come piece by piece, if it is one.
    fn head(&mut self) -> Option<&mut Linear<E>> {
        None
    }
}

/// What goes into a backward pass of a layer.
pub(crate) struct Back<'a, E> {
    pub(crate) dy: Rows<'a, E>,
    pub(crate) d_states: &'a mut [Part<E>],
    pub(crate) input_wanted: bool,
    /// The gradient of all weights of the model.
    pub(crate) gradients: &'a mut [E],
}

/// Numbers that one thread takes at a time where rows are shared out.
pub(crate) const PIECE: usize = 1 << 14;

/// Some rows of a [`Flow`].
pub(crate) struct Piece<'a, E> {
    data: &'a mut [E],
    width: usize,
    stride: usize,
}

impl<E> Piece<'_, E> {
    pub(crate) fn rows(&mut self) -> impl Iterator<Item = &mut [E]> {
        let width = self.width;
        self.data.chunks_mut(self.stride.max(1)).map(move |row| &mut row[..width])
    }
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
    /// Some of the rows, to write.
    pub(crate) fn part_mut(&mut self, rows: Range<usize>) -> RowsMut<'_, E> {
        let data = &mut self.data[rows.start * self.stride..rows.end * self.stride];
        RowsMut::new(data, self.width, self.stride)
    }
    pub(crate) fn row_mut(&mut self, at: usize) -> &mut [E] {
        &mut self.data[at * self.stride..][..self.width]
    }
    /// Pieces of some rows each, with the number of the first.
    pub(crate) fn pieces(&mut self) -> impl Iterator<Item = (usize, Piece<'_, E>)> + Send {
        let (width, stride) = (self.width, self.stride);
        let size = (PIECE / stride.max(1)).max(1);
        let pieces = self.data.chunks_mut((size * stride).max(1)).enumerate();
        pieces.map(move |(at, data)| (at * size, Piece { data, width, stride }))
    }
    /// Fills every row, on the threads that this is worth.
    pub(crate) fn fill_rows(&mut self, engine: Engine, fill: impl Fn(usize, &mut [E]) + Sync) {
        let threads = engine.threads_over(self.data.len());
        each(threads, self.pieces(), |(first, mut piece)| {
            for (at, row) in piece.rows().enumerate() {
                fill(first + at, row);
            }
        });
    }
    pub(crate) fn data_mut(&mut self) -> &mut [E] {
        &mut self.data
    }
}
