//! What a change of the model costs: the loss over pieces that did not train it, with and without.

use crate::subject::{Sample, Subject, log_softmax};
use crate::trace::{Sequence, unsound};
use recurve_nn::{Batch, Engine, Input, Mode, Model, Network};
use recurve_train::error::Result;

/// The loss of a model on a sample: bits per token for text, the mean squared error of the scaled targets
/// for a table.
///
/// # Errors
/// The sample is not what the model reads.
pub(crate) fn loss(model: &Model<f32>, engine: Engine, sample: &Sample) -> Result<f64> {
    let mut network = Network::new(model.description(), engine).map_err(unsound)?;
    network.load(model.values(), false);
    let input = match &sample.sequence {
        Sequence::Tokens(tokens) => Input::Tokens(tokens),
        Sequence::Values(values) => Input::Values(values),
    };
    let batch = Batch::new(sample.steps, sample.batch, input);
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

/// What [`loss`] counts in.
pub(crate) fn unit(subject: &Subject) -> String {
    match subject {
        Subject::Text(text) => format!("bits per {}", text.vocabulary.unit()),
        _ => "mean squared error, scaled".to_owned(),
    }
}
