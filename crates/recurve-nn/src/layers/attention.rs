//! Self-attention with several heads (Vaswani et al. 2017): every step looks at steps of its own sequence.
//!
//! ```text
//! q_t, k_t, v_t = parts of W x_t + b        each cut into heads of d/heads values
//! a_tj = softmax_j(q_t · k_j / √(d/heads))   over the steps j that t may see
//! y_t = U [Σ_j a_tj v_j of each head] + b'
//! ```
//!
//! A step sees the whole sequence, or, where the layer is causal, itself and the steps before it, at
//! most `context` in all. A reset hides what lies before it. All sums are those of the products, one
//! chain of additions in the order of the steps, and a step that is not seen has weight 0 exactly, so a
//! stream gives the bits of the whole. What it carries is the keys and values of the last `context - 1`
//! steps, in `h` of its state, the oldest first; how many of them there are follows from the number of
//! steps so far, which is a state of its own (exact up to 2²⁴ in `f32`).

use super::{Back, Context, Flow, Linear, Node, Signal};
use crate::state::Part;
use recurve_kernels::{
    Buffer, Element, Engine, Matrix, Packed, Precision, Rows, RowsMut, Softmax, Start, each,
    product,
};
use std::ops::Range;

/// What a step may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The whole sequence.
    All,
    /// The last steps, itself included: as many as this.
    Past(usize),
}

/// The weights and the heads.
pub(crate) struct SelfAttention<E: Element> {
    engine: Engine,
    width: usize,
    heads: usize,
    sight: Sight,
    /// To queries, keys and values side by side.
    project: Linear<E>,
    output: Linear<E>,
    softmax: Softmax<E>,
    /// For each sequence of the batch.
    rooms: Vec<Room<E>>,
    since: Vec<Option<usize>>,
    /// The heads' values side by side, and backward the gradients of queries, keys and values.
    values: Flow<E>,
    d_projected: Flow<E>,
}

/// What one sequence needs: `S` keys, of which `S - T` were there before the batch.
#[derive(Default)]
struct Room<E: Element> {
    /// Keys that were there before the batch; none after a reset at its first step.
    past: usize,
    /// `[S, 3d]`: query, key and value of each step. Queries before the batch are not there.
    projected: Buffer<E>,
    /// `[heads, T, S]`: the weights.
    weights: Buffer<E>,
    /// `[T, d]`, and its gradient.
    values: Buffer<E>,
    d_projected: Buffer<E>,
    d_weights: Buffer<E>,
    right: Packed<E>,
    /// For each step of the batch, the keys it sees.
    seen: Vec<Range<usize>>,
    /// The first key that a later batch may see.
    first_kept: usize,
}

/// What is the same for all sequences of a pass.
#[derive(Clone, Copy)]
struct Shape<E: Element> {
    engine: Engine,
    width: usize,
    heads: usize,
    softmax: Softmax<E>,
}

impl<E: Element> SelfAttention<E> {
    /// `width` values, which `heads` divides; `ranges` are those of the weights and the bias before the
    /// heads, and after them.
    pub(crate) fn new(
        engine: Engine,
        (width, heads): (usize, usize),
        sight: Sight,
        [w, b, u, c]: [Range<usize>; 4],
    ) -> Self {
        Self {
            engine,
            width,
            heads,
            sight,
            project: Linear::new(engine, width, 3 * width, w, b),
            output: Linear::new(engine, width, width, u, c),
            softmax: Softmax::new(engine.isa()),
            rooms: vec![],
            since: vec![],
            values: Flow::tight(width),
            d_projected: Flow::tight(3 * width),
        }
    }

    /// Steps that a state holds.
    fn kept(&self) -> usize {
        match self.sight {
            Sight::All => 0,
            Sight::Past(context) => context - 1,
        }
    }

    pub(crate) fn load(&mut self, values: &[E], backward: bool) {
        self.project.load(values, backward);
        self.output.load(values, backward);
    }

    fn shape(&self) -> Shape<E> {
        // The products of a sequence are small, and sequences are shared out among threads.
        let engine = self.engine.with_threads(1).with_precision(Precision::Full);
        Shape { engine, width: self.width, heads: self.heads, softmax: self.softmax }
    }

    /// `before` is how many steps of each sequence, in the caller's order, lie before the batch; `state`
    /// what of them is kept: none where the layer is not causal.
    pub(crate) fn forward(
        &mut self,
        context: &Context<'_>,
        x: Rows<'_, E>,
        before: &[usize],
        state: Option<&mut Part<E>>,
    ) {
        self.project.forward(context, Signal::Rows(x), &mut []);
        context.since(&mut self.since);
        let (kept, width, shape) = (self.kept(), self.width, self.shape());
        let order = context.order;
        let (steps, sequences) = (order.steps(), order.sequences());
        let count = sequences.len();
        if self.rooms.len() < count {
            self.rooms.resize_with(count, Room::default);
        }
        let (sight, since) = (self.sight, &self.since);
        let (projected, old) = (self.project.output(), state.as_ref().map(|state| &state.h[..]));
        let threads = self.engine.threads_over(order.rows() * 3 * width);
        each(threads, self.rooms[..count].iter_mut().enumerate(), |(place, room)| {
            let b = sequences[place];
            let length = steps.lengths()[place];
            room.past = before[b].min(kept);
            room.resize(shape, length, if length == 1 { kept } else { room.past });
            let (past, own) = (room.past, 2 * width);
            if let Some(old) = old {
                let old = old[b * kept * own..][..past * own].chunks_exact(own);
                let to = room.projected.chunks_exact_mut(3 * width);
                to.zip(old).for_each(|(to, from)| to[width..].copy_from_slice(from));
            }
            let to = room.projected.chunks_exact_mut(3 * width).skip(past);
            for (t, to) in to.take(length).enumerate() {
                to.copy_from_slice(projected.row(steps.first_row(t) + place));
            }
            room.look(sight, length, |t| since[steps.first_row(t) + place]);
            room.forward(shape, length);
        });
        if let Some(state) = state {
            for (place, b) in sequences.iter().enumerate() {
                self.rooms[place]
                    .leave(width, &mut state.h[b * kept * 2 * width..][..kept * 2 * width]);
            }
        }
        self.values.resize(order.rows());
        let rooms = &self.rooms;
        self.values.fill_rows(self.engine, |row, to| {
            let (t, place) = order.inner_place(row);
            to.copy_from_slice(&rooms[place].values[t * width..][..width]);
        });
        self.output.forward(context, Signal::Rows(self.values.rows()), &mut []);
    }

    pub(crate) fn output(&self) -> Rows<'_, E> {
        self.output.output()
    }

    /// `d_state` as [`SelfAttention::forward`] has `state`.
    pub(crate) fn backward(
        &mut self,
        context: &Context<'_>,
        x: Rows<'_, E>,
        (dy, input_wanted): (Rows<'_, E>, bool),
        d_state: Option<&mut Part<E>>,
        gradients: &mut [E],
    ) {
        let d_states = &mut [][..];
        let back = Back { dy, d_states, input_wanted: true, gradients: &mut *gradients };
        self.output.backward(context, Signal::Rows(self.values.rows()), back);
        let (kept, width, shape) = (self.kept(), self.width, self.shape());
        let order = context.order;
        let (steps, sequences) = (order.steps(), order.sequences());
        let (d_values, old) = (self.output.d_input(), d_state.as_ref().map(|state| &state.h[..]));
        let threads = self.engine.threads_over(order.rows() * 3 * width);
        let rooms = self.rooms[..sequences.len()].iter_mut().enumerate();
        each(threads, rooms, |(place, room)| {
            let length = steps.lengths()[place];
            // What was the output of the heads holds its gradient from here on.
            for (t, to) in room.values.chunks_exact_mut(width).take(length).enumerate() {
                to.copy_from_slice(d_values.row(steps.first_row(t) + place));
            }
            room.backward(shape, length);
            if let Some(old) = old {
                room.enter(
                    width,
                    length,
                    &old[sequences[place] * kept * 2 * width..][..kept * 2 * width],
                );
            }
        });
        if let Some(state) = d_state {
            for (place, b) in sequences.iter().enumerate() {
                let own = &mut state.h[b * kept * 2 * width..][..kept * 2 * width];
                own.fill(E::default());
                let room = &self.rooms[place];
                let from = room.d_projected.chunks_exact(3 * width).take(room.past);
                for (to, from) in own.chunks_exact_mut(2 * width).zip(from) {
                    to.copy_from_slice(&from[width..]);
                }
            }
        }
        self.d_projected.resize(order.rows());
        let rooms = &self.rooms;
        self.d_projected.fill_rows(self.engine, |row, to| {
            let (t, place) = order.inner_place(row);
            let room = &rooms[place];
            to.copy_from_slice(&room.d_projected[(room.past + t) * 3 * width..][..3 * width]);
        });
        let dy = self.d_projected.rows();
        let back = Back { dy, d_states: &mut [], input_wanted, gradients };
        self.project.backward(context, Signal::Rows(x), back);
    }

    pub(crate) fn d_input(&self) -> Rows<'_, E> {
        self.project.d_input()
    }
}

impl<E: Element> Room<E> {
    /// Makes room for `length` steps after `past` others, at most `most`.
    fn resize(&mut self, shape: Shape<E>, length: usize, most: usize) {
        // As much as a stream will need, so that it takes no memory as it grows.
        let all = most + length;
        let Shape { width, heads, .. } = shape;
        if self.right.depth() * self.right.columns() == 0 && most > 0 {
            let zeros = vec![E::default(); all.max(width) * width];
            self.right.pack(shape.engine, Matrix::new(&zeros, all, width / heads, width));
            let keys = Matrix::new(&zeros, all, width / heads, width);
            self.right.pack(shape.engine, keys.transposed());
        }
        self.projected.resize(all * 3 * width);
        self.weights.resize(heads * length * all);
        self.values.resize(length * width);
    }

    /// Which keys each step sees.
    fn look(&mut self, sight: Sight, length: usize, since: impl Fn(usize) -> Option<usize>) {
        self.seen.clear();
        let mut end = length;
        for t in (0..length).rev() {
            let start = since(t).map_or(0, |t| self.past + t);
            self.seen.push(match sight {
                Sight::All => start..self.past + end,
                Sight::Past(context) => {
                    start.max((self.past + t + 1).saturating_sub(context))..self.past + t + 1
                }
            });
            if since(t) == Some(t) {
                end = t;
            }
        }
        self.seen.reverse();
        let last = length.checked_sub(1).and_then(since);
        self.first_kept = last.map_or(0, |t| self.past + t);
    }

    /// The queries, keys or values (0, 1, 2) of a head, and of steps from `first` on.
    fn part<'a>(
        shape: Shape<E>,
        from: &'a [E],
        (part, head): (usize, usize),
        steps: Range<usize>,
    ) -> Matrix<'a, E> {
        let (width, own) = (shape.width, shape.width / shape.heads);
        let first = steps.start * 3 * width + part * width + head * own;
        Matrix::new(from.get(first..).unwrap_or(&[]), steps.len(), own, 3 * width)
    }

    fn forward(&mut self, shape: Shape<E>, length: usize) {
        if length == 0 {
            return;
        }
        let all = self.past + length;
        let own = shape.width / shape.heads;
        let scale = E::from_f64(1.0 / (own as f64).sqrt());
        for head in 0..shape.heads {
            let weights = &mut self.weights[head * length * all..][..length * all];
            let part = |part, steps| Self::part(shape, &self.projected, (part, head), steps);
            self.right.pack(shape.engine, part(1, 0..all).transposed());
            let queries = part(0, self.past..all);
            let mut scores = RowsMut::new(weights, all, all);
            product(shape.engine, queries, &self.right, Start::Zero, &mut scores);
            for (row, seen) in weights.chunks_exact_mut(all).zip(&self.seen) {
                row[..seen.start].fill(E::default());
                row[seen.end..].fill(E::default());
                let row = &mut row[seen.clone()];
                shape.softmax.scale(row, scale, E::default());
                let sum = shape.softmax.exponentials(row).sum;
                shape.softmax.scale(row, E::from_f64(1.0 / sum), E::default());
            }
            self.right.pack(shape.engine, part(2, 0..all));
            let weights = Matrix::new(weights, length, all, all);
            let values = self.values.get_mut(head * own..).unwrap_or(&mut []);
            let mut values = RowsMut::new(values, own, shape.width);
            product(shape.engine, weights, &self.right, Start::Zero, &mut values);
        }
    }

    /// Keys and values that a later batch may see.
    fn leave(&self, width: usize, to: &mut [E]) {
        let all = self.past + self.seen.len();
        let (most, own) = (to.len() / (2 * width), 2 * width);
        let first = self.first_kept.max(all.saturating_sub(most));
        to.fill(E::default());
        let from = self.projected.chunks_exact(3 * width).take(all).skip(first);
        for (to, from) in to.chunks_exact_mut(own).zip(from) {
            to.copy_from_slice(&from[width..]);
        }
    }

    /// The reverse of [`Room::leave`]: adds the gradient of the state after the batch.
    fn enter(&mut self, width: usize, length: usize, d: &[E]) {
        let all = self.past + length;
        let first = self.first_kept.max(all.saturating_sub(d.len() / (2 * width)));
        let to = self.d_projected.chunks_exact_mut(3 * width).take(all).skip(first);
        for (to, d) in to.zip(d.chunks_exact(2 * width)) {
            to[width..].iter_mut().zip(d).for_each(|(to, d)| *to = *to + *d);
        }
    }

    /// From the gradient of the values, which stands in their place, to that of what was projected.
    fn backward(&mut self, shape: Shape<E>, length: usize) {
        let all = self.past + length;
        let own = shape.width / shape.heads;
        let scale = E::from_f64(1.0 / (own as f64).sqrt());
        self.d_projected.resize(all * 3 * shape.width);
        self.d_projected.fill(E::default());
        if length == 0 {
            return;
        }
        self.d_weights.resize(length * all);
        for head in 0..shape.heads {
            let weights = &self.weights[head * length * all..][..length * all];
            let part = |part, steps| Self::part(shape, &self.projected, (part, head), steps);
            let d_values = self.values.get(head * own..).unwrap_or(&[]);
            let d_values = Matrix::new(d_values, length, own, shape.width);
            self.right.pack(shape.engine, part(2, 0..all).transposed());
            let mut d_weights = RowsMut::new(&mut self.d_weights, all, all);
            product(shape.engine, d_values, &self.right, Start::Zero, &mut d_weights);
            let rows = self.d_weights.chunks_exact_mut(all).zip(weights.chunks_exact(all));
            for ((d, weights), seen) in rows.zip(&self.seen) {
                d[..seen.start].fill(E::default());
                d[seen.end..].fill(E::default());
                let (d, weights) = (&mut d[seen.clone()], &weights[seen.clone()]);
                let along =
                    d.iter().zip(weights).map(|(d, w)| d.to_f64() * w.to_f64()).sum::<f64>();
                let along = E::from_f64(along);
                for (d, weight) in d.iter_mut().zip(weights) {
                    *d = *weight * (*d - along) * scale;
                }
            }
            let d_weights = Matrix::new(&self.d_weights, length, all, all);
            let mut to = |part: usize, first: usize, left: Matrix<'_, E>, right: &Packed<E>| {
                let start = first * 3 * shape.width + part * shape.width + head * own;
                let to = self.d_projected.get_mut(start..).unwrap_or(&mut []);
                let mut to = RowsMut::new(to, own, 3 * shape.width);
                product(shape.engine, left, right, Start::Zero, &mut to);
            };
            self.right.pack(shape.engine, part(1, 0..all));
            to(0, self.past, d_weights, &self.right);
            self.right.pack(shape.engine, part(0, self.past..all));
            to(1, 0, d_weights.transposed(), &self.right);
            self.right.pack(shape.engine, d_values);
            to(2, 0, Matrix::new(weights, length, all, all).transposed(), &self.right);
        }
    }
}
