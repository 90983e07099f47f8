//! What was detected: alarms, how far predictions were off, and how good alarms are where that is known.

use super::nab::NabScore;
use crate::error::Result;
use crate::task::{Report, Skill, better, short};
use serde::Serialize;

/// Alarms that a summary names.
const NAMED: usize = 5;

/// A detector on one part of a stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DetectReport {
    /// `test`, `validation`, `training` or `all`.
    pub part: String,
    /// Rows measured.
    pub rows: usize,
    /// The columns that are watched.
    pub columns: Vec<String>,
    /// The mean error of predictions, in standard deviations of the training part.
    pub error: f64,
    /// That of expecting the last row again.
    pub naive_error: f64,
    /// How much smaller.
    pub skills: Vec<Skill>,
    /// Standard deviations from which on a surprise is an alarm.
    pub threshold: f64,
    /// Rows that are alarms.
    pub alarms: Vec<Alarm>,
    /// How good they are, where it is known when something was wrong.
    pub known: Option<NabScore>,
    /// Their score from 0 to 100.
    pub nab: Option<f64>,
    /// Every row.
    #[serde(skip)]
    pub all: Vec<DetectedRow>,
}

/// A row that is an alarm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarm {
    /// The row, from 1.
    pub row: usize,
    /// Its time.
    pub time: String,
    /// How many standard deviations the error lies above those before.
    pub surprise: f64,
    /// The values of the columns.
    pub values: Vec<f64>,
    /// What was expected.
    pub expected: Vec<f64>,
}

/// A row and what was expected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DetectedRow {
    /// Its time, or its number.
    pub time: String,
    /// The values of the columns.
    pub values: Vec<f64>,
    /// What was expected.
    pub expected: Vec<f64>,
    /// How far they are apart, in standard deviations of the training part.
    pub error: f64,
    /// How many standard deviations the error lies above those before.
    pub surprise: f64,
    /// Whether that is an alarm.
    pub alarm: bool,
}

impl Report for DetectReport {
    fn summary(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} part, {} rows: {} alarms · error {} standard deviations{}",
            self.part,
            self.rows,
            self.alarms.len(),
            short(self.error),
            self.skills
                .first()
                .map_or(String::new(), |s| format!(", {}", better(s.skill, "the last row again")))
        )];
        for alarm in self.alarms.iter().take(NAMED) {
            lines.push(format!(
                "  {}: {:.1} standard deviations above the usual error",
                alarm.time, alarm.surprise
            ));
        }
        if self.alarms.len() > NAMED {
            lines.push(format!("  and {} more", self.alarms.len() - NAMED));
        }
        if let Some(known) = &self.known {
            lines.push(format!(
                "  known: {} of {} anomalies found, {} false alarms{}",
                known.found,
                known.windows,
                known.false_alarms,
                self.nab.map_or(String::new(), |score| format!(" · NAB score {score:.1}"))
            ));
        }
        lines
    }

    fn headline(&self) -> String {
        format!("{} alarms in the {} rows of the {} part", self.alarms.len(), self.rows, self.part)
    }

    fn skills(&self) -> &[Skill] {
        &self.skills
    }

    fn naive(&self) -> &'static [&'static str] {
        &["last row"]
    }

    fn predictions(&self) -> Result<Option<Vec<u8>>> {
        csv(&self.columns, &self.all).map(Some)
    }
}

/// Rows as CSV.
pub(super) fn csv(columns: &[String], rows: &[DetectedRow]) -> Result<Vec<u8>> {
    crate::task::csv_of(|writer| {
        let named = |what: &str| columns.iter().map(move |name| format!("{what}{name}")).collect();
        let names: [Vec<String>; 2] = [named(""), named("expected ")];
        let tail = ["error", "surprise", "alarm"].map(str::to_owned).to_vec();
        writer.write_record([&["time".to_owned()][..], &names.concat(), &tail].concat())?;
        for row in rows {
            let numbers = row.values.iter().chain(&row.expected).map(f64::to_string);
            let tail = [row.error.to_string(), row.surprise.to_string()];
            let alarm = u8::from(row.alarm).to_string();
            let cells = std::iter::once(row.time.clone()).chain(numbers).chain(tail);
            writer.write_record(cells.chain([alarm]))?;
        }
        Ok(())
    })
}
