//! The data plan: everything that was decided about a table before training.
//!
//! The plan is made once from the training file, said aloud, stored in the checkpoint, and read
//! again by every later command. Channels are the columns the model sees, targets first. The split
//! is chronological: the first rows train, the next choose the model, the last test it. The scaler
//! and all guesses about the values are those of the training rows.

use super::frequency::Frequency;
use super::options::{Columns, Decoding, Missing, ScalerKind, SplitSize, TableOptions};
use super::table::Table;
use super::time::TimeFormat;
use super::transform::{Scaler, Transform};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::Range;

mod channels;
mod choose;
mod clock;
mod make;

pub use channels::{Calendar, Channel};
pub(super) use clock::{check_steady, read_times};
pub(super) use make::{filled, rows_come};

/// Everything that was decided about a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataPlan {
    /// The time column, if there is one.
    pub time: Option<TimeColumn>,
    /// The column that names the series of a row, where there are several.
    #[serde(default)]
    pub id: Option<String>,
    /// The step from row to row.
    pub frequency: Frequency,
    /// Rows in a season; 1 where there is none.
    pub season: usize,
    /// What is forecast; the first channels of the input.
    pub targets: Vec<Channel>,
    /// What is read beside it, up to the end of the window.
    pub covariates: Vec<Channel>,
    /// What is read up to the end of the horizon.
    #[serde(default)]
    pub known: Vec<Channel>,
    /// What is the same in all rows of a series.
    #[serde(default)]
    pub statics: Vec<Channel>,
    /// What is told of the time of each row.
    #[serde(default)]
    pub calendar: Vec<Calendar>,
    /// What an empty cell is.
    #[serde(default)]
    pub missing: Missing,
    /// Logarithm and differences of the targets.
    pub transform: Transform,
    /// How the channels are scaled.
    pub scaler: ScalerKind,
    /// The chronological split; where there are several series, that of the first.
    pub split: Split,
    /// What each series has of its own, where there are several; the scalers above are those of the first.
    #[serde(default)]
    pub series: Vec<SeriesPlan>,
    /// Rows in an input window.
    pub input: usize,
    /// Rows forecast at once.
    pub horizon: usize,
    /// Rows that are read as one step.
    #[serde(default = "one")]
    pub patch: usize,
    /// How a window becomes a horizon.
    #[serde(default)]
    pub decoding: Decoding,
    /// Rows between the origins that measure; a horizon if absent.
    #[serde(default)]
    pub stride: Option<usize>,
}

fn one() -> usize {
    1
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
    Ok(clock::choose_time(table, asked, None)?.0)
}

/// What one series of a table has of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesPlan {
    /// Its name, as it stands in the column that names series.
    pub name: String,
    /// Its split.
    pub split: Split,
    /// The scalers of its targets.
    pub scalers: Vec<Scaler>,
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
    /// Numbers the model reads at each step: those of all its rows.
    pub fn channels(&self) -> usize {
        let flag = usize::from(self.decoding == Decoding::Steps);
        self.patch * (self.past_width() + self.known_width() + flag)
    }

    /// Numbers of a row that end with the window: targets, covariates, and marks of what is missing.
    pub(crate) fn past_width(&self) -> usize {
        let covariates = self.covariates.iter().map(Channel::width).sum::<usize>();
        let marks = match self.missing {
            Missing::Mask => self.targets.len() + self.covariates.len(),
            Missing::Refuse => 0,
        };
        self.targets.len() + covariates + marks
    }

    /// Numbers of a row that are known ahead: known columns, statics and the calendar.
    pub(crate) fn known_width(&self) -> usize {
        let columns = self.known.iter().chain(&self.statics);
        columns.map(Channel::width).sum::<usize>() + 2 * self.calendar.len()
    }

    /// Whether a row is no more than targets and covariates in numbers, read one by one, of one series.
    pub fn is_plain(&self) -> bool {
        self.id.is_none()
            && self.known_width() == 0
            && self.missing == Missing::Refuse
            && self.patch == 1
            && self.decoding == Decoding::Direct
            && !self.covariates.iter().any(Channel::is_category)
    }

    /// Rows between the origins that measure.
    pub fn stride(&self) -> usize {
        self.stride.unwrap_or(self.horizon)
    }

    /// This plan for one series of the table: its own split and scalers; where training did not see it,
    /// scalers of the rows that are given, and all rows are to be forecast.
    pub(crate) fn of_series(&self, name: &str, values: &[Vec<f64>]) -> Self {
        let found = self.series.iter().find(|series| series.name == name);
        let mut own = self.alone();
        let scalers = match found {
            Some(found) => found.scalers.clone(),
            None => values.iter().map(|values| self.fit_target(values)).collect(),
        };
        own.split = found.map_or(Split { train: 0, validation: 0, test: 0 }, |found| found.split);
        for (target, scaler) in own.targets.iter_mut().zip(scalers) {
            target.scaler = scaler;
        }
        own
    }

    /// The same without what is known of single series.
    fn alone(&self) -> Self {
        Self {
            time: self.time.clone(),
            id: self.id.clone(),
            targets: self.targets.clone(),
            covariates: self.covariates.clone(),
            known: self.known.clone(),
            statics: self.statics.clone(),
            calendar: self.calendar.clone(),
            transform: self.transform.clone(),
            series: Vec::new(),
            ..*self
        }
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
        let columns = self.targets.len() + self.covariates.len();
        if row.len() != columns {
            return Err(Error::usage(format!("a row of {} values, expected {columns}", row.len())));
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
            series: self.id.clone(),
            targets: names(&self.targets),
            covariates: names(&self.covariates),
            known: names(&self.known),
            statics: names(&self.statics),
            calendar: match self.calendar[..] {
                [] => Columns::Default,
                _ => {
                    Columns::Named(self.calendar.iter().map(|one| one.name().to_owned()).collect())
                }
            },
            missing: self.missing,
            log: Some(self.transform.log),
            difference: Some(self.transform.lags.first() == Some(&1)),
            seasonal_difference: Some(self.transform.lags.iter().any(|&lag| lag > 1)),
            scaler: self.scaler,
            season: Some(self.season),
            input: Some(self.input),
            horizon: Some(self.horizon),
            patch: Some(self.patch).filter(|patch| *patch > 1),
            decoding: Some(self.decoding),
            stride: self.stride,
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
        let range = match self.series[..] {
            [] => format!("{} to {}", cell(0), cell(table.rows() - 1)),
            _ => format!("{} series in `{}`", self.series.len(), self.id.as_deref().unwrap_or("")),
        };
        let mut lines = vec![format!(
            "{}: {} rows, {}, {time}, {range}",
            table.name(),
            table.rows(),
            self.frequency
        )];
        lines.push(format!(
            "target {}; covariates {}; season {}; reads {} rows, forecasts {}",
            quoted(&self.targets),
            quoted(&self.covariates),
            self.season,
            self.input,
            self.horizon
        ));
        let calendar: Vec<&str> = self.calendar.iter().map(|one| one.name()).collect();
        let ahead = [
            ("known ahead", quoted(&self.known)),
            ("static", quoted(&self.statics)),
            ("calendar", if calendar.is_empty() { "none".to_owned() } else { calendar.join(", ") }),
        ];
        let ahead: Vec<String> = ahead
            .iter()
            .filter(|(_, names)| names != "none")
            .map(|(what, names)| format!("{what} {names}"))
            .collect();
        if !ahead.is_empty() {
            lines.push(ahead.join("; "));
        }
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
            ScalerKind::Mean => "mean scaler from the training part".to_owned(),
            ScalerKind::None => "no scaler".to_owned(),
        });
        lines.push(transforms.join(", "));
        if !self.series.is_empty() {
            let rows = |of: fn(&Split) -> usize| {
                let rows = self.series.iter().map(|series| of(&series.split));
                let (least, most) =
                    rows.fold((usize::MAX, 0), |(a, b), rows| (a.min(rows), b.max(rows)));
                if least == most { most.to_string() } else { format!("{least} to {most}") }
            };
            lines.push(format!(
                "of each series: train {} rows, validation {}, test {}; each has its own scaler",
                rows(|split| split.train),
                rows(|split| split.validation),
                rows(|split| split.test)
            ));
            return lines;
        }
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
