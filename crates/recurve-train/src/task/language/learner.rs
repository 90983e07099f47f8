//! Language models: the next token at every step, with the state carried through the text.

use super::report::LanguageReport;
use crate::baseline::{ADDED_COUNT, bigram, unigram};
use crate::config::Config;
use crate::data::{Lanes, Part, Position, Text, Vocabulary, VocabularyKind};
use crate::error::{Error, Result};
use crate::loss::{IGNORE, Loss, Targets};
use crate::task::{Evaluation, Learned, Learner, Names, Reader, refused, stack};
use recurve_nn::profile::span;
use recurve_nn::{Batch, Description, Input, Network, Noise, State};

/// Lanes in which a text is measured, at most.
const LANES: usize = 16;
/// Tokens read before the first that counts, where the text has them: enough to fill the state.
pub(super) const WARM_UP: usize = 256;
/// Steps that go through the model at once where no gradient is needed.
const AT_ONCE: usize = 128;

/// Gives the mean cross-entropy in nats of the tokens of a text from one on, and their number.
pub(super) type Entropy<'a> = dyn FnMut(&[u32], usize) -> Result<(f64, u64)> + 'a;

/// A text that trains a model.
pub(crate) struct LanguageLearner {
    text: Text,
    loss: Loss,
    batch: usize,
    steps: usize,
    state: State<f32>,
}

impl LanguageLearner {
    /// A text that trains by a configuration.
    pub(crate) fn new(text: Text, config: &Config) -> Result<Self> {
        let steps = config.train.steps.unwrap_or(1);
        Lanes::new(text.train(), config.train.batch, steps)
            .map_err(|error| error.context("the training part"))?;
        let mut learner = Self {
            text,
            loss: config.loss,
            batch: config.train.batch,
            steps,
            state: State::zero(&Description::tokens(1), 0),
        };
        learner.state = State::zero(&learner.description(config), learner.batch);
        Ok(learner)
    }

    fn lanes(&self) -> Result<Lanes<'_>> {
        Lanes::new(self.text.train(), self.batch, self.steps)
    }
}

impl Learner for LanguageLearner {
    fn description(&self, config: &Config) -> Description {
        let vocabulary = self.text.vocabulary().size();
        let model = &config.model;
        let (width, dropout) = (model.embedding.unwrap_or(1), model.embedding_dropout);
        let below =
            Description::tokens(vocabulary).embedding_dropped(width, dropout.unwrap_or(0.0));
        let below = stack(config, below);
        if model.tied == Some(true) { below.tied() } else { below.linear(vocabulary) }
    }

    fn reader(&self) -> Reader {
        Reader::Text(self.text.vocabulary().clone())
    }

    fn batches(&self) -> usize {
        self.lanes().map_or(0, |lanes| lanes.batches())
    }

    fn rows(&self, config: &Config) -> usize {
        config.train.batch * self.steps
    }

    fn names(&self) -> Names {
        let (unit, metric) = match self.text.vocabulary().kind() {
            VocabularyKind::Characters => ("characters", "nats per character"),
            VocabularyKind::Bytes => ("bytes", "nats per byte"),
            VocabularyKind::Words => ("words", "nats per word"),
            VocabularyKind::Subwords => ("subwords", "nats per subword"),
        };
        Names { unit, members: "lanes", metric }
    }

    fn validates(&self) -> bool {
        !self.text.validation().is_empty()
    }

    fn carried(&mut self) -> Option<&mut State<f32>> {
        Some(&mut self.state)
    }

    fn learn(
        &mut self,
        network: &mut Network<f32>,
        at: Position,
        noise: Noise,
        gradients: &mut [f32],
    ) -> Result<Learned> {
        if at.batch == 0 {
            self.state = State::zero(network.description(), self.batch);
        }
        // A few thousand tokens are copied in less time than a thread takes to hand them over.
        let tokens = {
            let _span = span("data");
            self.lanes()?.batch(at.batch as usize)
        };
        let batch = Batch::new(tokens.steps, self.batch, Input::Tokens(&tokens.x));
        let (shape, targets) =
            ((tokens.y.len(), network.output_width()), Targets::Classes(&tokens.y));
        let mut loss = self.loss.piecewise(network.engine(), shape, targets, None)?;
        let mut judge = |rows, outputs: &mut [f32]| loss.backward(rows, outputs);
        network
            .learn(&batch, Some(&mut self.state), noise, &mut judge, gradients)
            .map_err(refused)?;
        Ok(Learned { loss: loss.value(), units: tokens.x.len() })
    }

    fn validate(&mut self, network: &mut Network<f32>) -> Result<Option<f64>> {
        if self.text.validation().is_empty() {
            return Ok(None);
        }
        let (tokens, first) = upto(&self.text, Part::Validation);
        let (nats, _) = cross_entropy(network, tokens, first)?;
        Ok(Some(nats))
    }

    fn evaluate(&mut self, network: &mut Network<f32>) -> Result<Evaluation> {
        let part = held_out(&self.text);
        let mut entropy = |tokens: &[u32], first| cross_entropy(network, tokens, first);
        Ok(Evaluation::Language(evaluate(&self.text, part, &mut entropy)?))
    }
}

/// The part that measures a model.
pub(in crate::task) fn held_out(text: &Text) -> Part {
    match (text.test().is_empty(), text.validation().is_empty()) {
        (false, _) => Part::Test,
        (_, false) => Part::Validation,
        _ => Part::Train,
    }
}

/// The tokens up to the end of a part, and its first that is predicted.
fn upto(text: &Text, part: Part) -> (&[u32], usize) {
    let (trained, tested) = (text.train().len(), text.test().len());
    let all = text.tokens();
    match part {
        Part::Train => (text.train(), 1),
        Part::Validation => (&all[..all.len() - tested], trained),
        Part::Test => (all, all.len() - tested),
        Part::All => (all, 1),
    }
}

/// Measures a model on a part of the text that trained it.
pub(super) fn evaluate(
    text: &Text,
    part: Part,
    entropy: &mut Entropy<'_>,
) -> Result<LanguageReport> {
    let size = text.vocabulary().size();
    let key = match part {
        Part::Validation if text.validation().is_empty() => Some("data.validation"),
        Part::Test if text.test().is_empty() => Some("data.test"),
        _ => None,
    };
    if let Some(key) = key {
        let name = part.name();
        return Err(Error::usage(format!(
            "the model was trained without a {name} part ({key} = 0); measure it on another part, all of \
             its text or another"
        )));
    }
    let (tokens, first) = upto(text, part);
    let measured = entropy(tokens, first)?;
    // Counts of the training part say nothing about a text that holds it.
    let baselines = match part {
        Part::All => (None, None),
        _ => (
            unigram(text.train(), &tokens[first..], size, ADDED_COUNT),
            bigram(text.train(), &tokens[first - 1..], size, ADDED_COUNT),
        ),
    };
    let characters = characters(text.vocabulary(), &tokens[first..]);
    let unit = (part.name(), text.vocabulary().unit());
    Ok(LanguageReport::new(unit, (measured.0, measured.1, characters), baselines))
}

/// The characters that tokens stand for.
pub(super) fn characters(vocabulary: &Vocabulary, tokens: &[u32]) -> u64 {
    match vocabulary.kind() {
        VocabularyKind::Characters => tokens.len() as u64,
        _ => vocabulary.decode(tokens).chars().count() as u64,
    }
}

/// The mean cross-entropy in nats of `tokens[first..]`, every token once, each after all that stand
/// before it, and their number.
///
/// Long texts are read in up to 16 lanes side by side, each with its state carried to its end. A lane
/// begins 256 tokens early with a zero state; what it says about those is not counted.
pub(super) fn cross_entropy(
    network: &mut Network<f32>,
    tokens: &[u32],
    first: usize,
) -> Result<(f64, u64)> {
    let first = first.max(1);
    let count = tokens.len().saturating_sub(first);
    if count == 0 {
        return Err(Error::usage("the text has no token to predict; give at least two"));
    }
    let lanes = (count / (4 * WARM_UP)).clamp(1, LANES);
    let each = count.div_ceil(lanes);
    // Of each lane: where it starts to read, where to count, where it ends.
    let spans: Vec<(usize, usize, usize)> = (0..lanes)
        .map(|lane| {
            let start = (first + lane * each).min(tokens.len());
            let end = (start + each).min(tokens.len());
            (start.saturating_sub(1 + WARM_UP), start, end)
        })
        .collect();
    let lengths = spans.iter().map(|(read, _, end)| end - read - 1);
    let lengths: Vec<usize> = lengths.collect();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let loss = Loss::CrossEntropy { label_smoothing: 0.0 };
    let width = network.output_width();
    let mut state = State::zero(network.description(), lanes);
    let (mut sum, mut counted, mut classes) = (0.0, 0.0, Vec::new());
    for from in (0..longest).step_by(AT_ONCE) {
        let steps = AT_ONCE.min(longest - from);
        let (mut x, mut y) = (vec![0; steps * lanes], vec![IGNORE; steps * lanes]);
        let mut now = vec![0; lanes];
        for (lane, &(read, start, _)) in spans.iter().enumerate() {
            now[lane] = lengths[lane].saturating_sub(from).min(steps);
            for step in 0..now[lane] {
                let at = read + from + step;
                x[step * lanes + lane] = tokens[at];
                if at + 1 >= start {
                    y[step * lanes + lane] = tokens[at + 1];
                }
            }
        }
        let batch = Batch::new(steps, lanes, Input::Tokens(&x)).lengths(&now);
        network.prepare(&batch).map_err(refused)?.gather(&y, &mut classes);
        let shape = (classes.len(), width);
        let targets = Targets::Classes(&classes);
        let mut loss = loss.piecewise::<f32>(network.engine(), shape, targets, None)?;
        let mut judge = |rows, outputs: &mut [f32]| loss.forward(rows, outputs);
        network.visit(&batch, Some(&mut state), &mut judge).map_err(refused)?;
        let value = loss.value();
        sum += value.mean * value.count;
        counted += value.count;
    }
    Ok((sum / counted, counted as u64))
}
