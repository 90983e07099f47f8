//! What a layer remembers of a forward pass, and the room that its passes need.

use crate::element::Element;
use crate::memory::{Buffer, Rows};
use crate::recurrent::Sequences;
use crate::recurrent::cell::CellKernels;
use crate::recurrent::forward::Keep;
use crate::recurrent::gradients::copies;
use crate::recurrent::half::HalfTape;
use crate::recurrent::layout::{Gates, Layout, state_rows};
use crate::recurrent::steps::Steps;
use crate::recurrent::sweep::SweepRoom;
use crate::recurrent::weights::Part;

/// The states of every step, what the cells keep for backward, and scratch. Reused from batch to
/// batch; nothing is allocated once it has grown to the largest.
#[derive(Debug, Default)]
pub struct Tape<E: Element> {
    pub(crate) gates: Buffer<E>,
    /// States: the initial ones, then those after each step; `h`, and all others.
    pub(crate) h: Buffer<E>,
    pub(crate) c: Buffer<E>,
    /// States before each step, where resets make them differ from those after the step before.
    pub(crate) h_in: Buffer<E>,
    pub(crate) c_in: Buffer<E>,
    /// The operand of the second product at every step.
    pub(crate) operand: Buffer<E>,
    /// What the forward pass kept.
    pub(crate) kept: Keep,
    pub(crate) room: Room<E>,
    /// Operands of `bf16`, where products are.
    pub(super) half: HalfTape,
    pub(crate) sweep: SweepRoom,
    h_row: usize,
    batch: usize,
    hidden: usize,
}

/// What the backward pass works with.
#[derive(Debug, Default)]
pub(crate) struct Room<E: Element> {
    pub(crate) d_h: Buffer<E>,
    pub(crate) d_c: Buffer<E>,
    pub(crate) d_operand: Buffer<E>,
    /// Gradients in packed form.
    pub(crate) d_w: Buffer<E>,
    pub(crate) d_first: Buffer<E>,
    pub(crate) d_second: Buffer<E>,
    pub(crate) d_peepholes: Buffer<E>,
    /// Operands of the gradients, copied, for each thread.
    pub(crate) copies: Buffer<E>,
    /// A block's units for each thread.
    pub(crate) scratch: Buffer<E>,
    pub(crate) zeros: Buffer<E>,
}

impl<E: Element> Room<E> {
    /// Makes room for a batch, and starts from the gradients of the last states.
    pub(crate) fn prepare(
        &mut self,
        layout: &Layout,
        cell: &CellKernels<E>,
        (steps, chunk): (&Steps, usize),
        threads: usize,
        d_last: [&[E]; 2],
    ) {
        let count = steps.batch();
        self.start(layout, count, d_last);
        let size = |part: Part| layout.blocks * (part.depth + 1) * part.width(layout);
        self.d_w.resize(size(Part::input(cell, layout)));
        self.d_first.resize(size(Part::first(cell, layout)));
        self.d_second.resize(size(Part::second(cell, layout)));
        self.d_peepholes.resize(layout.blocks * cell.peepholes * layout.unit);
        self.d_peepholes.fill(E::default());
        let rows = chunk.min(steps.count()) * count;
        self.copies.resize(threads * copies(layout, rows, count));
        self.scratch.resize(threads * scratch(layout));
        self.zeros.resize(layout.row().max(64));
    }

    /// Starts from the gradients of the last states.
    pub(crate) fn start(&mut self, layout: &Layout, count: usize, [d_h, d_c]: [&[E]; 2]) {
        let hidden = layout.hidden;
        self.d_h.resize(count * layout.h_row());
        self.d_h.fill(E::default());
        for (to, from) in self.d_h.chunks_exact_mut(layout.h_row()).zip(d_h.chunks_exact(hidden)) {
            to[..hidden].copy_from_slice(from);
        }
        if layout.states > 1 {
            self.d_c.resize(count * layout.c_row());
            copy_to_blocks(layout, d_c, count, &mut self.d_c);
        }
        self.d_operand.resize(if layout.second > 0 { count * layout.h_row() } else { 0 });
    }

    /// Writes the gradients of the initial states, where they are wanted.
    pub(crate) fn leave(&self, layout: &Layout, count: usize, [d_h, d_c]: [&mut [E]; 2]) {
        let hidden = layout.hidden;
        for (to, from) in d_h.chunks_exact_mut(hidden).zip(self.d_h.chunks_exact(layout.h_row())) {
            to.copy_from_slice(&from[..hidden]);
        }
        if layout.states > 1 {
            copy_from_blocks(layout, &self.d_c, count, d_c);
        }
    }
}

impl<E: Element> Tape<E> {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    /// The output of the last forward pass: one row of `H` per row of its steps.
    pub fn output(&self) -> Rows<'_, E> {
        Rows::new(&self.h[self.batch * self.h_row..], self.hidden, self.h_row)
    }

    pub(crate) fn prepare(&mut self, layout: &Layout, batch: &Sequences<'_, E>, gates: usize) {
        let steps = batch.steps;
        (self.h_row, self.batch, self.hidden) = (layout.h_row(), steps.batch(), layout.hidden);
        let states = steps.batch() + steps.rows();
        self.gates.resize(gates);
        self.h.resize(states * layout.h_row());
        if layout.states > 1 {
            self.c.resize(states * layout.c_row());
        }
        if !batch.resets.is_empty() {
            self.h_in.resize(steps.rows() * layout.h_row());
            self.c_in.resize(if layout.states > 1 { steps.rows() * layout.c_row() } else { 0 });
        }
        if layout.second > 0 {
            self.operand.resize(steps.rows() * layout.h_row());
        }
        self.set_initial(layout, batch);
    }

    /// # Panics
    /// Where the tape does not hold a forward pass of such a layer over such a batch.
    pub(crate) fn check(&self, layout: &Layout, batch: &Sequences<'_, E>) {
        let steps = batch.steps;
        let states = steps.batch() + steps.rows();
        let before = if batch.resets.is_empty() { 0 } else { steps.rows() };
        let two = usize::from(layout.states > 1);
        let second = usize::from(layout.second > 0);
        let holds = self.kept != Keep::Nothing
            && (self.h_row, self.batch, self.hidden)
                == (layout.h_row(), steps.batch(), layout.hidden)
            && (self.kept != Keep::Columns
                || self.gates.len() == GatePlan::Kept.len(layout, steps))
            && self.h.len() >= states * layout.h_row()
            && self.c.len() >= two * states * layout.c_row()
            && self.h_in.len() >= before * layout.h_row()
            && self.c_in.len() >= two * before * layout.c_row()
            && self.operand.len() >= second * steps.rows() * layout.h_row();
        assert!(
            holds,
            "the tape holds a forward pass of this layer over this batch, its gates kept"
        );
    }

    fn set_initial(&mut self, layout: &Layout, batch: &Sequences<'_, E>) {
        let (hidden, count) = (layout.hidden, batch.steps.batch());
        let [h, c] = batch.initial;
        for (b, row) in self.h.chunks_exact_mut(layout.h_row()).take(count).enumerate() {
            row.fill(E::default());
            if !h.is_empty() {
                row[..hidden].copy_from_slice(&h[b * hidden..][..hidden]);
            }
        }
        if layout.states > 1 {
            copy_to_blocks(layout, c, count, &mut self.c[..count * layout.c_row()]);
        }
    }

    /// Copies the states of every sequence after its last step to `h [B, H]` and the others
    /// `[S-1, B, H]`.
    pub(crate) fn last_states(&self, layout: &Layout, steps: &Steps, to: [&mut [E]; 2]) {
        let [h, c] = to;
        let hidden = layout.hidden;
        for (b, &length) in steps.lengths().iter().enumerate() {
            let (first, rows) = state_rows(steps, length);
            if !h.is_empty() {
                h[b * hidden..][..hidden]
                    .copy_from_slice(&self.h[(first + b) * layout.h_row()..][..hidden]);
            }
            if !c.is_empty() {
                let from = &self.c[first * layout.c_row()..][..rows * layout.c_row()];
                for (state, c) in c.chunks_exact_mut(steps.batch() * hidden).enumerate() {
                    let own = b * layout.c_unit() + state * layout.unit;
                    let own = from[own..].chunks(rows * layout.c_unit());
                    for (to, from) in c[b * hidden..][..hidden].chunks_mut(layout.unit).zip(own) {
                        to.copy_from_slice(&from[..to.len()]);
                    }
                }
            }
        }
    }
}

/// Elements of what a cell writes for one sequence in one block, where it is not wanted.
pub(super) fn scratch(layout: &Layout) -> usize {
    layout.unit.max(layout.c_unit())
}

/// `[states][B, H]`, or zeros if empty, to `[block][B][states][unit]`.
fn copy_to_blocks<E: Element>(layout: &Layout, from: &[E], count: usize, to: &mut [E]) {
    let states = layout.states - 1;
    for (at, to) in to.chunks_exact_mut(layout.unit).enumerate() {
        let (block, b, state) = (at / states / count, at / states % count, at % states);
        let first = block * layout.unit;
        let real = layout.unit.min(layout.hidden - first);
        if from.is_empty() {
            to.fill(E::default());
        } else {
            let from = &from[(state * count + b) * layout.hidden + first..];
            to[..real].copy_from_slice(&from[..real]);
            to[real..].fill(E::default());
        }
    }
}

/// The reverse of [`copy_to_blocks`].
fn copy_from_blocks<E: Element>(layout: &Layout, from: &[E], count: usize, to: &mut [E]) {
    for (at, value) in to.iter_mut().enumerate() {
        let (row, unit) = (at / layout.hidden, at % layout.hidden);
        let (state, b) = (row / count, row % count);
        let place = (unit / layout.unit * count + b) * layout.c_unit() + state * layout.unit;
        *value = from[place + unit % layout.unit];
    }
}

/// Where the columns of each step lie in the gate buffer.
#[derive(Clone, Copy)]
pub(crate) enum GatePlan {
    /// Every step has its place.
    Kept,
    /// The steps of a chunk of this many steps share one place after the other.
    Chunk(usize),
}

impl GatePlan {
    pub(crate) fn len(self, layout: &Layout, steps: &Steps) -> usize {
        let rows = match self {
            Self::Kept => steps.rows(),
            Self::Chunk(count) => count.min(steps.count()) * steps.batch(),
        };
        rows * layout.blocks * layout.row()
    }

    pub(crate) fn gates(self, layout: &Layout, steps: &Steps, t: usize) -> Gates {
        let step = layout.blocks * layout.row();
        match self {
            Self::Kept => {
                Gates { start: steps.first_row(t) * step, block: steps.active(t) * layout.row() }
            }
            // Sequence and block stand at the same place in every step, whoever is alive, so that
            // members that are at different chunks do not meet.
            Self::Chunk(count) => Gates {
                start: t % count * steps.batch() * step,
                block: steps.batch() * layout.row(),
            },
        }
    }
}
