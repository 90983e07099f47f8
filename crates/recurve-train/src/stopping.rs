//! Early stopping: an end to training where the validation metric no longer becomes better.
//!
//! Two questions are kept apart. *Which epoch is best* is the one with the lowest metric, by however
//! little; its weights are worth saving. *Is it still worth waiting* counts the epochs since the
//! metric last fell by more than `min_delta`.

use serde::{Deserialize, Serialize};

/// When to stop: the description that stands in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoppingConfig {
    /// How many epochs in a row without a better metric end the run; 0 never ends it.
    pub patience: u64,
    /// No end before this many epochs.
    pub min_epochs: u64,
    /// The metric must fall by more than this to count as better. In units of the metric.
    pub min_delta: f64,
}

impl Default for StoppingConfig {
    fn default() -> Self {
        Self { patience: 10, min_epochs: 0, min_delta: 0.0 }
    }
}

impl StoppingConfig {
    /// An error where an option lies outside its range.
    pub fn validate(&self) -> crate::error::Result<()> {
        if self.min_delta.is_finite() && self.min_delta >= 0.0 {
            return Ok(());
        }
        Err(crate::error::Error::usage(format!(
            "stopping.min_delta must be at least 0, not {}",
            self.min_delta
        )))
    }
}

/// Watches the validation metric; lower is better.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlyStopping {
    config: StoppingConfig,
    state: StoppingState,
}

/// What early stopping remembers, for a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoppingState {
    /// The epoch with the lowest metric, and that metric.
    best: Option<Best>,
    /// The metric that has to be beaten by `min_delta`.
    to_beat: Option<f64>,
    /// Epochs since it was.
    waited: u64,
}

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Counted from 0.
    pub epoch: u64,
    /// Its validation metric.
    pub metric: f64,
}

/// What an epoch's metric means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// This epoch is the best so far: keep its weights.
    pub best: bool,
    /// Training should end here.
    pub stop: bool,
}

impl EarlyStopping {
    /// Before the first epoch.
    ///
    /// # Errors
    /// An option outside its range, by name.
    pub fn new(config: StoppingConfig) -> crate::error::Result<Self> {
        config.validate()?;
        Ok(Self { config, state: StoppingState::default() })
    }

    /// Judges the metric of `epoch` (counted from 0). A metric that is not finite is not better than
    /// any other.
    pub fn observe(&mut self, epoch: u64, metric: f64) -> Verdict {
        let state = &mut self.state;
        let best = metric.is_finite() && state.best.is_none_or(|best| metric < best.metric);
        if best {
            state.best = Some(Best { epoch, metric });
        }
        let better = state.to_beat.is_none_or(|old| metric < old - self.config.min_delta);
        if metric.is_finite() && better {
            state.to_beat = Some(metric);
            state.waited = 0;
        } else {
            state.waited += 1;
        }
        let patience = self.config.patience;
        let stop = patience > 0 && state.waited >= patience && epoch + 1 >= self.config.min_epochs;
        Verdict { best, stop }
    }

    /// The best epoch so far.
    pub fn best(&self) -> Option<Best> {
        self.state.best
    }

    /// What must be saved for a resumed run to stop at the same epoch.
    pub fn state(&self) -> StoppingState {
        self.state
    }

    /// Goes back to a saved state.
    pub fn restore(&mut self, state: StoppingState) {
        self.state = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(config: StoppingConfig, metrics: &[f64]) -> (Vec<Verdict>, EarlyStopping) {
        let mut stopping = EarlyStopping::new(config).unwrap();
        let mut verdicts = Vec::new();
        for (epoch, metric) in metrics.iter().enumerate() {
            verdicts.push(stopping.observe(epoch as u64, *metric));
            let text = serde_json::to_string(&stopping.state()).unwrap();
            let mut fresh = EarlyStopping::new(config).unwrap();
            fresh.restore(serde_json::from_str(&text).unwrap());
            assert_eq!(fresh, stopping);
        }
        (verdicts, stopping)
    }

    #[test]
    fn it_stops_after_patience_and_remembers_the_best() {
        let config = StoppingConfig { patience: 2, ..StoppingConfig::default() };
        let (verdicts, stopping) = run(config, &[1.0, 0.5, 0.6, 0.4, 0.4, 0.5]);
        assert_eq!(
            verdicts.iter().map(|v| v.best).collect::<Vec<_>>(),
            [true, true, false, true, false, false]
        );
        assert_eq!(
            verdicts.iter().map(|v| v.stop).collect::<Vec<_>>(),
            [false, false, false, false, false, true]
        );
        assert_eq!(stopping.best(), Some(Best { epoch: 3, metric: 0.4 }));
    }

    #[test]
    fn a_small_gain_is_the_best_but_does_not_buy_time() {
        let config = StoppingConfig { patience: 2, min_delta: 0.1, ..StoppingConfig::default() };
        let (verdicts, stopping) = run(config, &[1.0, 0.95, 0.92]);
        assert_eq!(verdicts[2], Verdict { best: true, stop: true });
        assert_eq!(stopping.best().unwrap().epoch, 2);
    }

    #[test]
    fn it_does_not_stop_before_the_least_number_of_epochs_nor_with_patience_0() {
        let config = StoppingConfig { patience: 1, min_epochs: 4, ..StoppingConfig::default() };
        let (verdicts, _) = run(config, &[1.0, 2.0, 2.0, 2.0]);
        assert_eq!(
            verdicts.iter().map(|v| v.stop).collect::<Vec<_>>(),
            [false, false, false, true]
        );
        let never = StoppingConfig { patience: 0, ..StoppingConfig::default() };
        assert!(run(never, &[1.0; 50]).0.iter().all(|v| !v.stop));
    }

    #[test]
    fn a_metric_that_is_not_finite_is_never_best() {
        let config = StoppingConfig { patience: 3, ..StoppingConfig::default() };
        let (verdicts, stopping) = run(config, &[f64::NAN, f64::NEG_INFINITY, f64::INFINITY]);
        assert!(verdicts.iter().all(|v| !v.best));
        assert!(verdicts[2].stop);
        assert_eq!(stopping.best(), None);
    }

    #[test]
    fn a_min_delta_out_of_range_is_refused() {
        let config = StoppingConfig { min_delta: -0.1, ..StoppingConfig::default() };
        assert!(EarlyStopping::new(config).unwrap_err().to_string().contains("stopping.min_delta"));
    }
}
