//! Dropout (Srivastava et al. 2014): in training, each value is zero with probability `rate`, and
//! otherwise divided by `1 - rate`. *Locked* dropout (Gal & Ghahramani 2016) drops the same values at all
//! steps of a sequence.
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

/// What a mask is drawn for; masks of different kinds share no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Values of steps.
    Steps = 0,
    /// Values of whole sequences.
    Sequences = 1,
    /// Recurrent weights.
    Weights = 2,
    /// Tokens of a vocabulary.
    Tokens = 3,
    /// Outputs that stay as they were.
    Zoneout = 4,
    /// Cell states that stay as they were.
    ZoneoutCell = 5,
    /// Outputs on their way into the recurrent product.
    Recurrent = 6,
    /// Candidates.
    Candidates = 7,
}

/// Random factors: 0 with probability `rate`, otherwise `1 / (1 - rate)`.
#[derive(Clone, Debug)]
pub(crate) struct Factors<E> {
    base: ChaCha8Rng,
    threshold: u32,
    keep: E,
}

impl<E: Element> Factors<E> {
    /// `id` tells the masks of a kind in a model apart.
    pub(crate) fn new(noise: Noise, kind: Kind, id: u64, rate: f64) -> Self {
        let mut seed = [0; 32];
        for (to, from) in seed.chunks_exact_mut(8).zip([noise.seed, noise.step, id, kind as u64]) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        Self {
            base: ChaCha8Rng::from_seed(seed),
            threshold: (rate * 4_294_967_296.0) as u32,
            keep: E::from_f64(1.0 / (1.0 - rate)),
        }
    }

    /// The factors of `stream`, one after the other.
    pub(crate) fn of(&self, stream: u64) -> impl FnMut() -> E {
        let mut rng = self.base.clone();
        rng.set_stream(stream);
        let (threshold, keep) = (self.threshold, self.keep);
        move || if rng.next_u32() < threshold { E::default() } else { keep }
    }
}

/// The factors of one batch.
pub(crate) struct Mask<E: Element> {
    engine: Engine,
    id: u64,
    rate: f64,
    /// Whether a sequence has the same factors at all of its steps.
    locked: bool,
    factors: Flow<E>,
}

impl<E: Element> Mask<E> {
    /// `id` tells the masks of a model apart.
    pub(crate) fn new(engine: Engine, id: u64, rate: f64, width: usize) -> Self {
        Self { engine, id, rate, locked: false, factors: Flow::tight(width) }
    }

    /// The same with one draw for all steps of a sequence.
    pub(crate) fn locked(self, locked: bool) -> Self {
        Self { locked, ..self }
    }

    /// Draws the factors for a batch.
    pub(crate) fn draw(&mut self, noise: Noise, order: &Order, pooled: bool) {
        let by_sequence = pooled || self.locked;
        let kind = if self.locked { Kind::Sequences } else { Kind::Steps };
        let source = Factors::new(noise, kind, self.id, self.rate);
        self.factors.resize(if by_sequence { order.sequences().len() } else { order.rows() });
        self.factors.fill_rows(self.engine, |row, factors| {
            let stream = if by_sequence {
                row as u64
            } else {
                let (t, b) = order.place(row);
                (b as u64) << 32 | t as u64
            };
            let mut next = source.of(stream);
            factors.iter_mut().for_each(|factor| *factor = next());
        });
    }

    /// The factors of a row.
    pub(crate) fn row(&self, order: &Order, at: usize, pooled: bool) -> &[E] {
        let at = if self.locked && !pooled { order.place(at).1 } else { at };
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
    fn apply(
        (mask, active, pooled): (&Mask<E>, bool, bool),
        order: &Order,
        from: Rows<'_, E>,
        to: &mut Flow<E>,
    ) {
        to.resize(from.count());
        to.fill_rows(mask.engine, |row, to| {
            if active {
                scale(from.row(row), mask.row(order, row, pooled), to);
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
        let mask = (&self.mask, self.active, self.pooled);
        Self::apply(mask, context.order, input.rows(), &mut self.y);
    }

    fn output(&self) -> Rows<'_, E> {
        self.y.rows()
    }

    fn backward(&mut self, context: &Context<'_>, _: Signal<'_, E>, errors: Back<'_, E>) {
        let mask = (&self.mask, self.active, self.pooled);
        Self::apply(mask, context.order, errors.dy, &mut self.dx);
    }

    fn d_input(&self) -> Rows<'_, E> {
        self.dx.rows()
    }
}
