//! Owned buffers around the reference layer, and small random numbers.

#![allow(dead_code, reason = "each test program uses its own part of this")]

use recurve_cell::reference::{Errors, Gradients, Layer, Sequences, Tape, Weights};
use recurve_cell::{Cell, Real};

/// A generator for test values (splitmix64): the same numbers on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) % end as u64) as usize
    }

    /// Between -1 and 1.
    pub(crate) fn values<F: Real>(&mut self, count: usize) -> Vec<F> {
        let scale = 1 << 40;
        (0..count).map(|_| F::from_f64(self.below(2 * scale) as f64 / scale as f64 - 1.0)).collect()
    }
}

/// Weights of a layer, or gradients of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameters<F> {
    pub(crate) w: Vec<F>,
    pub(crate) r: Vec<F>,
    pub(crate) b: Vec<F>,
    pub(crate) b_r: Vec<F>,
    pub(crate) p: Vec<F>,
}

pub(crate) const NAMES: [&str; 5] = ["w", "r", "b", "b_r", "p"];

impl<F: Real> Parameters<F> {
    /// From the sizes of w, r, b, b_r and p, each filled by `fill`.
    pub(crate) fn build<C: Cell>(size: Size, mut fill: impl FnMut(usize) -> Vec<F>) -> Self {
        let (rows, recurrent) = (C::GATES * size.hidden, C::RECURRENT_GATES * size.hidden);
        Self {
            w: fill(rows * size.inputs),
            r: fill(recurrent * size.hidden),
            b: fill(rows),
            b_r: fill(recurrent),
            p: fill(C::PEEPHOLES * size.hidden),
        }
    }

    pub(crate) fn weights(&self) -> Weights<'_, F> {
        Weights { w: &self.w, r: &self.r, b: &self.b, b_r: &self.b_r, p: &self.p }
    }

    fn gradients(&mut self) -> Gradients<'_, F> {
        Gradients {
            dw: &mut self.w,
            dr: &mut self.r,
            db: &mut self.b,
            db_r: &mut self.b_r,
            dp: &mut self.p,
        }
    }

    /// In the order of [`NAMES`].
    pub(crate) fn parts(&self) -> [&[F]; 5] {
        [&self.w, &self.r, &self.b, &self.b_r, &self.p]
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) inputs: usize,
    pub(crate) hidden: usize,
}

/// A cell with its size and weights.
pub(crate) struct Net<'a, C, F> {
    pub(crate) cell: C,
    pub(crate) size: Size,
    pub(crate) weights: &'a Parameters<F>,
}

/// What a run leaves behind.
#[derive(Debug, PartialEq)]
pub(crate) struct Forward<F> {
    pub(crate) y: Vec<F>,
    /// The final states.
    pub(crate) state: Vec<F>,
    before: Vec<F>,
    kept: Vec<F>,
    after: Vec<F>,
}

/// What its reverse leaves behind.
#[derive(Debug, PartialEq)]
pub(crate) struct Backward<F> {
    pub(crate) dx: Vec<F>,
    /// The gradient of the initial states.
    pub(crate) d_state: Vec<F>,
    pub(crate) weights: Parameters<F>,
}

impl<'a, C: Cell, F: Real> Net<'a, C, F> {
    pub(crate) fn layer(&self) -> Layer<'a, C, F> {
        let Size { inputs, hidden } = self.size;
        Layer::new(self.cell, inputs, hidden, self.weights.weights())
    }

    pub(crate) fn run(&self, sequences: &Sequences<'_>, x: &[F], initial: &[F]) -> Forward<F> {
        let (all, hidden) = (sequences.steps * sequences.batch, self.size.hidden);
        let zeros = |rows| vec![F::default(); all * rows * hidden];
        let mut forward = Forward {
            y: zeros(1),
            state: initial.to_vec(),
            before: zeros(C::STATES),
            kept: zeros(Layer::<C, F>::KEPT),
            after: zeros(C::STATES),
        };
        let mut tape = Tape {
            before: &mut forward.before,
            kept: &mut forward.kept,
            after: &mut forward.after,
        };
        let (state, y) = (&mut forward.state, &mut forward.y);
        self.layer().run(sequences, x, state, y, &mut tape);
        forward
    }

    pub(crate) fn backward(
        &self,
        sequences: &Sequences<'_>,
        x: &[F],
        forward: &mut Forward<F>,
        dy: &[F],
        d_state: &[F],
    ) -> Backward<F> {
        let mut backward = Backward {
            dx: vec![F::default(); x.len()],
            d_state: d_state.to_vec(),
            weights: Parameters::build::<C>(self.size, |count| vec![F::default(); count]),
        };
        let tape = Tape {
            before: &mut forward.before,
            kept: &mut forward.kept,
            after: &mut forward.after,
        };
        let mut errors = Errors {
            dy,
            d_state: &mut backward.d_state,
            dx: &mut backward.dx,
            d_kept: &mut vec![F::default(); tape.kept.len()],
        };
        let mut gradients = backward.weights.gradients();
        self.layer().backward(sequences, x, &tape, &mut errors, &mut gradients);
        backward
    }
}
