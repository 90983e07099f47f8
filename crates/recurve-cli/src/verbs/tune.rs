//! `recurve tune`: a search for settings.

use super::config;
use crate::signals::Signals;
use crate::{args, console};
use recurve_train::error::{Error, Result};
use recurve_train::tune::{Search, Space, Trial};

/// Searches, tells every trial as it comes, and ends with a table.
pub(crate) fn run(args: &args::Tune, json: bool) -> Result<u8> {
    let signals = Signals::catch()?;
    let space = Space::read(&args.space)?;
    let mut settings = config::settings(args.config.as_deref(), &args.set)?;
    if let Some(task) = &args.task {
        settings.set_task(task.parse()?);
    }
    if let Some(threads) = args.threads.threads {
        settings.set(&format!("train.threads={threads}"))?;
    }
    let search =
        Search { data: &args.data, settings: &settings, space: &space, folder: &args.output };
    let mut observe = |trial: &Trial| {
        if !args.quiet {
            let settings = trial.settings.join(" ");
            console::note(format!("trial {} · {} · {settings}", trial.trial, judged(trial)));
        }
    };
    let trials = search.run(&mut observe, &signals.stop)?;
    let folder = args.output.display();
    if signals.came() {
        console::note(format!(
            "stopped, everything is saved; the same command goes on: recurve tune … -o {folder}"
        ));
        return Ok(signals.exit_code());
    }
    if json {
        return console::json(&trials).map(|()| 0);
    }
    let mut rows = vec![["trial", "epochs", "validation", "settings"].map(str::to_owned).to_vec()];
    for trial in &trials {
        rows.push(vec![
            trial.trial.to_string(),
            trial.epochs.to_string(),
            judged(trial),
            trial.settings.join(" "),
        ]);
    }
    console::columns(&rows).iter().try_for_each(console::line)?;
    let best = trials.first().filter(|best| best.validation.is_some());
    let best = best.ok_or_else(|| Error::failed("every trial failed; the table says why"))?;
    let run = best.run.display();
    console::line(format!("best: {run} · next: recurve eval {run} · recurve inspect {run}"))
        .map(|()| 0)
}

/// The metric of a trial, or why there is none.
fn judged(trial: &Trial) -> String {
    match trial.validation {
        Some(value) => format!("{} {}", trial.metric, console::number(value)),
        None => format!("failed: {}", trial.metric),
    }
}
