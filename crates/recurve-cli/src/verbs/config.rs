//! `recurve config`.
//!
//! The configuration itself holds the keys of the chosen kinds alone; what is printed names the keys of
//! the other kinds too, as comments, so that it lists everything that can be set.

use crate::{args, console};
use recurve_train::config::{Config, Settings, Task, keys};
use recurve_train::error::{Error, Result};
use std::path::Path;

/// Prints a complete configuration.
pub(crate) fn run(args: &args::Config, json: bool) -> Result<()> {
    let settings = settings(args.config.as_deref(), &args.set)?;
    let task = match &args.task {
        Some(name) => name.parse()?,
        None => settings.task().unwrap_or(Task::Forecast),
    };
    let config = Config::complete(task, &settings)?;
    if json {
        return console::json(&config);
    }
    console::write(with_other_kinds(&config.commented(), task).as_bytes())
}

/// What a file and the command line say, the latter last.
pub(crate) fn settings(file: Option<&Path>, set: &[String]) -> Result<Settings> {
    let mut settings = match file {
        Some(path) => Settings::read(path)?,
        None => Settings::default(),
    };
    for assignment in set {
        settings.set(assignment).map_err(|error| error.context(format!("--set {assignment}")))?;
    }
    check_kinds(&settings)?;
    Ok(settings)
}

/// Sections, kinds of them that have no default for one of their keys, that key and an example.
const NEEDS: [(&str, &str, &str, &str); 13] = [
    ("schedule", "step", "every_epochs", "10"),
    ("clip", "value", "limit", "0.5"),
    ("initialise.input", "constant", "value", "0.01"),
    ("initialise.input", "uniform", "bound", "0.1"),
    ("initialise.input", "normal", "std", "0.1"),
    ("initialise.recurrent", "constant", "value", "0.01"),
    ("initialise.recurrent", "uniform", "bound", "0.1"),
    ("initialise.recurrent", "normal", "std", "0.1"),
    ("initialise.embedding", "constant", "value", "0.01"),
    ("initialise.embedding", "uniform", "bound", "0.1"),
    ("initialise.output", "constant", "value", "0.01"),
    ("initialise.output", "uniform", "bound", "0.1"),
    ("initialise.output", "normal", "std", "0.1"),
];

/// A kind that needs a number is refused without it, with words on how to give it.
fn check_kinds(settings: &Settings) -> Result<()> {
    // What is set does not change where it is set again, and changes where it is taken back.
    let changes = |assignment: String| -> Result<bool> {
        let mut changed = settings.clone();
        changed.set(&assignment)?;
        Ok(changed != *settings)
    };
    for (section, kind, key, example) in NEEDS {
        let chosen = !changes(format!("{section}.kind={kind}"))?;
        if chosen && !changes(format!("{section}.{key}=auto"))? {
            return Err(Error::usage(format!(
                "{section}.kind = {kind} needs {section}.{key}, which has no default; set it too, \
                 such as --set {section}.{key}={example}"
            )));
        }
    }
    Ok(())
}

/// A written configuration with the keys of the kinds not chosen, as comments at the end of their
/// section.
fn with_other_kinds(written: &str, task: Task) -> String {
    let blocks = written.trim_end().split("\n\n").map(|block| {
        let head = block.lines().next().unwrap_or_default();
        let section = head.trim_start_matches('[').trim_end_matches(']');
        let listed = |name: &str| {
            let mut lines = block.lines().map(|line| line.trim_start_matches("# "));
            lines.any(|line| line.split(' ').next() == Some(name))
        };
        let mut block = block.to_owned();
        let others: Vec<String> = keys()
            .iter()
            .filter(|key| key.task.is_none_or(|owner| owner == task))
            .filter_map(|key| Some((key.name.rsplit_once('.')?, key.about)))
            .filter(|((of, name), _)| *of == section && !listed(name))
            .map(|((_, name), about)| format!("\n{:34} # {about}", format!("# {name} =")))
            .collect();
        if !others.is_empty() {
            block += "\n# with another kind:";
            block += &others.concat();
        }
        block
    });
    blocks.collect::<Vec<_>>().join("\n\n") + "\n"
}
