//! A linear layer whose rows come step by step: the gradient of its weights is formed at the end, over
//! all steps at once.

use recurve_kernels::{Element, Engine, Matrix, Packed, Rows, RowsMut, Start, product};
use std::ops::Range;

pub(super) struct Dense<E: Element> {
    engine: Engine,
    inputs: usize,
    outputs: usize,
    weight: Range<usize>,
    /// Empty where there is no bias.
    bias: Range<usize>,
    forward: Packed<E>,
    backward: Packed<E>,
    input: Packed<E>,
    b: Vec<E>,
}

/// Some of the rows as a matrix.
pub(super) fn matrix<E: Element>(rows: Rows<'_, E>, which: Range<usize>) -> Matrix<'_, E> {
    let first = (which.start * rows.stride()).min(rows.data().len());
    Matrix::new(&rows.data()[first..], which.len(), rows.width(), rows.stride())
}

impl<E: Element> Dense<E> {
    pub(super) fn new(
        engine: Engine,
        (inputs, outputs): (usize, usize),
        weight: Range<usize>,
        bias: Range<usize>,
    ) -> Self {
        let packed = Packed::default;
        let (forward, backward, input) = (packed(), packed(), packed());
        Self { engine, inputs, outputs, weight, bias, forward, backward, input, b: vec![] }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn load(&mut self, values: &[E]) {
        let weight = &values[self.weight.clone()];
        let weight = Matrix::new(weight, self.outputs, self.inputs, self.inputs);
        self.forward.pack(self.engine, weight.transposed());
        self.backward.pack(self.engine, weight);
        self.b.clear();
        self.b.extend_from_slice(&values[self.bias.clone()]);
    }

    /// `y = W x + b`, a row for each of `x`.
    pub(super) fn forward(&self, x: Matrix<'_, E>, y: &mut RowsMut<'_, E>) {
        let start = if self.b.is_empty() { Start::Zero } else { Start::Bias(&self.b) };
        product(self.engine, x, &self.forward, start, y);
    }

    /// `dx = dy W`.
    pub(super) fn backward(&self, dy: Matrix<'_, E>, dx: &mut RowsMut<'_, E>) {
        product(self.engine, dy, &self.backward, Start::Zero, dx);
    }

    /// The gradients of weights and bias, from all rows.
    pub(super) fn learn(&mut self, x: Rows<'_, E>, dy: Rows<'_, E>, gradients: &mut [E]) {
        let count = dy.count().min(x.count());
        self.input.pack(self.engine, matrix(x, 0..count));
        let d_weight = &mut gradients[self.weight.clone()];
        d_weight.fill(E::default());
        let mut d_weight = RowsMut::new(d_weight, self.inputs, self.inputs);
        let d = matrix(dy, 0..count).transposed();
        product(self.engine, d, &self.input, Start::Zero, &mut d_weight);
        let d_bias = &mut gradients[self.bias.clone()];
        d_bias.fill(E::default());
        for row in 0..count {
            d_bias.iter_mut().zip(dy.row(row)).for_each(|(sum, d)| *sum = *sum + *d);
        }
    }
}
