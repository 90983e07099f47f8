//! A stack of recurrent layers, in one direction or in both.
//!
//! Each layer joins its directions, drops, and adds or blends what it read; or all layers stand side by
//! side.

use super::direction::Direction;
use super::dropout::{Mask, scale};
use super::link::Link;
use super::segments::Segments;
use super::side::Side;
use super::weight_drop::WeightDrop;
use super::{Back, Context, Flow, Linear, Mode, Node, Signal};
use crate::description::{Connection, Merge, Recurrent};
use crate::parameters::Entries;
use crate::state::Part;
use crate::trace::LayerTrace;
use recurve_kernels::profile::span;
use recurve_kernels::{Element, Engine, Rows};
use std::ops::Range;

pub(crate) struct Stack<E: Element> {
    layers: Vec<StackLayer<E>>,
    /// Where layers read more than the layer below.
    side: Option<Side<E>>,
    /// The sequences that resets cut the last batch into, where they start from learned states.
    segments: Segments,
    is_cut: bool,
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
        let side = Side::of(engine, stack, input);
        let layers = (0..stack.layers).map(|layer| {
            let input = stack.layer_input(layer, input);
            let width = stack.layer_width();
            let dropped = stack.dropout > 0.0 && layer + 1 < stack.layers;
            let id = (at as u64) << 32 | layer as u64;
            let mask = || Mask::new(engine, id, stack.dropout, width).locked(stack.locked);
            let link = match stack.connection {
                Connection::Residual if layer > 0 => Link::residual(width),
                Connection::Highway if layer > 0 => {
                    let range = |part: &str| {
                        let name = format!("{at}.recurrent.{layer}.highway.{part}");
                        entries.get(&name).map_or(0..0, |entry| entry.range.clone())
                    };
                    let gate = Linear::new(engine, width, width, range("weight"), range("bias"));
                    Link::highway(engine, gate, width)
                }
                _ => Link::Plain,
            };
            let directions = (0..stack.directions()).map(|direction| {
                let name = format!("{layer}.{}", ["forward", "reverse"][direction]);
                let prefix = format!("{at}.recurrent.{name}");
                let id = (at as u64) << 32 | (2 * layer + direction) as u64;
                let drop = WeightDrop::of(id, stack.weight_dropout);
                let reverse = direction == 1;
                Direction::new(engine, stack, input, (reverse, id), (entries, &prefix))
                    .named(name, drop)
            });
            StackLayer {
                engine,
                directions: directions.collect(),
                mask: dropped.then(mask),
                active: false,
                merge: stack.merge,
                link,
                joined: Flow::tight(width),
                dy: (0..stack.directions()).map(|_| Flow::padded(engine, stack.output())).collect(),
                dx: Flow::padded(engine, input),
            }
        });
        let states = first_state..first_state + stack.layers * stack.directions();
        Self {
            layers: layers.collect(),
            side,
            segments: Segments::default(),
            is_cut: false,
            states,
        }
    }
}

impl<E: Element> Node<E> for Stack<E> {
    fn load(&mut self, values: &[E], backward: bool) {
        for layer in &mut self.layers {
            for direction in &mut layer.directions {
                let _span = span(&direction.name);
                direction.load(values, backward);
            }
            layer.link.load(values, backward);
        }
    }

    fn begin(&self, states: &mut [Part<E>]) {
        let directions = self.layers.iter().flat_map(|layer| &layer.directions);
        for (direction, state) in directions.zip(&mut states[self.states.clone()]) {
            direction.begin(state);
        }
    }

    fn forward(&mut self, context: &Context<'_>, input: Signal<'_, E>, states: &mut [Part<E>]) {
        let count = self.layers[0].directions.len();
        let learned = !self.layers[0].directions[0].ranges.initial.is_empty();
        self.is_cut = learned && !context.resets.is_empty();
        if self.is_cut {
            self.segments.cut(context);
        }
        let segments = self.is_cut.then_some(&self.segments);
        let context = &Context { segments, ..*context };
        let states = &mut states[self.states.clone()];
        for (at, states) in states.chunks_exact_mut(count).enumerate() {
            let (below, rest) = self.layers.split_at_mut(at);
            let x = match &mut self.side {
                Some(side) if at > 0 => side.gather(context, input.rows(), below),
                _ => below.last().map_or_else(|| input.rows(), StackLayer::output),
            };
            rest[0].forward(context, x, states);
        }
        if let Some(side) = &mut self.side {
            side.collect(context, &self.layers);
        }
    }

    fn output(&self) -> Rows<'_, E> {
        match &self.side {
            Some(side) => side.output(),
            None => self.layers[self.layers.len() - 1].output(),
        }
    }

    fn backward(&mut self, context: &Context<'_>, input: Signal<'_, E>, errors: Back<'_, E>) {
        let count = self.layers[0].directions.len();
        let segments = self.is_cut.then_some(&self.segments);
        let context = &Context { segments, ..*context };
        let states = &mut errors.d_states[self.states.clone()];
        for (at, d_states) in states.chunks_exact_mut(count).enumerate().rev() {
            let (below, rest) = self.layers.split_at_mut(at);
            let [layer, above @ ..] = rest else { unreachable!("`at` counts the layers") };
            let below = below.last().map_or_else(|| input.rows(), StackLayer::output);
            let (x, dy) = match &mut self.side {
                Some(side) => {
                    side.sum_output(context, (at, errors.dy), above);
                    let x = if at > 0 { side.read(at) } else { below };
                    (x, side.d_output(at))
                }
                None => (below, above.first().map_or(errors.dy, |above| above.d_input())),
            };
            let input_wanted = at > 0 || errors.input_wanted;
            let gradients = &mut *errors.gradients;
            let back = Back { dy, d_states, input_wanted, gradients };
            layer.backward(context, x, back);
        }
        if let (Some(side), true) = (&mut self.side, errors.input_wanted) {
            side.sum_input(context, &self.layers);
        }
    }

    fn trace(&self, context: &Context<'_>, name: &str, to: &mut Vec<LayerTrace<E>>) {
        let segments = self.is_cut.then_some(&self.segments);
        let context = &Context { segments, ..*context };
        for direction in self.layers.iter().flat_map(|layer| &layer.directions) {
            to.push(direction.trace(context, format!("{name}.{}", direction.name)));
        }
    }

    fn d_input(&self) -> Rows<'_, E> {
        match &self.side {
            Some(side) => side.d_input(),
            None => self.layers[0].d_input(),
        }
    }
}

/// One layer of the stack: its directions, and what joins them.
pub(super) struct StackLayer<E: Element> {
    engine: Engine,
    directions: Vec<Direction<E>>,
    mask: Option<Mask<E>>,
    /// Whether the last pass dropped.
    active: bool,
    merge: Merge,
    link: Link<E>,
    /// The outputs of the directions made one, after dropout.
    joined: Flow<E>,
    /// The gradient of each direction's output, before dropout and in its own order.
    dy: Vec<Flow<E>>,
    /// The gradient of the input of both directions together, and of what passes them by.
    dx: Flow<E>,
}

impl<E: Element> StackLayer<E> {
    /// Whether the output is that of the only direction as it stands.
    fn is_plain(&self) -> bool {
        self.directions.len() == 1 && !self.active && self.directions[0].is_in_order()
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
        let z = if self.is_plain() { self.directions[0].output() } else { self.joined.rows() };
        self.link.forward(self.engine, context, x, z);
    }

    /// The columns of the joined output that direction `at` has a part in.
    fn columns(&self, at: usize) -> Range<usize> {
        let hidden = self.directions[at].widths[0];
        let first = if self.merge == Merge::Concat { at * hidden } else { 0 };
        first..first + hidden
    }

    fn join(&mut self, context: &Context<'_>) {
        self.joined.resize(context.order.rows());
        let mut joined = std::mem::replace(&mut self.joined, Flow::tight(0));
        joined.fill_rows(self.engine, |row, joined| {
            for (at, direction) in self.directions.iter().enumerate() {
                let to = joined[self.columns(at)].iter_mut();
                let from = direction.output().row(direction.row(context, row));
                let pairs = to.zip(from);
                match self.merge {
                    _ if at == 0 => pairs.for_each(|(to, from)| *to = *from),
                    Merge::Concat => pairs.for_each(|(to, from)| *to = *from),
                    Merge::Sum => pairs.for_each(|(to, from)| *to = *to + *from),
                    Merge::Mean => pairs.for_each(|(to, from)| *to = (*to + *from) * to.like(0.5)),
                    Merge::Product => pairs.for_each(|(to, from)| *to = *to * *from),
                }
            }
            if let Some(mask) = self.mask.as_ref().filter(|_| self.active) {
                let factors = mask.row(context.order, row, false);
                joined.iter_mut().zip(factors).for_each(|(y, factor)| *y = *y * *factor);
            }
        });
        self.joined = joined;
    }

    /// The output of the cells, the directions joined.
    fn cells_output(&self) -> Rows<'_, E> {
        if self.is_plain() { self.directions[0].output() } else { self.joined.rows() }
    }

    pub(super) fn output(&self) -> Rows<'_, E> {
        self.link.output().unwrap_or_else(|| self.cells_output())
    }

    fn backward(&mut self, context: &Context<'_>, x: Rows<'_, E>, errors: Back<'_, E>) {
        let mut link = std::mem::replace(&mut self.link, Link::Plain);
        let z = self.cells_output();
        link.backward(self.engine, context, (x, z), errors.dy, errors.gradients);
        let dz = link.d_output(errors.dy);
        let direct = self.is_plain() && dz.stride() >= self.dy[0].rows().stride();
        if !direct {
            let _span = span("dropout and join");
            self.part(context, dz);
        }
        let states = errors.d_states.chunks_exact_mut(1);
        for ((direction, dy), d_states) in self.directions.iter_mut().zip(&self.dy).zip(states) {
            let _span = span(&direction.name);
            let dy = if direct { dz } else { dy.rows() };
            let (input_wanted, gradients) = (errors.input_wanted, &mut *errors.gradients);
            let back = Back { dy, d_states, input_wanted, gradients };
            direction.backward(context, x, back);
        }
        let beside = link.d_input(errors.dy);
        if errors.input_wanted && (beside.is_some() || !self.passes_input()) {
            let _span = span("dropout and join");
            let (directions, dx) = (&self.directions, &mut self.dx);
            dx.resize(context.order.rows());
            dx.fill_rows(self.engine, |row, dx| {
                let parts = directions
                    .iter()
                    .map(|direction| direction.dx.rows().row(direction.row(context, row)));
                let parts = parts.chain(beside.map(|beside| beside.row(row)));
                for (at, part) in parts.enumerate() {
                    if at == 0 {
                        dx.copy_from_slice(part);
                    } else {
                        dx.iter_mut().zip(part).for_each(|(dx, part)| *dx = *dx + *part);
                    }
                }
            });
        }
        self.link = link;
    }

    /// The reverse of [`StackLayer::join`].
    fn part(&mut self, context: &Context<'_>, joined: Rows<'_, E>) {
        let mut dy = std::mem::take(&mut self.dy);
        for (at, (direction, dy)) in self.directions.iter().zip(&mut dy).enumerate() {
            let own = self.columns(at);
            dy.resize(context.order.rows());
            dy.fill_rows(self.engine, |own_row, to| {
                let row = direction.row_of(context, own_row);
                let from = &joined.row(row)[own.clone()];
                match &self.mask {
                    Some(mask) if self.active => {
                        scale(from, &mask.row(context.order, row, false)[own.clone()], to);
                    }
                    _ => to.copy_from_slice(from),
                }
                match self.merge {
                    Merge::Concat | Merge::Sum => {}
                    Merge::Mean => to.iter_mut().for_each(|d| *d = *d * d.like(0.5)),
                    Merge::Product => {
                        let other = &self.directions[1 - at];
                        let other = other.output().row(other.row(context, row));
                        to.iter_mut().zip(other).for_each(|(d, other)| *d = *d * *other);
                    }
                }
            });
        }
        self.dy = dy;
    }

    /// Whether the gradient of the input is that of the only direction as it stands.
    fn passes_input(&self) -> bool {
        self.directions.len() == 1 && self.directions[0].is_in_order()
    }

    pub(super) fn d_input(&self) -> Rows<'_, E> {
        if self.passes_input() && matches!(self.link, Link::Plain) {
            self.directions[0].dx.rows()
        } else {
            self.dx.rows()
        }
    }
}
