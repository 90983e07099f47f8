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
use recurve_kernels::{Element, Engine, Rows};

/// The factors of one batch: 0 or `1 / (1 - rate)`.
pub(crate) struct Mask<E: Element> {
    engine: Engine,
    id: u64,
    rate: f64,
    factors: Flow<E>,
}

impl<E: Element> Mask<E> {
    /// `id` tells the masks of a model apart.
    pub(crate) fn new(engine: Engine, id: u64, rate: f64, width: usize) -> Self {
        Self { engine, id, rate, factors: Flow::tight(width) }
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
        self.factors.resize(rows);
        self.factors.fill_rows(self.engine, |row, factors| {
            let (t, b) = if pooled { (0, row) } else { order.place(row) };
            let mut rng = base.clone();
            rng.set_stream(if pooled { b as u64 } else { (b as u64) << 32 | t as u64 });
            for factor in factors {
                *factor = if rng.next_u32() < threshold { E::default() } else { keep };
            }
        });
    }

    /// The factors of a row.
    pub(crate) fn row(&self, at: usize) -> &[E] {
        self.factors.rows().row(at)
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
    pub(crate) fn new(mask: Mask<E>, pooled: bool) -> Self {
        let width = mask.factors.rows().width();
        let (y, dx) = (Flow::tight(width), Flow::padded(mask.engine, width));
        Self { mask, pooled, active: false, y, dx }
    }

    /// Each row of `from` times its factors, if there are any in this pass.
    fn apply((mask, active): (&Mask<E>, bool), from: Rows<'_, E>, to: &mut Flow<E>) {
        to.resize(from.count());
        to.fill_rows(mask.engine, |row, to| {
            if active {
                scale(from.row(row), mask.row(row), to);
            } else {
                to.copy_from_slice(from.row(row));
            }
        });
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
        Self::apply((&self.mask, self.active), input.rows(), &mut self.y);
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    fn backward(&mut self, _: &Context<'_>, _: Signal<'_, E>, errors: Back<'_, E>) {
        Self::apply((&self.mask, self.active), errors.dy, &mut self.dx);
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.dx.rows()
    }
}
