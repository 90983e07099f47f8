//! A temporal convolutional network (Bai, Kolter & Koltun 2018): a stack of causal convolutions whose
//! distances double from block to block.
//!
//! ```text
//! y_t = b + Σ_j W_j x_{t - (k-1-j)·d}          a convolution of k taps at distance d; what lies before
//!                                              the sequence is 0
//! block(x) = relu(D(relu(conv(D(relu(conv(x)))))) + x)     two convolutions at the same distance, D
//!                                              dropout of whole channels; where the widths differ, x
//!                                              goes through a linear layer
//! ```
//!
//! A convolution is a linear layer over the taps of each step side by side, so its product is the one of
//! every other layer, and one step gives the same bits as many. What a stream carries is what the
//! farthest tap will need: the last `(k-1)·d` inputs of every convolution, in `h` of its state, the
//! oldest first. A step sees `1 + 2 (k-1)(2^blocks - 1)` steps, itself included.
//!
//! With weight normalisation (Salimans & Kingma 2016), `W = g v/‖v‖` for each output channel.

use super::dropout::Mask;
use super::{Back, Context, Flow, Linear, Mode, Node, Signal};
use crate::description::Tcn;
use crate::parameters::Entries;
use crate::state::Part;
use recurve_kernels::{Element, Engine, Rows};
use std::ops::Range;

/// A stack of blocks.
pub(crate) struct TcnStack<E: Element> {
    blocks: Vec<Block<E>>,
    states: Range<usize>,
}

impl<E: Element> TcnStack<E> {
    /// The stack that is layer `at` of a model; its states are those from `first_state` on.
    pub(crate) fn new(
        engine: Engine,
        at: usize,
        tcn: &Tcn,
        input: usize,
        entries: &Entries,
        first_state: usize,
    ) -> Self {
        let blocks = (0..tcn.blocks).map(|block| {
            let input = if block == 0 { input } else { tcn.channels };
            let range = |name: &str| {
                let name = format!("{at}.tcn.{block}.{name}");
                entries.get(&name).map_or(0..0, |entry| entry.range.clone())
            };
            let conv = |which: usize, input: usize| {
                let part = |name: &str| range(&format!("{which}.{name}"));
                let ranges = [part("weight"), part("gain"), part("bias")];
                Convolution::new(engine, tcn, (input, 1 << block), ranges)
            };
            let mask = |which: u64| {
                let id = (at as u64) << 32 | (2 * block as u64 + which);
                Mask::new(engine, id, tcn.dropout, tcn.channels).locked(true)
            };
            let (weight, bias) = (range("beside.weight"), range("beside.bias"));
            let beside = Linear::new(engine, input, tcn.channels, weight, bias);
            let tight = || Flow::tight(tcn.channels);
            Block {
                engine,
                convolutions: [conv(0, input), conv(1, tcn.channels)],
                masks: (tcn.dropout > 0.0).then(|| [mask(0), mask(1)]),
                active: false,
                inner: [tight(), tight()],
                beside: (input != tcn.channels).then_some(beside),
                y: tight(),
                d_sum: tight(),
                d_inner: tight(),
                dx: Flow::padded(engine, input),
            }
        });
        Self { blocks: blocks.collect(), states: first_state..first_state + 2 * tcn.blocks }
    }
}

impl<E: Element> Node<E> for TcnStack<E> {
    fn load(&mut self, values: &[E], backward: bool) {
        for block in &mut self.blocks {
            for convolution in &mut block.convolutions {
                convolution.load(values, backward);
            }
            if let Some(beside) = &mut block.beside {
                beside.load(values, backward);
            }
        }
    }

    fn forward(&mut self, context: &Context<'_>, input: Signal<'_, E>, states: &mut [Part<E>]) {
        let states = &mut states[self.states.clone()];
        for (at, states) in states.chunks_exact_mut(2).enumerate() {
            let (below, rest) = self.blocks.split_at_mut(at);
            let x = below.last().map_or_else(|| input.rows(), |below| below.y.rows());
            rest[0].forward(context, x, states);
        }
    }

    fn output(&self) -> Rows<'_, E> {
        self.blocks[self.blocks.len() - 1].y.rows()
    }

    fn backward(&mut self, context: &Context<'_>, input: Signal<'_, E>, errors: Back<'_, E>) {
        let states = &mut errors.d_states[self.states.clone()];
        for (at, d_states) in states.chunks_exact_mut(2).enumerate().rev() {
            let (below, rest) = self.blocks.split_at_mut(at);
            let [block, above @ ..] = rest else { unreachable!("`at` counts the blocks") };
            let x = below.last().map_or_else(|| input.rows(), |below| below.y.rows());
            let dy = above.first().map_or(errors.dy, |above| above.dx.rows());
            let input_wanted = at > 0 || errors.input_wanted;
            let gradients = &mut *errors.gradients;
            block.backward(context, x, Back { dy, d_states, input_wanted, gradients });
        }
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.blocks[0].dx.rows()
    }
}

/// Two convolutions and what goes past them.
struct Block<E: Element> {
    engine: Engine,
    convolutions: [Convolution<E>; 2],
    masks: Option<[Mask<E>; 2]>,
    active: bool,
    /// What the convolutions give, after relu and dropout.
    inner: [Flow<E>; 2],
    beside: Option<Linear<E>>,
    y: Flow<E>,
    /// The gradients of the sum, and of what a convolution gives.
    d_sum: Flow<E>,
    d_inner: Flow<E>,
    dx: Flow<E>,
}

impl<E: Element> Block<E> {
    fn forward(&mut self, context: &Context<'_>, x: Rows<'_, E>, states: &mut [Part<E>]) {
        let rows = context.order.rows();
        self.active = false;
        if let (Some(masks), Mode::Train(noise)) = (&mut self.masks, context.mode) {
            masks.iter_mut().for_each(|mask| mask.draw(noise, context.order, false));
            self.active = true;
        }
        for (at, state) in states.iter_mut().enumerate() {
            let (first, second) = self.inner.split_at_mut(1);
            let (read, inner) = match at {
                0 => (x, &mut first[0]),
                _ => (first[0].rows(), &mut second[0]),
            };
            let convolution = &mut self.convolutions[at];
            convolution.forward(context, read, state);
            let sums = convolution.linear.output();
            let mask = self.masks.as_ref().filter(|_| self.active).map(|masks| &masks[at]);
            inner.resize(rows);
            inner.fill_rows(self.engine, |row, to| {
                to.iter_mut().zip(sums.row(row)).for_each(|(to, sum)| *to = sum.relu());
                if let Some(mask) = mask {
                    let factors = mask.row(context.order, row, false);
                    to.iter_mut().zip(factors).for_each(|(to, factor)| *to = *to * *factor);
                }
            });
        }
        if let Some(beside) = &mut self.beside {
            beside.forward(context, Signal::Rows(x), &mut []);
        }
        let past = self.beside.as_ref().map_or(x, |beside| beside.output());
        let inner = self.inner[1].rows();
        self.y.resize(rows);
        self.y.fill_rows(self.engine, |row, y| {
            for ((y, a), b) in y.iter_mut().zip(inner.row(row)).zip(past.row(row)) {
                *y = (*a + *b).relu();
            }
        });
    }

    fn backward(&mut self, context: &Context<'_>, x: Rows<'_, E>, errors: Back<'_, E>) {
        let rows = context.order.rows();
        let Back { dy, d_states, input_wanted, gradients } = errors;
        let y = self.y.rows();
        self.d_sum.resize(rows);
        self.d_sum.fill_rows(self.engine, |row, to| {
            for ((to, d), y) in to.iter_mut().zip(dy.row(row)).zip(y.row(row)) {
                *to = *d * y.positive();
            }
        });
        for at in [1, 0] {
            let [first, second] = &mut self.convolutions;
            let (convolution, dy) = match at {
                1 => (second, self.d_sum.rows()),
                _ => (first, second.dx.rows()),
            };
            let mask = self.masks.as_ref().filter(|_| self.active).map(|masks| &masks[at]);
            let sums = convolution.linear.output();
            self.d_inner.resize(rows);
            self.d_inner.fill_rows(self.engine, |row, to| {
                for ((to, d), sum) in to.iter_mut().zip(dy.row(row)).zip(sums.row(row)) {
                    *to = *d * sum.positive();
                }
                if let Some(mask) = mask {
                    let factors = mask.row(context.order, row, false);
                    to.iter_mut().zip(factors).for_each(|(to, factor)| *to = *to * *factor);
                }
            });
            let d_states = &mut d_states[at..=at];
            let input_wanted = at == 1 || input_wanted;
            let dy = self.d_inner.rows();
            let back = Back { dy, d_states, input_wanted, gradients: &mut *gradients };
            convolution.backward(context, back);
        }
        if let Some(beside) = &mut self.beside {
            let (dy, d_states) = (self.d_sum.rows(), &mut [][..]);
            beside.backward(
                context,
                Signal::Rows(x),
                Back { dy, d_states, input_wanted, gradients },
            );
        }
        if input_wanted {
            let past = self.beside.as_ref().map_or(self.d_sum.rows(), |beside| beside.d_input());
            let through = self.convolutions[0].dx.rows();
            self.dx.resize(rows);
            self.dx.fill_rows(self.engine, |row, dx| {
                for ((dx, a), b) in dx.iter_mut().zip(through.row(row)).zip(past.row(row)) {
                    *dx = *a + *b;
                }
            });
        }
    }
}

/// One causal convolution, before what is done to its sums.
struct Convolution<E: Element> {
    engine: Engine,
    input: usize,
    taps: usize,
    distance: usize,
    /// `weight [outputs, taps, inputs]`, `gain [outputs]` or nothing, `bias [outputs]`.
    ranges: [Range<usize>; 3],
    linear: Linear<E>,
    /// With weight normalisation: the weights that the product sees with the bias behind them, `v`,
    /// `1/‖v‖`, and the gradient of the former.
    effective: Vec<E>,
    direction: Vec<E>,
    scale: Vec<E>,
    gain: Vec<E>,
    d_effective: Vec<E>,
    /// The taps of each step side by side, the oldest first.
    taken: Flow<E>,
    /// For each row, the step of the last reset before or at it.
    since: Vec<Option<usize>>,
    after: Vec<E>,
    dx: Flow<E>,
}

impl<E: Element> Convolution<E> {
    fn new(
        engine: Engine,
        tcn: &Tcn,
        (input, distance): (usize, usize),
        ranges: [Range<usize>; 3],
    ) -> Self {
        let (inputs, outputs) = (tcn.kernel * input, tcn.channels);
        let (weight, bias) = if tcn.weight_norm {
            (0..inputs * outputs, inputs * outputs..(inputs + 1) * outputs)
        } else {
            (ranges[0].clone(), ranges[2].clone())
        };
        Self {
            engine,
            input,
            taps: tcn.kernel,
            distance,
            ranges,
            linear: Linear::new(engine, inputs, outputs, weight, bias),
            effective: vec![],
            direction: vec![],
            scale: vec![],
            gain: vec![],
            d_effective: vec![],
            taken: Flow::tight(inputs),
            since: vec![],
            after: vec![],
            dx: Flow::padded(engine, input),
        }
    }

    fn is_normalised(&self) -> bool {
        !self.ranges[1].is_empty()
    }

    fn load(&mut self, values: &[E], backward: bool) {
        if !self.is_normalised() {
            return self.linear.load(values, backward);
        }
        let [v, g, b] = self.ranges.clone().map(|range| &values[range]);
        self.direction.clear();
        self.direction.extend_from_slice(v);
        self.gain.clear();
        self.gain.extend_from_slice(g);
        self.effective.clear();
        self.scale.clear();
        for (v, g) in v.chunks_exact(v.len() / g.len()).zip(g) {
            let size = v.iter().map(|v| v.to_f64() * v.to_f64()).sum::<f64>().sqrt();
            // A direction that is 0 gives 0, and learns nothing.
            let scale = if size > 0.0 { E::from_f64(1.0 / size) } else { E::default() };
            self.scale.push(scale);
            self.effective.extend(v.iter().map(|v| *v * scale * *g));
        }
        self.effective.extend_from_slice(b);
        self.linear.load(&self.effective, backward);
    }

    /// Steps that lie between the oldest tap and the newest: those that a state holds.
    fn reach(&self) -> usize {
        (self.taps - 1) * self.distance
    }

    fn forward(&mut self, context: &Context<'_>, x: Rows<'_, E>, state: &mut Part<E>) {
        context.since(&mut self.since);
        let (width, reach, distance) = (self.input, self.reach(), self.distance);
        let (order, since) = (context.order, &self.since);
        let (steps, old) = (order.steps(), &state.h);
        self.taken.resize(order.rows());
        self.taken.fill_rows(self.engine, |row, to| {
            let (t, place) = order.inner_place(row);
            let own = &old[order.sequences()[place] * reach * width..];
            for (tap, to) in to.chunks_exact_mut(width).enumerate() {
                let back = reach - tap * distance;
                match (t.checked_sub(back), since[row]) {
                    (Some(t), since) if since.is_none_or(|since| t >= since) => {
                        to.copy_from_slice(x.row(steps.first_row(t) + place));
                    }
                    (None, None) => to.copy_from_slice(&own[(reach + t - back) * width..][..width]),
                    _ => to.fill(E::default()),
                }
            }
        });
        self.linear.forward(context, Signal::Rows(self.taken.rows()), &mut []);
        self.leave(context, x, state);
    }

    /// Replaces the state by that after the batch.
    fn leave(&mut self, context: &Context<'_>, x: Rows<'_, E>, state: &mut Part<E>) {
        let (width, reach) = (self.input, self.reach());
        for (place, b) in context.order.sequences().iter().enumerate() {
            let own = &mut state.h[b * reach * width..][..reach * width];
            self.after.clear();
            for at in 0..reach {
                match source(context, &self.since, reach, (place, at)) {
                    Source::Row(row) => self.after.extend_from_slice(x.row(row)),
                    Source::Before(at) => self.after.extend_from_slice(&own[at * width..][..width]),
                    Source::Nothing => self.after.resize(self.after.len() + width, E::default()),
                }
            }
            own.copy_from_slice(&self.after);
        }
    }

    fn backward(&mut self, context: &Context<'_>, errors: Back<'_, E>) {
        let Back { dy, d_states, input_wanted, gradients } = errors;
        let [d_state] = d_states else { unreachable!("a convolution has one state") };
        let taken = Signal::Rows(self.taken.rows());
        let (normalised, d_states) = (self.is_normalised(), &mut [][..]);
        self.d_effective.resize(self.effective.len(), E::default());
        let own = if normalised { &mut self.d_effective[..] } else { &mut *gradients };
        // The state before the batch has a gradient whether or not the input is asked for.
        let back = Back { dy, d_states, input_wanted: true, gradients: own };
        self.linear.backward(context, taken, back);
        if normalised {
            self.learn_norm(gradients);
        }
        let (width, reach, distance) = (self.input, self.reach(), self.distance);
        let (order, since, d_taken) = (context.order, &self.since, self.linear.d_input());
        let (steps, d_after) = (order.steps(), &d_state.h);
        // Adds what the taps of later steps give back to step `t + reach`, which may lie before the batch.
        let add_taps = |place: usize, t: usize, to: &mut [E]| {
            for tap in 0..self.taps {
                let Some(later) = t.checked_sub(tap * distance) else { continue };
                if later >= steps.lengths()[place] {
                    continue;
                }
                let reader = steps.first_row(later) + place;
                if since[reader].is_none_or(|since| t >= since + reach) {
                    add(&d_taken.row(reader)[tap * width..][..width], to);
                }
            }
        };
        if input_wanted {
            self.dx.resize(order.rows());
            self.dx.fill_rows(self.engine, |row, dx| {
                let (t, place) = order.inner_place(row);
                dx.fill(E::default());
                add_taps(place, t + reach, dx);
                if let Some(at) = (t + reach).checked_sub(steps.lengths()[place])
                    && source(context, since, reach, (place, at)) == Source::Row(row)
                {
                    let b = order.sequences()[place];
                    add(&d_after[(b * reach + at) * width..][..width], dx);
                }
            });
        }
        for (place, b) in order.sequences().iter().enumerate() {
            let own = &mut d_state.h[b * reach * width..][..reach * width];
            self.after.clear();
            self.after.resize(reach * width, E::default());
            for (t, to) in self.after.chunks_exact_mut(width).enumerate() {
                add_taps(place, t, to);
                if let Some(at) = t.checked_sub(steps.lengths()[place])
                    && source(context, since, reach, (place, at)) == Source::Before(t)
                {
                    add(&own[at * width..][..width], to);
                }
            }
            own.copy_from_slice(&self.after);
        }
    }

    /// From the gradient of the weights that the product saw to that of direction, gain and bias.
    fn learn_norm(&self, gradients: &mut [E]) {
        let width = self.direction.len() / self.gain.len();
        let (d_weights, d_bias) = self.d_effective.split_at(self.direction.len());
        let rows = d_weights.chunks_exact(width).zip(self.direction.chunks_exact(width));
        for (at, ((d, v), (scale, g))) in rows.zip(self.scale.iter().zip(&self.gain)).enumerate() {
            let along = d.iter().zip(v).map(|(d, v)| d.to_f64() * v.to_f64()).sum::<f64>();
            let along = E::from_f64(along) * *scale;
            gradients[self.ranges[1].start + at] = along;
            let to = &mut gradients[self.ranges[0].start + at * width..][..width];
            for ((to, d), v) in to.iter_mut().zip(d).zip(v) {
                *to = *g * *scale * (*d - along * *scale * *v);
            }
        }
        gradients[self.ranges[2].clone()].copy_from_slice(d_bias);
    }
}

/// Where an entry of the state after a batch comes from.
#[derive(PartialEq, Eq)]
enum Source {
    /// A row of the batch.
    Row(usize),
    /// An entry of the state before it.
    Before(usize),
    /// A step before the sequence, where all is 0.
    Nothing,
}

/// The source of entry `at` of the state of the sequence at `place`.
fn source(
    context: &Context<'_>,
    since: &[Option<usize>],
    reach: usize,
    (place, at): (usize, usize),
) -> Source {
    let steps = context.order.steps();
    let length = steps.lengths()[place];
    let Some(last) = length.checked_sub(1) else { return Source::Before(at) };
    match ((length + at).checked_sub(reach), since[steps.first_row(last) + place]) {
        (Some(t), since) if since.is_none_or(|since| t >= since) => {
            Source::Row(steps.first_row(t) + place)
        }
        (None, None) => Source::Before(length + at),
        _ => Source::Nothing,
    }
}

fn add<E: Element>(from: &[E], to: &mut [E]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *to + *from);
}
