//! Clipping: a bound on how far one step may go.
//!
//! Backpropagation through time multiplies one matrix by itself; now and then the gradient explodes.
//! Clipping by the global norm keeps its direction (Pascanu, Mikolov & Bengio 2013); clipping by
//! value bounds each element alone. Either way the norm *before* clipping is reported, as the number
//! a person watches.

use crate::error::{Error, Result};
use recurve_cell::Real;
use recurve_kernels::{Element, Engine, Loops, each};
use serde::{Deserialize, Serialize};

/// How gradients are clipped: the description that stands in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Clip {
    /// Not at all.
    None {},
    /// Where the norm over all parameters exceeds `limit`, all gradients are multiplied by
    /// `limit / (norm + 1e-6)`.
    Norm {
        /// Above 0.
        limit: f64,
    },
    /// Every element is brought into `[−limit, limit]`.
    Value {
        /// Above 0.
        limit: f64,
    },
}

impl Clip {
    /// An error where an option lies outside its range.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Clip::Norm { limit } | Clip::Value { limit } if !(limit.is_finite() && limit > 0.0) => {
                Err(Error::usage(format!("clip.limit must be a number above 0, not {limit}")))
            }
            _ => Ok(()),
        }
    }

    /// Clips `grads` and returns their global norm from before.
    ///
    /// A norm that is not finite is returned with the gradients untouched, for the
    /// [`NanPolicy`](crate::nan_policy::NanPolicy) to judge.
    pub fn apply<F: Real>(&self, grads: &mut [F]) -> f64 {
        let before = norm(grads);
        let clipping = self.decide(before);
        grads.iter_mut().for_each(|g| *g = clipping.of(*g));
        before
    }

    /// What is to become of gradients with this norm. Where it is not finite, nothing.
    pub fn decide(&self, norm: f64) -> Clipping {
        match *self {
            Clip::Norm { limit } if limit / (norm + 1e-6) < 1.0 && norm.is_finite() => {
                Clipping { factor: limit / (norm + 1e-6), ..Clipping::NONE }
            }
            Clip::Value { limit } if norm.is_finite() => Clipping { limit, ..Clipping::NONE },
            _ => Clipping::NONE,
        }
    }
}

/// What becomes of every element of a gradient, decided by a [`Clip`] and its norm. An optimiser applies
/// it on the way ([`Optimiser::step_clipped`](crate::optimiser::Optimiser::step_clipped)), which saves
/// reading and writing the gradient once more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clipping {
    factor: f64,
    limit: f64,
}

impl Clipping {
    /// The gradient as it is.
    pub const NONE: Self = Self { factor: 1.0, limit: f64::INFINITY };

    /// An element of the gradient after clipping.
    #[inline(always)]
    pub(crate) fn of<F: Real>(self, g: F) -> F {
        let limit = F::from_f64(self.limit);
        let scaled = F::from_f64(g.to_f64() * self.factor);
        let low = if scaled < -limit { -limit } else { scaled };
        if low > limit { limit } else { low }
    }
}

/// Elements that are summed together: the bounds of a norm's partial sums.
const BLOCK: usize = 1 << 15;

/// The Euclidean norm of `values`, summed in `f64`.
///
/// Blocks of fixed length, in each eight running sums, all folded in one order: the same bits whatever
/// runs beside it. NaN and infinite where an element is.
pub fn norm<F: Real>(values: &[F]) -> f64 {
    values.chunks(BLOCK).map(|block| SquareSum(block).run()).sum::<f64>().sqrt()
}

/// [`norm`], on the vectors and threads of an engine: the same bits.
pub fn norm_on<F: Element>(engine: Engine, values: &[F]) -> f64 {
    let mut sums = vec![0.0; values.len().div_ceil(BLOCK)];
    let blocks = values.chunks(BLOCK).zip(&mut sums);
    each(engine.threads_over(values.len()), blocks, |(block, sum)| {
        *sum = engine.isa().run(SquareSum(block));
    });
    sums.iter().sum::<f64>().sqrt()
}

/// The sum of the squares of a block.
struct SquareSum<'a, F>(&'a [F]);

impl<F: Real> Loops for SquareSum<'_, F> {
    type Output = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        let mut sums = [0.0; 8];
        let (chunks, rest) = self.0.as_chunks::<8>();
        for chunk in chunks {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += value.to_f64() * value.to_f64();
            }
        }
        for (sum, value) in sums.iter_mut().zip(rest) {
            *sum += value.to_f64() * value.to_f64();
        }
        sums.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_norm_by_hand() {
        let mut grads = [3.0f64, 0.0, -4.0];
        assert_eq!(Clip::Norm { limit: 1.0 }.apply(&mut grads), 5.0);
        let factor = 1.0 / 5.000001;
        assert_eq!(grads, [3.0 * factor, 0.0, -4.0 * factor]);
        let mut small = [0.375f32, 0.5];
        assert_eq!(Clip::Norm { limit: 1.0 }.apply(&mut small), 0.625);
        assert_eq!(small, [0.375, 0.5]);
    }

    #[test]
    fn by_value_by_hand() {
        let mut grads = [3.0f32, -0.5, -4.0, 1.0];
        let before = Clip::Value { limit: 1.0 }.apply(&mut grads);
        assert!((before - 26.25f64.sqrt()).abs() < 1e-15);
        assert_eq!(grads, [1.0, -0.5, -1.0, 1.0]);
    }

    #[test]
    fn without_clipping_the_norm_is_still_told() {
        let mut grads = [30.0f32; 17];
        assert!((Clip::None {}.apply(&mut grads) - 30.0 * 17f64.sqrt()).abs() < 1e-12);
        assert_eq!(grads, [30.0; 17]);
    }

    #[test]
    fn a_norm_that_is_not_finite_leaves_the_gradients_for_judgement() {
        for clip in [Clip::None {}, Clip::Norm { limit: 1.0 }, Clip::Value { limit: 1.0 }] {
            let mut grads = [1.0f32, f32::NAN, 50.0];
            assert!(clip.apply(&mut grads).is_nan());
            assert!(grads[0] == 1.0 && grads[1].is_nan() && grads[2] == 50.0);
            assert_eq!(clip.apply(&mut [f32::INFINITY, 1.0]), f64::INFINITY);
        }
    }

    #[test]
    fn f32_norms_do_not_overflow() {
        assert!((norm(&[3e38f32, 3e38]) / (3e38f64 * 2f64.sqrt()) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_norm_is_the_same_on_every_engine() {
        let values: Vec<f32> = (0..3 * BLOCK + 17).map(|i| (i as f32 * 0.37).sin()).collect();
        for isa in recurve_nn::Isa::available() {
            for threads in [1, 2, 5] {
                let engine = Engine::new(isa).with_threads(threads);
                assert_eq!(norm_on(engine, &values).to_bits(), norm(&values).to_bits());
            }
        }
        let exact = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        assert!((norm(&values) / exact - 1.0).abs() < 1e-13);
    }

    #[test]
    fn a_limit_out_of_range_is_refused() {
        for limit in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(
                Clip::Norm { limit }.validate().unwrap_err().to_string().contains("clip.limit")
            );
            assert!(Clip::Value { limit }.validate().is_err());
        }
        assert!(Clip::Norm { limit: 0.25 }.validate().is_ok());
    }
}
