//! A sequence for a sequence: sounds for letters, words of another language, a caption for a picture.
//!
//! An encoder reads the source; a decoder with attention and input feeding writes the target, symbol by
//! symbol ([`recurve_nn::seq2seq`]). It learns with the right symbol given at each step, or with some of its
//! own (scheduled sampling), and writes by beam search. The source may be a text, or numbers at each step: rows
//! of a table, sound, or features that another program took from a picture.

mod learner;
mod report;
mod scores;
mod search;

pub use report::{Attended, TranslateReport, Translation};
pub use search::{Branch, Search};

use super::examples::Said;
use super::sequences::{self, Answers, Dataset, SequenceReader, Written};
use super::{DataConfig, Evaluation, Given, Learner, Predictions, Reader, Task, Trained, as_json};
use crate::config::{AttentionKind, Config, ModelConfig, TrainConfig, adamw};
use crate::data::{Encoder, Part, Raw, Sequence, SequenceOptions, Sequences, Wanted};
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::model_file::ModelFile;
use crate::stopping::StoppingConfig;
use learner::{TranslateLearner, measure, targets, translations, written};
use recurve_nn::{Network, Precision};
use std::path::Path;

/// What a model writes for one sequence, and what the search went through.
pub(super) fn say(
    network: &mut Network<f32>,
    (data, written): (&Dataset, &Written),
    at: usize,
) -> Result<Said> {
    let how = Search { best: BEST, ..Search::default() };
    let (translations, tree) = learner::grown(network, (data, written), at, how)?;
    Ok(Said::Written { translations: translations.into_iter().map(Into::into).collect(), tree })
}

/// Targets that are told of one source.
const BEST: usize = 5;
/// Heads of the attention of several products.
const HEADS: usize = 4;

/// The task `translate`.
pub(crate) struct Definition;

impl super::Definition for Definition {
    fn defaults(&self) -> Config {
        let shared = Config::shared();
        Config {
            data: DataConfig::Translate(SequenceOptions::default()),
            model: ModelConfig {
                bidirectional: true,
                hidden: 128,
                pooling: None,
                relative: None,
                rescale: None,
                paths: None,
                dropout: 0.3,
                attention: Some(AttentionKind::General),
                input_feeding: Some(true),
                ..shared.model
            },
            train: TrainConfig {
                epochs: 40,
                batch: 32,
                scheduled_sampling: Some(0.0),
                ..shared.train
            },
            optimiser: adamw(2e-3, 1e-4),
            stopping: StoppingConfig { patience: 10, ..StoppingConfig::default() },
            loss: Loss::CrossEntropy { label_smoothing: 0.1 },
            ..shared
        }
    }

    fn validate(&self, config: &Config) -> Result<()> {
        if !matches!(config.loss, Loss::CrossEntropy { .. }) {
            return Err(Error::usage("a translator is trained with loss.kind = \"cross-entropy\""));
        }
        if config.train.precision != crate::config::TrainPrecision::F32 {
            return Err(Error::usage(
                "train.precision is bf16; a decoder works in f32 only: leave it out",
            ));
        }
        Ok(())
    }

    fn learner(&self, given: Given<'_>) -> Result<(Box<dyn Learner>, Vec<String>)> {
        let DataConfig::Translate(options) = &given.config.data else {
            return Err(given.strange());
        };
        let options = options.clone();
        let reader = match given.reader {
            Some(Reader::Sequences(reader)) => Some(reader),
            _ => None,
        };
        let seed = given.config.train.seed;
        let data = Dataset::read(given.data, &options, seed, (Wanted::Written, reader))?;
        if !matches!(data.encoder, Encoder::Tokens { .. }) && options.vectors.is_some() {
            return Err(Error::usage("data.vectors is set, but the source holds no texts"));
        }
        match &data.encoder {
            Encoder::Tokens { .. } => {
                sequences::settle(given.config, &options, &data, given.data)?;
            }
            Encoder::Values(_) => {
                given.config.model.embedding.get_or_insert(sequences::EMBEDDING);
            }
        }
        let answers = match reader.map(|reader| &reader.answers) {
            Some(Answers::Written(written)) => Written::clone(written),
            _ => written(&data, &options)?,
        };
        let targets = targets(&data, &answers);
        let mut notes = data.describe();
        let unit = if answers.kind.joint().is_empty() { "characters" } else { "words" };
        notes.push(format!(
            "writes up to {} of {} {unit} (change: data.symbols)",
            answers.longest,
            answers.symbols.known().len()
        ));
        let vectors = options.vectors.as_ref().map(|name| sequences::beside(given.data, name));
        let learner = TranslateLearner::new(data, (answers, targets), given.config);
        Ok((Box::new(learner.with_vectors(vectors)), notes))
    }

    fn trained(&self, file: ModelFile, threads: usize) -> Result<Box<dyn Trained>> {
        Ok(Box::new(Translator::of(file, threads)?))
    }
}

/// A trained translator.
pub struct Translator {
    file: ModelFile,
    reader: SequenceReader,
    answers: Written,
    network: Network<f32>,
    search: Search,
}

impl Translator {
    /// Loads a translator from a run folder or a model file.
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
        let (Task::Translate, Reader::Sequences(reader)) = (file.task(), file.reader()) else {
            return Err(file.is_not_for(Task::Translate));
        };
        let Answers::Written(answers) = &reader.answers else {
            return Err(file.is_not_for(Task::Translate));
        };
        if file.precision() != Precision::Full {
            return Err(Error::usage(format!(
                "`{}` holds weights in {}; a decoder works in f32 only: use the run it was made from",
                file.name(),
                file.precision().name()
            )));
        }
        let (answers, reader) = (Written::clone(answers), reader.clone());
        let network = sequences::network(&file, threads)?;
        Ok(Self { network, reader, answers, file, search: Search::default() })
    }

    /// The same, searching so.
    #[must_use]
    pub fn with_search(self, search: Search) -> Self {
        Self { search, ..self }
    }

    /// The best targets of some texts, the best first: at most as many for each as the search gives. A text
    /// without a token has none.
    ///
    /// # Errors
    /// The model reads no texts, or its outputs are no numbers any more.
    pub fn translate(&mut self, texts: &[String]) -> Result<Vec<Vec<Translation>>> {
        if !matches!(self.reader.encoder, Encoder::Tokens { .. }) {
            return Err(Error::usage(format!(
                "`{}` reads numbers, not texts; give a file to `recurve predict`",
                self.file.name()
            )));
        }
        let Encoder::Tokens { kind, .. } = &self.reader.encoder else { unreachable!("checked") };
        let full: Vec<usize> =
            (0..texts.len()).filter(|at| !kind.cut(&texts[*at]).is_empty()).collect();
        let items = full.iter().map(|at| Sequence {
            id: (at + 1).to_string(),
            place: format!("text {}", at + 1),
            input: Raw::Text(texts[*at].clone()),
            label: None,
            values: None,
            group: None,
            part: None,
        });
        let all = Sequences { name: "texts".to_owned(), channels: vec![], items: items.collect() };
        let data = Dataset::of(all, &self.reader)?;
        let chosen: Vec<usize> = (0..full.len()).collect();
        let found = translations(&mut self.network, (&data, &self.answers), &chosen, self.search)?;
        let mut all = vec![vec![]; texts.len()];
        for (at, found) in full.into_iter().zip(found) {
            all[at] = found;
        }
        Ok(all)
    }
}

impl Trained for Translator {
    fn file(&self) -> &ModelFile {
        &self.file
    }

    fn evaluate(&mut self, part: Option<Part>, path: Option<&Path>) -> Result<Evaluation> {
        let DataConfig::Translate(options) = &self.file.config().data else {
            return Err(self.file.is_not_for(Task::Translate));
        };
        let (data, part) = Dataset::measured(&self.file, &self.reader, options, (part, path))?;
        let both = (&data, &self.answers);
        Ok(Evaluation::Translate(measure(&mut self.network, both, part, self.search)?))
    }

    fn predict(&mut self, path: &Path) -> Result<Predictions> {
        let data = Dataset::other(path, &self.reader, false)?;
        let (both, all) = ((&data, &self.answers), data.part(Part::All));
        let found = translations(&mut self.network, both, &all, self.search)?;
        let found: Vec<Translation> =
            found.into_iter().filter_map(|n| n.into_iter().next()).collect();
        let csv = report::csv(&found)?;
        let json: Vec<_> = found.iter().map(as_json).collect();
        let known = found.iter().all(|translation| translation.actual.is_some());
        let answers = ("all", &self.answers);
        let measured =
            known.then(|| Evaluation::Translate(TranslateReport::new(answers, found, None)));
        Ok(Predictions::told("sequences", csv, json, measured))
    }
}
