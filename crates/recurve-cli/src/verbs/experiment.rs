//! `recurve experiment`.

use crate::{args, console, report};
use recurve_train::atomic;
use recurve_train::error::{Error, Result};
use recurve_train::experiment::{self, ALL, Experiment, Options, Outcome};
use recurve_train::registry;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// The result as JSON.
#[derive(Serialize)]
struct Told<'a> {
    experiment: &'static str,
    question: &'static str,
    seeds: u64,
    quick: bool,
    seconds: f64,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// Makes an experiment, writes its page and says what it found.
pub(crate) fn run(args: &args::Experiment, json: bool) -> Result<()> {
    let Some(name) = &args.name else {
        return list(json);
    };
    let experiment = experiment::find(name)?;
    let folder =
        args.output.clone().unwrap_or_else(|| PathBuf::from("experiments").join(experiment.name));
    std::fs::create_dir_all(&folder).map_err(|error| {
        Error::usage(format!("cannot make the folder {}", folder.display())).with_source(error)
    })?;
    let watch = |line: &str| {
        if !args.quiet {
            console::note(line);
        }
    };
    let mirror = super::data::mirror();
    let get = |name: &str| registry::get(name, &args.data, mirror.as_deref());
    let (seeds, quick) = (args.seeds, args.quick);
    let started = Instant::now();
    let outcome = experiment.run(&Options { seeds, quick, watch: &watch, get: &get })?;
    let seconds = started.elapsed().as_secs_f64();
    let (experiment_name, question) = (experiment.name, experiment.question);
    let told = Told {
        experiment: experiment_name,
        question,
        seeds: args.seeds,
        quick: args.quick,
        seconds,
        outcome: &outcome,
    };
    let text = console::to_json(&told)?;
    let page = report::experiment::html(experiment, &outcome, (seconds, args.quick))?;
    for (at, figure) in outcome.figures.iter().enumerate() {
        let alone = report::experiment::alone(figure)?;
        atomic::write(&folder.join(format!("figure-{}.svg", at + 1)), alone.as_bytes())?;
    }
    atomic::write(&folder.join("results.json"), format!("{text}\n").as_bytes())?;
    atomic::write(&folder.join("report.html"), page.as_bytes())?;
    if json {
        return console::line(text);
    }
    for table in &outcome.tables {
        console::line(format!("\n{}", table.title))?;
        let rows: Vec<_> = std::iter::once(&table.head).chain(&table.rows).cloned().collect();
        for line in console::columns(&rows) {
            console::line(line)?;
        }
    }
    console::line("")?;
    for finding in &outcome.findings {
        console::line(finding)?;
    }
    console::line(format!("{} · {seconds:.0} s", folder.join("report.html").display()))
}

fn list(json: bool) -> Result<()> {
    for experiment in &ALL {
        if json {
            console::json(&serde_json::json!({
                "experiment": experiment.name,
                "question": experiment.question,
            }))?;
        }
    }
    if json {
        return Ok(());
    }
    let row = |experiment: &Experiment| format!("{:14} {}", experiment.name, experiment.question);
    ALL.iter().try_for_each(|experiment| console::line(row(experiment)))
}
