//! What the model reads: pieces of the run's own data, or text that a person typed.

use crate::examples::{ExampleSubject, Right};
use crate::table::TableSubject;
use crate::trace::{Sequence, Trace};
use recurve_nn::Model;
use recurve_train::data::{Text, Vocabulary};
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
    /// Of a table of several series, which.
    pub(crate) series: Option<usize>,
}

/// A piece, ready to be read.
pub(crate) struct Reading {
    pub(crate) sequence: Sequence,
    pub(crate) from: Option<usize>,
    /// What was asked for.
    pub(crate) piece: Piece,
    /// What is right about it.
    pub(crate) right: Right,
}

impl Reading {
    /// A sequence, and where it begins in the data.
    pub(crate) fn of(sequence: Sequence, from: Option<usize>) -> Self {
        let (piece, right) = (Piece::default(), Right::default());
        Self { sequence, from, piece, right }
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
        match TableSubject::of(file, data) {
            Ok(Some(table)) => return Self::Table(Box::new(table)),
            Ok(None) => {}
            Err(error) => return Self::Other(error.to_string()),
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
            Self::Table(table) => table.describe(),
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
    pub(crate) fn read(&self, piece: &Piece, model: &Model<f32>) -> Result<Reading> {
        match self {
            Self::Text(text) => {
                let (tokens, from) = text.piece(piece)?;
                let piece = piece.clone();
                Ok(Reading { piece, ..Reading::of(Sequence::Tokens(tokens), from) })
            }
            Self::Table(table) => table.read(piece, model),
            Self::Examples(own) => own.read(piece),
            Self::Other(why) => Err(Error::usage(why)),
        }
    }

    /// What a trace says in the words of the data, for the page.
    pub(crate) fn tell(&self, reading: &Reading, trace: &Trace) -> Value {
        match (self, &reading.sequence) {
            (Self::Text(text), Sequence::Tokens(tokens)) => text.tell(tokens, trace),
            _ => reading.right.facts.clone(),
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
}

/// Pieces side by side with what should come out.
pub(crate) struct Sample {
    pub(crate) steps: usize,
    pub(crate) batch: usize,
    pub(crate) sequence: Sequence,
    /// The next token of each row `[T, B]`.
    pub(crate) next: Vec<u32>,
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

    /// Pieces side by side to measure a loss on, time-major `[T, B]`, from what did not train.
    pub(crate) fn sample(&self) -> Result<Sample> {
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
        Ok(Sample { steps, batch: lanes, sequence, next })
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

/// The logarithms of the probabilities that outputs stand for.
pub(crate) fn log_softmax(outputs: &[f32]) -> Vec<f64> {
    let largest = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = |x: &f32| f64::from(*x) - f64::from(largest);
    let sum: f64 = outputs.iter().map(|x| shifted(x).exp()).sum();
    outputs.iter().map(|x| shifted(x) - sum.ln()).collect()
}

/// The gradient of the cross-entropy of a class with respect to the outputs.
pub(crate) fn less_one(outputs: &[f32], class: usize) -> Vec<f32> {
    let p = log_softmax(outputs).into_iter().enumerate();
    p.map(|(at, p)| (p.exp() - f64::from(u8::from(at == class))) as f32).collect()
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
