//! A forecasting model that reads one row after the other.

use super::model::names;
use super::view::View;
use crate::data::{DataPlan, Panel, Table, is_missing};
use crate::error::{Error, Result};
use recurve_nn::Network;
use std::collections::{HashMap, VecDeque};

/// Rows before the window that are kept for the sake of a gap, at most.
const MOST_BEFORE: usize = 1000;

/// A forecasting model that reads one row after the other, of one series or of several in any order.
///
/// After each row the latest window of its series is read anew, as in training, so a forecast of a stream
/// equals that of a file with the same rows to the bit.
pub struct ForecastStream {
    view: View,
    network: Network<f32>,
    plan: DataPlan,
    columns: Vec<String>,
    /// The place of the series in a row.
    id: Option<usize>,
    /// The latest rows of each series, cells as they came.
    rows: HashMap<String, VecDeque<Vec<String>>>,
}

impl ForecastStream {
    pub(super) fn of(view: View, network: Network<f32>, plan: &DataPlan) -> Result<Self> {
        if let Some(channel) = plan.known.first() {
            return Err(Error::usage(format!(
                "the model reads `{}` ahead, which no stream can tell; use `recurve forecast` with a file",
                channel.column
            )));
        }
        // Without a calendar the time of a row is not looked at.
        let time = plan.time.iter().filter(|_| !plan.calendar.is_empty());
        let mut columns: Vec<String> = plan.id.iter().cloned().collect();
        columns.extend(time.map(|time| time.column.clone()));
        for channels in [&plan.targets, &plan.covariates, &plan.statics] {
            let others = names(channels).into_iter().filter(|name| plan.id.as_ref() != Some(name));
            columns.extend(others);
        }
        let plan = match plan.calendar.is_empty() {
            true => DataPlan { time: None, ..plan.clone() },
            false => plan.clone(),
        };
        let id = plan.id.as_ref().map(|_| 0);
        Ok(Self { view, network, columns, id, plan, rows: HashMap::new() })
    }

    /// The columns of a row, in the order of [`push_cells`](Self::push_cells): the series where there are
    /// several, the time where the model looks at it, targets, covariates, statics.
    pub fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }

    /// Rows of a series it must have read before it can forecast.
    pub fn needs(&self) -> usize {
        self.plan.rows_needed()
    }

    /// Rows of the series of some cells that it has read, at most as many as it needs.
    pub fn has(&self, cells: &[&str]) -> usize {
        self.rows.get(self.name(cells)).map_or(0, |rows| rows.len().min(self.needs()))
    }

    /// How it reads rows.
    pub fn plan(&self) -> &DataPlan {
        &self.plan
    }

    fn name<'a>(&self, cells: &[&'a str]) -> &'a str {
        self.id.and_then(|id| cells.get(id).copied()).unwrap_or("")
    }

    /// Reads a row in the units of the file and forecasts the rows after it, `[horizon, targets]`;
    /// none while there are too few rows.
    ///
    /// # Errors
    /// The row is of another width or holds a value that the model cannot read; it is not taken then.
    pub fn push(&mut self, row: &[f64]) -> Result<Option<Vec<f64>>> {
        self.plan.check_row(row)?;
        let cells: Vec<String> = row.iter().map(f64::to_string).collect();
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        self.push_cells(&cells)
    }

    /// The same for cells as a file has them.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_cells(&mut self, cells: &[&str]) -> Result<Option<Vec<f64>>> {
        if cells.len() != self.columns.len() {
            let (found, expected) = (cells.len(), self.columns.len());
            let columns = self.columns.join(", ");
            return Err(Error::usage(format!("{found} values, expected {expected} ({columns})")));
        }
        let (name, needs) = (self.name(cells).to_owned(), self.needs());
        let mut rows = self.rows.get(&name).cloned().unwrap_or_default();
        rows.push_back(cells.iter().map(|cell| (*cell).to_owned()).collect());
        // A gap at the beginning of the window is filled by the value before it, so that row stays too.
        let gap = |row: &Vec<String>| row.iter().any(|cell| is_missing(cell));
        while rows.len() > needs && (!gap(&rows[1]) || rows.len() > needs + MOST_BEFORE) {
            rows.pop_front();
        }
        // Few rows are read too, the first of them repeated: what is wrong in a row is told when it comes.
        let ready = rows.len() >= needs;
        let mut read: Vec<Vec<String>> = rows.iter().cloned().collect();
        while read.len() < needs && self.plan.time.is_none() {
            read.insert(0, read[0].clone());
        }
        let found = if read.len() >= needs { Some(self.forecast(read)?) } else { None };
        self.rows.insert(name, rows);
        Ok(found.filter(|_| ready))
    }

    fn forecast(&mut self, rows: Vec<Vec<String>>) -> Result<Vec<f64>> {
        let table = Table::of_cells("the stream", &self.columns, rows);
        let mut panel = Panel::new(&table, &self.plan)?;
        let series = &mut panel.series_mut()[0];
        series.reach_ahead()?;
        let origin = series.rows();
        let mut found = self.view.forecast(&mut self.network, &panel, &[(0, origin)])?;
        Ok(found.pop().map(|outlook| outlook.values).unwrap_or_default())
    }

    /// Forgets all rows.
    pub fn reset(&mut self) {
        self.rows.clear();
    }
}
