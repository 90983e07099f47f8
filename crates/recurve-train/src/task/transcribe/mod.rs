//! Texts of longer sequences whose alignment is not known: speech, handwriting, signals.
//!
//! A model gives a score of each symbol and of a blank at every frame, trained by connectionist temporal
//! classification ([`ctc`]). Every text must have enough frames to be written in; that is checked before
//! training. Texts are read off by a prefix beam search.

mod report;

pub use report::{Alignment, TranscribeReport, Transcription};

use super::examples::{Said, rows_of};
use super::sequences::{self, Answers, Batches, Dataset, SequenceReader, learn_whole};
use super::{
    DataConfig, Evaluation, Given, Learned, Learner, Names, Predictions, Reader, Task, Trained,
    as_json,
};
use crate::config::{Config, ModelConfig, TrainConfig, adamw};
use crate::data::{Part, Position, SequenceOptions, TokenKind, Wanted};
use crate::error::{Error, Result};
use crate::loss::{Loss, LossValue, ctc};
use crate::metrics::edits;
use crate::model_file::ModelFile;
use crate::stopping::StoppingConfig;
use recurve_nn::profile::span;
use recurve_nn::{Description, Network, Noise};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Beginnings that a beam search keeps.
pub const BEAM: usize = 16;
/// Sequences whose alignment is in a report.
const ALIGNED: usize = 8;

/// The task `transcribe`.
pub(crate) struct Definition;

impl super::Definition for Definition {
    fn defaults(&self) -> Config {
        let shared = Config::shared();
        Config {
            data: DataConfig::Transcribe(SequenceOptions::default()),
            model: ModelConfig {
                bidirectional: true,
                hidden: 96,
                layers: 2,
                pooling: None,
                relative: None,
                rescale: None,
                paths: None,
                dropout: 0.2,
                ..shared.model
            },
            train: TrainConfig { epochs: 40, ..shared.train },
            optimiser: adamw(3e-3, 1e-2),
            stopping: StoppingConfig { patience: 10, ..StoppingConfig::default() },
            loss: Loss::Ctc {},
            ..shared
        }
    }

    fn validate(&self, config: &Config) -> Result<()> {
        if config.loss == (Loss::Ctc {}) {
            return Ok(());
        }
        Err(Error::usage("a transcriber is trained with loss.kind = \"ctc\""))
    }

    fn learner(&self, given: Given<'_>) -> Result<(Box<dyn Learner>, Vec<String>)> {
        let DataConfig::Transcribe(options) = &given.config.data else {
            return Err(given.strange());
        };
        let options = options.clone();
        let reader = match given.reader {
            Some(Reader::Sequences(reader)) => Some(reader),
            _ => None,
        };
        let seed = given.config.train.seed;
        let data = Dataset::read(given.data, &options, seed, (Wanted::Text, reader))?;
        sequences::settle(given.config, &options, &data, given.data)?;
        let alphabet = match reader.map(|reader| &reader.answers) {
            Some(Answers::Symbols(symbols, kind)) => Alphabet::new(symbols.clone(), *kind),
            _ => Alphabet::of(&data, options.symbols.unwrap_or(TokenKind::Characters))?,
        };
        let targets = alphabet.targets(&data, &data.part(Part::All))?;
        feasible(&data, &targets)?;
        let mut notes = data.describe();
        let shown: Vec<String> =
            alphabet.symbols.iter().take(40).map(|symbol| format!("`{symbol}`")).collect();
        notes.push(format!("{} symbols: {}", alphabet.symbols.len(), shown.join(" ")));
        let batches = Batches::new(given.config, data.part(Part::Train));
        Ok((Box::new(TranscribeLearner { data, alphabet, targets, batches }), notes))
    }

    fn trained(&self, file: ModelFile, threads: usize) -> Result<Box<dyn Trained>> {
        Ok(Box::new(Transcriber::of(file, threads)?))
    }
}

/// An error where a text has more symbols than its sequence has frames for.
fn feasible(data: &Dataset, targets: &[Vec<u32>]) -> Result<()> {
    for (at, target) in targets.iter().enumerate() {
        let (needed, frames) = (ctc::frames_needed(target), data.inputs.steps(at));
        if needed > frames {
            let item = &data.all.items[at];
            return Err(Error::usage(format!(
                "{}: the text `{}` has {} symbols and needs at least {needed} frames (one for each, and \
                 one between equal neighbours), the sequence has {frames}; correct the text, remove the \
                 row, or take shorter steps (data.hop_ms of sound)",
                item.place,
                crate::data::shown(item.label.as_deref().unwrap_or_default()),
                target.len()
            )));
        }
    }
    Ok(())
}

/// Symbols with a class each; class 0 is the blank.
#[derive(Clone, Debug)]
struct Alphabet {
    symbols: Vec<String>,
    kind: TokenKind,
}

impl Alphabet {
    fn new(symbols: Vec<String>, kind: TokenKind) -> Self {
        Self { symbols, kind }
    }

    /// The symbols of the training part, sorted.
    fn of(data: &Dataset, kind: TokenKind) -> Result<Self> {
        let train = data.part(Part::Train);
        let texts = train.iter().filter_map(|at| data.all.items[*at].label.as_deref());
        let symbols: BTreeSet<String> = texts.flat_map(|text| cut(kind, text)).collect();
        if symbols.is_empty() {
            return Err(Error::usage(format!(
                "{}: all texts of the training part are empty; is data.label right?",
                data.all.name
            )));
        }
        Ok(Self::new(symbols.into_iter().collect(), kind))
    }

    fn unit(&self) -> &'static str {
        if self.kind == TokenKind::Characters { "character" } else { "word" }
    }

    /// The classes of the texts of some sequences.
    fn targets(&self, data: &Dataset, chosen: &[usize]) -> Result<Vec<Vec<u32>>> {
        let target = |at: &usize| {
            let item = &data.all.items[*at];
            let text = item.label.as_deref().unwrap_or_default();
            let class = |symbol: String| {
                let found = self.symbols.binary_search(&symbol);
                found.map(|at| at as u32 + 1).map_err(|_| {
                    Error::usage(format!(
                        "{}: the symbol `{}` of the text `{}` is not among the {} of the training part",
                        item.place,
                        crate::data::shown(&symbol),
                        crate::data::shown(text),
                        self.symbols.len()
                    ))
                })
            };
            cut(self.kind, text).into_iter().map(class).collect()
        };
        chosen.iter().map(target).collect()
    }

    fn text(&self, classes: &[u32]) -> String {
        let symbols: Vec<&str> =
            classes.iter().map(|class| self.symbols[*class as usize - 1].as_str()).collect();
        symbols.join(self.kind.joint())
    }
}

fn cut(kind: TokenKind, text: &str) -> Vec<String> {
    match kind {
        TokenKind::Characters => kind.cut(text),
        TokenKind::Words | TokenKind::Spaced => TokenKind::Spaced.cut(text),
    }
}

/// Sequences that train a transcriber.
struct TranscribeLearner {
    data: Dataset,
    alphabet: Alphabet,
    targets: Vec<Vec<u32>>,
    batches: Batches,
}

/// What is understood of some sequences, with `beam` beginnings kept.
fn transcriptions(
    network: &mut Network<f32>,
    (data, alphabet): (&Dataset, &Alphabet),
    chosen: &[usize],
    beam: usize,
) -> Result<(Vec<Transcription>, Vec<Alignment>)> {
    let outputs = sequences::outputs(network, &data.inputs, chosen)?;
    let classes = network.output_width();
    let (mut found, mut alignments) = (vec![], vec![]);
    for (at, outputs) in chosen.iter().zip(&outputs) {
        let item = &data.all.items[*at];
        let (text, log_probability) = ctc::beam(outputs, classes, beam);
        if alignments.len() < ALIGNED
            && let Some(spans) = ctc::align(outputs, classes, &text)
        {
            let symbols = text.iter().zip(spans).map(|(class, (first, last))| {
                (alphabet.symbols[*class as usize - 1].clone(), first + 1, last + 1)
            });
            let frames = outputs.len() / classes;
            alignments.push(Alignment { id: item.id.clone(), frames, symbols: symbols.collect() });
        }
        found.push(Transcription {
            id: item.id.clone(),
            actual: item.label.clone(),
            predicted: alphabet.text(&text),
            log_probability,
        });
    }
    Ok((found, alignments))
}

/// What is understood of one sequence, and what is heard at each frame.
pub(super) fn say(
    network: &mut Network<f32>,
    (data, reader): (&Dataset, &SequenceReader),
    at: usize,
) -> Result<Said> {
    let Answers::Symbols(symbols, kind) = &reader.answers else {
        return Err(Error::failed("the model hears no symbols"));
    };
    let alphabet = Alphabet::new(symbols.clone(), *kind);
    let (mut found, mut alignments) = transcriptions(network, (data, &alphabet), &[at], BEAM)?;
    let outputs = sequences::outputs(network, &data.inputs, &[at])?;
    let own = found.remove(0);
    Ok(Said::Heard {
        symbols: [&[String::new()], &symbols[..]].concat(),
        posteriors: rows_of(&outputs[0], network.output_width()),
        text: own.predicted,
        log_probability: own.log_probability,
        alignment: alignments.pop(),
    })
}

/// The most frequent text of the training part.
fn most_frequent(data: &Dataset) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for at in data.part(Part::Train) {
        *counts.entry(data.all.items[at].label.as_deref()?).or_default() += 1;
    }
    let most = counts.iter().rev().max_by_key(|(_, count)| **count)?;
    Some((*most.0).to_owned())
}

fn measure(
    network: &mut Network<f32>,
    (data, alphabet): (&Dataset, &Alphabet),
    part: Part,
    beam: usize,
) -> Result<TranscribeReport> {
    let chosen = data.some_of(part)?;
    let (found, alignments) = transcriptions(network, (data, alphabet), &chosen, beam)?;
    let frequent = most_frequent(data);
    Ok(TranscribeReport::new((part.name(), alphabet.unit()), found, alignments, frequent))
}

impl Learner for TranscribeLearner {
    fn description(&self, config: &Config) -> Description {
        sequences::description(config, &self.data.encoder).linear(self.alphabet.symbols.len() + 1)
    }

    fn reader(&self) -> Reader {
        Reader::Sequences(SequenceReader {
            source: self.data.source.clone(),
            encoder: self.data.encoder.clone(),
            answers: Answers::Symbols(self.alphabet.symbols.clone(), self.alphabet.kind),
        })
    }

    fn batches(&self) -> usize {
        self.batches.count()
    }

    fn rows(&self, _: &Config) -> usize {
        self.batches.rows(&self.data.inputs)
    }

    fn names(&self) -> Names {
        Names { unit: "frames", members: "sequences", metric: "symbol error rate" }
    }

    fn validates(&self) -> bool {
        !self.data.part(Part::Validation).is_empty()
    }

    fn learn(
        &mut self,
        network: &mut Network<f32>,
        at: Position,
        noise: Noise,
        gradients: &mut [f32],
    ) -> Result<Learned> {
        let (side, targets) = {
            let _span = span("data");
            let chosen = self.batches.at(at);
            let targets: Vec<&Vec<u32>> = chosen.iter().map(|at| &self.targets[*at]).collect();
            (self.data.inputs.side(&chosen), targets)
        };
        let classes = network.output_width();
        let count = targets.iter().map(|target| target.len().max(1)).sum::<usize>() as f64;
        let found = learn_whole(network, (&side, noise), count, gradients, |b, outputs| {
            ctc::learn(outputs, classes, targets[b])
        })?;
        let loss = LossValue { mean: found.iter().sum::<f64>() / count, count };
        Ok(Learned { loss, units: side.lengths.iter().sum() })
    }

    /// Read off greedily, which is quicker and almost as good.
    fn validate(&mut self, network: &mut Network<f32>) -> Result<Option<f64>> {
        let chosen = self.data.part(Part::Validation);
        if chosen.is_empty() {
            return Ok(None);
        }
        let outputs = sequences::outputs(network, &self.data.inputs, &chosen)?;
        let (mut wrong, mut count) = (0, 0);
        for (at, outputs) in chosen.iter().zip(&outputs) {
            wrong += edits(&ctc::greedy(outputs, network.output_width()), &self.targets[*at]);
            count += self.targets[*at].len();
        }
        Ok(Some(wrong as f64 / count.max(1) as f64))
    }

    fn evaluate(&mut self, network: &mut Network<f32>) -> Result<Evaluation> {
        let both = (&self.data, &self.alphabet);
        Ok(Evaluation::Transcribe(measure(network, both, self.data.held_out(), BEAM)?))
    }
}

/// A trained transcriber.
pub struct Transcriber {
    file: ModelFile,
    reader: SequenceReader,
    alphabet: Alphabet,
    network: Network<f32>,
    beam: usize,
}

impl Transcriber {
    /// Loads a transcriber from a run folder or a model file.
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
        let (Task::Transcribe, Reader::Sequences(reader)) = (file.task(), file.reader()) else {
            return Err(file.is_not_for(Task::Transcribe));
        };
        let Answers::Symbols(symbols, kind) = &reader.answers else {
            return Err(file.is_not_for(Task::Transcribe));
        };
        let alphabet = Alphabet::new(symbols.clone(), *kind);
        let reader = reader.clone();
        Ok(Self {
            network: sequences::network(&file, threads)?,
            reader,
            alphabet,
            file,
            beam: BEAM,
        })
    }

    /// The same, keeping this many beginnings; 1 keeps the best alone.
    #[must_use]
    pub fn with_beam(self, beam: usize) -> Self {
        Self { beam: beam.max(1), ..self }
    }

    /// What is understood of every sequence of a file or folder, and where the symbols of the first ones are
    /// heard.
    ///
    /// # Errors
    /// The file cannot be read or is not what the model reads.
    pub fn transcribe(&mut self, path: &Path) -> Result<(Vec<Transcription>, Vec<Alignment>)> {
        let data = Dataset::other(path, &self.reader, false)?;
        let both = (&data, &self.alphabet);
        let (mut found, alignments) =
            transcriptions(&mut self.network, both, &data.part(Part::All), self.beam)?;
        if self.reader.source.label.as_deref().is_some_and(|label| label == "folder") {
            found.iter_mut().for_each(|transcription| transcription.actual = None);
        }
        Ok((found, alignments))
    }
}

impl Trained for Transcriber {
    fn file(&self) -> &ModelFile {
        &self.file
    }

    fn evaluate(&mut self, part: Option<Part>, path: Option<&Path>) -> Result<Evaluation> {
        let DataConfig::Transcribe(options) = &self.file.config().data else {
            return Err(self.file.is_not_for(Task::Transcribe));
        };
        let (data, part) = Dataset::measured(&self.file, &self.reader, options, (part, path))?;
        let both = (&data, &self.alphabet);
        Ok(Evaluation::Transcribe(measure(&mut self.network, both, part, self.beam)?))
    }

    fn predict(&mut self, path: &Path) -> Result<Predictions> {
        let (found, alignments) = self.transcribe(path)?;
        let csv = report::csv(&found)?;
        let json: Vec<_> = found.iter().map(as_json).collect();
        let known = found.iter().all(|transcription| transcription.actual.is_some());
        let measured = known.then(|| {
            let unit = ("all", self.alphabet.unit());
            Evaluation::Transcribe(TranscribeReport::new(unit, found, alignments, None))
        });
        Ok(Predictions::told("sequences", csv, json, measured))
    }
}
