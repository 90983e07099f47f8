//! A tag for every word of a sentence: parts of speech, names of persons and places.
//!
//! Each word has a vector, joined with what a recurrent layer of its own reads in its letters, so that words
//! that were never seen are known by how they are written. A layer in both directions reads the sentence. Tags
//! are chosen word by word (`loss.kind = "cross-entropy"`) or all together by a conditional random field
//! (`"crf"`), which learns which tag may follow which.

mod learner;
mod report;

pub use report::{SpanScores, TagReport, TagScores, TaggedWord};

use super::{
    DataConfig, Evaluation, Given, Learner, Predictions, Reader, Task, Trained, as_json, sequences,
};
use crate::config::{Config, ModelConfig, TrainConfig, adamw};
use crate::data::{Fold, Part, Sentence, SplitSize, TagColumns, TagReader, Tagged};
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::model_file::ModelFile;
use crate::stopping::StoppingConfig;
pub(super) use learner::{Corpus, say};
use learner::{TagLearner, tag};
use recurve_nn::Network;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Options of the path from tagged sentences to a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TagOptions {
    /// The column of the word, from 1.
    pub word: Option<usize>,
    /// The column of the tag, from 1.
    pub tag: Option<usize>,
    /// Words that are rarer in the training part are all the same unknown one.
    pub min_count: Option<usize>,
    /// A file of word vectors to begin with.
    pub vectors: Option<String>,
    /// The part that chooses the epoch.
    pub validation: Option<SplitSize>,
    /// The part that is looked at once.
    pub test: Option<SplitSize>,
    /// The fold of a cross-validation that is the test part.
    pub fold: Option<Fold>,
    /// A file that is the validation part.
    pub validation_file: Option<String>,
    /// A file that is the test part.
    pub test_file: Option<String>,
}

/// The task `tag`.
pub(crate) struct Definition;

impl super::Definition for Definition {
    fn defaults(&self) -> Config {
        let shared = Config::shared();
        Config {
            data: DataConfig::Tag(TagOptions::default()),
            model: ModelConfig {
                bidirectional: true,
                hidden: 128,
                pooling: None,
                relative: None,
                rescale: None,
                paths: None,
                embedding: Some(100),
                letters: Some(48),
                dropout: 0.4,
                ..shared.model
            },
            train: TrainConfig { epochs: 15, ..shared.train },
            optimiser: adamw(3e-3, 1e-2),
            stopping: StoppingConfig { patience: 5, ..StoppingConfig::default() },
            loss: Loss::Crf {},
            ..shared
        }
    }

    fn validate(&self, config: &Config) -> Result<()> {
        match config.loss {
            Loss::CrossEntropy { .. } | Loss::Crf {} => Ok(()),
            _ => Err(Error::usage(
                "a tagger is trained with loss.kind = \"crf\" or \"cross-entropy\"",
            )),
        }
    }

    fn learner(&self, given: Given<'_>) -> Result<(Box<dyn Learner>, Vec<String>)> {
        let DataConfig::Tag(options) = &given.config.data else {
            return Err(given.strange());
        };
        let options = options.clone();
        let reader = match given.reader {
            Some(Reader::Tags(reader)) => Some(reader),
            _ => None,
        };
        let seed = given.config.train.seed;
        let tagged = corpus(given.data, &options, (seed, reader.map(|reader| reader.columns)))?;
        let reader = match reader {
            Some(reader) => reader.clone(),
            None => Corpus::reader(&tagged, options.min_count.unwrap_or(2)),
        };
        let corpus = Corpus::new(tagged, &reader)?;
        if let Some(name) = &options.vectors {
            let found = crate::data::vectors(&sequences::beside(given.data, name), &reader.words)?;
            let width = given.config.model.embedding;
            if given.config.model.embedding != Config::of(Task::Tag).model.embedding
                && width != Some(found.width)
            {
                return Err(Error::usage(format!(
                    "model.embedding is {}, the vectors of data.vectors have {} numbers; leave it out",
                    width.unwrap_or(0),
                    found.width
                )));
            }
            given.config.model.embedding = Some(found.width);
        }
        let vectors = options.vectors.as_ref().map(|name| sequences::beside(given.data, name));
        let notes = corpus.describe(&reader);
        Ok((Box::new(TagLearner::new(corpus, reader, given.config, vectors)), notes))
    }

    fn trained(&self, file: ModelFile, threads: usize) -> Result<Box<dyn Trained>> {
        Ok(Box::new(Tagger::of(file, threads)?))
    }
}

/// The sentences of a run with their parts.
fn corpus(
    data: &Path,
    options: &TagOptions,
    (seed, columns): (u64, Option<TagColumns>),
) -> Result<Tagged> {
    let given = (options.word, options.tag, columns);
    let mut all = Tagged::read(data, given, true)?;
    let known = Some(all.columns);
    let (mut validation, mut test) = (options.validation, options.test);
    let mut more: Vec<Sentence> = vec![];
    for (file, size, part, names) in [
        (&options.validation_file, &mut validation, Part::Validation, "data.validation"),
        (&options.test_file, &mut test, Part::Test, "data.test"),
    ] {
        let Some(file) = file else { continue };
        if size.is_some() {
            return Err(Error::usage(format!(
                "{names} and {names}_file are both set; leave one of them out"
            )));
        }
        *size = Some(SplitSize::Rows(0));
        let own = Tagged::read(&sequences::beside(data, file), (None, None, known), true)?;
        more.extend(own.sentences.into_iter().map(|sentence| Sentence { part, ..sentence }));
    }
    let share = |size: Option<SplitSize>| size.unwrap_or(SplitSize::Fraction(0.1));
    let count = all.sentences.len();
    let parts = match options.fold {
        Some(fold) => crate::data::fold_drawn(count, fold, validation, seed),
        None => crate::data::drawn(count, (share(validation), share(test)), seed),
    };
    let parts = parts.map_err(|error| error.context(&all.name))?;
    all.sentences.iter_mut().zip(parts).for_each(|(sentence, part)| sentence.part = part);
    all.sentences.extend(more);
    Ok(all)
}

/// The sentences of a trained model, where they were or where they lie now.
pub(super) fn own(file: &ModelFile, reader: &TagReader, moved_to: Option<&Path>) -> Result<Corpus> {
    let DataConfig::Tag(options) = &file.config().data else {
        return Err(file.is_not_for(Task::Tag));
    };
    let path = file.data().locate(moved_to)?;
    let known = (file.config().train.seed, Some(reader.columns));
    Corpus::new(corpus(&path, options, known)?, reader)
}

/// A trained tagger.
pub struct Tagger {
    file: ModelFile,
    reader: TagReader,
    network: Network<f32>,
}

impl Tagger {
    /// Loads a tagger from a run folder or a model file.
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
        let Reader::Tags(reader) = file.reader() else {
            return Err(file.is_not_for(Task::Tag));
        };
        let reader = reader.clone();
        Ok(Self { network: sequences::network(&file, threads)?, reader, file })
    }

    /// The tags of the words of some sentences; a sentence without words has none.
    ///
    /// # Errors
    /// The outputs are no numbers any more.
    pub fn tag(&mut self, sentences: &[Vec<String>]) -> Result<Vec<Vec<String>>> {
        let full: Vec<usize> =
            (0..sentences.len()).filter(|at| !sentences[*at].is_empty()).collect();
        let words = |at: &usize| sentences[*at].iter().map(String::as_str).collect::<Vec<_>>();
        let inputs = learner::inputs(full.iter().map(words), &self.reader);
        let all: Vec<usize> = (0..full.len()).collect();
        let found = tag(&mut self.network, &inputs, &all)?;
        let mut tags = vec![vec![]; sentences.len()];
        for (at, found) in full.iter().zip(found) {
            tags[*at] = found.iter().map(|tag| self.reader.tags[*tag as usize].clone()).collect();
        }
        Ok(tags)
    }

    fn own(&self, moved_to: Option<&Path>) -> Result<Tagged> {
        let DataConfig::Tag(options) = &self.file.config().data else {
            return Err(self.file.is_not_for(Task::Tag));
        };
        let path = self.file.data().locate(moved_to)?;
        corpus(&path, options, (self.file.config().train.seed, Some(self.reader.columns)))
    }
}

impl Trained for Tagger {
    fn file(&self) -> &ModelFile {
        &self.file
    }

    fn evaluate(&mut self, part: Option<Part>, path: Option<&Path>) -> Result<Evaluation> {
        let (tagged, part) = match (part, path) {
            (Some(Part::All), Some(path)) => {
                let known = (None, None, Some(self.reader.columns));
                (Tagged::read(path, known, true)?, Some(Part::All))
            }
            (part, path) => (self.own(path)?, part),
        };
        let trains = path.is_none() || part != Some(Part::All);
        let corpus = Corpus::new(tagged, &self.reader)?;
        let part = part.unwrap_or(corpus.held_out());
        let report = corpus.measure(&mut self.network, &self.reader, part, trains)?;
        Ok(Evaluation::Tag(report))
    }

    fn predict(&mut self, path: &Path) -> Result<Predictions> {
        let known = (None, None, Some(self.reader.columns));
        let tagged = Tagged::read(path, known, false)?;
        let sentences: Vec<Vec<String>> =
            tagged.sentences.iter().map(|sentence| sentence.words.clone()).collect();
        let said = self.tag(&sentences)?;
        let mut words = vec![];
        for (at, (sentence, said)) in tagged.sentences.iter().zip(said).enumerate() {
            for (place, (word, predicted)) in sentence.words.iter().zip(said).enumerate() {
                words.push(TaggedWord {
                    sentence: at + 1,
                    word: word.clone(),
                    actual: sentence.tags.get(place).cloned(),
                    predicted,
                    unknown: learner::is_unknown(&self.reader, word),
                });
            }
        }
        let csv = report::csv(&words)?;
        let json: Vec<_> = words.iter().map(as_json).collect();
        let known = !words.is_empty() && words.iter().all(|word| word.actual.is_some());
        let measured = known.then(|| Evaluation::Tag(TagReport::new("all", words, None)));
        Ok(Predictions::told("words", csv, json, measured))
    }
}
