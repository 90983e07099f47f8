//! A stack of recurrent layers, in one direction or in both.
//!
//! A layer that reads from the end is the same layer on mirrored rows: each sequence from its own
//! last step to its first. The kernels know one direction only.

use super::dropout::{Mask, scale};
use super::{Back, Context, Flow, Mode, Node, Signal};
use crate::cells;
use crate::description::Recurrent;
use crate::parameters::Entries;
use crate::state::Part;
use recurve_kernels::profile::span;
use recurve_kernels::{
    Element, Engine, Errors, RecurrentLayer, Rows, Sequences, Tape, Weights, WeightsMut,
};
use std::ops::Range;

pub(crate) struct Stack<E: Element> {
    layers: Vec<StackLayer<E>>,
    /// Where the states of the stack stand among those of the model.
    states: Range<usize>,
}

impl<E: Element> Stack<E> {
    /// The stack that is layer `at` of a model; its states are those from `first_state` on.
    pub(crate) fn new(
        engine: Engine,
        at: usize,
        stack: &Recurrent,
        input: usize,
        entries: &Entries,
        first_state: usize,
    ) -> Self {
        let layers = (0..stack.layers).map(|layer| {
            let input = if layer == 0 { input } else { stack.width() };
            let dropped = stack.dropout > 0.0 && layer + 1 < stack.layers;
            let id = (at as u64) << 32 | layer as u64;
            let mask = || Mask::new(engine, id, stack.dropout, stack.width());
            let directions = (0..stack.directions()).map(|direction| {
                let name = format!("{layer}.{}", ["forward", "reverse"][direction]);
                let ranges = Ranges::new(entries, &format!("{at}.recurrent.{name}"));
                Direction { name, ..Direction::new(engine, stack, input, direction == 1, ranges) }
            });
            StackLayer {
                engine,
                directions: directions.collect(),
                mask: dropped.then(mask),
                active: false,
                joined: Flow::tight(stack.width()),
                dy: (0..stack.directions()).map(|_| Flow::padded(engine, stack.hidden)).collect(),
                dx: Flow::padded(engine, input),
            }
        });
        let states = first_state..first_state + stack.layers * stack.directions();
        Self { layers: layers.collect(), states }
    }
}

impl<E: Element> Node<E> for Stack<E> {
    fn load(&mut self, values: &[E], backward: bool) {
        for direction in self.layers.iter_mut().flat_map(|layer| &mut layer.directions) {
            let _span = span(&direction.name);
            direction.layer.set_weights(direction.ranges.read(values), backward);
        }
    }

    fn forward(&mut self, context: &Context<'_>, input: Signal<'_, E>, states: &mut [Part<E>]) {
        let count = self.layers[0].directions.len();
        let states = &mut states[self.states.clone()];
        for (at, states) in states.chunks_exact_mut(count).enumerate() {
            let (below, rest) = self.layers.split_at_mut(at);
            let x = below.last().map_or_else(|| input.rows(), StackLayer::output);
            rest[0].forward(context, x, states);
        }
    }

    fn output(&self) -> Rows<'_, E> {
        self.layers[self.layers.len() - 1].output()
    }

    fn backward(&mut self, context: &Context<'_>, input: Signal<'_, E>, errors: Back<'_, E>) {
        let count = self.layers[0].directions.len();
        let states = &mut errors.d_states[self.states.clone()];
        for (at, d_states) in states.chunks_exact_mut(count).enumerate().rev() {
            let (below, rest) = self.layers.split_at_mut(at);
            let [layer, above @ ..] = rest else { unreachable!("`at` counts the layers") };
            let x = below.last().map_or_else(|| input.rows(), StackLayer::output);
            let dy = above.first().map_or(errors.dy, |above| above.d_input());
            let input_wanted = at > 0 || errors.input_wanted;
            layer.backward(
                context,
                x,
                Back { dy, d_states, input_wanted, gradients: errors.gradients },
            );
        }
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.layers[0].d_input()
    }
}

/// One layer of the stack: its directions, and what joins them.
struct StackLayer<E: Element> {
    engine: Engine,
    directions: Vec<Direction<E>>,
    mask: Option<Mask<E>>,
    /// Whether the last pass dropped.
    active: bool,
    /// The outputs of the directions side by side, after dropout.
    joined: Flow<E>,
    /// The gradient of each direction's output, before dropout and in its own order.
    dy: Vec<Flow<E>>,
    /// The gradient of the input of both directions together.
    dx: Flow<E>,
}

impl<E: Element> StackLayer<E> {
    /// Whether the output is that of the only direction as it stands.
    fn is_plain(&self) -> bool {
        self.directions.len() == 1 && !self.active
    }

    fn forward(&mut self, context: &Context<'_>, x: Rows<'_, E>, states: &mut [Part<E>]) {
        for (direction, state) in self.directions.iter_mut().zip(states) {
            let _span = span(&direction.name);
            direction.forward(context, x, state);
        }
        let _span = span("dropout and join");
        self.active = false;
        if let (Some(mask), Mode::Train(noise)) = (&mut self.mask, context.mode) {
            mask.draw(noise, context.order, false);
            self.active = true;
        }
        if !self.is_plain() {
            self.join(context);
        }
    }

    fn join(&mut self, context: &Context<'_>) {
        self.joined.resize(context.order.rows());
        self.joined.fill_rows(self.engine, |row, joined| {
            for (at, direction) in self.directions.iter().enumerate() {
                let y = direction.tape.output();
                let own = at * y.width()..(at + 1) * y.width();
                let from = y.row(direction.row(context, row));
                let to = &mut joined[own.clone()];
                match &self.mask {
                    Some(mask) if self.active => scale(from, &mask.row(row)[own], to),
                    _ => to.copy_from_slice(from),
                }
            }
        });
    }

    fn output(&self) -> Rows<'_, E> {
        if self.is_plain() { self.directions[0].tape.output() } else { self.joined.rows() }
    }

    fn backward(&mut self, context: &Context<'_>, x: Rows<'_, E>, errors: Back<'_, E>) {
        let direct = self.is_plain() && errors.dy.stride() >= self.dy[0].rows().stride();
        if !direct {
            let _span = span("dropout and join");
            self.part(context, errors.dy);
        }
        let states = errors.d_states.chunks_exact_mut(1);
        for ((direction, dy), d_states) in self.directions.iter_mut().zip(&self.dy).zip(states) {
            let _span = span(&direction.name);
            let dy = if direct { errors.dy } else { dy.rows() };
            let (input_wanted, gradients) = (errors.input_wanted, &mut *errors.gradients);
            direction.backward(context, x, Back { dy, d_states, input_wanted, gradients });
        }
        if let ([forward, reverse], true) = (&*self.directions, errors.input_wanted) {
            let _span = span("dropout and join");
            self.dx.resize(context.order.rows());
            self.dx.fill_rows(self.engine, |row, dx| {
                let mirrored = context.order.mirror()[row];
                let (forward, reverse) =
                    (forward.dx.rows().row(row), reverse.dx.rows().row(mirrored));
                for ((dx, f), r) in dx.iter_mut().zip(forward).zip(reverse) {
                    *dx = *f + *r;
                }
            });
        }
    }

    /// The reverse of [`StackLayer::join`].
    fn part(&mut self, context: &Context<'_>, joined: Rows<'_, E>) {
        for (at, (direction, dy)) in self.directions.iter().zip(&mut self.dy).enumerate() {
            let own = at * direction.hidden..(at + 1) * direction.hidden;
            dy.resize(context.order.rows());
            dy.fill_rows(self.engine, |row, to| {
                // Mirroring twice changes nothing: the row that is mirrored here is the one there.
                let row = direction.row(context, row);
                let from = &joined.row(row)[own.clone()];
                match &self.mask {
                    Some(mask) if self.active => scale(from, &mask.row(row)[own.clone()], to),
                    _ => to.copy_from_slice(from),
                }
            });
        }
    }

    fn d_input(&self) -> Rows<'_, E> {
        match &*self.directions {
            [only] => only.dx.rows(),
            _ => self.dx.rows(),
        }
    }
}

/// Where the weights of a direction lie among those of the model.
struct Ranges {
    w: Range<usize>,
    r: Range<usize>,
    b: Range<usize>,
    b_r: Range<usize>,
    p: Range<usize>,
}

impl Ranges {
    fn new(entries: &Entries, prefix: &str) -> Self {
        let range = |name: &str| {
            entries.get(&format!("{prefix}.{name}")).map_or(0..0, |entry| entry.range.clone())
        };
        Self { w: range("w"), r: range("r"), b: range("b"), b_r: range("b_r"), p: range("p") }
    }

    fn read<'a, E>(&self, values: &'a [E]) -> Weights<'a, E> {
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
    fn write<'a, E>(&self, values: &'a mut [E]) -> WeightsMut<'a, E> {
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
struct Direction<E: Element> {
    layer: RecurrentLayer<E>,
    tape: Tape<E>,
    /// What it is called in a profile.
    name: String,
    ranges: Ranges,
    hidden: usize,
    reverse: bool,
    /// The states of the sequences in the order of the batch: before and after, and their gradients.
    before: [Vec<E>; 2],
    after: [Vec<E>; 2],
    d_before: [Vec<E>; 2],
    /// The input and the resets of a direction that reads from the end.
    x: Flow<E>,
    resets: Vec<bool>,
    dx: Flow<E>,
}

impl<E: Element> Direction<E> {
    fn new(engine: Engine, stack: &Recurrent, input: usize, reverse: bool, ranges: Ranges) -> Self {
        let kernels = cells::kernels(stack, engine.isa());
        Self {
            layer: RecurrentLayer::new(engine, kernels, input, stack.hidden),
            tape: Tape::new(),
            name: String::new(),
            ranges,
            hidden: stack.hidden,
            reverse,
            before: [vec![], vec![]],
            after: [vec![], vec![]],
            d_before: [vec![], vec![]],
            x: Flow::tight(input),
            resets: vec![],
            dx: Flow::padded(engine, input),
        }
    }

    fn forward(&mut self, context: &Context<'_>, x: Rows<'_, E>, state: &mut Part<E>) {
        if self.reverse {
            self.mirror_input(context, x);
        }
        let order = context.order.sequences();
        place(order, self.hidden, state, &mut self.before);
        for (after, before) in self.after.iter_mut().zip(&self.before) {
            after.resize(before.len(), E::default());
        }
        let batch = sequences(context, self.reverse, x, &self.x, &self.resets, &self.before);
        let [h, c] = &mut self.after;
        self.layer.forward(&batch, context.keep(), &mut self.tape, [h, c]);
        take_back(order, self.hidden, &self.after, state);
    }

    /// Where a row stands in this direction's own order, and the reverse.
    fn row(&self, context: &Context<'_>, row: usize) -> usize {
        if self.reverse { context.order.mirror()[row] } else { row }
    }

    fn mirror_input(&mut self, context: &Context<'_>, x: Rows<'_, E>) {
        let mirror = context.order.mirror();
        self.x.resize(mirror.len());
        self.x.fill_rows(self.layer.engine(), |row, to| to.copy_from_slice(x.row(mirror[row])));
        self.resets.clear();
        if !context.resets.is_empty() {
            // A sequence that starts at step t ends, seen from its end, before step t - 1.
            let steps = context.order.steps();
            self.resets.resize(mirror.len(), false);
            for t in 1..steps.count() {
                for b in 0..steps.active(t) {
                    let before = steps.first_row(t - 1) + b;
                    self.resets[mirror[before]] = context.resets[steps.first_row(t) + b];
                }
            }
        }
    }

    fn backward(&mut self, context: &Context<'_>, x: Rows<'_, E>, errors: Back<'_, E>) {
        let order = context.order.sequences();
        let [d_state] = errors.d_states else { unreachable!("a direction has one state") };
        place(order, self.hidden, d_state, &mut self.after);
        if errors.input_wanted {
            self.dx.resize(context.order.rows());
        }
        let batch = sequences(context, self.reverse, x, &self.x, &self.resets, &self.before);
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
        self.layer.backward(&batch, &mut self.tape, flows, self.ranges.write(errors.gradients));
        take_back(order, self.hidden, &self.d_before, d_state);
    }
}

fn sequences<'a, E: Element>(
    context: &Context<'a>,
    reverse: bool,
    x: Rows<'a, E>,
    mirrored: &'a Flow<E>,
    resets: &'a [bool],
    before: &'a [Vec<E>; 2],
) -> Sequences<'a, E> {
    let (x, resets) = if reverse { (mirrored.rows(), resets) } else { (x, context.resets) };
    Sequences { steps: context.order.steps(), x, initial: [&before[0], &before[1]], resets }
}

/// The states of the caller's sequences in the order of the batch.
fn place<E: Copy>(order: &[usize], hidden: usize, from: &Part<E>, to: &mut [Vec<E>; 2]) {
    for (to, from) in to.iter_mut().zip([&from.h, &from.c]) {
        to.clear();
        for state in from.chunks_exact((order.len() * hidden).max(1)) {
            for b in order {
                to.extend_from_slice(&state[b * hidden..][..hidden]);
            }
        }
    }
}

/// The reverse of [`place`].
fn take_back<E: Copy>(order: &[usize], hidden: usize, from: &[Vec<E>; 2], to: &mut Part<E>) {
    for (from, to) in from.iter().zip([&mut to.h, &mut to.c]) {
        let size = (order.len() * hidden).max(1);
        for (from, to) in from.chunks_exact(size).zip(to.chunks_exact_mut(size)) {
            for (from, b) in from.chunks_exact(hidden).zip(order) {
                to[b * hidden..][..hidden].copy_from_slice(from);
            }
        }
    }
}
