//! What forecasters read: a window of one series of the run's own table, and what follows it.

use crate::subject::{Piece, Reading};
use crate::trace::Sequence;
use recurve_nn::Model;
use recurve_train::error::{Error, Result};
use recurve_train::model_file::ModelFile;
use recurve_train::task::{Change, Forecaster, Listed, Reader, Window, Windows};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// A forecaster and its own table.
pub(crate) struct TableSubject {
    forecaster: RefCell<Forecaster>,
    own: std::result::Result<Windows, String>,
    data: Option<PathBuf>,
    facts: Value,
}

impl TableSubject {
    /// The table of a forecaster, from where it lay or lies now; none for a model of another task.
    pub(crate) fn of(file: &ModelFile, data: Option<&Path>) -> Result<Option<Self>> {
        let Reader::Table(plan) = file.reader() else { return Ok(None) };
        let forecaster = Forecaster::of(file.clone())?;
        let read = || forecaster.windows(&forecaster.own_table(data)?);
        let own = read().map_err(|error| error.to_string());
        let names = |channels: &[recurve_train::data::Channel]| -> Vec<String> {
            channels.iter().map(|channel| channel.column.clone()).collect()
        };
        let facts = json!({
            "kind": "table", "reads": "values", "unit": "row",
            "window": plan.input, "horizon": plan.horizon, "season": plan.season,
            "targets": names(&plan.targets), "covariates": names(&plan.covariates),
            "known": names(&plan.known), "patch": plan.patch,
        });
        let data = data.map(Path::to_owned);
        Ok(Some(Self { forecaster: RefCell::new(forecaster), own, data, facts }))
    }

    pub(crate) fn describe(&self) -> Value {
        let mut facts = self.facts.clone();
        let list = self.own.as_ref().map(Windows::list).unwrap_or_default();
        let longest = list.iter().map(|own| own.rows).max().unwrap_or(0);
        facts["total"] = json!(longest);
        facts["series"] = json!(list);
        facts["problem"] = json!(self.own.as_ref().err());
        facts
    }

    fn windows(&self) -> Result<&Windows> {
        self.own.as_ref().map_err(|problem| Error::usage(problem.clone()))
    }

    /// The series of a piece and the row that its horizon begins at.
    fn origin(&self, piece: &Piece) -> Result<((usize, usize), Listed)> {
        if piece.text.is_some() {
            return Err(Error::usage("this model reads rows of its table, not text"));
        }
        let (list, series) = (self.windows()?.list(), piece.series.unwrap_or(0));
        let own = list.get(series).cloned().ok_or_else(|| {
            Error::usage(format!("there is no series {series}; the table has {}", list.len()))
        })?;
        Ok(((series, piece.from.unwrap_or(own.last)), own))
    }

    fn look(&self, piece: &Piece, model: &Model<f32>, changes: &[Change]) -> Result<Window> {
        let (origin, _) = self.origin(piece)?;
        self.forecaster.borrow_mut().look(model, self.windows()?, origin, changes)
    }

    /// A piece as a model with these weights reads it.
    pub(crate) fn read(&self, piece: &Piece, model: &Model<f32>) -> Result<Reading> {
        let ((_, row), own) = self.origin(piece)?;
        let window = self.look(piece, model, &[])?;
        let seen = seen(&window);
        let mut facts = tell(&window);
        facts["labels"] = json!(window.steps);
        facts["seen"] = json!(seen);
        facts["known"] = json!(window.known);
        facts["history"] = json!(window.history);
        facts["rows"] = json!(own.rows);
        facts["split"] = json!(own.split);
        let mut reading = Reading::of(Sequence::Values(window.x), Some(row));
        reading.piece = piece.clone();
        reading.right.facts = facts;
        reading.right.targets = window.wanted.unwrap_or_default();
        Ok(reading)
    }

    /// What the model says where some cells that are known ahead were others.
    pub(crate) fn what_if(
        &self,
        piece: &Piece,
        model: &Model<f32>,
        changes: &[Change],
    ) -> Result<Value> {
        Ok(tell(&self.look(piece, model, changes)?))
    }

    /// The gradient of a loss at a row of outputs: of the squared error where the truth is known and the model gives
    /// numbers, else of the mean of the outputs.
    pub(crate) fn error(&self, reading: &Reading, row: usize, outputs: &[f32]) -> Vec<f32> {
        let count = outputs.len();
        let wanted = reading.right.targets.get(row * count..(row + 1) * count);
        match wanted {
            Some(wanted) => {
                let both = outputs.iter().zip(wanted);
                let off = both.map(|(y, wanted)| 2.0 * (y - wanted) / count as f32);
                off.map(|d| if d.is_nan() { 0.0 } else { d }).collect()
            }
            None => vec![1.0 / count as f32; count],
        }
    }

    /// Rolling forecasts over what was held out, and over the validation part.
    pub(crate) fn backtest(&self) -> Result<Value> {
        let mut model = self.forecaster.borrow_mut();
        let data = self.data.as_deref();
        let report = model.evaluate_own(data)?;
        let validation = model.evaluate(recurve_train::data::Part::Validation, data).ok();
        let validation = validation.map(|report| report.predictions);
        Ok(json!({"held_out": report.predictions, "report": report, "validation": validation}))
    }
}

/// The numbers of each step by their names.
fn seen(window: &Window) -> Vec<Value> {
    let width = window.inputs.len();
    let column = |at: usize| window.x.iter().skip(at).step_by(width).collect::<Vec<_>>();
    let named = window.inputs.iter().enumerate();
    named.map(|(at, name)| json!({"name": name, "values": column(at)})).collect()
}

fn tell(window: &Window) -> Value {
    json!({
        "ahead": window.ahead, "channels": window.tracks, "levels": window.levels,
        "coverage": window.coverage,
    })
}
