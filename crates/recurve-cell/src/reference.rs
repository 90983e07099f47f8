//! The slow clear layer: one recurrent layer in one direction, in plain loops.
//!
//! It exists to be read beside the equations and to be right: it is what every faster layer is compared
//! with. It knows any [`Cell`] and both precisions, and the whole of what a layer must handle: batches
//! with a length for each sequence, resets inside a sequence, the reverse direction, initial and final
//! states. Stacking layers and joining two directions is left to the caller: the `y` of one layer is the
//! `x` of the next.
//!
//! It allocates nothing: whatever it writes lies in slices of the caller, whose shapes are written in
//! brackets (row-major; the letters are `T` steps, `B` batch, `I` inputs, `H` hidden units, `G` gates,
//! `S` states). Sizes are checked once at the start of each call.
//!
//! # Panics
//!
//! Every function panics if a slice has not the size of its shape, naming it. Padding, and the parts of
//! a [`Tape`] that belong to it, are never read. NaN and infinity are computed with, not refused.
//!
//! # Example
//!
//! One step of learning by hand: a GRU of one unit reads three numbers, and its last output should be 0.5.
//!
//! ```
//! use recurve_cell::{Gru, Standard};
//! use recurve_cell::reference::{Errors, Gradients, Layer, Sequences, Tape, Weights};
//!
//! let sequence = Sequences::new(3, 1);
//! let x = [0.2, -0.4, 0.9];
//! let (mut w, mut r, mut b) = ([0.3, -0.2, 0.8], [0.1, 0.4, -0.5], [0.0; 3]);
//! let mut losses = [0.0; 2];
//! for loss in &mut losses {
//!     let weights = Weights { w: &w, r: &r, b: &b, b_r: &[], p: &[] };
//!     let layer = Layer::new(Gru(Standard), 1, 1, weights);
//!
//!     // Forward. A GRU has one state and keeps four numbers for each unit.
//!     let (mut before, mut kept, mut after) = ([0.0; 3], [0.0; 12], [0.0; 3]);
//!     let mut tape = Tape { before: &mut before, kept: &mut kept, after: &mut after };
//!     let (mut state, mut y) = ([0.0], [0.0; 3]);
//!     layer.run(&sequence, &x, &mut state, &mut y, &mut tape);
//!     *loss = 0.5 * (y[2] - 0.5) * (y[2] - 0.5);
//!
//!     // Backward: the errors, then the gradients.
//!     let mut errors = Errors {
//!         dy: &[0.0, 0.0, y[2] - 0.5],
//!         d_state: &mut [0.0],
//!         dx: &mut [0.0; 3],
//!         d_kept: &mut [0.0; 12],
//!     };
//!     let (mut dw, mut dr, mut db) = ([0.0; 3], [0.0; 3], [0.0; 3]);
//!     let mut gradients = Gradients {
//!         dw: &mut dw,
//!         dr: &mut dr,
//!         db: &mut db,
//!         db_r: &mut [],
//!         dp: &mut [],
//!     };
//!     layer.backward(&sequence, &x, &tape, &mut errors, &mut gradients);
//!
//!     for (weights, d) in [(&mut w, &dw), (&mut r, &dr), (&mut b, &db)] {
//!         for (weight, d) in weights.iter_mut().zip(d) {
//!             *weight -= 0.5 * d;
//!         }
//!     }
//! }
//! assert!(losses[1] < 0.9 * losses[0]);
//! ```

mod products;
mod sequences;

pub use sequences::Sequences;

use crate::{Cell, Group, Real};
use products::{add, add_outer, add_product, add_transposed, gather, row, scatter};

/// The weights of a layer, gates in the order of the cell (i f g o, r z n).
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, F> {
    /// `[G*H, I]` input weights.
    pub w: &'a [F],
    /// `[G*H, H]` recurrent weights, of the gates that have them.
    pub r: &'a [F],
    /// `[G*H]` bias of the input product, or empty for none.
    pub b: &'a [F],
    /// `[G*H]` bias of the recurrent product, or empty for none.
    pub b_r: &'a [F],
    /// `[PEEPHOLES, H]` peepholes.
    pub p: &'a [F],
}

/// The gradients of [`Weights`], in the same shapes. [`Layer::backward`] adds to what is there.
#[derive(Debug)]
pub struct Gradients<'a, F> {
    /// `[G*H, I]`
    pub dw: &'a mut [F],
    /// `[G*H, H]`
    pub dr: &'a mut [F],
    /// `[G*H]`, or empty where there is no such bias.
    pub db: &'a mut [F],
    /// `[G*H]`, or empty where there is no such bias.
    pub db_r: &'a mut [F],
    /// `[PEEPHOLES, H]`
    pub dp: &'a mut [F],
}

/// What [`Layer::run`] writes down of every real step for [`Layer::backward`].
#[derive(Debug)]
pub struct Tape<'a, F> {
    /// `[T, B, S, H]` the states that a step started from.
    pub before: &'a mut [F],
    /// `[T, B, KEPT, H]` what the cell kept of it, see [`Layer::KEPT`].
    pub kept: &'a mut [F],
    /// `[T, B, S, H]` the states that it led to.
    pub after: &'a mut [F],
}

/// The errors that [`Layer::backward`] takes from above and hands down.
#[derive(Debug)]
pub struct Errors<'a, F> {
    /// `[T, B, H]` in: the gradient of every output.
    pub dy: &'a [F],
    /// `[B, S, H]` in: the gradient of the final states; out: that of the initial states.
    pub d_state: &'a mut [F],
    /// `[T, B, I]` out: the gradient of every input, 0 in the padding.
    pub dx: &'a mut [F],
    /// `[T, B, KEPT, H]` out: the gradient of the columns, from which those of the weights are made.
    pub d_kept: &'a mut [F],
}

/// One recurrent layer, in one direction.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a, C, F> {
    cell: C,
    inputs: usize,
    hidden: usize,
    weights: Weights<'a, F>,
}

impl<'a, C: Cell, F: Real> Layer<'a, C, F> {
    /// Rows of `H` numbers kept of a step: the columns of the cell, and below them the operand of the
    /// second product for a cell that has one.
    pub const KEPT: usize = C::COLUMNS + if C::SECOND > 0 { 1 } else { 0 };

    /// A layer of `hidden` units over `inputs` inputs.
    pub fn new(cell: C, inputs: usize, hidden: usize, weights: Weights<'a, F>) -> Self {
        let (rows, recurrent) = (C::GATES * hidden, C::RECURRENT_GATES * hidden);
        check("w", weights.w.len(), "[G*H, I]", rows * inputs);
        check("r", weights.r.len(), "[G*H, H]", recurrent * hidden);
        for (name, bias, rows) in [("b", weights.b, rows), ("b_r", weights.b_r, recurrent)] {
            if !bias.is_empty() {
                check(name, bias.len(), "[G*H], or 0 for none", rows);
            }
        }
        check("p", weights.p.len(), "[PEEPHOLES, H]", C::PEEPHOLES * hidden);
        assert!(!C::PASSED || inputs == hidden, "the input is passed on: expected I = H");
        Self { cell, inputs, hidden, weights }
    }

    /// One step of one sequence: `x [I]`, `state [S, H]` before and after, `kept [KEPT, H]`.
    pub fn step(&self, x: &[F], state: &mut [F], kept: &mut [F]) {
        check("x", x.len(), "[I]", self.inputs);
        check("state", state.len(), "[S, H]", C::STATES * self.hidden);
        check("kept", kept.len(), "[KEPT, H]", Self::KEPT * self.hidden);
        let hidden = self.hidden;
        let Weights { w, r, b, b_r, .. } = self.weights;
        let (columns, operand) = kept.split_at_mut(C::COLUMNS * hidden);

        columns.fill(F::default());
        for (column, gate) in input::<C>() {
            add_product(&mut columns[row(column, hidden)], w, b, gate, x);
        }
        if C::PASSED {
            columns[row(C::GATES, hidden)].copy_from_slice(x);
        }
        for (column, gate) in recurrent::<C>() {
            let h = &state[..hidden];
            add_product(&mut columns[row(column, hidden)], r, b_r, gate, h);
        }
        if C::SECOND > 0 {
            for (unit, operand) in operand.iter_mut().enumerate() {
                let (column, before) = (gather(columns, hidden, unit), gather(state, hidden, unit));
                let kept;
                (kept, *operand) = self.cell.operand(column, before);
                scatter(columns, hidden, unit, kept);
            }
            for (column, gate) in second::<C>() {
                add_product(&mut columns[row(column, hidden)], r, b_r, gate, operand);
            }
        }
        for unit in 0..hidden {
            let (kept, after) = self.cell.forward(
                gather(columns, hidden, unit),
                gather(self.weights.p, hidden, unit),
                gather(state, hidden, unit),
            );
            scatter(columns, hidden, unit, kept);
            scatter(state, hidden, unit, after);
        }
    }

    /// The reverse of [`Layer::step`]: `d_state [S, H]` from after the step to before it; writes
    /// `d_kept [KEPT, H]` and `dx [I]`.
    fn step_backward(&self, step: Step<'_, F>, d_state: &mut [F], d_kept: &mut [F], dx: &mut [F]) {
        let hidden = self.hidden;
        let Weights { w, r, p, .. } = self.weights;
        let (d_columns, d_operand) = d_kept.split_at_mut(C::COLUMNS * hidden);

        for unit in 0..hidden {
            let (d_column, d_before) = self.cell.backward(
                gather(step.kept, hidden, unit),
                gather(p, hidden, unit),
                gather(step.before, hidden, unit),
                gather(step.after, hidden, unit),
                gather(d_state, hidden, unit),
            );
            scatter(d_columns, hidden, unit, d_column);
            scatter(d_state, hidden, unit, d_before);
        }
        if C::SECOND > 0 {
            d_operand.fill(F::default());
            for (column, gate) in second::<C>() {
                add_transposed(d_operand, r, gate, &d_columns[row(column, hidden)]);
            }
            for unit in 0..hidden {
                let (d_column, dh) = self.cell.operand_backward(
                    gather(d_columns, hidden, unit),
                    gather(step.before, hidden, unit),
                    d_operand[unit],
                );
                scatter(d_columns, hidden, unit, d_column);
                d_state[unit] = d_state[unit] + dh;
            }
        }
        for (column, gate) in recurrent::<C>() {
            let dh = &mut d_state[..hidden];
            add_transposed(dh, r, gate, &d_columns[row(column, hidden)]);
        }
        dx.fill(F::default());
        for (column, gate) in input::<C>() {
            add_transposed(dx, w, gate, &d_columns[row(column, hidden)]);
        }
        if C::PASSED {
            add(dx, &d_columns[row(C::GATES, hidden)]);
        }
    }

    /// All steps of all sequences: `x [T, B, I]`, `state [B, S, H]` initial and then final,
    /// `y [T, B, H]`.
    ///
    /// A step that [starts anew](Sequences::starts_anew) starts from zero. The final state of a
    /// sequence is the one after the last step that was read; a sequence without steps keeps its
    /// initial state. `y` lies at the positions of `x` in both directions, and is 0 in the padding.
    pub fn run(
        &self,
        sequences: &Sequences<'_>,
        x: &[F],
        state: &mut [F],
        y: &mut [F],
        tape: &mut Tape<'_, F>,
    ) {
        let Shape { all, .. } = self.check_run(sequences, x, state, tape.sizes());
        check("y", y.len(), "[T, B, H]", all * self.hidden);
        let states = C::STATES * self.hidden;

        y.fill(F::default());
        for b in 0..sequences.batch {
            let state = &mut state[row(b, states)];
            for t in sequences.order(b) {
                let at = t * sequences.batch + b;
                if sequences.starts_anew(t, b) {
                    state.fill(F::default());
                }
                tape.before[row(at, states)].copy_from_slice(state);
                let kept = &mut tape.kept[row(at, Self::KEPT * self.hidden)];
                self.step(&x[row(at, self.inputs)], state, kept);
                tape.after[row(at, states)].copy_from_slice(state);
                y[row(at, self.hidden)].copy_from_slice(&state[..self.hidden]);
            }
        }
    }

    /// The reverse of [`Layer::run`] on the same `sequences`, `x [T, B, I]` and the tape it wrote:
    /// first the errors, back through time and down to the inputs, then the gradients of the weights.
    ///
    /// What lies before a step that starts anew receives nothing from it or from after it.
    pub fn backward(
        &self,
        sequences: &Sequences<'_>,
        x: &[F],
        tape: &Tape<'_, F>,
        errors: &mut Errors<'_, F>,
        gradients: &mut Gradients<'_, F>,
    ) {
        let Shape { all, kept } = self.check_run(sequences, x, errors.d_state, tape.sizes());
        check("dy", errors.dy.len(), "[T, B, H]", all * self.hidden);
        check("dx", errors.dx.len(), "[T, B, I]", x.len());
        check("d_kept", errors.d_kept.len(), "[T, B, KEPT, H]", all * kept);
        let Weights { w, r, b, b_r, p } = self.weights;
        check("dw", gradients.dw.len(), "that of w", w.len());
        check("dr", gradients.dr.len(), "that of r", r.len());
        check("db", gradients.db.len(), "that of b", b.len());
        check("db_r", gradients.db_r.len(), "that of b_r", b_r.len());
        check("dp", gradients.dp.len(), "that of p", p.len());

        errors.dx.fill(F::default());
        for b in 0..sequences.batch {
            let d_state = &mut errors.d_state[row(b, C::STATES * self.hidden)];
            for t in sequences.order(b).rev() {
                let at = t * sequences.batch + b;
                let dy = &errors.dy[row(at, self.hidden)];
                add(&mut d_state[..self.hidden], dy);
                self.step_backward(
                    self.at(tape, at),
                    d_state,
                    &mut errors.d_kept[row(at, kept)],
                    &mut errors.dx[row(at, self.inputs)],
                );
                if sequences.starts_anew(t, b) {
                    d_state.fill(F::default());
                }
            }
        }
        for b in 0..sequences.batch {
            for t in sequences.order(b) {
                let at = t * sequences.batch + b;
                let x = &x[row(at, self.inputs)];
                let d_kept = &errors.d_kept[row(at, kept)];
                self.step_gradients(x, self.at(tape, at), d_kept, gradients);
            }
        }
    }

    /// What one step adds to the gradients of the weights: each column times what its row multiplied.
    fn step_gradients(
        &self,
        x: &[F],
        step: Step<'_, F>,
        d_kept: &[F],
        gradients: &mut Gradients<'_, F>,
    ) {
        let hidden = self.hidden;
        let Gradients { dw, dr, db, db_r, dp } = gradients;
        let (h_before, operand) = (&step.before[..hidden], &step.kept[C::COLUMNS * hidden..]);
        for (column, gate) in input::<C>() {
            add_outer(dw, db, gate, &d_kept[row(column, hidden)], x);
        }
        for (column, gate) in recurrent::<C>() {
            add_outer(dr, db_r, gate, &d_kept[row(column, hidden)], h_before);
        }
        for (column, gate) in second::<C>() {
            add_outer(dr, db_r, gate, &d_kept[row(column, hidden)], operand);
        }
        for unit in 0..hidden {
            let d = self.cell.peepholes_backward(
                gather(d_kept, hidden, unit),
                gather(step.before, hidden, unit),
                gather(step.after, hidden, unit),
            );
            let sum: C::Peepholes<F> = gather(dp, hidden, unit);
            let sum = C::Peepholes::<F>::from_fn(|k| sum.values()[k] + d.values()[k]);
            scatter(dp, hidden, unit, sum);
        }
    }

    fn at<'t>(&self, tape: &'t Tape<'_, F>, at: usize) -> Step<'t, F> {
        let states = C::STATES * self.hidden;
        Step {
            before: &tape.before[row(at, states)],
            kept: &tape.kept[row(at, Self::KEPT * self.hidden)],
            after: &tape.after[row(at, states)],
        }
    }

    fn check_run(
        &self,
        sequences: &Sequences<'_>,
        x: &[F],
        state: &[F],
        [before, kept, after]: [usize; 3],
    ) -> Shape {
        sequences.check();
        let all = sequences.steps * sequences.batch;
        let states = C::STATES * self.hidden;
        let shape = Shape { all, kept: Self::KEPT * self.hidden };
        check("x", x.len(), "[T, B, I]", all * self.inputs);
        check("state", state.len(), "[B, S, H]", sequences.batch * states);
        check("before", before, "[T, B, S, H]", all * states);
        check("kept", kept, "[T, B, KEPT, H]", all * shape.kept);
        check("after", after, "[T, B, S, H]", all * states);
        shape
    }
}

impl<F> Tape<'_, F> {
    fn sizes(&self) -> [usize; 3] {
        [self.before.len(), self.kept.len(), self.after.len()]
    }
}

/// Steps times sequences, and the numbers kept of each.
struct Shape {
    all: usize,
    kept: usize,
}

/// One step of one sequence on the tape.
#[derive(Clone, Copy)]
struct Step<'t, F> {
    before: &'t [F],
    kept: &'t [F],
    after: &'t [F],
}

/// `(column, gate)` for the input product.
fn input<C: Cell>() -> impl Iterator<Item = (usize, usize)> {
    C::INPUT.iter().copied().enumerate()
}

/// `(column, gate)` for the product of `r` with `h'`.
fn recurrent<C: Cell>() -> impl Iterator<Item = (usize, usize)> {
    let first = C::COLUMNS - C::RECURRENT_GATES;
    let gates = C::RECURRENT.iter().copied().enumerate();
    gates.map(move |(at, gate)| (first + at, gate)).take(C::RECURRENT_GATES - C::SECOND)
}

/// `(column, gate)` for the product of `r` with the operand that the cell makes of `h'`.
fn second<C: Cell>() -> impl Iterator<Item = (usize, usize)> {
    let first = C::COLUMNS - C::RECURRENT_GATES;
    let gates = C::RECURRENT.iter().copied().enumerate();
    gates.map(move |(at, gate)| (first + at, gate)).skip(C::RECURRENT_GATES - C::SECOND)
}

#[track_caller]
fn check(name: &str, found: usize, shape: &str, expected: usize) {
    assert!(found == expected, "{name} holds {found} values, its shape {shape} needs {expected}");
}
