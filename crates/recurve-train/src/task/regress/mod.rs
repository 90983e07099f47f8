//! Numbers of sequences: one for the whole, or one at every step.
//!
//! For the whole, the steps become one vector, as in a classifier; at every step, the outputs are those of
//! the recurrent layers there. The steps that are left before the end (remaining useful life) are a target
//! of every step that the data need not hold; a layer that reads from the end would see the answer, so it
//! is refused there.

mod report;

pub use report::{RegressPrediction, RegressReport, RegressScores, RegressTarget};

use super::examples::Said;
use super::sequences::{self, Answers, Batches, Dataset, Number, SequenceReader};
use super::{
    DataConfig, Evaluation, Given, Learned, Learner, Names, Predictions, Reader, Task, Trained,
    as_json, refused,
};
use crate::config::{Config, ModelConfig, TrainConfig, adamw};
use crate::data::{Part, Position, Scaler, ScalerKind, SequenceOptions, Wanted};
use crate::error::{Error, Result};
use crate::loss::{Loss, Targets};
use crate::metrics::rmse;
use crate::model_file::ModelFile;
use crate::stopping::StoppingConfig;
use recurve_nn::profile::span;
use recurve_nn::{Description, Model, Network, Noise, Pooling};
use std::path::{Path, PathBuf};

/// What the steps that are left are called.
const REMAINING: &str = "remaining";

/// The task `regress`.
pub(crate) struct Definition;

impl super::Definition for Definition {
    fn defaults(&self) -> Config {
        let shared = Config::shared();
        Config {
            data: DataConfig::Regress(SequenceOptions::default()),
            model: ModelConfig {
                pooling: None,
                relative: None,
                rescale: None,
                paths: None,
                dropout: 0.2,
                ..shared.model
            },
            train: TrainConfig { epochs: 60, ..shared.train },
            optimiser: adamw(3e-3, 1e-2),
            stopping: StoppingConfig { patience: 15, ..StoppingConfig::default() },
            ..shared
        }
    }

    fn validate(&self, config: &Config) -> Result<()> {
        match config.loss {
            Loss::CrossEntropy { .. } | Loss::BinaryCrossEntropy {} => Err(Error::usage(
                "a regression is trained with loss.kind = \"mse\", \"mae\" or \"huber\", not the \
                 cross-entropy",
            )),
            _ => Ok(()),
        }
    }

    fn learner(&self, given: Given<'_>) -> Result<(Box<dyn Learner>, Vec<String>)> {
        let DataConfig::Regress(options) = &given.config.data else {
            return Err(given.strange());
        };
        let options = options.clone();
        let reader = match given.reader {
            Some(Reader::Sequences(reader)) => Some(reader),
            _ => None,
        };
        let seed = given.config.train.seed;
        let data = Dataset::read(given.data, &options, seed, (Wanted::Numbers, reader))?;
        sequences::settle(given.config, &options, &data, given.data)?;
        let (per_step, model) = (data.source.per_step, &mut given.config.model);
        if per_step && model.pooling.is_some() {
            return Err(Error::usage(
                "model.pooling is set, but every step has a target of its own; leave it out",
            ));
        }
        if data.source.remaining && model.bidirectional {
            return Err(Error::usage(
                "model.bidirectional is on, but a layer that reads from the end of a sequence sees how \
                 many steps are left; set it to false",
            ));
        }
        if !per_step {
            model.pooling.get_or_insert(Pooling::Mean);
        }
        let numbers = match reader.map(|reader| &reader.answers) {
            Some(Answers::Numbers(numbers)) => numbers.clone(),
            _ => scaled(&data),
        };
        let notes = data.describe();
        let vectors = options.vectors.as_ref().map(|name| sequences::beside(given.data, name));
        let batches = Batches::new(given.config, data.part(Part::Train));
        let loss = given.config.loss;
        Ok((Box::new(RegressLearner { data, numbers, loss, batches, vectors }), notes))
    }

    fn trained(&self, file: ModelFile, threads: usize) -> Result<Box<dyn Trained>> {
        Ok(Box::new(Regressor::of(file, threads)?))
    }
}

/// The numbers of one sequence.
pub(super) fn say(
    network: &mut Network<f32>,
    data: &Dataset,
    numbers: &[Number],
    at: usize,
) -> Result<Said> {
    let outputs = sequences::outputs(network, &data.inputs, &[at])?;
    let width = numbers.len();
    let restore = |row: &[f32]| {
        let both = row.iter().zip(numbers);
        both.map(|(value, number)| number.scaler.restore(f64::from(*value))).collect()
    };
    let actual = data.all.items[at].values.iter().flatten().copied().collect::<Vec<f64>>();
    Ok(Said::Numbers {
        targets: numbers.iter().map(|number| number.name.clone()).collect(),
        predicted: outputs[0].chunks_exact(width).map(restore).collect(),
        actual: actual.chunks_exact(width).map(<[f64]>::to_vec).collect(),
    })
}

/// The targets, scaled by the training part.
fn scaled(data: &Dataset) -> Vec<Number> {
    let names = if data.source.remaining {
        vec![REMAINING.to_owned()]
    } else if data.source.targets.is_empty() {
        vec!["target".to_owned()]
    } else {
        data.source.targets.clone()
    };
    let (train, width) = (data.part(Part::Train), names.len());
    let number = |(at, name): (usize, String)| {
        let own = train.iter().filter_map(|item| data.all.items[*item].values.as_ref());
        let own: Vec<f64> =
            own.flat_map(|values| values.iter().skip(at).step_by(width).copied()).collect();
        Number { name, scaler: Scaler::fit(ScalerKind::Standard, &own) }
    };
    names.into_iter().enumerate().map(number).collect()
}

/// Sequences that train a regression.
struct RegressLearner {
    data: Dataset,
    numbers: Vec<Number>,
    loss: Loss,
    batches: Batches,
    vectors: Option<PathBuf>,
}

/// What the model says about some sequences; what is right beside it, where the file knows.
fn predictions(
    network: &mut Network<f32>,
    data: &Dataset,
    numbers: &[Number],
    chosen: &[usize],
) -> Result<Vec<RegressPrediction>> {
    let outputs = sequences::outputs(network, &data.inputs, chosen)?;
    let (mut found, width) = (vec![], numbers.len());
    for (at, outputs) in chosen.iter().zip(outputs) {
        let item = &data.all.items[*at];
        let rows = outputs.len() / width;
        for (target, number) in numbers.iter().enumerate() {
            for row in 0..rows {
                let place = row * width + target;
                found.push(RegressPrediction {
                    id: item.id.clone(),
                    step: data.source.per_step.then_some(row + 1),
                    target: number.name.clone(),
                    actual: item.values.as_ref().and_then(|values| values.get(place)).copied(),
                    predicted: number.scaler.restore(f64::from(outputs[place])),
                    last: row + 1 == rows,
                });
            }
        }
    }
    Ok(found)
}

fn measure(
    (part, data): (Part, &Dataset),
    numbers: &[Number],
    found: Vec<RegressPrediction>,
) -> RegressReport {
    let names: Vec<String> = numbers.iter().map(|number| number.name.clone()).collect();
    // The standard scaler shifts by the mean of the training part.
    let means: Vec<f64> = numbers.iter().map(|number| number.scaler.shift).collect();
    RegressReport::new(part.name(), (&names, &means), data.source.remaining, found)
}

impl Learner for RegressLearner {
    fn description(&self, config: &Config) -> Description {
        sequences::description(config, &self.data.encoder).linear(self.numbers.len())
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
            answers: Answers::Numbers(self.numbers.clone()),
        })
    }

    fn batches(&self) -> usize {
        self.batches.count()
    }

    fn rows(&self, _: &Config) -> usize {
        self.batches.rows(&self.data.inputs)
    }

    fn names(&self) -> Names {
        Names {
            unit: "steps",
            members: "sequences",
            metric: if self.numbers.len() == 1 { "RMSE" } else { "RMSE over standard deviation" },
        }
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
        let (side, chosen) = {
            let _span = span("data");
            let chosen = self.batches.at(at);
            (self.data.inputs.side(&chosen), chosen)
        };
        let batch = side.batch();
        let width = self.numbers.len();
        let value = |b: usize, row: usize, target: usize| {
            let values = self.data.all.items[chosen[b]].values.as_ref();
            let value = values.map_or(0.0, |values| values[row * width + target]);
            self.numbers[target].scaler.apply(value) as f32
        };
        let y: Vec<f32> = if self.data.source.per_step {
            let order = network.prepare(&batch).map_err(refused)?;
            let rows = order.places().flat_map(|(_, t, b)| (0..width).map(move |n| (b, t, n)));
            rows.map(|(b, t, n)| value(b, t, n)).collect()
        } else {
            let rows = (0..chosen.len()).flat_map(|b| (0..width).map(move |n| (b, n)));
            rows.map(|(b, n)| value(b, 0, n)).collect()
        };
        let shape = (y.len() / width, width);
        let mut loss = self.loss.piecewise(network.engine(), shape, Targets::Values(&y), None)?;
        let mut judge = |rows, outputs: &mut [f32]| loss.backward(rows, outputs);
        network.learn(&batch, None, noise, &mut judge, gradients).map_err(refused)?;
        Ok(Learned { loss: loss.value(), units: side.lengths.iter().sum() })
    }

    fn validate(&mut self, network: &mut Network<f32>) -> Result<Option<f64>> {
        let chosen = self.data.part(Part::Validation);
        if chosen.is_empty() {
            return Ok(None);
        }
        let found = predictions(network, &self.data, &self.numbers, &chosen)?;
        let errors = self.numbers.iter().map(|number| {
            let own = || found.iter().filter(|p| p.target == number.name);
            let said: Vec<f64> = own().map(|p| p.predicted).collect();
            let right: Vec<f64> = own().filter_map(|p| p.actual).collect();
            let scale = if self.numbers.len() == 1 { 1.0 } else { number.scaler.scale };
            rmse(&said, &right) / scale
        });
        Ok(Some(errors.sum::<f64>() / self.numbers.len() as f64))
    }

    fn evaluate(&mut self, network: &mut Network<f32>) -> Result<Evaluation> {
        let part = self.data.held_out();
        let chosen = self.data.some_of(part)?;
        let found = predictions(network, &self.data, &self.numbers, &chosen)?;
        Ok(Evaluation::Regress(measure((part, &self.data), &self.numbers, found)))
    }
}

/// A trained regression.
pub struct Regressor {
    file: ModelFile,
    reader: SequenceReader,
    numbers: Vec<Number>,
    network: Network<f32>,
}

impl Regressor {
    /// Loads a regression from a run folder or a model file.
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
        let (Task::Regress, Reader::Sequences(reader)) = (file.task(), file.reader()) else {
            return Err(file.is_not_for(Task::Regress));
        };
        let Answers::Numbers(numbers) = &reader.answers else {
            return Err(file.is_not_for(Task::Regress));
        };
        let (reader, numbers) = (reader.clone(), numbers.clone());
        Ok(Self { network: sequences::network(&file, threads)?, reader, numbers, file })
    }

    /// What the model says about every sequence of a file, answers or not.
    ///
    /// # Errors
    /// The file cannot be read or is not what the model reads.
    pub fn regress(&mut self, path: &Path) -> Result<Vec<RegressPrediction>> {
        let data = Dataset::other(path, &self.reader, false)?;
        let mut found =
            predictions(&mut self.network, &data, &self.numbers, &data.part(Part::All))?;
        if self.reader.source.remaining {
            // How far a sequence goes on is not known.
            found.iter_mut().for_each(|prediction| prediction.actual = None);
        }
        Ok(found)
    }
}

impl Trained for Regressor {
    fn file(&self) -> &ModelFile {
        &self.file
    }

    fn evaluate(&mut self, part: Option<Part>, path: Option<&Path>) -> Result<Evaluation> {
        let DataConfig::Regress(options) = &self.file.config().data else {
            return Err(self.file.is_not_for(Task::Regress));
        };
        let (data, part) = Dataset::measured(&self.file, &self.reader, options, (part, path))?;
        let chosen = data.some_of(part)?;
        let found = predictions(&mut self.network, &data, &self.numbers, &chosen)?;
        Ok(Evaluation::Regress(measure((part, &data), &self.numbers, found)))
    }

    fn predict(&mut self, path: &Path) -> Result<Predictions> {
        let found = self.regress(path)?;
        let csv = report::csv(&found)?;
        let json: Vec<_> = found.iter().map(as_json).collect();
        let known = found.iter().all(|prediction| prediction.actual.is_some());
        let measured = known.then(|| {
            let names: Vec<String> =
                self.numbers.iter().map(|number| number.name.clone()).collect();
            let means: Vec<f64> = self.numbers.iter().map(|number| number.scaler.shift).collect();
            Evaluation::Regress(RegressReport::new("all", (&names, &means), false, found))
        });
        Ok(Predictions::told("values", csv, json, measured))
    }
}
