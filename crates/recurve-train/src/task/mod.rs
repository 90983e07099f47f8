//! The tasks: what a batch is, what is measured, and how a trained model is used.
//!
//! A learner is the side that training sees: batches by number, a gradient for each, a validation
//! metric, an evaluation at the end. It holds no weights, so the trainer alone decides what is saved.
//! The other side, [`Forecaster`] and [`LanguageModel`], is what a person uses afterwards; both sides
//! read windows and text through the same functions, so what is measured is what is used.
//!
//! Forecasts are *direct*: the window is read, its steps become one vector, and a linear layer gives
//! the whole horizon at once, in the scaled and transformed units that the loss sees. Language models
//! emit the distribution of the next token at every step, trained by truncated backpropagation
//! through time whose state is carried from batch to batch.

mod ahead;
mod forecast;
mod forecaster;
mod generation;
mod language;
mod language_model;
mod report;

pub use forecaster::{Forecast, ForecastStream, Forecaster};
pub use generation::GenerateOptions;
pub use language_model::{LanguageModel, LanguageStream};
pub use report::{
    BaselineReport, Evaluation, ForecastReport, LanguageReport, Prediction, Skill, TargetReport,
};

pub(crate) use forecast::ForecastLearner;
pub(crate) use language::LanguageLearner;

use crate::config::Config;
use crate::data::Position;
use crate::error::{Error, Result};
use crate::loss::LossValue;
use crate::model_file::Reader;
use recurve_nn::{Description, Network, Noise, Recurrent, State};

/// What training sees of a task.
pub(crate) trait Learner {
    /// The model for this data.
    fn description(&self, config: &Config) -> Description;
    /// How a trained model reads data.
    fn reader(&self) -> Reader;
    /// Batches in an epoch.
    fn batches(&self) -> usize;
    /// Steps of a batch, those of all its sequences together.
    fn rows(&self, config: &Config) -> usize;
    /// What a batch is counted in.
    fn unit(&self) -> &'static str;
    /// The name of the validation metric.
    fn metric(&self) -> &'static str;
    /// What is carried from batch to batch, if anything is.
    fn carried(&mut self) -> Option<&mut State<f32>>;
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

/// What came of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Learned {
    pub(crate) loss: LossValue,
    /// Windows or tokens.
    pub(crate) units: usize,
}

/// The recurrent stack of a configuration, with what stands between it and the output.
fn stack(config: &Config, below: Description) -> Description {
    let model = &config.model;
    let mut recurrent =
        Recurrent::new(model.cell, model.hidden).layers(model.layers).bias(model.bias);
    if model.layers > 1 {
        recurrent = recurrent.dropout(model.dropout);
    }
    if model.bidirectional {
        recurrent = recurrent.bidirectional();
    }
    let mut description = below.recurrent(recurrent);
    if let Some(pooling) = model.pooling {
        description = description.pool(pooling);
    }
    if model.layer_norm {
        description = description.layer_norm();
    }
    if model.dropout > 0.0 {
        description = description.dropout(model.dropout);
    }
    description
}

/// A batch that the layers refuse although the data was checked.
fn refused(error: recurve_nn::Error) -> Error {
    Error::failed(format!("the model refuses the batch: {error}"))
}
