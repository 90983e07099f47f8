//! A run as a checkpoint, and back.
//!
//! `last.ckpt` is the only truth about a run: `model.safetensors` and the end of `log.jsonl` follow it
//! and are brought in line with it when a run is resumed. It holds the weights, the best weights so
//! far, the moments of the optimiser, the state carried through a text, and as texts the facts of the
//! model file and the [`Progress`].

use super::Trainer;
use super::progress::Progress;
use crate::checkpoint::{Checkpoint, Tensor, Values};
use crate::error::{Error, Result};
use crate::model_file::{Facts, ModelFile, OwnedFacts, json, read_weights, to_json, write_weights};
use crate::run::RunFolder;
use crate::stopping::Best;

/// What the text `format` of a checkpoint says.
const FORMAT: &str = "recurve-run-1";

impl Trainer {
    fn facts(&self) -> Facts<'_> {
        Facts {
            description: self.model.description(),
            reader: &self.reader,
            config: &self.config,
            data: &self.source,
        }
    }

    /// Saves where training stands, and the best model where it is a new one.
    pub(super) fn save(&mut self, folder: &RunFolder) -> Result<()> {
        let mut checkpoint = Checkpoint::new();
        checkpoint.insert_text("format", FORMAT)?;
        self.facts().write_to(&mut checkpoint)?;
        checkpoint.insert_text("progress", to_json(&self.progress)?)?;
        write_weights(&mut checkpoint, "model.", &self.model, self.model.values())?;
        if let Some(best) = &self.best {
            write_weights(&mut checkpoint, "best.", &self.model, best)?;
        }
        self.optimiser.write_to(&mut checkpoint)?;
        if let Some(state) = self.learner.carried() {
            let bytes = state.to_bytes();
            checkpoint.insert("state", Tensor::u8(vec![bytes.len()], bytes)?)?;
        }
        checkpoint.save(folder.checkpoint())?;
        if self.best_is_new {
            self.save_model(folder)?;
        }
        Ok(())
    }

    /// Writes the best model.
    pub(super) fn save_model(&mut self, folder: &RunFolder) -> Result<()> {
        if let (Some(values), Some(best)) = (&self.best, self.stopping.best()) {
            let file = ModelFile::pack(&self.facts(), &self.model, values, best)?;
            file.save(folder.model())?;
            self.best_is_new = false;
        }
        Ok(())
    }

    /// Keeps the weights after an epoch, 0 before the first, where such are wanted. At most as many as wanted are
    /// there at any time: when there would be more, every second one goes.
    pub(super) fn keep(&self, folder: &RunFolder, epoch: u64, metric: f64) -> Result<()> {
        let most = self.config.train.snapshots as u64;
        if most == 0 {
            return Ok(());
        }
        let mut stride = 1;
        while epoch / stride + 1 > most {
            stride *= 2;
        }
        for other in folder.kept_epochs().into_iter().filter(|other| !other.is_multiple_of(stride))
        {
            // One that stays is looked at by nobody but a person.
            let _ = std::fs::remove_file(folder.epoch(other));
        }
        if !epoch.is_multiple_of(stride) {
            return Ok(());
        }
        let path = folder.epochs();
        std::fs::create_dir_all(&path).map_err(|error| {
            Error::failed(format!("cannot make the folder `{}`", path.display())).with_source(error)
        })?;
        let best = Best { epoch: epoch.saturating_sub(1), metric };
        let file = ModelFile::pack(&self.facts(), &self.model, self.model.values(), best)?;
        file.save(folder.epoch(epoch))
    }

    /// Takes weights, moments, state and progress from a checkpoint of the same run.
    pub(super) fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let progress: Progress = json(checkpoint, "progress")?;
        let values = read_weights(checkpoint, "model.", &self.model)?;
        let has_best = checkpoint.tensors().any(|(name, _)| name.starts_with("best."));
        if has_best != (progress.history.iter().any(|epoch| epoch.best)) {
            return Err(Error::usage(
                "the best weights and the history of the checkpoint contradict each other",
            ));
        }
        if has_best {
            self.best = Some(read_weights(checkpoint, "best.", &self.model)?);
        }
        self.model.values_mut().copy_from_slice(&values);
        self.optimiser.read_from(checkpoint)?;
        if let Some(state) = self.learner.carried() {
            let Values::U8(bytes) = checkpoint.tensor("state")?.values() else {
                return Err(Error::usage("the tensor `state` is no saved state"));
            };
            state.restore(bytes).map_err(|error| Error::usage(error.to_string()))?;
        }
        self.schedule.restore(progress.plateau)?;
        self.stopping.restore(progress.stopping);
        self.guard.restore(progress.skipped);
        self.progress = progress;
        self.best_is_new = has_best;
        Ok(())
    }
}

/// The facts of a checkpoint of a run.
pub(super) fn facts(checkpoint: &Checkpoint) -> Result<OwnedFacts> {
    let format = checkpoint.text("format")?;
    if format != FORMAT {
        return Err(Error::usage(format!(
            "this is `{format}`, expected `{FORMAT}`, the last.ckpt of a run"
        )));
    }
    OwnedFacts::read_from(checkpoint)
}
