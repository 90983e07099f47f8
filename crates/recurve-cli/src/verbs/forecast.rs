//! `recurve forecast`.

use crate::{args, console};
use recurve_train::atomic;
use recurve_train::data::Table;
use recurve_train::error::{Error, Result};
use recurve_train::task::{self, Forecaster};
use std::path::{Path, PathBuf};

/// The models of run folders, averaged where there are several, and the data file after them, if any.
pub(super) fn models(
    paths: &[PathBuf],
    threads: args::Threads,
) -> Result<(Forecaster, Option<PathBuf>)> {
    let is_run = |path: &Path| {
        path.is_dir() || path.extension().is_some_and(|extension| extension == "safetensors")
    };
    let (data, runs) = match paths.split_last() {
        Some((last, runs)) if !runs.is_empty() && !is_run(last) => (Some(last.clone()), runs),
        _ => (None, paths),
    };
    let mut models = runs
        .iter()
        .map(|run| Forecaster::load(run)?.with_threads(super::count(threads)))
        .collect::<Result<Vec<_>>>()?
        .into_iter();
    let first = models.next().ok_or_else(|| Error::usage("give a run folder"))?;
    Ok((first.averaged(models.collect())?, data))
}

/// Forecasts the rows after the last one of a table and tells, or writes them.
pub(crate) fn run(args: &args::Forecast, json: bool) -> Result<()> {
    let (mut model, data) = models(&args.paths, args.threads)?;
    let table = match &data {
        Some(path) => Table::read(path)?,
        None => model.own_table(None).map_err(|error| {
            let run = args.paths[0].display();
            error.context(format!(
                "`recurve forecast {run} FILE` forecasts from a file that has new rows or lies \
                 elsewhere; without FILE"
            ))
        })?,
    };
    let forecasts = model.forecast_all(&table)?;
    let time = model.plan().time.as_ref();
    let time = time.map_or("row", |time| time.column.as_str());
    let head = Head { time, id: model.plan().id.as_deref(), quantiles: args.quantiles };
    if args.quantiles && forecasts.iter().any(|forecast| forecast.levels.is_empty()) {
        return Err(Error::usage(
            "--quantiles: the model gives numbers alone; train it with loss.kind = quantile or a distribution",
        ));
    }
    if let Some(path) = &args.output {
        atomic::write(path, &csv(&head, &forecasts)?)?;
    }
    if json {
        // One series is told as itself, several as a list.
        return match &forecasts[..] {
            [only] if head.id.is_none() => console::json(only),
            all => console::json(&all),
        };
    }
    if let Some(path) = &args.output {
        let rows: usize = forecasts.iter().map(|forecast| forecast.times.len()).sum();
        return console::line(format!("{}: {rows} rows", path.display()));
    }
    let mut rows = vec![head.names(&forecasts[0])];
    for forecast in &forecasts {
        rows.extend(head.rows(forecast, &console::number));
    }
    console::columns(&rows).iter().try_for_each(console::line)
}

/// What stands in the columns.
struct Head<'a> {
    time: &'a str,
    id: Option<&'a str>,
    quantiles: bool,
}

impl Head<'_> {
    fn names(&self, forecast: &task::Forecast) -> Vec<String> {
        let mut names: Vec<String> = self.id.iter().map(|&id| id.to_owned()).collect();
        names.push(self.time.to_owned());
        let one = forecast.targets.len() == 1;
        for target in &forecast.targets {
            let of = |what: &str| if one { what.to_owned() } else { format!("{target} {what}") };
            names.push(target.clone());
            if !forecast.lower.is_empty() {
                names.extend([of("lower"), of("upper")]);
            }
            if self.quantiles {
                names.extend(forecast.levels.iter().map(|level| of(&format!("q{level}"))));
            }
        }
        names
    }

    /// The rows of one series.
    fn rows(&self, forecast: &task::Forecast, number: &dyn Fn(f64) -> String) -> Vec<Vec<String>> {
        let (targets, levels) = (forecast.targets.len(), forecast.levels.len());
        let row = |(step, time): (usize, &String)| {
            let mut row: Vec<String> = forecast.series.iter().cloned().collect();
            row.push(time.clone());
            for at in step * targets..(step + 1) * targets {
                row.push(number(forecast.values[at]));
                if !forecast.lower.is_empty() {
                    row.extend([forecast.lower[at], forecast.upper[at]].map(number));
                }
                if self.quantiles {
                    let own = &forecast.quantiles[at * levels..][..levels];
                    row.extend(own.iter().map(|quantile| number(*quantile)));
                }
            }
            row
        };
        forecast.times.iter().enumerate().map(row).collect()
    }
}

fn csv(head: &Head<'_>, forecasts: &[task::Forecast]) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    let mut writer = csv::Writer::from_writer(&mut bytes);
    let mut write = || -> csv::Result<()> {
        writer.write_record(head.names(&forecasts[0]))?;
        for forecast in forecasts {
            for row in head.rows(forecast, &|value| value.to_string()) {
                writer.write_record(row)?;
            }
        }
        writer.flush()?;
        Ok(())
    };
    write().map_err(|error| Error::failed("cannot make the CSV").with_source(error))?;
    drop(writer);
    Ok(bytes)
}
