//! A stream of rows as a model reads it, and what the model expects of the next row.
//!
//! Columns are scaled by the training part and held within a bound, so that a wild value does not carry the
//! model away. Where rows have a time of day, the model knows it. What is learned is the change to the next
//! row: a model that has learned nothing expects the last row again.

use super::DetectOptions;
use crate::data::{Columns, Part, Scaler, ScalerKind, SplitSize, Table, TimeColumn, TimeFormat};
use crate::error::{Error, Result};
use crate::task::refused;
use recurve_nn::{Batch, Input, Mode, Network, State};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::path::Path;

/// The largest scaled value that is read.
const BOUND: f64 = 20.0;
/// Rows that go through the model at once.
const AT_ONCE: usize = 2048;
const DAY: i64 = 86_400;

/// How a stream is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamReader {
    /// The time column, where there is one.
    pub time: Option<TimeColumn>,
    /// The columns that are watched.
    pub columns: Vec<String>,
    /// How each is scaled.
    pub scalers: Vec<Scaler>,
    /// Whether the time of day is read.
    pub clock: bool,
    /// Rows that train, those that validate among them.
    pub train: usize,
    /// The last of them, which choose the epoch.
    pub validation: usize,
}

/// The rows of a file.
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) times: Vec<String>,
    /// `[rows, columns]`, in the units of the file.
    pub(super) values: Vec<f64>,
    /// `[rows, inputs]`, as the model reads them.
    pub(super) inputs: Vec<f32>,
    /// `[rows, columns]`, scaled.
    pub(super) scaled: Vec<f32>,
}

impl StreamReader {
    /// Decides how a file is read.
    pub(super) fn guess(table: &Table, options: &DetectOptions) -> Result<Self> {
        let time = crate::data::time_column(table, options.time.as_deref())?;
        let is_time = |name: &String| time.as_ref().is_some_and(|time| time.column == *name);
        let columns: Vec<String> = match &options.targets {
            Columns::Named(names) => names.clone(),
            Columns::Default | Columns::All => {
                let all = table.columns().iter().enumerate();
                let free = all.filter(|(at, name)| !is_time(name) && table.is_numeric(*at));
                free.map(|(_, name)| name.clone()).collect()
            }
        };
        if columns.is_empty() {
            return Err(Error::usage(format!(
                "{}: no numeric column is left to watch; name some with data.targets",
                table.name()
            )));
        }
        let of_day = time.as_ref().is_some_and(|time| {
            matches!(time.format, TimeFormat::DateTime { .. } | TimeFormat::Instant { .. })
        });
        if options.clock == Some(true) && !of_day {
            return Err(Error::usage(
                "data.clock is on, but there is no column with times of day; leave it out",
            ));
        }
        let rows = table.rows();
        let size = |size: SplitSize, of: usize, key: &str| match size {
            SplitSize::Rows(rows) if rows <= of => Ok(rows),
            SplitSize::Fraction(part) if (0.0..=1.0).contains(&part) => {
                Ok((of as f64 * part).round() as usize)
            }
            SplitSize::Rows(found) => {
                Err(Error::usage(format!("{key} is {found} rows of {of}; make it smaller")))
            }
            SplitSize::Fraction(part) => {
                Err(Error::usage(format!("{key} is {part}; a fraction is from 0 to 1")))
            }
        };
        let train = size(options.train.unwrap_or(SplitSize::Fraction(0.5)), rows, "data.train")?;
        let validation = options.validation.unwrap_or(SplitSize::Fraction(0.2));
        let validation = size(validation, train, "data.validation")?;
        let mut reader = Self {
            time,
            scalers: vec![],
            columns,
            clock: options.clock.unwrap_or(of_day),
            train,
            validation,
        };
        for name in &reader.columns {
            let values = table.numbers(table.column(name)?)?;
            let found = Scaler::fit(ScalerKind::Standard, &values[..train - validation]);
            let flat = found.scale <= 1e-9 * found.shift.abs();
            reader.scalers.push(Scaler { scale: if flat { 1.0 } else { found.scale }, ..found });
        }
        Ok(reader)
    }

    /// Numbers that the model reads of a row.
    pub(crate) fn inputs(&self) -> usize {
        self.columns.len() + if self.clock { 2 } else { 0 }
    }

    /// What the model reads of a row, and its scaled values.
    pub(super) fn encode(&self, seconds: Option<i64>, values: &[f64]) -> (Vec<f32>, Vec<f32>) {
        let scaled = self.scalers.iter().zip(values);
        let scaled: Vec<f32> =
            scaled.map(|(by, value)| by.apply(*value).clamp(-BOUND, BOUND) as f32).collect();
        let mut inputs = scaled.clone();
        if self.clock {
            let turn = TAU * seconds.unwrap_or(0).rem_euclid(DAY) as f64 / DAY as f64;
            inputs.extend([turn.sin() as f32, turn.cos() as f32]);
        }
        (inputs, scaled)
    }

    /// The time of a cell.
    pub(super) fn seconds(&self, cell: &str) -> Result<Option<i64>> {
        let Some(time) = &self.time else { return Ok(None) };
        let found = time.format.parse(cell).ok_or_else(|| {
            let (cell, like) = (crate::data::shown(cell), time.format.write(0));
            Error::usage(format!("`{}` is `{cell}`, expected a time like `{like}`", time.column))
        })?;
        Ok(Some(found))
    }

    /// The rows of a file.
    pub(super) fn read(&self, path: &Path) -> Result<Stream> {
        self.rows(&Table::read(path)?)
    }

    pub(super) fn rows(&self, table: &Table) -> Result<Stream> {
        let time = self.time.as_ref().map(|time| table.column(&time.column)).transpose()?;
        let columns: Vec<Vec<f64>> = self
            .columns
            .iter()
            .map(|name| table.numbers(table.column(name)?))
            .collect::<Result<_>>()?;
        let mut stream = Stream {
            name: table.name().to_owned(),
            times: vec![],
            values: vec![],
            inputs: vec![],
            scaled: vec![],
        };
        for row in 0..table.rows() {
            let cell = time.map_or("", |column| table.cell(row, column));
            let seconds = self.seconds(cell).map_err(|error| {
                error.context(format!("{}, {}", table.name(), table.place(row)))
            })?;
            let values: Vec<f64> = columns.iter().map(|column| column[row]).collect();
            let (inputs, scaled) = self.encode(seconds, &values);
            stream.times.push(if cell.is_empty() {
                (row + 1).to_string()
            } else {
                cell.to_owned()
            });
            stream.values.extend(values);
            stream.inputs.extend(inputs);
            stream.scaled.extend(scaled);
        }
        Ok(stream)
    }

    /// What was decided, in sentences.
    pub fn describe(&self) -> Vec<String> {
        let names: Vec<String> = self.columns.iter().map(|name| format!("`{name}`")).collect();
        let mut lines = vec![format!("watches {}", names.join(", "))];
        if let Some(time) = &self.time {
            let clock = if self.clock { "; the time of day is read" } else { "" };
            lines.push(format!("time `{}`{clock}", time.column));
        }
        lines.push(format!(
            "the first {} rows train, the last {} of them choose the epoch (change: data.train)",
            self.train, self.validation
        ));
        lines
    }
}

impl Stream {
    pub(super) fn rows(&self) -> usize {
        self.times.len()
    }

    /// The rows of a part: the next ones after those that the model reads.
    pub(super) fn part(&self, reader: &StreamReader, part: Part) -> std::ops::Range<usize> {
        let (train, all) = (reader.train.min(self.rows()), self.rows());
        match part {
            Part::Train => 0..train - reader.validation,
            Part::Validation => train - reader.validation..train,
            Part::Test => train..all,
            Part::All => 0..all,
        }
    }

    /// What the model expects of each row, scaled, `[rows, columns]`; of the first its own values.
    pub(super) fn expected(&self, network: &mut Network<f32>, rows: usize) -> Result<Vec<f32>> {
        let width = network.output_width();
        let inputs = self.inputs.len() / self.rows().max(1);
        let mut expected = self.scaled[..width.min(self.scaled.len())].to_vec();
        let mut state = State::zero(network.description(), 1);
        for first in (0..rows.saturating_sub(1)).step_by(AT_ONCE) {
            let end = (first + AT_ONCE).min(rows - 1);
            let batch = Batch::new(
                end - first,
                1,
                Input::Values(&self.inputs[first * inputs..end * inputs]),
            );
            let changes =
                network.forward(&batch, Some(&mut state), Mode::Infer).map_err(refused)?;
            let last = &self.scaled[first * width..end * width];
            expected.extend(last.iter().zip(changes).map(|(last, change)| last + change));
        }
        if expected.iter().all(|value| value.is_finite()) {
            return Ok(expected);
        }
        Err(Error::failed(
            "the model gives outputs that are no numbers; train it with a smaller learning rate",
        ))
    }
}

/// How far a row is from what was expected: the root of the mean square over the columns.
pub(super) fn error(scaled: &[f32], expected: &[f32]) -> f64 {
    let squares = scaled.iter().zip(expected).map(|(now, then)| f64::from(now - then).powi(2));
    (squares.sum::<f64>() / scaled.len().max(1) as f64).sqrt()
}
