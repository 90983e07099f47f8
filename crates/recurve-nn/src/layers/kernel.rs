//! What takes the steps of one direction of one layer.

use super::direction::Ranges;
use super::matrix::MatrixLstm;
use super::staged::{Numbering, StageRanges, Staged};
use super::{Context, Mode};
use crate::cells;
use crate::description::Recurrent;
use crate::parameters::Entries;
use recurve_kernels::{Element, Engine, Errors, RecurrentLayer, Rows, Sequences, Steps, Tape};

pub(super) enum Kernel<E: Element> {
    /// A cell, whose steps wait for each other.
    Cells(Box<Cells<E>>),
    /// The memory that is a matrix.
    Matrix(Box<MatrixLstm<E>>),
    /// A cell in whose steps something happens besides.
    Staged(Box<Staged<E>>),
    /// The same where it happens in training alone: else its steps are plain ones.
    Dropped { training: Box<Staged<E>>, plain: Box<Cells<E>>, trains: bool },
}

/// The fused layer of the kernels.
pub(super) struct Cells<E: Element> {
    layer: RecurrentLayer<E>,
    tape: Tape<E>,
}

impl<E: Element> Kernel<E> {
    /// The weights are those called `prefix`; `id` tells the noise of the layer and direction from that of
    /// others.
    pub(super) fn new(
        engine: Engine,
        stack: &Recurrent,
        input: usize,
        (entries, prefix): (&Entries, &str),
        id: u64,
    ) -> Self {
        if let Some(shape) = stack.matrix_memory(input) {
            return Self::Matrix(Box::new(MatrixLstm::new(engine, shape, (entries, prefix))));
        }
        let staged =
            || Box::new(Staged::new(engine, stack, input, StageRanges::new(entries, prefix), id));
        if stack.is_staged_in_inference() {
            return Self::Staged(staged());
        }
        let kernels = cells::kernels(stack, engine.isa());
        let layer = RecurrentLayer::new(engine, kernels, input, stack.hidden);
        let plain = Box::new(Cells { layer, tape: Tape::new() });
        if stack.is_staged() {
            return Self::Dropped { training: staged(), plain, trains: false };
        }
        Self::Cells(plain)
    }

    /// Takes over the weights of the model; or, of a cell alone, those at `ranges` of others.
    pub(super) fn load(&mut self, ranges: &Ranges, values: &[E], backward: bool) {
        match self {
            Self::Cells(cells) => cells.layer.set_weights(ranges.read(values), backward),
            Self::Matrix(layer) => layer.load(values, backward),
            Self::Staged(layer) => layer.load(values, backward),
            Self::Dropped { training, plain, trains } => {
                *trains = backward;
                if backward {
                    training.load(values, true);
                } else {
                    plain.layer.set_weights(ranges.read(values), false);
                }
            }
        }
    }

    /// Runs a batch; its states after the last step of each sequence go to `after`.
    pub(super) fn forward(
        &mut self,
        context: &Context<'_>,
        batch: &Sequences<'_, E>,
        after: &mut [Vec<E>; 2],
    ) {
        let [h, c] = after;
        let sequences = match context.segments {
            // The stretches of sequences are sequences of their own.
            Some(_) => Numbering::OfPass,
            None => Numbering::OfCaller(context.order.sequences()),
        };
        match self {
            Self::Cells(cells) | Self::Dropped { plain: cells, trains: false, .. } => {
                cells.layer.forward(batch, context.keep(), &mut cells.tape, [h, c]);
            }
            Self::Matrix(layer) => {
                h.copy_from_slice(batch.initial[0]);
                c.copy_from_slice(batch.initial[1]);
                layer.forward(batch, context.mode != Mode::Infer, c, h);
            }
            Self::Staged(layer) | Self::Dropped { training: layer, .. } => {
                layer.forward(batch, context.mode, sequences, [h, c]);
            }
        }
    }

    /// The output of the last pass.
    pub(super) fn output(&self) -> Rows<'_, E> {
        match self {
            Self::Cells(cells) | Self::Dropped { plain: cells, trains: false, .. } => {
                cells.tape.output()
            }
            Self::Matrix(layer) => layer.output(),
            Self::Staged(layer) | Self::Dropped { training: layer, .. } => layer.output(),
        }
    }

    /// The columns and the states that a pass over `steps` kept, unit by unit, of a plain cell; of others
    /// nothing.
    pub(super) fn read(&self, steps: &Steps, hidden: usize) -> (Vec<E>, Vec<E>) {
        match self {
            Self::Cells(cells) | Self::Dropped { plain: cells, trains: false, .. } => {
                let (columns, states) = cells.layer.kept();
                let room = |count: usize| vec![E::default(); count * steps.rows() * hidden];
                let (mut columns, mut states) = (room(columns), room(states));
                cells.layer.read(&cells.tape, steps, &mut columns, &mut states);
                (columns, states)
            }
            Self::Matrix(_) | Self::Staged(_) | Self::Dropped { .. } => (vec![], vec![]),
        }
    }

    /// Goes back through the last batch; overwrites the gradients of its weights among `gradients`.
    pub(super) fn backward(
        &mut self,
        ranges: &Ranges,
        batch: &Sequences<'_, E>,
        errors: Errors<'_, E>,
        gradients: &mut [E],
    ) {
        match self {
            Self::Cells(cells) | Self::Dropped { plain: cells, trains: false, .. } => {
                let gradients = ranges.write(gradients);
                cells.layer.backward(batch, &mut cells.tape, errors, gradients);
            }
            Self::Matrix(layer) => {
                let [d_h, d_memory] = errors.d_initial;
                // No step sees an output: the one before the batch matters to a sequence without steps alone.
                d_h.fill(E::default());
                let width = d_h.len() / batch.steps.batch().max(1);
                for (b, &length) in batch.steps.lengths().iter().enumerate() {
                    let own = b * width..(b + 1) * width;
                    if length == 0 && !errors.d_last[0].is_empty() {
                        d_h[own.clone()].copy_from_slice(&errors.d_last[0][own]);
                    }
                }
                d_memory.copy_from_slice(errors.d_last[1]);
                let errors = Errors { d_initial: [&mut [], &mut []], ..errors };
                layer.backward(batch, errors, d_memory, gradients);
            }
            Self::Staged(layer) | Self::Dropped { training: layer, .. } => {
                layer.backward(batch, errors, gradients);
            }
        }
    }
}
