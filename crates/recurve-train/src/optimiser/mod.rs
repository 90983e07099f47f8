//! Optimisers: from gradients to new parameters.
//!
//! Parameters, gradients and moments are each one flat buffer, so an update is one loop over
//! memory whatever the model looks like. Elements are computed in `f64` and rounded once when
//! stored: an `f32` model follows PyTorch's `f32` training within its rounding, an `f64` model to
//! its last digits.
//!
//! The learning rate is an argument of every step: the [schedule](crate::schedule) decides it, the
//! optimiser only remembers moments. Weight decay can be switched off for ranges of parameters
//! (biases and normalisation gains, whose size means nothing).

mod config;
mod update;

pub use config::{Adam, AdamW, OptimiserConfig, RmsProp, Sgd};

use crate::checkpoint::{Checkpoint, Tensor};
use crate::clip::Clipping;
use crate::error::{Error, Result};
use recurve_kernels::{Element, Engine, each};
use std::ops::Range;
use update::{Now, Stretch};

/// Parameters that one thread takes at a time.
const PIECE: usize = 1 << 15;

/// An optimiser at work on a model of a fixed number of parameters.
#[derive(Clone, Debug)]
pub struct Optimiser<F> {
    engine: Engine,
    config: OptimiserConfig,
    len: usize,
    steps: u64,
    moments: Vec<Moment<F>>,
    segments: Vec<Segment>,
}

/// One remembered number for each parameter.
#[derive(Clone, Debug)]
struct Moment<F> {
    name: &'static str,
    values: Vec<F>,
}

/// A stretch of parameters that are treated alike.
#[derive(Clone, Debug)]
struct Segment {
    range: Range<usize>,
    decays: bool,
}

impl<F: Element> Optimiser<F> {
    /// An optimiser for `len` parameters, before its first step, on all threads of the machine.
    ///
    /// # Errors
    /// An option outside its range, by name; or `RECURVE_ISA` names what is not there.
    pub fn new(config: OptimiserConfig, len: usize) -> Result<Self> {
        config.validate()?;
        let names: &[&str] = match config {
            OptimiserConfig::Sgd(c) if c.momentum == 0.0 => &[],
            OptimiserConfig::Sgd(_) => &["momentum"],
            OptimiserConfig::RmsProp(c) if c.momentum == 0.0 => &["square_average"],
            OptimiserConfig::RmsProp(_) => &["square_average", "momentum"],
            OptimiserConfig::Adam(_) | OptimiserConfig::AdamW(_) => {
                &["first_moment", "second_moment"]
            }
        };
        let moments = names.iter().map(|name| Moment { name, values: vec![F::default(); len] });
        Ok(Self {
            engine: Engine::detect().map_err(|error| Error::usage(error.to_string()))?,
            config,
            len,
            steps: 0,
            moments: moments.collect(),
            segments: vec![Segment { range: 0..len, decays: true }],
        })
    }

    /// The same optimiser on the vectors and threads of `engine`. They change the time only.
    #[must_use]
    pub fn with_engine(self, engine: Engine) -> Self {
        Self { engine, ..self }
    }

    /// The same optimiser without weight decay in `ranges` of the parameters, in any order.
    ///
    /// # Errors
    /// A range that does not lie within the parameters.
    pub fn without_decay(mut self, ranges: &[Range<usize>]) -> Result<Self> {
        let mut ranges = ranges.to_vec();
        ranges.sort_by_key(|range| range.start);
        let mut segments = Vec::new();
        let mut next = 0;
        let mut push = |range: Range<usize>, decays| {
            if !range.is_empty() {
                segments.push(Segment { range, decays });
            }
        };
        for range in ranges {
            if range.start > range.end || range.end > self.len {
                return Err(Error::usage(format!(
                    "the parameters {range:?} without weight decay do not lie within the {} of the model",
                    self.len
                )));
            }
            push(next..range.start.max(next), true);
            push(range.start.max(next)..range.end.max(next), false);
            next = next.max(range.end);
        }
        push(next..self.len, true);
        self.segments = segments;
        Ok(self)
    }

    /// What it was made from.
    pub fn config(&self) -> &OptimiserConfig {
        &self.config
    }

    /// How many steps it has made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Moves `params` one step against `grads`, at `learning_rate`. Both `[len]`.
    ///
    /// Gradients that are not finite must be kept away: they would stay in the moments.
    ///
    /// # Errors
    /// A length other than that of the optimiser; nothing has changed then.
    pub fn step(&mut self, params: &mut [F], grads: &[F], learning_rate: f64) -> Result<()> {
        self.step_clipped(params, grads, Clipping::NONE, learning_rate)
    }

    /// As [`Optimiser::step`], with gradients that are clipped on the way: one pass over all memory, on
    /// all threads of the engine.
    ///
    /// # Errors
    /// As [`Optimiser::step`].
    pub fn step_clipped(
        &mut self,
        params: &mut [F],
        grads: &[F],
        clipping: Clipping,
        learning_rate: f64,
    ) -> Result<()> {
        for (what, len) in [("parameters", params.len()), ("gradients", grads.len())] {
            if len != self.len {
                return Err(Error::usage(format!(
                    "the optimiser was made for {} parameters and got {len} {what}",
                    self.len
                )));
            }
        }
        self.steps += 1;
        let mut moments = self.moments.iter_mut().map(|moment| moment.values.as_mut_slice());
        let (mut first, mut second) = (moments.next(), moments.next());
        for segment in &self.segments {
            let params = &mut params[segment.range.clone()];
            let grads = &grads[segment.range.clone()];
            let first = first.as_mut().map(|m| &mut m[segment.range.clone()]);
            let second = second.as_mut().map(|m| &mut m[segment.range.clone()]);
            let (steps, rate, decays) = (self.steps, learning_rate, segment.decays);
            let now = Now { config: &self.config, steps, rate, decays, clipping };
            let threads = self.engine.threads_over(params.len());
            let stretch = Stretch { params, grads, first, second };
            each(threads, stretch.pieces(PIECE), |piece| self.engine.isa().run(now.update(piece)));
        }
        Ok(())
    }

    /// Adds the state to a checkpoint: `optimiser.steps [1]` and `optimiser.<moment> [len]`.
    ///
    /// # Errors
    /// A name that the checkpoint already holds.
    pub fn write_to(&self, checkpoint: &mut Checkpoint) -> Result<()> {
        checkpoint.insert("optimiser.steps", Tensor::u64(vec![1], vec![self.steps])?)?;
        for moment in &self.moments {
            let tensor = Tensor::reals(vec![self.len], &moment.values)?;
            checkpoint.insert(&format!("optimiser.{}", moment.name), tensor)?;
        }
        Ok(())
    }

    /// Takes the state from a checkpoint; the steps that follow are those that would have followed
    /// there, to the bit.
    ///
    /// # Errors
    /// A tensor that is missing, of another length or of another precision; nothing has changed then.
    pub fn read_from(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let steps = checkpoint.u64s("optimiser.steps", &[1])?[0];
        let mut moments = Vec::with_capacity(self.moments.len());
        for moment in &self.moments {
            let values = checkpoint.reals(&format!("optimiser.{}", moment.name), &[self.len])?;
            moments.push(Moment { name: moment.name, values });
        }
        self.steps = steps;
        self.moments = moments;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
