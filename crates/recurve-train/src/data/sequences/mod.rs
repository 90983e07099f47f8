//! Files of separate sequences, each with an answer: a class, numbers, or a text.
//!
//! A [`Source`] says where in a file the sequences and their answers stand; it is guessed from the file
//! and the [`SequenceOptions`], and then kept with the model, so new files are read as the old ones were.
//! It gives [`Sequences`] in the units of the file, missing values and all. An [`Encoder`] is fitted to the
//! training part alone and turns them into what a model reads: scaled numbers, with a mark for what is
//! missing, or tokens. [`parts`] decides who trains, validates and tests, [`fold_parts`] for cross-validation.
//!
//! There are six layouts. *Long* tables have a row per step and a column that names the sequence, *wide*
//! tables a row per sequence. *Text* tables have a text in a cell. The *ts* files are those of the
//! UCR/UEA archive. *Audio* is a folder of WAV files, or a table that names files, which may also be
//! `.npy` matrices of features (then the layout is *features*).

mod audio;
mod encode;
mod fold;
mod npy;
mod read;
mod source;
mod split;
mod tables;
mod ts;

pub use audio::{AudioFeatures, Spectrum};
pub use encode::{Channel as InputChannel, Encoder};
pub use fold::{Fold, fold_drawn, fold_parts};
pub use source::{Source, Wanted};
pub use split::{drawn, parts};

pub(crate) use audio::sound;
pub(crate) use encode::{Inputs, Side};
pub(crate) use source::wav_files;
pub(crate) use ts::is_ts;

use super::options::{Columns, ScalerKind, SplitSize};
use super::words::TokenKind;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Options of the path from files of sequences to a model. `None` means: guess from the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SequenceOptions {
    /// How the file is laid out.
    pub layout: Option<Layout>,
    /// The column that names the sequence of a row, in a long table.
    pub id: Option<String>,
    /// The column by which the rows of a sequence are in order, in a long table.
    pub time: Option<String>,
    /// The columns that are read; all numeric ones without another role where nothing is said.
    pub inputs: Columns,
    /// The column of the text that is read.
    pub text: Option<String>,
    /// The column of the answer: a class or a text. For audio also `folder` or `name`.
    pub label: Option<String>,
    /// What a symbol of a text that is learned is.
    pub symbols: Option<TokenKind>,
    /// The columns of numbers that are learned.
    #[serde(skip_serializing_if = "Columns::is_default")]
    pub targets: Columns,
    /// Learn how many steps of the sequence are left.
    pub remaining: Option<bool>,
    /// Targets above this count as this.
    pub cap: Option<f64>,
    /// Whether every step has a target of its own.
    pub per_step: Option<bool>,
    /// Sequences that agree in this column are never split between parts.
    pub group: Option<String>,
    /// The column that says `train`, `validation` or `test`.
    pub split: Option<String>,
    /// How columns are scaled.
    pub scaler: ScalerKind,
    /// What a token of a text is.
    pub tokens: Option<TokenKind>,
    /// Words that are rarer in the training part are all the same unknown one.
    pub min_count: Option<usize>,
    /// A file of word vectors to begin with, in the text format of GloVe and word2vec.
    pub vectors: Option<String>,
    /// How much the classes count.
    pub class_weights: Option<ClassWeights>,
    /// What is taken from sound.
    pub features: Option<Spectrum>,
    /// Bands of the mel scale.
    pub bands: Option<usize>,
    /// Milliseconds that one frame sees.
    pub window_ms: Option<f64>,
    /// Milliseconds between frames.
    pub hop_ms: Option<f64>,
    /// Whether the change from frame to frame is read too.
    pub deltas: Option<bool>,
    /// The part that chooses the epoch: sequences, or a fraction of them.
    pub validation: Option<SplitSize>,
    /// The part that is looked at once.
    pub test: Option<SplitSize>,
    /// The fold of a cross-validation that is the test part.
    pub fold: Option<Fold>,
    /// A file that is the validation part.
    pub validation_file: Option<String>,
    /// A file that is the test part.
    pub test_file: Option<String>,
    /// A file with one number per sequence of the test file: the target after its last step.
    pub test_answers: Option<String>,
}

/// How a file of sequences is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// A table with a row per step.
    Long,
    /// A table with a row per sequence.
    Wide,
    /// A table with a text in a cell.
    Text,
    /// A file of the UCR/UEA archive.
    Ts,
    /// WAV files.
    Audio,
    /// `.npy` files `[steps, features]`.
    Features,
}

impl Layout {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Long => "long",
            Self::Wide => "wide",
            Self::Text => "text",
            Self::Ts => "ts",
            Self::Audio => "audio",
            Self::Features => "features",
        }
    }
}

/// How much the classes count in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// Every sequence counts the same.
    #[default]
    None,
    /// Every class counts the same.
    Balanced,
}

/// A sequence as its file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// Its name.
    pub id: String,
    /// Where it stands, for messages.
    pub place: String,
    /// What is read.
    pub input: Raw,
    /// The class or text that is the answer.
    pub label: Option<String>,
    /// The numbers that are the answer, `[targets]` or `[steps, targets]`.
    pub values: Option<Vec<f64>>,
    /// What it must not be split from.
    pub group: Option<String>,
    /// The part it is said to belong to.
    pub part: Option<super::Part>,
}

/// What is read of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    /// `[steps, channels]`, NaN where a value is missing.
    Values(Vec<f64>),
    /// A text.
    Text(String),
}

/// The sequences of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequences {
    /// The file, for messages.
    pub name: String,
    /// The names of the numbers at each step; none for texts.
    pub channels: Vec<String>,
    /// In the order of the file.
    pub items: Vec<Sequence>,
}

impl Sequences {
    /// Steps of a sequence of numbers.
    pub fn steps(&self, at: usize) -> usize {
        match &self.items[at].input {
            Raw::Values(values) => values.len() / self.channels.len().max(1),
            Raw::Text(_) => 0,
        }
    }

    /// An error where there is nothing.
    fn checked(self) -> Result<Self> {
        if self.items.is_empty() {
            return Err(Error::usage(format!("{}: the file holds no sequence", self.name)));
        }
        Ok(self)
    }
}
