//! Transforms of the targets and their exact inverses: logarithm, differences, scaling.
//!
//! A target is transformed in one order, logarithm then differences then scaling, and restored in
//! the opposite one. Differences are undone by adding the forecast onto the true values before the
//! origin, so a forecast is always in the units of the file. Everything here is `f64`.

use super::options::ScalerKind;
use super::statistics::mean_and_deviation;
use serde::{Deserialize, Serialize};

/// Logarithm and differences, the same for every target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transform {
    /// Whether the natural logarithm is taken first; values must be above zero.
    pub log: bool,
    /// Differences `v[t] - v[t - lag]`, taken one after the other.
    pub lags: Vec<usize>,
}

impl Transform {
    /// Rows at the start of the file that have no transformed value.
    pub fn lost(&self) -> usize {
        self.lags.iter().sum()
    }

    /// The transformed values of rows `lost()..`: `[rows - lost]`, or none of a shorter input.
    pub fn apply(&self, values: &[f64]) -> Vec<f64> {
        self.lags.iter().fold(self.level(values), |level, &lag| differences(&level, lag))
    }

    /// Turns transformed values of the rows after `history` back into the units of the file, in
    /// place. `history` holds at least `lost()` values.
    pub fn restore(&self, history: &[f64], steps: &mut [f64]) {
        let history = &history[history.len() - self.lost()..];
        for depth in (0..self.lags.len()).rev() {
            let lag = self.lags[depth];
            let mut level = self.lags[..depth]
                .iter()
                .fold(self.level(history), |level, &lag| differences(&level, lag));
            for step in steps.iter_mut() {
                *step += level[level.len() - lag];
                level.push(*step);
            }
        }
        if self.log {
            steps.iter_mut().for_each(|step| *step = step.exp());
        }
    }

    fn level(&self, values: &[f64]) -> Vec<f64> {
        if self.log { values.iter().map(|value| value.ln()).collect() } else { values.to_vec() }
    }
}

fn differences(level: &[f64], lag: usize) -> Vec<f64> {
    level.iter().skip(lag).zip(level).map(|(now, before)| now - before).collect()
}

/// An affine scaling of one column: `(value - shift) / scale`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    /// What is subtracted.
    pub shift: f64,
    /// What is divided by; never zero.
    pub scale: f64,
}

impl Scaler {
    /// Fits a scaler. A column that never changes is only shifted.
    pub fn fit(kind: ScalerKind, values: &[f64]) -> Self {
        let (shift, scale) = match kind {
            ScalerKind::Standard => mean_and_deviation(values),
            ScalerKind::MinMax => {
                let low = values.iter().copied().fold(f64::INFINITY, f64::min);
                let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                (low, high - low)
            }
            ScalerKind::Mean => {
                let sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
                (0.0, mean_and_deviation(&sizes).0)
            }
            ScalerKind::None => (0.0, 1.0),
        };
        let usable = scale.is_finite() && scale > 0.0;
        Self {
            shift: if shift.is_finite() { shift } else { 0.0 },
            scale: if usable { scale } else { 1.0 },
        }
    }

    /// The scaled value.
    pub fn apply(self, value: f64) -> f64 {
        (value - self.shift) / self.scale
    }

    /// The value that was scaled.
    pub fn restore(self, scaled: f64) -> f64 {
        scaled * self.scale + self.shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn transforms_by_hand() {
        let squares = [1.0, 4.0, 9.0, 16.0, 25.0];
        let twice = Transform { log: false, lags: vec![1, 1] };
        assert_eq!(twice.apply(&squares), [2.0, 2.0, 2.0]);
        let mut steps = [2.0, 2.0];
        twice.restore(&squares, &mut steps);
        assert_eq!(steps, [36.0, 49.0]);
        assert!(twice.apply(&squares[..1]).is_empty());
        let seasonal = Transform { log: false, lags: vec![2] };
        assert_eq!(seasonal.apply(&squares), [8.0, 12.0, 16.0]);
    }

    #[test]
    fn scalers_by_hand() {
        let values = [2.0, 4.0, 6.0, 8.0];
        let standard = Scaler::fit(ScalerKind::Standard, &values);
        assert_eq!((standard.shift, standard.scale), (5.0, 5_f64.sqrt()));
        let min_max = Scaler::fit(ScalerKind::MinMax, &values);
        assert_eq!(values.map(|value| min_max.apply(value))[3], 1.0);
        for kind in [ScalerKind::Standard, ScalerKind::MinMax] {
            assert_eq!(Scaler::fit(kind, &[3.0, 3.0]), Scaler { shift: 3.0, scale: 1.0 });
            assert_eq!(Scaler::fit(kind, &[]).scale, 1.0);
        }
        assert_eq!(Scaler::fit(ScalerKind::None, &values).apply(7.0), 7.0);
    }

    proptest! {
        #[test]
        fn restoring_undoes_applying(
            values in prop::collection::vec(1.0_f64..1000.0, 30),
            log: bool,
            lags in prop::sample::select(vec![vec![], vec![1], vec![7], vec![1, 7], vec![12, 1]]),
            origin in 13_usize..30,
        ) {
            let transform = Transform { log, lags };
            let transformed = transform.apply(&values);
            let mut steps = transformed[origin - transform.lost()..].to_vec();
            let scaler = Scaler::fit(ScalerKind::Standard, &transformed);
            steps.iter_mut().for_each(|step| *step = scaler.restore(scaler.apply(*step)));
            transform.restore(&values[..origin], &mut steps);
            for (step, value) in steps.iter().zip(&values[origin..]) {
                prop_assert!((step - value).abs() <= 1e-9 * value, "{step} {value}");
            }
        }
    }
}
