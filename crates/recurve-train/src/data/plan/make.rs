//! How a plan is made: choices for the longest series, then each series by them.
//!
//! What all series share (columns, frequency, season, transform, window, horizon) is chosen from the
//! longest one, or from all where all must allow it; where each is split and how its targets are scaled
//! is its own. Covariates are scaled and their categories named by the training rows of all series.

use super::channels::{Calendar, Channel};
use super::choose::{self, Lengths, Roles};
use super::{DataPlan, SeriesPlan, Split, check_logarithm, clock};
use crate::data::frequency::Frequency;
use crate::data::options::{Decoding, Missing, TableOptions};
use crate::data::statistics::mean_and_deviation;
use crate::data::table::{Table, is_missing};
use crate::data::transform::Scaler;
use crate::error::{Error, Result};
use std::borrow::Cow;

/// One series of a table: its name where there are several, its rows, and its targets.
struct Member<'a> {
    name: Option<String>,
    /// All its rows, those to come included.
    whole: Cow<'a, Table>,
    /// The rows that have come.
    table: Cow<'a, Table>,
    /// The targets `[targets][rows]`, gaps filled.
    values: Vec<Vec<f64>>,
    split: Split,
}

/// The rows of a table up to the last one that has a target; the others are to come.
pub(in crate::data) fn rows_come(table: &Table, targets: &[usize], known: bool) -> usize {
    if !known {
        return table.rows();
    }
    let there = |row: &usize| targets.iter().any(|&column| !is_missing(table.cell(*row, column)));
    (0..table.rows()).rev().find(there).map_or(table.rows(), |row| row + 1)
}

/// Values with those that are missing replaced by the one before, or the first that is there.
pub(in crate::data) fn filled(values: &[f64]) -> Vec<f64> {
    let mut last = values.iter().copied().find(|value| !value.is_nan()).unwrap_or(0.0);
    let fill = |value: &f64| {
        if !value.is_nan() {
            last = *value;
        }
        last
    };
    values.iter().map(fill).collect()
}

impl DataPlan {
    /// Decides everything about a table: what the options say, and guesses for the rest.
    ///
    /// # Errors
    ///
    /// An unknown column, a bad cell in a used column, an unsteady time column, a logarithm of a
    /// value that is not positive, or too few rows for the split and one window; names the series.
    pub fn new(table: &Table, options: &TableOptions) -> Result<Self> {
        let id = options.series.as_deref().map(|name| table.column(name)).transpose()?;
        let tables: Vec<(Option<String>, Cow<'_, Table>)> = match id {
            Some(id) => {
                let named = table.by_series(id)?.into_iter();
                named.map(|(name, own)| (Some(name), Cow::Owned(own))).collect()
            }
            None => vec![(None, Cow::Borrowed(table))],
        };
        let longest = (0..tables.len()).rev().max_by_key(|&at| tables[at].1.rows()).unwrap_or(0);
        let example = &tables[longest].1;
        choose::check_options(example, options)?;
        let (time, times) = clock::choose_time(example, options.time.as_deref(), id)?;
        let roles = choose::roles(table, options, (time.as_ref(), id))?;
        let missing = options.missing == Missing::Mask;
        let mut members = Vec::with_capacity(tables.len());
        for (name, whole) in tables {
            let rows = rows_come(&whole, &roles.targets, !roles.known.is_empty());
            let table =
                if rows < whole.rows() { Cow::Owned(whole.head(rows)) } else { whole.clone() };
            let values = roles.targets.iter().map(|&column| target(&table, column, missing));
            let values = values.collect::<Result<_>>()?;
            let split = Split { train: 0, validation: 0, test: 0 };
            members.push(Member { name, whole, table, values, split });
        }
        let frequency = match &time {
            Some(time) => clock::guess_frequency(&members[longest].whole, time, &times)?,
            None => Frequency::Rows,
        };
        if let (Some(time), true) = (&time, members.len() > 1) {
            for member in &members {
                let times = clock::read_times(&member.whole, time)?;
                clock::check_steady(&member.whole, time, &times, frequency)?;
            }
        }
        let own = &members[longest];
        let Lengths { season, horizon, split } =
            choose::lengths(&own.table, options, frequency, &own.values[0])?;
        let all = members.iter().flat_map(|member| &member.values).flatten();
        let positive = all.copied().all(|value| value > 0.0);
        let transform = choose::transform(options, season, &own.values, (split.train, positive))?;
        for member in &mut members {
            member.split = choose::split(&member.table, options, horizon)?;
        }
        let calendar = Calendar::choose(&options.calendar)?;
        if !calendar.is_empty() && !time.as_ref().is_some_and(|time| time.format.is_calendar()) {
            return Err(Error::usage(
                "data.calendar needs a time column with dates; set data.time, or leave data.calendar out",
            ));
        }
        let ahead = !roles.known.is_empty() || !calendar.is_empty();
        let patch = options.patch.unwrap_or(1);
        let input = options.input.unwrap_or_else(|| {
            let shortest = members.iter().map(|member| member.split.train).min().unwrap_or(0);
            let room = shortest.saturating_sub(transform.lost() + horizon);
            let wish = if season > 1 { 2 * season } else { 12 };
            let rows = wish.min(room / 2).max(1);
            if rows > patch { rows / patch * patch } else { patch }
        });
        let mut plan = Self {
            time,
            id: options.series.clone(),
            frequency,
            season,
            targets: Vec::new(),
            covariates: Vec::new(),
            known: Vec::new(),
            statics: Vec::new(),
            calendar,
            missing: options.missing,
            transform,
            scaler: options.scaler,
            split,
            series: Vec::new(),
            input,
            horizon,
            patch,
            decoding: options.decoding.unwrap_or(match ahead {
                true => Decoding::Steps,
                false => Decoding::Direct,
            }),
            stride: options.stride,
        };
        plan.check_steps(&roles)?;
        plan.fit(table, &roles, &members)?;
        Ok(plan)
    }

    /// What does not go together.
    fn check_steps(&self, roles: &Roles) -> Result<()> {
        let refuse = |text: String| Err(Error::usage(text));
        if self.patch == 0 || self.stride == Some(0) {
            return refuse("data.patch and data.stride are at least 1".to_owned());
        }
        if !self.input.is_multiple_of(self.patch) {
            return refuse(format!(
                "data.input is {}, which {} rows at a time (data.patch) do not fill; make it a multiple",
                self.input, self.patch
            ));
        }
        match self.decoding {
            Decoding::Direct if !roles.known.is_empty() => refuse(
                "data.decoding is direct, which does not read the horizon, but there are columns that are \
                 known ahead; set data.decoding to steps, or make them data.covariates"
                    .to_owned(),
            ),
            Decoding::Steps if !self.horizon.is_multiple_of(self.patch) => refuse(format!(
                "data.horizon is {}, which {} rows at a time (data.patch) do not fill; make it a multiple",
                self.horizon, self.patch
            )),
            Decoding::Recursive if self.patch > 1 => {
                refuse("data.decoding is recursive, which goes row by row; leave data.patch out".to_owned())
            }
            Decoding::Recursive if !roles.covariates.is_empty() => refuse(
                "data.decoding is recursive, which reads its own forecasts, but data.covariates end with \
                 the window; make them data.known, or set data.decoding to direct or steps"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// Scalers and categories, from the training rows.
    fn fit(&mut self, table: &Table, roles: &Roles, members: &[Member<'_>]) -> Result<()> {
        for member in members {
            self.split = member.split;
            self.check_rows(&member.table)?;
            let mut scalers = Vec::new();
            for (&column, values) in roles.targets.iter().zip(&member.values) {
                check_logarithm(&member.table, column, values, self.transform.log)?;
                scalers.push(self.fit_target(&values[..member.split.train]));
            }
            if let Some(name) = &member.name {
                self.series.push(SeriesPlan { name: name.clone(), split: member.split, scalers });
            } else {
                self.targets = channels(table, roles, &scalers);
            }
        }
        if let Some(first) = self.series.first() {
            self.split = first.split;
            self.targets = channels(table, roles, &first.scalers);
        }
        let own = (self.scaler, self.missing == Missing::Mask);
        // A training row of some series, by the line it stands on.
        let lines = members.iter().flat_map(|member| {
            (self.transform.lost()..member.split.train).map(|row| member.table.line(row))
        });
        let lines: std::collections::HashSet<usize> = lines.collect();
        let training = |row: usize| lines.contains(&table.line(row));
        let fit = |columns: &[usize]| -> Result<Vec<Channel>> {
            columns.iter().map(|&column| Channel::fit(table, column, own, training)).collect()
        };
        let (covariates, known) = (fit(&roles.covariates)?, fit(&roles.known)?);
        self.statics = fit(&roles.statics)?;
        (self.covariates, self.known) = (covariates, known);
        Ok(())
    }

    /// The scaler of a target from its training values.
    pub(in crate::data) fn fit_target(&self, training: &[f64]) -> Scaler {
        let transformed = self.transform.apply(training);
        let scaler = Scaler::fit(self.scaler, &transformed);
        // A series without change over training may change later, by its own size.
        let (mean, deviation) = mean_and_deviation(&transformed);
        if deviation == 0.0 && !self.series.is_empty() && mean != 0.0 {
            return Scaler { scale: mean.abs(), ..scaler };
        }
        scaler
    }
}

fn channels(table: &Table, roles: &Roles, scalers: &[Scaler]) -> Vec<Channel> {
    let columns = roles.targets.iter().zip(scalers);
    columns.map(|(&column, &scaler)| Channel::number(&table.columns()[column], scaler)).collect()
}

/// A target, gaps filled where they may be.
fn target(table: &Table, column: usize, missing: bool) -> Result<Vec<f64>> {
    if !missing {
        return table.numbers(column);
    }
    let values = table.numbers_or_missing(column)?;
    if values.iter().all(|value| value.is_nan()) {
        return Err(Error::usage(format!(
            "{}: `{}` has no value at all; remove the series or the column",
            table.name(),
            table.columns()[column]
        )));
    }
    Ok(filled(&values))
}
