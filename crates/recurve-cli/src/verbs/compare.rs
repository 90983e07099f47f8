//! `recurve compare`.

use super::config;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::{args, console};
use recurve_train::compare::{Comparison, Row, Stage, compare};
use recurve_train::error::{Error, Result};

/// Trains every architecture and tells; the exit code is that of a signal where one came.
pub(crate) fn run(args: &args::Compare, json: bool) -> Result<u8> {
    let signals = Signals::catch()?;
    let mut settings = config::settings(args.config.as_deref(), &args.set)?;
    if let Some(task) = &args.task {
        settings.set_task(task.parse()?);
    }
    if let Some(threads) = args.threads {
        settings.set(&format!("train.threads={threads}"))?;
    }
    let folder = tempfile::tempdir().map_err(|error| {
        Error::failed(
            "there is no room for the runs of a comparison in the folder for temporary files",
        )
        .with_source(error)
    })?;
    let mut progress = Progress::new(args.quiet);
    let mut observe = |stage: Stage<'_>| match stage {
        Stage::Begins { run, of, contender, seed } => {
            if !args.quiet {
                let (name, shape) = (contender.name, &contender.shape);
                let weights = console::thousands(contender.parameters as u64);
                console::note(format!(
                    "{run} of {of}: {name}, {shape}: {weights} weights, seed {seed}"
                ));
            }
        }
        Stage::Trains(event) => progress.show(&event),
        Stage::Ends => {
            progress.end();
            progress = Progress::new(args.quiet);
        }
    };
    let seeds = u64::from(args.seeds);
    let found = compare(&args.data, &settings, (seeds, folder.path()), &mut observe, &signals.stop);
    progress.end();
    let Some(found) = found? else {
        console::note("stopped; a comparison keeps nothing, begin it anew");
        return Ok(signals.exit_code());
    };
    if json {
        console::json(&found)?;
        return Ok(0);
    }
    for line in &found.notes {
        if !args.quiet {
            console::note(line);
        }
    }
    for line in console::columns(&table(&found)) {
        console::line(line)?;
    }
    for line in words(&found) {
        console::line(line)?;
    }
    Ok(0)
}

fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

fn table(found: &Comparison) -> Vec<Vec<String>> {
    let head = [
        "model",
        "size",
        "weights",
        &found.metric,
        "trained in",
        "epochs",
        "one step",
        "stream",
        "training",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for row in &found.rows {
        let (first, last) = (row.validation[0], row.validation[row.validation.len() - 1]);
        let spread = match row.validation.len() {
            1 => String::new(),
            _ => format!(" ({} to {})", console::digits(first), console::digits(last)),
        };
        rows.push(vec![
            row.name.to_owned(),
            row.shape.clone(),
            console::thousands(row.parameters as u64),
            format!("{}{spread}", console::digits(row.middle())),
            console::took(row.seconds),
            format!("{:.0}", row.epochs),
            row.step_microseconds.map_or("-".to_owned(), |time| format!("{time:.1} µs")),
            bytes(row.weight_bytes + row.state_bytes),
            bytes(row.training_bytes),
        ]);
    }
    rows
}

/// The best by the validation metric, and the row of the LSTM.
fn best(found: &Comparison) -> Option<(&Row, &Row)> {
    let best = found.rows.iter().min_by(|a, b| a.middle().total_cmp(&b.middle()))?;
    Some((best, found.rows.iter().find(|row| row.name == "LSTM")?))
}

fn words(found: &Comparison) -> Vec<String> {
    let mut lines = vec![];
    for row in &found.rows {
        lines.push(format!("{}: {}", row.name, row.headline));
    }
    if let Some(reason) = found.rows.iter().find_map(|row| row.no_step.as_ref()) {
        lines.push(format!("no time of one step: {reason}"));
    }
    let Some((best, lstm)) = best(found) else { return lines };
    let metric = &found.metric;
    if best.name == lstm.name {
        lines.push(format!("by {metric}, nothing here is better than the LSTM"));
    } else {
        let part = 100.0 * (1.0 - best.middle() / lstm.middle());
        let by =
            if part.is_finite() { format!(", {part:.1} % below the LSTM") } else { String::new() };
        let apart = best.validation.last() < lstm.validation.first();
        let told = match found.seeds {
            1 => "; with one seed, that may be chance: --seeds 3 tells".to_owned(),
            seeds if apart => format!("; all its {seeds} seeds are below all of the LSTM's"),
            seeds => format!("; among {seeds} seeds of each the two overlap"),
        };
        lines.push(format!("lowest {metric}: {}{by}{told}", best.name));
    }
    lines.push(
        "the same settings for all: another learning rate may suit another architecture better \
         (--set optimiser.learning_rate=…)"
            .to_owned(),
    );
    lines.push(
        "one step: one stream on one thread; stream: weights and state; training: what a batch keeps, \
         about"
            .to_owned(),
    );
    lines
}
