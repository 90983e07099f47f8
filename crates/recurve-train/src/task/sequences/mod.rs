//! What tasks over separate sequences share: the data in its parts, batches, and outputs one by one.
//!
//! The parts are drawn by the seed of the run, so a trained model finds the same ones again in its data.
//! Batches are drawn anew in every epoch. The outputs of a sequence are those that it would have alone, to
//! the bit, whatever stands beside it.

use crate::config::{Config, InitialiseConfig};
use crate::data::{
    Encoder, Inputs, Layout, Part, Position, Raw, SequenceOptions, Sequences, Side, Source,
    SplitSize, TokenKind, Wanted, fold_parts, parts, shuffled, vectors,
};
use crate::error::{Error, Result};
use crate::model_file::{ModelFile, engine_of, unsound};
use recurve_kernels::each;
use recurve_nn::profile::span;
use recurve_nn::{Description, InputKind, Mode, Model, Network, Noise};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Steps that go through the model at once where no gradient is needed, about.
const AT_ONCE: usize = 8192;
/// The width of token vectors where nothing is said.
pub(crate) const EMBEDDING: usize = 64;

/// How a model reads sequences, and what its outputs mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceReader {
    /// Where sequences stand in a file.
    pub source: Source,
    /// What is made of them.
    pub encoder: Encoder,
    /// The meaning of the outputs.
    pub answers: Answers,
}

/// What the outputs of a model mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answers {
    /// A class each, by name.
    Classes(Vec<String>),
    /// A number each, scaled.
    Numbers(Vec<Number>),
    /// A blank, then a symbol each; and what a symbol is.
    Symbols(Vec<String>, TokenKind),
    /// Symbols that are written one after the other.
    Written(Box<Written>),
}

/// What a decoder writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// What a symbol is.
    pub kind: TokenKind,
    /// The symbols; before them come the end and the unknown.
    pub symbols: crate::data::Words,
    /// Symbols of the longest text of the training part.
    pub longest: usize,
}

/// A number that is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// Its name.
    pub name: String,
    /// How it is scaled.
    pub scaler: crate::data::Scaler,
}

/// The sequences of a run, in their parts.
pub(crate) struct Dataset {
    pub(crate) source: Source,
    pub(crate) all: Sequences,
    pub(crate) encoder: Encoder,
    pub(crate) inputs: Inputs,
    parts: Vec<Part>,
}

impl Dataset {
    /// Reads the data of a run: as `reader` says, or as is guessed.
    pub(crate) fn read(
        data: &Path,
        options: &SequenceOptions,
        seed: u64,
        known: (Wanted, Option<&SequenceReader>),
    ) -> Result<Self> {
        let (wanted, reader) = known;
        let source = match reader {
            Some(reader) => reader.source.clone(),
            None => Source::guess(data, options, wanted)?,
        };
        let mut all = source.read(data, true)?;
        let mut sizes = (
            options.validation.unwrap_or(SplitSize::Fraction(0.15)),
            options.test.unwrap_or(SplitSize::Fraction(0.15)),
        );
        let own = all.items.len();
        let mut extra = 0;
        if let Some(validation) = &options.validation_file {
            if options.validation.is_some() {
                return Err(Error::usage(
                    "data.validation and data.validation_file are both set; leave one of them out",
                ));
            }
            sizes.0 = SplitSize::Rows(0);
            let more = source.read(&beside(data, validation), true)?;
            extra = more.items.len();
            all.items.extend(more.items);
        }
        if let Some(test) = &options.test_file {
            if options.test.is_some() {
                return Err(Error::usage(
                    "data.test and data.test_file are both set; leave one of them out",
                ));
            }
            sizes.1 = SplitSize::Rows(0);
            let mut more = source.read(&beside(data, test), true)?;
            if let Some(answers) = &options.test_answers {
                answer(&mut more, &source, &beside(data, answers))?;
            }
            all.items.extend(more.items);
        } else if options.test_answers.is_some() {
            return Err(Error::usage("data.test_answers is set without data.test_file"));
        }
        let told = |error: Error| error.context(&all.name);
        let by_label = wanted == Wanted::Class;
        let own_parts = match options.fold {
            Some(fold) => fold_parts(
                &all.items[..own],
                fold,
                options.validation_file.as_ref().map_or(options.validation, |_| Some(sizes.0)),
                (seed, by_label),
            ),
            None => parts(&all.items[..own], sizes, seed, by_label),
        };
        let mut parts = own_parts.map_err(told)?;
        parts.resize(own + extra, Part::Validation);
        parts.resize(all.items.len(), Part::Test);
        let train: Vec<usize> =
            (0..all.items.len()).filter(|at| parts[*at] == Part::Train).collect();
        let encoder = match reader {
            Some(reader) => reader.encoder.clone(),
            None if source.layout == Layout::Text => {
                let texts = train.iter().map(|at| match &all.items[*at].input {
                    Raw::Text(text) => text.as_str(),
                    Raw::Values(_) => "",
                });
                let texts: Vec<&str> = texts.collect();
                let guessed = || match wanted {
                    Wanted::Written => kind_of(&texts, TokenKind::Words),
                    _ => TokenKind::default(),
                };
                let kind = options.tokens.unwrap_or_else(guessed);
                let fewest = if kind == TokenKind::Words { 2 } else { 1 };
                Encoder::tokens(&all, &train, kind, options.min_count.unwrap_or(fewest))
            }
            None => Encoder::values(&all, &train, options.scaler),
        };
        let inputs = encoder.encode(&all)?;
        Ok(Self { source, all, encoder, inputs, parts })
    }

    /// The data of a trained model, where it was or where it lies now.
    pub(crate) fn own(
        file: &ModelFile,
        reader: &SequenceReader,
        options: &SequenceOptions,
        moved_to: Option<&Path>,
    ) -> Result<Self> {
        let path = file.data().locate(moved_to)?;
        let seed = file.config().train.seed;
        Self::read(&path, options, seed, (reader.source.wanted, Some(reader)))
    }

    /// What a trained model is measured on: all of another file, or a part of its own, the one that was held
    /// out if none is named.
    pub(crate) fn measured(
        file: &ModelFile,
        reader: &SequenceReader,
        options: &SequenceOptions,
        (part, path): (Option<Part>, Option<&Path>),
    ) -> Result<(Self, Part)> {
        if let (Some(Part::All), Some(path)) = (part, path) {
            return Ok((Self::other(path, reader, true)?, Part::All));
        }
        let data = Self::own(file, reader, options, path)?;
        let part = part.unwrap_or(data.held_out());
        Ok((data, part))
    }

    /// All of another file, for a trained model.
    pub(crate) fn other(path: &Path, reader: &SequenceReader, needed: bool) -> Result<Self> {
        Self::of(reader.source.read(path, needed)?, reader)
    }

    /// Sequences that are no file, for a trained model.
    pub(crate) fn of(all: Sequences, reader: &SequenceReader) -> Result<Self> {
        let inputs = reader.encoder.encode(&all)?;
        let parts = vec![Part::All; all.items.len()];
        let (source, encoder) = (reader.source.clone(), reader.encoder.clone());
        Ok(Self { source, all, encoder, inputs, parts })
    }

    /// The sequences of a part.
    pub(crate) fn part(&self, part: Part) -> Vec<usize> {
        let all = 0..self.parts.len();
        all.filter(|at| part == Part::All || self.parts[*at] == part).collect()
    }

    /// The part of a sequence.
    pub(crate) fn part_of(&self, at: usize) -> Option<Part> {
        self.parts.get(at).copied()
    }

    /// The part that measures a model.
    pub(crate) fn held_out(&self) -> Part {
        let first = [Part::Test, Part::Validation].into_iter().find(|p| self.parts.contains(p));
        first.unwrap_or(Part::Train)
    }

    /// The sequences of a part that must not be empty.
    pub(crate) fn some_of(&self, part: Part) -> Result<Vec<usize>> {
        let found = self.part(part);
        if found.is_empty() {
            let name = part.name();
            return Err(Error::usage(format!(
                "{}: the {name} part is empty; measure another part or another file",
                self.all.name
            )));
        }
        Ok(found)
    }

    /// What was read, in sentences.
    pub(crate) fn describe(&self) -> Vec<String> {
        let count = |part| self.part(part).len();
        let steps: Vec<usize> = (0..self.inputs.count()).map(|at| self.inputs.steps(at)).collect();
        let (least, most) = (steps.iter().min().unwrap_or(&0), steps.iter().max().unwrap_or(&0));
        let mut lines = vec![format!(
            "{}: {} sequences of {least} to {most} steps",
            self.all.name,
            self.all.items.len()
        )];
        lines.extend(self.source.describe());
        match &self.encoder {
            Encoder::Values(channels) => {
                let marked: Vec<&str> = channels
                    .iter()
                    .filter(|channel| channel.marked)
                    .map(|channel| channel.name.as_str())
                    .collect();
                if !marked.is_empty() {
                    lines.push(format!("values are missing in {}", marked.join(", ")));
                }
            }
            Encoder::Tokens { words, .. } => {
                lines.push(format!("{} tokens known, the unknown one among them", words.size()));
            }
        }
        lines.push(format!(
            "train {}, validation {}, test {}",
            count(Part::Train),
            count(Part::Validation),
            count(Part::Test)
        ));
        lines
    }
}

/// What a token of some texts is taken for: what stands between blanks where texts are made of many short
/// pieces, like phones; `sentences` where they are made of many others; else characters.
pub(crate) fn kind_of(texts: &[&str], sentences: TokenKind) -> TokenKind {
    let pieces: Vec<usize> = texts
        .iter()
        .flat_map(|text| text.split_whitespace().map(|piece| piece.chars().count()))
        .collect();
    if pieces.len() < 3 * texts.len() {
        return TokenKind::Characters;
    }
    let short = 2 * pieces.iter().sum::<usize>() <= 5 * pieces.len();
    if short { TokenKind::Spaced } else { sentences }
}

/// A file that an option names: where it says, or beside the data.
pub(crate) fn beside(data: &Path, name: &str) -> std::path::PathBuf {
    let given = Path::new(name);
    if given.exists() {
        return given.to_owned();
    }
    data.parent().unwrap_or(Path::new("")).join(name)
}

/// Puts the answers of a file of numbers on the last steps of sequences.
fn answer(all: &mut Sequences, source: &Source, path: &Path) -> Result<()> {
    let name = path.display();
    let bytes = crate::data::read_bytes(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut found = vec![];
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = line.trim().parse().ok().filter(|number: &f64| number.is_finite());
        found.push(number.ok_or_else(|| {
            let what = crate::data::shown(line);
            Error::usage(format!("{name}, line {}: `{what}` is not a number", at + 1))
        })?);
    }
    if found.len() != all.items.len() {
        return Err(Error::usage(format!(
            "{name}: {} answers for the {} sequences of {}",
            found.len(),
            all.items.len(),
            all.name
        )));
    }
    if !source.remaining {
        return Err(Error::usage(
            "data.test_answers says how many steps are left; it goes with data.remaining",
        ));
    }
    let cap = source.cap.unwrap_or(f64::INFINITY);
    for (item, left) in all.items.iter_mut().zip(found) {
        let steps = item.values.as_ref().map_or(0, Vec::len);
        item.values = Some((0..steps).rev().map(|at| (at as f64 + left).min(cap)).collect());
    }
    Ok(())
}

/// The model of a configuration for this input, up to the layer below the outputs.
pub(crate) fn description(config: &Config, encoder: &Encoder) -> Description {
    let below = match encoder.input() {
        InputKind::Values { width } => Description::values(width),
        InputKind::Tokens { vocabulary } => {
            let width = config.model.embedding.unwrap_or(EMBEDDING);
            Description::tokens(vocabulary).embedding(width)
        }
        InputKind::Words { .. } => unreachable!("an encoder gives numbers or tokens"),
    };
    super::stack(config, below)
}

/// Decides the width of token vectors, and refuses one where there are none.
pub(crate) fn settle(
    config: &mut Config,
    options: &SequenceOptions,
    data: &Dataset,
    path: &Path,
) -> Result<()> {
    let tokens = matches!(data.encoder, Encoder::Tokens { .. });
    if !tokens {
        if config.model.embedding.is_some() {
            return Err(Error::usage(format!(
                "model.embedding is set, but {} holds no texts; leave it out",
                data.all.name
            )));
        }
        if config.initialise.embedding != InitialiseConfig::default().embedding {
            return Err(Error::usage(format!(
                "initialise.embedding is set, but {} holds no texts; leave it out",
                data.all.name
            )));
        }
        return Ok(());
    }
    let given = match (&options.vectors, &data.encoder) {
        (Some(name), Encoder::Tokens { words, .. }) => {
            Some(vectors(&beside(path, name), words)?.width)
        }
        _ => None,
    };
    if let (Some(set), Some(width)) = (config.model.embedding, given)
        && set != width
    {
        return Err(Error::usage(format!(
            "model.embedding is {set}, the vectors of data.vectors have {width} numbers; leave it out"
        )));
    }
    config.model.embedding.get_or_insert(given.unwrap_or(EMBEDDING));
    Ok(())
}

/// Puts word vectors that were learned elsewhere into a model; says how many.
pub(crate) fn begin(model: &mut Model<f32>, encoder: &Encoder, path: &Path) -> Result<usize> {
    begin_named(model, encoder, path, "0.embedding.weight")
}

/// The same into the table of this name.
pub(crate) fn begin_named(
    model: &mut Model<f32>,
    encoder: &Encoder,
    path: &Path,
    name: &str,
) -> Result<usize> {
    let Encoder::Tokens { words, .. } = encoder else { return Ok(0) };
    let found = vectors(path, words)?;
    let Some(table) = model.get_mut(name) else { return Ok(0) };
    for (token, vector) in &found.found {
        table[*token as usize * found.width..][..found.width].copy_from_slice(vector);
    }
    Ok(found.found.len())
}

/// The sequences of each batch.
pub(crate) struct Batches {
    seed: u64,
    size: usize,
    train: Vec<usize>,
    /// An epoch and its order.
    order: (u64, Vec<usize>),
}

impl Batches {
    pub(crate) fn new(config: &Config, train: Vec<usize>) -> Self {
        let seed = config.train.seed;
        let order = (0, shuffled(seed, 0, train.len()));
        Self { seed, size: config.train.batch.min(train.len()).max(1), train, order }
    }

    pub(crate) fn count(&self) -> usize {
        self.train.len().div_ceil(self.size)
    }

    /// The sequences of a batch.
    pub(crate) fn at(&mut self, at: Position) -> Vec<usize> {
        if self.order.0 != at.epoch {
            self.order = (at.epoch, shuffled(self.seed, at.epoch, self.train.len()));
        }
        let order = &self.order.1;
        let first = at.batch as usize * self.size;
        order[first..(first + self.size).min(order.len())]
            .iter()
            .map(|at| self.train[*at])
            .collect()
    }

    /// Steps of the longest batch there could be.
    pub(crate) fn rows(&self, inputs: &Inputs) -> usize {
        let longest = self.train.iter().map(|at| inputs.steps(*at)).max();
        self.size * longest.unwrap_or(0)
    }
}

/// The outputs of each of some sequences: `[steps, width]`, or `[width]` where the model pools.
pub(crate) fn outputs(
    network: &mut Network<f32>,
    inputs: &Inputs,
    chosen: &[usize],
) -> Result<Vec<Vec<f32>>> {
    // Sequences of like length go together.
    let mut order: Vec<usize> = (0..chosen.len()).collect();
    order.sort_by_key(|at| inputs.steps(chosen[*at]));
    let (width, pooled) = (network.output_width(), network.description().is_pooled());
    let mut found = vec![vec![]; chosen.len()];
    let mut rest = &order[..];
    while let [first, ..] = rest {
        let longest = |count: usize| inputs.steps(chosen[rest[count - 1]]);
        let mut count = (AT_ONCE / inputs.steps(chosen[*first]).max(1)).clamp(1, rest.len());
        while count > 1 && count * longest(count) > AT_ONCE {
            count -= 1;
        }
        let (now, later) = rest.split_at(count);
        let side: Vec<usize> = now.iter().map(|at| chosen[*at]).collect();
        let side = inputs.side(&side);
        let rows = forward(network, &side)?;
        if pooled {
            for (at, row) in now.iter().zip(rows.chunks_exact(width)) {
                found[*at] = row.to_vec();
            }
        } else {
            for (at, length) in now.iter().zip(&side.lengths) {
                found[*at] = vec![0.0; length * width];
            }
            for (row, t, b) in network.order().places() {
                found[now[b]][t * width..][..width].copy_from_slice(&rows[row * width..][..width]);
            }
        }
        rest = later;
    }
    Ok(found)
}

/// A training pass in which every sequence is judged as a whole: `judge` gets its number in the batch and its
/// outputs `[steps, width]`, and replaces them by their gradient, which is divided by `count`.
pub(crate) fn learn_whole<T: Send>(
    network: &mut Network<f32>,
    (side, noise): (&Side, Noise),
    count: f64,
    gradients: &mut [f32],
    judge: impl Fn(usize, &mut [f32]) -> T + Sync,
) -> Result<Vec<T>> {
    let width = network.output_width();
    let rows = network.forward(&side.batch(), None, Mode::Train(noise)).map_err(super::refused)?;
    let mut rows = rows.to_vec();
    let mut whole: Vec<(Vec<f32>, Option<T>)> =
        side.lengths.iter().map(|length| (vec![0.0; length * width], None)).collect();
    for (row, t, b) in network.order().places() {
        whole[b].0[t * width..][..width].copy_from_slice(&rows[row * width..][..width]);
    }
    {
        let _span = span("loss");
        let threads = network.engine().threads_over(rows.len() * width);
        each(threads, whole.iter_mut().enumerate(), |(b, (outputs, found))| {
            *found = Some(judge(b, outputs));
        });
    }
    let share = (1.0 / count) as f32;
    for (row, t, b) in network.order().places() {
        let from = &whole[b].0[t * width..][..width];
        let to = &mut rows[row * width..][..width];
        to.iter_mut().zip(from).for_each(|(to, d)| *to = d * share);
    }
    network.backward(&rows, gradients, None).map_err(super::refused)?;
    Ok(whole.into_iter().filter_map(|(_, found)| found).collect())
}

fn forward(network: &mut Network<f32>, side: &Side) -> Result<Vec<f32>> {
    let rows = network.forward(&side.batch(), None, Mode::Infer).map_err(super::refused)?;
    if rows.iter().all(|value| value.is_finite()) {
        return Ok(rows.to_vec());
    }
    Err(Error::failed(
        "the model gives outputs that are no numbers; train it with a smaller learning rate",
    ))
}

/// The network of a trained model.
pub(crate) fn network(file: &ModelFile, threads: usize) -> Result<Network<f32>> {
    let model = file.model();
    let mut network =
        Network::new(model.description(), engine_of(file, threads)?).map_err(unsound)?;
    network.load(model.values(), false);
    Ok(network)
}
