//! Connectionist temporal classification (Graves, Fernández, Gomez, Schmidhuber 2006).
//!
//! A model gives scores of the symbols and of a blank at every frame; the loss is the negative logarithm of the
//! probability of all ways to write the target: each symbol over one or more frames, blanks between, and one at
//! least between two equal symbols. The blank is class 0. Forward and backward sums run in log space in `f64`
//! over the target with blanks around its symbols; the gradient by the scores (before the softmax) is exact,
//! `softmax − posterior`.
//!
//! A target needs [`frames_needed`] frames; shorter sequences have no way to write it, which is found before
//! training, not hidden in the loss.

use super::crf::log_sum;
use std::collections::HashMap;

/// The class of the blank.
pub const BLANK: u32 = 0;

/// Frames that a target needs at least: its symbols, and a blank between equal neighbours.
pub fn frames_needed(target: &[u32]) -> usize {
    target.len() + target.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

/// The negative log-likelihood of a target under `scores [frames, classes]`, which are replaced by its
/// gradient. Infinite, with a gradient of 0, where the frames are too few.
pub fn learn(scores: &mut [f32], classes: usize, target: &[u32]) -> f64 {
    let logs = log_softmax(scores, classes);
    let frames = logs.len() / classes.max(1);
    let states = with_blanks(target);
    let (alpha, beta) = (alpha(&logs, classes, &states), beta(&logs, classes, &states));
    let end = |at: usize| alpha[(frames.max(1) - 1) * states.len() + at];
    let total = match (frames, states.len()) {
        (0, 1) => 0.0,
        (0, _) => f64::NEG_INFINITY,
        (_, 1) => end(0),
        (_, count) => log_sum(&[end(count - 1), end(count - 2)]),
    };
    if total == f64::NEG_INFINITY {
        scores.fill(0.0);
        return f64::INFINITY;
    }
    let mut posterior = vec![f64::NEG_INFINITY; classes];
    for t in 0..frames {
        posterior.fill(f64::NEG_INFINITY);
        for (at, state) in states.iter().enumerate() {
            let both = alpha[t * states.len() + at] + beta[t * states.len() + at];
            let sum = &mut posterior[*state as usize];
            *sum = log_sum(&[*sum, both]);
        }
        for (class, sum) in posterior.iter().enumerate() {
            let place = t * classes + class;
            scores[place] = (logs[place].exp() - (sum - total).exp()) as f32;
        }
    }
    -total
}

/// The target with a blank before, between and after its symbols.
fn with_blanks(target: &[u32]) -> Vec<u32> {
    let mut states = vec![BLANK];
    for symbol in target {
        states.extend([*symbol, BLANK]);
    }
    states
}

/// Whether the blank between a state and the symbol two before it may be left out.
fn may_skip(states: &[u32], at: usize) -> bool {
    at >= 2 && states[at] != BLANK && states[at] != states[at - 2]
}

/// The log-probability of all ways to be in each state at each frame, that frame included.
fn alpha(logs: &[f64], classes: usize, states: &[u32]) -> Vec<f64> {
    let (count, frames) = (states.len(), logs.len() / classes);
    let mut alpha = vec![f64::NEG_INFINITY; count * frames];
    for at in 0..count.min(2).min(count * frames) {
        alpha[at] = logs[states[at] as usize];
    }
    for t in 1..frames {
        for at in 0..count {
            let before = |back: usize| alpha[(t - 1) * count + at - back];
            let mut terms = [before(0), f64::NEG_INFINITY, f64::NEG_INFINITY];
            if at >= 1 {
                terms[1] = before(1);
            }
            if may_skip(states, at) {
                terms[2] = before(2);
            }
            alpha[t * count + at] = log_sum(&terms) + logs[t * classes + states[at] as usize];
        }
    }
    alpha
}

/// The log-probability of all ways from each state at each frame to the end, that frame not included.
fn beta(logs: &[f64], classes: usize, states: &[u32]) -> Vec<f64> {
    let (count, frames) = (states.len(), logs.len() / classes);
    let mut beta = vec![f64::NEG_INFINITY; count * frames];
    if frames == 0 {
        return beta;
    }
    for at in count.saturating_sub(2)..count {
        beta[(frames - 1) * count + at] = 0.0;
    }
    for t in (0..frames - 1).rev() {
        for at in 0..count {
            let after = |on: usize| {
                let to = at + on;
                beta[(t + 1) * count + to] + logs[(t + 1) * classes + states[to] as usize]
            };
            let mut terms = [after(0), f64::NEG_INFINITY, f64::NEG_INFINITY];
            if at + 1 < count {
                terms[1] = after(1);
            }
            if at + 2 < count && may_skip(states, at + 2) {
                terms[2] = after(2);
            }
            beta[t * count + at] = log_sum(&terms);
        }
    }
    beta
}

fn log_softmax(scores: &[f32], classes: usize) -> Vec<f64> {
    let mut logs = Vec::with_capacity(scores.len());
    for row in scores.chunks_exact(classes.max(1)) {
        let row: Vec<f64> = row.iter().map(|score| f64::from(*score)).collect();
        let sum = log_sum(&row);
        logs.extend(row.iter().map(|score| score - sum));
    }
    logs
}

/// The symbols of the most probable class of each frame: repetitions are one, blanks are none.
pub fn greedy(scores: &[f32], classes: usize) -> Vec<u32> {
    let (mut found, mut before) = (vec![], BLANK);
    for row in scores.chunks_exact(classes) {
        let best = (0..classes).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0);
        if best as u32 != BLANK && best as u32 != before {
            found.push(best as u32);
        }
        before = best as u32;
    }
    found
}

/// What is known about a beginning of the text: the log-probabilities of the ways to write it that end in
/// a blank, and in its last symbol.
#[derive(Clone, Copy)]
struct Ways {
    blank: f64,
    symbol: f64,
}

impl Ways {
    const NONE: Self = Self { blank: f64::NEG_INFINITY, symbol: f64::NEG_INFINITY };

    fn all(&self) -> f64 {
        log_sum(&[self.blank, self.symbol])
    }
}

/// The most probable symbols, summed over the ways to write them, of those that keep within the `width` most
/// probable beginnings at every frame (Hannun, Maas, Jurafsky, Ng 2014, without a language model); with their
/// log-probability.
pub fn beam(scores: &[f32], classes: usize, width: usize) -> (Vec<u32>, f64) {
    let logs = log_softmax(scores, classes);
    let mut beams: Vec<(Vec<u32>, Ways)> = vec![(vec![], Ways { blank: 0.0, ..Ways::NONE })];
    for row in logs.chunks_exact(classes) {
        let mut next: HashMap<Vec<u32>, Ways> = HashMap::new();
        for (text, ways) in &beams {
            let all = ways.all();
            let same = next.entry(text.clone()).or_insert(Ways::NONE);
            same.blank = log_sum(&[same.blank, all + row[BLANK as usize]]);
            if let Some(last) = text.last() {
                let again = ways.symbol + row[*last as usize];
                same.symbol = log_sum(&[same.symbol, again]);
            }
            for (symbol, log) in row.iter().enumerate().skip(1) {
                // An equal neighbour needs a blank between.
                let from = if text.last() == Some(&(symbol as u32)) { ways.blank } else { all };
                if from == f64::NEG_INFINITY {
                    continue;
                }
                let mut longer = text.clone();
                longer.push(symbol as u32);
                let longer = next.entry(longer).or_insert(Ways::NONE);
                longer.symbol = log_sum(&[longer.symbol, from + log]);
            }
        }
        beams = next.into_iter().collect();
        // Equals in the order of their symbols, since that of a map is none.
        beams.sort_by(|a, b| b.1.all().total_cmp(&a.1.all()).then_with(|| a.0.cmp(&b.0)));
        beams.truncate(width.max(1));
    }
    let (text, ways) = beams.swap_remove(0);
    (text, ways.all())
}

/// The frames at which each symbol of a text begins and ends (the last one included) on the most probable
/// way to write it; none where there is no way.
pub fn align(scores: &[f32], classes: usize, text: &[u32]) -> Option<Vec<(usize, usize)>> {
    let logs = log_softmax(scores, classes);
    let (states, frames) = (with_blanks(text), logs.len() / classes.max(1));
    let count = states.len();
    if frames < frames_needed(text) || frames == 0 {
        return None;
    }
    let mut best = vec![f64::NEG_INFINITY; count];
    for at in 0..count.min(2) {
        best[at] = logs[states[at] as usize];
    }
    let mut came = vec![0_usize; count];
    for t in 1..frames {
        let mut next = vec![f64::NEG_INFINITY; count];
        for at in 0..count {
            let reach = if may_skip(&states, at) { 2 } else { usize::from(at > 0) };
            let back = (0..=reach).rev().max_by(|a, b| best[at - a].total_cmp(&best[at - b]));
            let back = back.unwrap_or(0);
            next[at] = best[at - back] + logs[t * classes + states[at] as usize];
            came.push(at - back);
        }
        best = next;
    }
    let ends = count.saturating_sub(2)..count;
    let mut at = ends.max_by(|a, b| best[*a].total_cmp(&best[*b]))?;
    let mut spans = vec![(usize::MAX, 0); text.len()];
    for t in (0..frames).rev() {
        if at % 2 == 1 {
            let span = &mut spans[at / 2];
            *span = (t, if span.0 == usize::MAX { t } else { span.1 });
        }
        at = came[t * count + at];
    }
    Some(spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text that a way of classes stands for.
    fn collapse(way: &[u32]) -> Vec<u32> {
        let mut before = BLANK;
        let mut text = vec![];
        for class in way {
            if *class != BLANK && *class != before {
                text.push(*class);
            }
            before = *class;
        }
        text
    }

    /// The probability of every text, by counting all ways.
    fn by_counting(scores: &[f32], classes: usize) -> HashMap<Vec<u32>, f64> {
        let logs = log_softmax(scores, classes);
        let frames = logs.len() / classes;
        let mut found: HashMap<Vec<u32>, f64> = HashMap::new();
        for n in 0..classes.pow(frames as u32) {
            let way: Vec<u32> =
                (0..frames).map(|t| (n / classes.pow(t as u32) % classes) as u32).collect();
            let log: f64 =
                way.iter().enumerate().map(|(t, c)| logs[t * classes + *c as usize]).sum();
            *found.entry(collapse(&way)).or_default() += log.exp();
        }
        found
    }

    proptest! {
        #[test]
        fn loss_gradient_and_beam_are_those_of_counting_all_ways(
            frames in 1..6_usize,
            numbers in prop::collection::vec(-3.0_f32..3.0, 18),
            target in prop::collection::vec(1..3_u32, 0..4),
        ) {
            let scores = &numbers[..3 * frames];
            let all = by_counting(scores, 3);
            let mut gradient = scores.to_vec();
            let loss = learn(&mut gradient, 3, &target);
            match all.get(&target) {
                Some(p) => prop_assert!((loss + p.ln()).abs() < 1e-9, "{loss} {}", -p.ln()),
                None => prop_assert!(loss == f64::INFINITY && frames < frames_needed(&target)),
            }
            prop_assert_eq!(loss.is_finite(), frames >= frames_needed(&target));
            let (text, log) = beam(scores, 3, 1000);
            let best = all.values().copied().fold(0.0, f64::max);
            prop_assert!((log.exp() - best).abs() < 1e-9, "{text:?}");
            prop_assert!((all[&text] - best).abs() < 1e-9);
            if !loss.is_finite() {
                prop_assert!(align(scores, 3, &target).is_none());
                return Ok(());
            }
            let distance = 1.0 / 256.0_f32;
            for at in 0..scores.len() {
                let at_distance = |d: f32| {
                    let mut moved = scores.to_vec();
                    moved[at] += d;
                    learn(&mut moved, 3, &target)
                };
                let slope = at_distance(distance) - at_distance(-distance);
                let slope = slope / (2.0 * f64::from(distance));
                prop_assert!((slope - f64::from(gradient[at])).abs() < 1e-4);
            }
            let spans = align(scores, 3, &target).unwrap();
            let mut last = None;
            for (first, end) in spans {
                prop_assert!(first <= end && end < frames && last.is_none_or(|last| first > last));
                last = Some(end);
            }
        }
    }

    #[test]
    fn losses_and_gradients_are_those_of_pytorch() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden/ctc.json");
        let text = std::fs::read_to_string(path).unwrap();
        let cases: serde_json::Value = serde_json::from_str(&text).unwrap();
        let numbers = |value: &serde_json::Value| -> Vec<f64> {
            value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect()
        };
        let cases = cases.as_array().unwrap();
        assert_eq!(cases.len(), 5);
        for case in cases {
            let classes = case["classes"].as_u64().unwrap() as usize;
            let target: Vec<u32> = numbers(&case["target"]).iter().map(|n| *n as u32).collect();
            let mut scores: Vec<f32> = numbers(&case["scores"]).iter().map(|n| *n as f32).collect();
            let loss = learn(&mut scores, classes, &target);
            let expected = case["loss"].as_f64().unwrap();
            assert!((loss - expected).abs() < 1e-9 * expected.abs().max(1.0), "{}", case["name"]);
            for (found, expected) in scores.iter().zip(numbers(&case["gradient"])) {
                assert!((f64::from(*found) - expected).abs() < 1e-7, "{}", case["name"]);
            }
        }
    }

    #[test]
    fn greedy_joins_repetitions_and_drops_blanks() {
        let frames = [1, 1, 0, 1, 2, 2, 0];
        let scores: Vec<f32> = frames
            .iter()
            .flat_map(|c| (0..3).map(move |k| if k == *c { 5.0 } else { 0.0 }))
            .collect();
        assert_eq!(greedy(&scores, 3), [1, 1, 2]);
        assert_eq!(beam(&scores, 3, 8).0, [1, 1, 2]);
        assert_eq!(align(&scores, 3, &[1, 1, 2]).unwrap(), [(0, 1), (3, 3), (4, 5)]);
        assert_eq!(frames_needed(&[1, 1, 2, 2, 2]), 8);
    }

    #[test]
    fn the_most_probable_frames_need_not_be_the_most_probable_text() {
        // Blank .6 at both frames: the best way is empty with .36, the text `a` has .64.
        let scores = [0.6_f32.ln(), 0.4_f32.ln(), 0.6_f32.ln(), 0.4_f32.ln()];
        assert!(greedy(&scores, 2).is_empty());
        assert_eq!(beam(&scores, 2, 2).0, [1]);
    }
}
