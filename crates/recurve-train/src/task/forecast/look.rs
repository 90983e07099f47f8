//! One window of a table: what a model reads of it, and what it says of the rows that follow.
//!
//! This is for looking at a model. The forecasts are those that evaluate and predict; what is known ahead may be
//! changed, so that one sees what a forecast hangs on.

use super::evaluate::{How, time};
use super::model::{Forecaster, names};
use super::view::{Origin, Outlook};
use crate::data::{Calendar, Channel, DataPlan, Decoding, Missing, Panel, Series, Split, Table};
use crate::error::{Error, Result};
use recurve_nn::Model;
use serde::{Deserialize, Serialize};

/// A table as a forecaster reads it.
pub struct Windows {
    panel: Panel,
    how: How,
    /// For each series the last row that can be forecast from.
    last: Vec<usize>,
}

/// A series of a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
    /// Its name; none where the table is one series.
    pub name: Option<String>,
    /// Its rows.
    pub rows: usize,
    /// The first and the last row that a horizon can begin at.
    pub first: usize,
    /// As `first`.
    pub last: usize,
    /// Its parts.
    pub split: Split,
}

/// A cell that is known ahead, changed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The column.
    pub column: String,
    /// The row of the horizon, from 0.
    pub step: usize,
    /// What the cell holds then.
    pub value: String,
}

/// A column that is known ahead.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// The levels of a category; none for numbers.
    pub levels: Vec<String>,
    /// The cells over the horizon.
    pub cells: Vec<String>,
}

/// One target over the window and the horizon, in the units of the file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Track {
    /// Its name.
    pub name: String,
    /// At each step; none beyond the window.
    pub values: Vec<Option<f64>>,
    /// What came over the horizon, where it is known.
    pub actual: Vec<Option<f64>>,
    /// What is forecast.
    pub forecast: Vec<f64>,
    /// The ends of the intervals; empty where there are none.
    pub lower: Vec<f64>,
    /// As `lower`.
    pub upper: Vec<f64>,
    /// `[horizon][levels]`; empty where the model gives numbers alone.
    pub quantiles: Vec<Vec<f64>>,
}

/// A window and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// What the model reads: `[steps, inputs]`.
    pub x: Vec<f32>,
    /// The time of the last row of each step.
    pub steps: Vec<String>,
    /// Steps before the horizon.
    pub history: usize,
    /// The names of the numbers of a step; empty where a step holds several rows.
    pub inputs: Vec<String>,
    /// The time of each row of the horizon.
    pub ahead: Vec<String>,
    /// The targets.
    pub tracks: Vec<Track>,
    /// What is known of the horizon.
    pub known: Vec<Known>,
    /// The levels of the quantiles.
    pub levels: Vec<f64>,
    /// What the intervals should hold.
    pub coverage: f64,
    /// What the outputs should be, row by row, where the model gives numbers and they are known; NaN where nothing
    /// is asked.
    pub wanted: Option<Vec<f32>>,
}

impl Windows {
    /// Its series.
    pub fn list(&self) -> Vec<Listed> {
        let all = self.panel.series().iter().zip(&self.last);
        let list = all.map(|(series, last)| Listed {
            name: series.name().map(str::to_owned),
            rows: series.rows(),
            first: self.how.needed,
            last: *last,
            split: series.plan().split,
        });
        list.collect()
    }
}

impl Forecaster {
    /// A table, to be looked at window by window.
    ///
    /// # Errors
    /// The table does not hold what the model reads.
    pub fn windows(&self, table: &Table) -> Result<Windows> {
        let (mut panel, how) = self.read_own(table)?;
        let horizon = panel.plan().horizon;
        let last = panel.series_mut().iter_mut().map(|series| match series.reach_ahead() {
            Ok(()) => series.rows(),
            Err(_) => series.rows().saturating_sub(horizon),
        });
        let last = last.collect();
        Ok(Windows { panel, how, last })
    }

    /// One window, as a model with these weights reads it, and what it says of the rows after it.
    ///
    /// # Errors
    /// There is no such series or row, a change is of no column that is known ahead, or the outputs are no
    /// numbers.
    pub fn look(
        &mut self,
        model: &Model<f32>,
        windows: &Windows,
        origin: Origin,
        changes: &[Change],
    ) -> Result<Window> {
        let list = windows.list();
        let own = list.get(origin.0).ok_or_else(|| {
            Error::usage(format!("there is no series {}; the table has {}", origin.0, list.len()))
        })?;
        if !(own.first..=own.last).contains(&origin.1) {
            return Err(Error::usage(format!(
                "a window can end before row {} to {}, not before row {}",
                own.first, own.last, origin.1
            )));
        }
        let changed = match changes.is_empty() {
            true => None,
            false => Some(with(&windows.panel, origin, changes)?),
        };
        let panel = changed.as_ref().unwrap_or(&windows.panel);
        let (series, plan) = (&panel.series()[origin.0], panel.plan());
        let count = match plan.decoding {
            Decoding::Recursive => plan.input,
            _ => series.steps(),
        };
        let outlook = self.say(model, panel, origin)?;
        let shown = self.view().windows(panel, &[origin], count);
        let known_there = origin.1 + plan.horizon <= series.rows();
        let wanted = (known_there && self.view().head().levels().is_empty()).then(|| {
            let mut y = self.view().wanted(panel, &[origin], &shown).y;
            if plan.decoding == Decoding::Steps {
                let before = plan.input * plan.targets.len();
                y[..before].fill(f32::NAN);
            }
            y
        });
        let last_row = |step: usize| origin.1 - plan.input + (step + 1) * plan.patch - 1;
        Ok(Window {
            x: shown.x,
            steps: (0..count).map(|step| time(series, last_row(step))).collect(),
            history: plan.input / plan.patch,
            inputs: if plan.patch == 1 { inputs(plan) } else { vec![] },
            ahead: (0..plan.horizon).map(|step| time(series, origin.1 + step)).collect(),
            tracks: tracks((series, &windows.how), origin.1, &outlook, (count, &last_row)),
            known: known(series, origin.1),
            levels: windows.how.levels.clone(),
            coverage: windows.how.nominal(),
            wanted,
        })
    }
}

/// The panel with some cells of a horizon changed.
fn with(panel: &Panel, (which, origin): Origin, changes: &[Change]) -> Result<Panel> {
    let mut panel = panel.clone();
    let horizon = panel.plan().horizon;
    let series = &mut panel.series_mut()[which];
    for Change { column, step, value } in changes {
        let channels = &series.plan().known;
        let at = channels.iter().position(|channel| channel.column == *column);
        let at = at.filter(|_| *step < horizon).ok_or_else(|| {
            let names = names(channels).join(", ");
            Error::usage(format!(
                "`{column}` is not known ahead in row {} of the {horizon} to forecast; known are: {names}",
                step + 1
            ))
        })?;
        series.set_known(origin + step, at, value)?;
    }
    Ok(panel)
}

fn known(series: &Series, origin: usize) -> Vec<Known> {
    let plan = series.plan();
    let one = |(at, channel): (usize, &Channel)| Known {
        name: channel.column.clone(),
        levels: channel.levels.clone(),
        cells: (0..plan.horizon).map(|step| series.known_cell(origin + step, at)).collect(),
    };
    plan.known.iter().enumerate().map(one).collect()
}

fn tracks(
    (series, how): (&Series, &How),
    origin: usize,
    outlook: &Outlook,
    (count, last_row): (usize, &dyn Fn(usize) -> usize),
) -> Vec<Track> {
    let plan = series.plan();
    let (targets, levels) = (plan.targets.len(), how.levels.len());
    let track = |(at, name): (usize, String)| {
        let there = |row: usize| {
            let own = series.values(at).get(row).copied();
            own.filter(|_| series.is_there(row, at))
        };
        let places = (0..plan.horizon).map(|step| step * targets + at);
        let told: Option<Vec<(f64, f64)>> =
            places.clone().map(|value| how.told(series, outlook, value)).collect();
        let (lower, upper) = told.unwrap_or_default().into_iter().unzip();
        let quantiles = places.clone().filter(|_| !outlook.quantiles.is_empty());
        Track {
            name,
            values: (0..count)
                .map(last_row)
                .map(|row| if row < origin { there(row) } else { None })
                .collect(),
            actual: (origin..origin + plan.horizon).map(there).collect(),
            forecast: places.clone().map(|value| outlook.values[value]).collect(),
            lower,
            upper,
            quantiles: quantiles
                .map(|value| outlook.quantiles[value * levels..][..levels].to_vec())
                .collect(),
        }
    };
    names(&plan.targets).into_iter().enumerate().map(track).collect()
}

/// The names of the numbers that a row is to a model.
fn inputs(plan: &DataPlan) -> Vec<String> {
    let named = |channel: &Channel| -> Vec<String> {
        match channel.levels.is_empty() {
            true => vec![channel.column.clone()],
            false => {
                channel.levels.iter().map(|level| format!("{} {level}", channel.column)).collect()
            }
        }
    };
    let past = plan.targets.iter().chain(&plan.covariates);
    let mut all: Vec<String> = past.clone().flat_map(named).collect();
    if plan.missing == Missing::Mask {
        all.extend(past.map(|channel| format!("{} missing", channel.column)));
    }
    all.extend(plan.known.iter().chain(&plan.statics).flat_map(named));
    for one in &plan.calendar {
        let name = Calendar::ALL.iter().find(|(_, other)| other == one).map_or("", |own| own.0);
        all.extend(["sine", "cosine"].map(|wave| format!("{name}, {wave}")));
    }
    if plan.decoding == Decoding::Steps {
        all.push("in the horizon".to_owned());
    }
    all
}
