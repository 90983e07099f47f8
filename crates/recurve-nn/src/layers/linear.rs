//! `y = W x + b`.

use super::{Back, Context, Flow, Node, Signal};
use crate::state::Part;
use recurve_kernels::{Buffer, Element, Engine, Matrix, Packed, Rows, RowsMut, Start, product};
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
}

/// All rows as a matrix.
fn matrix<E: Element>(rows: Rows<'_, E>, count: usize) -> Matrix<'_, E> {
    Matrix::new(rows.data(), count, rows.width(), rows.stride())
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
        let count = x.count();
        self.y.resize(count);
        let x = matrix(x, count);
        product(self.engine, x, &self.forward, Start::Bias(&self.b), &mut self.y.rows_mut());
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    fn backward(&mut self, _: &Context<'_>, input: Signal<'_, E>, errors: Back<'_, E>) {
        let x = input.rows();
        let count = x.count();
        let dy = matrix(errors.dy, count);
        if errors.input_wanted {
            self.dx.resize(count);
            product(self.engine, dy, &self.backward, Start::Zero, &mut self.dx.rows_mut());
        }
        self.input.pack(self.engine, matrix(x, count));
        let d_weight = &mut errors.gradients[self.weight.clone()];
        let mut d_weight = RowsMut::new(d_weight, self.inputs, self.inputs);
        product(self.engine, dy.transposed(), &self.input, Start::Zero, &mut d_weight);
        let d_bias = &mut errors.gradients[self.bias.clone()];
        d_bias.fill(E::default());
        for row in 0..count {
            for (sum, d) in d_bias.iter_mut().zip(errors.dy.row(row)) {
                *sum = *sum + *d;
            }
        }
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.dx.rows()
    }
}
