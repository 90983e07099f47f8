//! How a trainer comes to be: from data and settings, or from a checkpoint.

use super::progress::{EpochSums, Progress};
use super::{Trainer, belongs, parts, save, start};
use crate::checkpoint::Checkpoint;
use crate::config::{Config, Settings};
use crate::data::{self, Position};
use crate::error::{Error, Result};
use crate::memory;
use crate::model_file::{DataSource, ModelFile, engine, unsound};
use crate::nan_policy::{NanGuard, Skipped};
use crate::optimiser::Optimiser;
use crate::run::RunFolder;
use crate::schedule::Schedule;
use crate::stopping::EarlyStopping;
use crate::task::{Given, Reader};
use recurve_nn::{Description, Model, Network};
use std::path::Path;

impl Trainer {
    /// Reads the data, guesses what the settings leave open, and checks everything. Writes nothing.
    ///
    /// # Errors
    /// The data or a setting is wrong; the message names it.
    pub fn prepare(data: &Path, settings: &Settings) -> Result<Self> {
        let mut notes = Vec::new();
        let task = match settings.task() {
            Some(task) => task,
            None => {
                let guess = data::guess(data)?;
                let task = guess.task;
                notes
                    .push(format!("task {task}: {} (change: data.task)", guess.reasons.join(", ")));
                task
            }
        };
        let config = Config::complete(task, settings)?;
        // Read before the data is, so that a change in between is found out on resuming.
        let source = DataSource::of(data)?;
        Self::build(data, config, source, notes, None)
    }

    /// A run as its folder says it stands; training goes on from there. The data lies where it was,
    /// or at `moved_to`. What a killed process left half-written in the folder is removed, so no other
    /// may be training there.
    ///
    /// # Errors
    /// The folder holds no whole checkpoint, its config.toml or model.safetensors is not of the same
    /// run, or the data is not there or has changed.
    pub fn resume(folder: &RunFolder, moved_to: Option<&Path>) -> Result<Self> {
        let path = folder.checkpoint();
        if !path.exists() {
            if folder.model().exists() {
                ModelFile::load(&folder.model())?.check_trainable()?;
            }
            return Err(Error::usage(format!(
                "`{}` has no last.ckpt to resume from; train anew",
                folder.path().display()
            )));
        }
        folder.remove_leftovers()?;
        let checkpoint = Checkpoint::load(&path)?;
        let told = |error: Error| error.context(format!("`{}`", path.display()));
        let facts = save::facts(&checkpoint).map_err(told)?;
        belongs::check(folder, &checkpoint, &facts)?;
        let data = facts.data.locate(moved_to)?;
        let source =
            DataSource { path: std::path::absolute(&data).unwrap_or(data.clone()), ..facts.data };
        let mut trainer =
            Self::build(&data, facts.config, source, Vec::new(), Some(&facts.reader))?;
        if trainer.model.description() != &facts.description {
            return Err(told(Error::usage(
                "the description of the checkpoint is not that of its configuration",
            )));
        }
        trainer.restore(&checkpoint).map_err(told)?;
        trainer.resumed = true;
        trainer.notes = vec![format!(
            "resumed at epoch {} of {}, step {}",
            (trainer.progress.position.epoch + 1).min(trainer.config.train.epochs),
            trainer.config.train.epochs,
            trainer.progress.step
        )];
        Ok(trainer)
    }

    fn build(
        data: &Path,
        mut config: Config,
        source: DataSource,
        mut notes: Vec<String>,
        reader: Option<&Reader>,
    ) -> Result<Self> {
        let given = Given { data, config: &mut config, reader };
        let (learner, told) = given.config.task().definition().learner(given)?;
        notes.extend(told);
        let mut model = Model::new(learner.description(&config)).map_err(unsound)?;
        start::initialise(&mut model, &config.initialise, config.train.seed)?;
        learner.begin(&mut model)?;
        let engine = engine(config.train.threads)?.with_precision(config.train.precision.into());
        let mut network = Network::new(model.description(), engine).map_err(unsound)?;
        let (memory, note) =
            memory::plan(&config.train, model.description(), learner.rows(&config))?;
        network.set_memory(memory);
        notes.extend(note);
        let optimiser = Optimiser::new(config.optimiser, model.values().len())?;
        let steps = learner.batches().div_ceil(config.train.accumulate) as u64;
        let steps = steps * config.train.epochs;
        let schedule = Schedule::new(config.schedule, config.optimiser.learning_rate(), steps)?;
        let stopping = EarlyStopping::new(config.stopping)?;
        notes.push(format!(
            "{}, {}: {} weights; {} batches of {} {} in an epoch",
            config.model.cell.name(),
            config.model.shape(),
            model.values().len(),
            learner.batches(),
            config.train.batch,
            learner.names().members
        ));
        Ok(Self {
            progress: Progress {
                position: Position::default(),
                step: 0,
                epoch: EpochSums::default(),
                skipped: Skipped::default(),
                stopping: stopping.state(),
                plateau: schedule.state(),
                history: Vec::new(),
                ended: None,
            },
            optimiser: optimiser
                .without_decay(&start::without_decay(&model))?
                .with_engine(network.engine()),
            parts: parts::of(model.entries()),
            network,
            guard: NanGuard::new(config.nan),
            reader: learner.reader(),
            best: None,
            best_is_new: false,
            resumed: false,
            profiled: false,
            profile: None,
            config,
            source,
            notes,
            learner,
            model,
            schedule,
            stopping,
        })
    }

    /// The same with this many threads; 0 takes all. It changes no bit of a result, and the
    /// configuration keeps the number it says.
    ///
    /// # Errors
    /// `RECURVE_ISA` names an instruction set that is not there.
    pub fn with_threads(mut self, threads: usize) -> Result<Self> {
        let engine = engine(threads)?.with_precision(self.config.train.precision.into());
        let memory = self.network.memory();
        self.network = Network::new(self.model.description(), engine).map_err(unsound)?;
        self.network.set_memory(memory);
        self.optimiser = self.optimiser.with_engine(engine);
        Ok(self)
    }

    /// Puts another model in the place of this one, for the same data: one that reads and gives as many
    /// values. It starts from random weights.
    ///
    /// # Errors
    /// The description is not sound.
    pub(crate) fn reshape(&mut self, description: Description) -> Result<()> {
        let mut model = Model::new(description).map_err(unsound)?;
        start::initialise(&mut model, &self.config.initialise, self.config.train.seed)?;
        self.learner.begin(&mut model)?;
        let (engine, memory) = (self.network.engine(), self.network.memory());
        self.network = Network::new(model.description(), engine).map_err(unsound)?;
        self.network.set_memory(memory);
        self.optimiser = Optimiser::new(self.config.optimiser, model.values().len())?
            .without_decay(&start::without_decay(&model))?
            .with_engine(engine);
        self.parts = parts::of(model.entries());
        self.model = model;
        Ok(())
    }
}
