//! How well blanks of a text are filled, beside counting.

use super::report::{FillReport, Guess, NaiveFill};
use crate::baseline::ADDED_COUNT;
use crate::data::{Part, Text};
use crate::error::{Error, Result};
use crate::initialise::generator;
use crate::task::{refused, softmax};
use rand::RngExt;
use recurve_nn::{Batch, Input, Mode, Network};
use std::collections::HashMap;

/// Tokens of a piece that is read at once, and such pieces side by side.
const PIECE: usize = 256;
const LANES: usize = 8;

/// Measures a model on a part of a text, of which a share is hidden: always the same tokens.
pub(super) fn measure(
    network: &mut Network<f32>,
    text: &Text,
    part: Part,
    mask: f64,
) -> Result<FillReport> {
    let tokens = match part {
        Part::Train => text.train(),
        Part::Validation => text.validation(),
        Part::Test => text.test(),
        Part::All => text.tokens(),
    };
    if tokens.is_empty() {
        let key = if part == Part::Test { "data.test" } else { "data.validation" };
        return Err(Error::usage(format!(
            "the model was trained without a {} part ({key} = 0); measure it on another part or another text",
            part.name()
        )));
    }
    let mut rng = generator(0, "blanks to measure by");
    let mut hidden: Vec<bool> = tokens.iter().map(|_| rng.random_range(0.0..1.0) < mask).collect();
    if !hidden.contains(&true) {
        hidden[tokens.len() / 2] = true;
    }
    let vocabulary = text.vocabulary();
    let mut guesses = vec![];
    for first in (0..tokens.len()).step_by(PIECE * LANES) {
        let end = (first + PIECE * LANES).min(tokens.len());
        guesses.extend(guess(network, (&tokens[..end], &hidden), first, vocabulary.size())?);
    }
    // Pieces stand side by side, their guesses in turns.
    guesses.sort_by_key(|guess| guess.0);
    // Counts of the training part say nothing about a text that holds it.
    let counts = (part != Part::All).then(|| Counts::of(text.train(), vocabulary.size()));
    let naive = |after: bool| {
        let counts = counts.as_ref()?;
        let of = |(at, ..): &(usize, u32, f64, u32)| {
            let seen = after && *at > 0 && !hidden[at - 1];
            counts.guess(seen.then(|| tokens[at - 1]), tokens[*at])
        };
        Some(NaiveFill::of(guesses.iter().map(of)))
    };
    let baselines = [naive(false), naive(true)];
    let told = |(at, said, probability, actual): &(usize, u32, f64, u32)| Guess {
        index: at + 1,
        actual: vocabulary.decode(&[*actual]),
        predicted: vocabulary.decode(&[*said]),
        nats: -probability.max(f64::MIN_POSITIVE).ln(),
    };
    let guesses = guesses.iter().map(told).collect();
    Ok(FillReport::new((part.name(), vocabulary.unit()), tokens.len(), guesses, baselines))
}

/// Of each hidden token from `first` on: its place, the likeliest token, the probability of the one that is
/// right, and that.
fn guess(
    network: &mut Network<f32>,
    (tokens, hidden): (&[u32], &[bool]),
    first: usize,
    size: usize,
) -> Result<Vec<(usize, u32, f64, u32)>> {
    let lanes = (tokens.len() - first).div_ceil(PIECE);
    let steps = PIECE.min(tokens.len() - first);
    let start = |lane: usize| first + lane * PIECE;
    let lengths: Vec<usize> =
        (0..lanes).map(|lane| (tokens.len() - start(lane)).min(PIECE)).collect();
    let mut x = vec![0; steps * lanes];
    for (lane, length) in lengths.iter().enumerate() {
        for step in 0..*length {
            let at = start(lane) + step;
            x[step * lanes + lane] = if hidden[at] { size as u32 } else { tokens[at] };
        }
    }
    let batch = Batch::new(steps, lanes, Input::Tokens(&x)).lengths(&lengths);
    let width = network.output_width();
    let outputs = network.forward(&batch, None, Mode::Infer).map_err(refused)?.to_vec();
    let mut found = vec![];
    for (row, step, lane) in network.order().places() {
        let at = start(lane) + step;
        if !hidden[at] {
            continue;
        }
        let probabilities = answers(&outputs[row * width..][..width])?;
        let actual = tokens[at];
        found.push((at, likeliest(&probabilities), probabilities[actual as usize], actual));
    }
    Ok(found)
}

/// The probability of each token to stand in a blank; the last output is the blank itself, which is no answer.
pub(super) fn answers(outputs: &[f32]) -> Result<Vec<f64>> {
    if outputs.iter().all(|output| output.is_finite()) {
        return Ok(softmax(&outputs[..outputs.len() - 1]));
    }
    Err(Error::failed(
        "the model gives outputs that are no numbers; train it again with a smaller learning rate",
    ))
}

fn likeliest(probabilities: &[f64]) -> u32 {
    let best = |a: &(usize, &f64), b: &(usize, &f64)| a.1.total_cmp(b.1).then(b.0.cmp(&a.0));
    probabilities.iter().enumerate().max_by(best).map_or(0, |(token, _)| token as u32)
}

/// How often tokens stand in a text, and after each other.
struct Counts {
    each: Vec<f64>,
    pairs: HashMap<(u32, u32), f64>,
    /// The most frequent token, and the most frequent one after each.
    best: u32,
    next: HashMap<u32, (u32, f64)>,
    total: f64,
}

impl Counts {
    fn of(tokens: &[u32], size: usize) -> Self {
        let mut each = vec![0.0; size];
        tokens.iter().for_each(|token| each[*token as usize] += 1.0);
        let mut pairs: HashMap<(u32, u32), f64> = HashMap::new();
        tokens.windows(2).for_each(|pair| *pairs.entry((pair[0], pair[1])).or_default() += 1.0);
        let mut next: HashMap<u32, (u32, f64)> = HashMap::new();
        for ((before, token), count) in &pairs {
            let best = next.entry(*before).or_insert((*token, *count));
            if *count > best.1 || *count == best.1 && *token < best.0 {
                *best = (*token, *count);
            }
        }
        let best = likeliest(&each);
        Self { total: tokens.len() as f64, each, pairs, best, next }
    }

    /// The cross-entropy of a token, after another where that is seen, and whether it is what counts guess.
    fn guess(&self, before: Option<u32>, token: u32) -> (f64, bool) {
        let added = ADDED_COUNT * self.each.len() as f64;
        let (count, of, best) = match before {
            None => (self.each[token as usize], self.total, self.best),
            Some(before) => (
                self.pairs.get(&(before, token)).copied().unwrap_or(0.0),
                self.each[before as usize],
                self.next.get(&before).map_or(self.best, |(token, _)| *token),
            ),
        };
        (-((count + ADDED_COUNT) / (of + added)).ln(), best == token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_hand() {
        // a b a c a: a three times; after a: b and c once each, and the end.
        let counts = Counts::of(&[0, 1, 0, 2, 0], 3);
        let added = 3.0 * ADDED_COUNT;
        let near = |found: (f64, bool), share: f64, right: bool| {
            assert!((found.0 + share.ln()).abs() < 1e-12 && found.1 == right, "{found:?} {share}");
        };
        near(counts.guess(None, 0), (3.0 + ADDED_COUNT) / (5.0 + added), true);
        near(counts.guess(None, 1), (1.0 + ADDED_COUNT) / (5.0 + added), false);
        near(counts.guess(Some(0), 1), (1.0 + ADDED_COUNT) / (3.0 + added), true);
        near(counts.guess(Some(0), 2), (1.0 + ADDED_COUNT) / (3.0 + added), false);
        near(counts.guess(Some(1), 0), (1.0 + ADDED_COUNT) / (1.0 + added), true);
    }
}
