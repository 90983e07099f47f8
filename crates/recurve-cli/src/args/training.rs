//! Verbs that train models.

use super::Threads;
use clap::{ArgAction, Args, Subcommand};
use std::path::PathBuf;

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
    /// Cross-validation: cut the sequences into N folds and train N runs, each tested on another fold. The same
    /// command with --name goes on where it was stopped.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1000), conflicts_with_all = ["resume", "profile"])]
    pub(crate) folds: Option<u32>,
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

/// `recurve find-lr`
#[derive(Debug, Args)]
pub(crate) struct FindLr {
    /// The file to train on.
    pub(crate) data: PathBuf,
    /// What is learned; guessed from the file if absent.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Start from the settings in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Change one setting; may be given many times.
    #[arg(long, value_name = "KEY=VALUE", action = ArgAction::Append)]
    pub(crate) set: Vec<String>,
    /// The first rate.
    #[arg(long, default_value_t = 1e-6)]
    pub(crate) from: f64,
    /// The last rate.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) to: f64,
    /// Steps from the first to the last.
    #[arg(long, default_value_t = 100)]
    pub(crate) steps: u32,
    /// Draw the loss over the rate into this SVG file.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// `recurve tune`
#[derive(Debug, Args)]
#[command(after_help = TUNE_HELP)]
pub(crate) struct Tune {
    /// The file to train on.
    pub(crate) data: PathBuf,
    /// The space: a TOML file.
    pub(crate) space: PathBuf,
    /// What is learned; guessed from the file if absent.
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Start from the settings in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set what does not vary; may be given many times.
    #[arg(long, value_name = "KEY=VALUE", action = ArgAction::Append)]
    pub(crate) set: Vec<String>,
    /// The folder of the search; one that was stopped goes on.
    #[arg(long, short, value_name = "DIR", default_value = "tune")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// Say nothing on the way.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

const TUNE_HELP: &str = "\
A space:
  trials = 20            # drawn at random
  rounds = [3, 9]        # epochs after which the better third goes on (keep = 0.33)
  [space]
  \"model.hidden\" = [32, 64, 128]
  \"optimiser.learning_rate\" = { from = 1e-4, to = 1e-2, log = true }
  \"data.input\" = { from = 12, to = 48, whole = true }";

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
    /// The folder of data sets; what an experiment needs is got as by `recurve data get`.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data: PathBuf,
    /// Say nothing on the way.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
