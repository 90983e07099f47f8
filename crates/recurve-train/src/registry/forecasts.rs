//! Published results of forecasts.
//!
//! The settings were chosen on the validation parts. The published recurrent models of ETTh1 lose to
//! repeating the last value (of the oil temperature alone) or the last day (of all columns); what is to be
//! reached is therefore measured by those, on the same windows: forecasts slide by one row.

use super::reproduce::Reproduction;
use crate::data::Table;
use crate::error::{Error, Result};
use crate::task::{Evaluation, Task};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Rows of ETTh1 that the published split uses: 12 months to train, 4 to validate, 4 to test, of 30 days.
const ETT_ROWS: usize = 14_400;

macro_rules! etth1 {
    ($name:literal, $what:literal, $published:literal, $goals:expr, $prepare:expr, $($setting:literal),*) => {
        Reproduction {
            name: $name,
            data: "ett",
            task: Task::Forecast,
            measure: $what,
            published: $published,
            goals: $goals,
            higher: false,
            settings: &[
                "data.validation=2880",
                "data.test=2880",
                "data.stride=1",
                "data.season=24",
                "data.log=false",
                "data.difference=false",
                "data.seasonal_difference=false",
                "data.input=336",
                "data.patch=24",
                $($setting),*
            ],
            members: 1,
            group: "etth1",
            prepare: $prepare,
            value: standardised,
        }
    };
}

macro_rules! oil {
    ($name:literal, $horizon:literal, $published:literal, $goals:expr) => {
        etth1!(
            $name,
            "MSE of the oil temperature, standardised",
            $published,
            $goals,
            oil_temperature,
            $horizon,
            "model.hidden=32",
            "model.dropout=0.3",
            "train.batch=128",
            "train.epochs=12",
            "stopping.patience=4",
            "optimiser.learning_rate=1e-3"
        )
    };
}

macro_rules! columns {
    ($name:literal, $horizon:literal, $published:literal, $goals:expr) => {
        etth1!(
            $name,
            "MSE of all 7 columns, standardised",
            $published,
            $goals,
            all_columns,
            "data.series=series",
            "data.targets=value",
            $horizon,
            "model.hidden=128",
            "model.dropout=0.3",
            "train.batch=256",
            "train.epochs=8",
            "stopping.patience=3",
            "optimiser.learning_rate=1e-3"
        )
    };
}

macro_rules! m4 {
    ($name:literal, $measure:literal, $published:literal, $goals:expr, $value:expr) => {
        Reproduction {
            name: $name,
            data: "m4-hourly",
            task: Task::Forecast,
            measure: $measure,
            published: $published,
            goals: $goals,
            higher: false,
            settings: M4,
            members: 3,
            group: "m4-hourly",
            prepare: m4_hourly,
            value: $value,
        }
    };
}

const M4: &[&str] = &[
    "data.series=series",
    "data.time=hour",
    "data.targets=value",
    "data.validation=48",
    "data.test=48",
    "data.horizon=48",
    "data.season=24",
    "data.log=true",
    "data.difference=false",
    "data.seasonal_difference=false",
    "data.input=336",
    "data.patch=24",
    "model.relative=168",
    "model.hidden=96",
    "model.dropout=0.2",
    "loss.kind=mae",
    "train.batch=256",
    "train.epochs=8",
    "stopping.patience=3",
    "optimiser.learning_rate=1e-3",
];

pub(super) const FORECASTS: &[Reproduction] = &[
    oil!(
        "etth1-24",
        "data.horizon=24",
        "LSTMa 0.114, DeepAR 0.107; last value 0.034",
        (0.034, 0.027)
    ),
    oil!(
        "etth1-48",
        "data.horizon=48",
        "LSTMa 0.193, DeepAR 0.162; last value 0.050",
        (0.050, 0.040)
    ),
    oil!(
        "etth1-168",
        "data.horizon=168",
        "LSTMa 0.236, DeepAR 0.239; last value 0.087",
        (0.087, 0.070)
    ),
    oil!(
        "etth1-336",
        "data.horizon=336",
        "LSTMa 0.590, DeepAR 0.445; last value 0.113",
        (0.113, 0.090)
    ),
    oil!(
        "etth1-720",
        "data.horizon=720",
        "LSTMa 0.683, DeepAR 0.658; last value 0.129",
        (0.129, 0.103)
    ),
    columns!(
        "etth1-all-24",
        "data.horizon=24",
        "LSTMa 0.650; last day 0.424",
        (0.424, 0.75 * 0.424)
    ),
    columns!(
        "etth1-all-48",
        "data.horizon=48",
        "LSTMa 0.702; last day 0.465",
        (0.465, 0.75 * 0.465)
    ),
    columns!(
        "etth1-all-168",
        "data.horizon=168",
        "LSTMa 1.212; last day 0.571",
        (0.571, 0.75 * 0.571)
    ),
    columns!(
        "etth1-all-336",
        "data.horizon=336",
        "LSTMa 1.424; last day 0.650",
        (0.650, 0.75 * 0.650)
    ),
    columns!(
        "etth1-all-720",
        "data.horizon=720",
        "LSTMa 1.960; last day 0.655",
        (0.655, 0.75 * 0.655)
    ),
    m4!(
        "m4-hourly-smape",
        "sMAPE, the mean of 414 series",
        "RNN 14.70, seasonal naive 13.91, ES-RNN 9.33",
        (12.0, 9.3),
        |evaluation| match evaluation {
            Evaluation::Forecast(report) => Some(report.targets.first()?.model.smape),
            _ => None,
        }
    ),
    m4!(
        "m4-hourly-mase",
        "MASE, the mean of 414 series",
        "RNN 3.05, seasonal naive 1.19, ES-RNN 0.89",
        (1.10, 0.89),
        |evaluation| match evaluation {
            Evaluation::Forecast(report) => report.targets.first()?.model.mase,
            _ => None,
        }
    ),
];

fn standardised(evaluation: &Evaluation) -> Option<f64> {
    match evaluation {
        Evaluation::Forecast(report) => Some(report.standardised.mse),
        _ => None,
    }
}

/// The rows of ETTh1 that are used.
fn ett(folder: &Path) -> Result<Table> {
    let table = Table::read(&folder.join("ETTh1.csv"))?;
    if table.rows() < ETT_ROWS {
        let rows = table.rows();
        return Err(Error::usage(format!(
            "ETTh1.csv has {rows} rows, expected {ETT_ROWS} or more"
        )));
    }
    Ok(table)
}

fn oil_temperature(folder: &Path) -> Result<PathBuf> {
    let table = ett(folder)?;
    let (date, oil) = (table.column("date")?, table.column("OT")?);
    let mut text = "date,OT\n".to_owned();
    for row in 0..ETT_ROWS {
        let _ = writeln!(text, "{},{}", table.cell(row, date), table.cell(row, oil));
    }
    put(folder.join("oil-temperature.csv"), &text)
}

/// Each column as a series of its own.
fn all_columns(folder: &Path) -> Result<PathBuf> {
    let table = ett(folder)?;
    let date = table.column("date")?;
    let mut text = "series,date,value\n".to_owned();
    for (column, name) in table.columns().iter().enumerate().filter(|(column, _)| *column != date) {
        for row in 0..ETT_ROWS {
            let _ = writeln!(text, "{name},{},{}", table.cell(row, date), table.cell(row, column));
        }
    }
    put(folder.join("all-columns.csv"), &text)
}

/// A row for each hour of each series, the test hours after those of the training.
fn m4_hourly(folder: &Path) -> Result<PathBuf> {
    let parts = ["Hourly-train.csv", "Hourly-test.csv"].map(|name| Table::read(&folder.join(name)));
    let [train, test] = parts;
    let (train, test) = (train?, test?);
    let mut text = "series,hour,value\n".to_owned();
    for row in 0..train.rows() {
        let name = train.cell(row, 0);
        if row >= test.rows() || test.cell(row, 0) != name {
            return Err(Error::usage(format!(
                "Hourly-test.csv has no series {name} in its row {row}"
            )));
        }
        let of = |table: &Table| -> Vec<String> {
            let cells = (1..table.columns().len()).map(|column| table.cell(row, column).to_owned());
            cells.filter(|cell| !cell.is_empty()).collect()
        };
        for (hour, value) in of(&train).iter().chain(&of(&test)).enumerate() {
            let _ = writeln!(text, "{name},{hour},{value}");
        }
    }
    put(folder.join("hourly.csv"), &text)
}

fn put(path: PathBuf, text: &str) -> Result<PathBuf> {
    super::put(&path, text.as_bytes())?;
    Ok(path)
}
