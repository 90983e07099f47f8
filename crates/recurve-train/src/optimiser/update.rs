//! The update of one stretch of parameters, one function per optimiser: `params`, `grads` and every
//! moment have the same length. Computed in `f64`, stored in `F`.

use recurve_cell::Real;

pub(super) struct SgdStep {
    pub(super) rate: f64,
    pub(super) momentum: f64,
    pub(super) nesterov: bool,
    pub(super) weight_decay: f64,
}

impl SgdStep {
    pub(super) fn plain<F: Real>(&self, params: &mut [F], grads: &[F]) {
        for (w, g) in params.iter_mut().zip(grads) {
            let g = g.to_f64() + self.weight_decay * w.to_f64();
            *w = F::from_f64(w.to_f64() - self.rate * g);
        }
    }

    pub(super) fn with_momentum<F: Real>(&self, params: &mut [F], grads: &[F], velocity: &mut [F]) {
        for ((w, g), v) in params.iter_mut().zip(grads).zip(velocity) {
            let g = g.to_f64() + self.weight_decay * w.to_f64();
            let new = self.momentum * v.to_f64() + g;
            let direction = if self.nesterov {
                g + self.momentum * new
            } else {
                new
            };
            *v = F::from_f64(new);
            *w = F::from_f64(w.to_f64() - self.rate * direction);
        }
    }
}

pub(super) struct RmsPropStep {
    pub(super) rate: f64,
    pub(super) alpha: f64,
    pub(super) eps: f64,
    pub(super) momentum: f64,
    pub(super) weight_decay: f64,
}

impl RmsPropStep {
    pub(super) fn plain<F: Real>(&self, params: &mut [F], grads: &[F], square: &mut [F]) {
        for ((w, g), s) in params.iter_mut().zip(grads).zip(square) {
            let scaled = self.scaled(w, g, s);
            *w = F::from_f64(w.to_f64() - self.rate * scaled);
        }
    }

    pub(super) fn with_momentum<F: Real>(
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

pub(super) struct AdamStep {
    /// What decoupled weight decay leaves of the weight.
    pub(super) keep: f64,
    pub(super) weight_decay: f64,
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    pub(super) eps: f64,
    /// `rate / (1 − beta1ᵗ)`
    pub(super) step_size: f64,
    /// `√(1 − beta2ᵗ)`
    pub(super) root_correction: f64,
}

impl AdamStep {
    pub(super) fn apply<F: Real>(&self, params: &mut [F], grads: &[F], m: &mut [F], v: &mut [F]) {
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
