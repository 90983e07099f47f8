//! What a state of the decoder sees of the source: scores, their softmax, and the mean of the values.
//!
//! ```text
//! e_j = score(s, m_j)      a = softmax(e)      context = Σ_j a_j m_j
//! ```
//!
//! Keys and values are projections of the encoder's outputs, formed once for all steps. With several
//! heads, each has its own part of query, keys and values, and the context goes through one more linear
//! layer. The gradient of a softmax is `de = a∘(da - a·da)`; what a convolution saw of the weights before
//! goes back to the step before.

use super::dense::Dense;
use super::description::{Decoder, Score};
use crate::parameters::Entries;
use recurve_kernels::{Element, Engine, Softmax};
use std::ops::Range;

/// The outputs of an encoder as attention needs them: each sequence's steps one after the other.
#[derive(Clone, Debug)]
pub(super) struct Memory<E> {
    /// Where the steps of each sequence begin, and the end of the last.
    pub(super) starts: Vec<usize>,
    pub(super) keys: Vec<E>,
    pub(super) values: Vec<E>,
    pub(super) key_width: usize,
    pub(super) value_width: usize,
}

impl<E> Memory<E> {
    pub(super) fn steps(&self, b: usize) -> Range<usize> {
        self.starts[b]..self.starts[b + 1]
    }
}

/// The weights of attention; `None` where the score has none of the kind.
pub(super) struct Attend<E: Element> {
    score: Score,
    softmax: Softmax<E>,
    pub(super) query: Option<Dense<E>>,
    pub(super) key: Option<Dense<E>>,
    pub(super) value: Option<Dense<E>>,
    pub(super) output: Option<Dense<E>>,
    /// `v`, the filters `[F, 2 reach + 1]` and `U [width, F]`: where they lie, and what they are.
    ranges: [Range<usize>; 3],
    weights: [Vec<E>; 3],
    /// Their gradients so far.
    d_weights: [Vec<E>; 3],
    /// `f [steps, F]` and its gradient, and one row of a hidden layer.
    features: Vec<E>,
    d_features: Vec<E>,
    row: Vec<E>,
}

/// What one step of one sequence attends with, and to.
pub(super) struct Look<'a, E> {
    pub(super) query: &'a [E],
    pub(super) memory: &'a Memory<E>,
    pub(super) b: usize,
    /// The weights of the step before; empty at the first.
    pub(super) before: &'a [E],
}

/// The gradients that a step leaves.
pub(super) struct DLook<'a, E> {
    pub(super) query: &'a mut [E],
    /// Of the keys and values of all sequences.
    pub(super) keys: &'a mut [E],
    pub(super) values: &'a mut [E],
    /// Of the weights of the step before; empty at the first.
    pub(super) before: &'a mut [E],
}

/// A sum in eight chains: always the same, and as fast as vectors are.
fn dot<E: Element>(a: &[E], b: &[E]) -> E {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [E::default(); 8];
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum = *sum + *a * *b;
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(E::default(), |sum, (a, b)| sum + *a * *b);
    sums.into_iter().fold(rest, |sum, part| sum + part)
}

fn add_scaled<E: Element>(to: &mut [E], from: &[E], factor: E) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *to + *from * factor);
}

impl<E: Element> Attend<E> {
    pub(super) fn new(engine: Engine, decoder: &Decoder, memory: usize, entries: &Entries) -> Self {
        let range = |name: &str| {
            let name = format!("decoder.attention.{name}");
            entries.get(&name).map_or(0..0, |entry| entry.range.clone())
        };
        let dense = |name: &str, inputs, outputs| {
            let (weight, bias) = (range(&format!("{name}.weight")), range(&format!("{name}.bias")));
            (!weight.is_empty()).then(|| Dense::new(engine, (inputs, outputs), weight, bias))
        };
        let hidden = decoder.hidden;
        let width = match decoder.score {
            Score::Dot | Score::General | Score::MultiHead { .. } => hidden,
            Score::Additive { width } | Score::Location { width, .. } => width,
        };
        Self {
            score: decoder.score,
            softmax: Softmax::new(engine.isa()),
            query: dense("query", hidden, width),
            key: dense("key", memory, width),
            value: dense("value", memory, hidden),
            output: dense("output", hidden, hidden),
            ranges: ["score", "location.filters", "location.weight"].map(range),
            weights: Default::default(),
            d_weights: Default::default(),
            features: vec![],
            d_features: vec![],
            row: vec![E::default(); width],
        }
    }

    fn dense(&mut self) -> impl Iterator<Item = &mut Dense<E>> {
        [&mut self.query, &mut self.key, &mut self.value, &mut self.output].into_iter().flatten()
    }

    pub(super) fn load(&mut self, values: &[E]) {
        self.dense().for_each(|dense| dense.load(values));
        for (to, range) in self.weights.iter_mut().zip(&self.ranges) {
            to.clear();
            to.extend_from_slice(&values[range.clone()]);
        }
    }

    pub(super) fn heads(&self) -> usize {
        if let Score::MultiHead { heads } = self.score { heads } else { 1 }
    }

    /// Forgets the gradients of a pass before.
    pub(super) fn begin(&mut self) {
        for (to, range) in self.d_weights.iter_mut().zip(&self.ranges) {
            to.clear();
            to.resize(range.len(), E::default());
        }
    }

    /// Writes the gradients of the weights that no linear layer has.
    pub(super) fn learn(&self, gradients: &mut [E]) {
        for (from, range) in self.d_weights.iter().zip(&self.ranges) {
            gradients[range.clone()].copy_from_slice(from);
        }
    }

    /// The weights `[heads, steps]` and the context of one step of one sequence.
    pub(super) fn forward(&mut self, look: &Look<'_, E>, weights: &mut [E], context: &mut [E]) {
        let Look { query, memory, b, .. } = *look;
        let steps = memory.steps(b);
        context.fill(E::default());
        if steps.is_empty() {
            return;
        }
        let (count, heads) = (steps.len(), self.heads());
        self.convolve(look);
        let (own, part) = (query.len() / heads, memory.value_width / heads);
        let scale = self.scale(own);
        for (head, weights) in weights.chunks_exact_mut(count).enumerate() {
            for (at, (weight, j)) in weights.iter_mut().zip(steps.clone()).enumerate() {
                let key = &memory.keys[j * memory.key_width + head * own..][..own];
                *weight = if self.weights[0].is_empty() {
                    dot(&query[head * own..][..own], key) * scale
                } else {
                    self.hide(query, key, at);
                    dot(&self.row, &self.weights[0])
                };
            }
            let sum = self.softmax.exponentials(weights).sum;
            self.softmax.scale(weights, E::from_f64(1.0 / sum), E::default());
            for (weight, j) in weights.iter().zip(steps.clone()) {
                let value = &memory.values[j * memory.value_width + head * part..][..part];
                add_scaled(&mut context[head * part..][..part], value, *weight);
            }
        }
    }

    fn scale(&self, own: usize) -> E {
        let scaled = matches!(self.score, Score::MultiHead { .. });
        E::from_f64(if scaled { 1.0 / (own as f64).sqrt() } else { 1.0 })
    }

    /// What the convolutions see of the weights before: `f [steps, F]`.
    fn convolve(&mut self, look: &Look<'_, E>) {
        let Score::Location { filters, reach, .. } = self.score else { return };
        let count = look.memory.steps(look.b).len();
        self.features.clear();
        self.features.resize(count * filters, E::default());
        let taps = self.weights[1].chunks_exact(2 * reach + 1);
        for (filter, taps) in taps.enumerate() {
            for at in 0..count {
                for (tap, weight) in taps.iter().enumerate() {
                    let seen = (at + tap).checked_sub(reach).and_then(|j| look.before.get(j));
                    if let Some(seen) = seen {
                        let to = &mut self.features[at * filters + filter];
                        *to = *to + *seen * *weight;
                    }
                }
            }
        }
    }

    /// `tanh(q + k + U f)` of the step that is `at` in its sequence.
    fn hide(&mut self, query: &[E], key: &[E], at: usize) {
        let filters = self.weights[2].len() / self.row.len().max(1);
        let f = &self.features.get(at * filters..(at + 1) * filters).unwrap_or(&[]);
        for (unit, to) in self.row.iter_mut().enumerate() {
            let sum = query[unit] + key[unit];
            let u = &self.weights[2][unit * filters..][..filters];
            *to = (sum + dot(u, f)).tanh();
        }
    }

    /// From the gradients of the context and of the weights (of which the step after saw something, or
    /// nothing: empty) to those of everything that went in; those of keys, values and weights add up.
    pub(super) fn backward(
        &mut self,
        look: &Look<'_, E>,
        weights: &[E],
        (d_context, d_weights): (&[E], &[E]),
        d: DLook<'_, E>,
    ) {
        let Look { query, memory, b, before } = *look;
        let steps = memory.steps(b);
        d.query.fill(E::default());
        d.before.fill(E::default());
        if steps.is_empty() {
            return;
        }
        let (count, heads) = (steps.len(), self.heads());
        self.convolve(look);
        self.d_features.clear();
        self.d_features.resize(self.features.len(), E::default());
        let (own, part) = (query.len() / heads, memory.value_width / heads);
        let scale = self.scale(own);
        for (head, weights) in weights.chunks_exact(count).enumerate() {
            let d_context = &d_context[head * part..][..part];
            let given = |at: usize| d_weights.get(at).copied().unwrap_or_default();
            let of_weight = |at: usize| {
                let j = steps.start + at;
                let value = &memory.values[j * memory.value_width + head * part..][..part];
                dot(d_context, value) + given(at)
            };
            let along = (0..count).fold(E::default(), |sum, at| sum + of_weight(at) * weights[at]);
            for (at, j) in steps.clone().enumerate() {
                let d_score = weights[at] * (of_weight(at) - along);
                let d_value = &mut d.values[j * memory.value_width + head * part..][..part];
                add_scaled(d_value, d_context, weights[at]);
                let place = j * memory.key_width + head * own;
                let (key, d_key) = (&memory.keys[place..][..own], &mut d.keys[place..][..own]);
                if self.weights[0].is_empty() {
                    let own = head * own..(head + 1) * own;
                    add_scaled(&mut d.query[own.clone()], key, d_score * scale);
                    add_scaled(d_key, &query[own], d_score * scale);
                } else {
                    self.hide_backward(query, key, (at, d_score));
                    add_scaled(d.query, &self.row, d_score.like(1.0));
                    add_scaled(d_key, &self.row, d_score.like(1.0));
                }
            }
        }
        self.convolve_backward(before, d.before);
    }

    /// Leaves the gradient before the tanh in `row`, and adds those of `v`, `U` and `f`.
    fn hide_backward(&mut self, query: &[E], key: &[E], (at, d_score): (usize, E)) {
        self.hide(query, key, at);
        let filters = self.weights[2].len() / self.row.len().max(1);
        for (unit, hidden) in self.row.iter_mut().enumerate() {
            self.d_weights[0][unit] = self.d_weights[0][unit] + d_score * *hidden;
            let slope = hidden.like(1.0) - *hidden * *hidden;
            *hidden = d_score * self.weights[0][unit] * slope;
            let u = unit * filters..(unit + 1) * filters;
            let f = at * filters..(at + 1) * filters;
            if filters > 0 {
                add_scaled(&mut self.d_weights[2][u.clone()], &self.features[f.clone()], *hidden);
                add_scaled(&mut self.d_features[f], &self.weights[2][u], *hidden);
            }
        }
    }

    fn convolve_backward(&mut self, before: &[E], d_before: &mut [E]) {
        let Score::Location { filters, reach, .. } = self.score else { return };
        let width = 2 * reach + 1;
        for filter in 0..filters {
            for (at, d) in self.d_features.chunks_exact(filters).enumerate() {
                for tap in 0..width {
                    let Some(j) = (at + tap).checked_sub(reach) else { continue };
                    let Some(seen) = before.get(j) else { continue };
                    let weight = &mut self.d_weights[1][filter * width + tap];
                    *weight = *weight + d[filter] * *seen;
                    let taps = &self.weights[1][filter * width..][..width];
                    d_before[j] = d_before[j] + d[filter] * taps[tap];
                }
            }
        }
    }
}
