//! `recurve config`.

use crate::{args, console};
use recurve_train::config::{Config, Settings, Task};
use recurve_train::error::Result;
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
    console::write(config.commented().as_bytes())
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
    Ok(settings)
}
