//! Whether the files of a run folder are of one run.
//!
//! A resumed run goes on exactly as it began, and its model file is written over. So before anything
//! is: `config.toml` must say, key by key, what `last.ckpt` says, and a whole `model.safetensors` must
//! be of the same configuration, description and data. An edited setting, and a file that was copied
//! in from another run, are refused by name. A model file that is not whole is no reason to refuse:
//! the checkpoint holds the best weights too, and it is written anew.

use crate::checkpoint::Checkpoint;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::model_file::{self, OwnedFacts};
use crate::run::RunFolder;

/// What a key without a value is called.
const NOTHING: &str = "nothing";

/// An error where a file beside the checkpoint is of another run or was changed.
pub(super) fn check(folder: &RunFolder, checkpoint: &Checkpoint, facts: &OwnedFacts) -> Result<()> {
    let within = Settings::parse("the configuration within", checkpoint.text("config")?)
        .map_err(|error| error.context(format!("`{}`", folder.checkpoint().display())))?;
    check_config(folder, &within)?;
    match Checkpoint::load(folder.model()) {
        Ok(model) => check_model(folder, &model, &within, facts),
        Err(_) => Ok(()),
    }
}

fn check_config(folder: &RunFolder, within: &Settings) -> Result<()> {
    let (run, config) = (folder.path().display(), folder.config());
    let (config, checkpoint) = (config.display(), folder.checkpoint());
    let checkpoint = checkpoint.display();
    let written = Settings::read(&folder.config()).map_err(|error| {
        error.context(format!(
            "`{run}` cannot be resumed without its configuration; bring back `{config}`, or start a \
             new run with --load {run}"
        ))
    })?;
    let Some(difference) = within.first_difference(&written) else {
        return Ok(());
    };
    let key = difference.key;
    let ours = difference.one.unwrap_or(NOTHING.to_owned());
    let theirs = difference.other.unwrap_or(NOTHING.to_owned());
    if let (Some(task), Some(other)) = (within.task(), written.task())
        && task != other
    {
        return Err(Error::usage(format!(
            "`{checkpoint}` belongs to another run: its task is {task}, `{config}` says {other}; \
             bring back the last.ckpt of this run, or start a new one"
        )));
    }
    Err(Error::usage(format!(
        "`{config}` says {theirs} for `{key}`, `{checkpoint}` says {ours}; a resumed run goes on \
         exactly as it began: set `{key}` back to {ours} (or bring back the last.ckpt of this run), or \
         start a new run with --load {run} to change it"
    )))
}

fn check_model(
    folder: &RunFolder,
    model: &Checkpoint,
    within: &Settings,
    facts: &OwnedFacts,
) -> Result<()> {
    let path = folder.model();
    let told = |error: Error| error.context(format!("`{}`", path.display()));
    let theirs = model_file::facts(model).map_err(told)?;
    let settings =
        Settings::parse("the configuration within", model.text("config")?).map_err(told)?;
    let what = if let Some(difference) = within.first_difference(&settings) {
        format!(
            "its `{}` is {}, that of last.ckpt {}",
            difference.key,
            difference.other.unwrap_or(NOTHING.to_owned()),
            difference.one.unwrap_or(NOTHING.to_owned())
        )
    } else if theirs.data.sha256 != facts.data.sha256 {
        format!(
            "it was trained on other data, `{}`, last.ckpt on `{}`",
            theirs.data.path.display(),
            facts.data.path.display()
        )
    } else if theirs.description != facts.description {
        "its description is not that of last.ckpt".to_owned()
    } else if theirs.reader != facts.reader {
        "it reads data in another way than last.ckpt".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::usage(format!(
        "`{}` belongs to another run than `{}`: {what}; move away the one that is not of this run. \
         Resuming writes the model anew",
        path.display(),
        folder.checkpoint().display()
    )))
}
