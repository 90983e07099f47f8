//! The update of one stretch of parameters, one function per optimiser. Computed in `f64`, stored in
//! `F`.

use super::{Adam, AdamW, OptimiserConfig, RmsProp, Sgd};
use crate::clip::Clipping;
use recurve_cell::Real;
use recurve_kernels::Loops;
use std::slice::ChunksMut;

/// Parameters that are treated alike, with their gradients and moments: all of one length.
pub(super) struct Stretch<'a, F> {
    pub(super) params: &'a mut [F],
    pub(super) grads: &'a [F],
    pub(super) first: Option<&'a mut [F]>,
    pub(super) second: Option<&'a mut [F]>,
}

impl<'a, F: Send + Sync> Stretch<'a, F> {
    /// The stretch in pieces of `size`, the last one shorter.
    pub(super) fn pieces(self, size: usize) -> impl Iterator<Item = Stretch<'a, F>> + Send {
        let (mut first, mut second) =
            (self.first.map(|m| m.chunks_mut(size)), self.second.map(|m| m.chunks_mut(size)));
        self.params.chunks_mut(size).zip(self.grads.chunks(size)).map(move |(params, grads)| {
            let next = |chunks: &mut Option<ChunksMut<'a, F>>| chunks.as_mut()?.next();
            Stretch { params, grads, first: next(&mut first), second: next(&mut second) }
        })
    }
}

/// What changes from step to step and from stretch to stretch.
#[derive(Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) config: &'a OptimiserConfig,
    /// Counted from 1.
    pub(super) steps: u64,
    pub(super) rate: f64,
    pub(super) decays: bool,
    pub(super) clipping: Clipping,
}

/// The update of one stretch.
pub(super) struct Update<'a, F> {
    now: Now<'a>,
    at: Stretch<'a, F>,
}

impl<F: Real> Loops for Update<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (now, at) = (self.now, self.at);
        match *now.config {
            OptimiserConfig::Sgd(c) => now.sgd(c, at),
            OptimiserConfig::RmsProp(c) => now.rmsprop(c, at),
            OptimiserConfig::Adam(c) => now.adam(c, 1.0, now.decay(c.weight_decay), at),
            OptimiserConfig::AdamW(c) => {
                let AdamW { learning_rate, beta1, beta2, eps, weight_decay } = c;
                let adam = Adam { learning_rate, beta1, beta2, eps, weight_decay: 0.0 };
                now.adam(adam, 1.0 - now.rate * now.decay(weight_decay), 0.0, at);
            }
        }
    }
}

impl<'a> Now<'a> {
    pub(super) fn update<F: Real>(self, at: Stretch<'a, F>) -> Update<'a, F> {
        Update { now: self, at }
    }

    fn decay(&self, weight_decay: f64) -> f64 {
        if self.decays { weight_decay } else { 0.0 }
    }

    #[inline(always)]
    fn sgd<F: Real>(&self, config: Sgd, at: Stretch<'_, F>) {
        let step = SgdStep {
            rate: self.rate,
            momentum: config.momentum,
            nesterov: config.nesterov,
            weight_decay: self.decay(config.weight_decay),
            clipping: self.clipping,
        };
        match at.first {
            Some(velocity) => step.with_momentum(at.params, at.grads, velocity),
            None => step.plain(at.params, at.grads),
        }
    }

    #[inline(always)]
    fn rmsprop<F: Real>(&self, config: RmsProp, at: Stretch<'_, F>) {
        let step = RmsPropStep {
            rate: self.rate,
            alpha: config.alpha,
            eps: config.eps,
            momentum: config.momentum,
            weight_decay: self.decay(config.weight_decay),
            clipping: self.clipping,
        };
        match (at.first, at.second) {
            (Some(square), Some(velocity)) => {
                step.with_momentum(at.params, at.grads, square, velocity)
            }
            (Some(square), None) => step.plain(at.params, at.grads, square),
            (None, _) => unreachable!("RMSprop keeps a running square"),
        }
    }

    /// `keep` is what decoupled weight decay leaves of a weight, `weight_decay` the coupled one.
    #[inline(always)]
    fn adam<F: Real>(&self, config: Adam, keep: f64, weight_decay: f64, at: Stretch<'_, F>) {
        let Adam { beta1, beta2, eps, .. } = config;
        let t = self.steps as f64;
        let step = AdamStep {
            keep,
            clipping: self.clipping,
            weight_decay,
            beta1,
            beta2,
            eps,
            step_size: self.rate / (1.0 - beta1.powf(t)),
            root_correction: (1.0 - beta2.powf(t)).sqrt(),
        };
        match (at.first, at.second) {
            (Some(m), Some(v)) => step.apply(at.params, at.grads, m, v),
            _ => unreachable!("Adam keeps two moments"),
        }
    }
}

struct SgdStep {
    rate: f64,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    clipping: Clipping,
}

impl SgdStep {
    #[inline(always)]
    fn plain<F: Real>(&self, params: &mut [F], grads: &[F]) {
        for (w, g) in params.iter_mut().zip(grads) {
            let g = self.clipping.of(*g).to_f64() + self.weight_decay * w.to_f64();
            *w = F::from_f64(w.to_f64() - self.rate * g);
        }
    }

    #[inline(always)]
    fn with_momentum<F: Real>(&self, params: &mut [F], grads: &[F], velocity: &mut [F]) {
        for ((w, g), v) in params.iter_mut().zip(grads).zip(velocity) {
            let g = self.clipping.of(*g).to_f64() + self.weight_decay * w.to_f64();
            let new = self.momentum * v.to_f64() + g;
            let direction = if self.nesterov { g + self.momentum * new } else { new };
            *v = F::from_f64(new);
            *w = F::from_f64(w.to_f64() - self.rate * direction);
        }
    }
}

struct RmsPropStep {
    rate: f64,
    alpha: f64,
    eps: f64,
    momentum: f64,
    weight_decay: f64,
    clipping: Clipping,
}

impl RmsPropStep {
    #[inline(always)]
    fn plain<F: Real>(&self, params: &mut [F], grads: &[F], square: &mut [F]) {
        for ((w, g), s) in params.iter_mut().zip(grads).zip(square) {
            let scaled = self.scaled(w, g, s);
            *w = F::from_f64(w.to_f64() - self.rate * scaled);
        }
    }

    #[inline(always)]
    fn with_momentum<F: Real>(
        &self,
        params: &mut [F],
        grads: &[F],
        square: &mut [F],
        velocity: &mut [F],
    ) {
        for (((w, g), s), v) in params.iter_mut().zip(grads).zip(square).zip(velocity) {
            let new = self.momentum * v.to_f64() + self.scaled(w, g, s);
            *v = F::from_f64(new);
            *w = F::from_f64(w.to_f64() - self.rate * new);
        }
    }

    #[inline(always)]
    fn scaled<F: Real>(&self, w: &F, g: &F, s: &mut F) -> f64 {
        let g = self.clipping.of(*g).to_f64() + self.weight_decay * w.to_f64();
        let square = self.alpha * s.to_f64() + (1.0 - self.alpha) * g * g;
        *s = F::from_f64(square);
        g / (square.sqrt() + self.eps)
    }
}

struct AdamStep {
    clipping: Clipping,
    /// What decoupled weight decay leaves of the weight.
    keep: f64,
    weight_decay: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    /// `rate / (1 − beta1ᵗ)`
    step_size: f64,
    /// `√(1 − beta2ᵗ)`
    root_correction: f64,
}

impl AdamStep {
    #[inline(always)]
    fn apply<F: Real>(&self, params: &mut [F], grads: &[F], m: &mut [F], v: &mut [F]) {
        let inverse_root = 1.0 / self.root_correction;
        for (((w, g), m), v) in params.iter_mut().zip(grads).zip(m).zip(v) {
            let weight = self.keep * w.to_f64();
            let g = self.clipping.of(*g).to_f64() + self.weight_decay * weight;
            let first = m.to_f64() + (g - m.to_f64()) * (1.0 - self.beta1);
            let second = self.beta2 * v.to_f64() + (1.0 - self.beta2) * g * g;
            *m = F::from_f64(first);
            *v = F::from_f64(second);
            *w = F::from_f64(
                weight - self.step_size * first / (second.sqrt() * inverse_root + self.eps),
            );
        }
    }
}
