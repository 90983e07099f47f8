//! A loss of outputs that come piece by piece.
//!
//! A large vocabulary makes the outputs of a step the largest thing in it. Here they need not be all
//! there at once: targets and weights are checked beforehand, then each piece is judged while it is near
//! and replaced by its gradient. Rows are shared out among threads; the loss of each row is kept and all
//! are added up in the order of the rows, so neither threads nor pieces change a bit.

use super::cross_entropy::CrossEntropy;
use super::density::Judged;
use super::regression::Regression;
use super::{LossValue, Weights};
use recurve_kernels::{Element, Engine, each};
use std::ops::Range;

/// Numbers that one thread takes at a time.
const PIECE: usize = 1 << 14;

/// A loss on its way through the rows; from [`Loss::piecewise`](super::Loss::piecewise).
pub struct PiecewiseLoss<'a, F: Element> {
    pub(super) engine: Engine,
    pub(super) rule: Rule<'a, F>,
    pub(super) weights: Weights<'a>,
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) count: f64,
    pub(super) sum: f64,
    /// The losses of the rows of a piece, weighted.
    pub(super) losses: Vec<f64>,
}

/// What each row is judged by.
pub(super) enum Rule<'a, F: Element> {
    CrossEntropy(CrossEntropy<'a, F>),
    Regression(Regression<'a, F>),
    Density(Judged<'a, F>),
}

impl<F: Element> Rule<'_, F> {
    /// Whether a row counts, weight aside.
    pub(super) fn counts(&self, row: usize) -> bool {
        match self {
            Self::CrossEntropy(rule) => rule.counts(row),
            Self::Regression(_) | Self::Density(_) => true,
        }
    }
}

impl<'a, F: Element> PiecewiseLoss<'a, F> {
    pub(super) fn new(
        engine: Engine,
        rule: Rule<'a, F>,
        weights: Weights<'a>,
        (rows, width): (usize, usize),
    ) -> Self {
        let counted = (0..rows).filter(|row| rule.counts(*row));
        let count = counted.map(|row| weights.of(row)).sum();
        Self { engine, rule, weights, rows, width, count, sum: 0.0, losses: vec![] }
    }

    /// Takes the loss of some rows. `outputs [rows, width]`.
    ///
    /// # Panics
    /// Where there are other rows than announced.
    pub fn forward(&mut self, rows: Range<usize>, outputs: &[F]) {
        self.start(&rows, outputs.len());
        let (rule, weights, size) = (&self.rule, self.weights, self.size());
        let pieces = outputs.chunks(size * self.width).zip(self.losses.chunks_mut(size));
        let width = self.width;
        each(
            self.engine.threads_over(outputs.len()),
            pieces.enumerate(),
            |(at, (values, losses))| {
                let first = rows.start + at * size;
                for (at, (row, loss)) in values.chunks_exact(width).zip(losses).enumerate() {
                    let weight = weights.of(first + at);
                    if weight > 0.0 && rule.counts(first + at) {
                        *loss = weight
                            * match rule {
                                Rule::CrossEntropy(rule) => rule.forward(first + at, row),
                                Rule::Regression(rule) => rule.forward(first + at, row),
                                Rule::Density(rule) => rule.forward(first + at, row),
                            };
                    }
                }
            },
        );
        self.sum = self.losses.iter().fold(self.sum, |sum, loss| sum + loss);
    }

    /// As [`PiecewiseLoss::forward`], and replaces the outputs by the derivatives of the mean loss by
    /// them.
    ///
    /// # Panics
    /// Where there are other rows than announced.
    pub fn backward(&mut self, rows: Range<usize>, outputs: &mut [F]) {
        self.start(&rows, outputs.len());
        let (rule, weights, count, size) = (&self.rule, self.weights, self.count, self.size());
        let threads = self.engine.threads_over(outputs.len());
        let pieces = outputs.chunks_mut(size * self.width).zip(self.losses.chunks_mut(size));
        let width = self.width;
        each(threads, pieces.enumerate(), |(at, (values, losses))| {
            let first = rows.start + at * size;
            for (at, (row, loss)) in values.chunks_exact_mut(width).zip(losses).enumerate() {
                let weight = weights.of(first + at);
                if weight > 0.0 && rule.counts(first + at) {
                    let scale = weight / count;
                    *loss = weight
                        * match rule {
                            Rule::CrossEntropy(rule) => rule.backward(first + at, row, scale),
                            Rule::Regression(rule) => rule.backward(first + at, row, scale),
                            Rule::Density(rule) => rule.backward(first + at, row, scale),
                        };
                } else {
                    row.fill(F::default());
                }
            }
        });
        self.sum = self.losses.iter().fold(self.sum, |sum, loss| sum + loss);
    }

    /// The loss of all rows so far: their weighted sum over the weight of all rows.
    pub fn value(&self) -> LossValue {
        let mean = if self.count > 0.0 { self.sum / self.count } else { 0.0 };
        LossValue { mean, count: self.count }
    }

    fn start(&mut self, rows: &Range<usize>, numbers: usize) {
        let fits = rows.end <= self.rows && numbers == rows.len() * self.width;
        assert!(
            fits,
            "{numbers} outputs for the rows {rows:?} of {}, {} each",
            self.rows, self.width
        );
        self.losses.clear();
        self.losses.resize(rows.len(), 0.0);
    }

    /// Rows that one thread takes at a time.
    fn size(&self) -> usize {
        (PIECE / self.width).max(1)
    }
}
