//! The tasks: what a batch is, what is measured, and how a trained model is used.
//!
//! Each task is a folder, and a `Definition` is its door: its defaults, which settings go together,
//! and its two sides. The side that training sees is a `Learner`: batches by number, a gradient for
//! each, a validation metric, an evaluation at the end. It holds no weights, so the trainer alone
//! decides what is saved. The side that a person uses afterwards is a [`Trained`] model; both read data
//! through the same functions, so what is measured is what is used. `list` names the tasks; nothing
//! else does, neither the trainer nor the run folder.

mod ahead;
mod classify;
pub mod detect;
pub mod examples;
mod fill;
mod forecast;
mod language;
mod list;
mod music;
mod regress;
mod sequences;
mod tag;
mod transcribe;
mod translate;

pub use classify::{ClassPrediction, ClassReport, Classifier, ClassifyReport};
pub use fill::{Blank, FillReport, Filled, Filler, Filling, Guess, NaiveFill};
pub use forecast::{
    BaselineReport, Calibration, Change, Coverage, Forecast, ForecastReport, ForecastStream,
    Forecaster, Interval, Known, Listed, Prediction, Probability, Standardised, StepScores,
    TargetReport, Track, Window, Windows,
};
pub use language::{
    DynamicOptions, GenerateOptions, LanguageModel, LanguageReport, LanguageStream,
};
pub(crate) use list::Tested;
pub use list::{DataConfig, Evaluation, Reader, Task};
pub use music::{ComposeOptions, MusicFrame, MusicModel, MusicReport};
pub use regress::{RegressPrediction, RegressReport, RegressScores, RegressTarget, Regressor};
pub use sequences::{Answers, Number, SequenceReader, Written};
pub use tag::{SpanScores, TagOptions, TagReport, TagScores, TaggedWord, Tagger};
pub use transcribe::{Alignment, BEAM, TranscribeReport, Transcriber, Transcription};
pub use translate::{Attended, Branch, Search, TranslateReport, Translation, Translator};

use crate::config::{Config, ModelConfig};
use crate::data::{Part, Position};
use crate::error::{Error, Result};
use crate::loss::LossValue;
use crate::metrics;
use crate::model_file::ModelFile;
use recurve_nn::{Description, Network, Noise, Recurrent, State};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// A task: the door to its folder.
pub(crate) trait Definition: Sync {
    /// The configuration where nothing is set.
    fn defaults(&self) -> Config;
    /// An error where settings of this task do not go together.
    fn validate(&self, config: &Config) -> Result<()>;
    /// Reads the data and prepares to learn from it. What was guessed is written into the
    /// configuration, and said in sentences.
    fn learner(&self, given: Given<'_>) -> Result<(Box<dyn Learner>, Vec<String>)>;
    /// A trained model for use, with this many threads; 0 takes all.
    fn trained(&self, file: ModelFile, threads: usize) -> Result<Box<dyn Trained>>;
}

/// What a task learns from.
pub(crate) struct Given<'a> {
    /// The file or folder.
    pub(crate) data: &'a Path,
    /// The configuration, which holds the options of this task.
    pub(crate) config: &'a mut Config,
    /// How a run that is resumed reads the data.
    pub(crate) reader: Option<&'a Reader>,
}

impl Given<'_> {
    /// A configuration or reader of another task, which the trainer never gives.
    fn strange(&self) -> Error {
        Error::failed(format!("the options are those of the task {}", self.config.task()))
    }
}

/// What training sees of a task.
pub(crate) trait Learner: Send {
    /// The model for this data.
    fn description(&self, config: &Config) -> Description;
    /// Sets first weights that are known better than at random.
    fn begin(&self, model: &mut recurve_nn::Model<f32>) -> Result<()> {
        let _ = model;
        Ok(())
    }
    /// How a trained model reads data.
    fn reader(&self) -> Reader;
    /// Batches in an epoch.
    fn batches(&self) -> usize;
    /// Steps of a batch, those of all its sequences together.
    fn rows(&self, config: &Config) -> usize;
    /// What things are called where this learning is told of.
    fn names(&self) -> Names;
    /// Whether there is a validation part.
    fn validates(&self) -> bool;
    /// The name of what training is judged by.
    fn metric(&self) -> &'static str {
        if self.validates() { self.names().metric } else { "training loss" }
    }
    /// What is carried from batch to batch, if anything is.
    fn carried(&mut self) -> Option<&mut State<f32>> {
        None
    }
    /// One batch forward and backward: the loss, and the gradient of every weight.
    fn learn(
        &mut self,
        network: &mut Network<f32>,
        at: Position,
        noise: Noise,
        gradients: &mut [f32],
    ) -> Result<Learned>;
    /// Ends what runs beside the training, if anything does.
    fn rest(&mut self) {}
    /// The metric on the validation part, lower is better; none without such a part.
    fn validate(&mut self, network: &mut Network<f32>) -> Result<Option<f64>>;
    /// How good the model is on data that did not train it, beside the naive ones.
    fn evaluate(&mut self, network: &mut Network<f32>) -> Result<Evaluation>;
}

/// What things are called in a task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    /// What a batch is counted in.
    pub(crate) unit: &'static str,
    /// What stands side by side in a batch.
    pub(crate) members: &'static str,
    /// The metric of the validation part.
    pub(crate) metric: &'static str,
}

/// What came of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Learned {
    pub(crate) loss: LossValue,
    /// What [`Names::unit`] counts.
    pub(crate) units: usize,
}

/// A trained model of any task, for use.
pub trait Trained {
    /// The model and everything it was saved with.
    fn file(&self) -> &ModelFile;
    /// Measures the model on a part of a file; what was held out where no part is named, and the data
    /// of the training where no file is. For a part other than all, the file must be that data.
    ///
    /// # Errors
    /// The data cannot be read or is not what the model reads, or there is no such part.
    fn evaluate(&mut self, part: Option<Part>, data: Option<&Path>) -> Result<Evaluation>;
    /// Runs over a whole file.
    ///
    /// # Errors
    /// The data cannot be read or is not what the model reads.
    fn predict(&mut self, data: &Path) -> Result<Predictions>;
}

/// Loads a trained model of any task: a run folder, `runs/latest`, or a model file. Threads change no
/// result; 0 takes all.
///
/// # Errors
/// There is no model, or it is none of this program.
pub fn load(path: &Path, threads: usize) -> Result<Box<dyn Trained>> {
    let file = ModelFile::load(path)?;
    file.task().definition().trained(file, threads)
}

/// What a model says about every item of a file.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// What they are, in the plural.
    pub what: &'static str,
    /// All of them as a CSV file.
    pub csv: Vec<u8>,
    /// Each as JSON.
    pub json: Vec<Value>,
    /// How good they are, where the file says what is right: as fields, and in sentences.
    pub scores: (serde_json::Map<String, Value>, Vec<String>),
}

impl Predictions {
    /// Predictions, and how good they are where the file says what is right.
    fn told(
        what: &'static str,
        csv: Vec<u8>,
        json: Vec<Value>,
        measured: Option<Evaluation>,
    ) -> Self {
        let mut scores = (serde_json::Map::new(), vec![]);
        if let Some(measured) = measured {
            scores.1 = measured.report().summary();
            scores.0.insert("scores".to_owned(), as_json(&measured));
        }
        Self { what, csv, json, scores }
    }
}

/// What serialises, as JSON.
fn as_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// What every evaluation can tell.
pub trait Report {
    /// The result in sentences for a person.
    fn summary(&self) -> Vec<String>;
    /// The result in one sentence, without what it is compared with.
    fn headline(&self) -> String;
    /// The measures that are compared between runs, by name, the most important first; none for a task
    /// that is not cut into folds.
    fn measures(&self) -> Vec<(String, f64)> {
        vec![]
    }
    /// How much better than the naive models it is, the most important first.
    fn skills(&self) -> &[Skill];
    /// The naive models that a model must beat to be of use.
    fn naive(&self) -> &'static [&'static str];
    /// What was predicted, as the file `predictions.csv` of a run.
    ///
    /// # Errors
    /// What the writer says.
    fn predictions(&self) -> Result<Option<Vec<u8>>>;
    /// Another file of a run, by its name, that the model needs in use.
    ///
    /// # Errors
    /// What the writer says.
    fn beside(&self) -> Result<Option<(&'static str, Vec<u8>)>> {
        Ok(None)
    }
}

/// How much better than a naive model: `1 - error / error of the naive one`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Skill {
    /// The naive model.
    pub baseline: String,
    /// 0.21 is 21 % better, negative is worse.
    pub skill: f64,
}

impl Skill {
    /// The skill of an error against that of a naive model; none where that makes none.
    fn of(baseline: &str, error: f64, naive: f64) -> Option<Self> {
        Some(Self { baseline: baseline.to_owned(), skill: metrics::skill(error, naive)? })
    }
}

/// A skill in words.
fn better(skill: f64, than: &str) -> String {
    let percent = 100.0 * skill;
    if percent >= 0.0 {
        format!("{percent:.1} % better than {than}")
    } else {
        format!("{:.1} % worse than {than}", -percent)
    }
}

/// Measures of which some may be absent.
fn named<const N: usize>(measures: [(&str, Option<f64>); N]) -> Vec<(String, f64)> {
    let there = measures.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    there.collect()
}

/// A number with four digits that matter.
fn short(value: f64) -> String {
    if value != 0.0 && !(1e-4..1e9).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let digits = (3.0 - value.abs().max(1e-12).log10().floor()).clamp(0.0, 12.0);
    format!("{value:.*}", digits as usize)
}

/// The recurrent layers of a configuration, with what stands between them and the output.
fn stack(config: &Config, below: Description) -> Description {
    let model = &config.model;
    let dropped = |description: Description| match model.dropout {
        0.0 => description,
        rate if model.locked => description.locked_dropout(rate),
        rate => description.dropout(rate),
    };
    let mut description = match model.sizes.split_first() {
        None => below.recurrent(recurrent(model, model.hidden, model.layers)),
        Some((first, others)) => {
            let lowest = below.recurrent(recurrent(model, *first, 1));
            others
                .iter()
                .fold(lowest, |below, size| dropped(below).recurrent(recurrent(model, *size, 1)))
        }
    };
    if let Some(pooling) = model.pooling {
        description = description.pool(pooling);
    }
    if model.layer_norm {
        description = description.layer_norm();
    }
    dropped(description)
}

/// Layers of one size, as a configuration wants them.
fn recurrent(model: &ModelConfig, hidden: usize, layers: usize) -> Recurrent {
    let mut recurrent = Recurrent::new(model.cell, hidden).layers(layers).bias(model.bias);
    let above_zero = |clip: f64| Some(clip).filter(|clip| *clip > 0.0);
    recurrent = Recurrent {
        heads: model.heads,
        projection: Some(model.projection).filter(|width| *width > 0),
        clip_state: above_zero(model.clip_state),
        projection_clip: above_zero(model.projection_clip),
        layer_norm: model.recurrent_norm,
        gate_recurrence: model.gate_recurrence,
        zoneout: model.zoneout,
        zoneout_cell: model.zoneout_cell,
        recurrent_dropout: model.recurrent_dropout,
        candidate_dropout: model.candidate_dropout,
        ..recurrent
    };
    if layers > 1 {
        recurrent = Recurrent { dropout: model.dropout, locked: model.locked, ..recurrent };
    }
    if model.bidirectional {
        recurrent = recurrent.bidirectional().merge(model.merge);
    }
    recurrent
        .connection(model.connection)
        .initial(model.initial)
        .weight_dropout(model.weight_dropout)
}

/// The CSV that `write` writes.
pub(crate) fn csv_of(
    write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>,
) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(vec![]);
    write(&mut writer).map_err(|error| Error::failed("cannot make the CSV").with_source(error))?;
    writer.into_inner().map_err(|error| Error::failed(format!("cannot make the CSV: {error}")))
}

/// The probabilities of some outputs.
fn softmax(outputs: &[f32]) -> Vec<f64> {
    let greatest = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = outputs.iter().map(|output| f64::from(output - greatest).exp());
    let powers: Vec<f64> = powers.collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// A batch that the layers refuse although the data was checked.
fn refused(error: recurve_nn::Error) -> Error {
    Error::failed(format!("the model refuses the batch: {error}"))
}
