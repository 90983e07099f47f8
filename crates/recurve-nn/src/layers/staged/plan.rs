//! What the steps of a staged layer consist of, and where its numbers stand.

use crate::cells;
use crate::description::{CellKind, Recurrent};
use recurve_cell::staged::{CoupledMemory, Masked, MaskedGru, Memory, Output};
use recurve_cell::{Cell, Sees, Sightless};
use recurve_kernels::{CellKernels, Element, Engine, Isa, Precision};
use std::ops::Range;

/// The sizes of a layer, and what its columns are.
///
/// A row of columns has `count` columns of `unit` numbers: the units, and room up to whole vectors. The
/// input product fills those of `input`, the recurrent product those of `recurrent`; what is left is for
/// factors of candidates and for arguments of an output.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) input: usize,
    pub(super) hidden: usize,
    /// Values of an output row: units, or the projection of them.
    pub(super) out: usize,
    /// The same with room for whole vectors.
    pub(super) unit: usize,
    pub(super) out_row: usize,
    /// Values of the operand of the recurrent product: the output, and the gates where they are fed back.
    pub(super) operand: usize,
    pub(super) count: usize,
    /// Columns that the products fill, and the gate of each.
    pub(super) input_columns: Range<usize>,
    pub(super) input_gates: &'static [usize],
    pub(super) recurrent_columns: Range<usize>,
    pub(super) recurrent_gates: &'static [usize],
    /// Columns that are normalised together, counted from the first of each product.
    pub(super) input_parts: Vec<Range<usize>>,
    pub(super) recurrent_parts: Vec<Range<usize>>,
    /// Whether the cell has a state beside `h`.
    pub(super) has_c: bool,
    /// The column of an output that is apart from its memory, which the argument of its tanh follows.
    pub(super) output_column: Option<usize>,
    /// Whether column 0 holds factors.
    pub(super) factors: bool,
    pub(super) norm: bool,
    pub(super) projection: bool,
    pub(super) projection_clip: f64,
    /// The columns of gates that are fed back; empty if none are.
    pub(super) fed_back: Vec<usize>,
    /// Probabilities, or in inference weights, of the values before a step.
    pub(super) zoneout: [f64; 2],
    pub(super) recurrent_dropout: f64,
    pub(super) candidate_dropout: f64,
    /// Peephole weights of the first function and of the output.
    pub(super) peepholes: [usize; 2],
}

/// The functions of a step.
pub(super) struct Functions<E: Element> {
    pub(super) main: CellKernels<E>,
    pub(super) output: Option<CellKernels<E>>,
}

/// Whether the LSTM is run in two parts, something happening in between.
fn is_cut(stack: &Recurrent) -> bool {
    stack.layer_norm || stack.candidate_dropout > 0.0
}

fn is_lstm(cell: CellKind) -> bool {
    use CellKind::{Lstm, LstmCoupled, LstmCoupledPeephole, LstmPeephole};
    matches!(cell, Lstm | LstmPeephole | LstmCoupled | LstmCoupledPeephole)
}

impl<E: Element> Functions<E> {
    /// An LSTM in two parts, its memory with factors of candidates or without.
    fn apart<M: Cell, O: Cell>(memory: M, masked: bool, output: O, isa: Isa) -> Self
    where
        Masked<M>: Cell,
    {
        let main = if masked {
            CellKernels::of(Masked(memory), isa)
        } else {
            CellKernels::of(memory, isa)
        };
        Self { main, output: Some(CellKernels::of(output, isa)) }
    }

    pub(super) fn new(stack: &Recurrent, isa: Isa) -> Self {
        let clip = stack.clip_state.unwrap_or(f64::INFINITY);
        let cut = is_cut(stack);
        let masked = stack.candidate_dropout > 0.0;
        match stack.cell {
            CellKind::Lstm if cut => {
                Self::apart(Memory { peephole: Sightless, clip }, masked, Output(Sightless), isa)
            }
            CellKind::LstmPeephole if cut => {
                Self::apart(Memory { peephole: Sees, clip }, masked, Output(Sees), isa)
            }
            CellKind::LstmCoupled if cut => {
                let memory = CoupledMemory { peephole: Sightless, clip };
                Self::apart(memory, masked, Output(Sightless), isa)
            }
            CellKind::LstmCoupledPeephole if cut => {
                Self::apart(CoupledMemory { peephole: Sees, clip }, masked, Output(Sees), isa)
            }
            CellKind::Gru if stack.candidate_dropout > 0.0 => {
                Self { main: CellKernels::of(MaskedGru, isa), output: None }
            }
            _ => Self { main: cells::kernels(stack, isa), output: None },
        }
    }
}

impl Plan {
    pub(super) fn new<E: Element>(
        engine: Engine,
        stack: &Recurrent,
        input: usize,
        functions: &Functions<E>,
    ) -> Self {
        let main = &functions.main;
        let hidden = stack.hidden;
        let engine = engine.with_precision(Precision::Full);
        let out = stack.projection.unwrap_or(hidden);
        let factors = stack.candidate_dropout > 0.0;
        // The memory's own columns, and the gate and the argument of an output.
        let count = main.columns() + if functions.output.is_some() { 2 } else { 0 };
        let first = usize::from(factors);
        let (input_gates, recurrent_gates): (&[usize], &[usize]) =
            match (functions.output.is_some(), main.columns() - first) {
                (true, 3) => (&[0, 1, 2, 3], &[0, 1, 2, 3]),
                (true, _) => (&[0, 1, 2], &[0, 1, 2]),
                (false, _) => (main.input_order(), main.recurrent_order()),
            };
        let last = if functions.output.is_some() { count - 1 } else { count };
        // The GRU's candidate is normalised apart from its gates: the products of its two sides meet
        // after the reset.
        let parts = |gates: &[usize]| match (stack.cell, gates) {
            (CellKind::Gru, [2, ..]) => vec![0..1, 1..3],
            (CellKind::Gru, _) => vec![0..2, 2..3],
            _ => std::iter::once(0..gates.len()).collect(),
        };
        let fed_back = if stack.gate_recurrence { vec![0, 1, 3] } else { vec![] };
        Self {
            input,
            hidden,
            out,
            unit: engine.padded::<E>(hidden),
            out_row: engine.padded::<E>(out),
            operand: out + fed_back.len() * hidden,
            count,
            input_columns: first..first + input_gates.len(),
            input_gates,
            recurrent_columns: last - recurrent_gates.len()..last,
            recurrent_gates,
            input_parts: parts(input_gates),
            recurrent_parts: parts(recurrent_gates),
            has_c: is_lstm(stack.cell),
            output_column: functions.output.as_ref().map(|_| main.columns()),
            factors,
            norm: stack.layer_norm,
            projection: stack.projection.is_some(),
            projection_clip: stack.projection_clip.unwrap_or(f64::INFINITY),
            fed_back,
            zoneout: [stack.zoneout, stack.zoneout_cell],
            recurrent_dropout: stack.recurrent_dropout,
            candidate_dropout: stack.candidate_dropout,
            peepholes: [
                main.peepholes(),
                functions.output.as_ref().map_or(0, CellKernels::peepholes),
            ],
        }
    }

    /// Numbers of a row of columns.
    pub(super) fn row(&self) -> usize {
        self.count * self.unit
    }
    /// Numbers of the sums of a product.
    pub(super) fn input_row(&self) -> usize {
        self.input_columns.len() * self.unit
    }
    pub(super) fn recurrent_row(&self) -> usize {
        self.recurrent_columns.len() * self.unit
    }
    /// Distance of the rows of the operand of the recurrent product, where it is not the output alone.
    pub(super) fn operand_row(&self) -> usize {
        self.operand.next_multiple_of(16)
    }
    /// Whether the operand of the recurrent product is the output of the step before as it stands.
    pub(super) fn is_plain_operand(&self) -> bool {
        self.recurrent_dropout == 0.0 && self.fed_back.is_empty()
    }
    /// Numbers that are carried beside `h`.
    pub(super) fn carried(&self) -> usize {
        if self.has_c { self.hidden * (1 + self.fed_back.len()) } else { 0 }
    }
    /// Numbers of the sums of gradients that are formed step by step: of the columns, of gains and of
    /// peepholes.
    pub(super) fn sums(&self) -> usize {
        let gains =
            if self.norm { self.input_row() + self.recurrent_row() + 2 * self.unit } else { 0 };
        self.row() + gains + (self.peepholes[0] + self.peepholes[1]) * self.unit
    }
}
