//! The trainer: from a file and a configuration to a model that is measured and saved.
//!
//! [`Trainer::prepare`] reads and checks the data, makes every guess and writes nothing. Then
//! [`Trainer::train`] runs: batches, gradients, a clipped step, an epoch's validation, early stopping,
//! and at the end one look at the test part with the weights of the best epoch.
//!
//! A run is a pure function of data, configuration and instruction set. Order and dropout are
//! counted, not drawn from a generator that moves along; nothing that is saved depends on the clock or
//! on the number of threads. So [`Trainer::resume`] continues any checkpoint to the same bits that an
//! unbroken run would have reached, whenever and however often it was killed. Checkpoints lie between
//! steps, never within one: batches gathered for a step that was not finished are computed again.

mod belongs;
mod build;
mod load;
mod log;
mod parts;
mod progress;
mod range;
mod save;
mod start;
mod tensorboard;

pub use progress::{EpochRecord, Event, Outcome, Report, StepRecord};
pub use range::{RangePoint, RangeTest};
pub use start::{initialise, without_decay};

use crate::accumulate::Accumulator;
use crate::clip::norm_on;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model_file::DataSource;
use crate::nan_policy::{Action, NanGuard, NanPolicy};
use crate::optimiser::Optimiser;
use crate::profile::TrainingProfile;
use crate::run::RunFolder;
use crate::schedule::Schedule;
use crate::stopping::EarlyStopping;
use crate::task::{Learner, Reader, Task};
use log::Log;
use progress::{Ended, Progress};
use recurve_nn::profile::{Profile, span};
use recurve_nn::{Description, Model, Network, Noise};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Checkpoints at the ends of epochs are at least this far apart, but for the last.
const BETWEEN_EPOCH_CHECKPOINTS: Duration = Duration::from_millis(500);

/// Steps from one look at the gradient of each layer to the next.
const LOOKED_AT: u64 = 10;

/// A run before, between or after its steps.
pub struct Trainer {
    config: Config,
    source: DataSource,
    reader: Reader,
    notes: Vec<String>,
    learner: Box<dyn Learner>,
    model: Model<f32>,
    /// The weights of the best epoch so far.
    best: Option<Vec<f32>>,
    /// Whether the best weights are not in the model file yet.
    best_is_new: bool,
    /// The layers whose gradients are looked at.
    parts: Vec<parts::PartOf>,
    network: Network<f32>,
    optimiser: Optimiser<f32>,
    schedule: Schedule,
    stopping: EarlyStopping,
    guard: NanGuard,
    progress: Progress,
    resumed: bool,
    /// Whether training is to be profiled, and what was found.
    profiled: bool,
    profile: Option<TrainingProfile>,
}

impl Trainer {
    /// What was guessed and decided, in sentences for a person.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
    /// A name for the run folder: that of the data file.
    pub fn name(&self) -> String {
        let stem = self.source.path.file_stem();
        stem.map_or("run".to_owned(), |stem| stem.to_string_lossy().into_owned())
    }
    /// The complete configuration, guesses filled in.
    pub fn config(&self) -> &Config {
        &self.config
    }
    /// What is trained for.
    pub fn task(&self) -> Task {
        self.config.task()
    }
    /// The data.
    pub fn data(&self) -> &DataSource {
        &self.source
    }
    /// What the model is made of.
    pub fn description(&self) -> &Description {
        self.model.description()
    }
    /// Weights of the model.
    pub fn parameters(&self) -> usize {
        self.model.values().len()
    }

    /// The epochs so far.
    pub fn history(&self) -> &[EpochRecord] {
        &self.progress.history
    }

    /// The model as it stands.
    pub fn model(&self) -> &Model<f32> {
        &self.model
    }
    /// The instructions and threads that train it.
    pub(crate) fn engine(&self) -> recurve_nn::Engine {
        self.network.engine()
    }
    /// Steps of a batch, those of all its sequences together.
    pub(crate) fn batch_rows(&self) -> usize {
        self.learner.rows(&self.config)
    }
    /// Steps of the longest sequence, about.
    pub(crate) fn longest(&self) -> usize {
        self.batch_rows().div_ceil(self.config.train.batch)
    }

    /// Makes [`Trainer::train`] measure where its time goes; not, at first.
    pub fn set_profiled(&mut self, wanted: bool) {
        self.profiled = wanted;
    }
    /// Where the time of the last [`Trainer::train`] went, if it was measured.
    pub fn profile(&self) -> Option<&TrainingProfile> {
        self.profile.as_ref()
    }

    /// Trains until the run is over or `stop` is set, which ends the step, saves and returns. The
    /// folder is that of [`RunFolder::create`] for a new run, and its own for one that is resumed.
    ///
    /// # Errors
    /// A file cannot be written, or a loss is no number and the policy says to stop; the last
    /// checkpoint is whole.
    pub fn train(
        &mut self,
        folder: &RunFolder,
        observe: &mut dyn FnMut(Event<'_>),
        stop: &AtomicBool,
    ) -> Result<Outcome> {
        let (profile, begin) = (self.profiled.then(Profile::start), self.progress.step);
        let outcome = self.train_on(folder, observe, stop);
        self.learner.rest();
        let steps = self.progress.step - begin;
        self.profile = profile.map(|profile| TrainingProfile::of(profile, steps));
        outcome
    }

    fn train_on(
        &mut self,
        folder: &RunFolder,
        observe: &mut dyn FnMut(Event<'_>),
        stop: &AtomicBool,
    ) -> Result<Outcome> {
        if !self.resumed {
            folder.write("config.toml", self.config.commented().as_bytes())?;
            self.save(folder)?;
            self.keep(folder, 0, f64::MAX)?;
            self.resumed = true;
        }
        let curves = self.config.train.tensorboard;
        let mut log = Log::open(folder, self.progress.step, curves)?;
        let mut clock = Clock::start();
        let mut grads = Accumulator::new(self.model.values().len());
        self.network.load(self.model.values(), true);
        while self.progress.ended.is_none() {
            let record = self.step(&mut grads, &mut clock)?;
            observe(Event::Step(&record));
            log.step(&record, self.config.train.log_steps)?;
            let epoch_over = self.progress.position.batch == 0;
            if epoch_over {
                let epoch = self.end_epoch(record.learning_rate)?;
                log.epoch(&epoch)?;
                self.keep(folder, epoch.epoch, epoch.validation)?;
                observe(Event::Epoch(&epoch));
            }
            let over = self.progress.ended.is_some();
            let stopped = stop.load(Ordering::Relaxed) && !over;
            if over || stopped || self.checkpoint_is_due(&clock, epoch_over) {
                let _span = span("checkpoint");
                self.save(folder)?;
                clock.saved = Instant::now();
            }
            if stopped {
                return Ok(Outcome::Interrupted {
                    epoch: self.progress.position.epoch + 1,
                    step: self.progress.step,
                });
            }
        }
        self.finish(folder, &mut log)
    }

    fn checkpoint_is_due(&self, clock: &Clock, epoch_over: bool) -> bool {
        let train = &self.config.train;
        let since = clock.saved.elapsed();
        let by_steps =
            train.checkpoint_steps > 0 && self.progress.step.is_multiple_of(train.checkpoint_steps);
        let by_time =
            train.checkpoint_seconds > 0.0 && since.as_secs_f64() >= train.checkpoint_seconds;
        by_steps || by_time || (epoch_over && since >= BETWEEN_EPOCH_CHECKPOINTS)
    }

    /// One step of the optimiser: as many batches as are accumulated, fewer at the end of an epoch.
    fn step(&mut self, grads: &mut Accumulator<f32>, clock: &mut Clock) -> Result<StepRecord> {
        let (batches, progress) = (self.learner.batches(), &mut self.progress);
        let mut at = progress.position;
        let rate = self.schedule.rate(progress.step, at.epoch);
        let may_skip = matches!(self.config.nan, NanPolicy::SkipStep { .. });
        let before = self.learner.carried().filter(|_| may_skip).cloned();
        grads.clear();
        let (mut weight, mut epoch_over) = (0.0, false);
        while grads.batches() < self.config.train.accumulate && !epoch_over {
            let noise =
                Noise { seed: self.config.train.seed, step: at.epoch * batches as u64 + at.batch };
            let learned = self.learner.learn(&mut self.network, at, noise, grads.room())?;
            grads.add(learned.loss.mean, learned.loss.count)?;
            weight += learned.loss.count;
            clock.units += learned.units;
            epoch_over = at.advance(batches);
        }
        let loss = grads.loss();
        let norm = {
            let _span = span("gradient norm");
            norm_on(self.network.engine(), grads.grads())
        };
        let action = self.guard.judge(progress.step + 1, loss, norm)?;
        match action {
            Action::Apply => {
                let params = self.model.values_mut();
                {
                    let _span = span("optimiser");
                    let clipping = self.config.clip.decide(norm);
                    self.optimiser.step_clipped(params, grads.grads(), clipping, rate)?;
                }
                self.network.load(self.model.values(), true);
                if progress.epoch.steps.is_multiple_of(LOOKED_AT) {
                    parts::add(&self.parts, grads.grads(), &mut progress.epoch);
                }
                progress.epoch.loss += loss * weight;
                progress.epoch.weight += weight;
                progress.epoch.grad_norm += norm;
                progress.epoch.steps += 1;
            }
            Action::Skip => {
                // What a batch that is no number leaves behind must not be carried on.
                if let (Some(state), Some(before)) = (self.learner.carried(), before) {
                    *state = before;
                }
            }
        }
        progress.skipped = self.guard.skipped();
        progress.position = at;
        progress.step += 1;
        let epochs = self.config.train.epochs;
        let in_epoch = batches.div_ceil(self.config.train.accumulate) as u64;
        let steps = epochs * in_epoch;
        clock.steps += 1;
        let elapsed = clock.started.elapsed().as_secs_f64().max(1e-9);
        Ok(StepRecord {
            epoch: if epoch_over { at.epoch } else { at.epoch + 1 },
            epochs,
            step: progress.step,
            steps,
            loss,
            grad_norm: norm,
            learning_rate: rate,
            skipped: action == Action::Skip,
            per_second: clock.units as f64 / elapsed,
            unit: self.learner.names().unit,
            seconds_left: (steps - progress.step) as f64 * elapsed / clock.steps as f64,
        })
    }

    /// Validates, judges the epoch, and decides whether the run goes on.
    fn end_epoch(&mut self, learning_rate: f64) -> Result<EpochRecord> {
        let sums = std::mem::take(&mut self.progress.epoch);
        let epoch = self.progress.position.epoch - 1;
        let mean = |sum: f64, count: f64| if count > 0.0 { sum / count } else { 0.0 };
        let loss = mean(sums.loss, sums.weight);
        let validation = {
            let _span = span("validation");
            self.learner.validate(&mut self.network)?.unwrap_or(loss)
        };
        let metric = self.learner.metric();
        if !validation.is_finite() || sums.steps == 0 {
            let what = if sums.steps == 0 {
                "every step was left out".to_owned()
            } else {
                format!("the validation metric ({metric}) is {validation}")
            };
            return Err(Error::failed(format!(
                "epoch {}: {what}; the last checkpoint is intact. To help: lower the learning rate \
                 or clip the gradient by its norm",
                epoch + 1
            )));
        }
        let verdict = self.stopping.observe(epoch, validation);
        self.schedule.observe(validation);
        if verdict.best {
            self.best = Some(self.model.values().to_vec());
            self.best_is_new = true;
        }
        let looked = sums.looked as f64;
        let norms = self.parts.iter().zip(&sums.parts);
        let layer_norms = norms.map(|(part, sum)| (part.name.clone(), mean(*sum, looked)));
        let record = EpochRecord {
            layer_norms: layer_norms.collect(),
            epoch: epoch + 1,
            step: self.progress.step,
            loss,
            validation,
            metric: metric.to_owned(),
            best: verdict.best,
            grad_norm: mean(sums.grad_norm, sums.steps as f64),
            learning_rate,
        };
        let progress = &mut self.progress;
        progress.history.push(record.clone());
        progress.stopping = self.stopping.state();
        progress.plateau = self.schedule.state();
        if epoch + 1 >= self.config.train.epochs {
            progress.ended = Some(Ended::AllEpochs);
        } else if verdict.stop {
            progress.ended = Some(Ended::Early);
        }
        Ok(record)
    }

    /// The best weights, and the one look at the test part.
    fn finish(&mut self, folder: &RunFolder, log: &mut Log<'_>) -> Result<Outcome> {
        if self.best_is_new {
            self.save_model(folder)?;
        }
        let (Some(best), Some(weights)) = (self.stopping.best(), &self.best) else {
            return Err(Error::failed("the run ended without a best epoch"));
        };
        let _span = span("evaluation");
        self.network.load(weights, false);
        let evaluation = self.learner.evaluate(&mut self.network)?;
        if let Some(bytes) = evaluation.report().predictions()? {
            folder.write("predictions.csv", &bytes)?;
        }
        if let Some((name, bytes)) = evaluation.report().beside()? {
            folder.write(name, &bytes)?;
        }
        log.evaluation(&evaluation, self.progress.step)?;
        Ok(Outcome::Finished(Box::new(Report {
            task: self.task(),
            parameters: self.parameters(),
            epochs: self.progress.history.len() as u64,
            best_epoch: best.epoch + 1,
            validation: best.metric,
            metric: self.learner.metric().to_owned(),
            stopped_early: self.progress.ended == Some(Ended::Early),
            skipped_steps: self.progress.skipped.total,
            history: self.progress.history.clone(),
            evaluation,
        })))
    }
}

/// What is told about time; nothing of it is saved.
struct Clock {
    started: Instant,
    saved: Instant,
    units: usize,
    steps: u64,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self { started: now, saved: now, units: 0, steps: 0 }
    }
}
