//! Pairs of sequences as a model reads them, and how it learns from them.

use super::report::{Attended, TranslateReport, Translation};
use super::search::{Branch, END, Hypothesis, Search, grown as grow, search};
use crate::config::{AttentionKind, Config};
use crate::data::{Encoder, Part, Position, Raw, SequenceOptions, Side, TokenKind, Words};
use crate::error::{Error, Result};
use crate::initialise::generator;
use crate::loss::{Loss, Targets};
use crate::metrics::edits;
use crate::task::sequences::{self, Answers, Batches, Dataset, SequenceReader, Written};
use crate::task::{Evaluation, Learned, Learner, Names, Reader, refused, stack};
use rand::RngExt;
use recurve_nn::profile::span;
use recurve_nn::seq2seq::{Decoder, Score, Seq2Seq, Target};
use recurve_nn::{Batch, Description, InputKind, Network, Noise};
use std::collections::BTreeMap;

/// Sources that are searched side by side.
const AT_ONCE: usize = 64;
/// How much longer than the longest target of the training part a target may become.
const LONGER: usize = 10;
/// Convolutions of the attention that looks at where it looked, and how far each sees.
const FILTERS: (usize, usize) = (8, 3);

/// What is written: the symbols of the training part.
pub(super) fn written(data: &Dataset, options: &SequenceOptions) -> Result<Written> {
    let train = data.part(Part::Train);
    let texts: Vec<&str> =
        train.iter().filter_map(|at| data.all.items[*at].label.as_deref()).collect();
    let kind = match options.symbols {
        Some(TokenKind::Words) => TokenKind::Spaced,
        Some(kind) => kind,
        None => sequences::kind_of(&texts, TokenKind::Spaced),
    };
    let cut: Vec<Vec<String>> = texts.iter().map(|text| kind.cut(text)).collect();
    let all = || cut.iter().flatten().map(String::as_str);
    let fewest = options.min_count.filter(|_| kind != TokenKind::Characters).unwrap_or(1);
    let symbols = Words::count(all(), fewest);
    if symbols.known().is_empty() {
        return Err(Error::usage(format!(
            "{}: all targets of the training part are empty; is data.label right?",
            data.all.name
        )));
    }
    let longest = cut.iter().map(Vec::len).max().unwrap_or(0);
    Ok(Written { kind, symbols, longest })
}

/// The number of a symbol: 0 is the end, 1 the unknown.
fn number(written: &Written, symbol: &str) -> u32 {
    written.symbols.token(symbol) + 1
}

fn text(written: &Written, symbols: &[u32]) -> String {
    let known = written.symbols.known();
    let texts: Vec<&str> =
        symbols.iter().map(|symbol| known[*symbol as usize - 2].as_str()).collect();
    texts.join(written.kind.joint())
}

/// The symbols of the target of every sequence.
pub(super) fn targets(data: &Dataset, written: &Written) -> Vec<Vec<u32>> {
    let target = |label: &Option<String>| {
        let symbols = written.kind.cut(label.as_deref().unwrap_or_default());
        symbols.iter().map(|symbol| number(written, symbol)).collect()
    };
    data.all.items.iter().map(|item| target(&item.label)).collect()
}

fn decoding(network: &mut Network<f32>) -> Result<&mut Seq2Seq<f32>> {
    network.seq2seq().ok_or_else(|| Error::failed("the model has no decoder"))
}

/// What is written for some sequences, the best first.
pub(super) fn translations(
    network: &mut Network<f32>,
    (data, written): (&Dataset, &Written),
    chosen: &[usize],
    how: Search,
) -> Result<Vec<Vec<Translation>>> {
    // Sources of like length go together.
    let mut order: Vec<usize> = (0..chosen.len()).collect();
    order.sort_by_key(|at| data.inputs.steps(chosen[*at]));
    let mut found = vec![vec![]; chosen.len()];
    for places in order.chunks(AT_ONCE) {
        let own: Vec<usize> = places.iter().map(|place| chosen[*place]).collect();
        let side = data.inputs.side(&own);
        let model = decoding(network)?;
        let encoded = model.encode(&side.batch()).map_err(refused)?;
        let best = search(model, &encoded, how, written.longest + LONGER)?;
        for ((place, at), best) in places.iter().zip(own).zip(best) {
            let told = best.into_iter().map(|own| translation((data, written), at, own));
            found[*place] = told.collect();
        }
    }
    Ok(found)
}

/// What is written for one sequence, the best first, and all beginnings that were kept on the way.
pub(super) fn grown(
    network: &mut Network<f32>,
    (data, written): (&Dataset, &Written),
    at: usize,
    how: Search,
) -> Result<(Vec<Translation>, Vec<Branch>)> {
    let side = data.inputs.side(&[at]);
    let model = decoding(network)?;
    let encoded = model.encode(&side.batch()).map_err(refused)?;
    let mut tree = vec![];
    let found = grow(model, &encoded, how, written.longest + LONGER, &mut tree)?;
    let told = found.into_iter().flatten().map(|own| translation((data, written), at, own));
    let branches = tree.into_iter().map(|kept| Branch {
        from: kept.from,
        symbol: if kept.symbol == END { String::new() } else { text(written, &[kept.symbol]) },
        log_probability: kept.log_probability,
        ends: kept.ends,
    });
    Ok((told.collect(), branches.collect()))
}

fn translation((data, written): (&Dataset, &Written), at: usize, found: Hypothesis) -> Translation {
    let item = &data.all.items[at];
    let (source, tokens) = match (&item.input, &data.encoder) {
        (Raw::Text(text), Encoder::Tokens { kind, .. }) => (Some(text.clone()), kind.cut(text)),
        _ => (None, (1..=data.inputs.steps(at)).map(|step| step.to_string()).collect()),
    };
    let known = written.symbols.known();
    let symbols = found.symbols.iter().map(|symbol| known[*symbol as usize - 2].clone());
    Translation {
        id: item.id.clone(),
        source,
        actual: item.label.clone(),
        predicted: text(written, &found.symbols),
        log_probability: found.log_probability,
        attended: Attended {
            id: item.id.clone(),
            source: tokens,
            target: symbols.chain(["(end)".to_owned()]).collect(),
            weights: found.attention,
        },
    }
}

/// The most frequent target of the training part.
fn most_frequent(data: &Dataset) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for at in data.part(Part::Train) {
        *counts.entry(data.all.items[at].label.as_deref()?).or_default() += 1;
    }
    let most = counts.iter().rev().max_by_key(|(_, count)| **count)?;
    Some((*most.0).to_owned())
}

pub(super) fn measure(
    network: &mut Network<f32>,
    (data, written): (&Dataset, &Written),
    part: Part,
    how: Search,
) -> Result<TranslateReport> {
    let chosen = data.some_of(part)?;
    let found = translations(network, (data, written), &chosen, Search { best: 1, ..how })?;
    let found = found.into_iter().filter_map(|best| best.into_iter().next()).collect();
    Ok(TranslateReport::new((part.name(), written), found, most_frequent(data)))
}

/// Pairs that train a translator.
pub(super) struct TranslateLearner {
    data: Dataset,
    written: Written,
    targets: Vec<Vec<u32>>,
    batches: Batches,
    loss: Loss,
    /// The share of symbols that are read as they were written, at the last epoch, and the epochs.
    sampling: (f64, u64),
    vectors: Option<std::path::PathBuf>,
}

/// Targets side by side, `[T, B]`: what each step reads, and what it should write.
struct Sides {
    steps: usize,
    lengths: Vec<usize>,
    read: Vec<u32>,
    write: Vec<u32>,
}

impl Sides {
    fn new(targets: &[&Vec<u32>]) -> Self {
        let lengths: Vec<usize> = targets.iter().map(|target| target.len() + 1).collect();
        let (steps, count) = (lengths.iter().copied().max().unwrap_or(0), targets.len());
        let (mut read, mut write) = (vec![END; steps * count], vec![END; steps * count]);
        for (b, target) in targets.iter().enumerate() {
            for (t, symbol) in target.iter().enumerate() {
                write[t * count + b] = *symbol;
                read[(t + 1) * count + b] = *symbol;
            }
        }
        Self { steps, lengths, read, write }
    }

    fn target(&self) -> Target<'_> {
        Target { steps: self.steps, tokens: &self.read, lengths: &self.lengths }
    }
}

impl TranslateLearner {
    pub(super) fn new(
        data: Dataset,
        (written, targets): (Written, Vec<Vec<u32>>),
        config: &Config,
    ) -> Self {
        let batches = Batches::new(config, data.part(Part::Train));
        let sampling = (config.train.scheduled_sampling.unwrap_or(0.0), config.train.epochs);
        Self { data, written, targets, batches, loss: config.loss, sampling, vectors: None }
    }

    /// The same, beginning with word vectors of a file.
    pub(super) fn with_vectors(self, vectors: Option<std::path::PathBuf>) -> Self {
        Self { vectors, ..self }
    }

    /// Replaces some symbols that the decoder reads by what it writes itself where it is: the targets are
    /// written once, step by step, with a coin for each symbol (Bengio et al. 2015). The share grows evenly
    /// from none in the first epoch.
    fn sample(
        &self,
        model: &mut Seq2Seq<f32>,
        batch: &Batch<'_, f32>,
        sides: &mut Sides,
        (epoch, noise): (u64, Noise),
    ) -> Result<()> {
        let (most, epochs) = self.sampling;
        let share = most * epoch as f64 / epochs.saturating_sub(1).max(1) as f64;
        if share == 0.0 {
            return Ok(());
        }
        let _span = span("scheduled sampling");
        let mut coin = generator(noise.seed, &format!("scheduled sampling {}", noise.step));
        let encoded = model.encode(batch).map_err(refused)?;
        let count = sides.lengths.len();
        let all: Vec<usize> = (0..count).collect();
        let mut state = model.begin(&encoded, &all);
        for t in 0..sides.steps.saturating_sub(1) {
            let read = &sides.read[t * count..][..count];
            let logits = model.step(&encoded, &mut state, read);
            for b in 0..count {
                let heads = coin.random_range(0.0..1.0) < share;
                if heads && t + 1 < sides.lengths[b] {
                    let row = logits.row(b);
                    let best = (0..row.len()).rev().max_by(|x, y| row[*x].total_cmp(&row[*y]));
                    sides.read[(t + 1) * count + b] = best.unwrap_or(0) as u32;
                }
            }
        }
        Ok(())
    }
}

impl Learner for TranslateLearner {
    fn description(&self, config: &Config) -> Description {
        let model = &config.model;
        let below = match self.data.encoder.input() {
            InputKind::Tokens { vocabulary } => {
                let width = model.embedding.unwrap_or(sequences::EMBEDDING);
                let read = Description::tokens(vocabulary).embedding(width);
                stack(config, if model.dropout > 0.0 { read.dropout(model.dropout) } else { read })
            }
            _ => sequences::description(config, &self.data.encoder),
        };
        let widths = below.widths().unwrap_or_default();
        let width = widths.last().copied().unwrap_or(model.hidden);
        let score = match model.attention.unwrap_or(AttentionKind::General) {
            AttentionKind::Dot => Score::Dot,
            AttentionKind::General => Score::General,
            AttentionKind::Additive => Score::Additive { width },
            AttentionKind::MultiHead => Score::MultiHead { heads: super::HEADS },
            AttentionKind::Location => {
                Score::Location { width, filters: FILTERS.0, reach: FILTERS.1 }
            }
        };
        let vocabulary = self.written.symbols.size() + 1;
        let embedding = model.embedding.unwrap_or(sequences::EMBEDDING);
        below.decoder(Decoder {
            layers: model.layers,
            input_feeding: model.input_feeding.unwrap_or(true),
            dropout: model.dropout,
            ..Decoder::new(vocabulary, embedding, model.cell, width).score(score)
        })
    }

    fn begin(&self, model: &mut recurve_nn::Model<f32>) -> Result<()> {
        let Some(path) = &self.vectors else { return Ok(()) };
        sequences::begin_named(model, &self.data.encoder, path, "encoder.0.embedding.weight")
            .map(|_| ())
    }

    fn reader(&self) -> Reader {
        Reader::Sequences(SequenceReader {
            source: self.data.source.clone(),
            encoder: self.data.encoder.clone(),
            answers: Answers::Written(Box::new(self.written.clone())),
        })
    }

    fn batches(&self) -> usize {
        self.batches.count()
    }

    fn rows(&self, _: &Config) -> usize {
        self.batches.rows(&self.data.inputs)
    }

    fn names(&self) -> Names {
        Names { unit: "symbols", members: "pairs", metric: "symbol error rate" }
    }

    fn validates(&self) -> bool {
        !self.data.part(Part::Validation).is_empty()
    }

    fn learn(
        &mut self,
        network: &mut Network<f32>,
        at: Position,
        noise: Noise,
        gradients: &mut [f32],
    ) -> Result<Learned> {
        let (side, mut sides): (Side, Sides) = {
            let _span = span("data");
            let chosen = self.batches.at(at);
            let targets: Vec<&Vec<u32>> = chosen.iter().map(|at| &self.targets[*at]).collect();
            (self.data.inputs.side(&chosen), Sides::new(&targets))
        };
        let (batch, count) = (side.batch(), side.lengths.len());
        let engine = network.engine();
        let width = network.output_width();
        let model = decoding(network)?;
        self.sample(model, &batch, &mut sides, (at.epoch, noise))?;
        let order = model.prepare(count, sides.target()).map_err(refused)?;
        let classes: Vec<u32> =
            order.places().map(|(_, t, b)| sides.write[t * count + b]).collect();
        let (shape, classes) = ((classes.len(), width), Targets::Classes(&classes));
        let mut loss = self.loss.piecewise(engine, shape, classes, None)?;
        let mut judge = |rows, outputs: &mut [f32]| loss.backward(rows, outputs);
        model.learn(&batch, sides.target(), noise, &mut judge, gradients).map_err(refused)?;
        Ok(Learned { loss: loss.value(), units: sides.lengths.iter().sum() })
    }

    /// Written greedily, which is quicker and almost as good.
    fn validate(&mut self, network: &mut Network<f32>) -> Result<Option<f64>> {
        let chosen = self.data.part(Part::Validation);
        if chosen.is_empty() {
            return Ok(None);
        }
        let greedy = Search { beam: 1, ..Search::default() };
        let both = (&self.data, &self.written);
        let (mut wrong, mut count) = (0, 0);
        for (at, said) in chosen.iter().zip(translations(network, both, &chosen, greedy)?) {
            let said = said.first().map_or("", |said| said.predicted.as_str());
            let said: Vec<u32> = self
                .written
                .kind
                .cut(said)
                .iter()
                .map(|symbol| number(&self.written, symbol))
                .collect();
            wrong += edits(&said, &self.targets[*at]);
            count += self.targets[*at].len();
        }
        Ok(Some(wrong as f64 / count.max(1) as f64))
    }

    fn evaluate(&mut self, network: &mut Network<f32>) -> Result<Evaluation> {
        let both = (&self.data, &self.written);
        let part = self.data.held_out();
        Ok(Evaluation::Translate(measure(network, both, part, Search::default())?))
    }
}
