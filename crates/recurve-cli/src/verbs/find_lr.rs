//! `recurve find-lr`: a learning rate range test.

use super::config;
use crate::report::chart::{Chart, Line, Look};
use crate::signals::Signals;
use crate::{args, console};
use recurve_train::atomic;
use recurve_train::error::Result;
use recurve_train::trainer::{RangeTest, Trainer};

/// Lines of the table.
const LINES: usize = 20;

/// Raises the rate from step to step, and tells where the loss was least.
pub(crate) fn run(args: &args::FindLr, json: bool) -> Result<u8> {
    let signals = Signals::catch()?;
    let mut settings = config::settings(args.config.as_deref(), &args.set)?;
    if let Some(task) = &args.task {
        settings.set_task(task.parse()?);
    }
    if let Some(threads) = args.threads.threads {
        settings.set(&format!("train.threads={threads}"))?;
    }
    let mut trainer = Trainer::prepare(&args.data, &settings)?;
    let found = trainer.range_test((args.from, args.to), args.steps, &signals.stop)?;
    if let Some(path) = &args.output {
        atomic::write(path, drawn(&found)?.as_bytes())?;
    }
    if signals.came() {
        return Ok(signals.exit_code());
    }
    if json {
        return console::json(&found).map(|()| 0);
    }
    let mut rows = vec![["rate", "loss", "smoothed"].map(str::to_owned).to_vec()];
    let every = found.points.len().div_ceil(LINES).max(1);
    for point in found.points.iter().step_by(every) {
        let rate = format!("{:.2e}", point.rate);
        rows.push(vec![rate, console::number(point.loss), console::number(point.smoothed)]);
    }
    console::columns(&rows).iter().try_for_each(console::line)?;
    if let Some(path) = &args.output {
        console::line(path.display().to_string())?;
    }
    console::line(format!(
        "the loss was least at {:.1e}; try --set optimiser.learning_rate={:.1e}",
        found.least, found.suggestion
    ))
    .map(|()| 0)
}

/// The smoothed loss over the rate.
fn drawn(found: &RangeTest) -> Result<String> {
    let place = |rate: f64| rate.log10();
    let points = found.points.iter().map(|point| (place(point.rate), point.smoothed)).collect();
    let ends = [found.points.first(), found.points.last()];
    let ends = ends.map(|point| point.map_or(0.0, |point| place(point.rate)));
    let labels = (ends[0].ceil() as i32..=ends[1].floor() as i32)
        .map(|power| (f64::from(power), format!("1e{power}")));
    let marked = found.points.iter().find(|point| point.rate == found.least);
    let chart = Chart {
        size: (960, 340),
        lines: vec![Line { look: Look::Model, points }],
        x_name: "learning rate".to_owned(),
        y_name: "loss, smoothed".to_owned(),
        x_labels: labels.collect(),
        marked: marked.map(|point| (place(point.rate), point.smoothed)),
        ..Chart::default()
    };
    chart.svg()
}
