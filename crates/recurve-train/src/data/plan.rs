//! The data plan: everything that was decided about a table before training.
//!
//! The plan is made once from the training file, said aloud, stored in the checkpoint, and read
//! again by every later command. Channels are the columns the model sees, targets first. The split
//! is chronological: the first rows train, the next choose the model, the last test it. The scaler
//! and all guesses about the values look at the training rows only.

use super::options::{Columns, ScalerKind, SplitSize, TableOptions};
use super::statistics;
use super::table::Table;
use super::time::{Frequency, TimeFormat};
use super::transform::{Scaler, Transform};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::Range;

mod clock;

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
        check_options(options)?;
        let (time, times) = clock::choose_time(table, options.time.as_deref())?;
        let frequency = match &time {
            Some(time) => clock::guess_frequency(table, time, &times)?,
            None => Frequency::Rows,
        };
        let (targets, covariates) = choose_columns(table, options, time.as_ref())?;
        let values = targets.iter().map(|&column| table.numbers(column));
        let values: Vec<Vec<f64>> = values.collect::<Result<_>>()?;

        let season = options
            .season
            .unwrap_or_else(|| guess_season(frequency, &values[0]));
        let horizon = options
            .horizon
            .unwrap_or_else(|| guess_horizon(season, frequency));
        let split = choose_split(table, options, horizon)?;
        let transform = choose_transform(options, season, &values, split.train)?;
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

    /// The options that make this plan again from the same table, with nothing left to guess.
    pub fn options(&self) -> TableOptions {
        let names = |channels: &[Channel]| match channels {
            [] => Columns::Default,
            _ => Columns::Named(
                channels
                    .iter()
                    .map(|channel| channel.column.clone())
                    .collect(),
            ),
        };
        TableOptions {
            time: Some(
                self.time
                    .as_ref()
                    .map_or("none".to_owned(), |time| time.column.clone()),
            ),
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
            let names: Vec<String> = channels
                .iter()
                .map(|channel| format!("`{}`", channel.column))
                .collect();
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
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
        let Split {
            train,
            validation,
            test,
        } = self.split;
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
        for (name, rows, start) in [
            ("validation", validation, train),
            ("test", test, train + validation),
        ] {
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
        let Split {
            train,
            validation,
            test,
        } = self.split;
        let lost = self.transform.lost();
        let sizes = [lost, self.input, self.horizon, validation, test];
        let needed = sizes
            .iter()
            .try_fold(0_usize, |sum, &size| sum.checked_add(size));
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

fn check_options(options: &TableOptions) -> Result<()> {
    for (name, value) in [
        ("season", options.season),
        ("input", options.input),
        ("horizon", options.horizon),
    ] {
        if value == Some(0) {
            return Err(Error::usage(format!("`{name}` is 0, expected at least 1")));
        }
    }
    for (name, size) in [("validation", options.validation), ("test", options.test)] {
        if let Some(SplitSize::Fraction(fraction)) = size
            && !(0.0..1.0).contains(&fraction)
        {
            return Err(Error::usage(format!(
                "`{name}` is {fraction}, expected a number of rows or a fraction from 0 to below 1"
            )));
        }
    }
    Ok(())
}

/// The column indices of targets and covariates.
fn choose_columns(
    table: &Table,
    options: &TableOptions,
    time: Option<&TimeColumn>,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let is_time = |column: &usize| time.is_some_and(|t| t.column == table.columns()[*column]);
    let named = |names: &[String], role: &str, taken: &[usize]| -> Result<Vec<usize>> {
        let mut chosen: Vec<usize> = Vec::new();
        for name in names {
            let column = table.column(name)?;
            let role_before = match () {
                () if is_time(&column) => "the time column",
                () if taken.contains(&column) => "a target",
                () if chosen.contains(&column) => "in the list",
                () => {
                    chosen.push(column);
                    continue;
                }
            };
            return Err(Error::usage(format!(
                "{}: `{name}` cannot be a {role}, it is already {role_before}; remove it from the \
                 {role}s",
                table.name()
            )));
        }
        Ok(chosen)
    };
    let numeric = (0..table.columns().len()).filter(|column| !is_time(column));
    let numeric: Vec<usize> = numeric.filter(|&column| table.is_numeric(column)).collect();
    let covariates = match &options.covariates {
        Columns::Named(names) => named(names, "covariate", &[])?,
        Columns::Default | Columns::All => Vec::new(),
    };
    let free = numeric
        .iter()
        .copied()
        .filter(|column| !covariates.contains(column));
    let targets = match &options.targets {
        Columns::Default => free.last().into_iter().collect(),
        Columns::All => free.collect(),
        Columns::Named(names) => named(names, "target", &[])?,
    };
    if targets.is_empty() {
        return Err(Error::usage(format!(
            "{}: there is no column of numbers to forecast among {}; give a table with one \
             numeric column at least",
            table.name(),
            table
                .columns()
                .iter()
                .map(|c| format!("`{c}`"))
                .collect::<Vec<_>>()
                .join(", ")
        )));
    }
    let covariates = match &options.covariates {
        Columns::Default => Vec::new(),
        Columns::All => numeric
            .into_iter()
            .filter(|column| !targets.contains(column))
            .collect(),
        Columns::Named(names) => named(names, "covariate", &targets)?,
    };
    Ok((targets, covariates))
}

/// The season of the calendar, or that of the values; 1 where the file holds fewer than two.
fn guess_season(frequency: Frequency, values: &[f64]) -> usize {
    let season = frequency.season().unwrap_or_else(|| {
        // About the training part: what comes later is not looked at.
        statistics::season(&values[..values.len() * 3 / 4])
    });
    if 2 * season <= values.len() {
        season
    } else {
        1
    }
}

fn guess_horizon(season: usize, frequency: Frequency) -> usize {
    match season {
        1 if frequency.season().is_some() => 12,
        1 => 6,
        2..=5 => 2 * season,
        52 => 13,
        _ => season.min(96),
    }
}

fn choose_split(table: &Table, options: &TableOptions, horizon: usize) -> Result<Split> {
    let rows = table.rows();
    // Whole horizons, close to a share of the file.
    let guess = |share: f64, least: usize| {
        let horizons = (share * rows as f64 / horizon as f64).round() as usize;
        horizons.max(least).saturating_mul(horizon)
    };
    let size = |size: Option<SplitSize>, guess: usize| match size {
        Some(SplitSize::Rows(count)) => count,
        Some(SplitSize::Fraction(fraction)) => (fraction * rows as f64).round() as usize,
        None => guess,
    };
    let least = if 8 * horizon <= rows { 2 } else { 1 };
    let test = size(options.test, guess(0.15, least));
    let validation = size(options.validation, guess(0.1, 1));
    let held_out = test.checked_add(validation);
    match held_out.and_then(|held_out| rows.checked_sub(held_out)) {
        Some(train) if train > 0 => Ok(Split {
            train,
            validation,
            test,
        }),
        _ => Err(Error::usage(format!(
            "{}: {rows} rows leave nothing to train on after validation {validation} and test \
             {test} (horizon {horizon}); give more rows or make validation, test or horizon smaller",
            table.name()
        ))),
    }
}

/// What the options say, else what the training part of every target suggests.
fn choose_transform(
    options: &TableOptions,
    season: usize,
    values: &[Vec<f64>],
    train: usize,
) -> Result<Transform> {
    let suggest = |test: &dyn Fn(&[f64]) -> bool| values.iter().all(|v| test(&v[..train]));
    // A guessed logarithm must also be possible on the rows that are held out.
    let positive = || values.iter().flatten().all(|&value| value > 0.0);
    let log = options
        .log
        .unwrap_or_else(|| positive() && suggest(&|v| statistics::spread_follows_level(v, season)));
    let logarithm = Transform {
        log,
        lags: Vec::new(),
    };
    let level = |v: &[f64]| {
        if log && !positive() {
            v.to_vec()
        } else {
            logarithm.apply(v)
        }
    };
    let trend = suggest(&|v| statistics::has_trend(&level(v)));
    let wave = suggest(&|v| statistics::has_season(&level(v), season));
    let seasonal = options.seasonal_difference.unwrap_or(trend && wave);
    let difference = options.difference.unwrap_or(trend && !seasonal);
    if seasonal && season < 2 {
        return Err(Error::usage(
            "`seasonal_difference` is on, but the season is 1 row; set `season` to the rows of a \
             season, or use `difference`",
        ));
    }
    let mut lags = Vec::new();
    lags.extend(difference.then_some(1));
    lags.extend(seasonal.then_some(season));
    Ok(Transform { log, lags })
}
