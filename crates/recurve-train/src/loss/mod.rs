//! Losses: how far the outputs of a model are from what they should be, and in which direction.
//!
//! Every loss is an explicit pair. [`Loss::forward`] gives the mean over the counted elements;
//! [`Loss::backward`] gives the same number and writes `d_outputs`, its derivative by each output.
//! [`Loss::piecewise`] does either where outputs come some rows at a time, and puts the derivatives in
//! their place. Sums are in `f64` and in a fixed order, so a loss is the same bits for any number of threads.
//!
//! The exponentials of a cross-entropy are those of the element ([`Softmax`]): the loss of a row of `f32`
//! outputs is within 2⁻²² of the exact one, that of `f64` outputs goes to the last digits.
//!
//! What counts: a row (one step of one sequence) with weight 0, and a class target [`IGNORE`], count
//! nothing; their outputs are not read and their derivatives are 0, so padding may hold anything.
//! With other weights the mean is the weighted one, `Σ wₙ lossₙ / Σ wₙ`. Where no row counts the loss
//! is 0 with count 0, never 0/0.
//!
//! A NaN in a counted output gives a NaN loss: it is never hidden, and what to do about it is
//! decided by [`NanPolicy`](crate::nan_policy::NanPolicy).

mod crf;
mod cross_entropy;
pub mod ctc;
mod density;
mod levels;
mod piecewise;
mod regression;

pub use crf::Crf;
pub use density::Density;
pub(crate) use density::{ln_gamma, softplus};
pub use levels::Levels;
pub use piecewise::PiecewiseLoss;

use crate::error::{Error, Result};
use cross_entropy::CrossEntropy;
use piecewise::Rule;
use recurve_kernels::{Element, Engine, Softmax};
use regression::{Pointwise, Regression};
use serde::{Deserialize, Serialize};

/// The class target of a row that counts nothing (padding).
pub const IGNORE: u32 = u32::MAX;

/// Which loss, with its options: the description that stands in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Loss {
    /// `−Σⱼ qⱼ ln pⱼ` in nats, where `p` is the softmax of the row and `q` the target class with
    /// probability `1 − label_smoothing`, plus `label_smoothing` spread evenly over all classes
    /// (Szegedy et al. 2016, section 7).
    CrossEntropy {
        /// From 0 (none) to less than 1.
        #[serde(default)]
        label_smoothing: f64,
    },
    /// The squared error, `(y − t)²`.
    Mse {},
    /// The absolute error, `|y − t|`; its derivative at 0 is taken as 0.
    Mae {},
    /// `½ (y − t)²` up to an error of `delta`, `delta (|y − t| − ½ delta)` beyond it (Huber 1964).
    Huber {
        /// Where the parabola becomes a line; above 0.
        #[serde(default = "one")]
        delta: f64,
    },
    /// `−t ln σ(y) − (1 − t) ln (1 − σ(y))` in nats: what is true of a step, one statement for each output,
    /// none excluding another. Targets are from 0 to 1.
    BinaryCrossEntropy {},
    /// The pinball loss of quantiles, `max(τ (t − q), (τ − 1) (t − q))`, the mean over the levels `τ`
    /// (Koenker, Bassett 1978).
    Quantile {
        /// The levels, rising, between 0 and 1.
        #[serde(default)]
        levels: Levels,
    },
    /// `−ln p(t)` of a normal distribution.
    Normal {},
    /// `−ln p(t)` of Student's t with learned degrees of freedom, above 2: for errors with heavy tails.
    StudentT {},
    /// `−ln p(t)` of a negative binomial distribution, for counts (Salinas et al. 2020, section 3.1).
    NegativeBinomial {},
    /// `−ln p(t)` of a mixture of normal distributions (Bishop 1994).
    Mixture {
        /// Normal distributions in it.
        #[serde(default = "three")]
        components: usize,
    },
    /// That of a conditional random field over the labels of whole sequences: [`Crf`].
    Crf {},
    /// That of all ways to write a text: [`ctc`].
    Ctc {},
}

fn one() -> f64 {
    1.0
}

fn three() -> usize {
    3
}

/// The outputs of a model: `values [rows, width]` and, if wanted, a weight for each row.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'a, F> {
    values: &'a [F],
    width: usize,
    weights: Option<&'a [f32]>,
}

impl<'a, F> Outputs<'a, F> {
    /// Outputs whose rows all count the same. `values [rows, width]`.
    pub fn new(values: &'a [F], width: usize) -> Self {
        Self { values, width, weights: None }
    }

    /// The same outputs with a weight for each row, finite and at least 0. A mask is the weights 0
    /// and 1. `weights [rows]`.
    pub fn weighted(self, weights: &'a [f32]) -> Self {
        Self { weights: Some(weights), ..self }
    }

    fn rows(&self) -> Result<usize> {
        if self.width == 0 || !self.values.len().is_multiple_of(self.width) {
            return Err(Error::usage(format!(
                "a loss needs outputs [rows, width]; {} numbers do not fill rows of width {}",
                self.values.len(),
                self.width
            )));
        }
        Ok(self.values.len() / self.width)
    }
}

/// A weight for each row, or 1 for all.
#[derive(Clone, Copy, Debug)]
struct Weights<'a>(Option<&'a [f32]>);

impl Weights<'_> {
    fn of(self, row: usize) -> f64 {
        self.0.map_or(1.0, |weights| f64::from(weights[row]))
    }

    fn check(self, rows: usize) -> Result<()> {
        let Some(weights) = self.0 else {
            return Ok(());
        };
        expect_length("weights [rows]", rows, weights.len())?;
        match weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
            Some(row) => Err(Error::usage(format!(
                "the loss weight of row {row} is {}; weights must be finite and at least 0",
                weights[row]
            ))),
            None => Ok(()),
        }
    }
}

/// What the outputs should have been.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a, F> {
    /// The class of each row, or [`IGNORE`]: `[rows]`.
    Classes(&'a [u32]),
    /// A number for each value, `[rows, values]`: as many as outputs, or one for as many outputs as the
    /// distribution of a value has parameters. A NaN is a value that was not measured and counts nothing.
    Values(&'a [F]),
    /// The same of numbers that were divided by a scale, which the likelihood of counts needs to know:
    /// numbers and scales.
    Scaled(&'a [F], &'a [F]),
}

/// A loss with the weight it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossValue {
    /// The mean over the counted elements; 0 where none counts.
    pub mean: f64,
    /// The sum of the weights of the counted rows: the number of counted rows where no weights are
    /// given. The mean over several batches is `Σ mean · count / Σ count`.
    pub count: f64,
}

impl Loss {
    /// An error where an option lies outside its range.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Loss::CrossEntropy { label_smoothing: s } if !(0.0..1.0).contains(&s) => {
                Err(Error::usage(format!(
                    "loss.label_smoothing must be from 0 to less than 1, not {s}"
                )))
            }
            Loss::Huber { delta } if !(delta.is_finite() && delta > 0.0) => {
                Err(Error::usage(format!("loss.delta must be a number above 0, not {delta}")))
            }
            Loss::Quantile { levels } => levels.validate(),
            Loss::Mixture { components } if !(1..=32).contains(&components) => {
                let text = format!("loss.components must be from 1 to 32, not {components}");
                Err(Error::usage(text))
            }
            _ => Ok(()),
        }
    }

    /// The mean loss of `outputs` against `targets`.
    ///
    /// # Errors
    /// Lengths that do not fit, a class outside the width, a weight that is negative or not finite,
    /// or targets of the wrong sort (cross-entropy wants classes, the others values).
    pub fn forward<F: Element>(
        &self,
        outputs: Outputs<'_, F>,
        targets: Targets<'_, F>,
    ) -> Result<LossValue> {
        let mut loss = self.over(outputs, targets)?;
        loss.forward(0..loss.rows, outputs.values);
        Ok(loss.value())
    }

    /// As [`Loss::forward`], and writes `d_outputs [rows, width]`, the derivative of the mean by
    /// every output. What `d_outputs` held before does not matter.
    ///
    /// # Errors
    /// As [`Loss::forward`]; `d_outputs` is then unspecified.
    pub fn backward<F: Element>(
        &self,
        outputs: Outputs<'_, F>,
        targets: Targets<'_, F>,
        d_outputs: &mut [F],
    ) -> Result<LossValue> {
        expect_length("d_outputs [rows, width]", outputs.values.len(), d_outputs.len())?;
        let mut loss = self.over(outputs, targets)?;
        d_outputs.copy_from_slice(outputs.values);
        loss.backward(0..loss.rows, d_outputs);
        Ok(loss.value())
    }

    fn over<'a, F: Element>(
        &self,
        outputs: Outputs<'a, F>,
        targets: Targets<'a, F>,
    ) -> Result<PiecewiseLoss<'a, F>> {
        let engine = Engine::detect().map_err(|error| Error::usage(error.to_string()))?;
        self.piecewise(engine, (outputs.rows()?, outputs.width), targets, outputs.weights)
    }

    /// The same loss of outputs `[rows, width]` that come piece by piece, such as those of
    /// [`Network::learn`](recurve_nn::Network::learn), with a weight for each row if wanted.
    ///
    /// # Errors
    /// As [`Loss::forward`].
    pub fn piecewise<'a, F: Element>(
        &self,
        engine: Engine,
        (rows, width): (usize, usize),
        targets: Targets<'a, F>,
        weights: Option<&'a [f32]>,
    ) -> Result<PiecewiseLoss<'a, F>> {
        self.validate()?;
        let weights = Weights(weights);
        weights.check(rows)?;
        let given = targets;
        let rule = match (*self, targets) {
            (Loss::CrossEntropy { label_smoothing }, Targets::Classes(classes)) => {
                expect_length("class targets [rows]", rows, classes.len())?;
                cross_entropy::check(classes, width)?;
                let softmax = Softmax::new(engine.isa());
                Rule::CrossEntropy(CrossEntropy { label_smoothing, classes, softmax })
            }
            (Loss::Crf {} | Loss::Ctc {}, _) => {
                return Err(Error::usage("this loss judges whole sequences, not rows"));
            }
            (Loss::CrossEntropy { .. }, Targets::Values(_) | Targets::Scaled(..)) => {
                let text = "the cross-entropy needs a class per row as target, not numbers";
                return Err(Error::usage(text));
            }
            (_, Targets::Classes(_)) => {
                return Err(Error::usage(
                    "this loss needs numbers as targets, not classes; use cross-entropy",
                ));
            }
            (_, Targets::Values(targets) | Targets::Scaled(targets, _)) => {
                if let Some(density) = Density::of(self) {
                    let each = density.parameters();
                    expect_length("targets [rows, values]", rows * width, targets.len() * each)?;
                    let scales = match given {
                        Targets::Scaled(_, scales) => Some(scales),
                        _ => None,
                    };
                    if let Some(scales) = scales {
                        expect_length("scales [rows, values]", targets.len(), scales.len())?;
                    }
                    let rule = Rule::Density(density::Judged { density, targets, scales });
                    return Ok(PiecewiseLoss::new(engine, rule, weights, (rows, width)));
                }
                expect_length("targets [rows, width]", rows * width, targets.len())?;
                let pointwise = match *self {
                    Loss::Mae {} => Pointwise::Absolute,
                    Loss::Huber { delta } => Pointwise::Huber { delta },
                    Loss::BinaryCrossEntropy {} => {
                        regression::check_marks(targets, width)?;
                        Pointwise::Logistic
                    }
                    _ => Pointwise::Square,
                };
                Rule::Regression(Regression { pointwise, targets })
            }
        };
        Ok(PiecewiseLoss::new(engine, rule, weights, (rows, width)))
    }
}

fn expect_length(what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::usage(format!("a loss got {found} numbers for {what} where {expected} belong")))
}

#[cfg(test)]
mod tests;
