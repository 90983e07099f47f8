//! `recurve predict`: a model over a whole file.

use super::Loaded;
use crate::{args, console};
use recurve_train::atomic;
use recurve_train::data::{Table, Text};
use recurve_train::error::{Error, Result};
use recurve_train::task::{Evaluation, ForecastReport, LanguageModel, Prediction};
use serde::Serialize;
use std::path::Path;

/// Runs over the file and writes every prediction: as CSV to the output file or to standard output,
/// or as JSON lines.
pub(crate) fn run(args: &args::Predict, json: bool) -> Result<()> {
    let predictions = match super::load(&args.run, args.threads)? {
        Loaded::Forecaster(mut model) => {
            Predictions::Rows(model.predict(&Table::read(&args.data)?)?)
        }
        Loaded::Language(model) => Predictions::Characters(characters(&model, &args.data)?),
    };
    match &args.output {
        Some(path) => {
            atomic::write(path, &predictions.csv()?)?;
            predictions.tell(path, json)
        }
        None if json => predictions.write_json(),
        None => console::write(&predictions.csv()?),
    }
}

enum Predictions {
    Rows(ForecastReport),
    Characters(Vec<Character>),
}

/// One character and what the model thought of it.
#[derive(Serialize)]
struct Character {
    /// Its place in the file, from 1.
    index: usize,
    /// The character, or the byte for a model of bytes.
    character: String,
    /// The probability the model gave it.
    probability: f64,
    /// The same as cross-entropy, in nats.
    nats: f64,
}

/// Every character after the first, each given all before it.
fn characters(model: &LanguageModel, path: &Path) -> Result<Vec<Character>> {
    let text = Text::read_with(path, model.vocabulary(), 0.0)?;
    let mut stream = model.stream()?;
    let mut found = vec![];
    for (index, pair) in text.tokens().windows(2).enumerate() {
        stream.push(pair[0])?;
        let probability = stream.probabilities()[pair[1] as usize];
        found.push(Character {
            index: index + 2,
            character: model.vocabulary().decode(&pair[1..]),
            probability,
            nats: -probability.ln(),
        });
    }
    Ok(found)
}

impl Predictions {
    fn csv(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![];
        match self {
            Self::Rows(report) => report.write_csv(&mut bytes)?,
            Self::Characters(found) => {
                let mut writer = csv::Writer::from_writer(&mut bytes);
                let mut write = || -> csv::Result<()> {
                    for character in found {
                        writer.serialize(character)?;
                    }
                    writer.flush()?;
                    Ok(())
                };
                write().map_err(|error| Error::failed("cannot make the CSV").with_source(error))?;
            }
        }
        Ok(bytes)
    }

    fn write_json(&self) -> Result<()> {
        match self {
            Self::Rows(report) => report
                .predictions
                .iter()
                .try_for_each(|prediction| console::json(&with_names(report, prediction))),
            Self::Characters(found) => found.iter().try_for_each(console::json),
        }
    }

    /// What was written to a file, in short.
    fn tell(&self, path: &Path, json: bool) -> Result<()> {
        let (count, what) = match self {
            Self::Rows(report) => (report.predictions.len(), "forecasts"),
            Self::Characters(found) => (found.len(), "characters"),
        };
        let nats = |found: &[Character]| {
            let sum: f64 = found.iter().map(|character| character.nats).sum();
            sum / found.len().max(1) as f64
        };
        if json {
            let mut told = serde_json::json!({ "output": path, "predictions": count });
            match self {
                Self::Rows(report) => {
                    told["scores"] = serde_json::to_value(Evaluation::Forecast(report.clone()))
                        .unwrap_or_default();
                }
                Self::Characters(found) => told["nats"] = nats(found).into(),
            }
            return console::json(&told);
        }
        console::line(format!("{}: {count} {what}", path.display()))?;
        match self {
            Self::Rows(report) => report.summary().iter().try_for_each(console::line),
            Self::Characters(found) => {
                console::line(format!("{:.4} nats per character", nats(found)))
            }
        }
    }
}

/// A prediction whose naive forecasts have names.
fn with_names(report: &ForecastReport, prediction: &Prediction) -> serde_json::Value {
    let mut value = serde_json::to_value(prediction).unwrap_or_default();
    let target = report.targets.iter().find(|target| target.target == prediction.target);
    if let Some(target) = target {
        let names = target.baselines.iter().map(|baseline| baseline.name.clone());
        let values = prediction.baselines.iter().map(|value| (*value).into());
        value["baselines"] = names.zip(values).collect::<serde_json::Map<_, _>>().into();
    }
    value
}
