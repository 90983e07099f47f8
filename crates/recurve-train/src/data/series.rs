//! A table read by a plan: windows to learn from, origins to be measured at, forecasts to restore.
//!
//! Everything is addressed by its *origin*: the row of the first value to forecast. The window of an
//! origin is the `input` rows before it, its targets are the `horizon` rows from it on. An origin
//! belongs to a part of the split if all its targets do; the window may reach back into the part
//! before, as it will in use. The origin just after the last row is the forecast itself.
//!
//! The model can learn in two ways from a window: *direct*, the last state emits all
//! `horizon * targets` values at once ([`Series::targets`]), or *stepwise*, every state emits the
//! next row's targets ([`Series::next_targets`]).

use super::frequency::Frequency;
use super::options::{Decoding, Missing};
use super::plan::{
    Channel, DataPlan, Part, check_logarithm, check_steady, filled, read_times, rows_come,
};
use super::table::Table;
use super::time::TimeFormat;
use crate::error::{Error, Result};

/// A table, or one series of it, read by a plan.
#[derive(Clone, Debug)]
pub struct Series {
    plan: DataPlan,
    name: Option<String>,
    rows: usize,
    /// Of all rows, those to come included.
    times: Vec<i64>,
    /// The targets in the units of the file, one column each; what is missing is the value before.
    values: Vec<Vec<f64>>,
    /// Whether each value was there; empty where all were.
    there: Vec<Vec<bool>>,
    /// What ends with the window, `[rows, past]`; of the rows lost to differences the targets are zero,
    /// unused.
    past: Vec<f32>,
    /// What is known ahead, `[rows, known]`, those to come included.
    known: Vec<f32>,
}

impl Series {
    /// Reads a table of one series by a plan: the one the plan was made from, or one that came later.
    ///
    /// # Errors
    ///
    /// A column of the plan is missing, a cell in it is bad, the time column does not keep the
    /// plan's frequency, or there are fewer rows than one window.
    pub fn new(table: &Table, plan: &DataPlan) -> Result<Self> {
        Self::read(table, plan, None)
    }

    /// Reads the rows of one series, named where there are several.
    pub(super) fn read(whole: &Table, plan: &DataPlan, name: Option<&str>) -> Result<Self> {
        let times = match &plan.time {
            Some(time) => {
                let times = read_times(whole, time)?;
                check_steady(whole, time, &times, plan.frequency)?;
                times
            }
            None => (1..=whole.rows() as i64).collect(),
        };
        let index = |channel: &Channel| whole.column(&channel.column);
        let targets: Vec<usize> = plan.targets.iter().map(index).collect::<Result<_>>()?;
        let rows = rows_come(whole, &targets, !plan.known.is_empty());
        let masked = plan.missing == Missing::Mask;
        if rows < plan.rows_needed() {
            return Err(Error::usage(format!(
                "{}: {rows} rows are fewer than a window, expected at least {} (input {} and {} for \
                 differences); give more rows",
                whole.name(),
                plan.rows_needed(),
                plan.input,
                plan.transform.lost()
            )));
        }
        let mut found = Vec::new();
        let mut there = Vec::new();
        for &column in &targets {
            let table = if rows < whole.rows() { &whole.head(rows) } else { whole };
            if masked {
                let values = table.numbers_or_missing(column)?;
                there.push(values.iter().map(|value| !value.is_nan()).collect::<Vec<bool>>());
                found.push(filled(&values));
            } else {
                found.push(table.numbers(column)?);
            }
            check_logarithm(table, column, &found[found.len() - 1], plan.transform.log)?;
        }
        let plan = match name {
            Some(name) => plan.of_series(name, &found),
            None => plan.clone(),
        };
        let mut series = Self {
            name: name.map(str::to_owned),
            rows,
            times,
            values: Vec::new(),
            there: if there.iter().flatten().all(|there| *there) { Vec::new() } else { there },
            past: vec![0.0; rows * plan.past_width()],
            known: vec![0.0; whole.rows() * plan.known_width()],
            plan,
        };
        for (at, (column, values)) in targets.into_iter().zip(found).enumerate() {
            series.fill_target(whole, (column, at), &values)?;
            series.values.push(values);
        }
        series.fill_covariates(whole)?;
        series.fill_known(whole)?;
        Ok(series)
    }

    /// Writes a scaled target, which must fit into `f32`, and where it is missing.
    fn fill_target(
        &mut self,
        table: &Table,
        (column, at): (usize, usize),
        values: &[f64],
    ) -> Result<()> {
        let (width, lost) = (self.plan.past_width(), self.plan.transform.lost());
        let transformed = self.plan.transform.apply(values);
        let scaler = self.plan.targets[at].scaler;
        for (row, value) in (lost..).zip(transformed) {
            let value = scaler.apply(value) as f32;
            if !value.is_finite() {
                return Err(table.bad_cell(
                    row,
                    column,
                    &format!(
                        "`{}` is too large for the model; use the standard scaler, or divide the \
                         column",
                        table.cell(row, column)
                    ),
                ));
            }
            self.past[row * width + at] = value;
        }
        let mark = width - self.plan.covariates.len() - self.plan.targets.len() + at;
        for row in 0..self.rows {
            if !self.is_there(row, at) {
                self.past[row * width + mark] = 1.0;
            }
        }
        Ok(())
    }

    /// Covariates that end with the window; what is missing is what was before, with a mark.
    fn fill_covariates(&mut self, table: &Table) -> Result<()> {
        let (width, masked) = (self.plan.past_width(), self.plan.missing == Missing::Mask);
        let mut place = self.plan.targets.len();
        for (at, channel) in self.plan.covariates.iter().enumerate() {
            let (column, own) = (table.column(&channel.column)?, channel.width());
            let mark = width - self.plan.covariates.len() + at;
            for row in 0..self.rows {
                let (before, room) = self.past.split_at_mut(row * width);
                let cell = (table, row, column);
                if !channel.write(cell, masked, &mut room[place..place + own])? {
                    if row > 0 {
                        let before = &before[(row - 1) * width..][place..place + own];
                        room[place..place + own].copy_from_slice(before);
                    }
                    room[mark] = 1.0;
                }
            }
            place += own;
        }
        Ok(())
    }

    /// What is known ahead, of all rows of the file.
    fn fill_known(&mut self, table: &Table) -> Result<()> {
        let width = self.plan.known_width();
        let mut place = 0;
        for channel in self.plan.known.iter().chain(&self.plan.statics) {
            let (column, own) = (table.column(&channel.column)?, channel.width());
            for row in 0..table.rows() {
                let room = &mut self.known[row * width + place..][..own];
                channel.write((table, row, column), false, room)?;
            }
            place += own;
        }
        for channel in &self.plan.statics {
            let column = table.column(&channel.column)?;
            let first = table.cell(0, column);
            if let Some(row) = (1..table.rows()).find(|&row| table.cell(row, column) != first) {
                return Err(table.bad_cell(
                    row,
                    column,
                    &format!(
                        "`{}` differs from `{first}` at the beginning of the series, but the column is \
                         static; make it data.known or data.covariates",
                        table.cell(row, column)
                    ),
                ));
            }
        }
        for row in 0..table.rows() {
            self.fill_calendar(row);
        }
        Ok(())
    }

    fn fill_calendar(&mut self, row: usize) {
        let width = self.plan.known_width();
        let time = self.times[row];
        let places = (width - 2 * self.plan.calendar.len()..width).step_by(2);
        for (one, place) in self.plan.calendar.iter().zip(places) {
            self.known[row * width + place..][..2].copy_from_slice(&one.at(time));
        }
    }

    /// Makes sure that what is known ahead reaches to the end of the horizon after the last row. What the
    /// calendar and statics say can be told of any row; columns must be in the file.
    ///
    /// # Errors
    ///
    /// The file does not hold a known column that far; names it and the rows.
    pub(crate) fn reach_ahead(&mut self) -> Result<()> {
        let (width, until) = (self.plan.known_width(), self.rows + self.plan.horizon);
        if width == 0 || self.times.len() >= until {
            return Ok(());
        }
        if let Some(channel) = self.plan.known.first() {
            let (found, wanted) = (self.times.len() - self.rows, self.plan.horizon);
            let name =
                self.name.as_ref().map_or(String::new(), |name| format!("series `{name}`: "));
            return Err(Error::usage(format!(
                "{name}`{}` is to be known ahead, but only {found} of the {wanted} rows to forecast are \
                 there; append rows with their time and what is known of them, and leave `{}` empty",
                channel.column, self.plan.targets[0].column
            )));
        }
        while self.times.len() < until {
            let last = self.times[self.times.len() - 1];
            let next = self.step().after(last).ok_or_else(|| {
                Error::usage("the horizon reaches beyond the calendar; make data.horizon smaller")
            })?;
            self.times.push(next);
            let row = self.known[self.known.len() - width..].to_vec();
            self.known.extend(row);
            self.fill_calendar(self.times.len() - 1);
        }
        Ok(())
    }

    /// Its name, where the table holds several.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether a value was in the file.
    pub fn is_there(&self, row: usize, target: usize) -> bool {
        self.there.get(target).is_none_or(|there| there[row])
    }

    fn step(&self) -> Frequency {
        match &self.plan.time {
            Some(_) => self.plan.frequency,
            None => Frequency::Rows,
        }
    }

    /// The plan it was read by.
    pub fn plan(&self) -> &DataPlan {
        &self.plan
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The values of a target in the units of the file: `[rows]`.
    pub fn values(&self, target: usize) -> &[f64] {
        &self.values[target]
    }

    /// The time of a row as the file writes it, also beyond the last row; rows are counted from 1
    /// where there is no time column. `None` beyond the calendar.
    pub fn time(&self, row: usize) -> Option<String> {
        let format = self.plan.time.as_ref().map_or(TimeFormat::Integer, |time| time.format);
        let step = self.step();
        let time = match self.times.get(row) {
            Some(&time) => time,
            None => {
                let beyond = self.times.len()..=row;
                beyond.fold(self.times.last().copied(), |time, _| step.after(time?))?
            }
        };
        Some(format.write(time))
    }

    /// The origins of a part, every `stride` rows. Training origins have stride 1; to test without
    /// overlap use the horizon.
    pub fn origins(&self, part: Part, stride: usize) -> Vec<usize> {
        let range = self.plan.split.range(part, self.rows);
        let first = range.start.max(self.plan.rows_needed());
        let last = range.end.checked_sub(self.plan.horizon);
        last.map_or(Vec::new(), |last| (first..=last).step_by(stride.max(1)).collect())
    }

    /// Steps that a model goes from the window to the horizon: those of the window, and with
    /// [`Decoding::Steps`] those of the horizon.
    pub fn steps(&self) -> usize {
        let ahead = if self.plan.decoding == Decoding::Steps { self.plan.horizon } else { 0 };
        (self.plan.input + ahead) / self.plan.patch
    }

    /// The windows before some origins, time-major: `x [T,B,I]` with `T` [`steps`](Self::steps),
    /// `B = origins`, `I = channels`. An origin is at least `plan.rows_needed()` and at most `rows()`.
    pub fn inputs(&self, origins: &[usize]) -> Vec<f32> {
        let mut x = Vec::with_capacity(self.steps() * origins.len() * self.plan.channels());
        for step in 0..self.steps() {
            for &origin in origins {
                self.write_step(origin, step, &mut x);
            }
        }
        x
    }

    /// Step `step` of the window of an origin and of what follows it, `[channels]`.
    pub(crate) fn write_step(&self, origin: usize, step: usize, x: &mut Vec<f32>) {
        let plan = &self.plan;
        let (past, known) = (plan.past_width(), plan.known_width());
        let first = origin - plan.input + step * plan.patch;
        for row in first..first + plan.patch {
            // A model that feeds on its own forecasts reads what is known of the row it is to give.
            let (ahead, later) = match plan.decoding {
                Decoding::Recursive => (false, 1),
                _ => (row >= origin, 0),
            };
            if ahead {
                x.resize(x.len() + past, 0.0);
            } else {
                x.extend_from_slice(&self.past[row * past..][..past]);
            }
            x.extend_from_slice(&self.known[(row + later) * known..][..known]);
            if plan.decoding == Decoding::Steps {
                x.push(if ahead { 1.0 } else { 0.0 });
            }
        }
    }

    /// What is known of a row.
    pub(crate) fn known_at(&self, row: usize) -> &[f32] {
        let known = self.plan.known_width();
        &self.known[row * known..][..known]
    }

    /// The cell of a column that is known ahead, by its place among them, as a file would hold it.
    pub(crate) fn known_cell(&self, row: usize, which: usize) -> String {
        let (place, channel) = self.place_of_known(which);
        let own = self.known.get(row * self.plan.known_width() + place..);
        let Some(own) = own.and_then(|own| own.get(..channel.width())) else {
            return String::new();
        };
        if channel.is_category() {
            let level = own.iter().position(|mark| *mark == 1.0);
            return level.map_or(String::new(), |at| channel.levels[at].clone());
        }
        // What was read in single precision has seven digits.
        let value = channel.scaler.restore(f64::from(own[0])) as f32;
        value.to_string()
    }

    /// Changes the same.
    ///
    /// # Errors
    ///
    /// What it is changed to is no number, or not among the levels of the category.
    pub(crate) fn set_known(&mut self, row: usize, which: usize, cell: &str) -> Result<()> {
        let (place, channel) = self.place_of_known(which);
        let mut room = vec![0.0; channel.width()];
        let name = &channel.column;
        if channel.is_category() {
            let level = channel.levels.iter().position(|level| level == cell).ok_or_else(|| {
                let levels = channel.levels.join(", ");
                Error::usage(format!("`{cell}` is not among the levels of `{name}`: {levels}"))
            })?;
            room[level] = 1.0;
        } else {
            let value: Option<f64> = cell.trim().parse().ok();
            let value = value.filter(|value| value.is_finite()).ok_or_else(|| {
                Error::usage(format!("`{cell}` is no number, and `{name}` holds numbers"))
            })?;
            room[0] = channel.scaler.apply(value) as f32;
        }
        let first = row * self.plan.known_width() + place;
        self.known[first..first + room.len()].copy_from_slice(&room);
        Ok(())
    }

    fn place_of_known(&self, which: usize) -> (usize, &Channel) {
        let before = self.plan.known[..which].iter().map(Channel::width).sum();
        (before, &self.plan.known[which])
    }

    /// The scaled targets from some origins on, for direct forecasts: `y [B, horizon * targets]`,
    /// the targets of one row side by side. An origin is at most `rows() - horizon`.
    pub fn targets(&self, origins: &[usize]) -> Vec<f32> {
        let mut y = Vec::with_capacity(origins.len() * self.plan.outputs());
        for &origin in origins {
            for row in origin..origin + self.plan.horizon {
                y.extend_from_slice(self.scaled_targets(row));
            }
        }
        y
    }

    /// The scaled targets of the row after each row of the windows, for stepwise learning:
    /// `y [T,B,targets]`. An origin is at most `rows() - 1`.
    pub fn next_targets(&self, origins: &[usize]) -> Vec<f32> {
        let steps = self.plan.input;
        let mut y = Vec::with_capacity(steps * origins.len() * self.plan.targets.len());
        for step in 0..steps {
            for &origin in origins {
                y.extend_from_slice(self.scaled_targets(origin - steps + step + 1));
            }
        }
        y
    }

    /// The scaled targets of a row `[targets]`.
    pub(crate) fn scaled_targets(&self, row: usize) -> &[f32] {
        let start = row * self.plan.past_width();
        &self.past[start..start + self.plan.targets.len()]
    }

    /// The true values from an origin on, in the units of the file: `[horizon, targets]`.
    pub fn actual(&self, origin: usize) -> Vec<f64> {
        let rows = origin..origin + self.plan.horizon;
        rows.flat_map(|row| self.values.iter().map(move |column| column[row])).collect()
    }

    /// Turns what the model emitted for an origin, `[steps, targets]` with any number of steps, into
    /// the units of the file: unscaled, differences added onto the true values before the origin,
    /// exponential for a logarithm.
    ///
    /// # Errors
    ///
    /// A forecast is NaN or infinite: the model has diverged.
    pub fn restore(&self, origin: usize, emitted: &[f32]) -> Result<Vec<f64>> {
        let targets = self.plan.targets.len();
        let mut forecast = vec![0.0; emitted.len()];
        for (index, channel) in self.plan.targets.iter().enumerate() {
            let own = emitted.iter().skip(index).step_by(targets);
            let mut steps: Vec<f64> =
                own.map(|&scaled| channel.scaler.restore(f64::from(scaled))).collect();
            self.plan.transform.restore(&self.values[index][..origin], &mut steps);
            for (step, value) in steps.into_iter().enumerate() {
                if !value.is_finite() {
                    return Err(Error::failed(format!(
                        "the forecast of `{}` for {} is {value}; train again with a smaller \
                         learning rate",
                        channel.column,
                        self.time(origin + step).unwrap_or_else(|| format!("step {}", step + 1)),
                    )));
                }
                forecast[step * targets + index] = value;
            }
        }
        Ok(forecast)
    }
}
