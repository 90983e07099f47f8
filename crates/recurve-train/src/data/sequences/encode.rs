//! From sequences in the units of a file to what a model reads.
//!
//! Numbers are scaled by the training part. A missing value becomes 0, the mean, and a second number at the
//! step says that it was missing; a channel in which the training part misses nothing has no such number, and
//! a missing value there is refused later, since the model has learned nothing about it. Texts become tokens.

use super::{Raw, Sequences};
use crate::data::options::ScalerKind;
use crate::data::transform::Scaler;
use crate::data::words::{TokenKind, Words as KnownWords};
use crate::error::{Error, Result};
use recurve_nn::{Batch, Input, InputKind, Words};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// One of the numbers of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Its column.
    pub name: String,
    /// How it is scaled.
    pub scaler: Scaler,
    /// Whether a number beside it says where it is missing.
    pub marked: bool,
}

/// How sequences are encoded, fitted to a training part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoder {
    /// Numbers at each step.
    Values(Vec<Channel>),
    /// Tokens.
    Tokens {
        /// What a token is.
        kind: TokenKind,
        /// The known ones.
        words: KnownWords,
    },
}

impl Encoder {
    /// Numbers, fitted to the sequences that train.
    pub fn values(all: &Sequences, train: &[usize], scaler: ScalerKind) -> Self {
        let width = all.channels.len();
        let channel = |(at, name): (usize, &String)| {
            let own = train.iter().flat_map(|item| match &all.items[*item].input {
                Raw::Values(values) => values.iter().skip(at).step_by(width).copied().collect(),
                Raw::Text(_) => vec![],
            });
            let own: Vec<f64> = own.collect();
            let known: Vec<f64> = own.iter().copied().filter(|value| !value.is_nan()).collect();
            let marked = known.len() < own.len();
            Channel { name: name.clone(), scaler: fit(scaler, &known), marked }
        };
        Self::Values(all.channels.iter().enumerate().map(channel).collect())
    }

    /// Tokens of the texts that train.
    pub fn tokens(all: &Sequences, train: &[usize], kind: TokenKind, min_count: usize) -> Self {
        let cut: Vec<String> = train
            .iter()
            .flat_map(|item| match &all.items[*item].input {
                Raw::Text(text) => kind.cut(text),
                Raw::Values(_) => vec![],
            })
            .collect();
        Self::Tokens { kind, words: KnownWords::count(cut.iter().map(String::as_str), min_count) }
    }

    /// What a model has as its input.
    pub fn input(&self) -> InputKind {
        match self {
            Self::Values(channels) => InputKind::Values {
                width: channels.iter().map(|channel| 1 + usize::from(channel.marked)).sum(),
            },
            Self::Tokens { words, .. } => InputKind::Tokens { vocabulary: words.size() },
        }
    }

    /// The sequences as a model reads them.
    ///
    /// # Errors
    /// A sequence has no step, misses a value that is never missing in the training part, or the
    /// columns are others.
    pub(crate) fn encode(&self, all: &Sequences) -> Result<Inputs> {
        match self {
            Self::Values(channels) => {
                if all.channels.len() != channels.len() {
                    return Err(Error::usage(format!(
                        "{}: {} numbers at a step, the model reads {}",
                        all.name,
                        all.channels.len(),
                        channels.len()
                    )));
                }
                let InputKind::Values { width } = self.input() else { unreachable!("numbers") };
                let rows = (0..all.items.len()).map(|at| numbers(channels, all, at));
                Ok(Inputs::Values { width, rows: rows.collect::<Result<_>>()? })
            }
            Self::Tokens { kind, words } => {
                let tokens = all.items.iter().map(|item| {
                    let Raw::Text(text) = &item.input else { return Err(strange(&item.place)) };
                    let tokens: Vec<u32> =
                        kind.cut(text).iter().map(|token| words.token(token)).collect();
                    if tokens.is_empty() {
                        return Err(empty(&item.place, "the text is empty"));
                    }
                    Ok(tokens)
                });
                Ok(Inputs::Tokens(tokens.collect::<Result<_>>()?))
            }
        }
    }
}

/// A scaler; the noise of a channel that hardly changes is not blown up.
fn fit(kind: ScalerKind, known: &[f64]) -> Scaler {
    if known.is_empty() {
        return Scaler { shift: 0.0, scale: 1.0 };
    }
    let found = Scaler::fit(kind, known);
    let scale = if found.scale > 1e-9 * found.shift.abs() { found.scale } else { 1.0 };
    Scaler { scale, ..found }
}

fn strange(place: &str) -> Error {
    Error::usage(format!("{place}: not what the model reads"))
}

fn empty(place: &str, what: &str) -> Error {
    Error::usage(format!("{place}: {what}; a sequence has at least one step"))
}

fn numbers(channels: &[Channel], all: &Sequences, at: usize) -> Result<Vec<f32>> {
    let item = &all.items[at];
    let Raw::Values(values) = &item.input else { return Err(strange(&item.place)) };
    if values.is_empty() {
        return Err(empty(&item.place, "the sequence is empty"));
    }
    let mut row = Vec::with_capacity(values.len());
    for (step, values) in values.chunks_exact(channels.len()).enumerate() {
        for (value, channel) in values.iter().zip(channels) {
            let missing = value.is_nan();
            if missing && !channel.marked {
                return Err(Error::usage(format!(
                    "{}: `{}` is missing at step {}, and the training part never misses it, so the \
                     model knows nothing about that; fill it",
                    item.place,
                    channel.name,
                    step + 1
                )));
            }
            row.push(if missing { 0.0 } else { channel.scaler.apply(*value) as f32 });
            if channel.marked {
                row.push(if missing { 1.0 } else { 0.0 });
            }
        }
    }
    Ok(row)
}

/// Sequences as a model reads them.
pub(crate) enum Inputs {
    /// `[steps, width]` each.
    Values { width: usize, rows: Vec<Vec<f32>> },
    /// Tokens each.
    Tokens(Vec<Vec<u32>>),
    /// Words each, by token and form; and the letters of every form.
    Words { sentences: Vec<Vec<(u32, u32)>>, forms: Vec<Vec<u32>> },
}

/// Some sequences side by side.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) steps: usize,
    pub(crate) lengths: Vec<usize>,
    values: Vec<f32>,
    tokens: Vec<u32>,
    /// Of words: the form at each place, and the letters of the forms with their number.
    forms: Vec<u32>,
    letters: Vec<u32>,
    form_lengths: Vec<usize>,
}

impl Side {
    /// The same as a batch.
    pub(crate) fn batch(&self) -> Batch<'_, f32> {
        let input = if !self.forms.is_empty() {
            Input::Words(Words {
                tokens: &self.tokens,
                forms: &self.forms,
                letters: &self.letters,
                lengths: &self.form_lengths,
            })
        } else if self.tokens.is_empty() {
            Input::Values(&self.values)
        } else {
            Input::Tokens(&self.tokens)
        };
        Batch::new(self.steps, self.lengths.len(), input).lengths(&self.lengths)
    }
}

impl Inputs {
    /// Sequences.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Values { rows, .. } => rows.len(),
            Self::Tokens(tokens) => tokens.len(),
            Self::Words { sentences, .. } => sentences.len(),
        }
    }

    /// Steps of a sequence.
    pub(crate) fn steps(&self, at: usize) -> usize {
        match self {
            Self::Values { width, rows } => rows[at].len() / width,
            Self::Tokens(tokens) => tokens[at].len(),
            Self::Words { sentences, .. } => sentences[at].len(),
        }
    }

    /// Some of the sequences side by side.
    pub(crate) fn side(&self, chosen: &[usize]) -> Side {
        let lengths: Vec<usize> = chosen.iter().map(|at| self.steps(*at)).collect();
        let steps = lengths.iter().copied().max().unwrap_or(0);
        let count = chosen.len();
        let mut side = Side { steps, lengths, ..Side::default() };
        match self {
            Self::Values { width, rows } => {
                side.values = vec![0.0; steps * count * width];
                for (b, at) in chosen.iter().enumerate() {
                    for (t, row) in rows[*at].chunks_exact(*width).enumerate() {
                        side.values[(t * count + b) * width..][..*width].copy_from_slice(row);
                    }
                }
            }
            Self::Words { sentences, forms } => {
                let mut own: HashMap<u32, u32> = HashMap::new();
                let mut met: Vec<u32> = vec![];
                (side.tokens, side.forms) = (vec![0; steps * count], vec![0; steps * count]);
                for (b, at) in chosen.iter().enumerate() {
                    for (t, (token, form)) in sentences[*at].iter().enumerate() {
                        let place = t * count + b;
                        side.tokens[place] = *token;
                        side.forms[place] = *own.entry(*form).or_insert_with(|| {
                            met.push(*form);
                            met.len() as u32 - 1
                        });
                    }
                }
                let letters = |form: &u32| &forms[*form as usize];
                side.form_lengths = met.iter().map(|form| letters(form).len()).collect();
                let longest = side.form_lengths.iter().copied().max().unwrap_or(0);
                side.letters = vec![0; longest * met.len()];
                for (f, form) in met.iter().enumerate() {
                    for (l, letter) in letters(form).iter().enumerate() {
                        side.letters[l * met.len() + f] = *letter;
                    }
                }
            }
            Self::Tokens(tokens) => {
                side.tokens = vec![0; steps * count];
                for (b, at) in chosen.iter().enumerate() {
                    for (t, token) in tokens[*at].iter().enumerate() {
                        side.tokens[t * count + b] = *token;
                    }
                }
            }
        }
        side
    }
}
