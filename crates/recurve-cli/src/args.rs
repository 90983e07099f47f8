//! What can be typed.
//!
//! Only the words of the command line stand here; what they mean is decided in [`crate::verbs`].
//! Mistakes are reported by clap, which ends with code 2.

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Train recurrent models (RNN, LSTM, GRU) on your sequences, see how good they are, and use them.
#[derive(Debug, Parser)]
#[command(name = "recurve", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Write results as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

const AFTER_HELP: &str = "\
Start with a CSV file or a text:
  recurve train sales.csv          then  recurve forecast runs/latest
  recurve train shakespeare.txt    then  recurve generate runs/latest

Results go to standard output, progress to standard error.
Exit codes: 0 done, 1 the work failed, 2 the command line or the data is wrong,
130 and 143 interrupted (training has saved everything).";

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Train a model on a file, and report how good it is.
    Train(Train),
    /// Train RNN, GRU, LSTM, xLSTM, TCN and Transformer of equal size on a file: is an LSTM right for it?
    Compare(Compare),
    /// Measure a trained model beside the naive baselines.
    Eval(Eval),
    /// Forecast what comes after the last row of a table.
    Forecast(Forecast),
    /// Write text with a trained language model.
    Generate(Generate),
    /// Run a trained model over a whole file: forecasts, classes, numbers, tags, texts, or the probability
    /// of every character.
    Predict(Predict),
    /// Read lines from standard input and answer each one as it comes, remembering all before.
    Stream(Stream),
    /// Open a page that shows what the gates of a trained model do, live, on your data.
    #[cfg(feature = "explore")]
    Explore(Explore),
    /// Tag every word of standard input, a sentence on each line.
    Tag(Tag),
    /// Write the text of every sequence of a file or folder.
    Transcribe(Transcribe),
    /// List the data sets that are known by name, or get one.
    Data(Data),
    /// Train a published result again, and print ours beside it.
    Reproduce(Reproduce),
    /// Make a copy of a model for use: smaller and faster, or in the format of another program.
    Export(Export),
    /// Make a run folder of another program's model: PyTorch, ONNX, Keras and others.
    Import(Import),
    /// Compare two models, tensor by tensor; exit code 1 where they differ.
    Diff(Diff),
    /// Say what is in a run folder, a checkpoint or a model of another program.
    Inspect(Inspect),
    /// Print every setting with its default and what it means.
    Config(Config),
    /// Look at this machine and check that the kernels compute what they should.
    Doctor(Doctor),
    /// Time a recurrent layer: one JSON line per shape with --json.
    Bench(Bench),
    /// Make an experiment that explains recurrent networks, and write what it found as a page.
    Experiment(Experiment),
}

/// `recurve train`
#[derive(Debug, Args)]
pub(crate) struct Train {
    /// A table (to forecast), a text (to continue), sequences with answers, or a folder of sound.
    #[arg(required_unless_present = "resume")]
    pub(crate) data: Option<PathBuf>,
    /// What to learn; guessed from the file if absent.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Read settings from this file; `recurve config` prints one with every setting.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Change one setting, such as model.hidden=64; may be given many times, and wins over --config.
    #[arg(long, value_name = "KEY=VALUE", action = ArgAction::Append)]
    pub(crate) set: Vec<String>,
    /// The name of the run folder; the file's name and a number if absent.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The folder that run folders are made in.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
    /// Continue this run exactly where it stopped.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["load", "task", "config", "set", "name", "runs"])]
    pub(crate) resume: Option<PathBuf>,
    /// Begin with the weights of this run.
    #[arg(long, value_name = "RUN")]
    pub(crate) load: Option<PathBuf>,
    /// Threads to use; all if absent. The number changes the time, never the result.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// Tell at the end where the time went, per layer and phase.
    #[arg(long)]
    pub(crate) profile: bool,
    /// Show no progress and no notes.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// `recurve explore`
#[cfg(feature = "explore")]
#[derive(Debug, Args)]
pub(crate) struct Explore {
    /// A run folder, such as runs/latest.
    pub(crate) run: PathBuf,
    /// The port of this machine to listen on; 4870 if absent, or any where that is taken.
    #[arg(long, value_name = "PORT", conflicts_with = "export")]
    pub(crate) port: Option<u16>,
    /// Do not open a browser; print the address only.
    #[arg(long, conflicts_with = "export")]
    pub(crate) no_open: bool,
    /// Write the page to this file instead, to be opened from disk; what needs computing is left out.
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
    /// Where the data of the run lies now, if it has moved.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// `recurve compare`
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The file to train on, as for `recurve train`.
    pub(crate) data: PathBuf,
    /// What to learn; guessed from the file if absent.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Read settings from this file. The LSTM of model.hidden and model.layers says how many weights all have.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Change one setting, such as train.epochs=20; may be given many times, and wins over --config.
    #[arg(long, value_name = "KEY=VALUE", action = ArgAction::Append)]
    pub(crate) set: Vec<String>,
    /// Trainings of each, from different random weights; the table shows the one in the middle.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) seeds: u32,
    /// Threads to use; all if absent. The number changes the time, never the result.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// Show no progress and no notes.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// `recurve export`
#[derive(Debug, Args)]
#[group(id = "kind", required = true, multiple = false, args = ["int8", "bf16", "to"])]
pub(crate) struct Export {
    /// A run folder, such as runs/latest.
    pub(crate) run: PathBuf,
    /// Recurrent weights in 8 bits with a scale per row.
    #[arg(long)]
    pub(crate) int8: bool,
    /// Recurrent weights in 16 bits.
    #[arg(long)]
    pub(crate) bf16: bool,
    /// The model in the format of another program.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) to: Option<Format>,
    /// The new folder; RUN-int8, RUN-bf16 or RUN-FORMAT if absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Where the data of the run lies now, if it has moved.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// A format of another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A graph, with states as inputs and outputs.
    Onnx,
    /// Weights, and a module in Python that loads them.
    Torch,
    /// The weights alone, under PyTorch's names.
    Safetensors,
    /// NumPy arrays.
    Npz,
    /// An archive of Keras 3.
    Keras,
}

/// `recurve import`
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file: safetensors, .pt, .pth, ONNX, or another that `recurve inspect` knows.
    pub(crate) file: PathBuf,
    /// The new folder; the next one named after the file under --runs if absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// The folder that run folders are made in.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
    #[command(flatten)]
    pub(crate) said: Said,
}

/// What a person says about a file that it does not say itself.
#[derive(Debug, Args)]
pub(crate) struct Said {
    /// Only layers called this, or below it.
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// The layers of the model from the input up, as NAME, NAME:embedding or NAME:linear.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) layers: Vec<String>,
    /// What a vanilla RNN of a state dict computes; tanh if absent.
    #[arg(long, value_name = "tanh|relu")]
    pub(crate) nonlinearity: Option<String>,
    /// Give an input of a graph a value for good, such as sr=16000; may be given many times.
    #[arg(long, value_name = "NAME=VALUES", action = ArgAction::Append)]
    pub(crate) fix: Vec<String>,
    /// Say that an input of a graph holds the state that an output gives; may be given many times.
    #[arg(long, value_name = "INPUT=OUTPUT", action = ArgAction::Append)]
    pub(crate) state: Vec<String>,
}

/// `recurve diff`
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A run folder, or a file of any format.
    pub(crate) a: PathBuf,
    /// Another.
    pub(crate) b: PathBuf,
}

/// How sound is cut into rows, for imported models.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Frames {
    /// New samples of a row of sound; a whole row if absent. The rest of the row are the samples before.
    #[arg(long, value_name = "N")]
    pub(crate) hop: Option<usize>,
    /// Samples of a row of sound; what the model says if absent.
    #[arg(long, value_name = "N")]
    pub(crate) frame: Option<usize>,
}

/// A part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// What training held out: the test part, or the validation part where there is no other.
    HeldOut,
    /// The part that chose the model.
    Validation,
    /// The part that was looked at once, at the end; forecasts only.
    Test,
    /// Everything.
    All,
}

/// `recurve eval`
#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// A run folder, such as runs/latest, or a model.safetensors.
    pub(crate) run: PathBuf,
    /// A file to measure on; the data of the training if absent.
    pub(crate) data: Option<PathBuf>,
    /// Which part of it: if absent, held-out of the training data, but all of a DATA that is given.
    /// For a part other than all, DATA must be the training data, wherever it lies now.
    #[arg(long, value_enum)]
    pub(crate) part: Option<Part>,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// `recurve forecast`
#[derive(Debug, Args)]
pub(crate) struct Forecast {
    /// A run folder, such as runs/latest, or a model.safetensors.
    pub(crate) run: PathBuf,
    /// The table to continue, with the columns of the training; the data of the training if absent.
    pub(crate) data: Option<PathBuf>,
    /// Also write the forecast to this CSV file.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// `recurve generate`
#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// A run folder, such as runs/latest, or a model.safetensors.
    pub(crate) run: PathBuf,
    /// What the text begins with; a new line if absent.
    #[arg(long, short)]
    pub(crate) prompt: Option<String>,
    /// How many characters (bytes, for a model of bytes) to write.
    #[arg(long, short = 'n', default_value_t = 500)]
    pub(crate) length: usize,
    /// Below 1 the likely becomes likelier, above 1 all becomes more alike; 0 always takes the likeliest.
    #[arg(long, short, default_value_t = 0.8, allow_negative_numbers = true)]
    pub(crate) temperature: f64,
    /// Draw from the K likeliest only.
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<usize>,
    /// Draw from the likeliest that together have probability P only.
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub(crate) top_p: Option<f64>,
    /// The same seed writes the same text.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// `recurve predict`
#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// A run folder, such as runs/latest, or a model.safetensors.
    pub(crate) run: PathBuf,
    /// The file to run over. For an imported model: rows of numbers, or a WAV file.
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) frames: Frames,
    /// Write the predictions to this CSV file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// `recurve stream`
#[derive(Debug, Args)]
#[command(after_help = STREAM_HELP)]
pub(crate) struct Stream {
    /// A run folder, such as runs/latest, or a model.safetensors.
    pub(crate) run: PathBuf,
    /// How many of the likeliest next characters to name (language models).
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) top: usize,
    /// Read a WAV file instead of standard input (imported models).
    #[arg(long, value_name = "FILE")]
    pub(crate) wav: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) frames: Frames,
}

const STREAM_HELP: &str = "\
Forecasts: a line is one row of comma-separated values, in the order of the model's columns (`recurve
inspect RUN` lists them), or in the order of a header line that comes first. The answer is the forecast
of the next rows on one line, empty while too few rows have come.
Imported models: a line is one row of comma-separated values, or of tokens; the answer is one row of outputs.
With --wav, rows are cut from the samples of a sound: `recurve stream RUN --wav speech.wav --hop 512`.
Language models: a line is text, its line end included. The answer is a JSON object with the
probabilities of the next characters.";

/// `recurve tag`
#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// A run folder, such as runs/latest, or a model.safetensors.
    pub(crate) run: PathBuf,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// `recurve transcribe`
#[derive(Debug, Args)]
pub(crate) struct Transcribe {
    /// A run folder, such as runs/latest, or a model.safetensors.
    pub(crate) run: PathBuf,
    /// WAV files, folders of them, or files in the layout of the training.
    #[arg(required = true)]
    pub(crate) data: Vec<PathBuf>,
    /// How many beginnings of the text are kept at every frame.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) beam: u32,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// `recurve data`
#[derive(Debug, Args)]
pub(crate) struct Data {
    /// What to do.
    #[command(subcommand)]
    pub(crate) what: DataVerb,
}

/// The verbs of `recurve data`.
#[derive(Debug, Subcommand)]
pub(crate) enum DataVerb {
    /// Name all data sets.
    List,
    /// Put one into a folder: generated, or from RECURVE_DATA_MIRROR, or downloaded by curl and verified.
    Get {
        /// Its name.
        name: String,
        /// The folder; the data set becomes a folder in it.
        #[arg(long, short, value_name = "DIR", default_value = "data")]
        output: PathBuf,
    },
}

/// `recurve reproduce`
#[derive(Debug, Args)]
pub(crate) struct Reproduce {
    /// The result; all are listed if absent.
    pub(crate) name: Option<String>,
    /// The folder of data sets; what is missing is got as by `recurve data get`.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data: PathBuf,
    /// Change one setting; may be given many times.
    #[arg(long, value_name = "KEY=VALUE", action = ArgAction::Append)]
    pub(crate) set: Vec<String>,
    /// The folder that run folders are made in.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// Show no progress and no notes.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// `recurve inspect`
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A run folder, a checkpoint, or a model of another program: safetensors, .pt, .pth, ONNX and others.
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) said: Said,
}

/// `recurve config`
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// The task whose settings are printed; that of --config or forecast if absent.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Start from the settings in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Change one setting; may be given many times.
    #[arg(long, value_name = "KEY=VALUE", action = ArgAction::Append)]
    pub(crate) set: Vec<String>,
}

/// `recurve doctor`
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The folder that run folders are made in.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
}

/// The number of threads of the verbs that use a model.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Threads {
    /// Threads to use; all if absent. The number changes the time, never the result.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
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
    /// A named shape, or `all`; --list names them.
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

/// `recurve experiment`
#[derive(Debug, Args)]
pub(crate) struct Experiment {
    /// Which; --list says what each one asks.
    #[arg(required_unless_present = "list")]
    pub(crate) name: Option<String>,
    /// Print all experiments and end.
    #[arg(long)]
    pub(crate) list: bool,
    /// The folder for the page and the numbers; experiments/NAME if absent.
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Runs of each kind, with different weights and samples.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(crate) seeds: u64,
    /// Only a first look: a twentieth of the updates, whose numbers mean little.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Say nothing on the way.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
