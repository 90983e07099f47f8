//! Verbs that run models.

use super::Threads;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

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
    /// The part that was looked at once, at the end.
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
    /// Let a language model go on learning from what it is measured on, with this rate; 0.0001 is usual.
    #[arg(long, value_name = "RATE")]
    pub(crate) dynamic: Option<f64>,
    /// How far weights go back to where they began after each segment of --dynamic.
    #[arg(long, value_name = "SHARE", requires = "dynamic", default_value_t = 0.002)]
    pub(crate) decay: f64,
    /// Tokens of a segment of --dynamic.
    #[arg(long, value_name = "N", requires = "dynamic", default_value_t = 20)]
    pub(crate) segment: usize,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// `recurve forecast`
#[derive(Debug, Args)]
pub(crate) struct Forecast {
    /// Run folders, such as runs/latest, or model.safetensors files, whose forecasts are averaged; after
    /// them the table to continue, with the columns of the training; the data of the training if absent.
    #[arg(required = true, value_name = "RUN... [DATA]")]
    pub(crate) paths: Vec<PathBuf>,
    /// Also write every quantile that the model gives.
    #[arg(long)]
    pub(crate) quantiles: bool,
    /// Also write the forecast to this CSV file.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// `recurve backtest`
#[derive(Debug, Args)]
pub(crate) struct Backtest {
    /// Run folders or model.safetensors files, whose forecasts are averaged; after them the table; the
    /// data of the training if absent.
    #[arg(required = true, value_name = "RUN... [DATA]")]
    pub(crate) paths: Vec<PathBuf>,
    /// Which part of the training data: held-out if absent, but all of a DATA that is given.
    #[arg(long, value_enum)]
    pub(crate) part: Option<Part>,
    /// Rows between origins.
    #[arg(long, value_name = "ROWS", default_value_t = 1)]
    pub(crate) stride: usize,
    /// Write a forecast of every row to this CSV file.
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
    /// What the text begins with; a new line if absent. Of music frames between commas, notes between
    /// blanks: "60 64 67, 62 65".
    #[arg(long, short)]
    pub(crate) prompt: Option<String>,
    /// How many tokens or frames to write; 500 tokens or 64 frames if absent.
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) length: Option<usize>,
    /// Below 1 the likely becomes likelier, above 1 all becomes more alike; 0 always takes the likeliest.
    #[arg(long, short, default_value_t = 0.8, allow_negative_numbers = true)]
    pub(crate) temperature: f64,
    /// Draw from the K likeliest only.
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<usize>,
    /// Draw from the likeliest that together have probability P only.
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub(crate) top_p: Option<f64>,
    /// The same seed writes the same.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write the likeliest text instead of drawing one, keeping N beginnings at every token.
    #[arg(long, value_name = "N", conflicts_with_all = ["temperature", "top_k", "top_p", "seed"], value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) beam: Option<u32>,
    /// Write to this file instead of standard output; music whose name ends in .mid as MIDI, else as a
    /// piano roll in JSON.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
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
Detectors: a line is time and values, in the order of the columns of the training, or of a header line. The
answer is time, what was expected, the error, the surprise, and 1 for an alarm.
Language models: a line is text, its line end included. The answer is a JSON object with the
probabilities of the next characters.";

/// `recurve fill`
#[derive(Debug, Args)]
pub(crate) struct Fill {
    /// A run folder, such as runs/latest, or a model.safetensors.
    pub(crate) run: PathBuf,
    /// A text with blanks; each line of standard input if absent.
    pub(crate) text: Option<String>,
    /// How many of the likeliest tokens to name for each blank.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) top: usize,
    /// What stands for a blank, one token each.
    #[arg(long, value_name = "MARK", default_value = "___")]
    pub(crate) blank: String,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

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

/// `recurve translate`
#[derive(Debug, Args)]
pub(crate) struct Translate {
    /// A run folder, such as runs/latest, or a model.safetensors.
    pub(crate) run: PathBuf,
    /// How many beginnings of the target are kept at every symbol.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) beam: u32,
    /// How many targets to write for each line, the best first.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) best: u32,
    /// The power of the length that scores are divided by; 0 prefers short targets.
    #[arg(long, value_name = "POWER", default_value_t = 1.0)]
    pub(crate) length_power: f64,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// `recurve detect`
#[derive(Debug, Args)]
pub(crate) struct Detect {
    /// A run folder, such as runs/latest, or a model.safetensors.
    pub(crate) run: PathBuf,
    /// The file to watch; what did not train of the data of the training if absent.
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) threads: Threads,
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
