//! Timing a shape.

use super::cells::{Beside, By, Contender};
use super::memory;
use super::shapes::Shape;
use crate::args::{Lengths, Memory, Mode, Stages};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use recurve_kernels::{Matrix, Packed, RowsMut, Start, product};
use recurve_nn as nn;
use recurve_nn::{
    Batch, Description, Engine, Input, Model, Network, Noise, Recurrent, Role, Session,
};
use recurve_train::error::{Error, Result};
use serde::Serialize;
use std::time::{Duration, Instant};

/// What was measured: the JSON line of the bench.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// The name of the shape, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    mode: Mode,
    cell: &'static str,
    steps: usize,
    batch: usize,
    input: usize,
    hidden: usize,
    layers: usize,
    bidirectional: bool,
    /// What happens in a step besides the cell.
    #[serde(flatten)]
    stages: Stages,
    #[serde(skip_serializing_if = "Option::is_none")]
    lengths: Option<Lengths>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    dtype: &'static str,
    threads: usize,
    /// The median of all runs.
    pub(crate) median_ms: f64,
    /// The fastest run.
    pub(crate) min_ms: f64,
    /// How many runs, after one that was not counted.
    pub(crate) runs: usize,
    /// Of the median; products of matrices only.
    pub(crate) gflops: f64,
    /// Of a large product, see [`peak`].
    pub(crate) peak_gflops: f64,
    /// The largest resident memory in MiB, program included; null where the system does not say.
    pub(crate) peak_rss_mb: Option<f64>,
    isa: &'static str,
}

/// Times `shape` for about `seconds`, `peak_gflops` being what [`peak`] gave.
pub(crate) fn measure(
    shape: &Shape,
    engine: Engine,
    seconds: f64,
    peak_gflops: f64,
) -> Result<Measured> {
    memory::restart_peak();
    let problem = Problem::new(shape)?;
    let limit = Duration::from_secs_f64(seconds);
    let mut times = match shape.mode {
        Mode::Step => problem.step(engine, limit),
        _ => problem.runner(engine).and_then(|run| timed(limit, run)),
    }
    .map_err(|error| Error::usage(error.to_string()))?;
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    Ok(Measured {
        name: None,
        mode: shape.mode,
        cell: shape.cell.name(),
        steps: shape.steps,
        batch: shape.batch,
        input: shape.input,
        hidden: shape.hidden,
        layers: shape.layers,
        bidirectional: shape.bidirectional,
        stages: shape.stages,
        lengths: shape.lengths,
        memory: Some(shape.memory).filter(|memory| *memory == Memory::Low),
        dtype: engine.precision().name(),
        threads: engine.threads(),
        median_ms: rounded(1e3 * median, 5),
        min_ms: rounded(1e3 * times[0], 5),
        runs: times.len(),
        gflops: rounded(problem.operations() / median / 1e9, 4),
        peak_gflops: rounded(peak_gflops, 4),
        peak_rss_mb: memory::peak_mb(),
        isa: engine.isa().name(),
    })
}

/// The rate in GFLOP/s of the product of two `[1024, 1024]` matrices of `f32`, the right one packed
/// beforehand: the best of what fits into a third of a second.
pub(crate) fn peak(engine: Engine) -> f64 {
    const N: usize = 1024;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (a, b) = (values(&mut rng, N * N), values(&mut rng, N * N));
    let mut packed = Packed::default();
    packed.pack(engine, Matrix::new(&b, N, N, N));
    let mut c = vec![0.0_f32; N * N];
    let mut best = f64::INFINITY;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(330) {
        let start = Instant::now();
        let left = Matrix::new(&a, N, N, N);
        let mut sums = RowsMut::new(&mut c, N, N);
        product(engine, left, &packed, Start::Zero, &mut sums);
        best = best.min(start.elapsed().as_secs_f64());
    }
    2.0 * (N * N * N) as f64 / best / 1e9
}

/// Times a contender and the LSTM in turns, for about `seconds` both together.
pub(crate) fn in_turns(contender: &Contender, engine: Engine, seconds: f64) -> Result<Beside> {
    let wrong = |error: nn::Error| Error::usage(error.to_string());
    let problems = [Problem::new(&contender.shape)?, Problem::new(&contender.lstm())?];
    let mut runners =
        [problems[0].runner(engine).map_err(wrong)?, problems[1].runner(engine).map_err(wrong)?];
    let limit = Duration::from_secs_f64(seconds);
    let (mut times, begin) = ([vec![], vec![]], Instant::now());
    // The first round is not counted.
    for round in 0.. {
        for (run, times) in runners.iter_mut().zip(&mut times) {
            let start = Instant::now();
            run().map_err(wrong)?;
            if round > 0 {
                times.push(start.elapsed().as_secs_f64());
            }
        }
        if round >= 2 && begin.elapsed() >= limit {
            break;
        }
    }
    let medians = times.map(|mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    let (by, steps) = (contender.by, contender.shape.steps as f64);
    let value = |at: usize| match by {
        By::Rate => problems[at].operations() / medians[at] / 1e9,
        By::Time => 1e6 * medians[at] / steps,
    };
    let values = [value(0), value(1)];
    let quotient = if by == By::Rate { values[0] / values[1] } else { values[1] / values[0] };
    Ok(Beside {
        name: contender.name.clone(),
        mode: contender.shape.mode,
        by,
        values: values.map(|value| rounded(value, 4)),
        quotient: rounded(quotient, 3),
        wanted: by.wanted(),
    })
}

/// A run that can be repeated.
type Runner<'a> = Box<dyn FnMut() -> nn::Result<()> + 'a>;

/// A model and a batch of random numbers.
struct Problem {
    shape: Shape,
    model: Model<f32>,
    x: Vec<f32>,
    lengths: Option<Vec<usize>>,
    mask: Option<Vec<bool>>,
}

impl Problem {
    fn new(shape: &Shape) -> Result<Self> {
        let wrong = |error: nn::Error| Error::usage(error.to_string());
        if shape.steps == 0 || shape.batch == 0 {
            return Err(Error::usage("--steps and --batch must be at least 1"));
        }
        let mut stack = Recurrent::new(shape.cell, shape.hidden).layers(shape.layers);
        stack.bidirectional = shape.bidirectional;
        let stack = shape.stages.of(stack);
        let description = Description::values(shape.input).recurrent(stack);
        let mut model = Model::new(description).map_err(wrong)?;
        let size = [shape.steps, shape.batch, shape.input.max(shape.hidden)]
            .iter()
            .try_fold(1_usize, |size, n| size.checked_mul(*n))
            .filter(|size| *size < 1 << 36);
        if size.is_none() {
            return Err(Error::usage(
                "a batch of this size fits into no memory; make --steps or --batch smaller",
            ));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let scale = 1.0 / (shape.hidden as f32).sqrt();
        for weight in model.values_mut() {
            *weight = scale * rng.random_range(-1.0..1.0);
        }
        let lengths = (shape.lengths == Some(Lengths::Uniform)).then(|| {
            let shortest = shape.steps.div_ceil(10);
            let draw = |_| rng.random_range(shortest..=shape.steps);
            (0..shape.batch).map(draw).collect()
        });
        let mask = (shape.lengths == Some(Lengths::Gaps)).then(|| {
            let draw = |_| rng.random_range(0..4) != 0;
            (0..shape.steps * shape.batch).map(draw).collect()
        });
        let x = values(&mut rng, shape.steps * shape.batch * shape.input);
        Ok(Self { shape: *shape, model, x, lengths, mask })
    }

    fn batch(&self) -> Batch<'_, f32> {
        let batch = Batch::new(self.shape.steps, self.shape.batch, Input::Values(&self.x));
        Batch { lengths: self.lengths.as_deref(), mask: self.mask.as_deref(), ..batch }
    }

    /// Steps of all sequences together that are there.
    fn rows(&self) -> usize {
        match (&self.lengths, &self.mask) {
            (Some(lengths), _) => lengths.iter().sum(),
            (None, Some(mask)) => mask.iter().filter(|there| **there).count(),
            (None, None) => self.shape.steps * self.shape.batch,
        }
    }

    /// Floating-point operations of the matrix products of a run.
    fn operations(&self) -> f64 {
        let rows = if self.shape.mode == Mode::Step { self.shape.batch } else { self.rows() };
        let matrices = self.model.entries().iter().filter(|entry| {
            matches!(
                entry.role,
                Role::InputWeights(_)
                    | Role::RecurrentWeights(_)
                    | Role::GateWeights
                    | Role::Projection
                    | Role::HeadWeights
            )
        });
        let weights: usize = matrices.map(|entry| entry.range.len()).sum();
        let passes = if self.shape.mode == Mode::Train { 3 } else { 1 };
        (2 * passes * rows) as f64 * weights as f64
    }

    /// A run of the mode, training or inference.
    fn runner(&self, engine: Engine) -> nn::Result<Runner<'_>> {
        match self.shape.mode {
            Mode::Train => self.train(engine),
            _ => self.infer(engine),
        }
    }

    fn train(&self, engine: Engine) -> nn::Result<Runner<'_>> {
        let mut network = Network::new(self.model.description(), engine)?;
        network.set_input_gradient(true);
        network.set_memory(match self.shape.memory {
            Memory::Full => nn::Memory::Full,
            Memory::Low => nn::Memory::Low,
        });
        let mut gradients = vec![0.0; self.model.values().len()];
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let dy = values(&mut rng, self.rows() * network.output_width());
        let mode = nn::Mode::Train(Noise { seed: 0, step: 0 });
        Ok(Box::new(move || {
            network.load(self.model.values(), true);
            network.forward(&self.batch(), None, mode)?;
            network.backward(&dy, &mut gradients, None)
        }))
    }

    fn infer(&self, engine: Engine) -> nn::Result<Runner<'_>> {
        let mut network = Network::new(self.model.description(), engine)?;
        network.load(self.model.values(), false);
        Ok(Box::new(move || {
            network.forward(&self.batch(), None, nn::Mode::Infer)?;
            Ok(())
        }))
    }

    fn step(&self, engine: Engine, limit: Duration) -> nn::Result<Vec<f64>> {
        let mut session = Session::new(&self.model, engine, self.shape.batch)?;
        let x = &self.x[..self.shape.batch * self.shape.input];
        // A step may be shorter than a look at the clock: so many at once that they are not.
        let start = Instant::now();
        let mut many = 0;
        while start.elapsed() < Duration::from_millis(1) || many < 10 {
            session.step(x);
            many += 1;
        }
        let times = timed(limit, || {
            for _ in 0..many {
                std::hint::black_box(session.step(x));
            }
            Ok(())
        })?;
        Ok(times.iter().map(|time| time / f64::from(many)).collect())
    }
}

/// The seconds of each run: one that is not counted, then at least five, until `limit`.
fn timed(limit: Duration, mut run: impl FnMut() -> nn::Result<()>) -> nn::Result<Vec<f64>> {
    run()?;
    let mut times = vec![];
    let begin = Instant::now();
    while times.len() < 5 || begin.elapsed() < limit {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64());
    }
    Ok(times)
}

fn values(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// `value`, at least 0, with so many significant digits.
fn rounded(value: f64, digits: i32) -> f64 {
    if value <= 0.0 {
        return value;
    }
    let decimals = (digits - 1 - value.log10().floor() as i32).clamp(0, 12);
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::preset;

    #[test]
    fn operations_are_those_of_the_formula() {
        let ops = |name: &str| {
            let shape = preset(name).expect("a preset");
            Problem::new(&shape).expect("a sound shape").operations()
        };
        // 2 T B D G H (I + H), three times in training.
        let forecast = 3.0 * 2.0 * 168.0 * 64.0 * 4.0 * 128.0 * (7.0 + 128.0);
        assert_eq!(ops("forecast"), forecast);
        let tagger = 3.0 * 2.0 * 30.0 * 32.0 * 2.0 * 4.0 * 256.0 * (300.0 + 256.0);
        assert_eq!(ops("tagger"), tagger);
        assert_eq!(ops("gru-mid"), 3.0 * 2.0 * 50.0 * 64.0 * 3.0 * 256.0 * 512.0);
        assert_eq!(ops("stream-128"), 2.0 * 4.0 * 128.0 * 256.0);
        let seq = 2.0 * 100.0 * 2.0 * 4.0 * 512.0 * 1024.0;
        assert_eq!(ops("seq-512"), seq);
    }

    #[test]
    fn rounding_keeps_digits() {
        assert_eq!(rounded(1.234_567, 4), 1.235);
        assert_eq!(rounded(0.001_234_56, 3), 0.001_23);
        assert_eq!(rounded(98_765.4, 3), 98_765.0);
        assert_eq!(rounded(0.0, 3), 0.0);
    }
}
