//! Clipping: a bound on how far one step may go.
//!
//! Backpropagation through time multiplies one matrix by itself; now and then the gradient explodes.
//! Clipping by the global norm keeps its direction (Pascanu, Mikolov & Bengio 2013); clipping by
//! value bounds each element alone. Either way the norm *before* clipping is reported, as the number
//! a person watches.

use crate::error::{Error, Result};
use recurve_cell::Real;
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
        if !before.is_finite() {
            return before;
        }
        match *self {
            Clip::None {} => {}
            Clip::Norm { limit } => {
                let factor = limit / (before + 1e-6);
                if factor < 1.0 {
                    for g in grads {
                        *g = F::from_f64(g.to_f64() * factor);
                    }
                }
            }
            Clip::Value { limit } => {
                let limit = F::from_f64(limit);
                for g in grads {
                    let low = if *g < -limit { -limit } else { *g };
                    *g = if low > limit { limit } else { low };
                }
            }
        }
        before
    }
}

/// The Euclidean norm of `values`, summed in `f64`.
///
/// Eight running sums, folded in one order: the same bits whatever runs beside it. NaN and infinite
/// where an element is.
pub fn norm<F: Real>(values: &[F]) -> f64 {
    let mut sums = [0.0; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value.to_f64() * value.to_f64();
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += value.to_f64() * value.to_f64();
    }
    sums.iter().sum::<f64>().sqrt()
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
