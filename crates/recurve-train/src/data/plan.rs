//! The data plan: everything that was decided about a table before training.
//!
//! The plan is made once from the training file, said aloud, stored in the checkpoint, and read
//! again by every later command. Channels are the columns the model sees, targets first. The split
//! is chronological: the first rows train, the next choose the model, the last test it. The scaler
//! and all guesses about the values are those of the training rows.

use super::frequency::Frequency;
use super::options::{Columns, ScalerKind, SplitSize, TableOptions};
use super::table::Table;
use super::time::TimeFormat;
use super::transform::{Scaler, Transform};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::Range;

mod choose;
mod clock;

use choose::Lengths;
pub(super) use clock::{check_steady, read_times};

/// Everything that was decided about a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataPlan {
    /// The time column, if there is one.
    pub time: Option<TimeColumn>,
    /// The step from row to row.
    pub frequency: Frequency,
    /// Rows in a season; 1 where there is none.
    pub season: usize,
    /// What is forecast; the first channels of the input.
    pub targets: Vec<Channel>,
    /// What is read beside it; the other channels.
    pub covariates: Vec<Channel>,
    /// Logarithm and differences of the targets.
    pub transform: Transform,
    /// How the channels are scaled.
    pub scaler: ScalerKind,
    /// The chronological split.
    pub split: Split,
    /// Rows in an input window.
    pub input: usize,
    /// Rows forecast at once.
    pub horizon: usize,
}

/// The time column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeColumn {
    /// Its name.
    pub column: String,
    /// How its cells are written.
    pub format: TimeFormat,
}

/// The time column of a table that is asked for, or the first that reads as times; `none` asks for none.
pub(crate) fn time_column(table: &Table, asked: Option<&str>) -> Result<Option<TimeColumn>> {
    Ok(clock::choose_time(table, asked)?.0)
}

/// One column as the model sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Its name.
    pub column: String,
    /// Its scaling, after the transform; fitted on the training rows.
    pub scaler: Scaler,
}

/// The chronological split, in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The first rows.
    pub train: usize,
    /// The rows after them.
    pub validation: usize,
    /// The last rows.
    pub test: usize,
}

/// A part of the split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the weights learn from.
    Train,
    /// What chooses the model.
    Validation,
    /// What is looked at once, at the end.
    Test,
    /// Every row of the file, for data that came later.
    All,
}

impl Part {
    /// What it is called in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::All => "all",
        }
    }
}

impl Split {
    /// The rows of a part of a file of `rows` rows.
    pub fn range(&self, part: Part, rows: usize) -> Range<usize> {
        let trained = self.train.min(rows);
        let validated = (self.train + self.validation).min(rows);
        match part {
            Part::Train => 0..trained,
            Part::Validation => trained..validated,
            Part::Test => validated..(self.train + self.validation + self.test).min(rows),
            Part::All => 0..rows,
        }
    }
}

impl DataPlan {
    /// Decides everything about a table: what the options say, and guesses for the rest.
    ///
    /// # Errors
    ///
    /// An unknown column, a bad cell in a used column, an unsteady time column, a logarithm of a
    /// value that is not positive, or too few rows for the split and one window.
    pub fn new(table: &Table, options: &TableOptions) -> Result<Self> {
        choose::check_options(table, options)?;
        let (time, times) = clock::choose_time(table, options.time.as_deref())?;
        let frequency = match &time {
            Some(time) => clock::guess_frequency(table, time, &times)?,
            None => Frequency::Rows,
        };
        let (targets, covariates) = choose::columns(table, options, time.as_ref())?;
        let values = targets.iter().map(|&column| table.numbers(column));
        let values: Vec<Vec<f64>> = values.collect::<Result<_>>()?;

        let Lengths { season, horizon, split } =
            choose::lengths(table, options, frequency, &values[0])?;
        let transform = choose::transform(options, season, &values, split.train)?;
        let input = options.input.unwrap_or_else(|| {
            let room = split.train.saturating_sub(transform.lost() + horizon);
            let wish = if season > 1 { 2 * season } else { 12 };
            wish.min(room / 2).max(1)
        });
        let mut plan = Self {
            time,
            frequency,
            season,
            targets: Vec::new(),
            covariates: Vec::new(),
            transform,
            scaler: options.scaler,
            split,
            input,
            horizon,
        };
        plan.check_rows(table)?;
        for (&column, values) in targets.iter().zip(&values) {
            check_logarithm(table, column, values, plan.transform.log)?;
            let transformed = plan.transform.apply(&values[..split.train]);
            plan.targets.push(Channel {
                column: table.columns()[column].clone(),
                scaler: Scaler::fit(options.scaler, &transformed),
            });
        }
        for &column in &covariates {
            let values = table.numbers(column)?;
            plan.covariates.push(Channel {
                column: table.columns()[column].clone(),
                scaler: Scaler::fit(options.scaler, &values[plan.transform.lost()..split.train]),
            });
        }
        Ok(plan)
    }

    /// Channels the model reads at each step: targets, then covariates.
    pub fn channels(&self) -> usize {
        self.targets.len() + self.covariates.len()
    }

    /// Values the model emits for a window: `horizon * targets`.
    pub fn outputs(&self) -> usize {
        self.horizon * self.targets.len()
    }

    /// Rows a file must have before a forecast can be made.
    pub fn rows_needed(&self) -> usize {
        self.transform.lost() + self.input
    }

    /// Whether a row `[channels]` in the units of the file is one the model can read.
    ///
    /// # Errors
    ///
    /// Another width, a value that is not finite, too large, or not above 0 where its logarithm is
    /// taken; names the column.
    pub fn check_row(&self, row: &[f64]) -> Result<()> {
        if row.len() != self.channels() {
            return Err(Error::usage(format!(
                "a row of {} values, expected {}",
                row.len(),
                self.channels()
            )));
        }
        let channels = self.targets.iter().chain(&self.covariates).zip(row);
        for (index, (channel, &value)) in channels.enumerate() {
            let log = self.transform.log && index < self.targets.len();
            let size = channel.scaler.apply(value).abs();
            let expected = match () {
                () if log && (value <= 0.0 || !value.is_finite()) => "a number above 0",
                () if !value.is_finite() => "a number",
                // Differences at most double a value for each lag.
                () if !log && size * 2_f64.powi(self.transform.lags.len() as i32) > 1e38 => {
                    "a number of the size of those in training"
                }
                () => continue,
            };
            return Err(Error::usage(format!(
                "`{}` is {value}, expected {expected}",
                channel.column
            )));
        }
        Ok(())
    }

    /// The options that make this plan again from the same table, with nothing left to guess.
    pub fn options(&self) -> TableOptions {
        let names = |channels: &[Channel]| match channels {
            [] => Columns::Default,
            _ => Columns::Named(channels.iter().map(|channel| channel.column.clone()).collect()),
        };
        TableOptions {
            time: Some(self.time.as_ref().map_or("none".to_owned(), |time| time.column.clone())),
            targets: names(&self.targets),
            covariates: names(&self.covariates),
            log: Some(self.transform.log),
            difference: Some(self.transform.lags.first() == Some(&1)),
            seasonal_difference: Some(self.transform.lags.iter().any(|&lag| lag > 1)),
            scaler: self.scaler,
            season: Some(self.season),
            input: Some(self.input),
            horizon: Some(self.horizon),
            validation: Some(SplitSize::Rows(self.split.validation)),
            test: Some(SplitSize::Rows(self.split.test)),
        }
    }

    /// What was decided, in sentences for a person, one per line.
    pub fn describe(&self, table: &Table) -> Vec<String> {
        let quoted = |channels: &[Channel]| {
            let names: Vec<String> =
                channels.iter().map(|channel| format!("`{}`", channel.column)).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        let cell = |row: usize| match &self.time {
            Some(time) => match table.column(&time.column) {
                Ok(column) => table.cell(row, column).to_owned(),
                Err(_) => format!("row {}", row + 1),
            },
            None => format!("row {}", row + 1),
        };
        let time = match &self.time {
            Some(time) => format!("time `{}`", time.column),
            None => "no time column".to_owned(),
        };
        let Split { train, validation, test } = self.split;
        let mut lines = vec![format!(
            "{}: {} rows, {}, {time}, {} to {}",
            table.name(),
            table.rows(),
            self.frequency,
            cell(0),
            cell(table.rows() - 1)
        )];
        lines.push(format!(
            "target {}; covariates {}; season {}; reads {} rows, forecasts {}",
            quoted(&self.targets),
            quoted(&self.covariates),
            self.season,
            self.input,
            self.horizon
        ));
        let mut transforms = Vec::new();
        if self.transform.log {
            transforms.push("logarithm".to_owned());
        }
        for &lag in &self.transform.lags {
            transforms.push(match lag {
                1 => "difference".to_owned(),
                _ => format!("seasonal difference ({lag} rows)"),
            });
        }
        transforms.push(match self.scaler {
            ScalerKind::Standard => "standard scaler from the training part".to_owned(),
            ScalerKind::MinMax => "min-max scaler from the training part".to_owned(),
            ScalerKind::None => "no scaler".to_owned(),
        });
        lines.push(transforms.join(", "));
        let mut parts = vec![format!("train {train} rows to {}", cell(train - 1))];
        for (name, rows, start) in
            [("validation", validation, train), ("test", test, train + validation)]
        {
            if rows > 0 {
                parts.push(format!("{name} {rows} rows from {}", cell(start)));
            } else {
                parts.push(format!("no {name} part"));
            }
        }
        lines.push(parts.join(", "));
        lines
    }

    /// The training part must hold a window and its targets, the other parts a horizon.
    fn check_rows(&self, table: &Table) -> Result<()> {
        let Split { train, validation, test } = self.split;
        let lost = self.transform.lost();
        let sizes = [lost, self.input, self.horizon, validation, test];
        let needed = sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size));
        if needed.is_none_or(|needed| needed > table.rows()) {
            let needed = needed.map_or("more".to_owned(), |needed| needed.to_string());
            return Err(Error::usage(format!(
                "{}: {} rows are too few, expected at least {needed}: input window {}, horizon {}, \
                 {lost} lost to differences, validation {validation}, test {test}; give more rows \
                 or make input, horizon, validation or test smaller",
                table.name(),
                table.rows(),
                self.input,
                self.horizon,
            )));
        }
        debug_assert!(train >= lost + self.input + self.horizon);
        for (name, rows) in [("validation", validation), ("test", test)] {
            if rows > 0 && rows < self.horizon {
                return Err(Error::usage(format!(
                    "{}: the {name} part has {rows} rows, fewer than the horizon of {}; make \
                     `{name}` larger, `horizon` smaller, or `{name}` 0",
                    table.name(),
                    self.horizon
                )));
            }
        }
        Ok(())
    }
}

/// The logarithm needs values above zero; `values` is a column of the table.
pub(super) fn check_logarithm(
    table: &Table,
    column: usize,
    values: &[f64],
    log: bool,
) -> Result<()> {
    match values.iter().position(|&value| log && value <= 0.0) {
        None => Ok(()),
        Some(row) => Err(table.bad_cell(
            row,
            column,
            &format!(
                "`{}` has no logarithm, expected a value above 0; set `log` to false",
                table.cell(row, column)
            ),
        )),
    }
}
