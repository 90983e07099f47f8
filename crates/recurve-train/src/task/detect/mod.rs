//! Alarms in streams, by errors of prediction.
//!
//! A model learns from the first rows of a stream, which are taken as usual, what the next row is like. Then it
//! watches: how far each row is from what was expected becomes a surprise, and a surprise that is great enough
//! an alarm ([`Alarms`]). Nothing looks ahead, so a file is watched as a stream is, to the bit. What is
//! usual is found out on the way; no anomaly need ever have been seen, and labels serve to measure only.

mod learner;
pub mod nab;
mod report;
mod stream;
mod surprise;

pub use report::{Alarm, DetectReport, DetectedRow};
pub use stream::StreamReader;
pub use surprise::Alarms;

use super::sequences::{beside, network};
use super::{
    DataConfig, Evaluation, Given, Learner, Predictions, Reader, Skill, Task, Trained, as_json,
    refused,
};
use crate::config::{Config, ModelConfig, TrainConfig, adamw};
use crate::data::{Columns, Part, SplitSize, Table};
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::model_file::ModelFile;
use crate::stopping::StoppingConfig;
use learner::DetectLearner;
use nab::Window;
use recurve_nn::{Batch, Input, Mode, Network, State};
use serde::{Deserialize, Serialize};
use std::path::Path;
use stream::{Stream, error};
use surprise::Surprise;

/// Options of the path from a stream to a model, and from errors to alarms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectOptions {
    /// The time column; `"none"` where there is none.
    pub time: Option<String>,
    /// The columns that are watched; all numeric ones where nothing is said.
    pub targets: Columns,
    /// The first rows, which train.
    pub train: Option<SplitSize>,
    /// The last of those, which choose the epoch.
    pub validation: Option<SplitSize>,
    /// Whether the time of day is read.
    pub clock: Option<bool>,
    /// Errors of which the mean is taken.
    pub smoothing: usize,
    /// Rows after a surprise in which only a greater one is an alarm.
    pub quiet: usize,
    /// Standard deviations from which on a surprise is an alarm.
    pub threshold: f64,
    /// A file of the times when something was wrong, to measure alarms by.
    pub anomalies: Option<String>,
}

impl Default for DetectOptions {
    fn default() -> Self {
        Self {
            time: None,
            targets: Columns::Default,
            train: None,
            validation: None,
            clock: None,
            smoothing: 3,
            quiet: 100,
            threshold: 5.0,
            anomalies: None,
        }
    }
}

impl DetectOptions {
    fn alarms(&self) -> Alarms {
        Alarms { smoothing: self.smoothing, quiet: self.quiet, threshold: self.threshold }
    }
}

/// The task `detect`.
pub(crate) struct Definition;

impl super::Definition for Definition {
    fn defaults(&self) -> Config {
        let shared = Config::shared();
        Config {
            data: DataConfig::Detect(DetectOptions::default()),
            model: ModelConfig {
                hidden: 24,
                pooling: None,
                relative: None,
                rescale: None,
                paths: None,
                dropout: 0.0,
                ..shared.model
            },
            train: TrainConfig { epochs: 60, steps: Some(60), ..shared.train },
            optimiser: adamw(5e-3, 1e-4),
            stopping: StoppingConfig { patience: 15, ..StoppingConfig::default() },
            loss: Loss::Huber { delta: 1.0 },
            ..shared
        }
    }

    fn validate(&self, config: &Config) -> Result<()> {
        if config.model.bidirectional {
            return Err(Error::usage(
                "model.bidirectional is on; a detector must not read the rows that it expects",
            ));
        }
        if !matches!(config.loss, Loss::Mse {} | Loss::Mae {} | Loss::Huber { .. }) {
            return Err(Error::usage(
                "a detector is trained with loss.kind = \"mse\", \"mae\" or \"huber\"",
            ));
        }
        let DataConfig::Detect(options) = &config.data else { return Ok(()) };
        if options.smoothing == 0 || !(options.threshold.is_finite() && options.threshold > 0.0) {
            return Err(Error::usage(format!(
                "data.smoothing is {} and data.threshold {}; both must be above 0",
                options.smoothing, options.threshold
            )));
        }
        Ok(())
    }

    fn learner(&self, given: Given<'_>) -> Result<(Box<dyn Learner>, Vec<String>)> {
        let DataConfig::Detect(options) = &given.config.data else {
            return Err(given.strange());
        };
        let table = Table::read(given.data)?;
        let reader = match given.reader {
            Some(Reader::Stream(reader)) => reader.clone(),
            _ => StreamReader::guess(&table, options)?,
        };
        let stream = reader.rows(&table)?;
        let watched = Watched::of(given.data, options, (&reader, &stream))?;
        let mut notes = vec![format!("{}: {} rows", stream.name, stream.rows())];
        notes.extend(reader.describe());
        let learner = DetectLearner::new(stream, reader, watched, given.config)?;
        Ok((Box::new(learner), notes))
    }

    fn trained(&self, file: ModelFile, threads: usize) -> Result<Box<dyn Trained>> {
        Ok(Box::new(Detector::of(file, threads)?))
    }
}

/// How a stream is watched, and when something was wrong with it, where that is known.
struct Watched {
    alarms: Alarms,
    windows: Option<Vec<Window>>,
}

impl Watched {
    fn of(
        data: &Path,
        options: &DetectOptions,
        (reader, stream): (&StreamReader, &Stream),
    ) -> Result<Self> {
        let windows = match &options.anomalies {
            Some(name) => Some(windows(&beside(data, name), reader, stream)?),
            None => None,
        };
        Ok(Self { alarms: options.alarms(), windows })
    }
}

/// Rows in which something was wrong: a table with the columns `start` and `end`, times or numbers of rows.
fn windows(path: &Path, reader: &StreamReader, stream: &Stream) -> Result<Vec<Window>> {
    let name = path.display();
    let text = String::from_utf8_lossy(&crate::data::read_bytes(path)?).into_owned();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    if lines.next().is_none_or(|head| head.trim() != "start,end") {
        return Err(Error::usage(format!("{name}: the first line must be `start,end`")));
    }
    let number = |cell: &str| -> Result<i64> {
        match reader.seconds(cell)? {
            Some(seconds) => Ok(seconds),
            None => cell.parse().map_err(|_| {
                let cell = crate::data::shown(cell);
                Error::usage(format!(
                    "`{cell}` is no row; without a time column, rows count from 1"
                ))
            }),
        }
    };
    let rows: Vec<i64> = stream.times.iter().map(|time| number(time)).collect::<Result<_>>()?;
    let mut found = vec![];
    for (at, line) in lines.enumerate() {
        let told = |error: Error| error.context(format!("{name}, line {}", at + 2));
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let [start, end] = cells[..] else {
            return Err(told(Error::usage(format!("{} cells, expected start,end", cells.len()))));
        };
        let (start, end) = (number(start).map_err(told)?, number(end).map_err(told)?);
        let first = rows.iter().position(|row| *row >= start);
        let last = rows.iter().rposition(|row| *row <= end);
        match (first, last) {
            (Some(first), Some(last)) if first <= last => found.push((first, last)),
            _ => {
                return Err(told(Error::usage(format!("no row of {} lies there", stream.name))));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Watches a stream from its first row on, and tells about a part of it.
fn watch(
    network: &mut Network<f32>,
    (reader, stream): (&StreamReader, &Stream),
    watched: &Watched,
    part: Part,
) -> Result<DetectReport> {
    let within = stream.part(reader, part);
    if within.is_empty() {
        return Err(Error::usage(format!(
            "{}: the {} part is empty; measure another part or another file",
            stream.name,
            part.name()
        )));
    }
    let width = reader.columns.len();
    let expected = stream.expected(network, within.end)?;
    let mut surprise = Surprise::new(watched.alarms);
    let (mut all, mut alarms, mut places) = (vec![], vec![], vec![]);
    let (mut sum, mut naive) = (0.0, 0.0);
    for row in 0..within.end {
        let of = |values: &'_ [f32]| -> Vec<f32> { values[row * width..][..width].to_vec() };
        let (now, then) = (of(&stream.scaled), of(&expected));
        let off = error(&now, &then);
        let judged = surprise.push(off);
        if !within.contains(&row) {
            continue;
        }
        let before = row.saturating_sub(1) * width;
        sum += off;
        naive += error(&now, &stream.scaled[before..][..width]);
        let told = DetectedRow {
            time: stream.times[row].clone(),
            values: stream.values[row * width..][..width].to_vec(),
            expected: restored(reader, &then),
            error: off,
            surprise: judged.surprise,
            alarm: judged.alarm,
        };
        if judged.alarm {
            places.push(row);
            alarms.push(Alarm {
                row: row + 1,
                time: told.time.clone(),
                surprise: told.surprise,
                values: told.values.clone(),
                expected: told.expected.clone(),
            });
        }
        all.push(told);
    }
    let count = within.len() as f64;
    let known = watched.windows.as_ref().map(|windows| {
        let own: Vec<Window> =
            windows.iter().copied().filter(|window| window.1 >= within.start).collect();
        nab::judge(&places, &own, stream.rows())
    });
    Ok(DetectReport {
        part: part.name().to_owned(),
        rows: within.len(),
        columns: reader.columns.clone(),
        error: sum / count,
        naive_error: naive / count,
        skills: Skill::of("last row", sum, naive).into_iter().collect(),
        threshold: watched.alarms.threshold,
        alarms,
        nab: known.and_then(|known| known.score()),
        known,
        all,
    })
}

fn restored(reader: &StreamReader, scaled: &[f32]) -> Vec<f64> {
    let both = reader.scalers.iter().zip(scaled);
    both.map(|(by, value)| by.restore(f64::from(*value))).collect()
}

/// A trained detector.
pub struct Detector {
    file: ModelFile,
    reader: StreamReader,
    options: DetectOptions,
    network: Network<f32>,
}

impl Detector {
    /// Loads a detector from a run folder or a model file.
    ///
    /// # Errors
    /// There is none, or the model is for another task.
    pub fn load(path: &Path) -> Result<Self> {
        Self::of(ModelFile::load(path)?, 0)
    }

    /// Uses a model that was loaded, with this many threads; 0 takes all.
    ///
    /// # Errors
    /// The model is for another task.
    pub fn of(file: ModelFile, threads: usize) -> Result<Self> {
        let (Reader::Stream(reader), DataConfig::Detect(options)) =
            (file.reader(), &file.config().data)
        else {
            return Err(file.is_not_for(Task::Detect));
        };
        let (reader, options) = (reader.clone(), options.clone());
        Ok(Self { network: network(&file, threads)?, reader, options, file })
    }

    /// Watches a whole file.
    ///
    /// # Errors
    /// The file cannot be read or is not what the model reads.
    pub fn detect(&mut self, path: &Path) -> Result<DetectReport> {
        let stream = self.reader.read(path)?;
        let watched = Watched { alarms: self.options.alarms(), windows: None };
        watch(&mut self.network, (&self.reader, &stream), &watched, Part::All)
    }

    /// A stream of rows, for this model.
    pub fn stream(self) -> DetectStream {
        DetectStream {
            state: State::zero(self.file.model().description(), 1),
            expected: None,
            surprise: Surprise::new(self.options.alarms()),
            rows: 0,
            network: self.network,
            reader: self.reader,
        }
    }
}

impl Trained for Detector {
    fn file(&self) -> &ModelFile {
        &self.file
    }

    fn evaluate(&mut self, part: Option<Part>, path: Option<&Path>) -> Result<Evaluation> {
        if let (Some(Part::All), Some(path)) = (part, path) {
            return Ok(Evaluation::Detect(self.detect(path)?));
        }
        let path = self.file.data().locate(path)?;
        let stream = self.reader.read(&path)?;
        let watched = Watched::of(&path, &self.options, (&self.reader, &stream))?;
        let rest = if self.reader.train < stream.rows() { Part::Test } else { Part::All };
        let both = (&self.reader, &stream);
        let report = watch(&mut self.network, both, &watched, part.unwrap_or(rest))?;
        Ok(Evaluation::Detect(report))
    }

    fn predict(&mut self, path: &Path) -> Result<Predictions> {
        let report = self.detect(path)?;
        let csv = report::csv(&report.columns, &report.all)?;
        let json = report.all.iter().map(as_json).collect();
        Ok(Predictions::told("rows", csv, json, Some(Evaluation::Detect(report))))
    }
}

/// A detector that reads one row after the other. It comes to what it comes to over a file, to the bit.
pub struct DetectStream {
    network: Network<f32>,
    reader: StreamReader,
    state: State<f32>,
    expected: Option<Vec<f32>>,
    surprise: Surprise,
    rows: usize,
}

impl DetectStream {
    /// The columns of a row, in the order of [`push`](Self::push).
    pub fn columns(&self) -> &[String] {
        &self.reader.columns
    }

    /// The time column, where there is one.
    pub fn time(&self) -> Option<&str> {
        self.reader.time.as_ref().map(|time| time.column.as_str())
    }

    /// Reads a row in the units of the file. `time` is a cell of the time column, and counts nothing where
    /// there is none.
    ///
    /// # Errors
    /// The time is none of the column, or the outputs are no numbers any more; the row is not taken then.
    ///
    /// # Panics
    /// Where the number of values is not that of the columns.
    pub fn push(&mut self, time: &str, values: &[f64]) -> Result<DetectedRow> {
        assert_eq!(values.len(), self.reader.columns.len(), "a row has a value for each column");
        let (inputs, now) = self.reader.encode(self.reader.seconds(time)?, values);
        let then = self.expected.take().unwrap_or_else(|| now.clone());
        let batch = Batch::new(1, 1, Input::Values(&inputs));
        let changes =
            self.network.forward(&batch, Some(&mut self.state), Mode::Infer).map_err(refused)?;
        let next = now.iter().zip(changes).map(|(now, change)| now + change);
        self.expected = Some(next.collect());
        self.rows += 1;
        let off = error(&now, &then);
        let judged = self.surprise.push(off);
        let numbered = self.reader.time.is_none();
        Ok(DetectedRow {
            time: if numbered { self.rows.to_string() } else { time.to_owned() },
            values: values.to_vec(),
            expected: restored(&self.reader, &then),
            error: off,
            surprise: judged.surprise,
            alarm: judged.alarm,
        })
    }
}
