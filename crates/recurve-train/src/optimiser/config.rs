//! Which optimiser, with its options: the description that stands in a configuration.
//!
//! Names, formulas and defaults are PyTorch's, so a recipe found elsewhere can be taken over as it is.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// An optimiser and its options.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum OptimiserConfig {
    /// Stochastic gradient descent, with momentum if wanted.
    Sgd(Sgd),
    /// Steps scaled by the running size of each gradient.
    RmsProp(RmsProp),
    /// Momentum and scaling together.
    Adam(Adam),
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
}

/// Stochastic gradient descent: `v ← momentum v + g`, `w ← w − rate v`; with Nesterov's momentum
/// (Sutskever et al. 2013) `w ← w − rate (g + momentum v)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// The base rate; the schedule makes the rate of each step from it.
    pub learning_rate: f64,
    /// From 0 (none) to less than 1.
    pub momentum: f64,
    /// Look ahead along the momentum; needs a momentum above 0.
    pub nesterov: bool,
    /// `weight_decay · w` is added to the gradient (L2).
    pub weight_decay: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { learning_rate: 1e-3, momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }
}

/// RMSprop (Tieleman & Hinton 2012): `s ← alpha s + (1 − alpha) g²`, `w ← w − rate g / (√s + eps)`;
/// with momentum that quotient is gathered in `v ← momentum v + g / (√s + eps)` first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// The base rate; the schedule makes the rate of each step from it.
    pub learning_rate: f64,
    /// How much of the running square is kept; from 0 to less than 1.
    pub alpha: f64,
    /// Keeps the divisor from 0; above 0.
    pub eps: f64,
    /// From 0 (none) to less than 1.
    pub momentum: f64,
    /// `weight_decay · w` is added to the gradient (L2).
    pub weight_decay: f64,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { learning_rate: 1e-2, alpha: 0.99, eps: 1e-8, momentum: 0.0, weight_decay: 0.0 }
    }
}

/// Adam (Kingma & Ba 2015, algorithm 1): `m ← beta1 m + (1 − beta1) g`, `v ← beta2 v + (1 − beta2) g²`,
/// `w ← w − rate m̂ / (√v̂ + eps)`, where `m̂ = m / (1 − beta1ᵗ)` and `v̂ = v / (1 − beta2ᵗ)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// The base rate; the schedule makes the rate of each step from it.
    pub learning_rate: f64,
    /// How much of the running gradient is kept; from 0 to less than 1.
    pub beta1: f64,
    /// How much of the running square is kept; from 0 to less than 1.
    pub beta2: f64,
    /// Keeps the divisor from 0; above 0.
    pub eps: f64,
    /// `weight_decay · w` is added to the gradient (L2).
    pub weight_decay: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

/// AdamW (Loshchilov & Hutter 2019): `w ← (1 − rate · weight_decay) w`, then a step of [`Adam`]
/// whose moments do not see the decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// The base rate; the schedule makes the rate of each step from it.
    pub learning_rate: f64,
    /// How much of the running gradient is kept; from 0 to less than 1.
    pub beta1: f64,
    /// How much of the running square is kept; from 0 to less than 1.
    pub beta2: f64,
    /// Keeps the divisor from 0; above 0.
    pub eps: f64,
    /// The share of the weight that goes with each step, before the rate.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 1e-2 }
    }
}

impl OptimiserConfig {
    /// The base learning rate.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::Sgd(c) => c.learning_rate,
            Self::RmsProp(c) => c.learning_rate,
            Self::Adam(c) => c.learning_rate,
            Self::AdamW(c) => c.learning_rate,
        }
    }

    /// The same optimiser with another base learning rate.
    pub fn with_learning_rate(mut self, rate: f64) -> Self {
        match &mut self {
            Self::Sgd(c) => c.learning_rate = rate,
            Self::RmsProp(c) => c.learning_rate = rate,
            Self::Adam(c) => c.learning_rate = rate,
            Self::AdamW(c) => c.learning_rate = rate,
        }
        self
    }

    /// The name that stands for it in a configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sgd(_) => "sgd",
            Self::RmsProp(_) => "rmsprop",
            Self::Adam(_) => "adam",
            Self::AdamW(_) => "adamw",
        }
    }

    /// An error where an option lies outside its range.
    pub fn validate(&self) -> Result<()> {
        let positive =
            |key, value: f64| expect(value.is_finite() && value > 0.0, key, "above 0", value);
        let nonnegative =
            |key, value: f64| expect(value.is_finite() && value >= 0.0, key, "at least 0", value);
        let share = |key, value: f64| {
            expect((0.0..1.0).contains(&value), key, "from 0 to less than 1", value)
        };
        nonnegative("learning_rate", self.learning_rate())?;
        match *self {
            Self::Sgd(c) => {
                share("momentum", c.momentum)?;
                nonnegative("weight_decay", c.weight_decay)?;
                if c.nesterov && c.momentum == 0.0 {
                    return Err(Error::usage(
                        "optimiser.nesterov needs optimiser.momentum above 0",
                    ));
                }
                Ok(())
            }
            Self::RmsProp(c) => {
                share("alpha", c.alpha)?;
                positive("eps", c.eps)?;
                share("momentum", c.momentum)?;
                nonnegative("weight_decay", c.weight_decay)
            }
            Self::Adam(Adam { beta1, beta2, eps, weight_decay, .. })
            | Self::AdamW(AdamW { beta1, beta2, eps, weight_decay, .. }) => {
                share("beta1", beta1)?;
                share("beta2", beta2)?;
                positive("eps", eps)?;
                nonnegative("weight_decay", weight_decay)
            }
        }
    }
}

fn expect(fits: bool, key: &str, range: &str, value: f64) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(Error::usage(format!("optimiser.{key} must be {range}, not {value}")))
}
