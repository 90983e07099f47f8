//! `y = W x + b`.
//!
//! As the last layer of a model in training it never holds all its outputs: a vocabulary of 10,000 makes
//! them by far the largest thing in a step. [`Linear::learn`] takes some rows at a time through the
//! product, the loss and both products backward, while they are near; the weights' gradient is the
//! sum over the pieces in their order. Pieces depend on the shape alone, and [`Node::backward`] goes by
//! the same ones, so both ways give the same bits.

use super::{Back, Context, Flow, Judge, Node, Signal};
use crate::state::Part;
use recurve_kernels::profile::span;
use recurve_kernels::{
    Buffer, Element, Engine, Matrix, Packed, Rows, RowsMut, Start, each, product,
};
use std::ops::Range;

pub(crate) struct Linear<E: Element> {
    engine: Engine,
    inputs: usize,
    weight: Range<usize>,
    bias: Range<usize>,
    /// `[inputs, outputs]`, for the output.
    forward: Packed<E>,
    /// `[outputs, inputs]`, for the gradient of the input.
    backward: Packed<E>,
    /// The input, for the gradient of the weights.
    input: Packed<E>,
    b: Buffer<E>,
    y: Flow<E>,
    dx: Flow<E>,
}

/// Outputs that are held at once where they come piece by piece: few enough to stay in a large cache,
/// and enough rows that the weights, read once per piece, are used well.
const PIECE: usize = 2_600_000;
/// Rows of a piece are a multiple of this.
const ROWS: usize = 256;
/// Columns of the outputs that one thread adds up at a time.
const COLUMNS: usize = 256;

impl<E: Element> Linear<E> {
    pub(crate) fn new(
        engine: Engine,
        inputs: usize,
        outputs: usize,
        weight: Range<usize>,
        bias: Range<usize>,
    ) -> Self {
        let b = Buffer::zeros(outputs);
        let (y, dx) = (Flow::tight(outputs), Flow::padded(engine, inputs));
        let packed = Packed::default;
        Self {
            engine,
            inputs,
            weight,
            bias,
            forward: packed(),
            backward: packed(),
            input: packed(),
            b,
            y,
            dx,
        }
    }

    fn outputs(&self) -> usize {
        self.b.len()
    }

    /// The pieces that `count` rows come in. They depend on the shape alone.
    fn pieces(&self, count: usize) -> impl Iterator<Item = Range<usize>> + use<E> {
        let rows = (PIECE / self.outputs().max(1)).max(ROWS) / ROWS * ROWS;
        (0..count).step_by(rows).map(move |first| first..(first + rows).min(count))
    }

    /// Without rows, gradients are zero; with rows, the first piece writes them.
    fn clear(&self, rows: usize, gradients: &mut [E]) {
        if rows == 0 {
            gradients[self.weight.clone()].fill(E::default());
            gradients[self.bias.clone()].fill(E::default());
        }
    }

    /// The outputs of some rows.
    fn emit(&mut self, x: Matrix<'_, E>, count: usize) {
        self.y.resize(count);
        product(self.engine, x, &self.forward, Start::Bias(&self.b), &mut self.y.rows_mut());
    }

    /// Gives the outputs to `judge` piece by piece.
    pub(crate) fn visit(&mut self, input: Signal<'_, E>, judge: &mut Judge<'_, E>) {
        let x = input.rows();
        for rows in self.pieces(x.count()) {
            {
                let _span = span("forward");
                self.emit(matrix(x, rows.clone()), rows.len());
            }
            let _span = span("loss");
            judge(rows, self.y.data_mut());
        }
    }

    /// Forward, the judgement and backward, piece by piece: `judge` replaces outputs by gradients.
    pub(crate) fn learn(
        &mut self,
        input: Signal<'_, E>,
        judge: &mut Judge<'_, E>,
        input_wanted: bool,
        gradients: &mut [E],
    ) {
        let x = input.rows();
        if input_wanted {
            self.dx.resize(x.count());
        }
        self.clear(x.count(), gradients);
        for rows in self.pieces(x.count()) {
            let (first, x) = (rows.start, matrix(x, rows.clone()));
            {
                let _span = span("forward");
                self.emit(x, rows.len());
            }
            {
                let _span = span("loss");
                judge(rows.clone(), self.y.data_mut());
            }
            let y = std::mem::replace(&mut self.y, Flow::tight(0));
            self.go_back(x, (rows, y.rows()), input_wanted, (first > 0, gradients));
            self.y = y;
        }
    }

    /// Backward through some rows: writes their gradients of the input; writes those of the weights, or
    /// adds to them.
    fn go_back(
        &mut self,
        x: Matrix<'_, E>,
        (rows, dy): (Range<usize>, Rows<'_, E>),
        input_wanted: bool,
        (add, gradients): (bool, &mut [E]),
    ) {
        let d = matrix(dy, 0..rows.len());
        if input_wanted {
            let _span = span("backward: dx");
            let mut dx = self.dx.part_mut(rows.clone());
            product(self.engine, d, &self.backward, Start::Zero, &mut dx);
        }
        let _span = span("backward: weights");
        self.input.pack(self.engine, x);
        let d_weight = &mut gradients[self.weight.clone()];
        let mut d_weight = RowsMut::new(d_weight, self.inputs, self.inputs);
        let start = if add { Start::Sums } else { Start::Zero };
        product(self.engine, d.transposed(), &self.input, start, &mut d_weight);
        let d_bias = &mut gradients[self.bias.clone()];
        if !add {
            d_bias.fill(E::default());
        }
        let threads = self.engine.threads_over(rows.len() * dy.width());
        each(threads, d_bias.chunks_mut(COLUMNS).enumerate(), |(at, sums)| {
            for row in 0..rows.len() {
                for (sum, d) in sums.iter_mut().zip(&dy.row(row)[at * COLUMNS..]) {
                    *sum = *sum + *d;
                }
            }
        });
    }
}

/// Some of the rows.
fn part<E: Element>(rows: Rows<'_, E>, which: Range<usize>) -> Rows<'_, E> {
    let first = (which.start * rows.stride()).min(rows.data().len());
    Rows::new(&rows.data()[first..], rows.width(), rows.stride())
}

/// Some of the rows as a matrix.
fn matrix<E: Element>(rows: Rows<'_, E>, which: Range<usize>) -> Matrix<'_, E> {
    let count = which.len();
    Matrix::new(part(rows, which).data(), count, rows.width(), rows.stride())
}

impl<E: Element> Node<E> for Linear<E> {
    fn load(&mut self, values: &[E], backward: bool) {
        let weight =
            Matrix::new(&values[self.weight.clone()], self.outputs(), self.inputs, self.inputs);
        self.forward.pack(self.engine, weight.transposed());
        if backward {
            self.backward.pack(self.engine, weight);
        }
        self.b.copy_from_slice(&values[self.bias.clone()]);
    }

    fn forward(&mut self, _: &Context<'_>, input: Signal<'_, E>, _: &mut [Part<E>]) {
        let x = input.rows();
        self.emit(matrix(x, 0..x.count()), x.count());
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    fn backward(&mut self, _: &Context<'_>, input: Signal<'_, E>, errors: Back<'_, E>) {
        let x = input.rows();
        if errors.input_wanted {
            self.dx.resize(x.count());
        }
        self.clear(x.count(), errors.gradients);
        for rows in self.pieces(x.count()) {
            let add = rows.start > 0;
            let dy = part(errors.dy, rows.clone());
            let x = matrix(x, rows.clone());
            self.go_back(x, (rows, dy), errors.input_wanted, (add, errors.gradients));
        }
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.dx.rows()
    }

    fn head(&mut self) -> Option<&mut Linear<E>> {
        Some(self)
    }
}
