//! `recurve config`.
//!
//! The configuration itself holds the keys of the chosen kinds alone; what is printed names the keys of
//! the other kinds too, as comments, so that it lists everything that can be set.

use crate::{args, console};
use recurve_train::config::{Config, Settings, keys};
use recurve_train::error::Result;
use recurve_train::task::Task;
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
    Ok(settings)
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
            .filter(|key| key.is_for(task))
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
