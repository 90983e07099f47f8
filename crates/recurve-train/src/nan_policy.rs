//! What happens when a loss or a gradient is no longer a number.
//!
//! One NaN that reaches the parameters or the moments makes the rest of a run worthless, so every
//! step is judged before the optimiser sees it. The policy is a person's choice: stop and say what
//! helps, or leave out the step and go on, which a run of bad steps ends all the same.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// What to do with a step whose loss or gradient is not finite: the description that stands in a
/// configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NanPolicy {
    /// End the run with a clear message.
    Stop {},
    /// Leave the step out, as if its batch had not been there.
    SkipStep {
        /// More such steps in a row than this end the run.
        #[serde(default = "ten")]
        max_consecutive: u64,
    },
}

fn ten() -> u64 {
    10
}

/// Judges steps by a [`NanPolicy`] and counts the ones left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NanGuard {
    policy: NanPolicy,
    counts: Skipped,
}

/// How many steps were left out, for a checkpoint and for the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// In the whole run.
    pub total: u64,
    /// In a row, up to now.
    pub consecutive: u64,
}

/// What to do with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Give it to the optimiser.
    Apply,
    /// Leave it out.
    Skip,
}

impl NanGuard {
    /// Before the first step.
    pub fn new(policy: NanPolicy) -> Self {
        Self { policy, counts: Skipped::default() }
    }

    /// Judges step `step` by its loss and by the norm of its gradient before clipping.
    ///
    /// # Errors
    /// The policy says that the run ends; the message says where, why and what helps.
    pub fn judge(&mut self, step: u64, loss: f64, grad_norm: f64) -> Result<Action> {
        if loss.is_finite() && grad_norm.is_finite() {
            self.counts.consecutive = 0;
            return Ok(Action::Apply);
        }
        let what = if loss.is_finite() { ("gradient norm", grad_norm) } else { ("loss", loss) };
        let happened = format!("the {} of step {step} is {}", what.0, what.1);
        const HELP: &str = "lower the learning rate, clip the gradient by its norm, or look for extreme values in the data";
        match self.policy {
            NanPolicy::Stop {} => Err(Error::failed(format!(
                "{happened}; training stopped and the last checkpoint is intact. To help: {HELP}"
            ))),
            NanPolicy::SkipStep { max_consecutive } => {
                self.counts.total += 1;
                self.counts.consecutive += 1;
                if self.counts.consecutive <= max_consecutive {
                    return Ok(Action::Skip);
                }
                Err(Error::failed(format!(
                    "{happened}, and so it was for {} steps in a row where {max_consecutive} are allowed; \
                     training stopped and the last checkpoint is intact. To help: {HELP}",
                    self.counts.consecutive
                )))
            }
        }
    }

    /// How many steps were left out.
    pub fn skipped(&self) -> Skipped {
        self.counts
    }

    /// Goes back to saved counts.
    pub fn restore(&mut self, counts: Skipped) {
        self.counts = counts;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_names_the_step_and_the_cause() {
        let mut guard = NanGuard::new(NanPolicy::Stop {});
        assert_eq!(guard.judge(0, 1.0, 2.0).unwrap(), Action::Apply);
        let error = guard.judge(7, f64::NAN, f64::NAN).unwrap_err();
        assert!(
            error.is_failed() && error.to_string().contains("loss of step 7 is NaN"),
            "{error}"
        );
        let error = guard.judge(8, 0.5, f64::INFINITY).unwrap_err();
        assert!(error.to_string().contains("gradient norm of step 8 is inf"), "{error}");
    }

    #[test]
    fn skipping_is_counted_and_bounded() {
        let mut guard = NanGuard::new(NanPolicy::SkipStep { max_consecutive: 2 });
        for step in [0, 1] {
            assert_eq!(guard.judge(step, f64::NAN, 1.0).unwrap(), Action::Skip);
        }
        assert_eq!(guard.judge(2, 1.0, 1.0).unwrap(), Action::Apply);
        assert_eq!(guard.skipped(), Skipped { total: 2, consecutive: 0 });
        for step in [3, 4] {
            assert_eq!(guard.judge(step, 1.0, f64::NAN).unwrap(), Action::Skip);
        }
        let saved = guard.skipped();
        let mut resumed = NanGuard::new(NanPolicy::SkipStep { max_consecutive: 2 });
        resumed.restore(saved);
        for guard in [&mut guard, &mut resumed] {
            let error = guard.judge(5, f64::NAN, 1.0).unwrap_err();
            assert!(error.to_string().contains("3 steps in a row"), "{error}");
        }
    }

    #[test]
    fn the_description_is_strict() {
        let read = |text: &str| toml::from_str::<NanPolicy>(text);
        assert_eq!(
            read("kind = \"skip-step\"").unwrap(),
            NanPolicy::SkipStep { max_consecutive: 10 }
        );
        assert!(read("kind = \"stop\"\nmax_consecutive = 1").is_err());
    }
}
