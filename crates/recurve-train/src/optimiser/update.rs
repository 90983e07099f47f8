//! The update of one stretch of parameters, one function per optimiser. Computed in `f64`, stored in
//! `F`.

use super::{Adam, AdamW, OptimiserConfig, RmsProp, Sgd};
use recurve_cell::Real;

/// Parameters that are treated alike, with their gradients and moments: all of one length.
pub(super) struct Stretch<'a, F> {
    pub(super) params: &'a mut [F],
    pub(super) grads: &'a [F],
    pub(super) first: Option<&'a mut [F]>,
    pub(super) second: Option<&'a mut [F]>,
}

/// What changes from step to step and from stretch to stretch.
pub(super) struct Now {
    /// Counted from 1.
    pub(super) steps: u64,
    pub(super) rate: f64,
    pub(super) decays: bool,
}

impl Now {
    pub(super) fn update<F: Real>(&self, config: &OptimiserConfig, at: Stretch<'_, F>) {
        match *config {
            OptimiserConfig::Sgd(c) => self.sgd(c, at),
            OptimiserConfig::RmsProp(c) => self.rmsprop(c, at),
            OptimiserConfig::Adam(c) => self.adam(c, 1.0, self.decay(c.weight_decay), at),
            OptimiserConfig::AdamW(c) => {
                let AdamW { learning_rate, beta1, beta2, eps, weight_decay } = c;
                let adam = Adam { learning_rate, beta1, beta2, eps, weight_decay: 0.0 };
                self.adam(adam, 1.0 - self.rate * self.decay(weight_decay), 0.0, at);
            }
        }
    }

    fn decay(&self, weight_decay: f64) -> f64 {
        if self.decays { weight_decay } else { 0.0 }
    }

    fn sgd<F: Real>(&self, config: Sgd, at: Stretch<'_, F>) {
        let step = SgdStep {
            rate: self.rate,
            momentum: config.momentum,
            nesterov: config.nesterov,
            weight_decay: self.decay(config.weight_decay),
        };
        match at.first {
            Some(velocity) => step.with_momentum(at.params, at.grads, velocity),
            None => step.plain(at.params, at.grads),
        }
    }

    fn rmsprop<F: Real>(&self, config: RmsProp, at: Stretch<'_, F>) {
        let step = RmsPropStep {
            rate: self.rate,
            alpha: config.alpha,
            eps: config.eps,
            momentum: config.momentum,
            weight_decay: self.decay(config.weight_decay),
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
    fn adam<F: Real>(&self, config: Adam, keep: f64, weight_decay: f64, at: Stretch<'_, F>) {
        let Adam { beta1, beta2, eps, .. } = config;
        let t = self.steps as f64;
        let step = AdamStep {
            keep,
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
}

impl SgdStep {
    fn plain<F: Real>(&self, params: &mut [F], grads: &[F]) {
        for (w, g) in params.iter_mut().zip(grads) {
            let g = g.to_f64() + self.weight_decay * w.to_f64();
            *w = F::from_f64(w.to_f64() - self.rate * g);
        }
    }

    fn with_momentum<F: Real>(&self, params: &mut [F], grads: &[F], velocity: &mut [F]) {
        for ((w, g), v) in params.iter_mut().zip(grads).zip(velocity) {
            let g = g.to_f64() + self.weight_decay * w.to_f64();
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
}

impl RmsPropStep {
    fn plain<F: Real>(&self, params: &mut [F], grads: &[F], square: &mut [F]) {
        for ((w, g), s) in params.iter_mut().zip(grads).zip(square) {
            let scaled = self.scaled(w, g, s);
            *w = F::from_f64(w.to_f64() - self.rate * scaled);
        }
    }

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
        let g = g.to_f64() + self.weight_decay * w.to_f64();
        let square = self.alpha * s.to_f64() + (1.0 - self.alpha) * g * g;
        *s = F::from_f64(square);
        g / (square.sqrt() + self.eps)
    }
}

struct AdamStep {
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
    fn apply<F: Real>(&self, params: &mut [F], grads: &[F], m: &mut [F], v: &mut [F]) {
        let inverse_root = 1.0 / self.root_correction;
        for (((w, g), m), v) in params.iter_mut().zip(grads).zip(m).zip(v) {
            let weight = self.keep * w.to_f64();
            let g = g.to_f64() + self.weight_decay * weight;
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
