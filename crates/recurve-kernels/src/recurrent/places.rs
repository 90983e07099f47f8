//! Addresses of the quantities of a step.

use crate::element::Element;
use crate::memory::Shared;
use crate::recurrent::Sequences;
use crate::recurrent::cell::{CellKernels, Units};
use crate::recurrent::layout::{Layout, state_rows};
use crate::recurrent::steps::Steps;
use crate::recurrent::tape::{GatePlan, Tape};
use std::ops::Range;
use std::ptr::{null, null_mut};

/// A tape, shared by the members that work on it.
pub(super) struct Places<'a, E: Element> {
    pub(super) layout: &'a Layout,
    pub(super) cell: &'a CellKernels<E>,
    pub(super) steps: &'a Steps,
    pub(super) resets: &'a [bool],
    plan: GatePlan,
    gates: Shared<'a, E>,
    h: Shared<'a, E>,
    c: Shared<'a, E>,
    h_in: Shared<'a, E>,
    c_in: Shared<'a, E>,
    operand: Shared<'a, E>,
    peepholes: &'a [E],
}

/// # Safety
/// Each method: the step is one of the batch, the block one of the layer, the sequence one that is
/// alive. The addresses then lie in the tape's buffers, which were made large enough for them; using
/// them is up to the caller.
impl<'a, E: Element> Places<'a, E> {
    pub(super) fn new(
        layout: &'a Layout,
        cell: &'a CellKernels<E>,
        batch: &Sequences<'a, E>,
        peepholes: &'a [E],
        (plan, tape): (GatePlan, &'a mut Tape<E>),
    ) -> Self {
        Self {
            layout,
            cell,
            steps: batch.steps,
            resets: batch.resets,
            plan,
            gates: Shared::new(&mut tape.gates),
            h: Shared::new(&mut tape.h),
            c: Shared::new(&mut tape.c),
            h_in: Shared::new(&mut tape.h_in),
            c_in: Shared::new(&mut tape.c_in),
            operand: Shared::new(&mut tape.operand),
            peepholes,
        }
    }

    /// Those of `sequences` that are alive at step `t`.
    pub(super) fn alive(&self, t: usize, sequences: &Range<usize>) -> Range<usize> {
        let end = self.steps.active(t).min(sequences.end);
        sequences.start.min(end)..end
    }

    /// The columns of a block and a sequence, and the distance to the next block.
    pub(super) unsafe fn columns(&self, t: usize, block: usize, b: usize) -> *mut E {
        let gates = self.plan.gates(self.layout, self.steps, t);
        // SAFETY: see the impl.
        unsafe { self.gates.at(gates.start + block * gates.block + b * self.layout.row()) }
    }

    /// The distance from the columns of a block to those of the next.
    pub(super) fn block_distance(&self, t: usize) -> usize {
        self.plan.gates(self.layout, self.steps, t).block
    }

    pub(super) unsafe fn h_before(&self, t: usize, b: usize) -> *const E {
        // SAFETY: see the impl.
        unsafe {
            if self.resets.is_empty() {
                self.h_of(t, b)
            } else {
                self.h_in.at((self.steps.first_row(t) + b) * self.layout.h_row())
            }
        }
    }

    /// `h` of state `at`: 0 is the initial one, `t + 1` the one after step `t`.
    pub(super) unsafe fn h_of(&self, at: usize, b: usize) -> *mut E {
        // SAFETY: see the impl.
        unsafe { self.h.at((state_rows(self.steps, at).0 + b) * self.layout.h_row()) }
    }

    pub(super) unsafe fn c_before(&self, t: usize, block: usize, b: usize) -> *const E {
        if self.layout.states == 1 {
            return null();
        }
        // SAFETY: see the impl.
        unsafe {
            if self.resets.is_empty() {
                self.c_of(t, block, b)
            } else {
                let (first, rows) = (self.steps.first_row(t), self.steps.active(t));
                self.c_in
                    .at(first * self.layout.c_row() + (block * rows + b) * self.layout.c_unit())
            }
        }
    }

    /// `c` of state `at`.
    unsafe fn c_of(&self, at: usize, block: usize, b: usize) -> *mut E {
        let (first, rows) = state_rows(self.steps, at);
        // SAFETY: see the impl.
        unsafe {
            self.c.at(first * self.layout.c_row() + (block * rows + b) * self.layout.c_unit())
        }
    }

    /// The operand of the second product at step `t`.
    pub(super) unsafe fn operand(&self, t: usize, b: usize) -> *mut E {
        // SAFETY: see the impl.
        unsafe { self.operand.at((self.steps.first_row(t) + b) * self.layout.h_row()) }
    }

    /// Writes the columns that no input product fills, from their bias, and the input where the cell
    /// passes it on. `columns` are those of a block, `x` the row of the input.
    pub(super) unsafe fn start_others(
        &self,
        columns: *mut E,
        block: usize,
        bias: &[E],
        x: *const E,
    ) {
        let (layout, width) = (self.layout, self.layout.gates * self.layout.unit);
        // SAFETY: see the impl; the row of the input has `H` values where it is passed on.
        unsafe {
            columns.add(width).copy_from_nonoverlapping(bias[width..].as_ptr(), bias.len() - width);
            if layout.passed {
                let units = layout.units(block);
                columns.add(width).copy_from_nonoverlapping(x.add(units.start), units.len());
            }
        }
    }

    /// Adds the gradient of an input that the cell passes on: of a block, to a row of `dx`.
    pub(super) unsafe fn add_passed(&self, t: usize, block: usize, b: usize, dx: *mut E) {
        let layout = self.layout;
        let units = layout.units(block);
        // SAFETY: see the impl; the row has `H` values where the input is passed on.
        unsafe {
            let d = self.columns(t, block, b).add(layout.gates * layout.unit);
            for (at, unit) in units.enumerate() {
                let sum = dx.add(unit);
                *sum = *sum + *d.add(at);
            }
        }
    }

    /// The units of a block for a run of sequences, without gradients.
    pub(super) unsafe fn units(&self, t: usize, block: usize, alive: &Range<usize>) -> Units<E> {
        let (layout, b, unit) = (self.layout, alive.start, block * self.layout.unit);
        let c_row = layout.c_unit();
        // SAFETY: see the impl.
        unsafe {
            Units {
                cell: &raw const self.cell.cell,
                rows: alive.len(),
                vectors: layout.vectors(block),
                gates: self.columns(t, block, b),
                gates_row: layout.row(),
                unit: layout.unit,
                peepholes: self.peepholes[block * self.cell.peepholes * layout.unit..].as_ptr(),
                before: [self.h_before(t, b).add(unit), self.c_before(t, block, b)],
                before_row: [layout.h_row(), c_row],
                after: [
                    self.h_of(t + 1, b).add(unit),
                    if layout.states > 1 { self.c_of(t + 1, block, b) } else { null_mut() },
                ],
                after_row: [layout.h_row(), c_row],
                operand: if layout.second > 0 { self.operand(t, b).add(unit) } else { null_mut() },
                d_output: null(),
                d_output_row: 0,
                d_state: [null_mut(); 2],
                d_state_row: [0; 2],
                d_peepholes: null_mut(),
            }
        }
    }

    /// Where there are resets: writes the states before step `t`, those after the step before or
    /// zeros, of some sequences and blocks.
    pub(super) unsafe fn enter(&self, t: usize, sequences: &Range<usize>, blocks: Range<usize>) {
        if self.resets.is_empty() {
            return;
        }
        let layout = self.layout;
        for block in blocks {
            let (unit, count) = (block * layout.unit, layout.vectors(block) * layout.lanes);
            for b in self.alive(t, sequences) {
                let reset = self.resets[self.steps.first_row(t) + b];
                // SAFETY: see the impl; the state buffers do not overlap.
                unsafe {
                    let copy = |from: *const E, to: *mut E, count: usize| {
                        if reset {
                            std::slice::from_raw_parts_mut(to, count).fill(E::default());
                        } else {
                            to.copy_from_nonoverlapping(from, count);
                        }
                    };
                    let h_before = self.h_before(t, b).add(unit).cast_mut();
                    copy(self.h_of(t, b).add(unit), h_before, count);
                    if layout.states > 1 {
                        let c_before = self.c_before(t, block, b).cast_mut();
                        copy(self.c_of(t, block, b), c_before, layout.c_unit());
                    }
                }
            }
        }
    }
}
