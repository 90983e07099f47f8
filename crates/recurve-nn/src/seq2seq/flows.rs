//! The rows of a decoder, and what one step of it does with them.

use super::attend::{Attend, Look, Memory};
use super::dense::{Dense, matrix};
use crate::layers::Flow;
use recurve_kernels::{Element, Engine, Keep, RecurrentLayer, Rows, Sequences, Steps, Tape};
use std::ops::Range;

/// The quantities of every row, in the order of the steps.
pub(super) struct Flows<E: Element> {
    /// What the first layer reads: the token's vector, and the attentional vector before.
    pub(super) x: Flow<E>,
    /// The output of the last layer.
    pub(super) top: Flow<E>,
    pub(super) query: Flow<E>,
    /// The mean of the values, and what attention gives.
    pub(super) context: Flow<E>,
    pub(super) attended: Flow<E>,
    /// What attention gives and the output of the last layer side by side.
    pub(super) joined: Flow<E>,
    /// The attentional vector: `tanh(W joined + b)`.
    pub(super) vector: Flow<E>,
    /// The weights of attention of all rows, and where those of each row lie.
    pub(super) weights: Vec<E>,
    pub(super) places: Vec<Range<usize>>,
}

/// The widths of [`Flows`].
#[derive(Clone, Copy)]
pub(super) struct Widths {
    pub(super) input: usize,
    pub(super) hidden: usize,
    pub(super) query: usize,
    pub(super) value: usize,
    pub(super) context: usize,
    pub(super) vector: usize,
}

impl<E: Element> Flows<E> {
    pub(super) fn new(widths: Widths) -> Self {
        let flow = Flow::tight;
        Self {
            x: flow(widths.input),
            top: flow(widths.hidden),
            query: flow(widths.query),
            context: flow(widths.value),
            attended: flow(widths.context),
            joined: flow(widths.context + widths.hidden),
            vector: flow(widths.vector),
            weights: vec![],
            places: vec![],
        }
    }

    /// Makes room for rows that look at sources of these lengths, with so many heads.
    pub(super) fn resize(&mut self, lengths: impl Iterator<Item = usize>, heads: usize) {
        self.places.clear();
        let mut end = 0;
        for length in lengths {
            self.places.push(end..end + heads * length);
            end += heads * length;
        }
        self.weights.resize(end, E::default());
        let rows = self.places.len();
        let all = [&mut self.x, &mut self.top, &mut self.query, &mut self.context];
        all.into_iter().for_each(|flow| flow.resize(rows));
        [&mut self.attended, &mut self.joined, &mut self.vector]
            .into_iter()
            .for_each(|flow| flow.resize(rows));
    }

    /// From the output of the last layer to the attentional vectors of `rows`. `look` gives the
    /// sequence of a row, and the weights of the step before it.
    pub(super) fn attend(
        &mut self,
        rows: Range<usize>,
        (attend, combine): (&mut Attend<E>, &Dense<E>),
        memory: &Memory<E>,
        look: impl Fn(usize, &[E]) -> (usize, Vec<E>),
    ) {
        match &attend.query {
            Some(dense) => {
                dense.forward(
                    matrix(self.top.rows(), rows.clone()),
                    &mut self.query.part_mut(rows.clone()),
                );
            }
            None => copy(&self.top, &mut self.query, rows.clone()),
        }
        for row in rows.clone() {
            let (b, before) = look(row, &self.weights);
            let query = self.query.rows();
            let own = Look { query: query.row(row), memory, b, before: &before };
            let weights = &mut self.weights[self.places[row].clone()];
            attend.forward(&own, weights, self.context.row_mut(row));
        }
        match &attend.output {
            Some(dense) => {
                let context = matrix(self.context.rows(), rows.clone());
                dense.forward(context, &mut self.attended.part_mut(rows.clone()));
            }
            None => copy(&self.context, &mut self.attended, rows.clone()),
        }
        for row in rows.clone() {
            let (attended, top) = (self.attended.rows(), self.top.rows());
            let (first, second) = self.joined.row_mut(row).split_at_mut(attended.width());
            first.copy_from_slice(attended.row(row));
            second.copy_from_slice(top.row(row));
        }
        let joined = matrix(self.joined.rows(), rows.clone());
        combine.forward(joined, &mut self.vector.part_mut(rows.clone()));
        for row in rows {
            self.vector.row_mut(row).iter_mut().for_each(|value| *value = value.tanh());
        }
    }
}

fn copy<E: Element>(from: &Flow<E>, to: &mut Flow<E>, rows: Range<usize>) {
    for row in rows {
        to.row_mut(row).copy_from_slice(from.rows().row(row));
    }
}

/// The states of one layer, `h [N, H]` and the others `[S-1, N, H]`.
pub(super) type States<E> = [Vec<E>; 2];

/// The states of the first `count` of `all` rows.
pub(super) fn first<E: Copy>(
    states: &States<E>,
    hidden: usize,
    all: usize,
    count: usize,
) -> States<E> {
    let part = |values: &Vec<E>| {
        let states = values.chunks_exact((all * hidden).max(1));
        states.flat_map(|state| state[..count * hidden].iter().copied()).collect()
    };
    [part(&states[0]), part(&states[1])]
}

/// One step of all layers: from `x` and the states before to the states after; the output is that of the
/// last tape.
pub(super) fn advance<E: Element>(
    layers: &mut [RecurrentLayer<E>],
    tapes: &mut [Tape<E>],
    (x, keep): (Rows<'_, E>, Keep),
    before: &[States<E>],
    count: usize,
) -> Vec<States<E>> {
    let steps = Steps::uniform(1, count);
    let mut after = vec![];
    for (at, (layer, before)) in layers.iter_mut().zip(before).enumerate() {
        let (below, rest) = tapes.split_at_mut(at);
        let x = below.last().map_or(x, |below| below.output());
        let [h, c] = before;
        let batch = Sequences { steps: &steps, x, initial: [h, c], resets: &[] };
        let mut now = [vec![E::default(); h.len()], vec![E::default(); c.len()]];
        let [h, c] = &mut now;
        layer.forward(&batch, keep, &mut rest[0], [h, c]);
        after.push(now);
    }
    after
}

/// Some rows of a flow.
pub(super) fn part<E: Element>(rows: Rows<'_, E>, which: Range<usize>) -> Rows<'_, E> {
    let (start, end) = (which.start * rows.stride(), which.end * rows.stride());
    let end = end.min(rows.data().len());
    Rows::new(&rows.data()[start.min(end)..end], rows.width(), rows.stride())
}

/// Rows with room for whole vectors, as the layers write them.
pub(super) fn padded<E: Element>(engine: Engine, width: usize, rows: usize) -> Flow<E> {
    let mut flow = Flow::padded(engine, width);
    flow.resize(rows);
    flow
}
