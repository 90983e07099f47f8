//! Verbs about this machine.

use super::Threads;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `recurve doctor`
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The folder that run folders are made in.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
}

/// What a run of the bench does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Load the weights, run forward, and backward to the input and every parameter.
    Train,
    /// Run forward over whole sequences.
    Infer,
    /// One step of a session with carried state.
    Step,
}

/// How long the sequences of a batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lengths {
    /// Drawn uniformly from a tenth of the steps to all of them.
    Uniform,
    /// All of the steps, a quarter of which a mask leaves out.
    Gaps,
}

/// What training keeps from forward to backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Memory {
    /// The states and the gates.
    Full,
    /// The states; the gates are computed again.
    Low,
}

/// `recurve bench`
#[derive(Debug, Args)]
#[command(after_help = BENCH_HELP)]
pub(crate) struct Bench {
    /// A named shape, or `all`; --list names them. `cells`: the cells with gates and every option beside the LSTM;
    /// `scans`: the cells without a recurrent product beside it.
    #[arg(long, conflicts_with_all = ["cell", "steps", "batch", "input", "hidden", "layers", "bidirectional"])]
    pub(crate) preset: Option<String>,
    /// Print the named shapes and end.
    #[arg(long)]
    pub(crate) list: bool,
    /// What to time. With a preset: that instead of the preset's own; with `all`: only those presets.
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
    /// The cell: lstm, gru, rnn-tanh (or rnn), …
    #[arg(long, default_value = "lstm")]
    pub(crate) cell: String,
    /// Steps of a sequence: T.
    #[arg(long, default_value_t = 50)]
    pub(crate) steps: usize,
    /// Sequences: B.
    #[arg(long, default_value_t = 64)]
    pub(crate) batch: usize,
    /// Values per step: I.
    #[arg(long, default_value_t = 128)]
    pub(crate) input: usize,
    /// Units: H.
    #[arg(long, default_value_t = 128)]
    pub(crate) hidden: usize,
    /// Layers: L.
    #[arg(long, default_value_t = 1)]
    pub(crate) layers: usize,
    /// Read the sequences from both ends.
    #[arg(long)]
    pub(crate) bidirectional: bool,
    #[command(flatten)]
    pub(crate) stages: Stages,
    /// Sequences of different lengths; all of T steps if absent.
    #[arg(long, value_enum)]
    pub(crate) lengths: Option<Lengths>,
    /// What training keeps from forward to backward: all, or the states, to compute gates again.
    #[arg(long, value_enum, default_value_t = Memory::Full)]
    pub(crate) memory: Memory,
    /// The type of the operands of products: f32, bf16 or int8.
    #[arg(long, default_value = "f32")]
    pub(crate) dtype: String,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// How long each shape is timed, in seconds.
    #[arg(long, value_name = "S", default_value_t = 2.0, allow_negative_numbers = true)]
    pub(crate) seconds: f64,
}

/// What happens in the steps of a layer besides its cell.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct Stages {
    /// Parts of the memory of an mlstm.
    #[arg(long, conflicts_with = "preset")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) heads: Option<usize>,
    /// Project the output to so many values.
    #[arg(long, conflicts_with = "preset")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) projection: Option<usize>,
    /// The largest size of a cell state.
    #[arg(long, conflicts_with = "preset")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clip_state: Option<f64>,
    /// Normalise sums and cell states.
    #[arg(long, conflicts_with = "preset")]
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) layer_norm: bool,
    /// Feed the gates of a step back to those of the next.
    #[arg(long, conflicts_with = "preset")]
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) gate_recurrence: bool,
    /// Probability that a unit keeps its output.
    #[arg(long, default_value_t = 0.0, conflicts_with = "preset")]
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) zoneout: f64,
    /// Probability that a unit keeps its cell state.
    #[arg(long, default_value_t = 0.0, conflicts_with = "preset")]
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) zoneout_cell: f64,
    /// Probability of dropout of outputs in the recurrent product.
    #[arg(long, default_value_t = 0.0, conflicts_with = "preset")]
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) recurrent_dropout: f64,
    /// Probability of dropout of candidates.
    #[arg(long, default_value_t = 0.0, conflicts_with = "preset")]
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) candidate_dropout: f64,
    /// Probability that a recurrent weight is zero for a batch.
    #[arg(long, default_value_t = 0.0, conflicts_with = "preset")]
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) weight_dropout: f64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Stages {
    /// `stack` with them.
    pub(crate) fn of(self, stack: recurve_nn::Recurrent) -> recurve_nn::Recurrent {
        recurve_nn::Recurrent {
            heads: self.heads.unwrap_or(1),
            projection: self.projection,
            clip_state: self.clip_state,
            layer_norm: self.layer_norm,
            gate_recurrence: self.gate_recurrence,
            zoneout: self.zoneout,
            zoneout_cell: self.zoneout_cell,
            recurrent_dropout: self.recurrent_dropout,
            candidate_dropout: self.candidate_dropout,
            weight_dropout: self.weight_dropout,
            ..stack
        }
    }
}

const BENCH_HELP: &str = "\
Every shape is run once to warm up, then at least five times. `train` loads the weights (packing them),
runs forward and goes back to the input and every parameter; `infer` runs forward; `step` is one step of
a session. GFLOP count matrix products only: 2 B D G H (I + H) per layer and real step, three times that
for `train`. The peak is the rate of recurve's own product of two 1024 x 1024 matrices, of bf16 with
`--dtype bf16` and else of f32, with the same number of threads, measured just before.";
