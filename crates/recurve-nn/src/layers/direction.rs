//! One direction of one recurrent layer: its weights, its states and the order of its rows.
//!
//! A layer that reads from the end is the same layer on mirrored rows: each sequence from its own
//! last step to its first. Where resets cut sequences and layers start from learned states, rows stand
//! in the order of the stretches between. The kernels know one direction, and sequences only.

use super::kernel::Kernel;
use super::segments::Segments;
use super::weight_drop::WeightDrop;
use super::{Back, Context, Flow, Mode};
use crate::cells;
use crate::description::Recurrent;
use crate::parameters::Entries;
use crate::state::Part;
use crate::trace::LayerTrace;
use recurve_kernels::{Element, Engine, Errors, Rows, Sequences, Weights, WeightsMut};
use std::ops::Range;

/// Where the weights of a direction lie among those of the model.
pub(crate) struct Ranges {
    w: Range<usize>,
    r: Range<usize>,
    b: Range<usize>,
    b_r: Range<usize>,
    p: Range<usize>,
    /// The learned states before the first step, or nothing.
    pub(super) initial: Range<usize>,
}

impl Ranges {
    pub(crate) fn new(entries: &Entries, prefix: &str) -> Self {
        let range = |name: &str| {
            entries.get(&format!("{prefix}.{name}")).map_or(0..0, |entry| entry.range.clone())
        };
        Self {
            w: range("w"),
            r: range("r"),
            b: range("b"),
            b_r: range("b_r"),
            p: range("p"),
            initial: range("initial"),
        }
    }

    /// All weights of the direction.
    pub(crate) fn whole(&self) -> Range<usize> {
        let parts = [&self.r, &self.b, &self.b_r, &self.p];
        self.w.start..parts.iter().map(|part| part.end).max().unwrap_or(self.w.end)
    }

    /// The same places counted from the first.
    pub(crate) fn counted_from_first(&self) -> Self {
        let shift = |range: &Range<usize>| match range.is_empty() {
            true => 0..0,
            false => range.start - self.w.start..range.end - self.w.start,
        };
        Self {
            w: shift(&self.w),
            r: shift(&self.r),
            b: shift(&self.b),
            b_r: shift(&self.b_r),
            p: shift(&self.p),
            initial: shift(&self.initial),
        }
    }

    pub(crate) fn read<'a, E>(&self, values: &'a [E]) -> Weights<'a, E> {
        let part = |range: &Range<usize>| &values[range.clone()];
        Weights {
            w: part(&self.w),
            r: part(&self.r),
            b: part(&self.b),
            b_r: part(&self.b_r),
            p: part(&self.p),
        }
    }

    /// The parts of a gradient. They stand one after the other, in the order of the fields.
    pub(crate) fn write<'a, E>(&self, values: &'a mut [E]) -> WeightsMut<'a, E> {
        let mut rest = &mut values[self.w.start..];
        let mut part = |range: &Range<usize>| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(range.len());
            rest = tail;
            head
        };
        let (w, r, b) = (part(&self.w), part(&self.r), part(&self.b));
        WeightsMut { w, r, b, b_r: part(&self.b_r), p: part(&self.p) }
    }
}

/// One direction of one layer.
pub(super) struct Direction<E: Element> {
    engine: Engine,
    kernel: Kernel<E>,
    /// What it is called in a profile.
    pub(super) name: String,
    pub(super) ranges: Ranges,
    /// Numbers of a sequence in `h`, and in each state beside it.
    pub(super) widths: [usize; 2],
    reverse: bool,
    pub(super) drop: Option<WeightDrop<E>>,
    /// The learned states before the first step, one after the other, or empty.
    initial: Vec<E>,
    /// Whether rows of the last pass stood in another order than those of the batch.
    is_moved: bool,
    /// The states of the sequences in the order of the pass: before and after, and their gradients.
    before: [Vec<E>; 2],
    after: [Vec<E>; 2],
    d_before: [Vec<E>; 2],
    /// The input and the resets of a direction whose rows stand in another order.
    x: Flow<E>,
    resets: Vec<bool>,
    pub(super) dx: Flow<E>,
}

impl<E: Element> Direction<E> {
    pub(super) fn new(
        engine: Engine,
        stack: &Recurrent,
        input: usize,
        (reverse, id): (bool, u64),
        (entries, prefix): (&Entries, &str),
    ) -> Self {
        Self {
            engine,
            kernel: Kernel::new(engine, stack, input, (entries, prefix), id),
            name: String::new(),
            ranges: Ranges::new(entries, prefix),
            widths: [stack.output(), carried(stack)],
            reverse,
            drop: None,
            initial: vec![],
            is_moved: reverse,
            before: [vec![], vec![]],
            after: [vec![], vec![]],
            d_before: [vec![], vec![]],
            x: Flow::tight(input),
            resets: vec![],
            dx: Flow::padded(engine, input),
        }
    }

    /// The same with a name for profiles, and with dropout of its weights.
    pub(super) fn named(self, name: String, drop: Option<WeightDrop<E>>) -> Self {
        Self { name, drop, ..self }
    }

    pub(super) fn load(&mut self, values: &[E], backward: bool) {
        match &mut self.drop {
            Some(drop) => drop.load(&values[self.ranges.whole()], backward),
            None => self.kernel.load(&self.ranges, values, backward),
        }
        self.initial.clear();
        self.initial.extend_from_slice(&values[self.ranges.initial.clone()]);
    }

    /// Sets the states to the learned ones, if there are any.
    pub(super) fn begin(&self, state: &mut Part<E>) {
        let batch = state.h.len() / self.widths[0];
        for (to, at) in states_mut(state, self.widths, batch) {
            let from = self.initial.get(at..at + to.len() / batch.max(1));
            for to in to.chunks_exact_mut((to.len() / batch.max(1)).max(1)) {
                if let Some(from) = from {
                    to.copy_from_slice(from);
                }
            }
        }
    }

    /// Whether rows stand in the order of the batch.
    pub(super) fn is_in_order(&self) -> bool {
        !self.is_moved
    }

    /// Packs the weights of this pass, where they are not.
    fn draw_weights(&mut self, mode: Mode) {
        let Some(drop) = &mut self.drop else { return };
        let places = self.ranges.counted_from_first();
        let r = (places.r.clone(), self.widths[0]);
        if let Some((values, backward)) = drop.due(self.engine, mode, r) {
            self.kernel.load(&places, values, backward);
        }
    }

    pub(super) fn forward(&mut self, context: &Context<'_>, x: Rows<'_, E>, state: &mut Part<E>) {
        self.draw_weights(context.mode);
        self.is_moved = self.reverse || context.segments.is_some();
        if self.is_moved {
            self.move_input(context, x);
        }
        let entries = ends(context, self.reverse, End::Entry);
        place(entries, (&self.initial, self.widths), state, &mut self.before);
        for (after, before) in self.after.iter_mut().zip(&self.before) {
            after.resize(before.len(), E::default());
        }
        let batch = sequences(context, self.is_moved, x, &self.x, &self.resets, &self.before);
        self.kernel.forward(context, &batch, &mut self.after);
        take_back(ends(context, self.reverse, End::Exit), self.widths, &self.after, state);
    }

    /// The output of the last pass, in this direction's own order.
    pub(super) fn output(&self) -> Rows<'_, E> {
        self.kernel.output()
    }

    /// Where a row of the batch stands in this direction's own order.
    pub(super) fn row(&self, context: &Context<'_>, row: usize) -> usize {
        match context.segments {
            Some(segments) => segments.own(self.reverse, row),
            None if self.reverse => context.order.mirror()[row],
            None => row,
        }
    }

    /// The reverse of [`Direction::row`].
    pub(super) fn row_of(&self, context: &Context<'_>, own: usize) -> usize {
        match context.segments {
            Some(segments) => segments.row(self.reverse, own),
            // Mirroring twice changes nothing.
            None => self.row(context, own),
        }
    }

    fn move_input(&mut self, context: &Context<'_>, x: Rows<'_, E>) {
        let mut moved = std::mem::replace(&mut self.x, Flow::tight(0));
        moved.resize(context.order.rows());
        moved.fill_rows(self.engine, |own, to| {
            to.copy_from_slice(x.row(self.row_of(context, own)));
        });
        self.x = moved;
        self.resets.clear();
        if !context.resets.is_empty() && context.segments.is_none() {
            // A sequence that starts at step t ends, seen from its end, before step t - 1.
            let (steps, mirror) = (context.order.steps(), context.order.mirror());
            self.resets.resize(mirror.len(), false);
            for t in 1..steps.count() {
                for b in 0..steps.active(t) {
                    let before = steps.first_row(t - 1) + b;
                    self.resets[mirror[before]] = context.resets[steps.first_row(t) + b];
                }
            }
        }
    }

    pub(super) fn backward(&mut self, context: &Context<'_>, x: Rows<'_, E>, errors: Back<'_, E>) {
        let [d_state] = errors.d_states else { unreachable!("a direction has one state") };
        let exits = ends(context, self.reverse, End::Exit);
        place(exits, (&[], self.widths), d_state, &mut self.after);
        if errors.input_wanted {
            self.dx.resize(context.order.rows());
        }
        let batch = sequences(context, self.is_moved, x, &self.x, &self.resets, &self.before);
        let [d_h, d_c] = &self.after;
        let [d_h0, d_c0] = &mut self.d_before;
        d_h0.resize(d_h.len(), E::default());
        d_c0.resize(d_c.len(), E::default());
        let flows = Errors {
            dy: errors.dy,
            d_last: [d_h, d_c],
            dx: errors.input_wanted.then(|| self.dx.rows_mut()),
            d_initial: [d_h0, d_c0],
        };
        self.kernel.backward(&self.ranges, &batch, flows, errors.gradients);
        if let Some(drop) = &self.drop {
            drop.backward(&mut errors.gradients[self.ranges.r.clone()]);
        }
        // Where another stretch of a sequence takes its initial state, nothing comes back to the given.
        let entries = || ends(context, self.reverse, End::Entry);
        if context.segments.is_some() {
            let entered = |b: usize| entries().any(|(other, enters)| other == b && enters);
            let lengths = context.order.steps().lengths();
            for (place, b) in context.order.sequences().iter().enumerate() {
                if lengths[place] > 0 && !entered(*b) {
                    let batch = d_state.h.len() / self.widths[0];
                    for (d, _) in states_mut(d_state, self.widths, batch) {
                        let width = d.len() / batch;
                        d[b * width..][..width].fill(E::default());
                    }
                }
            }
        }
        take_back(entries(), self.widths, &self.d_before, d_state);
        if !self.ranges.initial.is_empty() {
            self.learn_initial(
                context,
                d_state,
                &mut errors.gradients[self.ranges.initial.clone()],
            );
        }
    }

    /// What the layer kept of the last pass, rows in the order of the batch.
    pub(super) fn trace(&self, context: &Context<'_>, name: String) -> LayerTrace<E> {
        let steps = context.segments.map_or_else(|| context.order.steps(), Segments::steps);
        let hidden = self.widths[0];
        let (gates, values) = self.kernel.read(steps, hidden);
        let size = steps.rows() * hidden;
        let own = [gates, values];
        let in_order = |from: &[E]| -> Vec<E> {
            let row = |part: &[E], row| part[self.row(context, row) * hidden..][..hidden].to_vec();
            let parts = from.chunks_exact(size.max(1));
            parts.flat_map(|part| (0..steps.rows()).flat_map(move |at| row(part, at))).collect()
        };
        let (gates, states) = (in_order(&own[0]), in_order(&own[1]));
        LayerTrace { name, hidden, rows: steps.rows(), gates, states }
    }

    /// The gradient of the learned states: of all sequences that started from them.
    fn learn_initial(&self, context: &Context<'_>, d_state: &Part<E>, gradient: &mut [E]) {
        gradient.fill(E::default());
        let (batch, own) = (d_state.h.len(), self.d_before[0].len());
        let (batch, own) = (batch / self.widths[0], own / self.widths[0]);
        let [d_h, d_c] = &self.d_before;
        let given = states([&d_state.h, &d_state.c], self.widths, batch);
        let before = states([d_h, d_c], self.widths, own);
        for ((d_given, at), (d_before, _)) in given.zip(before) {
            let width = d_given.len() / batch.max(1);
            let to = &mut gradient[at..at + width];
            let mut add = |d: &[E]| to.iter_mut().zip(d).for_each(|(to, d)| *to = *to + *d);
            if !context.given {
                d_given.chunks_exact(width).for_each(&mut add);
            }
            for (at, (_, entered)) in ends(context, self.reverse, End::Entry).enumerate() {
                if !entered {
                    add(&d_before[at * width..][..width]);
                }
            }
        }
    }
}

/// Numbers of a sequence in each state beside `h`.
fn carried(stack: &Recurrent) -> usize {
    if stack.gate_recurrence || stack.matrix_memory(0).is_some() {
        cells::memory(stack)
    } else {
        stack.hidden
    }
}

/// Every state of `batch` sequences, with the place of its first number in one row of all states.
fn states<E>(
    [h, c]: [&[E]; 2],
    [of_h, of_c]: [usize; 2],
    batch: usize,
) -> impl Iterator<Item = (&[E], usize)> {
    let others = c.chunks_exact((batch * of_c).max(1)).enumerate();
    std::iter::once((h, 0)).chain(others.map(move |(at, c)| (c, of_h + at * of_c)))
}

/// The same, to write.
fn states_mut<E>(
    state: &mut Part<E>,
    [of_h, of_c]: [usize; 2],
    batch: usize,
) -> impl Iterator<Item = (&mut [E], usize)> {
    let others = state.c.chunks_exact_mut((batch * of_c).max(1)).enumerate();
    let first = std::iter::once((&mut state.h[..], 0));
    first.chain(others.map(move |(at, c)| (c, of_h + at * of_c)))
}

/// An end of a sequence in the direction of a layer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Entry,
    Exit,
}

/// For each sequence of a pass, in its order: the caller's sequence, and whether that one's state is the
/// sequence's own at this end.
fn ends<'a>(
    context: &Context<'a>,
    reverse: bool,
    end: End,
) -> impl Iterator<Item = (usize, bool)> + Clone + use<'a> {
    let order = context.order.sequences();
    let whole = context.segments.is_none().then(|| order.iter().map(|b| (*b, true)));
    let cut = context.segments.map(|segments| {
        segments.ends(reverse).map(move |(place, enters, leaves)| {
            (order[place], if end == End::Entry { enters } else { leaves })
        })
    });
    whole.into_iter().flatten().chain(cut.into_iter().flatten())
}

fn sequences<'a, E: Element>(
    context: &Context<'a>,
    is_moved: bool,
    x: Rows<'a, E>,
    moved: &'a Flow<E>,
    resets: &'a [bool],
    before: &'a [Vec<E>; 2],
) -> Sequences<'a, E> {
    let (x, resets) = if is_moved { (moved.rows(), resets) } else { (x, context.resets) };
    let steps = context.segments.map_or_else(|| context.order.steps(), Segments::steps);
    Sequences { steps, x, initial: [&before[0], &before[1]], resets }
}

/// The states of the caller's sequences in the order of a pass; where a sequence has none of its own,
/// those of `other`, or zero.
fn place<E: Copy + Default>(
    ends: impl Iterator<Item = (usize, bool)> + Clone,
    (other, widths): (&[E], [usize; 2]),
    from: &Part<E>,
    to: &mut [Vec<E>; 2],
) {
    let batch = from.h.len() / widths[0];
    to.iter_mut().for_each(Vec::clear);
    for (state, at) in states([&from.h, &from.c], widths, batch) {
        let (to, width) = if at == 0 { (&mut to[0], widths[0]) } else { (&mut to[1], widths[1]) };
        let other = other.get(at..at + width);
        for (b, own) in ends.clone() {
            match other {
                _ if own => to.extend_from_slice(&state[b * width..][..width]),
                Some(other) => to.extend_from_slice(other),
                None => to.resize(to.len() + width, E::default()),
            }
        }
    }
}

/// The reverse of [`place`].
fn take_back<E: Copy>(
    ends: impl Iterator<Item = (usize, bool)> + Clone,
    widths: [usize; 2],
    from: &[Vec<E>; 2],
    to: &mut Part<E>,
) {
    let (batch, own) = (to.h.len() / widths[0], from[0].len() / widths[0]);
    let from = states([&from[0], &from[1]], widths, own);
    for ((to, at), (from, _)) in states_mut(to, widths, batch).zip(from) {
        let width = widths[usize::from(at > 0)];
        for (from, (b, own)) in from.chunks_exact(width).zip(ends.clone()) {
            if own {
                to[b * width..][..width].copy_from_slice(from);
            }
        }
    }
}
