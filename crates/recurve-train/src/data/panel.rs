//! All series of a table, read by one plan.
//!
//! A table without a column that names series is a panel of one. A series that training did not see is
//! read too: its targets are scaled by its own rows, and it is forecast as the others are.

use super::plan::{DataPlan, Part};
use super::series::Series;
use super::table::Table;
use crate::error::Result;

/// All series of a table.
#[derive(Clone, Debug)]
pub struct Panel {
    plan: DataPlan,
    series: Vec<Series>,
}

impl Panel {
    /// Reads a table by a plan: the one it was made from, or one that came later.
    ///
    /// # Errors
    ///
    /// As [`Series::new`]; names the series.
    pub fn new(table: &Table, plan: &DataPlan) -> Result<Self> {
        let series = match &plan.id {
            None => vec![Series::read(table, plan, None)?],
            Some(id) => {
                let named = table.by_series(table.column(id)?)?;
                let read = |(name, own): &(String, Table)| Series::read(own, plan, Some(name));
                named.iter().map(read).collect::<Result<_>>()?
            }
        };
        Ok(Self { plan: plan.clone(), series })
    }

    /// The plan it was read by.
    pub fn plan(&self) -> &DataPlan {
        &self.plan
    }

    /// Its series, in the order of the file.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The same, to be changed.
    pub(crate) fn series_mut(&mut self) -> &mut [Series] {
        &mut self.series
    }

    /// The origins of a part in all series, every `stride` rows: the series and the row.
    pub fn origins(&self, part: Part, stride: usize) -> Vec<(usize, usize)> {
        let all = self.series.iter().enumerate();
        all.flat_map(|(at, series)| {
            series.origins(part, stride).into_iter().map(move |origin| (at, origin))
        })
        .collect()
    }
}
