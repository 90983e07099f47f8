//! `recurve detect`: the alarms of a file.

use crate::{args, console};
use recurve_train::error::{Error, Result};
use recurve_train::model_file::ModelFile;
use recurve_train::task::detect::{Alarm, DetectReport, Detector};
use recurve_train::task::{Evaluation, Trained};

/// Watches a file, or what did not train of the data of the training, and writes a line for each alarm.
pub(crate) fn run(args: &args::Detect, json: bool) -> Result<()> {
    let file = ModelFile::load(&args.run)?;
    let mut model = Detector::of(file, super::count(args.threads))?;
    let report = match &args.data {
        Some(data) => model.detect(data)?,
        None => match model.evaluate(None, None)? {
            Evaluation::Detect(report) => report,
            _ => return Err(Error::failed("the evaluation is of another task")),
        },
    };
    if json {
        return report.alarms.iter().try_for_each(console::json);
    }
    console::line(head(&report).join(","))?;
    for alarm in &report.alarms {
        console::line(cells(alarm).join(","))?;
    }
    console::note(format!("{} alarms in {} rows", report.alarms.len(), report.rows));
    Ok(())
}

fn head(report: &DetectReport) -> Vec<String> {
    let names = report.columns.iter().cloned();
    let expected = report.columns.iter().map(|name| format!("expected {name}"));
    let first = ["row", "time", "surprise"].map(str::to_owned);
    first.into_iter().chain(names).chain(expected).collect()
}

fn cells(alarm: &Alarm) -> Vec<String> {
    let numbers = alarm.values.iter().chain(&alarm.expected).map(f64::to_string);
    let first = [alarm.row.to_string(), alarm.time.clone(), format!("{:.2}", alarm.surprise)];
    first.into_iter().chain(numbers).collect()
}
