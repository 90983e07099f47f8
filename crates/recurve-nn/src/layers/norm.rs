//! Layer normalisation (Ba, Kiros & Hinton 2016): `y = gain∘(x - mean) / √(variance + 1e-5) + shift`,
//! mean and variance over the values of a row.

use super::{Back, Context, Flow, Node, PIECE, Signal};
use crate::state::Part;
use recurve_kernels::{Buffer, Element, Engine, Rows, each};
use std::ops::Range;

const EPSILON: f64 = 1e-5;

/// Columns that one thread adds up at a time.
const COLUMNS: usize = 64;

pub(crate) struct LayerNorm<E: Element> {
    engine: Engine,
    gain: Range<usize>,
    shift: Range<usize>,
    weights: Buffer<E>,
    /// `(x - mean) / √(variance + ε)`, and `1 / √(variance + ε)` of each row.
    normal: Flow<E>,
    scale: Vec<E>,
    y: Flow<E>,
    dx: Flow<E>,
}

impl<E: Element> LayerNorm<E> {
    pub(crate) fn new(engine: Engine, gain: Range<usize>, shift: Range<usize>) -> Self {
        let width = gain.len();
        let weights = Buffer::zeros(2 * width);
        let (normal, y, dx) = (Flow::tight(width), Flow::tight(width), Flow::padded(engine, width));
        Self { engine, gain, shift, weights, normal, scale: vec![], y, dx }
    }
}

fn mean<E: Element>(values: impl Iterator<Item = E>, count: usize) -> E {
    let sum = values.map(|v| v.to_f64()).sum::<f64>();
    E::from_f64(sum / count as f64)
}

impl<E: Element> Node<E> for LayerNorm<E> {
    fn load(&mut self, values: &[E], _: bool) {
        let (gain, shift) = self.weights.split_at_mut(self.gain.len());
        gain.copy_from_slice(&values[self.gain.clone()]);
        shift.copy_from_slice(&values[self.shift.clone()]);
    }

    fn forward(&mut self, _: &Context<'_>, input: Signal<'_, E>, _: &mut [Part<E>]) {
        let x = input.rows();
        let (count, width) = (x.count(), x.width());
        self.normal.resize(count);
        self.y.resize(count);
        self.scale.resize(count, E::default());
        let (gain, shift) = self.weights.split_at(width);
        let threads = self.engine.threads_over(count * width);
        let pieces = self.normal.pieces().zip(self.y.pieces());
        let scales = self.scale.chunks_mut((PIECE / width.max(1)).max(1));
        each(threads, pieces.zip(scales), |(((first, mut normal), (_, mut y)), scales)| {
            let rows = normal.rows().zip(y.rows()).zip(scales).enumerate();
            for (at, ((normal, y), kept)) in rows {
                let x = x.row(first + at);
                let m = mean(x.iter().copied(), width);
                let variance = mean(x.iter().map(|v| (*v - m) * (*v - m)), width);
                let scale = E::from_f64(1.0 / (variance.to_f64() + EPSILON).sqrt());
                *kept = scale;
                for (normal, v) in normal.iter_mut().zip(x) {
                    *normal = (*v - m) * scale;
                }
                for (((y, n), g), s) in y.iter_mut().zip(normal).zip(gain).zip(shift) {
                    *y = *n * *g + *s;
                }
            }
        });
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    fn backward(&mut self, _: &Context<'_>, _: Signal<'_, E>, errors: Back<'_, E>) {
        let normal = self.normal.rows();
        let (count, width) = (normal.count(), normal.width());
        let gain = &self.weights[..width];
        let threads = self.engine.threads_over(count * width);
        let sums = &mut errors.gradients[self.gain.clone()];
        each(threads, sums.chunks_mut(COLUMNS).enumerate(), |(at, sums)| {
            sums.fill(E::default());
            for row in 0..count {
                let (dy, normal) = (errors.dy.row(row), normal.row(row));
                let terms = dy.iter().zip(normal).skip(at * COLUMNS);
                sums.iter_mut().zip(terms).for_each(|(sum, (d, n))| *sum = *sum + *d * *n);
            }
        });
        let sums = &mut errors.gradients[self.shift.clone()];
        each(threads, sums.chunks_mut(COLUMNS).enumerate(), |(at, sums)| {
            sums.fill(E::default());
            for row in 0..count {
                let terms = &errors.dy.row(row)[at * COLUMNS..];
                sums.iter_mut().zip(terms).for_each(|(sum, d)| *sum = *sum + *d);
            }
        });
        self.dx.resize(count);
        self.dx.fill_rows(self.engine, |row, dx| {
            let (dy, normal) = (errors.dy.row(row), normal.row(row));
            let d_normal = || dy.iter().zip(gain).map(|(d, g)| *d * *g);
            let along_mean = mean(d_normal(), width);
            let along_normal = mean(d_normal().zip(normal).map(|(d, n)| d * *n), width);
            for ((dx, d), n) in dx.iter_mut().zip(d_normal()).zip(normal) {
                *dx = self.scale[row] * (d - along_mean - *n * along_normal);
            }
        });
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.dx.rows()
    }
}
