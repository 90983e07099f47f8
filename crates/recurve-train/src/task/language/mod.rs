//! Language models: the distribution of the next token at every step, trained by truncated
//! backpropagation through time whose state is carried from batch to batch.

mod beam;
mod dynamic;
mod generation;
mod learner;
mod model;
mod report;

pub use dynamic::DynamicOptions;
pub use generation::GenerateOptions;
pub use model::{LanguageModel, LanguageStream};
pub use report::LanguageReport;

use super::{DataConfig, Given, Learner, Reader, Trained};
use crate::config::{Config, ModelConfig, TrainConfig, adamw};
use crate::data::{Text, TextOptions};
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::model_file::ModelFile;
use crate::schedule::ScheduleConfig;
use crate::stopping::StoppingConfig;
use learner::LanguageLearner;
pub(super) use learner::held_out;
use recurve_nn::Connection;

/// An error where the output is to take the vectors of the tokens, and they are not as wide as what it reads.
pub(super) fn tied(model: &ModelConfig) -> Result<()> {
    if model.tied != Some(true) {
        return Ok(());
    }
    if matches!(model.connection, Connection::Skip | Connection::Dense) {
        return Err(Error::usage(format!(
            "model.tied is on, but with model.connection = {} the output reads all layers, which is wider than \
             the vectors of the tokens; leave one of them out",
            model.connection.name()
        )));
    }
    let (own, top) = (model.embedding.unwrap_or(1), model.top());
    if own == top {
        return Ok(());
    }
    let project = match own <= top && model.projection == 0 {
        true => format!(", or, of an LSTM, project its outputs by model.projection = {own}"),
        false => String::new(),
    };
    Err(Error::usage(format!(
        "model.tied is on, but the vectors of the tokens are {own} wide (model.embedding) and the last layer \
         gives {top} values; set model.embedding = {top} or leave it out{project}"
    )))
}

/// The task `language`.
pub(crate) struct Definition;

impl super::Definition for Definition {
    fn defaults(&self) -> Config {
        let shared = Config::shared();
        Config {
            data: DataConfig::Language(TextOptions::default()),
            model: ModelConfig {
                hidden: 128,
                layers: 2,
                pooling: None,
                relative: None,
                rescale: None,
                paths: None,
                embedding: Some(64),
                embedding_dropout: Some(0.0),
                tied: Some(false),
                ..shared.model
            },
            train: TrainConfig { epochs: 10, batch: 32, steps: Some(64), ..shared.train },
            optimiser: adamw(8e-3, 1e-2),
            schedule: ScheduleConfig::Cosine { warmup_steps: 100, final_factor: 0.01 },
            stopping: StoppingConfig { patience: 5, ..StoppingConfig::default() },
            loss: Loss::CrossEntropy { label_smoothing: 0.0 },
            ..shared
        }
    }

    fn validate(&self, config: &Config) -> Result<()> {
        match config.loss {
            Loss::CrossEntropy { .. } if config.model.bidirectional => Err(Error::usage(
                "model.bidirectional is on, but a language model that reads from the end of the \
                 text reads the answer; set it to false",
            )),
            Loss::CrossEntropy { .. } => tied(&config.model),
            _ => {
                Err(Error::usage("a language model is trained with loss.kind = \"cross-entropy\""))
            }
        }
    }

    fn learner(&self, given: Given<'_>) -> Result<(Box<dyn Learner>, Vec<String>)> {
        let DataConfig::Language(options) = &mut given.config.data else {
            return Err(given.strange());
        };
        let text = match given.reader {
            Some(Reader::Text(vocabulary)) => {
                Text::read_with(given.data, vocabulary, (options.validation, options.test))?
            }
            _ => Text::read(given.data, options)?,
        };
        let notes = vec![format!("{}: {}", given.data.display(), text.describe())];
        options.vocabulary = Some(text.vocabulary().kind());
        Ok((Box::new(LanguageLearner::new(text, given.config)?), notes))
    }

    fn trained(&self, file: ModelFile, threads: usize) -> Result<Box<dyn Trained>> {
        Ok(Box::new(LanguageModel::of(file)?.with_threads(threads)?))
    }
}
