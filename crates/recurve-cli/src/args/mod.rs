//! What can be typed.
//!
//! Only the words of the command line stand here; what they mean is decided in [`crate::verbs`].
//! Mistakes are reported by clap, which ends with code 2.

mod formats;
mod machine;
mod running;
mod training;

pub(crate) use formats::{Diff, Export, Format, Import, Inspect, Said};
pub(crate) use machine::{Bench, Doctor, Lengths, Memory, Mode, Stages};
#[cfg(feature = "explore")]
pub(crate) use running::Explore;
pub(crate) use running::{
    Backtest, Detect, Eval, Fill, Forecast, Frames, Generate, Part, Predict, Stream, Tag,
    Transcribe, Translate,
};
pub(crate) use training::{
    Compare, Config, Data, DataVerb, Experiment, FindLr, Reproduce, Train, Tune,
};

use clap::{Args, Parser, Subcommand};

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
    /// Search for settings: many at random, the better ones trained on.
    Tune(Tune),
    /// Raise the learning rate step by step, and see where it helps and where it harms.
    FindLr(FindLr),
    /// Measure a trained model beside the naive baselines.
    Eval(Eval),
    /// Forecast what comes after the last row of a table.
    Forecast(Forecast),
    /// Forecast from rolling origins: errors by distance, what intervals hold, beside the naive forecasts.
    Backtest(Backtest),
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
    /// Name the alarms of a stream in a file.
    Detect(Detect),
    /// Fill the blanks of a text, and name what else may stand there.
    Fill(Fill),
    /// Tag every word of standard input, a sentence on each line.
    Tag(Tag),
    /// Write the text of every sequence of a file or folder.
    Transcribe(Transcribe),
    /// Write a target for every line of standard input.
    Translate(Translate),
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

/// The number of threads of the verbs that use a model.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Threads {
    /// Threads to use; all if absent. The number changes the time, never the result.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
}
