//! What a change of the model costs: the loss over what did not train it, with and without.

use crate::subject::{Sample, Subject, log_softmax};
use crate::trace::unsound;
use recurve_nn::{Batch, Engine, Mode, Model, Network};
use recurve_train::error::Result;
use recurve_train::model_file::ModelFile;
use recurve_train::task::examples::Measures;
use std::path::Path;

/// What a loss is measured on.
pub(crate) enum Measured<'a> {
    /// Pieces of a text.
    Text(Sample, Facts, Engine),
    /// The validation part, by the metric of the training.
    Validation(&'a mut Measures, Facts, Engine),
}

/// What is told of a loss.
pub(crate) struct Facts {
    /// What it counts in.
    pub(crate) unit: String,
    /// What it is measured over.
    pub(crate) over: String,
    /// That of the model without a change.
    pub(crate) whole: f64,
}

impl<'a> Measured<'a> {
    /// Pieces of a text, or the validation part, with the loss of the model as it is.
    ///
    /// # Errors
    /// The data is not there, or has no such part.
    pub(crate) fn of(
        subject: &Subject,
        (file, data): (&ModelFile, Option<&Path>),
        engine: Engine,
        measures: &'a mut Option<Measures>,
    ) -> Result<Self> {
        if let Subject::Text(text) = subject {
            let sample = text.sample()?;
            let facts = Facts {
                unit: format!("bits per {}", text.vocabulary.unit()),
                over: format!(
                    "{} sequences of {} steps that did not train",
                    sample.batch, sample.steps
                ),
                whole: loss(file.model(), engine, &sample)?,
            };
            return Ok(Self::Text(sample, facts, engine));
        }
        let measures = match measures {
            Some(measures) => measures,
            None => measures.insert(Measures::of(file, data)?),
        };
        let (whole, unit) = measures.measure(file.model(), engine)?;
        let over = "the validation part".to_owned();
        let facts = Facts { unit: unit.to_owned(), over, whole };
        Ok(Self::Validation(measures, facts, engine))
    }

    pub(crate) fn facts(&self) -> &Facts {
        match self {
            Self::Text(_, facts, _) | Self::Validation(_, facts, _) => facts,
        }
    }

    /// The loss of a model: bits per token of a text, else the metric of the training.
    ///
    /// # Errors
    /// The outputs are no numbers.
    pub(crate) fn loss(&mut self, model: &Model<f32>) -> Result<f64> {
        match self {
            Self::Text(sample, _, engine) => loss(model, *engine, sample),
            Self::Validation(measures, _, engine) => Ok(measures.measure(model, *engine)?.0),
        }
    }
}

fn loss(model: &Model<f32>, engine: Engine, sample: &Sample) -> Result<f64> {
    let mut network = Network::new(model.description(), engine).map_err(unsound)?;
    network.load(model.values(), false);
    let batch = Batch::new(sample.steps, sample.batch, sample.sequence.input());
    let outputs = network.forward(&batch, None, Mode::Infer).map_err(unsound)?;
    let width = outputs.len() / sample.next.len();
    let rows = outputs.chunks_exact(width).zip(&sample.next);
    let nats: f64 = rows.map(|(row, next)| -log_softmax(row)[*next as usize]).sum();
    Ok(nats / sample.next.len() as f64 / std::f64::consts::LN_2)
}
