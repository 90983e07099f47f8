//! The configuration of a run: every choice that changes what is trained.
//!
//! There are two forms. [`Settings`] are what a person has said, in a file or on the command line:
//! any subset of the [`keys()`], checked key by key as they come. [`Config`] is complete: the defaults
//! of the task, changed by the settings, with what was guessed from the data filled in before
//! training. The complete form is written into the run folder, so that a run can be repeated.
//!
//! Sections that choose between kinds (`optimiser`, `schedule`, `clip`, `loss`, …) hold the options of
//! the chosen kind only. An unknown key, an option of another kind or task, a value of the wrong type
//! or out of range is refused by name: nothing is accepted and then ignored.

mod keys;
mod settings;
mod write;

use crate::task::Tested;
pub use crate::task::{DataConfig, Task};
pub use keys::{Expects, Key, keys};
pub use settings::Settings;

use crate::clip::Clip;
use crate::data::TableOptions;
use crate::error::{Error, Result};
use crate::initialise::Initialiser;
use crate::loss::Loss;
use crate::nan_policy::NanPolicy;
use crate::optimiser::{AdamW, OptimiserConfig};
use crate::schedule::ScheduleConfig;
use crate::stopping::StoppingConfig;
use recurve_nn::{Bias, CellKind, Connection, Initial, Merge, Pooling, Precision};
use serde::{Deserialize, Serialize};

/// Everything that is chosen about a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How the data is read.
    pub data: DataConfig,
    /// What the model is made of.
    pub model: ModelConfig,
    /// How it is trained.
    pub train: TrainConfig,
    /// The optimiser, with the base learning rate and the weight decay.
    pub optimiser: OptimiserConfig,
    /// The learning rate over time.
    pub schedule: ScheduleConfig,
    /// How gradients are clipped.
    pub clip: Clip,
    /// When training ends early.
    pub stopping: StoppingConfig,
    /// What happens to a step that is not a number.
    pub nan: NanPolicy,
    /// What is made small.
    pub loss: Loss,
    /// Where the weights start.
    pub initialise: InitialiseConfig,
}

fn one() -> usize {
    1
}

/// A number of rows, or whether it is one, as older runs say it.
fn rows_back<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<usize>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a number of rows")]
    enum Said {
        Rows(usize),
        Last(bool),
    }
    Ok(Some(match Said::deserialize(from)? {
        Said::Rows(rows) => rows,
        Said::Last(last) => usize::from(last),
    }))
}

/// What the model is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The recurrent cell.
    pub cell: CellKind,
    /// Units of each layer: `H`.
    pub hidden: usize,
    /// Parts of the memory of an mLSTM.
    #[serde(default = "one")]
    pub heads: usize,
    /// Layers of the stack: `L`.
    pub layers: usize,
    /// Units of each layer from the lowest, where they differ; `hidden` and `layers` then say nothing.
    #[serde(default)]
    pub sizes: Vec<usize>,
    /// Whether each layer also reads the window or sequence from its end; not for a language model,
    /// which would read the answer.
    pub bidirectional: bool,
    /// How the two directions of a layer become one.
    #[serde(default)]
    pub merge: Merge,
    /// What the layers of the stack pass to each other.
    #[serde(default)]
    pub connection: Connection,
    /// The states before the first step.
    #[serde(default)]
    pub initial: Initial,
    /// The biases of the cell.
    pub bias: Bias,
    /// The probability of dropout between the layers and before the output.
    pub dropout: f64,
    /// Whether dropout drops the same values at all steps of a sequence.
    #[serde(default)]
    pub locked: bool,
    /// The probability of dropout of recurrent weights.
    #[serde(default)]
    pub weight_dropout: f64,
    /// Values that the output of each layer is projected to; 0 for none.
    #[serde(default)]
    pub projection: usize,
    /// The largest size of a cell state; 0 for any.
    #[serde(default)]
    pub clip_state: f64,
    /// The largest size of a projected output; 0 for any.
    #[serde(default)]
    pub projection_clip: f64,
    /// Layer normalisation inside the steps.
    #[serde(default)]
    pub recurrent_norm: bool,
    /// Whether the gates of a step reach those of the next.
    #[serde(default)]
    pub gate_recurrence: bool,
    /// The probability that a unit keeps its output of the step before.
    #[serde(default)]
    pub zoneout: f64,
    /// The probability that a unit keeps its cell state.
    #[serde(default)]
    pub zoneout_cell: f64,
    /// The probability of dropout of the output on its way into the recurrent product.
    #[serde(default)]
    pub recurrent_dropout: f64,
    /// The probability of dropout of candidates.
    #[serde(default)]
    pub candidate_dropout: f64,
    /// The probability of dropout of what is read; music only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_dropout: Option<f64>,
    /// The probability that a token has no vector for a batch; language models only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_dropout: Option<f64>,
    /// Whether the output takes the vectors of the tokens as its weights; language models only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tied: Option<bool>,
    /// Layer normalisation between the stack and the output.
    pub layer_norm: bool,
    /// How the steps of a window or sequence become one vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// The forecast is the change from the value this many rows before, and the window is read less the
    /// mean of as many last rows; 0 for neither; forecasts only.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "rows_back")]
    pub relative: Option<usize>,
    /// Whether each window is divided by its own spread; forecasts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescale: Option<bool>,
    /// Paths that are drawn where a forecast feeds on itself; forecasts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<usize>,
    /// The width of the token vectors, where there are tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<usize>,
    /// Units of each direction over the letters of a word; 0 leaves the letters out; taggers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letters: Option<usize>,
    /// How the decoder scores the steps of the source; translations only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionKind>,
    /// Whether the decoder reads what it looked at a step before; translations only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_feeding: Option<bool>,
}

/// How a decoder scores the steps of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttentionKind {
    /// The product with its state.
    Dot,
    /// The product with weights between.
    General,
    /// A layer over both.
    Additive,
    /// Four products of projections.
    MultiHead,
    /// As additive, and with what the step before looked at.
    Location,
}

impl AttentionKind {
    /// The names in files.
    pub const NAMES: &'static [&'static str] =
        &["dot", "general", "additive", "multi-head", "location"];
}

/// How the model is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The seed of weights, order and dropout.
    pub seed: u64,
    /// The most epochs.
    pub epochs: u64,
    /// Windows, or lanes of text, in a batch: `B`.
    pub batch: usize,
    /// Steps of truncated backpropagation through time: `T`; language models only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Batches whose gradients make one step.
    pub accumulate: usize,
    /// Threads; 0 takes all. Changes no bit of a result.
    pub threads: usize,
    /// The numbers that matrix products multiply; sums and weights are `f32` whatever they are.
    #[serde(default)]
    pub precision: TrainPrecision,
    /// What recurrent layers keep between forward and backward. Changes no bit of a result.
    #[serde(default)]
    pub memory: TrainMemory,
    /// Seconds between checkpoints within an epoch; 0 for none. Changes no bit of a result.
    pub checkpoint_seconds: f64,
    /// Steps between checkpoints within an epoch; 0 for none.
    pub checkpoint_steps: u64,
    /// Steps between lines of `log.jsonl` within an epoch; 0 for none.
    pub log_steps: u64,
    /// Whether curves are written for TensorBoard too.
    #[serde(default)]
    pub tensorboard: bool,
    /// Epochs whose weights are kept to be looked at, at most; 0 for none. Changes no bit of a result.
    #[serde(default)]
    pub snapshots: usize,
    /// The share of symbols that a decoder reads as it wrote them itself, at the last epoch; translations
    /// only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_sampling: Option<f64>,
    /// The most semitones by which a piece is shifted in an epoch; music only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transpose: Option<usize>,
}

/// The numbers that matrix products multiply in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainPrecision {
    /// 24 digits.
    #[default]
    F32,
    /// 8 digits: faster on processors that multiply them, see `docs/numerics.md`.
    Bf16,
}

/// What recurrent layers keep between forward and backward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainMemory {
    /// The gates where they fit into memory, else the states alone.
    #[default]
    Auto,
    /// The states and the gates.
    Full,
    /// The states; the gates are computed again.
    Low,
}

impl From<TrainPrecision> for Precision {
    fn from(precision: TrainPrecision) -> Self {
        match precision {
            TrainPrecision::F32 => Self::Full,
            TrainPrecision::Bf16 => Self::Bf16,
        }
    }
}

/// Where the weights start. Biases and shifts start at 0, gains at 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitialiseConfig {
    /// Input weights of the cells, gate by gate.
    pub input: Initialiser,
    /// Recurrent weights of the cells, gate by gate.
    pub recurrent: Initialiser,
    /// Token vectors.
    pub embedding: Initialiser,
    /// Weights of the output layer.
    pub output: Initialiser,
    /// Bias of the forget gate of an LSTM.
    pub forget_bias: f64,
}

impl Default for InitialiseConfig {
    fn default() -> Self {
        Self {
            input: Initialiser::XavierUniform {},
            recurrent: Initialiser::Orthogonal {},
            embedding: Initialiser::Normal { std: 0.1 },
            output: Initialiser::XavierUniform {},
            forget_bias: 1.0,
        }
    }
}

/// AdamW with this rate and decay, and else as it is usual.
pub(crate) fn adamw(learning_rate: f64, weight_decay: f64) -> OptimiserConfig {
    OptimiserConfig::AdamW(AdamW { learning_rate, weight_decay, ..AdamW::default() })
}

impl ModelConfig {
    /// Values that the last layer of the stack gives, where layers pass on no more than their output.
    pub(crate) fn top(&self) -> usize {
        let hidden = self.sizes.last().copied().unwrap_or(self.hidden);
        let own = if self.projection > 0 { self.projection } else { hidden };
        let apart = self.bidirectional && self.merge == Merge::Concat;
        if apart { 2 * own } else { own }
    }

    /// The layers of the stack in words: `2 layers of 64 units`.
    pub fn shape(&self) -> String {
        let s = |count: usize| if count == 1 { "" } else { "s" };
        match self.sizes.as_slice() {
            [] => format!("{} layer{} of {} units", self.layers, s(self.layers), self.hidden),
            sizes => {
                let list: Vec<String> = sizes.iter().map(usize::to_string).collect();
                format!("{} layer{} of {} units", sizes.len(), s(sizes.len()), list.join(", "))
            }
        }
    }
}

impl Config {
    /// The defaults of a task.
    pub fn of(task: Task) -> Self {
        task.definition().defaults()
    }

    /// What the defaults of tasks begin with: those of forecasts.
    pub(crate) fn shared() -> Self {
        Self {
            data: DataConfig::Forecast(TableOptions::default()),
            model: ModelConfig {
                cell: CellKind::Lstm,
                hidden: 64,
                heads: 1,
                layers: 1,
                sizes: vec![],
                bidirectional: false,
                merge: Merge::Concat,
                connection: Connection::Plain,
                initial: Initial::Zero,
                bias: Bias::One,
                dropout: 0.1,
                locked: false,
                weight_dropout: 0.0,
                projection: 0,
                clip_state: 0.0,
                projection_clip: 0.0,
                recurrent_norm: false,
                gate_recurrence: false,
                zoneout: 0.0,
                zoneout_cell: 0.0,
                recurrent_dropout: 0.0,
                candidate_dropout: 0.0,
                input_dropout: None,
                embedding_dropout: None,
                tied: None,
                layer_norm: false,
                pooling: Some(Pooling::Last),
                relative: Some(1),
                rescale: Some(false),
                paths: Some(100),
                embedding: None,
                letters: None,
                attention: None,
                input_feeding: None,
            },
            train: TrainConfig {
                seed: 1,
                epochs: 100,
                batch: 16,
                steps: None,
                accumulate: 1,
                threads: 0,
                precision: TrainPrecision::F32,
                memory: TrainMemory::Auto,
                checkpoint_seconds: 30.0,
                checkpoint_steps: 0,
                log_steps: 100,
                tensorboard: false,
                snapshots: 0,
                scheduled_sampling: None,
                transpose: None,
            },
            optimiser: adamw(2e-3, 1e-2),
            schedule: ScheduleConfig::Cosine { warmup_steps: 0, final_factor: 0.01 },
            clip: Clip::Norm { limit: 1.0 },
            stopping: StoppingConfig { patience: 20, ..StoppingConfig::default() },
            nan: NanPolicy::Stop {},
            loss: Loss::Mse {},
            initialise: InitialiseConfig::default(),
        }
    }

    /// The task.
    pub fn task(&self) -> Task {
        self.data.task()
    }

    /// An error where a value lies outside its range or does not go with another.
    pub fn validate(&self) -> Result<()> {
        let sizes = [
            ("model.hidden", self.model.hidden),
            ("model.layers", self.model.layers),
            ("model.embedding", self.model.embedding.unwrap_or(1)),
            ("model.paths", self.model.paths.unwrap_or(1)),
            ("train.batch", self.train.batch),
            ("train.steps", self.train.steps.unwrap_or(1)),
            ("train.accumulate", self.train.accumulate),
            ("train.epochs", usize::from(self.train.epochs > 0)),
        ];
        if let Some((key, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(Error::usage(format!("{key} must be at least 1, not 0")));
        }
        let numbers = [
            ("model.dropout", self.model.dropout, 0.0..1.0),
            ("model.weight_dropout", self.model.weight_dropout, 0.0..1.0),
            ("model.embedding_dropout", self.model.embedding_dropout.unwrap_or(0.0), 0.0..1.0),
            ("model.input_dropout", self.model.input_dropout.unwrap_or(0.0), 0.0..1.0),
            ("model.clip_state", self.model.clip_state, 0.0..1e9),
            ("model.projection_clip", self.model.projection_clip, 0.0..1e9),
            ("model.zoneout", self.model.zoneout, 0.0..1.0),
            ("model.zoneout_cell", self.model.zoneout_cell, 0.0..1.0),
            ("model.recurrent_dropout", self.model.recurrent_dropout, 0.0..1.0),
            ("model.candidate_dropout", self.model.candidate_dropout, 0.0..1.0),
            ("train.checkpoint_seconds", self.train.checkpoint_seconds, 0.0..1e9),
            ("train.scheduled_sampling", self.train.scheduled_sampling.unwrap_or(0.0), 0.0..1.0),
            ("initialise.forget_bias", self.initialise.forget_bias, -1e3..1e3),
        ];
        for (key, value, range) in numbers {
            if !range.contains(&value) {
                return Err(Error::usage(format!(
                    "{key} must be from {} to below {}, not {value}",
                    range.start, range.end
                )));
            }
        }
        if self.train.snapshots == 1 {
            return Err(Error::usage(
                "train.snapshots is 1; the weights before training are the first, so keep 2 or more, or 0 for none",
            ));
        }
        self.optimiser.validate()?;
        self.schedule.validate()?;
        self.clip.validate()?;
        self.stopping.validate()?;
        self.loss.validate()?;
        let starts = &self.initialise;
        for start in [starts.input, starts.recurrent, starts.embedding, starts.output] {
            start.validate()?;
        }
        self.validate_sizes()?;
        self.validate_joins()?;
        self.validate_used()?;
        if let Some(Tested { fold: Some(fold), others }) = self.data.tested()
            && let Some((key, _)) = others.iter().find(|(_, set)| *set)
        {
            return Err(Error::usage(format!(
                "data.fold is {fold}, which says what tests; leave {key} out"
            )));
        }
        self.task().definition().validate(self)
    }

    /// An error where layers of sizes of their own meet a setting for layers of one size.
    fn validate_sizes(&self) -> Result<()> {
        let (model, default) = (&self.model, Self::of(self.task()).model);
        let refuse = |text: String| Err(Error::usage(text));
        if model.sizes.is_empty() {
            return Ok(());
        }
        if let Some(layer) = model.sizes.iter().position(|size| *size == 0) {
            return refuse(format!("model.sizes gives layer {} no units", layer + 1));
        }
        for (key, same) in [
            ("model.hidden", model.hidden == default.hidden),
            ("model.layers", model.layers == default.layers),
        ] {
            if !same {
                return refuse(format!(
                    "model.sizes says how large each layer is; leave {key} out"
                ));
            }
        }
        if model.connection != Connection::Plain {
            return refuse(format!(
                "model.connection is {}, which joins layers of one size; leave it or model.sizes out",
                model.connection.name()
            ));
        }
        Ok(())
    }

    /// An error where a way of joining or dropping is chosen and there is nothing to join or drop.
    fn validate_joins(&self) -> Result<()> {
        let model = &self.model;
        let refuse = |text: String| Err(Error::usage(text));
        if model.merge != Merge::Concat && !model.bidirectional {
            let merge = model.merge.name();
            return refuse(format!(
                "model.merge is {merge}, but there is one direction; set model.bidirectional to true"
            ));
        }
        if model.merge != Merge::Concat && model.pooling == Some(Pooling::Last) {
            let merge = model.merge.name();
            return refuse(format!(
                "model.merge is {merge}, but model.pooling = last takes the last step of each \
                 direction apart; set model.pooling to mean or max, or leave model.merge out"
            ));
        }
        if model.connection != Connection::Plain && model.layers == 1 {
            let connection = model.connection.name();
            return refuse(format!(
                "model.connection is {connection}, which joins layers, but there is one; set \
                 model.layers to 2 or more"
            ));
        }
        if model.locked && model.dropout == 0.0 {
            return refuse("model.locked is on, but model.dropout is 0; set it too".to_owned());
        }
        Ok(())
    }

    /// An error where a start is chosen for weights that the model does not have.
    fn validate_used(&self) -> Result<()> {
        let (starts, default) = (&self.initialise, InitialiseConfig::default());
        let cell = self.model.cell;
        if cell.forget_gate().is_none() && starts.forget_bias != default.forget_bias {
            return Err(Error::usage(format!(
                "initialise.forget_bias is {}, but the cell {} has no forget gate; leave it \
                 out, or set model.cell to lstm or lstm-peephole",
                starts.forget_bias,
                cell.name()
            )));
        }
        if self.model.tied == Some(true) && starts.output != default.output {
            return Err(Error::usage(
                "initialise.output is set, but with model.tied the output has the weights of the \
                 embedding; set initialise.embedding, or leave it out",
            ));
        }
        Ok(())
    }
}
