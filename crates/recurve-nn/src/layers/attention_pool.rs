//! One vector for a whole sequence, in which steps weigh by how they score (Yang et al. 2016).
//!
//! ```text
//! s_t = q · tanh(W x_t + b)      a = softmax(s) over the steps of the sequence      y = Σ_t a_t x_t
//! ```
//!
//! The weights `a` can be read after a pass. A sequence without steps gives 0.

use super::{Back, Context, Flow, Linear, Node, Signal};
use crate::batch::Order;
use crate::state::Part;
use recurve_kernels::{Buffer, Element, Engine, Rows, Softmax, each};
use std::ops::Range;

/// Columns of the query that one thread adds up at a time.
const COLUMNS: usize = 64;

pub(crate) struct AttentionPool<E: Element> {
    engine: Engine,
    linear: Linear<E>,
    query_range: Range<usize>,
    query: Buffer<E>,
    softmax: Softmax<E>,
    /// `tanh(W x + b)`, and the gradient before the tanh.
    tanh: Flow<E>,
    d_sums: Flow<E>,
    /// For each row, its weight, and the gradient of its score; and those of one sequence.
    weights: Vec<E>,
    d_scores: Vec<E>,
    scores: Vec<E>,
    y: Flow<E>,
    dx: Flow<E>,
}

impl<E: Element> AttentionPool<E> {
    /// For `width` values; `ranges` are those of weights, bias and query.
    pub(crate) fn new(
        engine: Engine,
        width: usize,
        [weight, bias, query]: [Range<usize>; 3],
    ) -> Self {
        let tight = || Flow::tight(width);
        Self {
            engine,
            linear: Linear::new(engine, width, width, weight, bias),
            query_range: query,
            query: Buffer::zeros(width),
            softmax: Softmax::new(engine.isa()),
            tanh: tight(),
            d_sums: tight(),
            weights: vec![],
            d_scores: vec![],
            scores: vec![],
            y: tight(),
            dx: Flow::padded(engine, width),
        }
    }
}

fn dot<E: Element>(a: &[E], b: &[E]) -> E {
    a.iter().zip(b).fold(E::default(), |sum, (a, b)| sum + *a * *b)
}

/// The rows of the sequence at `place`.
fn rows_of(order: &Order, place: usize) -> impl Iterator<Item = usize> {
    let steps = order.steps();
    (0..steps.lengths()[place]).map(move |t| steps.first_row(t) + place)
}

impl<E: Element> Node<E> for AttentionPool<E> {
    fn load(&mut self, values: &[E], backward: bool) {
        self.linear.load(values, backward);
        self.query.copy_from_slice(&values[self.query_range.clone()]);
    }

    fn forward(&mut self, context: &Context<'_>, input: Signal<'_, E>, _: &mut [Part<E>]) {
        self.linear.forward(context, input, &mut []);
        let (x, order, sums) = (input.rows(), context.order, self.linear.output());
        self.tanh.resize(order.rows());
        self.tanh.fill_rows(self.engine, |row, to| {
            to.iter_mut().zip(sums.row(row)).for_each(|(to, sum)| *to = sum.tanh());
        });
        self.y.resize(order.sequences().len());
        self.weights.resize(order.rows(), E::default());
        for (place, b) in order.sequences().iter().enumerate() {
            self.scores.clear();
            let tanh = self.tanh.rows();
            self.scores.extend(rows_of(order, place).map(|row| dot(tanh.row(row), &self.query)));
            let sum = self.softmax.exponentials(&mut self.scores).sum;
            self.softmax.scale(&mut self.scores, E::from_f64(1.0 / sum), E::default());
            let y = self.y.row_mut(*b);
            y.fill(E::default());
            for (row, weight) in rows_of(order, place).zip(&self.scores) {
                self.weights[row] = *weight;
                y.iter_mut().zip(x.row(row)).for_each(|(y, x)| *y = *y + *weight * *x);
            }
        }
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    fn backward(&mut self, context: &Context<'_>, input: Signal<'_, E>, errors: Back<'_, E>) {
        let (x, order) = (input.rows(), context.order);
        let Back { dy, gradients, .. } = errors;
        self.d_scores.resize(order.rows(), E::default());
        for (place, b) in order.sequences().iter().enumerate() {
            let mut along = E::default();
            for row in rows_of(order, place) {
                let d = dot(dy.row(*b), x.row(row));
                self.d_scores[row] = d;
                along = along + self.weights[row] * d;
            }
            for row in rows_of(order, place) {
                self.d_scores[row] = self.weights[row] * (self.d_scores[row] - along);
            }
        }
        let (tanh, query, d_scores) = (self.tanh.rows(), &self.query, &self.d_scores);
        let threads = self.engine.threads_over(order.rows() * tanh.width());
        let d_query = &mut gradients[self.query_range.clone()];
        each(threads, d_query.chunks_mut(COLUMNS).enumerate(), |(at, sums)| {
            sums.fill(E::default());
            for (row, d) in d_scores.iter().enumerate() {
                let terms = &tanh.row(row)[at * COLUMNS..];
                sums.iter_mut().zip(terms).for_each(|(sum, tanh)| *sum = *sum + *d * *tanh);
            }
        });
        self.d_sums.resize(order.rows());
        self.d_sums.fill_rows(self.engine, |row, to| {
            for ((to, tanh), q) in to.iter_mut().zip(tanh.row(row)).zip(query.iter()) {
                *to = d_scores[row] * *q * (tanh.like(1.0) - *tanh * *tanh);
            }
        });
        let dy_sums = self.d_sums.rows();
        let back = Back { dy: dy_sums, d_states: &mut [], input_wanted: true, gradients };
        self.linear.backward(context, input, back);
        let (through, weights) = (self.linear.d_input(), &self.weights);
        self.dx.resize(order.rows());
        self.dx.fill_rows(self.engine, |row, dx| {
            let (_, b) = order.place(row);
            for ((dx, through), d) in dx.iter_mut().zip(through.row(row)).zip(dy.row(b)) {
                *dx = weights[row] * *d + *through;
            }
        });
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.dx.rows()
    }

    fn weights(&self) -> Option<&[E]> {
        Some(&self.weights)
    }
}
