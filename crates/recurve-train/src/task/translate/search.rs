//! Beam search: the targets that a decoder thinks most probable.
//!
//! Several sources are searched side by side; a hypothesis is a row of the decoder. At every step each source
//! keeps its best beginnings; one that ends is set aside. Ended ones are compared by their log-probability over
//! their number of symbols (end included) to a power, so that short ones are not preferred only because they
//! are short (Wu et al. 2016, with the plain length). A source is done when as many have ended as beginnings
//! are kept, or none is left. Equal scores are decided by the order of symbols, so a result never depends on
//! what stands beside it.

use crate::error::{Error, Result};
use recurve_nn::seq2seq::{Encoded, Seq2Seq};
use serde::Serialize;

/// The symbol before the first and after the last.
pub(super) const END: u32 = 0;
/// The symbol of all that the training part did not know; it is never written.
pub(super) const UNKNOWN: u32 = 1;

/// How targets are searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Beginnings that are kept; 1 always takes the likeliest symbol.
    pub beam: usize,
    /// Targets given for each source, at most the beam.
    pub best: usize,
    /// The power of the length that a log-probability is divided by; 0 prefers short targets.
    pub length_power: f64,
}

impl Default for Search {
    fn default() -> Self {
        Self { beam: 5, best: 1, length_power: 1.0 }
    }
}

/// A beginning that a search kept, or a target that ended, in the tree of all of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Branch {
    /// The branch that it goes on from, by its place in the list; none at the first symbol.
    pub from: Option<usize>,
    /// Its last symbol; empty at the end of a target.
    pub symbol: String,
    /// The log-probability of all of it.
    pub log_probability: f64,
    /// Whether the target ends with it.
    pub ends: bool,
}

/// The same before its symbol has a name.
pub(super) struct Kept {
    pub(super) from: Option<usize>,
    pub(super) symbol: u32,
    pub(super) log_probability: f64,
    pub(super) ends: bool,
}

/// A target that was written.
#[derive(Clone, Debug)]
pub(super) struct Hypothesis {
    /// Where it stands in the tree.
    node: Option<usize>,
    /// Its symbols, without the end.
    pub(super) symbols: Vec<u32>,
    pub(super) log_probability: f64,
    /// What each symbol and the end looked at: the mean over heads of a weight for each step of the source.
    pub(super) attention: Vec<Vec<f32>>,
}

impl Hypothesis {
    fn score(&self, power: f64) -> f64 {
        self.log_probability / ((self.symbols.len() + 1) as f64).powf(power)
    }
}

/// A way to go on: the row that it goes on from, the symbol, and the log-probability then.
type Next = (usize, u32, f64);

/// The best targets of every source, the best first; none longer than `limit` symbols.
pub(super) fn search(
    model: &mut Seq2Seq<f32>,
    encoded: &Encoded<f32>,
    search: Search,
    limit: usize,
) -> Result<Vec<Vec<Hypothesis>>> {
    grown(model, encoded, search, limit, &mut vec![])
}

/// The same; all that was kept on the way goes into `tree`.
pub(super) fn grown(
    model: &mut Seq2Seq<f32>,
    encoded: &Encoded<f32>,
    search: Search,
    limit: usize,
    tree: &mut Vec<Kept>,
) -> Result<Vec<Vec<Hypothesis>>> {
    let beam = search.beam.max(1);
    let mut done: Vec<Vec<Hypothesis>> = vec![vec![]; encoded.sources()];
    let sources: Vec<usize> = (0..encoded.sources()).collect();
    let mut state = model.begin(encoded, &sources);
    let nothing =
        Hypothesis { node: None, symbols: vec![], log_probability: 0.0, attention: vec![] };
    let mut live: Vec<Hypothesis> = vec![nothing; sources.len()];
    for step in 0..=limit {
        if live.is_empty() {
            break;
        }
        let read: Vec<u32> =
            live.iter().map(|own| own.symbols.last().copied().unwrap_or(END)).collect();
        let logits = model.step(encoded, &mut state, &read);
        let rows: Vec<Vec<f64>> =
            (0..live.len()).map(|row| log_softmax(logits.row(row))).collect::<Result<_>>()?;
        let mut kept: Vec<Next> = vec![];
        let mut first = 0;
        while first < live.len() {
            let source = state.source(first);
            let count = (first..live.len()).take_while(|row| state.source(*row) == source).count();
            let ended = &mut done[source];
            let mut room = beam - ended.len();
            for (row, symbol, sum) in best(&rows, &live, first..first + count, beam) {
                let over = symbol == END || step == limit;
                if room == 0 {
                    break;
                }
                if !over {
                    kept.push((row, symbol, sum));
                } else if ended.len() < beam {
                    let mut own = live[row].clone();
                    own.attention.push(mean_of_heads(state.attention(row), encoded.steps(source)));
                    if symbol != END {
                        own.symbols.push(symbol);
                    }
                    own.log_probability = sum;
                    let from = own.node;
                    tree.push(Kept { from, symbol, log_probability: sum, ends: true });
                    ended.push(own);
                }
                room -= 1;
            }
            if done[source].len() >= beam {
                kept.retain(|next| state.source(next.0) != source);
            }
            first += count;
        }
        live = kept
            .iter()
            .map(|(row, symbol, sum)| {
                let mut own = live[*row].clone();
                let steps = encoded.steps(state.source(*row));
                own.attention.push(mean_of_heads(state.attention(*row), steps));
                own.symbols.push(*symbol);
                own.log_probability = *sum;
                let (from, symbol) = (own.node, *symbol);
                own.node = Some(tree.len());
                tree.push(Kept { from, symbol, log_probability: *sum, ends: false });
                own
            })
            .collect();
        let rows: Vec<usize> = kept.iter().map(|next| next.0).collect();
        state = state.select(&rows);
    }
    for own in &mut done {
        own.sort_by(|a, b| {
            let scores = b.score(search.length_power).total_cmp(&a.score(search.length_power));
            scores.then_with(|| a.symbols.cmp(&b.symbols))
        });
        own.truncate(search.best.clamp(1, beam));
    }
    Ok(done)
}

/// The best ways to go on from some rows.
fn best(
    rows: &[Vec<f64>],
    live: &[Hypothesis],
    which: std::ops::Range<usize>,
    beam: usize,
) -> Vec<Next> {
    let mut all: Vec<Next> = vec![];
    let order = |a: &Next, b: &Next| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1)));
    for row in which {
        let symbols =
            rows[row].iter().enumerate().filter(|(symbol, _)| *symbol != UNKNOWN as usize);
        all.extend(
            symbols.map(|(symbol, own)| (row, symbol as u32, live[row].log_probability + own)),
        );
        if all.len() > beam {
            all.select_nth_unstable_by(beam - 1, order);
            all.truncate(beam);
        }
    }
    all.sort_by(order);
    all
}

fn mean_of_heads(weights: &[f32], steps: usize) -> Vec<f32> {
    let heads = (weights.len() / steps.max(1)).max(1);
    let mut mean = vec![0.0; steps];
    for own in weights.chunks_exact(steps.max(1)) {
        mean.iter_mut().zip(own).for_each(|(mean, weight)| *mean += weight / heads as f32);
    }
    mean
}

fn log_softmax(logits: &[f32]) -> Result<Vec<f64>> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !greatest.is_finite() || logits.iter().any(|logit| logit.is_nan()) {
        return Err(Error::failed(
            "the model gives outputs that are no numbers; train it with a smaller learning rate",
        ));
    }
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - greatest).exp()).sum();
    Ok(logits.iter().map(|logit| f64::from(logit - greatest) - sum.ln()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use recurve_nn::seq2seq::{Decoder, Seq2SeqDescription};
    use recurve_nn::{Batch, CellKind, Description, Engine, Entries, Input, Recurrent};

    fn model() -> Seq2Seq<f32> {
        let encoder = Description::values(2).recurrent(Recurrent::new(CellKind::Gru, 3));
        let decoder = Decoder::new(5, 2, CellKind::Lstm, 3);
        let description = Seq2SeqDescription { encoder, decoder };
        let count = Entries::of_seq2seq(&description).unwrap().len();
        let weights: Vec<f32> =
            (0..count).map(|at| ((at * 37 % 101) as f32 / 40.0) - 1.2).collect();
        let mut model = Seq2Seq::new(&description, Engine::detect().unwrap()).unwrap();
        model.load(&weights);
        model
    }

    /// The log-probability of a target by itself.
    fn told(
        model: &mut Seq2Seq<f32>,
        encoded: &Encoded<f32>,
        source: usize,
        symbols: &[u32],
    ) -> f64 {
        let mut state = model.begin(encoded, &[source]);
        let (mut sum, mut read) = (0.0, END);
        for symbol in symbols.iter().chain([&END]) {
            let row = log_softmax(model.step(encoded, &mut state, &[read]).row(0)).unwrap();
            sum += row[*symbol as usize];
            read = *symbol;
        }
        sum
    }

    #[test]
    fn a_wide_beam_finds_the_best_of_all_targets() {
        let mut model = model();
        let x: Vec<f32> = (0..12).map(|at| (at as f32 * 0.7).sin()).collect();
        let batch = Batch::new(3, 2, Input::Values(&x)).lengths(&[3, 2]);
        let encoded = model.encode(&batch).unwrap();
        let mut all: Vec<Vec<u32>> = vec![vec![]];
        let mut grown = all.clone();
        for _ in 0..3 {
            grown = grown
                .iter()
                .flat_map(|own| [2, 3, 4].map(|next| [&own[..], &[next]].concat()))
                .collect();
            all.extend(grown.clone());
        }
        let wide = Search { beam: 200, best: 3, length_power: 0.0 };
        // No room for a fourth symbol: targets of three may also be cut off there.
        let found = search(&mut model, &encoded, wide, 9).unwrap();
        for (source, found) in found.iter().enumerate() {
            let best = all
                .iter()
                .map(|symbols| told(&mut model, &encoded, source, symbols))
                .fold(f64::NEG_INFINITY, f64::max);
            let first = &found[0];
            assert_eq!(found.len(), 3);
            let own = told(&mut model, &encoded, source, &first.symbols);
            assert!((own - first.log_probability).abs() < 1e-6);
            assert!(first.log_probability >= best - 1e-6, "{first:?} {best}");
            assert_eq!(first.attention.len(), first.symbols.len() + 1);
            let weights: f32 = first.attention[0].iter().sum();
            assert!((weights - 1.0).abs() < 1e-5);
            assert!(found.windows(2).all(|w| w[0].log_probability >= w[1].log_probability));
        }
    }

    #[test]
    fn neighbours_change_nothing_and_the_limit_holds() {
        let mut model = model();
        let x: Vec<f32> = (0..12).map(|at| (at as f32 * 0.7).sin()).collect();
        let batch = Batch::new(3, 2, Input::Values(&x)).lengths(&[3, 2]);
        let encoded = model.encode(&batch).unwrap();
        let narrow = Search { beam: 2, best: 2, length_power: 1.0 };
        let found = search(&mut model, &encoded, narrow, 4).unwrap();
        let own: Vec<f32> = (0..3).flat_map(|t| x[t * 4..t * 4 + 2].to_vec()).collect();
        let encoded = model.encode(&Batch::new(3, 1, Input::Values(&own))).unwrap();
        let alone = search(&mut model, &encoded, narrow, 4).unwrap();
        for (one, other) in found[0].iter().zip(&alone[0]) {
            assert_eq!(one.symbols, other.symbols);
            assert_eq!(one.log_probability.to_bits(), other.log_probability.to_bits());
            assert_eq!(one.attention, other.attention);
        }
        for limit in 0..3 {
            let found = search(&mut model, &encoded, narrow, limit).unwrap();
            assert!(found[0].iter().all(|own| own.symbols.len() <= limit + 1));
            assert!(found[0].iter().all(|own| !own.symbols.contains(&UNKNOWN)));
        }
    }
}
