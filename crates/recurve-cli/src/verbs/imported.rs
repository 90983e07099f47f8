//! `recurve predict` and `recurve stream` with an imported model: rows of numbers, tokens, or sound.

use crate::{args, console};
use recurve_interop::Runner;
use recurve_train::error::{Error, Result};
use recurve_train::imported::{self, told};
use std::io::{self, BufRead};
use std::path::Path;

/// A model and how it is fed.
struct Fed {
    runner: Runner<f32>,
    frames: args::Frames,
}

/// Runs over a whole file; gives the outputs as CSV.
pub(super) fn predict(args: &args::Predict) -> Result<Vec<u8>> {
    let mut fed = Fed::new(&args.run, args.threads, args.frames)?;
    let name = args.data.display().to_string();
    let bytes = std::fs::read(&args.data).map_err(|error| {
        Error::usage(format!("`{name}`: cannot read the file")).with_source(error)
    })?;
    let (values, rows) = if bytes.starts_with(b"RIFF") {
        fed.frames_of(&args.data)?
    } else {
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Error::usage(format!("`{name}`: it is not UTF-8 text")))?;
        let (mut values, mut rows) = (vec![], 0);
        for (number, line) in text.lines().enumerate() {
            if let Some(row) =
                fed.row(&format!("`{name}`, line {}", number + 1), line, number == 0)?
            {
                values.extend(row);
                rows += 1;
            }
        }
        (values, rows)
    };
    let y = fed
        .runner
        .run(&values, rows)
        .map_err(|error| told(error.within(format_args!("`{name}`"))))?;
    // One row for each of the input, or one for all.
    let width = if y.len().is_multiple_of(rows) { y.len() / rows } else { y.len() };
    let mut csv = String::new();
    for row in y.chunks(width.max(1)) {
        csv.push_str(&words(row));
        csv.push('\n');
    }
    Ok(csv.into_bytes())
}

/// Answers every row as it comes.
pub(super) fn stream(args: &args::Stream) -> Result<()> {
    let threads = args::Threads { threads: Some(1) };
    let mut fed = Fed::new(&args.run, threads, args.frames)?;
    if !fed.runner.streams() {
        return Err(Error::usage(
            "the model reads from the end of a sequence, or gives one output for all of it; it does not \
             stream: use `recurve predict`",
        ));
    }
    if let Some(wav) = &args.wav {
        let (values, rows) = fed.frames_of(wav)?;
        let width = values.len() / rows.max(1);
        return values.chunks(width.max(1)).try_for_each(|row| fed.answer(row, "sound"));
    }
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let place = format!("standard input, line {}", number + 1);
        let line = line
            .map_err(|error| Error::failed(format!("{place}: cannot read")).with_source(error))?;
        if let Some(row) = fed.row(&place, &line, number == 0)? {
            fed.answer(&row, &place)?;
        }
    }
    Ok(())
}

fn words(row: &[f32]) -> String {
    row.iter().map(f32::to_string).collect::<Vec<_>>().join(",")
}

impl Fed {
    fn new(run: &Path, threads: args::Threads, frames: args::Frames) -> Result<Self> {
        let runner = Runner::new(imported::load(run)?, super::engine(threads)?).map_err(told)?;
        Ok(Self { runner, frames })
    }

    fn answer(&mut self, row: &[f32], place: &str) -> Result<()> {
        let y = self.runner.run(row, 1).map_err(|error| told(error.within(place)))?;
        console::line(words(&y))
    }

    /// A row of numbers; none for a first line of names.
    fn row(&self, place: &str, line: &str, first: bool) -> Result<Option<Vec<f32>>> {
        let cells: Vec<&str> = line.trim_end().split(',').map(str::trim).collect();
        if first && cells.iter().all(|cell| cell.parse::<f32>().is_err()) {
            return Ok(None);
        }
        let expected = self.runner.width().filter(|width| *width != cells.len());
        if let Some(width) = expected {
            let text = format!("{place}: {} values, expected {width}", cells.len());
            return Err(Error::usage(text));
        }
        let number = |cell: &&str| {
            let value = cell.parse::<f32>().ok().filter(|value| value.is_finite());
            value.ok_or_else(|| Error::usage(format!("{place}: `{cell}` is no number")))
        };
        cells.iter().map(number).collect::<Result<_>>().map(Some)
    }

    /// The samples of a sound as rows: each of them some new samples after the last ones before.
    fn frames_of(&self, path: &Path) -> Result<(Vec<f32>, usize)> {
        let told = |what: String| Error::usage(format!("`{}`: {what}", path.display()));
        if self.runner.reads_tokens() {
            return Err(told("the model reads tokens, not sound".to_owned()));
        }
        let samples = samples(path).map_err(|error| told(error.to_string()))?;
        let frame = self.frames.frame.or(self.runner.width());
        let frame = frame
            .ok_or_else(|| told("the model takes rows of any width; say --frame".to_owned()))?;
        if let Some(width) = self.runner.width().filter(|width| *width != frame) {
            return Err(told(format!("rows of {frame} samples for a model that reads {width}")));
        }
        let hop = self.frames.hop.unwrap_or(frame);
        if frame == 0 || !(1..=frame).contains(&hop) {
            return Err(told(format!("a hop of {hop} samples; it must be 1 to {frame}")));
        }
        let mut padded = vec![0.0; frame - hop];
        padded.extend(samples);
        let rows = padded.len().saturating_sub(frame) / hop + usize::from(padded.len() >= frame);
        if rows == 0 {
            return Err(told(format!("fewer samples than a row of {frame}")));
        }
        let all = (0..rows).flat_map(|row| padded[row * hop..][..frame].iter().copied());
        Ok((all.collect(), rows))
    }
}

/// The samples of a WAV file of one channel, from -1 to 1.
fn samples(path: &Path) -> std::result::Result<Vec<f32>, hound::Error> {
    let mut reader = hound::WavReader::open(path)?;
    let spec = reader.spec();
    if spec.channels != 1 {
        return Err(hound::Error::FormatError("expected one channel; mix it down first"));
    }
    match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect(),
        hound::SampleFormat::Int => {
            let scale = (1_i64 << (spec.bits_per_sample - 1)) as f32;
            reader.samples::<i32>().map(|sample| Ok(sample? as f32 / scale)).collect()
        }
    }
}
