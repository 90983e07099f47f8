//! How a model learns what comes next in a stream.

use super::stream::{Stream, StreamReader, error};
use super::{Watched, watch};
use crate::config::Config;
use crate::data::{Part, Position};
use crate::error::{Error, Result};
use crate::loss::{Loss, Targets};
use crate::task::sequences::Batches;
use crate::task::{Evaluation, Learned, Learner, Names, Reader, refused, stack};
use recurve_nn::{Batch, Description, Input, Network, Noise};

/// Pieces of the training part that begin within the length of one.
const OVERLAP: usize = 6;

/// A stream that trains.
pub(super) struct DetectLearner {
    stream: Stream,
    watched: Watched,
    reader: StreamReader,
    loss: Loss,
    steps: usize,
    batches: Batches,
}

impl DetectLearner {
    /// # Errors
    /// The training part is too short.
    pub(super) fn new(
        stream: Stream,
        reader: StreamReader,
        watched: Watched,
        config: &Config,
    ) -> Result<Self> {
        let train = reader.train - reader.validation;
        if train < 20 {
            return Err(Error::usage(format!(
                "{}: {train} of {} rows train, and that is too few; make data.train greater",
                stream.name,
                stream.rows()
            )));
        }
        let steps = config.train.steps.unwrap_or(64).min(train - 1);
        let starts = (0..train - steps).step_by(steps.div_ceil(OVERLAP)).collect();
        let batches = Batches::new(config, starts);
        Ok(Self { stream, watched, reader, loss: config.loss, steps, batches })
    }
}

impl Learner for DetectLearner {
    fn description(&self, config: &Config) -> Description {
        stack(config, Description::values(self.reader.inputs())).linear(self.reader.columns.len())
    }

    fn reader(&self) -> Reader {
        Reader::Stream(self.reader.clone())
    }

    fn batches(&self) -> usize {
        self.batches.count()
    }

    fn rows(&self, config: &Config) -> usize {
        config.train.batch * self.steps
    }

    fn names(&self) -> Names {
        Names { unit: "rows", members: "pieces", metric: "error" }
    }

    fn validates(&self) -> bool {
        self.reader.validation > 0
    }

    fn learn(
        &mut self,
        network: &mut Network<f32>,
        at: Position,
        noise: Noise,
        gradients: &mut [f32],
    ) -> Result<Learned> {
        let chosen = self.batches.at(at);
        let (count, steps) = (chosen.len(), self.steps);
        let (inputs, width) = (self.reader.inputs(), self.reader.columns.len());
        let mut x = vec![0.0; steps * count * inputs];
        for (b, start) in chosen.iter().enumerate() {
            for t in 0..steps {
                let row = &self.stream.inputs[(start + t) * inputs..][..inputs];
                x[(t * count + b) * inputs..][..inputs].copy_from_slice(row);
            }
        }
        let batch = Batch::new(steps, count, Input::Values(&x));
        let order = network.prepare(&batch).map_err(refused)?;
        let change = |(_, t, b): (usize, usize, usize)| {
            let row = |at: usize| &self.stream.scaled[at * width..][..width];
            let (now, next) = (row(chosen[b] + t), row(chosen[b] + t + 1));
            now.iter().zip(next).map(|(now, next)| next - now).collect::<Vec<f32>>()
        };
        let targets: Vec<f32> = order.places().flat_map(change).collect();
        let (shape, targets) = ((steps * count, width), Targets::Values(&targets));
        let mut loss = self.loss.piecewise(network.engine(), shape, targets, None)?;
        let mut judge = |rows, outputs: &mut [f32]| loss.backward(rows, outputs);
        network.learn(&batch, None, noise, &mut judge, gradients).map_err(refused)?;
        Ok(Learned { loss: loss.value(), units: steps * count })
    }

    fn validate(&mut self, network: &mut Network<f32>) -> Result<Option<f64>> {
        let part = self.stream.part(&self.reader, Part::Validation);
        if part.is_empty() {
            return Ok(None);
        }
        let width = self.reader.columns.len();
        let expected = self.stream.expected(network, part.end)?;
        let errors = part.clone().map(|row| {
            error(&self.stream.scaled[row * width..][..width], &expected[row * width..][..width])
        });
        Ok(Some(errors.sum::<f64>() / part.len() as f64))
    }

    fn evaluate(&mut self, network: &mut Network<f32>) -> Result<Evaluation> {
        let part = if self.reader.train < self.stream.rows() { Part::Test } else { Part::All };
        let report = watch(network, (&self.reader, &self.stream), &self.watched, part)?;
        Ok(Evaluation::Detect(report))
    }
}
