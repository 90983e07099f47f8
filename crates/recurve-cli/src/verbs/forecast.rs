//! `recurve forecast`.

use crate::{args, console};
use recurve_train::atomic;
use recurve_train::data::Table;
use recurve_train::error::{Error, Result};
use recurve_train::task::{self, Forecaster};

/// Forecasts the rows after the last one of a table and tells, or writes them.
pub(crate) fn run(args: &args::Forecast, json: bool) -> Result<()> {
    let mut model = Forecaster::load(&args.run)?.with_threads(super::count(args.threads))?;
    let table = match &args.data {
        Some(path) => Table::read(path)?,
        None => model.own_table(None).map_err(|error| {
            let run = args.run.display();
            error.context(format!(
                "`recurve forecast {run} FILE` forecasts from a file that has new rows or lies \
                 elsewhere; without FILE"
            ))
        })?,
    };
    let forecast = model.forecast(&table)?;
    let time = model.plan().time.as_ref();
    let time = time.map_or("row", |time| time.column.as_str());
    let head = || std::iter::once(time.to_owned()).chain(forecast.targets.iter().cloned());
    if let Some(path) = &args.output {
        atomic::write(path, &csv(head().collect(), &forecast)?)?;
    }
    if json {
        return console::json(&forecast);
    }
    if let Some(path) = &args.output {
        let rows = forecast.times.len();
        return console::line(format!("{}: {rows} rows", path.display()));
    }
    let mut rows = vec![head().collect::<Vec<_>>()];
    for (time, values) in rows_of(&forecast) {
        let values = values.iter().map(|value| console::number(*value));
        rows.push(std::iter::once(time.to_owned()).chain(values).collect());
    }
    console::columns(&rows).iter().try_for_each(console::line)
}

/// The time of every row and its values, one for each target.
fn rows_of(forecast: &task::Forecast) -> impl Iterator<Item = (&str, &[f64])> {
    let values = forecast.values.chunks(forecast.targets.len().max(1));
    forecast.times.iter().map(String::as_str).zip(values)
}

fn csv(head: Vec<String>, forecast: &task::Forecast) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    let mut writer = csv::Writer::from_writer(&mut bytes);
    let mut write = || -> csv::Result<()> {
        writer.write_record(&head)?;
        for (time, values) in rows_of(forecast) {
            let values = values.iter().map(f64::to_string);
            writer.write_record(std::iter::once(time.to_owned()).chain(values))?;
        }
        writer.flush()?;
        Ok(())
    };
    write().map_err(|error| Error::failed("cannot make the CSV").with_source(error))?;
    drop(writer);
    Ok(bytes)
}
