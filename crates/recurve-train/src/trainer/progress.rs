//! Where a run stands, what it tells while it runs, and what it says at the end.

use crate::data::Position;
use crate::nan_policy::Skipped;
use crate::schedule::PlateauState;
use crate::stopping::StoppingState;
use crate::task::{Evaluation, Task};
use serde::{Deserialize, Serialize};

/// Everything about a run but its weights, moments and carried state. Nothing in it depends on the
/// clock, so two runs that did the same hold the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    pub(super) position: Position,
    /// Steps taken or left out.
    pub(super) step: u64,
    pub(super) epoch: EpochSums,
    pub(super) skipped: Skipped,
    pub(super) stopping: StoppingState,
    pub(super) plateau: PlateauState,
    pub(super) history: Vec<EpochRecord>,
    pub(super) ended: Option<Ended>,
}

/// Sums over the current epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EpochSums {
    pub(super) loss: f64,
    pub(super) weight: f64,
    pub(super) grad_norm: f64,
    pub(super) steps: u64,
    /// The norms of each part's gradient, and of how many steps.
    #[serde(default)]
    pub(super) parts: Vec<f64>,
    #[serde(default)]
    pub(super) looked: u64,
}

/// Why a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ended {
    AllEpochs,
    Early,
}

/// What happens while a run trains.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A step was taken or left out.
    Step(&'a StepRecord),
    /// An epoch has ended.
    Epoch(&'a EpochRecord),
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepRecord {
    /// The epoch, from 1.
    pub epoch: u64,
    /// The most epochs there will be.
    pub epochs: u64,
    /// The step in the whole run, from 1.
    pub step: u64,
    /// The most steps there will be.
    pub steps: u64,
    /// Its loss.
    pub loss: f64,
    /// The norm of its gradient before clipping.
    pub grad_norm: f64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Whether it was left out because it was no number.
    pub skipped: bool,
    /// Windows or tokens per second since this process began to train.
    pub per_second: f64,
    /// `windows` or `tokens`.
    pub unit: &'static str,
    /// Seconds until all epochs are over, at this speed; early stopping ends sooner.
    pub seconds_left: f64,
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// The epoch, from 1.
    pub epoch: u64,
    /// Steps in the run until its end.
    pub step: u64,
    /// The mean training loss.
    pub loss: f64,
    /// The validation metric; lower is better.
    pub validation: f64,
    /// What the validation metric is.
    pub metric: String,
    /// Whether it is the best so far.
    pub best: bool,
    /// The mean norm of the gradient before clipping.
    pub grad_norm: f64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The same of each layer, from the input up, over some of the steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer_norms: Vec<(String, f64)>,
}

/// How a call to train ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The run is over.
    Finished(Box<Report>),
    /// It was asked to stop; everything is saved, and resuming goes on from here.
    Interrupted {
        /// The epoch it stands in, from 1.
        epoch: u64,
        /// Steps taken.
        step: u64,
    },
}

/// A run that is over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What was trained for.
    pub task: Task,
    /// Weights of the model.
    pub parameters: usize,
    /// Epochs trained.
    pub epochs: u64,
    /// The epoch whose weights were kept, from 1.
    pub best_epoch: u64,
    /// Its validation metric.
    pub validation: f64,
    /// What the validation metric is.
    pub metric: String,
    /// Whether training ended before all epochs.
    pub stopped_early: bool,
    /// Steps left out because they were no numbers.
    pub skipped_steps: u64,
    /// Every epoch.
    pub history: Vec<EpochRecord>,
    /// How good the kept model is on what did not train it.
    pub evaluation: Evaluation,
}

impl Report {
    /// The result in sentences for a person.
    pub fn summary(&self) -> Vec<String> {
        let ending = if self.stopped_early { "stopped early" } else { "all epochs done" };
        let mut lines = vec![format!(
            "{ending} after {} epochs; best epoch {} with {} {:.4} on the validation part",
            self.epochs, self.best_epoch, self.metric, self.validation
        )];
        if self.metric == "training loss" {
            lines[0] = format!(
                "{ending} after {} epochs; best epoch {} with training loss {:.4} (there is no \
                 validation part)",
                self.epochs, self.best_epoch, self.validation
            );
        }
        if self.skipped_steps > 0 {
            lines.push(format!(
                "{} steps were left out because their loss or gradient was no number",
                self.skipped_steps
            ));
        }
        lines.extend(self.evaluation.report().summary());
        lines
    }
}
