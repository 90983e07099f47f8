//! One model learns one problem: the same few lines for every experiment, so that what differs between
//! two runs is what the experiment says differs.
//!
//! A run uses one thread, and as many runs go side by side as there are processors. A run is decided by
//! its seed alone, so neither their number nor their order changes a result.

use super::problem::{Made, Problem, description};
use crate::clip::Clip;
use crate::config::InitialiseConfig;
use crate::error::{Error, Result};
use crate::optimiser::{Adam, Optimiser, OptimiserConfig};
use crate::schedule::{Schedule, ScheduleConfig};
use crate::trainer::initialise;
use recurve_nn::{Description, Engine, Entry, Mode, Model, Network, Noise, Recurrent, Role};
use std::sync::Mutex;

/// Who learns: a name, the recurrent stacks, and where their weights start.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What it is called in tables and figures.
    pub name: String,
    /// Its recurrent stacks, from the input up.
    pub stacks: Vec<Recurrent>,
    /// Where its weights start.
    pub start: InitialiseConfig,
    /// What the recurrent weights are multiplied by at the start. An orthogonal matrix, the usual start,
    /// then has this spectral radius.
    pub radius: f64,
}

impl Subject {
    /// One stack with the usual start.
    pub fn new(name: impl Into<String>, stack: Recurrent) -> Self {
        let start = InitialiseConfig::default();
        Self { name: name.into(), stacks: vec![stack], start, radius: 1.0 }
    }

    /// Its model for a description, as it is before training.
    ///
    /// # Errors
    /// A description that does not fit, or an option of the start outside its range.
    pub fn model(&self, description: Description, seed: u64) -> Result<Model<f32>> {
        let refused = |error: recurve_nn::Error| Error::usage(error.to_string());
        let mut model = Model::<f32>::new(description).map_err(refused)?;
        initialise(&mut model, &self.start, seed)?;
        let recurrent = |entry: &&Entry| matches!(entry.role, Role::RecurrentWeights(_));
        let ranges: Vec<_> =
            model.entries().iter().filter(recurrent).map(|entry| entry.range.clone()).collect();
        for range in ranges {
            for weight in &mut model.values_mut()[range] {
                *weight *= self.radius as f32;
            }
        }
        Ok(model)
    }
}

/// How long, how fast and from which seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Updates.
    pub updates: u64,
    /// Sequences of an update; each sequence is new.
    pub batch: usize,
    /// The highest learning rate of Adam; it falls to a hundredth as half a cosine.
    pub rate: f64,
    /// The largest norm of the gradient; larger ones are scaled down to it. None: as it is.
    pub clip: Option<f64>,
    /// The seed of weights and samples.
    pub seed: u64,
    /// How often the score is taken on the way.
    pub measures: u64,
}

/// What a run came to.
#[derive(Debug)]
pub struct Trained {
    /// The model.
    pub model: Model<f32>,
    /// Sequences seen, and the score then.
    pub curve: Vec<(f64, f64)>,
    /// The norm of the gradient at each update, before it was clipped.
    pub norms: Vec<f64>,
    /// Of a problem of so many samples only, the score when those that choose were best.
    best: Option<f64>,
}

impl Trained {
    /// The score: that at the end or, of a [limited](Problem::limited) problem, at the best moment.
    pub fn score(&self) -> f64 {
        let last = || self.curve.last().map_or(f64::NAN, |(_, score)| *score);
        self.best.unwrap_or_else(last)
    }
}

/// Samples of no training: their seed.
pub const MEASURING: u64 = u64::MAX;
/// Samples that choose a learning rate, or a moment: their seed.
pub(super) const CHOOSING: u64 = u64::MAX - 1;
/// How many samples measure a score.
const MEASURED: usize = 500;

/// Trains a subject on a problem.
///
/// # Errors
/// A description that does not fit, an option outside its range, or a loss that is no number.
pub fn train(problem: &dyn Problem, subject: &Subject, training: Training) -> Result<Trained> {
    train_measured(problem, subject, training, MEASURING)
}

fn train_measured(
    problem: &dyn Problem,
    subject: &Subject,
    training: Training,
    measuring: u64,
) -> Result<Trained> {
    let refused = |error: recurve_nn::Error| Error::usage(error.to_string());
    let description = description(problem, &subject.stacks);
    let mut model = subject.model(description, training.seed)?;
    let mut network = Network::new(model.description(), engine()?).map_err(refused)?;
    let mut adam = Optimiser::new(OptimiserConfig::Adam(Adam::default()), model.values().len())?;
    let falls = ScheduleConfig::Cosine { warmup_steps: 0, final_factor: 0.01 };
    let schedule = Schedule::new(falls, training.rate, training.updates.max(1))?;
    let held_out = problem.make(measuring, 0, MEASURED);
    let chooses = problem.limited().then(|| problem.make(CHOOSING, 0, MEASURED));
    let mut gradients = vec![0.0; model.values().len()];
    let (mut curve, mut norms) = (vec![], vec![]);
    let mut best: Option<(f64, f64)> = None;
    for step in 0..training.updates {
        let made = problem.make(training.seed, step * training.batch as u64, training.batch);
        network.load(model.values(), true);
        let order = network.prepare(&made.batch()).map_err(refused)?;
        let answers = made.targets(problem.answers(), order);
        let shape = (answers.len(), network.output_width());
        let mut loss =
            answers.loss().piecewise(network.engine(), shape, answers.as_targets(), None)?;
        let mut judge = |rows, outputs: &mut [f32]| loss.backward(rows, outputs);
        let noise = Noise { seed: training.seed, step };
        network.learn(&made.batch(), None, noise, &mut judge, &mut gradients).map_err(refused)?;
        let norm = gradients.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
        norms.push(norm);
        if !norm.is_finite() {
            // Exploded: more updates would only make more of what is no number.
            curve.push(((step + 1) as f64 * training.batch as f64, f64::NAN));
            break;
        }
        if let Some(limit) = training.clip {
            Clip::Norm { limit }.apply(&mut gradients);
        }
        adam.step(model.values_mut(), &gradients, schedule.rate(step, 0))?;
        let done = step + 1;
        if done == training.updates || due(done, training) {
            network.load(model.values(), false);
            let score = scored(problem, &mut network, &held_out)?;
            if let Some(chooses) = &chooses {
                let chosen = scored(problem, &mut network, chooses)?;
                if best.is_none_or(|(best, _)| chosen < best) {
                    best = Some((chosen, score));
                }
            }
            curve.push(((done * training.batch as u64) as f64, score));
        }
    }
    Ok(Trained { model, curve, norms, best: best.map(|(_, score)| score) })
}

fn due(done: u64, training: Training) -> bool {
    training.measures > 0 && done.is_multiple_of((training.updates / training.measures).max(1))
}

/// The score of a model on samples: the share of right classes, the mean squared error, or nats per step.
///
/// # Errors
/// A model that is none for the problem.
pub fn score(problem: &dyn Problem, model: &Model<f32>, made: &Made) -> Result<f64> {
    let refused = |error: recurve_nn::Error| Error::usage(error.to_string());
    let mut network = Network::new(model.description(), engine()?).map_err(refused)?;
    network.load(model.values(), false);
    scored(problem, &mut network, made)
}

fn scored(problem: &dyn Problem, network: &mut Network<f32>, made: &Made) -> Result<f64> {
    let refused = |error: recurve_nn::Error| Error::usage(error.to_string());
    let answers = made.targets(problem.answers(), network.prepare(&made.batch()).map_err(refused)?);
    answers.score(network.forward(&made.batch(), None, Mode::Infer).map_err(refused)?)
}

/// The learning rate of a subject, and how it was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The rate with the best score.
    pub rate: f64,
    /// The score of each rate that was tried.
    pub scores: Vec<f64>,
}

/// For each subject the rate with the best score after short runs of a third of the updates, on samples
/// that are not used again. `higher`: whether a higher score is better.
///
/// # Errors
/// As [`train`].
pub fn choose_rates(
    problem: &dyn Problem,
    subjects: &[Subject],
    training: Training,
    (rates, higher): (&[f64], bool),
) -> Result<Vec<Chosen>> {
    let runs = |subject| rates.iter().map(move |rate| (subject, *rate));
    let jobs: Vec<(&Subject, f64)> = subjects.iter().flat_map(runs).collect();
    let updates = (training.updates / 3).max(1);
    let scores = side_by_side(&jobs, |(subject, rate)| {
        let measures = if problem.limited() { training.measures } else { 0 };
        let short = Training { rate: *rate, updates, measures, ..training };
        Ok(train_measured(problem, subject, short, CHOOSING)?.score())
    })?;
    let better = |a: f64, b: f64| b.is_nan() || if higher { a > b } else { a < b };
    let choose = |scores: &[f64]| {
        let best = (0..rates.len())
            .fold(0, |best, at| if better(scores[at], scores[best]) { at } else { best });
        Chosen { rate: rates[best], scores: scores.to_vec() }
    };
    Ok(scores.chunks_exact(rates.len()).map(choose).collect())
}

/// Does all jobs, as many at a time as there are processors; results in the order of the jobs.
///
/// # Errors
/// The first error of a job, in the order of the jobs.
pub fn side_by_side<J: Sync, R: Send>(
    jobs: &[J],
    work: impl Fn(&J) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    let next = Mutex::new(0..jobs.len());
    let results: Mutex<Vec<Option<Result<R>>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    let take = || next.lock().ok().and_then(|mut next| next.next());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(at) = take() {
                    let result = work(&jobs[at]);
                    if let Ok(mut results) = results.lock() {
                        results[at] = Some(result);
                    }
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let missing = || Err(Error::failed("a run of the experiment ended without a result"));
    results.into_iter().map(|result| result.unwrap_or_else(missing)).collect()
}

/// One thread for each run.
pub(super) fn engine() -> Result<Engine> {
    let engine = Engine::detect().map_err(|error| Error::usage(error.to_string()))?;
    Ok(engine.with_threads(1))
}
