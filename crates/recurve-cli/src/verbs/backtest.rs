//! `recurve backtest`: rolling origins.

use super::forecast;
use crate::args::{self, Part};
use crate::console;
use recurve_train::atomic;
use recurve_train::data;
use recurve_train::error::{Error, Result};
use recurve_train::task::{ForecastReport, Report, TargetReport};

/// Lines of the table of errors by distance, at most; of more steps, as many evenly.
const LINES: usize = 24;

/// Measures forecasts from rolling origins and tells.
pub(crate) fn run(args: &args::Backtest, json: bool) -> Result<()> {
    let (mut model, data) = forecast::models(&args.paths, args.threads)?;
    let part = match (args.part, &data) {
        (Some(Part::Validation), _) => data::Part::Validation,
        (Some(Part::Test | Part::HeldOut), _) | (None, None) => data::Part::Test,
        (Some(Part::All), _) | (None, Some(_)) => data::Part::All,
    };
    if args.stride == 0 {
        return Err(Error::usage("--stride is 0, expected at least 1 row between origins"));
    }
    let report = model.backtest(part, Some(args.stride), data.as_deref())?;
    if let Some(path) = &args.output {
        atomic::write(path, &report.predictions()?.unwrap_or_default())?;
    }
    if json {
        return console::json(&report);
    }
    report.summary().iter().try_for_each(console::line)?;
    report.targets.iter().try_for_each(|target| by_distance(&report, target))?;
    match &args.output {
        Some(path) => {
            console::line(format!("{}: {} rows", path.display(), report.predictions.len()))
        }
        None => Ok(()),
    }
}

/// The errors of one target, step by step.
fn by_distance(report: &ForecastReport, target: &TargetReport) -> Result<()> {
    let every = target.steps.len().div_ceil(LINES).max(1);
    console::line(format!("{}: errors by rows ahead, {} apart", target.target, report.stride))?;
    let mut rows = vec![["rows ahead", "MAE", "RMSE"].map(str::to_owned).to_vec()];
    let last = target.steps.len();
    for step in target.steps.iter().filter(|step| step.step % every == 0 || step.step == last) {
        let [mae, rmse] = [step.mae, step.rmse].map(console::number);
        rows.push(vec![step.step.to_string(), mae, rmse]);
    }
    console::columns(&rows).iter().try_for_each(console::line)
}
