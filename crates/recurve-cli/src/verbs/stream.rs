//! `recurve stream`: one line in, one line out, everything before remembered.

use crate::{args, console};
use recurve_train::error::{Error, Result};
use recurve_train::imported;
use recurve_train::model_file::ModelFile;
use recurve_train::task::detect::{DetectStream, DetectedRow, Detector};
use recurve_train::task::{ForecastStream, Forecaster, LanguageModel, LanguageStream, Task};
use serde_json::{Map, Value, json};
use std::io::{self, BufRead};

/// Answers every line of standard input until it ends.
pub(crate) fn run(args: &args::Stream, json: bool) -> Result<()> {
    if imported::is_imported(&args.run) {
        return super::imported::stream(args);
    }
    super::only_for_sound(args.frames)?;
    if args.wav.is_some() {
        return Err(Error::usage("--wav is for imported models; this one was trained on a file"));
    }
    let file = ModelFile::load(&args.run)?;
    match file.task() {
        Task::Forecast => {
            let mut rows = Rows::new(Forecaster::of(file)?.stream()?, json);
            each_line(|number, line| rows.answer(number, line))
        }
        Task::Language => {
            let mut stream = LanguageModel::of(file)?.stream()?;
            each_line(|number, line| next(&mut stream, number, line, args.top))
        }
        Task::Detect => {
            let mut rows = Watched::new(Detector::of(file, 1)?.stream(), json);
            each_line(|number, line| rows.answer(number, line))
        }
        task => Err(Error::usage(format!(
            "`{}` was trained for the task {task}, whose answers need whole sequences; use `recurve predict`",
            file.name()
        ))),
    }
}

fn each_line(mut answer: impl FnMut(usize, &str) -> Result<String>) -> Result<()> {
    let mut input = io::stdin().lock();
    let mut bytes = vec![];
    for number in 1.. {
        bytes.clear();
        let read = input
            .read_until(b'\n', &mut bytes)
            .map_err(|error| Error::failed("cannot read standard input").with_source(error))?;
        if read == 0 {
            break;
        }
        let line =
            std::str::from_utf8(&bytes).map_err(|_| wrong(number, "it is not UTF-8 text"))?;
        console::line(answer(number, line)?)?;
    }
    Ok(())
}

fn wrong(number: usize, what: impl std::fmt::Display) -> Error {
    Error::usage(format!("standard input, line {number}: {what}"))
}

/// Reads text, line end included, and names the likeliest next characters.
fn next(stream: &mut LanguageStream, number: usize, line: &str, top: usize) -> Result<String> {
    stream.push_text(&format!("standard input, line {number}"), line)?;
    let mut ranked: Vec<(f64, u32)> = stream.probabilities().into_iter().zip(0..).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let named = ranked.iter().take(top).map(|(probability, token)| {
        let name = stream.vocabulary().decode(&[*token]);
        json!({ "character": name, "probability": probability })
    });
    console::to_json(&json!({ "next": named.collect::<Vec<_>>() }))
}

/// Rows of a table as they come.
struct Rows {
    stream: ForecastStream,
    json: bool,
    /// For every column of the model, its place in a line.
    places: Vec<usize>,
    /// Cells in a line.
    width: usize,
}

impl Rows {
    fn new(stream: ForecastStream, json: bool) -> Self {
        let width = stream.columns().len();
        Self { stream, json, places: (0..width).collect(), width }
    }

    fn answer(&mut self, number: usize, line: &str) -> Result<String> {
        let cells: Vec<&str> = line.trim_end().split(',').map(str::trim).collect();
        if number == 1 && cells.iter().all(|cell| cell.parse::<f64>().is_err()) {
            return self.header(&cells);
        }
        if cells.len() != self.width {
            let (found, expected) = (cells.len(), self.width);
            let columns = self.stream.columns().join(", ");
            return Err(wrong(
                number,
                format!("{found} values, expected {expected} ({columns}); or begin with a header"),
            ));
        }
        let columns = self.stream.columns();
        let own = self.places.iter().map(|place| cells[*place].trim_matches('"'));
        let own: Vec<&str> = own.collect();
        let here = |error: Error| error.context(format!("standard input, line {number}"));
        let forecast = if self.stream.plan().is_plain() {
            let row = own.iter().zip(&columns).map(|(cell, column)| {
                let value = cell.parse::<f64>().ok().filter(|value| value.is_finite());
                value.ok_or_else(|| {
                    wrong(number, format!("column `{column}` is `{cell}`, expected a number"))
                })
            });
            let row: Vec<f64> = row.collect::<Result<_>>()?;
            self.stream.push(&row).map_err(here)?
        } else {
            self.stream.push_cells(&own).map_err(here)?
        };
        let missing = self.stream.needs() - self.stream.has(&own);
        self.words(forecast, missing)
    }

    /// A first line of names says where the columns of the model stand; the answer names the values
    /// of every later answer.
    fn header(&mut self, cells: &[&str]) -> Result<String> {
        let columns = self.stream.columns();
        let place = |column: &String| {
            let found = cells.iter().position(|cell| cell.trim_matches('"') == column);
            found.ok_or_else(|| {
                wrong(
                    1,
                    format!(
                        "there is no column `{column}` among {}, and the model reads {}",
                        cells.join(", "),
                        columns.join(", ")
                    ),
                )
            })
        };
        self.places = columns.iter().map(place).collect::<Result<_>>()?;
        self.width = cells.len();
        let plan = self.stream.plan();
        let names = (1..=plan.horizon).flat_map(|step| {
            let targets = plan.targets.iter();
            targets.map(move |target| format!("{}+{step}", target.column))
        });
        let names: Vec<String> = names.collect();
        if self.json { console::to_json(&json!({ "columns": names })) } else { Ok(names.join(",")) }
    }

    fn words(&self, forecast: Option<Vec<f64>>, missing: usize) -> Result<String> {
        let Some(values) = forecast else {
            return if self.json {
                console::to_json(&json!({ "rows_missing": missing }))
            } else {
                Ok(String::new())
            };
        };
        if !self.json {
            let values: Vec<String> = values.iter().map(f64::to_string).collect();
            return Ok(values.join(","));
        }
        let targets = &self.stream.plan().targets;
        let by_name: Map<String, Value> = targets
            .iter()
            .enumerate()
            .map(|(at, target)| {
                let own: Vec<f64> =
                    values.iter().skip(at).step_by(targets.len()).copied().collect();
                (target.column.clone(), own.into())
            })
            .collect();
        console::to_json(&json!({ "forecast": by_name }))
    }
}

/// Rows that a detector watches.
struct Watched {
    stream: DetectStream,
    json: bool,
    /// The names of the cells of a line: time, where there is one, and columns.
    names: Vec<String>,
    places: Vec<usize>,
    width: usize,
}

impl Watched {
    fn new(stream: DetectStream, json: bool) -> Self {
        let time = stream.time().map(str::to_owned);
        let names: Vec<String> = time.into_iter().chain(stream.columns().to_vec()).collect();
        let width = names.len();
        Self { stream, json, names, places: (0..width).collect(), width }
    }

    fn answer(&mut self, number: usize, line: &str) -> Result<String> {
        let cells: Vec<&str> =
            line.trim_end().split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        if number == 1 && self.names.iter().all(|name| cells.contains(&name.as_str())) {
            let place = |name: &String| cells.iter().position(|cell| cell == name);
            self.places = self.names.iter().filter_map(place).collect();
            self.width = cells.len();
            let expected = self.stream.columns().iter().map(|name| format!("expected {name}"));
            let names: Vec<String> = std::iter::once("time".to_owned())
                .chain(expected)
                .chain(["error", "surprise", "alarm"].map(str::to_owned))
                .collect();
            return if self.json {
                console::to_json(&json!({ "columns": names }))
            } else {
                Ok(names.join(","))
            };
        }
        if cells.len() != self.width {
            let (found, names) = (cells.len(), self.names.join(", "));
            return Err(wrong(
                number,
                format!("{found} cells, expected {} ({names}); or begin with a header", self.width),
            ));
        }
        let timed = usize::from(self.stream.time().is_some());
        let time = if timed == 1 { cells[self.places[0]] } else { "" };
        let values = self.places[timed..].iter().zip(self.stream.columns()).map(|(place, name)| {
            let value = cells[*place].parse().ok().filter(|value: &f64| value.is_finite());
            let cell = cells[*place];
            value.ok_or_else(|| {
                wrong(number, format!("column `{name}` is `{cell}`, expected a number"))
            })
        });
        let values: Vec<f64> = values.collect::<Result<_>>()?;
        let told = self
            .stream
            .push(time, &values)
            .map_err(|error| error.context(format!("standard input, line {number}")))?;
        self.words(&told)
    }

    fn words(&self, told: &DetectedRow) -> Result<String> {
        if self.json {
            return console::to_json(told);
        }
        let numbers = told.expected.iter().chain([&told.error, &told.surprise]);
        let numbers: Vec<String> = numbers.map(f64::to_string).collect();
        Ok(format!("{},{},{}", told.time, numbers.join(","), u8::from(told.alarm)))
    }
}
