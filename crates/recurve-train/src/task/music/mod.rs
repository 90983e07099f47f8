//! Music: which notes sound together in the next frame.
//!
//! A frame is 88 statements, one for each key of a piano, and the model says of each how probable it is given
//! all frames before (Boulanger-Lewandowski, Bengio & Vincent 2012). Given those, the keys do not know of each
//! other: what sounds together is held together by the state alone. Every piece is read after one silent frame,
//! so that the first can be learned, and drawn, too; it is not counted in the measures, as is the custom.
//! Training can shift each piece by some semitones, another number in each epoch (`train.transpose`), where
//! pieces stand in many keys.

mod compose;
mod learner;
mod report;

pub use compose::ComposeOptions;
pub use report::{MusicFrame, MusicReport};

use super::{
    DataConfig, Evaluation, Given, Learner, Predictions, Reader, Task, Trained, as_json, sequences,
};
use crate::config::{Config, ModelConfig, TrainConfig, adamw};
use crate::data::{Part, Roll, RollOptions, RollReader, Rolls};
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::model_file::{ModelFile, engine_of, unsound};
use crate::stopping::StoppingConfig;
use learner::{MusicLearner, Pieces};
use recurve_nn::{Network, Session};
use std::path::Path;

/// The task `music`.
pub(crate) struct Definition;

impl super::Definition for Definition {
    fn defaults(&self) -> Config {
        let shared = Config::shared();
        Config {
            data: DataConfig::Music(RollOptions::default()),
            model: ModelConfig {
                hidden: 200,
                dropout: 0.5,
                input_dropout: Some(0.2),
                pooling: None,
                relative: None,
                rescale: None,
                paths: None,
                ..shared.model
            },
            train: TrainConfig { epochs: 100, batch: 8, transpose: Some(0), ..shared.train },
            optimiser: adamw(3e-3, 1e-2),
            stopping: StoppingConfig { patience: 10, ..StoppingConfig::default() },
            loss: Loss::BinaryCrossEntropy {},
            ..shared
        }
    }

    fn validate(&self, config: &Config) -> Result<()> {
        if !matches!(config.loss, Loss::BinaryCrossEntropy {}) {
            return Err(Error::usage(
                "a model of music is trained with loss.kind = \"binary-cross-entropy\"",
            ));
        }
        if config.model.bidirectional {
            return Err(Error::usage(
                "model.bidirectional is on, but a model of music that reads from the end reads the \
                 answer; set it to false",
            ));
        }
        if config.train.transpose.unwrap_or(0) > 12 {
            return Err(Error::usage("train.transpose is more than 12 semitones, an octave"));
        }
        Ok(())
    }

    fn learner(&self, given: Given<'_>) -> Result<(Box<dyn Learner>, Vec<String>)> {
        let DataConfig::Music(options) = &given.config.data else {
            return Err(given.strange());
        };
        let rolls = Rolls::read(given.data)?;
        let parts = rolls.split(options, given.config.train.seed)?;
        let pieces = Pieces::new(rolls, parts);
        let notes = pieces.describe();
        Ok((Box::new(MusicLearner::new(pieces, given.config)), notes))
    }

    fn trained(&self, file: ModelFile, threads: usize) -> Result<Box<dyn Trained>> {
        Ok(Box::new(MusicModel::of(file, threads)?))
    }
}

/// A trained model of music.
pub struct MusicModel {
    file: ModelFile,
    network: Network<f32>,
}

impl MusicModel {
    /// Loads a model of music from a run folder or a model file.
    ///
    /// # Errors
    /// There is none, or the model is for another task.
    pub fn load(path: &Path) -> Result<Self> {
        Self::of(ModelFile::load(path)?, 0)
    }

    /// Uses a model that was loaded, with this many threads; 0 takes all.
    ///
    /// # Errors
    /// The model is for another task.
    pub fn of(file: ModelFile, threads: usize) -> Result<Self> {
        match file.reader() {
            Reader::Rolls(reader) if *reader == RollReader::default() => {}
            _ => return Err(file.is_not_for(Task::Music)),
        }
        Ok(Self { network: sequences::network(&file, threads)?, file })
    }

    /// Continues some frames, or begins a piece where there are none; gives the new frames.
    ///
    /// # Errors
    /// An option is out of range, a note is none of a piano, or the outputs are no numbers any more.
    pub fn compose(&self, begun: &[Vec<u8>], options: &ComposeOptions) -> Result<Roll> {
        let engine = engine_of(&self.file, 1)?;
        let session = Session::new(self.file.model(), engine, 1).map_err(unsound)?;
        compose::compose(session, begun, options)
    }

    fn own(&self, moved_to: Option<&Path>) -> Result<Pieces> {
        let DataConfig::Music(options) = &self.file.config().data else {
            return Err(self.file.is_not_for(Task::Music));
        };
        let rolls = Rolls::read(&self.file.data().locate(moved_to)?)?;
        let parts = rolls.split(options, self.file.config().train.seed)?;
        Ok(Pieces::new(rolls, parts))
    }

    fn other(path: &Path) -> Result<Pieces> {
        let rolls = Rolls::read(path)?;
        let parts = vec![Part::All; rolls.pieces.len()];
        Ok(Pieces::new(rolls, parts))
    }
}

impl Trained for MusicModel {
    fn file(&self) -> &ModelFile {
        &self.file
    }

    fn evaluate(&mut self, part: Option<Part>, path: Option<&Path>) -> Result<Evaluation> {
        let pieces = match (part, path) {
            (Some(Part::All), Some(path)) => Self::other(path)?,
            (_, path) => self.own(path)?,
        };
        let part = part.unwrap_or(pieces.held_out());
        Ok(Evaluation::Music(pieces.measure(&mut self.network, part)?))
    }

    fn predict(&mut self, path: &Path) -> Result<Predictions> {
        let report = Self::other(path)?.measure(&mut self.network, Part::All)?;
        let json: Vec<_> = report.predictions.iter().map(as_json).collect();
        let csv = report::csv(&report.predictions)?;
        let measured = Some(Evaluation::Music(report));
        Ok(Predictions::told("frames", csv, json, measured))
    }
}
