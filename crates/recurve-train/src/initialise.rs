//! Where training starts: random weights of the right size.
//!
//! Every parameter draws from a generator of its own, made from the seed and the parameter's name
//! ([`generator`]), so a model with one more layer starts with the same numbers in the others, and
//! the order of initialisation does not matter.
//!
//! The matrices of a recurrent layer hold one block of rows for each gate; [`Blocks`] says how many,
//! and each block is initialised as the matrix it is.

use crate::error::{Error, Result};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use recurve_cell::Real;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How a parameter starts: the description that stands in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Initialiser {
    /// All elements `value`.
    Constant {
        /// Finite.
        value: f64,
    },
    /// Even between `−bound` and `bound`. PyTorch's recurrent layers take `1/√H` for everything.
    Uniform {
        /// Above 0.
        bound: f64,
    },
    /// Normal with mean 0.
    Normal {
        /// The standard deviation, above 0.
        std: f64,
    },
    /// Even between `±√(6 / (rows + cols))` of a block, which keeps the variance of signals and of
    /// gradients (Glorot & Bengio 2010, equation 16).
    XavierUniform {},
    /// Each block has orthonormal rows (or columns, where there are more rows than columns), drawn
    /// evenly from all such matrices (Saxe, McClelland & Ganguli 2014): a product of many of
    /// them neither explodes nor vanishes.
    Orthogonal {},
}

/// The shape of a parameter: `blocks` matrices `[rows, cols]`, one below the other.
///
/// The recurrent weights `r [G*H, H]` are `Blocks { blocks: G, rows: H, cols: H }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// How many, one for each gate; 1 for a matrix without gates.
    pub blocks: usize,
    /// Rows of one block.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
}

impl Blocks {
    /// One matrix `[rows, cols]`.
    pub fn one(rows: usize, cols: usize) -> Self {
        Self { blocks: 1, rows, cols }
    }
}

/// The random numbers of the parameter `name` in a run with seed `seed`.
pub fn generator(seed: u64, name: &str) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(name.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

impl Initialiser {
    /// An error where an option lies outside its range.
    pub fn validate(&self) -> Result<()> {
        let (key, range, value, fits) = match *self {
            Self::Constant { value } => ("value", "finite", value, value.is_finite()),
            Self::Uniform { bound } => {
                ("bound", "above 0", bound, bound.is_finite() && bound > 0.0)
            }
            Self::Normal { std } => ("std", "above 0", std, std.is_finite() && std > 0.0),
            Self::XavierUniform {} | Self::Orthogonal {} => return Ok(()),
        };
        if fits {
            return Ok(());
        }
        Err(Error::usage(format!("initialise.{key} must be {range}, not {value}")))
    }

    /// Fills `w [blocks*rows, cols]`.
    ///
    /// # Errors
    /// An option outside its range, or a length that is not that of the shape.
    pub fn fill<F: Real>(&self, w: &mut [F], shape: Blocks, rng: &mut ChaCha8Rng) -> Result<()> {
        self.validate()?;
        let Blocks { blocks, rows, cols } = shape;
        if w.len() != blocks * rows * cols {
            return Err(Error::usage(format!(
                "{blocks} blocks of {rows} x {cols} do not fill a parameter of {} numbers",
                w.len()
            )));
        }
        match *self {
            Self::Constant { value } => w.fill(F::from_f64(value)),
            Self::Uniform { bound } => uniform(w, bound, rng),
            Self::Normal { std } => {
                for x in w {
                    *x = F::from_f64(std * normal(rng));
                }
            }
            Self::XavierUniform {} => uniform(w, (6.0 / (rows + cols) as f64).sqrt(), rng),
            Self::Orthogonal {} if rows * cols == 0 => {}
            Self::Orthogonal {} => {
                for block in w.chunks_exact_mut(rows * cols) {
                    orthogonal(block, rows, cols, rng);
                }
            }
        }
        Ok(())
    }
}

/// Adds `value` to one gate of a bias `b [G*H]`.
///
/// An LSTM whose forget gate starts open (a value of 1 or more) remembers before it has learned to
/// (Gers, Schmidhuber & Cummins 2000; Jozefowicz, Zaremba & Sutskever 2015). Its forget gate is gate
/// 1 of 4.
///
/// # Errors
/// A gate that is not there, or a bias that does not divide into `gates`.
pub fn add_to_gate<F: Real>(b: &mut [F], gate: usize, gates: usize, value: f64) -> Result<()> {
    if gate >= gates || !b.len().is_multiple_of(gates) {
        return Err(Error::usage(format!(
            "a bias of {} numbers has no gate {gate} of {gates}",
            b.len()
        )));
    }
    let hidden = b.len() / gates;
    for x in &mut b[gate * hidden..][..hidden] {
        *x = F::from_f64(x.to_f64() + value);
    }
    Ok(())
}

fn uniform<F: Real>(w: &mut [F], bound: f64, rng: &mut ChaCha8Rng) {
    /// 2⁻⁵³: the 53 leading bits of a draw make a number in [0, 1).
    const UNIT: f64 = 1.0 / (1u64 << 53) as f64;
    for x in w {
        let share = (rng.next_u64() >> 11) as f64 * UNIT;
        *x = F::from_f64(bound * (2.0 * share - 1.0));
    }
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// Orthonormalises normal vectors one after the other (Gram & Schmidt). The triangular factor then
/// has a positive diagonal, which is what makes the draw even over all orthogonal matrices
/// (Mezzadri 2007). Each vector is projected twice: once is not enough for the last bits.
fn orthogonal<F: Real>(w: &mut [F], rows: usize, cols: usize, rng: &mut ChaCha8Rng) {
    let (count, len) = (rows.min(cols), rows.max(cols));
    let mut basis = vec![0.0; count * len];
    for i in 0..count {
        let (done, rest) = basis.split_at_mut(i * len);
        let vector = &mut rest[..len];
        loop {
            vector.fill_with(|| normal(rng));
            let before = dot(vector, vector).sqrt();
            for _ in 0..2 {
                for other in done.chunks_exact(len) {
                    let along = dot(vector, other);
                    for (x, y) in vector.iter_mut().zip(other) {
                        *x -= along * y;
                    }
                }
            }
            let after = dot(vector, vector).sqrt();
            if after > 1e-6 * before {
                vector.iter_mut().for_each(|x| *x /= after);
                break;
            }
        }
    }
    for row in 0..rows {
        for col in 0..cols {
            let at = if rows <= cols { row * len + col } else { col * len + row };
            w[row * cols + col] = F::from_f64(basis[at]);
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
            *sum += x * y;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(init: Initialiser, shape: Blocks, seed: u64) -> Vec<f64> {
        let mut w = vec![f64::NAN; shape.blocks * shape.rows * shape.cols];
        init.fill(&mut w, shape, &mut generator(seed, "w")).unwrap();
        w
    }

    #[test]
    fn orthogonal_blocks_are_orthonormal() {
        for (rows, cols) in [(1, 1), (5, 5), (3, 7), (7, 3), (64, 64)] {
            let w = filled(Initialiser::Orthogonal {}, Blocks { blocks: 4, rows, cols }, 1);
            for block in w.chunks_exact(rows * cols) {
                let at = |vector: usize, i: usize| {
                    if rows <= cols { block[vector * cols + i] } else { block[i * cols + vector] }
                };
                for a in 0..rows.min(cols) {
                    for b in 0..=a {
                        let product: f64 = (0..rows.max(cols)).map(|i| at(a, i) * at(b, i)).sum();
                        let expected = f64::from(u8::from(a == b));
                        assert!((product - expected).abs() < 1e-14, "{rows}x{cols}: {product}");
                    }
                }
            }
        }
    }

    #[test]
    fn orthogonal_draws_are_even() {
        // The trace of an even draw has mean 0 and variance 1 whatever the size; a factorisation
        // with signs of its own making has another mean.
        let n = 2000;
        let traces = (0..n).map(|seed| {
            let w = filled(Initialiser::Orthogonal {}, Blocks::one(3, 3), seed);
            w[0] + w[4] + w[8]
        });
        let (sum, squares) = traces.fold((0.0, 0.0), |(s, q), t| (s + t, q + t * t));
        let (mean, variance) = (sum / n as f64, squares / n as f64);
        assert!(mean.abs() < 0.09 && (variance - 1.0).abs() < 0.15, "{mean} {variance}");
    }

    #[test]
    fn the_distributions_have_their_moments() {
        let shape = Blocks { blocks: 4, rows: 100, cols: 50 };
        let xavier = (6.0f64 / 150.0).sqrt();
        let cases = [
            (Initialiser::Uniform { bound: 0.25 }, 0.25, 0.25 / 3f64.sqrt()),
            (Initialiser::XavierUniform {}, xavier, xavier / 3f64.sqrt()),
            (Initialiser::Normal { std: 0.02 }, 0.02 * 6.0, 0.02),
        ];
        for (init, bound, std) in cases {
            let w = filled(init, shape, 3);
            let n = w.len() as f64;
            let mean = w.iter().sum::<f64>() / n;
            let found = (w.iter().map(|x| x * x).sum::<f64>() / n).sqrt();
            assert!(w.iter().all(|x| x.abs() <= bound), "{init:?}");
            assert!(mean.abs() < 4.0 * std / n.sqrt(), "{init:?} {mean}");
            assert!((found / std - 1.0).abs() < 0.02, "{init:?} {found}");
        }
        assert_eq!(filled(Initialiser::Constant { value: 0.5 }, Blocks::one(2, 1), 0), [0.5; 2]);
    }

    #[test]
    fn seed_and_name_decide_everything() {
        let draw = |seed, name| generator(seed, name).next_u64();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        let init = Initialiser::Uniform { bound: 1.0 };
        let mut narrow = [0f32; 4];
        init.fill(&mut narrow, Blocks::one(2, 2), &mut generator(9, "w")).unwrap();
        let wide = filled(init, Blocks::one(2, 2), 9);
        assert!(narrow.iter().zip(&wide).all(|(a, b)| *a == *b as f32));
    }

    #[test]
    fn these_seeds_give_these_numbers_for_ever() {
        let w = filled(Initialiser::Uniform { bound: 1.0 }, Blocks::one(1, 3), 42);
        assert_eq!(w, [-0.6676696124782013, -0.46951965496272297, 0.29058200493803454]);
        let w = filled(Initialiser::Normal { std: 1.0 }, Blocks::one(1, 3), 42);
        assert_eq!(w, [-1.196224243189908, -0.3823329867923728, 0.516208614810117]);
    }

    #[test]
    fn the_forget_gate_opens_alone() {
        let mut b = [0.25f32; 12];
        add_to_gate(&mut b, 1, 4, 1.0).unwrap();
        assert_eq!(b[..3], [0.25; 3]);
        assert_eq!(b[3..6], [1.25; 3]);
        assert_eq!(b[6..], [0.25; 6]);
        assert!(add_to_gate(&mut b, 4, 4, 1.0).is_err());
        assert!(add_to_gate(&mut b, 0, 5, 1.0).is_err());
        assert!(add_to_gate(&mut b, 0, 0, 1.0).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut rng = generator(0, "w");
        let shape = Blocks::one(2, 2);
        let error =
            Initialiser::XavierUniform {}.fill(&mut [0f32; 5], shape, &mut rng).unwrap_err();
        assert!(error.to_string().contains("2 x 2"), "{error}");
        let error =
            Initialiser::Normal { std: -1.0 }.fill(&mut [0f32; 4], shape, &mut rng).unwrap_err();
        assert!(error.to_string().contains("initialise.std"), "{error}");
        assert!(Initialiser::Uniform { bound: 0.0 }.validate().is_err());
        assert!(Initialiser::Constant { value: f64::NAN }.validate().is_err());
    }
}
