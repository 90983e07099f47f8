//! What the model reads: pieces of the run's own data, or text that a person typed.

use crate::examples::{ExampleSubject, Right};
use crate::trace::{Sequence, Trace};
use recurve_train::data::{DataPlan, Part, Series, Table, Text, Vocabulary};
use recurve_train::error::{Error, Result};
use recurve_train::model_file::ModelFile;
use recurve_train::task::{DataConfig, Reader};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// Steps of a piece, at most.
pub(crate) const MOST_STEPS: usize = 5_000;
/// Steps of a piece of text, where nobody says how many.
const USUAL_STEPS: usize = 400;
/// Likely next tokens that are told.
const TOP: usize = 5;

/// What a model reads.
pub(crate) enum Subject {
    /// Text.
    Text(TextSubject),
    /// Rows of a table.
    Table(Box<TableSubject>),
    /// Separate sequences.
    Examples(Box<ExampleSubject>),
    /// Something of which only the training log is shown, and why.
    Other(String),
}

/// A language model's own text.
pub(crate) struct TextSubject {
    pub(crate) vocabulary: Vocabulary,
    /// The tokens, and how many of them trained; or why they are not there.
    own: std::result::Result<(Vec<u32>, usize), String>,
}

/// A forecaster's own table.
pub(crate) struct TableSubject {
    pub(crate) plan: DataPlan,
    relative: bool,
    own: std::result::Result<Series, String>,
}

/// Which piece to look at.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Piece {
    /// Text that was typed.
    pub(crate) text: Option<String>,
    /// The first token of the own text; of a table, the row after the window; of separate sequences, which.
    pub(crate) from: Option<usize>,
    /// Tokens.
    pub(crate) count: Option<usize>,
}

/// A piece, ready to be read.
pub(crate) struct Reading {
    pub(crate) sequence: Sequence,
    pub(crate) from: Option<usize>,
    /// What was asked for.
    pub(crate) piece: Piece,
    /// What is right about it.
    pub(crate) right: Right,
    /// What was taken from the targets of a window that is read relative to its last row.
    pub(crate) anchors: Vec<f32>,
}

impl Reading {
    /// A sequence, and where it begins in the data.
    pub(crate) fn of(sequence: Sequence, from: Option<usize>) -> Self {
        let (piece, right) = (Piece::default(), Right::default());
        Self { sequence, from, piece, right, anchors: vec![] }
    }
}

impl Subject {
    /// The data of a model, from where it lay or lies now.
    pub(crate) fn of(file: &ModelFile, data: Option<&Path>) -> Self {
        if let Reader::Text(vocabulary) = file.reader() {
            return Self::Text(TextSubject {
                vocabulary: vocabulary.clone(),
                own: own_text(file, vocabulary, data).map_err(|error| error.to_string()),
            });
        }
        if let Reader::Table(plan) = file.reader() {
            let config = file.config();
            let model = &config.model;
            let simple = model.relative.unwrap_or(0) <= 1 && model.rescale != Some(true);
            let number = recurve_train::loss::Density::of(&config.loss).is_none();
            if !(plan.is_plain() && simple && number) {
                let why = "this forecast reads more than the rows of one series, or says more than a number; \
                           such models are not traced yet; what the run wrote is shown";
                return Self::Other(why.to_owned());
            }
            return Self::Table(Box::new(TableSubject {
                plan: plan.clone(),
                relative: model.relative == Some(1),
                own: own_series(file, plan, data).map_err(|error| error.to_string()),
            }));
        }
        if let Some(examples) = ExampleSubject::of(file, data) {
            return Self::Examples(Box::new(examples));
        }
        Self::Other(
            "models of this task are not traced yet; what the run wrote is shown".to_owned(),
        )
    }

    /// The forecaster's side.
    pub(crate) fn table(&self) -> Result<&TableSubject> {
        match self {
            Self::Table(table) => Ok(table),
            _ => Err(Error::usage("this is for models that forecast")),
        }
    }

    /// The side of separate sequences.
    pub(crate) fn examples(&self) -> Result<&ExampleSubject> {
        match self {
            Self::Examples(own) => Ok(own),
            _ => Err(Error::usage("this is for models of separate sequences")),
        }
    }

    /// What the page needs to know to ask for pieces.
    pub(crate) fn describe(&self) -> Value {
        match self {
            Self::Text(text) => {
                let (total, trained, problem) = match &text.own {
                    Ok((tokens, trained)) => (tokens.len(), *trained, None),
                    Err(problem) => (0, 0, Some(problem)),
                };
                json!({
                    "kind": "text", "reads": "tokens", "unit": text.vocabulary.unit(), "total": total,
                    "trained": trained, "vocabulary": text.vocabulary.size(), "problem": problem,
                    "usual": USUAL_STEPS, "most": MOST_STEPS,
                })
            }
            Self::Table(table) => {
                let (total, problem) = match &table.own {
                    Ok(series) => (series.rows(), None),
                    Err(problem) => (0, Some(problem)),
                };
                let names = |channels: &[recurve_train::data::Channel]| -> Vec<String> {
                    channels.iter().map(|channel| channel.column.clone()).collect()
                };
                json!({
                    "kind": "table", "reads": "values", "unit": "row", "total": total, "problem": problem,
                    "first": table.plan.rows_needed(), "window": table.plan.input,
                    "horizon": table.plan.horizon, "split": table.plan.split,
                    "targets": names(&table.plan.targets),
                    "covariates": names(&table.plan.covariates),
                    "relative": table.relative, "season": table.plan.season,
                })
            }
            Self::Examples(own) => own.describe(),
            Self::Other(why) => {
                json!({"kind": "other", "total": 0, "unit": "step", "problem": why})
            }
        }
    }

    /// A piece as the model reads it.
    ///
    /// # Errors
    /// The data is not there, the piece lies outside it or is too long, or the text holds a character
    /// that the model does not know.
    pub(crate) fn read(&self, piece: &Piece) -> Result<Reading> {
        match self {
            Self::Text(text) => {
                let (tokens, from) = text.piece(piece)?;
                Ok(Reading::of(Sequence::Tokens(tokens), from))
            }
            Self::Table(table) => table.piece(piece),
            Self::Examples(own) => own.read(piece),
            Self::Other(why) => Err(Error::usage(why)),
        }
    }

    /// What a trace says in the words of the data, for the page.
    pub(crate) fn tell(&self, reading: &Reading, trace: &Trace) -> Result<Value> {
        match (self, &reading.sequence) {
            (Self::Text(text), Sequence::Tokens(tokens)) => Ok(text.tell(tokens, trace)),
            (Self::Table(table), _) => table.tell(reading, trace),
            (Self::Examples(_), _) => Ok(reading.right.facts.clone()),
            _ => Ok(json!({})),
        }
    }

    /// Puts the text of tokens in place of their numbers.
    pub(crate) fn name_tokens(&self, after: &mut Value) {
        let Self::Text(text) = self else { return };
        for key in ["top_was", "top_now"] {
            for pair in after.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(token) = pair[0].as_u64() {
                    pair[0] = json!(text.label(token as u32));
                }
            }
        }
    }

    /// Pieces side by side to measure a loss on, time-major `[T, B]`, from what did not train.
    pub(crate) fn sample(&self) -> Result<Sample> {
        match self {
            Self::Text(text) => text.sample(),
            Self::Table(table) => table.sample(),
            Self::Examples(_) => Err(Error::usage("these are measured sequence by sequence")),
            Self::Other(why) => Err(Error::usage(why)),
        }
    }
}

/// Pieces side by side with what should come out.
pub(crate) struct Sample {
    pub(crate) steps: usize,
    pub(crate) batch: usize,
    pub(crate) sequence: Sequence,
    /// For text, the next token of each row `[T, B]`.
    pub(crate) next: Vec<u32>,
    /// For a table, the scaled targets `[B, outputs]`, as the outputs are.
    pub(crate) targets: Vec<f32>,
}

fn own_text(
    file: &ModelFile,
    vocabulary: &Vocabulary,
    data: Option<&Path>,
) -> Result<(Vec<u32>, usize)> {
    let path = file.data().locate(data)?;
    let DataConfig::Language(options) = &file.config().data else {
        return Err(Error::usage("the model is not a language model"));
    };
    let text = Text::read_with(&path, vocabulary, (options.validation, options.test))?;
    Ok((text.tokens().to_vec(), text.train().len()))
}

fn own_series(file: &ModelFile, plan: &DataPlan, data: Option<&Path>) -> Result<Series> {
    Series::new(&Table::read(&file.data().locate(data)?)?, plan)
}

impl TextSubject {
    fn piece(&self, piece: &Piece) -> Result<(Vec<u32>, Option<usize>)> {
        if let Some(text) = &piece.text {
            let tokens = self.vocabulary.encode("the text", text)?;
            return Ok((within(tokens, self.vocabulary.unit())?, None));
        }
        let (own, trained) = self.own()?;
        let held_out = if own.len() > *trained { *trained } else { 0 };
        let from = piece.from.unwrap_or(held_out);
        let count = piece.count.unwrap_or(USUAL_STEPS);
        if from >= own.len() {
            let unit = self.vocabulary.unit();
            return Err(Error::usage(format!(
                "the text ends at {unit} {}, so none begins at {from}",
                own.len()
            )));
        }
        let end = from.saturating_add(count).min(own.len());
        Ok((within(own[from..end].to_vec(), self.vocabulary.unit())?, Some(from)))
    }

    fn own(&self) -> Result<&(Vec<u32>, usize)> {
        self.own.as_ref().map_err(Error::usage)
    }

    /// The text of a token; whitespace as it is.
    fn label(&self, token: u32) -> String {
        self.vocabulary.decode(&[token])
    }

    fn tell(&self, tokens: &[u32], trace: &Trace) -> Value {
        let size = self.vocabulary.size();
        let (mut bits, mut top) = (vec![Value::Null], vec![]);
        for (t, outputs) in trace.outputs.chunks_exact(size).enumerate() {
            let logarithms = log_softmax(outputs);
            if let Some(next) = tokens.get(t + 1) {
                bits.push(json!(-logarithms[*next as usize] / std::f64::consts::LN_2));
            }
            top.push(best(&logarithms, TOP));
        }
        let labels: Vec<String> = tokens.iter().map(|token| self.label(*token)).collect();
        json!({
            "labels": labels,
            "bits": bits,
            "top": top.iter().map(|best| {
                best.iter().map(|(token, p)| json!([self.label(*token as u32), p])).collect()
            }).collect::<Vec<Value>>(),
        })
    }

    fn sample(&self) -> Result<Sample> {
        const LANES: usize = 16;
        const STEPS: usize = 128;
        let (own, trained) = self.own()?;
        let held_out = if own.len() - trained > 64 { &own[*trained..] } else { &own[..] };
        let steps = STEPS.min((held_out.len() - 1) / LANES).max(1);
        let lanes = LANES.min((held_out.len() - 1) / steps);
        let stride = (held_out.len() - 1 - steps) / (lanes.max(2) - 1);
        let token = |t: usize, b: usize| held_out[b * stride + t];
        let rows = |shift: usize| -> Vec<u32> {
            (0..steps).flat_map(|t| (0..lanes).map(move |b| token(t + shift, b))).collect()
        };
        let (tokens, next) = (rows(0), rows(1));
        let sequence = Sequence::Tokens(tokens);
        Ok(Sample { steps, batch: lanes, sequence, next, targets: vec![] })
    }
}

fn within(tokens: Vec<u32>, unit: &str) -> Result<Vec<u32>> {
    if (1..=MOST_STEPS).contains(&tokens.len()) {
        return Ok(tokens);
    }
    Err(Error::usage(format!(
        "a piece of {} {unit}s; the explorer shows 1 to {MOST_STEPS} at once",
        tokens.len()
    )))
}

impl TableSubject {
    pub(crate) fn series(&self) -> Result<&Series> {
        self.own.as_ref().map_err(Error::usage)
    }

    /// The window before an origin as the model sees it, time-major over the origins.
    fn windows(&self, series: &Series, origins: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let (channels, targets) = (self.plan.channels(), self.plan.targets.len());
        let mut x = series.inputs(origins);
        let mut anchors = vec![0.0; origins.len() * targets];
        if self.relative {
            let width = origins.len() * channels;
            let last = x[x.len() - width..].to_vec();
            for (at, value) in x.iter_mut().enumerate() {
                if at % channels < targets {
                    *value -= last[at % width];
                }
            }
            for (at, anchor) in anchors.iter_mut().enumerate() {
                *anchor = last[at / targets * channels + at % targets];
            }
        }
        (x, anchors)
    }

    fn piece(&self, piece: &Piece) -> Result<Reading> {
        if piece.text.is_some() {
            return Err(Error::usage("this model reads rows of its table, not text"));
        }
        let series = self.series()?;
        let origin = piece.from.unwrap_or(series.rows());
        let (first, last) = (self.plan.rows_needed(), series.rows());
        if !(first..=last).contains(&origin) {
            return Err(Error::usage(format!(
                "a window can end before row {first} to {last}, not before row {origin}"
            )));
        }
        let (x, anchors) = self.windows(series, &[origin]);
        Ok(Reading { anchors, ..Reading::of(Sequence::Values(x), Some(origin)) })
    }

    fn tell(&self, reading: &Reading, trace: &Trace) -> Result<Value> {
        let (series, plan) = (self.series()?, &self.plan);
        let origin = reading.from.unwrap_or(series.rows());
        let Sequence::Values(x) = &reading.sequence else { return Ok(json!({})) };
        let first = origin - plan.input;
        let time = |row: usize| series.time(row).unwrap_or_else(|| format!("row {}", row + 1));
        let mut emitted = trace.outputs[trace.outputs.len() - plan.outputs()..].to_vec();
        for (at, value) in emitted.iter_mut().enumerate() {
            *value += reading.anchors[at % plan.targets.len()];
        }
        let forecast = series.restore(origin, &emitted)?;
        let ahead = origin..origin + plan.horizon;
        let channels: Vec<Value> = (0..plan.targets.len())
            .map(|at| {
                json!({
                    "name": plan.targets[at].column,
                    "values": &series.values(at)[first..origin],
                    "forecast": forecast.iter().skip(at).step_by(plan.targets.len()).collect::<Vec<_>>(),
                    "actual": ahead.clone().map(|row| series.values(at).get(row)).collect::<Vec<_>>(),
                })
            })
            .collect();
        let seen: Vec<Value> = plan
            .targets
            .iter()
            .chain(&plan.covariates)
            .enumerate()
            .map(|(at, channel)| {
                let own = x.iter().skip(at).step_by(plan.channels());
                json!({"name": channel.column, "values": own.collect::<Vec<_>>()})
            })
            .collect();
        Ok(json!({
            "labels": (first..origin).map(time).collect::<Vec<_>>(),
            "ahead": ahead.map(time).collect::<Vec<_>>(),
            "channels": channels,
            "seen": seen,
        }))
    }

    fn sample(&self) -> Result<Sample> {
        let series = self.series()?;
        let parts = [Part::Validation, Part::Train];
        let origins = parts.iter().map(|part| series.origins(*part, 1)).find(|o| !o.is_empty());
        let origins = origins.unwrap_or_default();
        let origins: Vec<usize> = origins.iter().copied().take(128).collect();
        if origins.is_empty() {
            return Err(Error::usage("the table holds no window with its targets"));
        }
        let (x, anchors) = self.windows(series, &origins);
        let (targets, width) = (self.plan.targets.len(), self.plan.outputs());
        let mut y = series.targets(&origins);
        for (at, value) in y.iter_mut().enumerate() {
            *value -= anchors[at / width * targets + at % width % targets];
        }
        let (steps, batch) = (self.plan.input, origins.len());
        let sequence = Sequence::Values(x);
        Ok(Sample { steps, batch, sequence, next: vec![], targets: y })
    }

    /// The scaled targets that follow a window, as the outputs are; none beyond the table.
    pub(crate) fn wanted(&self, reading: &Reading) -> Result<Option<Vec<f32>>> {
        let (series, origin) = (self.series()?, reading.from.unwrap_or_default());
        if origin + self.plan.horizon > series.rows() {
            return Ok(None);
        }
        let targets = self.plan.targets.len();
        let own = series.targets(&[origin]);
        let own = own.iter().enumerate().map(|(at, value)| value - reading.anchors[at % targets]);
        Ok(Some(own.collect()))
    }
}

/// The logarithms of the probabilities that outputs stand for.
pub(crate) fn log_softmax(outputs: &[f32]) -> Vec<f64> {
    let largest = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = |x: &f32| f64::from(*x) - f64::from(largest);
    let sum: f64 = outputs.iter().map(|x| shifted(x).exp()).sum();
    outputs.iter().map(|x| shifted(x) - sum.ln()).collect()
}

/// The likeliest with their probabilities.
pub(crate) fn best(logarithms: &[f64], count: usize) -> Vec<(usize, f64)> {
    let mut ranked: Vec<(usize, f64)> = logarithms.iter().copied().enumerate().collect();
    let count = count.min(ranked.len());
    if count == 0 {
        return vec![];
    }
    ranked.select_nth_unstable_by(count - 1, |a, b| b.1.total_cmp(&a.1));
    ranked.truncate(count);
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.into_iter().map(|(at, p)| (at, (p.exp() * 1e5).round() / 1e5)).collect()
}
