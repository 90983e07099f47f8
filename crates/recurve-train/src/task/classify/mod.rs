//! Classes of whole sequences: sensor recordings, texts, sounds.
//!
//! The sequence is read, its steps become one vector, and a linear layer gives a number for each class,
//! trained by the cross-entropy. Classes may count by how rare they are (`data.class_weights`).

mod report;

pub use report::{ClassPrediction, ClassReport, ClassifyReport};

use super::examples::Said;
use super::sequences::{self, Answers, Batches, Dataset, SequenceReader};
use super::{
    DataConfig, Evaluation, Given, Learned, Learner, Names, Predictions, Reader, Task, Trained,
    refused,
};
use crate::config::{Config, ModelConfig, TrainConfig, adamw};
use crate::data::{ClassWeights, Part, Position, SequenceOptions, Wanted};
use crate::error::{Error, Result};
use crate::loss::{Loss, Targets};
use crate::model_file::ModelFile;
use crate::stopping::StoppingConfig;
use recurve_nn::profile::span;
use recurve_nn::{Description, Model, Network, Noise, Pooling};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The task `classify`.
pub(crate) struct Definition;

impl super::Definition for Definition {
    fn defaults(&self) -> Config {
        let shared = Config::shared();
        Config {
            data: DataConfig::Classify(SequenceOptions::default()),
            model: ModelConfig {
                bidirectional: true,
                pooling: Some(Pooling::Mean),
                relative: None,
                rescale: None,
                paths: None,
                dropout: 0.2,
                ..shared.model
            },
            train: TrainConfig { epochs: 60, ..shared.train },
            optimiser: adamw(3e-3, 1e-2),
            stopping: StoppingConfig { patience: 15, ..StoppingConfig::default() },
            loss: Loss::CrossEntropy { label_smoothing: 0.0 },
            ..shared
        }
    }

    fn validate(&self, config: &Config) -> Result<()> {
        match config.loss {
            Loss::CrossEntropy { .. } => Ok(()),
            _ => Err(Error::usage("a classifier is trained with loss.kind = \"cross-entropy\"")),
        }
    }

    fn learner(&self, given: Given<'_>) -> Result<(Box<dyn Learner>, Vec<String>)> {
        let DataConfig::Classify(options) = &given.config.data else {
            return Err(given.strange());
        };
        let options = options.clone();
        let reader = match given.reader {
            Some(Reader::Sequences(reader)) => Some(reader),
            _ => None,
        };
        let seed = given.config.train.seed;
        let data = Dataset::read(given.data, &options, seed, (Wanted::Class, reader))?;
        sequences::settle(given.config, &options, &data, given.data)?;
        let names = match reader.map(|reader| &reader.answers) {
            Some(Answers::Classes(names)) => names.clone(),
            _ => classes(&data)?,
        };
        let mut notes = data.describe();
        notes.push(format!("{} classes: {}", names.len(), listed(&names)));
        let vectors = options.vectors.as_ref().map(|name| sequences::beside(given.data, name));
        let learner = ClassifyLearner::new(data, names, given.config, (&options, vectors))?;
        Ok((Box::new(learner), notes))
    }

    fn trained(&self, file: ModelFile, threads: usize) -> Result<Box<dyn Trained>> {
        Ok(Box::new(Classifier::of(file, threads)?))
    }
}

/// The class of one sequence.
pub(super) fn say(
    network: &mut Network<f32>,
    data: &Dataset,
    names: &[String],
    at: usize,
) -> Result<Said> {
    let outputs = sequences::outputs(network, &data.inputs, &[at])?;
    Ok(Said::Class { classes: names.to_vec(), probabilities: super::softmax(&outputs[0]) })
}

/// The classes of the training part, sorted.
fn classes(data: &Dataset) -> Result<Vec<String>> {
    let train = data.part(Part::Train);
    let labels = train.iter().filter_map(|at| data.all.items[*at].label.clone());
    let names: Vec<String> = labels.collect::<BTreeSet<String>>().into_iter().collect();
    if names.len() < 2 {
        return Err(Error::usage(format!(
            "{}: the training part has {} class ({}); there must be at least 2. Is data.label right?",
            data.all.name,
            names.len(),
            listed(&names)
        )));
    }
    Ok(names)
}

fn listed(names: &[String]) -> String {
    let mut words: Vec<String> = names.iter().take(12).map(|name| format!("`{name}`")).collect();
    if names.len() > 12 {
        words.push("…".to_owned());
    }
    words.join(", ")
}

/// The number of the class of each of some sequences.
fn numbers(data: &Dataset, names: &[String], chosen: &[usize]) -> Result<Vec<usize>> {
    let number = |at: &usize| {
        let item = &data.all.items[*at];
        let label = item.label.as_deref().unwrap_or_default();
        names.iter().position(|name| name == label).ok_or_else(|| {
            Error::usage(format!(
                "{}: the label `{}` is not among the {} of the training part: {}",
                item.place,
                crate::data::shown(label),
                names.len(),
                listed(names)
            ))
        })
    };
    chosen.iter().map(number).collect()
}

/// Sequences that train a classifier.
struct ClassifyLearner {
    data: Dataset,
    names: Vec<String>,
    /// The class of every sequence.
    actual: Vec<usize>,
    /// How much each class counts.
    weights: Option<Vec<f32>>,
    majority: usize,
    loss: Loss,
    batches: Batches,
    vectors: Option<PathBuf>,
}

impl ClassifyLearner {
    fn new(
        data: Dataset,
        names: Vec<String>,
        config: &Config,
        (options, vectors): (&SequenceOptions, Option<PathBuf>),
    ) -> Result<Self> {
        let all: Vec<usize> = (0..data.all.items.len()).collect();
        let actual = numbers(&data, &names, &all)?;
        let train = data.part(Part::Train);
        let counts = |class| train.iter().filter(|at| actual[**at] == class).count();
        let counts: Vec<usize> = (0..names.len()).map(counts).collect();
        let majority = majority(&counts);
        let weights = (options.class_weights == Some(ClassWeights::Balanced)).then(|| {
            let even = train.len() as f32 / names.len() as f32;
            counts.iter().map(|count| even / (*count).max(1) as f32).collect()
        });
        let batches = Batches::new(config, train);
        Ok(Self { data, names, actual, weights, majority, loss: config.loss, batches, vectors })
    }

    fn measure(&self, network: &mut Network<f32>, part: Part) -> Result<ClassifyReport> {
        let chosen = self.data.some_of(part)?;
        let found = predictions(network, &self.data, &self.names, &chosen)?;
        let actual: Vec<usize> = chosen.iter().map(|at| self.actual[*at]).collect();
        Ok(ClassifyReport::new(part.name(), (&self.names, self.majority), &actual, found))
    }
}

/// The first of the most frequent classes.
fn majority(counts: &[usize]) -> usize {
    (0..counts.len()).rev().max_by_key(|class| counts[*class]).unwrap_or(0)
}

/// What the model says about some sequences.
fn predictions(
    network: &mut Network<f32>,
    data: &Dataset,
    names: &[String],
    chosen: &[usize],
) -> Result<Vec<ClassPrediction>> {
    let outputs = sequences::outputs(network, &data.inputs, chosen)?;
    let prediction = |(at, outputs): (&usize, Vec<f32>)| {
        let probabilities = super::softmax(&outputs);
        let best = (0..names.len()).rev().max_by(|a, b| outputs[*a].total_cmp(&outputs[*b]));
        ClassPrediction {
            id: data.all.items[*at].id.clone(),
            actual: data.all.items[*at].label.clone(),
            predicted: names[best.unwrap_or(0)].clone(),
            probabilities,
        }
    };
    Ok(chosen.iter().zip(outputs).map(prediction).collect())
}

impl Learner for ClassifyLearner {
    fn description(&self, config: &Config) -> Description {
        sequences::description(config, &self.data.encoder).linear(self.names.len())
    }

    fn begin(&self, model: &mut Model<f32>) -> Result<()> {
        if let Some(path) = &self.vectors {
            sequences::begin(model, &self.data.encoder, path)?;
        }
        Ok(())
    }

    fn reader(&self) -> Reader {
        Reader::Sequences(SequenceReader {
            source: self.data.source.clone(),
            encoder: self.data.encoder.clone(),
            answers: Answers::Classes(self.names.clone()),
        })
    }

    fn batches(&self) -> usize {
        self.batches.count()
    }

    fn rows(&self, _: &Config) -> usize {
        self.batches.rows(&self.data.inputs)
    }

    fn names(&self) -> Names {
        Names { unit: "steps", members: "sequences", metric: "cross-entropy" }
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
        let (side, classes, weights) = {
            let _span = span("data");
            let chosen = self.batches.at(at);
            let classes: Vec<u32> = chosen.iter().map(|at| self.actual[*at] as u32).collect();
            let weights = self.weights.as_ref().map(|weights| {
                classes.iter().map(|class| weights[*class as usize]).collect::<Vec<f32>>()
            });
            (self.data.inputs.side(&chosen), classes, weights)
        };
        let shape = (classes.len(), self.names.len());
        let targets = Targets::Classes(&classes);
        let mut loss = self.loss.piecewise(network.engine(), shape, targets, weights.as_deref())?;
        let mut judge = |rows, outputs: &mut [f32]| loss.backward(rows, outputs);
        network.learn(&side.batch(), None, noise, &mut judge, gradients).map_err(refused)?;
        Ok(Learned { loss: loss.value(), units: side.lengths.iter().sum() })
    }

    fn validate(&mut self, network: &mut Network<f32>) -> Result<Option<f64>> {
        if self.data.part(Part::Validation).is_empty() {
            return Ok(None);
        }
        Ok(Some(self.measure(network, Part::Validation)?.nats))
    }

    fn evaluate(&mut self, network: &mut Network<f32>) -> Result<Evaluation> {
        Ok(Evaluation::Classify(self.measure(network, self.data.held_out())?))
    }
}

/// A trained classifier.
pub struct Classifier {
    file: ModelFile,
    reader: SequenceReader,
    names: Vec<String>,
    network: Network<f32>,
}

impl Classifier {
    /// Loads a classifier from a run folder or a model file.
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
        let (Task::Classify, Reader::Sequences(reader)) = (file.task(), file.reader()) else {
            return Err(file.is_not_for(Task::Classify));
        };
        let Answers::Classes(names) = &reader.answers else {
            return Err(file.is_not_for(Task::Classify));
        };
        let (reader, names) = (reader.clone(), names.clone());
        Ok(Self { network: sequences::network(&file, threads)?, reader, names, file })
    }

    /// The classes.
    pub fn classes(&self) -> &[String] {
        &self.names
    }

    /// What the model says about every sequence of a file or folder, labels or not.
    ///
    /// # Errors
    /// The file cannot be read or is not what the model reads.
    pub fn classify(&mut self, path: &Path) -> Result<Vec<ClassPrediction>> {
        let data = Dataset::other(path, &self.reader, false)?;
        predictions(&mut self.network, &data, &self.names, &data.part(Part::All))
    }

    /// The class that is most frequent in the training part, which `file` holds.
    fn majority(&self, data: &Dataset) -> Result<usize> {
        let train = numbers(data, &self.names, &data.part(Part::Train))?;
        let count = |class| train.iter().filter(|at| **at == class).count();
        Ok(majority(&(0..self.names.len()).map(count).collect::<Vec<_>>()))
    }
}

impl Trained for Classifier {
    fn file(&self) -> &ModelFile {
        &self.file
    }

    fn evaluate(&mut self, part: Option<Part>, path: Option<&Path>) -> Result<Evaluation> {
        let DataConfig::Classify(options) = &self.file.config().data else {
            return Err(self.file.is_not_for(Task::Classify));
        };
        let (data, part) = Dataset::measured(&self.file, &self.reader, options, (part, path))?;
        let chosen = data.some_of(part)?;
        let actual = numbers(&data, &self.names, &chosen)?;
        let found = predictions(&mut self.network, &data, &self.names, &chosen)?;
        // Of a file without a training part, its own.
        let train = data.part(Part::Train);
        let majority = if train.is_empty() {
            let count = |class| actual.iter().filter(|at| **at == class).count();
            majority(&(0..self.names.len()).map(count).collect::<Vec<_>>())
        } else {
            self.majority(&data)?
        };
        let names = (&self.names[..], majority);
        Ok(Evaluation::Classify(ClassifyReport::new(part.name(), names, &actual, found)))
    }

    fn predict(&mut self, path: &Path) -> Result<Predictions> {
        let found = self.classify(path)?;
        let csv = report::csv(&self.names, &found)?;
        let json: Vec<_> = found.iter().map(|own| report::json(&self.names, own)).collect();
        let known: Option<Vec<usize>> = found
            .iter()
            .map(|p| self.names.iter().position(|name| Some(name) == p.actual.as_ref()))
            .collect();
        let measured = known.map(|actual| {
            let count = |class| actual.iter().filter(|at| **at == class).count();
            let most = majority(&(0..self.names.len()).map(count).collect::<Vec<_>>());
            let report = ClassifyReport::new("all", (&self.names, most), &actual, found);
            Evaluation::Classify(report)
        });
        Ok(Predictions::told("sequences", csv, json, measured))
    }
}
