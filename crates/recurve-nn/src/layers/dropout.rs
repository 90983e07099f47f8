//! Dropout (Srivastava et al. 2014): in training, each value is zero with probability `rate`, and
//! otherwise divided by `1 - rate`.
//!
//! The numbers come from a counter-based generator. Which values are dropped depends on the seed, the
//! number of the batch, the layer, the sequence, the step and the unit, and on nothing else: not on
//! threads, and not on what was drawn before.

use super::{Back, Context, Flow, Mode, Node, Noise, Signal};
use crate::batch::Order;
use crate::state::Part;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use recurve_kernels::{Buffer, Element, Engine, Rows};

/// The factors of one batch: 0 or `1 / (1 - rate)`.
pub(crate) struct Mask<E: Element> {
    id: u64,
    rate: f64,
    width: usize,
    factors: Buffer<E>,
}

impl<E: Element> Mask<E> {
    /// `id` tells the masks of a model apart.
    pub(crate) fn new(id: u64, rate: f64, width: usize) -> Self {
        Self { id, rate, width, factors: Buffer::new() }
    }

    /// Draws the factors for a batch.
    pub(crate) fn draw(&mut self, noise: Noise, order: &Order, pooled: bool) {
        let mut seed = [0; 32];
        for (to, from) in seed.chunks_exact_mut(8).zip([noise.seed, noise.step, self.id, 0]) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        let base = ChaCha8Rng::from_seed(seed);
        let keep = E::from_f64(1.0 / (1.0 - self.rate));
        let threshold = (self.rate * 4_294_967_296.0) as u32;
        let rows = if pooled { order.sequences().len() } else { order.rows() };
        self.factors.resize(rows * self.width);
        let mut fill = |row: usize, stream: u64| {
            let mut rng = base.clone();
            rng.set_stream(stream);
            for factor in &mut self.factors[row * self.width..][..self.width] {
                *factor = if rng.next_u32() < threshold { E::default() } else { keep };
            }
        };
        if pooled {
            (0..rows).for_each(|b| fill(b, b as u64));
        } else {
            order.places().for_each(|(row, t, b)| fill(row, (b as u64) << 32 | t as u64));
        }
    }

    /// The factors of a row.
    pub(crate) fn row(&self, at: usize) -> &[E] {
        &self.factors[at * self.width..][..self.width]
    }
}

/// Dropout as a layer.
pub(crate) struct Dropout<E: Element> {
    mask: Mask<E>,
    pooled: bool,
    active: bool,
    y: Flow<E>,
    dx: Flow<E>,
}

impl<E: Element> Dropout<E> {
    pub(crate) fn new(engine: Engine, mask: Mask<E>, pooled: bool) -> Self {
        let (y, dx) = (Flow::tight(mask.width), Flow::padded(engine, mask.width));
        Self { mask, pooled, active: false, y, dx }
    }

    /// Each row of `from` times its factors, if there are any in this pass.
    fn apply(mask: Option<&Mask<E>>, from: Rows<'_, E>, to: &mut Flow<E>) {
        let count = from.count();
        to.resize(count);
        for row in 0..count {
            let (from, to) = (from.row(row), to.row_mut(row));
            match mask {
                None => to.copy_from_slice(from),
                Some(mask) => scale(from, mask.row(row), to),
            }
        }
    }
}

/// `to = from * factors`.
pub(crate) fn scale<E: Element>(from: &[E], factors: &[E], to: &mut [E]) {
    for ((to, from), factor) in to.iter_mut().zip(from).zip(factors) {
        *to = *from * *factor;
    }
}

impl<E: Element> Node<E> for Dropout<E> {
    fn forward(&mut self, context: &Context<'_>, input: Signal<'_, E>, _: &mut [Part<E>]) {
        self.active = false;
        if let Mode::Train(noise) = context.mode {
            self.mask.draw(noise, context.order, self.pooled);
            self.active = true;
        }
        Self::apply(self.active.then_some(&self.mask), input.rows(), &mut self.y);
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    fn backward(&mut self, _: &Context<'_>, _: Signal<'_, E>, errors: Back<'_, E>) {
        Self::apply(self.active.then_some(&self.mask), errors.dy, &mut self.dx);
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.dx.rows()
    }
}
