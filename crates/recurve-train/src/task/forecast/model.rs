//! A trained forecasting model in use: the rows to come, forecasts over a file, rows as they come.

use super::evaluate::{self, Ask, Calibration, How, time};
use super::learner::held_out;
use super::report::{CALIBRATION, ForecastReport};
use super::stream::ForecastStream;
use super::view::{Origin, Outlook, View};
use crate::data::{DataPlan, Panel, Part, Table};
use crate::error::{Error, Result};
use crate::model_file::{ModelFile, engine_of, unsound};
use crate::task::{Evaluation, Predictions, Reader, Task, Trained};
use recurve_nn::{Model, Network};
use serde::Serialize;
use std::path::Path;

/// A trained forecasting model, or several whose forecasts are averaged.
pub struct Forecaster {
    file: ModelFile,
    plan: DataPlan,
    view: View,
    network: Network<f32>,
    calibration: Option<Calibration>,
    others: Vec<Self>,
}

/// The rows to come of one series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The series, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// What is forecast.
    pub targets: Vec<String>,
    /// The time of the last row that was read.
    pub after: String,
    /// The time of each row `[horizon]`.
    pub times: Vec<String>,
    /// `[horizon, targets]`, in the units of the file.
    pub values: Vec<f64>,
    /// The share of what comes that the intervals should hold; none where there are no intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
    /// The lower ends of the intervals `[horizon, targets]`; empty where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lower: Vec<f64>,
    /// The upper ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upper: Vec<f64>,
    /// The levels of the quantiles; empty where the model gives numbers alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<f64>,
    /// `[horizon, targets, levels]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quantiles: Vec<f64>,
}

impl Forecast {
    /// The forecast of one target, `[horizon]`.
    pub fn target(&self, index: usize) -> impl Iterator<Item = f64> {
        let own = self.values.iter().skip(index);
        own.step_by(self.targets.len().max(1)).copied()
    }

    /// The interval of one target, `[horizon]`.
    pub fn interval(&self, index: usize) -> impl Iterator<Item = (f64, f64)> {
        let own = self.lower.iter().zip(&self.upper).skip(index);
        own.step_by(self.targets.len().max(1)).map(|(low, high)| (*low, *high))
    }
}

/// A table as each of several models reads it, and what measures them.
struct Read {
    panels: Vec<Panel>,
    how: How,
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
        let calibration = calibration(Path::new(file.name()), plan)?;
        Ok(Self {
            plan: plan.clone(),
            view: View::of(file.config()),
            network: network(&file, 0)?,
            calibration,
            others: Vec::new(),
            file,
        })
    }

    /// The mean of this model and others: of their forecasts and of their quantiles.
    ///
    /// # Errors
    /// One of them forecasts other columns, rows or quantiles.
    pub fn averaged(mut self, others: Vec<Self>) -> Result<Self> {
        let levels = self.view.head().levels();
        for other in &others {
            let columns = |plan: &DataPlan| names(&plan.targets);
            let differs = match () {
                () if columns(&self.plan) != columns(&other.plan) => "other columns",
                () if self.plan.horizon != other.plan.horizon => "another horizon",
                () if self.plan.id != other.plan.id => "series of another column",
                () if levels != other.view.head().levels() => "other quantiles",
                () => continue,
            };
            return Err(Error::usage(format!(
                "`{}` and `{}` cannot be averaged: the second forecasts {differs}",
                self.file.name(),
                other.file.name()
            )));
        }
        // The margins are those of one model; of several they would be too wide.
        self.calibration = self.calibration.filter(|_| others.is_empty());
        self.others = others;
        Ok(self)
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

    fn read(&self, table: &Table) -> Result<Read> {
        let models = || std::iter::once(self).chain(&self.others);
        let panels: Vec<Panel> =
            models().map(|model| Panel::new(table, &model.plan)).collect::<Result<_>>()?;
        let how = How::of(&panels[0], self.view.head().levels());
        let needed = models().map(|model| model.plan.rows_needed()).max().unwrap_or(how.needed);
        Ok(Read { how: How { needed, calibration: self.calibration.clone(), ..how }, panels })
    }

    /// A table as this model reads it, and what measures it.
    pub(super) fn read_own(&self, table: &Table) -> Result<(Panel, How)> {
        let mut read = self.read(table)?;
        Ok((read.panels.swap_remove(0), read.how))
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// What the model says of one horizon, with these weights.
    pub(super) fn say(
        &mut self,
        model: &Model<f32>,
        panel: &Panel,
        origin: Origin,
    ) -> Result<Outlook> {
        self.network.load(model.values(), false);
        let found = self.view.forecast(&mut self.network, panel, &[origin])?;
        self.network.load(self.file.model().values(), false);
        found.into_iter().next().ok_or_else(|| Error::failed("the model gives no forecast"))
    }

    /// Forecasts of all models from some origins, averaged.
    fn ask(&mut self, panels: &[Panel], origins: &[Origin]) -> Result<Vec<Outlook>> {
        let mut mean = self.view.forecast(&mut self.network, &panels[0], origins)?;
        let count = (1 + self.others.len()) as f64;
        for (model, panel) in self.others.iter_mut().zip(&panels[1..]) {
            let more = model.view.forecast(&mut model.network, panel, origins)?;
            for (sum, own) in mean.iter_mut().zip(more) {
                let pairs = sum.values.iter_mut().zip(own.values);
                pairs
                    .chain(sum.quantiles.iter_mut().zip(own.quantiles))
                    .for_each(|(sum, own)| *sum += own);
            }
        }
        if count > 1.0 {
            for sum in &mut mean {
                sum.values.iter_mut().chain(&mut sum.quantiles).for_each(|sum| *sum /= count);
            }
        }
        Ok(mean)
    }

    /// The rows after the end of a table of one series.
    ///
    /// # Errors
    /// The table does not hold what the model reads, or fewer rows than a window.
    pub fn forecast(&mut self, table: &Table) -> Result<Forecast> {
        let all = self.forecast_all(table)?;
        all.into_iter().next().ok_or_else(|| Error::usage("the table holds no series"))
    }

    /// The rows after the end of every series of a table.
    ///
    /// # Errors
    /// The table does not hold what the model reads, a series has fewer rows than a window, or what is
    /// known ahead does not reach to the end of the horizon; names the series.
    pub fn forecast_all(&mut self, table: &Table) -> Result<Vec<Forecast>> {
        let mut read = self.read(table)?;
        for panel in &mut read.panels {
            panel.series_mut().iter_mut().try_for_each(|series| series.reach_ahead())?;
        }
        let ends = read.panels[0].series().iter().enumerate();
        let origins: Vec<Origin> = ends.map(|(at, series)| (at, series.rows())).collect();
        let mut found = Vec::with_capacity(origins.len());
        let outlooks = self.ask(&read.panels, &origins)?;
        for (series, outlook) in read.panels[0].series().iter().zip(outlooks) {
            let origin = series.rows();
            let all = 0..outlook.values.len();
            let told = all.map(|value| read.how.told(series, &outlook, value));
            let told: Option<Vec<(f64, f64)>> = told.collect();
            let coverage = told.as_ref().map(|_| read.how.nominal());
            let (lower, upper) = told.unwrap_or_default().into_iter().unzip();
            found.push(Forecast {
                series: series.name().map(str::to_owned),
                targets: names(&self.plan.targets),
                after: time(series, origin - 1),
                times: (origin..origin + self.plan.horizon).map(|row| time(series, row)).collect(),
                values: outlook.values,
                coverage,
                lower,
                upper,
                levels: read.how.levels.clone(),
                quantiles: outlook.quantiles,
            });
        }
        Ok(found)
    }

    /// Measures the model on the part of its own table that did not train it: the test part, or the
    /// validation part where there is no test part.
    ///
    /// # Errors
    /// As [`own_table`](Self::own_table).
    pub fn evaluate_own(&mut self, moved_to: Option<&Path>) -> Result<ForecastReport> {
        let read = self.read(&self.own_table(moved_to)?)?;
        let part = held_out(&read.panels[0]);
        self.measure(&read, part)
    }

    /// Measures the model on a part of its own table.
    ///
    /// # Errors
    /// As [`own_table`](Self::own_table), or the part is empty.
    pub fn evaluate(&mut self, part: Part, moved_to: Option<&Path>) -> Result<ForecastReport> {
        let read = self.read(&self.own_table(moved_to)?)?;
        self.measure(&read, part)
    }

    /// Rolling origins over a part of its own table, `stride` rows apart.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn backtest(
        &mut self,
        part: Part,
        stride: Option<usize>,
        moved_to: Option<&Path>,
    ) -> Result<ForecastReport> {
        let table = match (part, moved_to) {
            (Part::All, Some(path)) => Table::read(path)?,
            _ => self.own_table(moved_to)?,
        };
        let mut read = self.read(&table)?;
        read.how.stride = stride.unwrap_or(read.how.stride).max(1);
        self.measure(&read, part)
    }

    fn measure(&mut self, read: &Read, part: Part) -> Result<ForecastReport> {
        let parts = read.panels[0].series().iter();
        let rows = parts.map(|series| series.plan().split.range(part, series.rows()).len());
        if rows.sum::<usize>() == 0 {
            let name = part.name();
            return Err(Error::usage(format!(
                "`{}` was trained without a {name} part (data.{name} = 0); measure it on another \
                 part or another file",
                self.file.name()
            )));
        }
        let mut ask: Box<Ask<'_>> = Box::new(|origins| self.ask(&read.panels, origins));
        evaluate::evaluate(&read.panels[0], part, &read.how, &mut ask)
    }

    /// Forecasts every row of a table that has a window before it, from origins a horizon apart, and
    /// measures the forecasts.
    ///
    /// # Errors
    /// The table does not hold what the model reads, or fewer rows than a window and a horizon.
    pub fn predict(&mut self, table: &Table) -> Result<ForecastReport> {
        let read = self.read(table)?;
        self.measure(&read, Part::All)
    }

    fn predictions(&mut self, table: &Table) -> Result<Predictions> {
        let report = self.predict(table)?;
        let mut csv = Vec::new();
        report.write_csv(&mut csv)?;
        let json = report.predictions.iter().map(|prediction| report.named(prediction)).collect();
        Ok(Predictions::told("forecasts", csv, json, Some(Evaluation::Forecast(report))))
    }

    /// A stream of rows, for this model.
    ///
    /// # Errors
    /// The model cannot be built, or it reads what no stream can tell: columns that are known ahead.
    pub fn stream(&self) -> Result<ForecastStream> {
        ForecastStream::of(self.view.clone(), network(&self.file, 1)?, &self.plan)
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

pub(super) fn names(channels: &[crate::data::Channel]) -> Vec<String> {
    let names = channels.iter().map(|channel| channel.column.clone());
    names.collect()
}

/// The margins of the intervals of a run, where it lies beside its model.
fn calibration(model: &Path, plan: &DataPlan) -> Result<Option<Calibration>> {
    let folder = if model.is_dir() { Some(model) } else { model.parent() };
    let Some(path) = folder.map(|folder| folder.join(CALIBRATION)).filter(|path| path.is_file())
    else {
        return Ok(None);
    };
    let wrong = |why: String| {
        Error::usage(format!("{}: {why}; remove the file to go without intervals", path.display()))
    };
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let found: Calibration =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if found.margins.len() != plan.outputs() {
        let (has, expected) = (found.margins.len(), plan.outputs());
        return Err(wrong(format!("{has} margins, expected {expected}")));
    }
    Ok(Some(found))
}
