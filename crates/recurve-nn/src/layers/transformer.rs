//! A small Transformer (Vaswani et al. 2017) with its norms first (Xiong et al. 2020), over sequences.
//!
//! ```text
//! x  = D(x + position)                         sines, a learned table, or nothing
//! x += D(attention(norm(x)))                   for each layer
//! x += D(W relu(U norm(x) + b) + c)
//! y  = norm(x)
//! ```
//!
//! Causal, it is a decoder without an encoder: each step sees itself and those before it, at most
//! `context` in all, and it runs as a stream; else it is an encoder. The position of a step counts from
//! the start of its sequence, or from the last reset. A learned table ends: longer sequences are refused,
//! and so are streams, which do not.

use super::attention::{SelfAttention, Sight};
use super::dropout::Mask;
use super::{Back, Context, Flow, LayerNorm, Linear, Mode, Node, Signal};
use crate::description::{Positions, Transformer};
use crate::error::{Error, Result};
use crate::parameters::Entries;
use crate::state::Part;
use recurve_kernels::{Element, Engine, Rows};
use std::ops::Range;

pub(crate) struct TransformerStack<E: Element> {
    engine: Engine,
    at: usize,
    positions: Positions,
    /// The learned table and where it lies, or the frequencies of the sines.
    table: Vec<E>,
    table_range: Range<usize>,
    frequencies: Vec<f64>,
    mask: Option<Mask<E>>,
    active: bool,
    blocks: Vec<Block<E>>,
    norm: LayerNorm<E>,
    states: Range<usize>,
    /// Steps of each sequence, in the caller's order, before the batch; the position of each row.
    before: Vec<usize>,
    position: Vec<usize>,
    since: Vec<Option<usize>>,
    x: Flow<E>,
    dx: Flow<E>,
}

impl<E: Element> TransformerStack<E> {
    /// The stack that is layer `at` of a model; its states are those from `first_state` on.
    pub(crate) fn new(
        engine: Engine,
        at: usize,
        transformer: &Transformer,
        width: usize,
        entries: &Entries,
        first_state: usize,
    ) -> Self {
        let range = |name: String| {
            let name = format!("{at}.transformer.{name}");
            entries.get(&name).map_or(0..0, |entry| entry.range.clone())
        };
        let norm = |name: String| {
            let (gain, shift) = (range(format!("{name}.gain")), range(format!("{name}.shift")));
            LayerNorm::new(engine, gain, shift)
        };
        let sight = match transformer.causal {
            true => Sight::Past(transformer.context),
            false => Sight::All,
        };
        let mask = |which: usize| {
            let id = (at as u64) << 32 | which as u64;
            Mask::new(engine, id, transformer.dropout, width)
        };
        let drops = transformer.dropout > 0.0;
        let blocks = (0..transformer.layers).map(|block| {
            let pair = |name: &str| {
                let part = |part: &str| range(format!("{block}.{name}.{part}"));
                [part("weight"), part("bias")]
            };
            let linear = |name: &str, input, output| {
                let [weight, bias] = pair(name);
                Linear::new(engine, input, output, weight, bias)
            };
            let ([w, b], [u, c]) = (pair("project"), pair("output"));
            let shape = (width, transformer.heads);
            let hidden = transformer.feed_forward;
            Block {
                engine,
                norms: [norm(format!("{block}.norm.0")), norm(format!("{block}.norm.1"))],
                attention: SelfAttention::new(engine, shape, sight, [w, b, u, c]),
                up: linear("up", width, hidden),
                down: linear("down", hidden, width),
                masks: drops.then(|| [mask(2 * block), mask(2 * block + 1)]),
                active: false,
                inner: Flow::tight(hidden),
                middle: Flow::tight(width),
                y: Flow::tight(width),
                d_inner: Flow::tight(hidden),
                d_sum: Flow::tight(width),
                d_middle: Flow::tight(width),
                dx: Flow::padded(engine, width),
            }
        });
        let parts = transformer.state_sizes(width).len();
        let pairs = (0..width.div_ceil(2)).map(|i| 1e4_f64.powf(-2.0 * i as f64 / width as f64));
        Self {
            engine,
            at,
            positions: transformer.positions,
            table: vec![],
            table_range: range("positions".to_owned()),
            frequencies: pairs.collect(),
            mask: drops.then(|| mask(2 * transformer.layers)),
            active: false,
            blocks: blocks.collect(),
            norm: norm("norm".to_owned()),
            states: first_state..first_state + parts,
            before: vec![],
            position: vec![],
            since: vec![],
            x: Flow::tight(width),
            dx: Flow::padded(engine, width),
        }
    }

    /// Counts the steps of each sequence and finds the position of each row.
    fn count(&mut self, context: &Context<'_>, counts: Option<&mut Part<E>>) {
        let (order, steps) = (context.order, context.order.steps());
        self.before.clear();
        match counts {
            Some(counts) => context.count(&mut self.since, &mut self.before, counts),
            None => {
                context.since(&mut self.since);
                self.before.resize(order.sequences().len(), 0);
            }
        }
        self.position.clear();
        for t in 0..steps.count() {
            for (place, b) in order.sequences()[..steps.active(t)].iter().enumerate() {
                let since = self.since[steps.first_row(t) + place];
                self.position.push(since.map_or(self.before[*b] + t, |since| t - since));
            }
        }
    }

    /// Adds the position of a row to it.
    fn add_position(&self, row: usize, to: &mut [E]) {
        let position = self.position[row];
        match self.positions {
            Positions::None => {}
            Positions::Learned { .. } => {
                let from = &self.table[position * to.len()..][..to.len()];
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *to + *from);
            }
            Positions::Sinusoidal => {
                for (pair, frequency) in to.chunks_mut(2).zip(&self.frequencies) {
                    let angle = position as f64 * frequency;
                    let parts = [angle.sin(), angle.cos()];
                    for (to, part) in pair.iter_mut().zip(parts) {
                        *to = *to + E::from_f64(part);
                    }
                }
            }
        }
    }
}

impl<E: Element> Node<E> for TransformerStack<E> {
    fn load(&mut self, values: &[E], backward: bool) {
        self.table.clear();
        self.table.extend_from_slice(&values[self.table_range.clone()]);
        self.blocks.iter_mut().for_each(|block| block.load(values, backward));
        self.norm.load(values, backward);
    }

    fn check(&self, context: &Context<'_>, states: &[Part<E>]) -> Result<()> {
        let Positions::Learned { most } = self.positions else { return Ok(()) };
        let counts = states[self.states.clone()].first();
        let lengths = context.order.sequences().iter().zip(context.order.steps().lengths());
        for (b, length) in lengths {
            let before = counts.map_or(0, |counts| counts.h[*b].to_f64() as usize);
            if before + length > most {
                let at = self.at;
                return Err(Error::new(format!(
                    "layer {at}: sequence {b} has {} steps, and the learned positions end after \
                     {most}; learn more of them, or choose sinusoidal positions",
                    before + length
                )));
            }
        }
        Ok(())
    }

    fn forward(&mut self, context: &Context<'_>, input: Signal<'_, E>, states: &mut [Part<E>]) {
        let (x, rows) = (input.rows(), context.order.rows());
        let (counts, kept) = match &mut states[self.states.clone()] {
            [counts, kept @ ..] => (Some(counts), kept),
            [] => (None, &mut [][..]),
        };
        self.count(context, counts);
        self.active = false;
        if let (Some(mask), Mode::Train(noise)) = (&mut self.mask, context.mode) {
            mask.draw(noise, context.order, false);
            self.active = true;
        }
        let mut to = std::mem::replace(&mut self.x, Flow::tight(0));
        to.resize(rows);
        to.fill_rows(self.engine, |row, to| {
            to.copy_from_slice(x.row(row));
            self.add_position(row, to);
            if let Some(mask) = self.mask.as_ref().filter(|_| self.active) {
                let factors = mask.row(context.order, row, false);
                to.iter_mut().zip(factors).for_each(|(to, factor)| *to = *to * *factor);
            }
        });
        self.x = to;
        for at in 0..self.blocks.len() {
            let (below, rest) = self.blocks.split_at_mut(at);
            let x = below.last().map_or(self.x.rows(), |below| below.y.rows());
            rest[0].forward(context, x, (&self.before, kept.get_mut(at)));
        }
        let last = self.blocks[self.blocks.len() - 1].y.rows();
        self.norm.forward(context, Signal::Rows(last), &mut []);
    }

    fn output(&self) -> Rows<'_, E> {
        self.norm.output()
    }

    fn backward(&mut self, context: &Context<'_>, _: Signal<'_, E>, errors: Back<'_, E>) {
        let Back { dy, d_states, gradients, .. } = errors;
        let d_states = &mut d_states[self.states.clone()];
        // A number of steps is no quantity that could be a little more or less.
        let kept = match d_states {
            [counts, kept @ ..] => {
                counts.h.fill(E::default());
                kept
            }
            [] => &mut [][..],
        };
        let last = Signal::Rows(self.blocks[self.blocks.len() - 1].y.rows());
        let back = Back { dy, d_states: &mut [], input_wanted: true, gradients: &mut *gradients };
        self.norm.backward(context, last, back);
        for at in (0..self.blocks.len()).rev() {
            let (below, rest) = self.blocks.split_at_mut(at);
            let [block, above @ ..] = rest else { unreachable!("`at` counts the blocks") };
            let x = below.last().map_or(self.x.rows(), |below| below.y.rows());
            let dy = above.first().map_or(self.norm.d_input(), |above| above.dx.rows());
            block.backward(context, (x, dy), kept.get_mut(at), gradients);
        }
        let dy = self.blocks[0].dx.rows();
        self.dx.resize(context.order.rows());
        self.dx.fill_rows(self.engine, |row, dx| {
            dx.copy_from_slice(dy.row(row));
            if let Some(mask) = self.mask.as_ref().filter(|_| self.active) {
                let factors = mask.row(context.order, row, false);
                dx.iter_mut().zip(factors).for_each(|(dx, factor)| *dx = *dx * *factor);
            }
        });
        let d_table = &mut gradients[self.table_range.clone()];
        d_table.fill(E::default());
        if !d_table.is_empty() {
            let dx = self.dx.rows();
            for (row, position) in self.position.iter().enumerate() {
                let to = &mut d_table[position * dx.width()..][..dx.width()];
                to.iter_mut().zip(dx.row(row)).for_each(|(to, d)| *to = *to + *d);
            }
        }
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.dx.rows()
    }
}

/// One layer: attention and the two linear layers, each with its norm before and its way past.
struct Block<E: Element> {
    engine: Engine,
    norms: [LayerNorm<E>; 2],
    attention: SelfAttention<E>,
    up: Linear<E>,
    down: Linear<E>,
    masks: Option<[Mask<E>; 2]>,
    active: bool,
    /// After relu; after attention; at the end.
    inner: Flow<E>,
    middle: Flow<E>,
    y: Flow<E>,
    d_inner: Flow<E>,
    /// A gradient after dropout, and that of the middle.
    d_sum: Flow<E>,
    d_middle: Flow<E>,
    dx: Flow<E>,
}

impl<E: Element> Block<E> {
    fn load(&mut self, values: &[E], backward: bool) {
        self.norms.iter_mut().for_each(|norm| norm.load(values, backward));
        self.attention.load(values, backward);
        self.up.load(values, backward);
        self.down.load(values, backward);
    }

    /// The mask of the first or the second part, where it is drawn.
    fn mask(&self, at: usize) -> Option<&Mask<E>> {
        self.masks.as_ref().filter(|_| self.active).map(|masks| &masks[at])
    }

    /// `to = past + D(through)`.
    fn sum(&self, context: &Context<'_>, at: usize, parts: [Rows<'_, E>; 2], to: &mut Flow<E>) {
        let (mask, [past, through]) = (self.mask(at), parts);
        to.resize(context.order.rows());
        to.fill_rows(self.engine, |row, to| {
            to.copy_from_slice(through.row(row));
            if let Some(mask) = mask {
                let factors = mask.row(context.order, row, false);
                to.iter_mut().zip(factors).for_each(|(to, factor)| *to = *to * *factor);
            }
            to.iter_mut().zip(past.row(row)).for_each(|(to, past)| *to = *to + *past);
        });
    }

    /// The gradient of what went through dropout.
    fn dropped(&self, context: &Context<'_>, at: usize, dy: Rows<'_, E>, to: &mut Flow<E>) {
        let mask = self.mask(at);
        to.resize(context.order.rows());
        to.fill_rows(self.engine, |row, to| {
            to.copy_from_slice(dy.row(row));
            if let Some(mask) = mask {
                let factors = mask.row(context.order, row, false);
                to.iter_mut().zip(factors).for_each(|(to, factor)| *to = *to * *factor);
            }
        });
    }

    fn forward(
        &mut self,
        context: &Context<'_>,
        x: Rows<'_, E>,
        (before, state): (&[usize], Option<&mut Part<E>>),
    ) {
        self.active = false;
        if let (Some(masks), Mode::Train(noise)) = (&mut self.masks, context.mode) {
            masks.iter_mut().for_each(|mask| mask.draw(noise, context.order, false));
            self.active = true;
        }
        self.norms[0].forward(context, Signal::Rows(x), &mut []);
        self.attention.forward(context, self.norms[0].output(), before, state);
        let mut middle = std::mem::replace(&mut self.middle, Flow::tight(0));
        self.sum(context, 0, [x, self.attention.output()], &mut middle);
        self.norms[1].forward(context, Signal::Rows(middle.rows()), &mut []);
        self.up.forward(context, Signal::Rows(self.norms[1].output()), &mut []);
        let sums = self.up.output();
        self.inner.resize(context.order.rows());
        self.inner.fill_rows(self.engine, |row, to| {
            to.iter_mut().zip(sums.row(row)).for_each(|(to, sum)| *to = sum.relu());
        });
        self.down.forward(context, Signal::Rows(self.inner.rows()), &mut []);
        let mut y = std::mem::replace(&mut self.y, Flow::tight(0));
        self.sum(context, 1, [middle.rows(), self.down.output()], &mut y);
        (self.middle, self.y) = (middle, y);
    }

    fn backward(
        &mut self,
        context: &Context<'_>,
        (x, dy): (Rows<'_, E>, Rows<'_, E>),
        d_state: Option<&mut Part<E>>,
        gradients: &mut [E],
    ) {
        let mut d_sum = std::mem::replace(&mut self.d_sum, Flow::tight(0));
        self.dropped(context, 1, dy, &mut d_sum);
        let inner = Signal::Rows(self.inner.rows());
        self.down.backward(context, inner, back(d_sum.rows(), &mut *gradients));
        let (d, inner) = (self.down.d_input(), self.inner.rows());
        self.d_inner.resize(context.order.rows());
        self.d_inner.fill_rows(self.engine, |row, to| {
            for ((to, d), inner) in to.iter_mut().zip(d.row(row)).zip(inner.row(row)) {
                *to = *d * inner.positive();
            }
        });
        let normal = Signal::Rows(self.norms[1].output());
        self.up.backward(context, normal, back(self.d_inner.rows(), &mut *gradients));
        let middle = Signal::Rows(self.middle.rows());
        self.norms[1].backward(context, middle, back(self.up.d_input(), &mut *gradients));
        sum(self.engine, context, [dy, self.norms[1].d_input()], &mut self.d_middle);
        self.dropped(context, 0, self.d_middle.rows(), &mut d_sum);
        let through = (d_sum.rows(), true);
        self.attention.backward(context, self.norms[0].output(), through, d_state, gradients);
        let x = Signal::Rows(x);
        self.norms[0].backward(context, x, back(self.attention.d_input(), gradients));
        sum(self.engine, context, [self.d_middle.rows(), self.norms[0].d_input()], &mut self.dx);
        self.d_sum = d_sum;
    }
}

/// What goes back through a layer without states.
fn back<'a, E: Element>(dy: Rows<'a, E>, gradients: &'a mut [E]) -> Back<'a, E> {
    Back { dy, d_states: &mut [], input_wanted: true, gradients }
}

fn sum<E: Element>(
    engine: Engine,
    context: &Context<'_>,
    [a, b]: [Rows<'_, E>; 2],
    to: &mut Flow<E>,
) {
    to.resize(context.order.rows());
    to.fill_rows(engine, |row, to| {
        for ((to, a), b) in to.iter_mut().zip(a.row(row)).zip(b.row(row)) {
            *to = *a + *b;
        }
    });
}
