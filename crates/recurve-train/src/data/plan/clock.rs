//! Finds the time column of a table and holds its rows to a steady step.

use super::TimeColumn;
use crate::data::frequency::{Frequency, Unsteady, unsteady};
use crate::data::table::{Table, shown};
use crate::data::time::TimeFormat;
use crate::error::{Error, Result};
use std::collections::HashSet;

/// Names under which a column of plain numbers is taken as time, wherever it stands.
const TIME_NAMES: [&str; 11] = [
    "time",
    "date",
    "datetime",
    "timestamp",
    "year",
    "month",
    "day",
    "hour",
    "step",
    "ds",
    "period",
];

/// The spellings of a time, as they stand in messages.
const SPELLINGS: &str = "2020-01, 2020-01-31, 2020/01/31, 31.01.2020, 2020-01-31 12:00, 20200131, \
                         2020 or a whole number";

/// The time column and its times: the one that is asked for, or the first that reads as times.
pub(super) fn choose_time(
    table: &Table,
    asked: Option<&str>,
    id: Option<usize>,
) -> Result<(Option<TimeColumn>, Vec<i64>)> {
    let column = match asked {
        Some("none") => None,
        Some(name) => Some(table.column(name)?),
        None => (0..table.columns().len())
            .find(|&column| id != Some(column) && looks_like_time(table, column)),
    };
    let Some(column) = column else {
        if asked.is_none() && id.is_none() {
            refuse_unread_time(table)?;
        }
        return Ok((None, Vec::new()));
    };
    let Some(format) = format_of(table, column) else {
        let cell = shown(table.cell(0, column));
        return Err(table.bad_cell(
            0,
            column,
            &format!(
                "`{cell}` is not a time, expected one like {SPELLINGS}; name another column as \
                 `time`, or \"none\""
            ),
        ));
    };
    let time = TimeColumn { column: table.columns()[column].clone(), format };
    let times = read_times(table, &time)?;
    Ok((Some(time), times))
}

/// Refuses a table whose first column is most likely time in a spelling that is not read: text with
/// digits in it, (almost) never the same. To pass it over would take a gap for a step.
fn refuse_unread_time(table: &Table) -> Result<()> {
    let digit = |cell: &str| cell.bytes().any(|byte| byte.is_ascii_digit());
    let cells: Vec<&str> = table.cells(0).filter(|cell| !cell.is_empty()).collect();
    let distinct = cells.iter().collect::<HashSet<_>>().len();
    let label = table.is_numeric(0)
        || cells.is_empty()
        || !cells.iter().all(|cell| digit(cell))
        || 10 * distinct < 9 * table.rows();
    if label {
        return Ok(());
    }
    let row = table.cells(0).position(|cell| !cell.is_empty()).unwrap_or(0);
    Err(table.bad_cell(
        row,
        0,
        &format!(
            "`{}` looks like a time, but is in no spelling that is read; write the times like \
             {SPELLINGS}, or set data.time=none to take every row as one step",
            shown(table.cell(row, 0))
        ),
    ))
}

/// The times of a column, all in one format.
pub(in crate::data) fn read_times(table: &Table, time: &TimeColumn) -> Result<Vec<i64>> {
    let column = table.column(&time.column)?;
    let parse = |(row, cell): (usize, &str)| {
        time.format.parse(cell).ok_or_else(|| {
            let example = (0..table.rows())
                .map(|row| table.cell(row, column))
                .find(|cell| time.format.parse(cell).is_some());
            let like = match example {
                Some(example) => format!("expected a time like `{example}`"),
                None => format!("expected a time like `{}`", time.format.write(0)),
            };
            let what = match cell {
                "" => "the time is missing".to_owned(),
                cell => format!("`{}` is not a time of this column", shown(cell)),
            };
            table.bad_cell(row, column, &format!("{what}, {like}; correct the cell"))
        })
    };
    table.cells(column).enumerate().map(parse).collect()
}

/// The step of a time column, which every row must keep.
pub(super) fn guess_frequency(
    table: &Table,
    time: &TimeColumn,
    times: &[i64],
) -> Result<Frequency> {
    if times.len() < 2 {
        return Err(Error::usage(format!(
            "{}: one row is too few to see a frequency; give more rows",
            table.name()
        )));
    }
    if let Some(frequency) = Frequency::guess(time.format, times) {
        check_steady(table, time, times, frequency)?;
        return Ok(frequency);
    }
    // A duplicate or a step back is the likely cause, and needs no frequency to be named.
    if let Some(row) = times.windows(2).position(|pair| pair[1] <= pair[0]) {
        let same = times[row] == times[row + 1];
        let wrong = if same { Unsteady::Duplicate } else { Unsteady::Disorder };
        return Err(unsteady_error(table, time, row, &wrong).context(table.name()));
    }
    Err(Error::usage(format!(
        "{}: the rows of `{}` have no steady step ({}, {}, …); resample them to equal steps, or set \
         `time` to \"none\" to take every row as one step",
        table.name(),
        time.column,
        time.format.write(times[0]),
        time.format.write(times[1])
    )))
}

/// Every row must lie one step after the row before it.
pub(in crate::data) fn check_steady(
    table: &Table,
    time: &TimeColumn,
    times: &[i64],
    frequency: Frequency,
) -> Result<()> {
    for (row, pair) in times.windows(2).enumerate() {
        if let Some(wrong) = unsteady(frequency, pair[0], pair[1]) {
            let error = unsteady_error(table, time, row, &wrong);
            return Err(error.context(format_args!("{}, rows {frequency}", table.name())));
        }
    }
    Ok(())
}

/// What is wrong between a row and the next; the caller names the file.
fn unsteady_error(table: &Table, time: &TimeColumn, row: usize, wrong: &Unsteady) -> Error {
    const SERIES: &str =
        "if the file holds several series, set data.series to the column that names them";
    let cell = |row| match table.column(&time.column) {
        Ok(column) => shown(table.cell(row, column)),
        Err(_) => String::new(),
    };
    let (earlier, later) = (cell(row), cell(row + 1));
    let (before, after) = (table.place(row), table.place(row + 1));
    let what = match wrong {
        Unsteady::Duplicate => format!(
            "`{later}` stands again on {after}, first on {before}; keep one of the rows; \
             {SERIES}"
        ),
        Unsteady::Disorder => format!(
            "`{later}` on {after} comes after the later `{earlier}` on {before}; sort \
             the rows by `{}`; {SERIES}",
            time.column
        ),
        Unsteady::Gap { missing, first } => {
            let first = time.format.write(*first);
            let many = match missing {
                Some(1) => format!("the row for {first} is missing"),
                Some(count) => format!("{count} rows are missing, the first for {first},"),
                None => format!("many rows are missing, the first for {first},"),
            };
            format!(
                "{many} between `{earlier}` on {before} and `{later}` on {after}; add \
                 the missing rows, or set `time` to \"none\" to take every row as one step"
            )
        }
        Unsteady::OffGrid { expected } => format!(
            "`{later}` on {after} is not one step after `{earlier}` on {before}, expected \
             {}; correct it or resample the rows to equal steps",
            time.format.write(*expected)
        ),
    };
    Error::usage(format!("column `{}`: {what}", time.column))
}

/// Whether a column reads as times. A column of plain numbers must also stand first or be named
/// like time, grow steadily, and leave another column to forecast.
fn looks_like_time(table: &Table, column: usize) -> bool {
    let Some(format) = format_of(table, column) else {
        return false;
    };
    let parsed: Vec<i64> = table.cells(column).filter_map(|cell| format.parse(cell)).collect();
    if 10 * parsed.len() < 9 * table.rows() {
        return false;
    }
    if !format.is_number() {
        return true;
    }
    let name = table.columns()[column].to_lowercase();
    let growing = parsed.windows(2).filter(|pair| pair[0] < pair[1]).count();
    let others = (0..table.columns().len()).any(|other| other != column && table.is_numeric(other));
    others
        && (column == 0 || TIME_NAMES.contains(&name.as_str()))
        && 10 * growing >= 9 * (parsed.len() - 1)
        && Frequency::guess(format, &parsed).is_some()
}

/// The format that reads most cells of a column, among those of its first cells.
fn format_of(table: &Table, column: usize) -> Option<TimeFormat> {
    let mut formats: Vec<TimeFormat> = Vec::new();
    for (format, _) in table.cells(column).take(50).filter_map(TimeFormat::recognise) {
        let known = formats.iter().any(|known| same_spelling(*known, format));
        if !known {
            formats.push(format);
        }
        if format.is_number() && !formats.contains(&TimeFormat::Integer) {
            formats.push(TimeFormat::Integer);
        }
    }
    let read =
        |format: TimeFormat| table.cells(column).filter(|c| format.parse(c).is_some()).count();
    // The last of equals wins, so the order is reversed: a year is read as a year.
    formats.into_iter().rev().max_by_key(|&format| read(format))
}

/// Instants of different offsets are one spelling.
fn same_spelling(a: TimeFormat, b: TimeFormat) -> bool {
    matches!((a, b), (TimeFormat::Instant { .. }, TimeFormat::Instant { .. })) || a == b
}
