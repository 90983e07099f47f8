//! What stands in a row as a model sees it: columns of numbers, categories as marks, the calendar.
//!
//! A category is a mark for each of its levels, all 0 for a level that training did not see. The input
//! weights of the first layer then hold a learned vector for each level, which is what an embedding is.

use crate::data::options::{Columns, ScalerKind};
use crate::data::table::{Table, is_missing, shown};
use crate::data::time::from_seconds;
use crate::data::transform::Scaler;
use crate::error::{Error, Result};
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// Levels of a category, at most; beyond it is most likely text or a mistake.
const MOST_LEVELS: usize = 1000;

/// One column as the model sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Its name.
    pub column: String,
    /// Its scaling, after the transform; fitted on the training rows.
    pub scaler: Scaler,
    /// The levels of a category, in the order of their names; none for numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
}

impl Channel {
    /// A column of numbers.
    pub(super) fn number(column: &str, scaler: Scaler) -> Self {
        Self { column: column.to_owned(), scaler, levels: Vec::new() }
    }

    /// A covariate, scaled or told apart by the training rows of all series.
    pub(super) fn fit(
        table: &Table,
        column: usize,
        (kind, missing): (ScalerKind, bool),
        training: impl Fn(usize) -> bool,
    ) -> Result<Self> {
        let name = &table.columns()[column];
        if table.is_numeric(column) {
            let values =
                if missing { table.numbers_or_missing(column) } else { table.numbers(column) }?;
            let own = values.iter().enumerate().filter(|(row, _)| training(*row));
            let own: Vec<f64> = own.map(|(_, value)| *value).filter(|v| v.is_finite()).collect();
            return Ok(Self::number(name, Scaler::fit(kind, &own)));
        }
        let own = table.cells(column).enumerate().filter(|(row, _)| training(*row));
        let mut levels: Vec<String> =
            own.map(|(_, cell)| cell.to_owned()).filter(|cell| !is_missing(cell)).collect();
        levels.sort_unstable();
        levels.dedup();
        if levels.len() > MOST_LEVELS || levels.is_empty() {
            let found = levels.len();
            return Err(Error::usage(format!(
                "{}: `{name}` holds no numbers and {found} different texts in the training rows, expected \
                 1 to {MOST_LEVELS} for a category; leave the column out",
                table.name()
            )));
        }
        Ok(Self { levels, ..Self::number(name, Scaler { shift: 0.0, scale: 1.0 }) })
    }

    /// Whether it is a category.
    pub fn is_category(&self) -> bool {
        !self.levels.is_empty()
    }

    /// Numbers that it is to the model.
    pub fn width(&self) -> usize {
        self.levels.len().max(1)
    }

    /// Writes the numbers of a cell; false where it is missing, which `masked` allows.
    pub(in crate::data) fn write(
        &self,
        (table, row, column): (&Table, usize, usize),
        masked: bool,
        room: &mut [f32],
    ) -> Result<bool> {
        let cell = table.cell(row, column);
        if is_missing(cell) && masked {
            return Ok(false);
        }
        if self.is_category() {
            room.fill(0.0);
            if cell.is_empty() {
                return Err(table.bad_cell(
                    row,
                    column,
                    "the cell is empty, expected a category; fill it, or set data.missing to mask",
                ));
            }
            if let Ok(level) = self.levels.binary_search_by(|level| level.as_str().cmp(cell)) {
                room[level] = 1.0;
            }
            return Ok(true);
        }
        let value = table.number_at(row, column)?;
        let scaled = self.scaler.apply(value) as f32;
        if !scaled.is_finite() {
            let cell = shown(cell);
            return Err(table.bad_cell(
                row,
                column,
                &format!(
                    "`{cell}` is too large for the model; use the standard scaler, or divide the column"
                ),
            ));
        }
        room[0] = scaled;
        Ok(true)
    }
}

/// What is told of the time of a row, each as the sine and cosine of its place in its cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calendar {
    /// The time of the day.
    Hour,
    /// The day of the week.
    Weekday,
    /// The day of the month.
    MonthDay,
    /// The month of the year.
    Month,
    /// The day of the year.
    YearDay,
}

impl Calendar {
    /// All of them.
    pub const ALL: [(&'static str, Self); 5] = [
        ("hour", Self::Hour),
        ("weekday", Self::Weekday),
        ("monthday", Self::MonthDay),
        ("month", Self::Month),
        ("yearday", Self::YearDay),
    ];

    pub(super) fn choose(columns: &Columns) -> Result<Vec<Self>> {
        match columns {
            Columns::Default => Ok(Vec::new()),
            Columns::All => Ok(Self::ALL.map(|(_, one)| one).to_vec()),
            Columns::Named(names) => names.iter().map(|name| Self::named(name)).collect(),
        }
    }

    fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, one)| *one).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            Error::usage(format!(
                "data.calendar: there is no `{name}`, expected some of {known}, or \"all\""
            ))
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, one)| *one == self).map_or("", |(name, _)| name)
    }

    /// Sine and cosine of its place at a time in seconds.
    pub(in crate::data) fn at(self, time: i64) -> [f32; 2] {
        let angle = TAU * from_seconds(time).map_or(0.0, |wall| self.place(wall));
        [angle.sin() as f32, angle.cos() as f32]
    }

    /// From 0 to below 1.
    fn place(self, wall: DateTime) -> f64 {
        let date = wall.date();
        let seconds = f64::from(wall.hour()) * 3600.0
            + f64::from(wall.minute()) * 60.0
            + f64::from(wall.second());
        match self {
            Self::Hour => seconds / 86_400.0,
            Self::Weekday => f64::from(date.weekday().to_monday_zero_offset()) / 7.0,
            Self::MonthDay => f64::from(date.day() - 1) / f64::from(date.days_in_month()),
            Self::Month => f64::from(date.month() - 1) / 12.0,
            Self::YearDay => f64::from(date.day_of_year() - 1) / f64::from(date.days_in_year()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_by_hand() {
        // 1970-01-01 was a Thursday.
        let near = |found: [f32; 2], turns: f64| {
            let angle = TAU * turns;
            assert!((f64::from(found[0]) - angle.sin()).abs() < 1e-6, "{found:?} {turns}");
            assert!((f64::from(found[1]) - angle.cos()).abs() < 1e-6, "{found:?} {turns}");
        };
        near(Calendar::Hour.at(6 * 3600), 0.25);
        near(Calendar::Weekday.at(0), 3.0 / 7.0);
        near(Calendar::MonthDay.at(86_400), 1.0 / 31.0);
        near(Calendar::Month.at(31 * 86_400), 1.0 / 12.0);
        near(Calendar::YearDay.at(31 * 86_400), 31.0 / 365.0);
        assert!(Calendar::choose(&Columns::Named(vec!["hours".into()])).is_err());
        assert_eq!(Calendar::choose(&Columns::All).unwrap().len(), 5);
    }
}
