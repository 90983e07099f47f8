//! Sequences in tables: a row per step, a row per sequence, or a row that names a file.

use super::source::{Source, Wanted, beside};
use super::{Layout, Raw, Sequence, Sequences, audio, npy};
use crate::data::{Part, Table, shown};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// Columns of a table by their roles.
struct Roles<'a> {
    source: &'a Source,
    table: &'a Table,
    inputs: Vec<usize>,
    targets: Vec<usize>,
    label: Option<usize>,
    group: Option<usize>,
    split: Option<usize>,
}

/// Reads a table; answers must be there where they are `needed`.
pub(super) fn read(source: &Source, path: &Path, table: &Table, needed: bool) -> Result<Sequences> {
    let column = |name: &String| table.column(name);
    // What is only needed to learn may be absent from other files.
    let optional = |name: &Option<String>, needed: bool| match name {
        Some(name) if needed => table.column(name).map(Some),
        Some(name) => Ok(table.column(name).ok()),
        None => Ok(None),
    };
    let targets: Result<Vec<usize>> = source.targets.iter().map(column).collect();
    let roles = Roles {
        source,
        table,
        inputs: source.inputs.iter().map(column).collect::<Result<_>>()?,
        targets: match targets {
            Err(_) if !needed => vec![],
            targets => targets?,
        },
        label: optional(&source.label, needed)?,
        group: optional(&source.group, false)?,
        split: optional(&source.split, false)?,
    };
    let (channels, items) = match source.layout {
        Layout::Long => (source.inputs.clone(), roles.long(needed)?),
        Layout::Wide => (vec!["value".to_owned()], roles.wide(needed)?),
        Layout::Text => (vec![], roles.texts(needed)?),
        _ => roles.files(path, needed)?,
    };
    Sequences { name: table.name().to_owned(), channels, items }.checked()
}

/// A number, or NaN where it is missing.
fn value(cell: &str) -> std::result::Result<f64, String> {
    if matches!(cell, "" | "?" | "NaN" | "nan" | "NA" | "null") {
        return Ok(f64::NAN);
    }
    match cell.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!(
            "`{}` is not a number; write a number with a decimal point, or nothing where it is missing",
            shown(cell)
        )),
    }
}

impl Roles<'_> {
    fn place(&self, row: usize) -> String {
        format!("{}, {}", self.table.name(), self.table.place(row))
    }

    fn value(&self, row: usize, column: usize) -> Result<f64> {
        value(self.table.cell(row, column)).map_err(|why| self.table.bad_cell(row, column, &why))
    }

    /// A number that must be there.
    fn target(&self, row: usize, column: usize) -> Result<f64> {
        let found = self.value(row, column)?;
        if found.is_nan() {
            return Err(self.table.bad_cell(
                row,
                column,
                "the target is missing; fill it or remove \
                                                         the row",
            ));
        }
        Ok(self.source.cap.map_or(found, |cap| found.min(cap)))
    }

    fn label(&self, row: usize, needed: bool) -> Result<Option<String>> {
        let Some(column) = self.label else { return Ok(None) };
        let cell = self.table.cell(row, column);
        if cell.is_empty() && needed && self.source.wanted == Wanted::Class {
            return Err(self.table.bad_cell(row, column, "the label is missing"));
        }
        Ok((needed || !cell.is_empty()).then(|| cell.to_owned()))
    }

    fn part(&self, row: usize) -> Result<Option<Part>> {
        let Some(column) = self.split else { return Ok(None) };
        let cell = self.table.cell(row, column);
        Ok(Some(match cell.to_lowercase().as_str() {
            "train" | "training" => Part::Train,
            "validation" | "valid" | "val" | "dev" => Part::Validation,
            "test" => Part::Test,
            _ => {
                let why = format!("`{}` is no part; write train, validation or test", shown(cell));
                return Err(self.table.bad_cell(row, column, &why));
            }
        }))
    }

    fn group(&self, row: usize) -> Option<String> {
        self.group.map(|column| self.table.cell(row, column).to_owned())
    }

    /// A sequence that is one row.
    fn item(&self, row: usize, input: Raw, needed: bool) -> Result<Sequence> {
        let values = match self.source.wanted {
            Wanted::Numbers if needed => {
                let values = self.targets.iter().map(|column| self.target(row, *column));
                Some(values.collect::<Result<_>>()?)
            }
            _ => None,
        };
        Ok(Sequence {
            id: (row + 1).to_string(),
            place: self.place(row),
            input,
            label: self.label(row, needed)?,
            values,
            group: self.group(row),
            part: self.part(row)?,
        })
    }

    fn texts(&self, needed: bool) -> Result<Vec<Sequence>> {
        let column = self.table.column(self.source.text.as_deref().unwrap_or_default())?;
        let text = |row| Raw::Text(self.table.cell(row, column).to_owned());
        (0..self.table.rows()).map(|row| self.item(row, text(row), needed)).collect()
    }

    fn wide(&self, needed: bool) -> Result<Vec<Sequence>> {
        let row = |row: usize| {
            let values = self.inputs.iter().map(|column| self.value(row, *column));
            let mut values = values.collect::<Result<Vec<f64>>>()?;
            // Shorter sequences end in empty cells.
            let steps = values.iter().rposition(|v| !v.is_nan()).map_or(0, |last| last + 1);
            values.truncate(steps);
            self.item(row, Raw::Values(values), needed)
        };
        (0..self.table.rows()).map(row).collect()
    }

    fn files(&self, path: &Path, needed: bool) -> Result<(Vec<String>, Vec<Sequence>)> {
        let column = self.table.column(self.source.text.as_deref().unwrap_or_default())?;
        let mut channels = self.source.audio.as_ref().map(audio::AudioFeatures::channels);
        let mut items = vec![];
        for row in 0..self.table.rows() {
            let cell = self.table.cell(row, column);
            let file = beside(path, cell);
            let told = |error: Error| error.context(self.place(row));
            let (values, width) = match &self.source.audio {
                Some(audio) => (sound(audio, &file).map_err(told)?, audio.channels().len()),
                None => {
                    let matrix = npy::read(&file).map_err(told)?;
                    (matrix.values, matrix.width)
                }
            };
            let known = channels
                .get_or_insert_with(|| (1..=width).map(|at| format!("feature {at}")).collect());
            if known.len() != width {
                return Err(told(Error::usage(format!(
                    "{} has {width} features, the first file has {}",
                    file.display(),
                    known.len()
                ))));
            }
            let mut item = self.item(row, Raw::Values(values), needed)?;
            item.id = cell.to_owned();
            items.push(item);
        }
        Ok((channels.unwrap_or_default(), items))
    }

    fn long(&self, needed: bool) -> Result<Vec<Sequence>> {
        let table = self.table;
        let id = table.column(self.source.id.as_deref().unwrap_or_default())?;
        let time = self.source.time.as_ref().map(|time| table.column(time)).transpose()?;
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut rows: Vec<Vec<usize>> = vec![];
        for row in 0..table.rows() {
            let name = table.cell(row, id);
            if name.is_empty() {
                return Err(table.bad_cell(row, id, "the name of the sequence is missing"));
            }
            let place = *places.entry(name).or_insert(rows.len());
            if place == rows.len() {
                rows.push(vec![]);
            }
            rows[place].push(row);
        }
        rows.iter().map(|rows| self.one(rows, (id, time), needed)).collect()
    }

    /// The sequence of some rows.
    fn one(
        &self,
        rows: &[usize],
        (id, time): (usize, Option<usize>),
        needed: bool,
    ) -> Result<Sequence> {
        let (table, first) = (self.table, rows[0]);
        let mut values = Vec::with_capacity(rows.len() * self.inputs.len());
        for (at, &row) in rows.iter().enumerate() {
            if let (Some(time), true) = (time, at > 0) {
                self.in_order(rows[at - 1], row, time)?;
            }
            for column in &self.inputs {
                values.push(self.value(row, *column)?);
            }
            for (column, what) in
                [(self.label, "label"), (self.split, "part"), (self.group, "group")]
            {
                let Some(column) = column else { continue };
                if table.cell(row, column) != table.cell(first, column) {
                    let (now, before) = (table.cell(row, column), table.cell(first, column));
                    let why = format!(
                        "the {what} of sequence `{}` is `{}` here and `{}` on {}; it must be the \
                         same on all its rows",
                        table.cell(row, id),
                        shown(now),
                        shown(before),
                        table.place(first)
                    );
                    return Err(table.bad_cell(row, column, &why));
                }
            }
        }
        let mut item = self.item(first, Raw::Values(values), needed)?;
        item.id = table.cell(first, id).to_owned();
        item.place = format!("{} (sequence `{}`)", item.place, item.id);
        if self.source.remaining {
            let cap = self.source.cap.unwrap_or(f64::INFINITY);
            item.values = Some((0..rows.len()).rev().map(|left| (left as f64).min(cap)).collect());
        } else if self.source.per_step && needed {
            let mut all = vec![];
            for row in rows {
                for column in &self.targets {
                    all.push(self.target(*row, *column)?);
                }
            }
            item.values = Some(all);
        }
        Ok(item)
    }

    fn in_order(&self, before: usize, row: usize, column: usize) -> Result<()> {
        let (then, now) = (self.table.cell(before, column), self.table.cell(row, column));
        let later = match (then.parse::<f64>(), now.parse::<f64>()) {
            (Ok(then), Ok(now)) => now > then,
            _ => now > then,
        };
        if later {
            return Ok(());
        }
        let why = format!(
            "`{}` comes after `{}` of {} in the same sequence; sort the rows, or leave out the \
             repeated one",
            shown(now),
            shown(then),
            self.table.place(before)
        );
        Err(self.table.bad_cell(row, column, &why))
    }
}

/// The frames of a WAV file.
pub(super) fn sound(audio: &audio::AudioFeatures, file: &Path) -> Result<Vec<f64>> {
    let (samples, rate) = audio::samples(file)?;
    if rate != audio.rate {
        return Err(Error::usage(format!(
            "{}: {rate} samples a second, the other files have {}; resample it",
            file.display(),
            audio.rate
        )));
    }
    Ok(audio.frames(&samples))
}
