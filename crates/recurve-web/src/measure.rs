//! What a change of the model costs: the loss over what did not train it, with and without.

use crate::subject::{Sample, Subject, log_softmax};
use crate::trace::unsound;
use recurve_nn::{Batch, Engine, Mode, Model, Network};
use recurve_train::error::{Error, Result};

/// What a loss is measured on.
pub(crate) struct Measured<'a> {
    subject: &'a mut Subject,
    engine: Engine,
    sample: Option<Sample>,
    /// What the loss counts in.
    pub(crate) unit: String,
    /// What it is measured over.
    pub(crate) over: String,
    /// The loss of the model without a change.
    pub(crate) whole: f64,
}

impl<'a> Measured<'a> {
    /// Pieces of a text, windows of a table, or the validation part of separate sequences, with the loss of the
    /// model as it is.
    ///
    /// # Errors
    /// The data is not there, or has no such part.
    pub(crate) fn of(subject: &'a mut Subject, model: &Model<f32>, engine: Engine) -> Result<Self> {
        let (sample, unit, over, whole) = match subject {
            Subject::Examples(own) => {
                let (whole, metric) = own.examples.measure(model, engine)?;
                (None, metric.to_owned(), "the validation part".to_owned(), whole)
            }
            _ => {
                let sample = subject.sample()?;
                let over = format!(
                    "{} sequences of {} steps that did not train",
                    sample.batch, sample.steps
                );
                let unit = match subject {
                    Subject::Text(text) => format!("bits per {}", text.vocabulary.unit()),
                    _ => "mean squared error, scaled".to_owned(),
                };
                let whole = loss(model, engine, &sample)?;
                (Some(sample), unit, over, whole)
            }
        };
        Ok(Self { subject, engine, sample, unit, over, whole })
    }

    /// The loss of a model: bits per token for text, the mean squared error of the scaled targets for a table,
    /// the metric of the training for separate sequences.
    ///
    /// # Errors
    /// The sample is not what the model reads, or the outputs are no numbers.
    pub(crate) fn loss(&mut self, model: &Model<f32>) -> Result<f64> {
        match (&self.sample, &mut *self.subject) {
            (Some(sample), _) => loss(model, self.engine, sample),
            (None, Subject::Examples(own)) => Ok(own.examples.measure(model, self.engine)?.0),
            _ => Err(Error::failed("there is nothing to measure on")),
        }
    }
}

fn loss(model: &Model<f32>, engine: Engine, sample: &Sample) -> Result<f64> {
    let mut network = Network::new(model.description(), engine).map_err(unsound)?;
    network.load(model.values(), false);
    let batch = Batch::new(sample.steps, sample.batch, sample.sequence.input());
    let outputs = network.forward(&batch, None, Mode::Infer).map_err(unsound)?;
    if sample.next.is_empty() {
        let squares = outputs.iter().zip(&sample.targets);
        let sum: f64 = squares.map(|(y, target)| f64::from(y - target).powi(2)).sum();
        return Ok(sum / sample.targets.len() as f64);
    }
    let width = outputs.len() / sample.next.len();
    let rows = outputs.chunks_exact(width).zip(&sample.next);
    let nats: f64 = rows.map(|(row, next)| -log_softmax(row)[*next as usize]).sum();
    Ok(nats / sample.next.len() as f64 / std::f64::consts::LN_2)
}
