//! A trained forecasting model in use: the rows to come, forecasts over a file, rows as they come.

use super::learner::{View, held_out, time};
use super::report::ForecastReport;
use crate::data::{DataPlan, Part, Series, Table};
use crate::error::{Error, Result};
use crate::model_file::{ModelFile, engine_of, unsound};
use crate::task::{Evaluation, Predictions, Reader, Report, Task, Trained};
use recurve_nn::Network;
use serde::Serialize;
use std::collections::VecDeque;
use std::path::Path;

/// A trained forecasting model.
pub struct Forecaster {
    file: ModelFile,
    plan: DataPlan,
    network: Network<f32>,
}

/// The rows to come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// What is forecast.
    pub targets: Vec<String>,
    /// The time of the last row that was read.
    pub after: String,
    /// The time of each row `[horizon]`.
    pub times: Vec<String>,
    /// `[horizon, targets]`, in the units of the file.
    pub values: Vec<f64>,
}

impl Forecast {
    /// The forecast of one target, `[horizon]`.
    pub fn target(&self, index: usize) -> impl Iterator<Item = f64> {
        let own = self.values.iter().skip(index);
        own.step_by(self.targets.len().max(1)).copied()
    }
}

impl Forecaster {
    /// Loads a forecasting model from a run folder or a model file.
    ///
    /// # Errors
    /// There is none, or the model is for another task.
    pub fn load(path: &Path) -> Result<Self> {
        Self::of(ModelFile::load(path)?)
    }

    /// Uses a model that was loaded.
    ///
    /// # Errors
    /// The model is for another task.
    pub fn of(file: ModelFile) -> Result<Self> {
        let Reader::Table(plan) = file.reader() else {
            return Err(file.is_not_for(Task::Forecast));
        };
        Ok(Self { plan: plan.clone(), network: network(&file, 0)?, file })
    }

    /// The same with this many threads; 0 takes all.
    ///
    /// # Errors
    /// `RECURVE_ISA` names an instruction set that is not there.
    pub fn with_threads(mut self, threads: usize) -> Result<Self> {
        self.network = network(&self.file, threads)?;
        Ok(self)
    }

    /// The model and everything it was saved with.
    pub fn file(&self) -> &ModelFile {
        &self.file
    }

    /// How it reads tables.
    pub fn plan(&self) -> &DataPlan {
        &self.plan
    }

    /// The table it was trained on, where it was or where it lies now.
    ///
    /// # Errors
    /// The table is not there, or has changed.
    pub fn own_table(&self, moved_to: Option<&Path>) -> Result<Table> {
        Table::read(&self.file.data().locate(moved_to)?)
    }

    fn view(&self) -> View {
        View::of(self.file.config())
    }

    /// The rows after the end of a table.
    ///
    /// # Errors
    /// The table does not hold what the model reads, or fewer rows than a window.
    pub fn forecast(&mut self, table: &Table) -> Result<Forecast> {
        let series = Series::new(table, &self.plan)?;
        let (view, origin) = (self.view(), series.rows());
        let forecasts = view.forecast(&mut self.network, &series, &[origin])?;
        Ok(Forecast {
            targets: names(&self.plan.targets),
            after: time(&series, origin - 1),
            times: (origin..origin + self.plan.horizon).map(|row| time(&series, row)).collect(),
            values: forecasts.concat(),
        })
    }

    /// Measures the model on the part of its own table that did not train it: the test part, or the
    /// validation part where there is no test part.
    ///
    /// # Errors
    /// As [`own_table`](Self::own_table).
    pub fn evaluate_own(&mut self, moved_to: Option<&Path>) -> Result<ForecastReport> {
        self.evaluate(held_out(&self.plan), moved_to)
    }

    /// Measures the model on a part of its own table.
    ///
    /// # Errors
    /// As [`own_table`](Self::own_table), or the part is empty.
    pub fn evaluate(&mut self, part: Part, moved_to: Option<&Path>) -> Result<ForecastReport> {
        let series = Series::new(&self.own_table(moved_to)?, &self.plan)?;
        let (name, rows) = (part.name(), self.plan.split.range(part, series.rows()));
        if rows.is_empty() {
            return Err(Error::usage(format!(
                "`{}` was trained without a {name} part (data.{name} = 0); measure it on another \
                 part or another file",
                self.file.name()
            )));
        }
        self.view().evaluate(&mut self.network, &series, (name, rows))
    }

    /// Forecasts every row of a table that has a window before it, from origins a horizon apart, and
    /// measures the forecasts.
    ///
    /// # Errors
    /// The table does not hold what the model reads, or fewer rows than a window and a horizon.
    pub fn predict(&mut self, table: &Table) -> Result<ForecastReport> {
        let series = Series::new(table, &self.plan)?;
        let rows = self.plan.split.range(Part::All, series.rows());
        self.view().evaluate(&mut self.network, &series, (Part::All.name(), rows))
    }

    fn predictions(&mut self, table: &Table) -> Result<Predictions> {
        let report = self.predict(table)?;
        let mut csv = Vec::new();
        report.write_csv(&mut csv)?;
        let json = report.predictions.iter().map(|prediction| report.named(prediction)).collect();
        let summary = report.summary();
        let scores = serde_json::to_value(Evaluation::Forecast(report)).unwrap_or_default();
        let scores = serde_json::Map::from_iter([("scores".to_owned(), scores)]);
        Ok(Predictions { what: "forecasts", csv, json, scores: (scores, summary) })
    }

    /// A stream of rows, for this model.
    ///
    /// # Errors
    /// The model cannot be built.
    pub fn stream(&self) -> Result<ForecastStream> {
        Ok(ForecastStream {
            view: self.view(),
            network: network(&self.file, 1)?,
            plan: self.plan.clone(),
            rows: VecDeque::new(),
        })
    }
}

impl Trained for Forecaster {
    fn file(&self) -> &ModelFile {
        &self.file
    }

    fn evaluate(&mut self, part: Option<Part>, data: Option<&Path>) -> Result<Evaluation> {
        let report = match (part, data) {
            (Some(Part::All), Some(path)) => Self::predict(self, &Table::read(path)?)?,
            (Some(part), data) => Self::evaluate(self, part, data)?,
            (None, data) => self.evaluate_own(data)?,
        };
        Ok(Evaluation::Forecast(report))
    }

    fn predict(&mut self, data: &Path) -> Result<Predictions> {
        self.predictions(&Table::read(data)?)
    }
}

fn network(file: &ModelFile, threads: usize) -> Result<Network<f32>> {
    let model = file.model();
    let mut network =
        Network::new(model.description(), engine_of(file, threads)?).map_err(unsound)?;
    network.load(model.values(), false);
    Ok(network)
}

fn names(channels: &[crate::data::Channel]) -> Vec<String> {
    let names = channels.iter().map(|channel| channel.column.clone());
    names.collect()
}

/// A forecasting model that reads one row after the other.
///
/// After each row the latest window is read anew, as in training, so a forecast of a stream equals
/// that of a file with the same rows to the bit.
pub struct ForecastStream {
    view: View,
    network: Network<f32>,
    plan: DataPlan,
    rows: VecDeque<Vec<f64>>,
}

impl ForecastStream {
    /// The columns of a row, in the order of [`push`](Self::push): targets, then covariates.
    pub fn columns(&self) -> Vec<String> {
        let mut columns = names(&self.plan.targets);
        columns.extend(names(&self.plan.covariates));
        columns
    }

    /// Rows it must have read before it can forecast.
    pub fn needs(&self) -> usize {
        self.plan.rows_needed()
    }

    /// How it reads rows.
    pub fn plan(&self) -> &DataPlan {
        &self.plan
    }

    /// Reads a row in the units of the file and forecasts the rows after it, `[horizon, targets]`;
    /// none while there are too few rows.
    ///
    /// # Errors
    /// The row is of another width or holds a value that the model cannot read; it is not taken then.
    pub fn push(&mut self, row: &[f64]) -> Result<Option<Vec<f64>>> {
        self.plan.check_row(row)?;
        if self.rows.len() == self.needs() {
            self.rows.pop_front();
        }
        self.rows.push_back(row.to_vec());
        if self.rows.len() < self.needs() {
            return Ok(None);
        }
        let series = Series::of_rows(&self.plan, self.rows.make_contiguous())?;
        let origin = series.rows();
        let forecasts = self.view.forecast(&mut self.network, &series, &[origin])?;
        Ok(Some(forecasts.concat()))
    }

    /// Forgets all rows.
    pub fn reset(&mut self) {
        self.rows.clear();
    }
}
