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
use super::plan::{DataPlan, Part, check_logarithm, check_steady, read_times};
use super::table::Table;
use super::time::TimeFormat;
use crate::error::{Error, Result};

/// A table read by a plan.
#[derive(Clone, Debug)]
pub struct Series {
    plan: DataPlan,
    rows: usize,
    times: Vec<i64>,
    /// The targets in the units of the file, one column each.
    values: Vec<Vec<f64>>,
    /// What the model sees, `[rows, channels]`; the rows lost to differences are zero, unused.
    scaled: Vec<f32>,
}

impl Series {
    /// Reads a table by a plan: the one the plan was made from, or one that came later.
    ///
    /// # Errors
    ///
    /// A column of the plan is missing, a cell in it is bad, the time column does not keep the
    /// plan's frequency, or there are fewer rows than one window.
    pub fn new(table: &Table, plan: &DataPlan) -> Result<Self> {
        let times = match &plan.time {
            Some(time) => {
                let times = read_times(table, time)?;
                check_steady(table, time, &times, plan.frequency)?;
                times
            }
            None => (1..=table.rows() as i64).collect(),
        };
        if table.rows() < plan.rows_needed() {
            return Err(Error::usage(format!(
                "{}: {} rows are fewer than a window, expected at least {} (input {} and {} for \
                 differences); give more rows",
                table.name(),
                table.rows(),
                plan.rows_needed(),
                plan.input,
                plan.transform.lost()
            )));
        }
        let mut series = Self {
            rows: table.rows(),
            times,
            values: Vec::new(),
            scaled: vec![0.0; table.rows() * plan.channels()],
            plan: plan.clone(),
        };
        let lost = plan.transform.lost();
        for (channel, target) in plan.targets.iter().enumerate() {
            let column = table.column(&target.column)?;
            let values = table.numbers(column)?;
            check_logarithm(table, column, &values, plan.transform.log)?;
            let transformed = plan.transform.apply(&values);
            let scaled = transformed.iter().map(|&value| target.scaler.apply(value));
            series.fill(table, (column, channel), (lost..).zip(scaled))?;
            series.values.push(values);
        }
        for (index, covariate) in plan.covariates.iter().enumerate() {
            let column = table.column(&covariate.column)?;
            let values = table.numbers(column)?;
            let scaled = values.iter().map(|&value| covariate.scaler.apply(value));
            let channel = plan.targets.len() + index;
            series.fill(table, (column, channel), (0..).zip(scaled))?;
        }
        Ok(series)
    }

    /// Rows that come from no file, each `[channels]` in the units of the file: the latest of a
    /// stream. Their times are not known; rows are counted from 1.
    ///
    /// # Errors
    ///
    /// As [`DataPlan::check_row`], or fewer rows than one window.
    pub fn of_rows(plan: &DataPlan, rows: &[Vec<f64>]) -> Result<Self> {
        let channels = plan.channels();
        if rows.len() < plan.rows_needed() {
            return Err(Error::usage(format!(
                "{} rows are fewer than a window, expected at least {}",
                rows.len(),
                plan.rows_needed()
            )));
        }
        for row in rows {
            plan.check_row(row)?;
        }
        let named = plan.targets.iter().chain(&plan.covariates).enumerate();
        let mut series = Self {
            rows: rows.len(),
            times: (1..=rows.len() as i64).collect(),
            values: Vec::new(),
            scaled: vec![0.0; rows.len() * channels],
            plan: DataPlan { time: None, ..plan.clone() },
        };
        for (index, channel) in named {
            let values: Vec<f64> = rows.iter().map(|row| row[index]).collect();
            let target = index < plan.targets.len();
            let first = if target { plan.transform.lost() } else { 0 };
            let level = if target { plan.transform.apply(&values) } else { values.clone() };
            for (row, value) in (first..).zip(level) {
                let scaled = channel.scaler.apply(value) as f32;
                if !scaled.is_finite() {
                    let (column, value) = (&channel.column, values[row]);
                    return Err(Error::usage(format!(
                        "`{column}` is {value}, too large for the model"
                    )));
                }
                series.scaled[row * channels + index] = scaled;
            }
            if target {
                series.values.push(values);
            }
        }
        Ok(series)
    }

    /// Writes a scaled column, which must fit into `f32`.
    fn fill(
        &mut self,
        table: &Table,
        (column, channel): (usize, usize),
        scaled: impl Iterator<Item = (usize, f64)>,
    ) -> Result<()> {
        let channels = self.plan.channels();
        for (row, value) in scaled {
            let value = value as f32;
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
            self.scaled[row * channels + channel] = value;
        }
        Ok(())
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
        let step = match &self.plan.time {
            Some(_) => self.plan.frequency,
            None => Frequency::Rows,
        };
        let time = match self.times.get(row) {
            Some(&time) => time,
            None => (self.rows..=row).try_fold(*self.times.last()?, |time, _| step.after(time))?,
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

    /// The windows before some origins, time-major: `x [T,B,I]` with `T = input`, `B = origins`,
    /// `I = channels`. An origin is at least `plan.rows_needed()` and at most `rows()`.
    pub fn inputs(&self, origins: &[usize]) -> Vec<f32> {
        let (steps, channels) = (self.plan.input, self.plan.channels());
        let mut x = Vec::with_capacity(steps * origins.len() * channels);
        for step in 0..steps {
            for &origin in origins {
                let row = origin - steps + step;
                x.extend_from_slice(&self.scaled[row * channels..(row + 1) * channels]);
            }
        }
        x
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

    fn scaled_targets(&self, row: usize) -> &[f32] {
        let start = row * self.plan.channels();
        &self.scaled[start..start + self.plan.targets.len()]
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
