//! From a file to batches: what the trainer learns from and what it is measured on.
//!
//! There are four paths. *Tables to windows*: a CSV or Parquet file becomes a [`Table`] of named columns; a
//! [`DataPlan`] fixes, before anything is trained, which columns are read, how they are transformed
//! and scaled, where the chronological split lies and how long the windows are; a [`Series`] is a
//! table read by a plan, and cuts windows, targets and rolling evaluation origins. *Text to tokens*:
//! a [`Text`] is a file read by a [`Vocabulary`] of characters or bytes, and [`Lanes`] cut it into
//! contiguous batches for truncated backpropagation through time. *Sequences with answers*: a [`Source`]
//! finds separate sequences and their classes, numbers or texts in tables, `.ts` files or sound, and an
//! [`Encoder`] makes them what a model reads. *Music to frames*: [`Rolls`] are pieces as notes that sound together.
//!
//! The plan and the vocabulary are serialised into the checkpoint, so a trained model reads new data
//! exactly as it read the old. What is guessed can be said aloud and changed; what is wrong is
//! refused before training, by file, line and column. The scaler, the season and the transforms
//! that are guessed are those of the training part alone: nothing of the future leaks into the past.
//! One thing is asked of all rows: a logarithm is not guessed where a value that is held out has none.

mod conll;
mod detect;
mod frequency;
mod lanes;
mod options;
mod order;
mod panel;
mod parquet;
mod pieces;
mod plan;
mod rolls;
mod sequences;
mod series;
mod statistics;
mod table;
mod text;
mod time;
mod transform;
mod vocabulary;
mod words;

pub use conll::{Sentence, TagColumns, TagReader, Tagged};
pub use detect::{Guess, guess};
pub use frequency::Frequency;
pub use lanes::{Lanes, TokenBatch};
pub use options::{Columns, Decoding, Missing, ScalerKind, SplitSize, TableOptions};
pub use order::{Position, shuffled};
pub use panel::Panel;
pub use parquet::is_decoding;
pub use pieces::Pieces;
pub use plan::{Calendar, Channel, DataPlan, Part, SeriesPlan, Split, TimeColumn};
pub use rolls::{KEYS, LOWEST, Roll, RollOptions, RollReader, Rolls, midi};
pub use sequences::{
    AudioFeatures, ClassWeights, Encoder, Fold, InputChannel, Layout, Raw, Sequence,
    SequenceOptions, Sequences, Source, Spectrum, Wanted, drawn, fold_drawn, fold_parts, parts,
};
pub use series::Series;
pub use table::Table;
pub use text::{Text, TextOptions};
pub use time::TimeFormat;
pub use transform::{Scaler, Transform};
pub use vocabulary::{Vocabulary, VocabularyKind};
pub use words::{TokenKind, UNKNOWN, Words};

pub(crate) use conll::folded;
pub(crate) use plan::time_column;
pub(crate) use rolls::strike;
pub(crate) use sequences::{Inputs, Side, sound};
pub(crate) use statistics::mean_and_deviation;
pub(crate) use table::{is_missing, shown};
pub(crate) use words::vectors;

use crate::error::{Error, Result};
use std::path::Path;

/// Reads a whole file that must exist and hold something.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let name = path.display();
    if path.is_dir() {
        return Err(Error::usage(format!("{name} is a folder; give a CSV or text file")));
    }
    let bytes = std::fs::read(path).map_err(|error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!("{name}: there is no such file; check the path")
            }
            _ => format!("{name}: cannot read the file"),
        };
        Error::usage(message).with_source(error)
    })?;
    if bytes.is_empty() {
        return Err(Error::usage(format!("{name}: the file is empty; give a CSV or text file")));
    }
    Ok(bytes)
}

/// The bytes as UTF-8 text, or an error that names the line of the first foreign byte.
fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Error::usage(format!("{name}: the file is UTF-16; save it as UTF-8")));
    }
    if parquet::is_parquet(bytes) {
        return Err(Error::usage(format!("{name}: a Parquet file is a table, expected a text")));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        Error::usage(format!(
            "{name}, line {line}: the file is not UTF-8 (byte 0x{:02x}); save it as UTF-8",
            bytes[error.valid_up_to()]
        ))
    })
}

/// The name most like `name`, where one is alike enough to be meant.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let alike = |other: &String| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    let best = known.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(best) >= 0.8).then_some(best)
}
