//! The levels of quantiles: a short list that is copied like a number.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Levels, at most.
const MOST: usize = 15;

/// Levels of quantiles, rising, between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct Levels {
    values: [f64; MOST],
    count: usize,
}

impl Default for Levels {
    /// 5, 10, 25, 50, 75, 90 and 95 %.
    fn default() -> Self {
        let mut values = [0.0; MOST];
        values[..7].copy_from_slice(&[0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]);
        Self { values, count: 7 }
    }
}

impl Levels {
    /// The levels.
    pub fn as_slice(&self) -> &[f64] {
        &self.values[..self.count]
    }

    pub(super) fn validate(&self) -> Result<()> {
        let levels = self.as_slice();
        let inside = levels.iter().all(|level| *level > 0.0 && *level < 1.0);
        let rising = levels.windows(2).all(|pair| pair[0] < pair[1]);
        if inside && rising && levels.contains(&0.5) {
            return Ok(());
        }
        Err(Error::usage(format!(
            "loss.levels is {levels:?}, expected rising levels between 0 and 1 with 0.5 among them, like \
             [0.1, 0.5, 0.9]"
        )))
    }
}

impl TryFrom<Vec<f64>> for Levels {
    type Error = String;

    fn try_from(given: Vec<f64>) -> std::result::Result<Self, String> {
        if given.len() > MOST {
            return Err(format!("{} levels, expected at most {MOST}", given.len()));
        }
        let mut values = [0.0; MOST];
        values[..given.len()].copy_from_slice(&given);
        Ok(Self { values, count: given.len() })
    }
}

impl From<Levels> for Vec<f64> {
    fn from(levels: Levels) -> Self {
        levels.as_slice().to_vec()
    }
}
