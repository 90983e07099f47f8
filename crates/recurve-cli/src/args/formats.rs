//! Verbs about the files of models.

use super::Threads;
use clap::{ArgAction, Args, ValueEnum};
use std::path::PathBuf;

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

/// `recurve inspect`
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A run folder, a checkpoint, or a model of another program: safetensors, .pt, .pth, ONNX and others.
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) said: Said,
}
