//! `recurve train --folds`: every sequence is held out once.

use super::train::given;
use crate::progress::Progress;
use crate::report::Took;
use crate::signals::Signals;
use crate::{args, console, report};
use recurve_train::atomic;
use recurve_train::error::Result;
use recurve_train::folds::{CrossValidation, FoldEvent, Folds, FoldsOutcome};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Trains all folds, and tells each and what they come to together.
pub(crate) fn run(args: &args::Train, folds: usize, json: bool) -> Result<u8> {
    let signals = Signals::catch()?;
    let begun = Instant::now();
    let (data, settings) = given(args)?;
    let all = Folds {
        data,
        settings: &settings,
        folds,
        runs: &args.runs,
        name: args.name.as_deref(),
        load: args.load.as_deref(),
    };
    let mut progress = Progress::new(args.quiet);
    let mut own = Instant::now();
    let mut observe = |event: FoldEvent<'_>| {
        match event {
            FoldEvent::Begins { fold, trainer, folder, resumed } => {
                own = Instant::now();
                progress = Progress::new(args.quiet);
                if !args.quiet {
                    // What is said of the data is the same for all but the parts.
                    let told = if fold.number() == 1 || resumed { trainer.notes() } else { &[] };
                    told.iter().for_each(console::note);
                    console::note(format!("fold {fold}: {}", folder.path().display()));
                }
            }
            FoldEvent::Trains(event) => progress.show(event),
            FoldEvent::Ends { folder, report: result, resumed } => {
                progress.end();
                let seconds = own.elapsed().as_secs_f64();
                report::write(folder, result, Took { seconds, resumed })?;
                if !args.quiet {
                    console::note(format!("  {}", report::headline(&result.evaluation)));
                }
            }
        }
        Ok(())
    };
    let outcome = all.run(&mut observe, &signals.stop);
    progress.end();
    match outcome? {
        FoldsOutcome::Interrupted { name } => {
            console::note(format!(
                "stopped, everything is saved; the same command goes on with --name {name}"
            ));
            if json {
                console::json(&Stopped { name: &name, interrupted: true })?;
            }
            Ok(signals.exit_code())
        }
        FoldsOutcome::Finished(result) => {
            let page = all.file(&result.name, "html");
            let seconds = begun.elapsed().as_secs_f64();
            atomic::write(&page, report::folds_html(&result, data, seconds).as_bytes())?;
            tell(&all, &result, (page, seconds), json)?;
            Ok(0)
        }
    }
}

#[derive(Serialize)]
struct Stopped<'a> {
    name: &'a str,
    interrupted: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    result: &'a CrossValidation,
    report_file: &'a Path,
    predictions: PathBuf,
    seconds: f64,
}

fn tell(
    all: &Folds<'_>,
    result: &CrossValidation,
    (page, seconds): (PathBuf, f64),
    json: bool,
) -> Result<()> {
    let predictions = all.file(&result.name, "csv");
    if json {
        let seconds = (1e3 * seconds).round() / 1e3;
        return console::json(&Told { result, report_file: &page, predictions, seconds });
    }
    let mut head = vec!["fold".to_owned()];
    head.extend(result.measures.iter().map(|spread| spread.measure.clone()));
    let mut rows = vec![head];
    for (at, fold) in result.folds.iter().enumerate() {
        let values = result.measures.iter().map(|spread| console::number(spread.values[at]));
        rows.push(std::iter::once(fold.fold.to_string()).chain(values).collect());
    }
    console::columns(&rows).iter().try_for_each(console::line)?;
    for spread in &result.measures {
        console::line(report::spread(spread))?;
    }
    let page = page.display();
    let last = result.folds.last().map_or(String::new(), |fold| fold.run.display().to_string());
    console::line(format!(
        "{page} · {} · {} · next: recurve eval {last}",
        predictions.display(),
        console::took(seconds)
    ))
}
