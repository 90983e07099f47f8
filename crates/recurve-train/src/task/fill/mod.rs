//! Fill in the blank: what stands where a text has a gap.
//!
//! Some tokens of a text are hidden behind one that means *blank*, drawn anew in every epoch, and a recurrent
//! layer in both directions says what they were from all that stands before and after them. It is the cloze test
//! of Taylor (1953), as a training for a bidirectional model (Melamud, Goldberger & Dagan 2016; Devlin et al.
//! 2019), but that a hidden token is always hidden: nothing else is asked of the model later. The tokens are those
//! of the vocabulary, and after them the blank, which is never an answer.

mod learner;
mod measure;
mod model;
mod report;

pub use model::{Blank, Filled, Filler, Filling};
pub use report::{FillReport, Guess, NaiveFill};

use super::{DataConfig, Given, Learner, Reader, Trained};
use crate::config::{Config, ModelConfig, TrainConfig, adamw};
use crate::data::{Text, TextOptions};
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::model_file::ModelFile;
use crate::schedule::ScheduleConfig;
use crate::stopping::StoppingConfig;
use learner::FillLearner;

/// The share of the tokens that is hidden where nothing is said.
const MASK: f64 = 0.15;

/// The task `fill`.
pub(crate) struct Definition;

impl super::Definition for Definition {
    fn defaults(&self) -> Config {
        let shared = Config::shared();
        Config {
            data: DataConfig::Fill(TextOptions { mask: Some(MASK), ..TextOptions::default() }),
            model: ModelConfig {
                hidden: 128,
                bidirectional: true,
                pooling: None,
                relative: None,
                rescale: None,
                paths: None,
                embedding: Some(64),
                embedding_dropout: Some(0.0),
                tied: Some(false),
                ..shared.model
            },
            train: TrainConfig { epochs: 20, batch: 32, steps: Some(64), ..shared.train },
            optimiser: adamw(5e-3, 1e-2),
            schedule: ScheduleConfig::Cosine { warmup_steps: 100, final_factor: 0.01 },
            stopping: StoppingConfig { patience: 5, ..StoppingConfig::default() },
            loss: Loss::CrossEntropy { label_smoothing: 0.0 },
            ..shared
        }
    }

    fn validate(&self, config: &Config) -> Result<()> {
        let mask = share(&config.data);
        if !(mask > 0.0 && mask < 1.0) {
            return Err(Error::usage(format!(
                "data.mask is {mask}, expected the share of the tokens that is hidden, above 0 and below 1"
            )));
        }
        if !config.model.bidirectional {
            return Err(Error::usage(
                "model.bidirectional is off, but a blank is filled from both sides; leave it on, or set \
                 data.task to language for what comes next",
            ));
        }
        if !matches!(config.loss, Loss::CrossEntropy { .. }) {
            return Err(Error::usage("blanks are learned with loss.kind = \"cross-entropy\""));
        }
        super::language::tied(&config.model)
    }

    fn learner(&self, given: Given<'_>) -> Result<(Box<dyn Learner>, Vec<String>)> {
        let DataConfig::Fill(options) = &mut given.config.data else {
            return Err(given.strange());
        };
        let text = match given.reader {
            Some(Reader::Blanks(vocabulary)) => {
                Text::read_with(given.data, vocabulary, (options.validation, options.test))?
            }
            _ => Text::read(given.data, options)?,
        };
        let mask = options.mask.unwrap_or(MASK);
        let notes = vec![
            format!("{}: {}", given.data.display(), text.describe()),
            format!("{:.0} % of the {}s are hidden", 100.0 * mask, text.vocabulary().unit()),
        ];
        options.vocabulary = Some(text.vocabulary().kind());
        Ok((Box::new(FillLearner::new(text, given.config)?), notes))
    }

    fn trained(&self, file: ModelFile, threads: usize) -> Result<Box<dyn Trained>> {
        Ok(Box::new(Filler::of(file, threads)?))
    }
}

/// The share of the tokens that is hidden.
fn share(data: &DataConfig) -> f64 {
    match data {
        DataConfig::Fill(options) => options.mask.unwrap_or(MASK),
        _ => MASK,
    }
}
