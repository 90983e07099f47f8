//! A conditional random field over the labels of a sequence (Lafferty, McCallum, Pereira 2001).
//!
//! The score of labels `y` is the sum of their emissions `e[t, y_t]` and of their transitions: from the
//! beginning, from label to label, to the end. The loss is `ln Z − score(y)`, where `Z` sums `exp(score)` over
//! all sequences of labels; forward and backward sums run in log space in `f64`, and the gradient is exact:
//! the probability of each label at each step, and of each pair, less what is right. The most probable labels
//! come from Viterbi's algorithm (1967).

/// The scores of one label after another: `[labels + 2, labels]`, row by row from each label, then from the
/// beginning, then of the end after each label.
#[derive(Clone, Copy, Debug)]
pub struct Crf<'a> {
    labels: usize,
    transitions: &'a [f32],
}

impl<'a> Crf<'a> {
    /// `transitions [labels + 2, labels]`.
    ///
    /// # Panics
    /// Where that is not their size.
    pub fn new(labels: usize, transitions: &'a [f32]) -> Self {
        assert_eq!(transitions.len(), (labels + 2) * labels, "a score for each pair of labels");
        Self { labels, transitions }
    }

    fn from(&self, before: usize, label: usize) -> f64 {
        f64::from(self.transitions[before * self.labels + label])
    }

    fn first(&self, label: usize) -> f64 {
        self.from(self.labels, label)
    }

    fn last(&self, label: usize) -> f64 {
        self.from(self.labels + 1, label)
    }

    /// The negative log-likelihood of `targets [steps]` under `emissions [steps, labels]`. Replaces the
    /// emissions by its gradient, and adds that of the transitions to `d_transitions`.
    pub fn learn(&self, emissions: &mut [f32], targets: &[u32], d_transitions: &mut [f64]) -> f64 {
        let (k, steps) = (self.labels, targets.len());
        if steps == 0 {
            return 0.0;
        }
        let e: Vec<f64> = emissions.iter().map(|e| f64::from(*e)).collect();
        let (alpha, beta) = (self.alpha(&e), self.beta(&e));
        let end: Vec<f64> =
            (0..k).map(|label| alpha[(steps - 1) * k + label] + self.last(label)).collect();
        let log_z = log_sum(&end);
        let mut score = self.first(targets[0] as usize) + self.last(targets[steps - 1] as usize);
        for (t, target) in targets.iter().enumerate() {
            let target = *target as usize;
            score += e[t * k + target];
            if t > 0 {
                score += self.from(targets[t - 1] as usize, target);
            }
            for label in 0..k {
                let p = (alpha[t * k + label] + beta[t * k + label] - log_z).exp();
                let right = if label == target { 1.0 } else { 0.0 };
                emissions[t * k + label] = (p - right) as f32;
                if t == 0 {
                    d_transitions[k * k + label] += p - right;
                }
                if t + 1 == steps {
                    d_transitions[(k + 1) * k + label] += p - right;
                }
            }
            if t == 0 {
                continue;
            }
            for before in 0..k {
                for label in 0..k {
                    let both = alpha[(t - 1) * k + before]
                        + self.from(before, label)
                        + e[t * k + label]
                        + beta[t * k + label];
                    d_transitions[before * k + label] += (both - log_z).exp();
                }
            }
            d_transitions[targets[t - 1] as usize * k + target] -= 1.0;
        }
        log_z - score
    }

    /// The probability of each label at each step, whatever the others are: `[steps][labels]`.
    pub fn probabilities(&self, emissions: &[f32]) -> Vec<Vec<f64>> {
        let k = self.labels;
        if emissions.is_empty() {
            return vec![];
        }
        let e: Vec<f64> = emissions.iter().map(|e| f64::from(*e)).collect();
        let (alpha, beta) = (self.alpha(&e), self.beta(&e));
        let rows = alpha.chunks_exact(k).zip(beta.chunks_exact(k)).map(|(alpha, beta)| {
            let both: Vec<f64> = alpha.iter().zip(beta).map(|(a, b)| a + b).collect();
            let all = log_sum(&both);
            both.iter().map(|own| (own - all).exp()).collect()
        });
        rows.collect()
    }

    /// The log of the sum over all that comes before each label, itself included: `[steps, labels]`.
    fn alpha(&self, e: &[f64]) -> Vec<f64> {
        let k = self.labels;
        let mut alpha: Vec<f64> = (0..k).map(|label| self.first(label) + e[label]).collect();
        let mut terms = vec![0.0; k];
        for t in 1..e.len() / k {
            for label in 0..k {
                for (before, term) in terms.iter_mut().enumerate() {
                    *term = alpha[(t - 1) * k + before] + self.from(before, label);
                }
                alpha.push(log_sum(&terms) + e[t * k + label]);
            }
        }
        alpha
    }

    /// The log of the sum over all that comes after each label: `[steps, labels]`.
    fn beta(&self, e: &[f64]) -> Vec<f64> {
        let (k, steps) = (self.labels, e.len() / self.labels);
        let mut beta = vec![0.0; e.len()];
        let mut terms = vec![0.0; k];
        for label in 0..k {
            beta[(steps - 1) * k + label] = self.last(label);
        }
        for t in (0..steps - 1).rev() {
            for label in 0..k {
                for (after, term) in terms.iter_mut().enumerate() {
                    let next = (t + 1) * k + after;
                    *term = self.from(label, after) + e[next] + beta[next];
                }
                beta[t * k + label] = log_sum(&terms);
            }
        }
        beta
    }

    /// The most probable labels under `emissions [steps, labels]`; of equals the lower ones.
    pub fn viterbi(&self, emissions: &[f32]) -> Vec<u32> {
        let (k, steps) = (self.labels, emissions.len() / self.labels);
        if steps == 0 {
            return vec![];
        }
        let e = |t: usize, label: usize| f64::from(emissions[t * k + label]);
        let mut best: Vec<f64> = (0..k).map(|label| self.first(label) + e(0, label)).collect();
        let mut came: Vec<usize> = vec![0; k];
        for t in 1..steps {
            let mut next = Vec::with_capacity(k);
            for label in 0..k {
                let score = |before: usize| best[before] + self.from(before, label);
                let before = greatest(k, score);
                came.push(before);
                next.push(score(before) + e(t, label));
            }
            best = next;
        }
        let mut label = greatest(k, |label| best[label] + self.last(label));
        let mut path = vec![label as u32];
        for t in (1..steps).rev() {
            label = came[t * k + label];
            path.push(label as u32);
        }
        path.reverse();
        path
    }
}

/// The first label of the greatest score.
fn greatest(labels: usize, score: impl Fn(usize) -> f64) -> usize {
    (0..labels).rev().max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or(0)
}

/// `ln Σ exp`, without overflow.
pub(super) fn log_sum(terms: &[f64]) -> f64 {
    let greatest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if greatest == f64::NEG_INFINITY {
        return greatest;
    }
    greatest + terms.iter().map(|term| (term - greatest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(labels: usize, steps: usize) -> Vec<Vec<u32>> {
        let total = labels.pow(steps as u32);
        let digit = |n: usize, t: usize| (n / labels.pow(t as u32) % labels) as u32;
        (0..total).map(|n| (0..steps).map(|t| digit(n, t)).collect()).collect()
    }

    fn score(crf: &Crf<'_>, e: &[f32], path: &[u32]) -> f64 {
        let mut score = crf.first(path[0] as usize) + crf.last(path[path.len() - 1] as usize);
        for (t, label) in path.iter().enumerate() {
            score += f64::from(e[t * crf.labels + *label as usize]);
            if t > 0 {
                score += crf.from(path[t - 1] as usize, *label as usize);
            }
        }
        score
    }

    proptest! {
        #[test]
        fn the_loss_is_that_of_counting_all_and_viterbi_is_the_best(
            steps in 1..5_usize,
            numbers in prop::collection::vec(-3.0_f32..3.0, 40),
            target in prop::collection::vec(0..3_u32, 5),
        ) {
            let crf = Crf::new(3, &numbers[..15]);
            let e = &numbers[15..15 + 3 * steps];
            let target = &target[..steps];
            let scores: Vec<f64> = all(3, steps).iter().map(|path| score(&crf, e, path)).collect();
            let expected = log_sum(&scores) - score(&crf, e, target);
            let loss = crf.learn(&mut e.to_vec(), target, &mut [0.0; 15]);
            prop_assert!((loss - expected).abs() < 1e-9, "{loss} {expected}");
            let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!((score(&crf, e, &crf.viterbi(e)) - best).abs() < 1e-9);
            let told = crf.probabilities(e);
            for (t, row) in told.iter().enumerate() {
                for (label, p) in row.iter().enumerate() {
                    let own = all(3, steps).into_iter().zip(&scores);
                    let own = own.filter(|(path, _)| path[t] == label as u32);
                    let expected: f64 =
                        own.map(|(_, score)| (score - log_sum(&scores)).exp()).sum();
                    prop_assert!((p - expected).abs() < 1e-9, "{p} {expected}");
                }
            }
        }

        #[test]
        fn gradients_are_those_of_differences(
            steps in 1..6_usize,
            numbers in prop::collection::vec(-2.0_f32..2.0, 40),
            target in prop::collection::vec(0..3_u32, 6),
        ) {
            let (mut transitions, mut e) = (numbers[..15].to_vec(), numbers[15..15 + 3 * steps].to_vec());
            let target = &target[..steps];
            let loss = |transitions: &[f32], e: &[f32]| {
                Crf::new(3, transitions).learn(&mut e.to_vec(), target, &mut [0.0; 15])
            };
            let (mut d_e, mut d_transitions) = (e.clone(), [0.0; 15]);
            Crf::new(3, &transitions).learn(&mut d_e, target, &mut d_transitions);
            // Powers of two, so that the distance is exact in single precision.
            let distance = 1.0 / 256.0;
            for at in 0..e.len() {
                let kept = e[at];
                e[at] = kept + distance;
                let up = loss(&transitions, &e);
                e[at] = kept - distance;
                let slope = (up - loss(&transitions, &e)) / (2.0 * f64::from(distance));
                e[at] = kept;
                prop_assert!((slope - f64::from(d_e[at])).abs() < 1e-4, "{slope} {}", d_e[at]);
            }
            for at in 0..15 {
                let kept = transitions[at];
                transitions[at] = kept + distance;
                let up = loss(&transitions, &e);
                transitions[at] = kept - distance;
                let slope = (up - loss(&transitions, &e)) / (2.0 * f64::from(distance));
                transitions[at] = kept;
                prop_assert!((slope - d_transitions[at]).abs() < 2e-4, "{slope} {}", d_transitions[at]);
            }
        }
    }

    #[test]
    fn scores_that_would_overflow_do_not() {
        let transitions = [0.0; 8];
        let mut e = vec![3e4, -3e4, -3e4, 3e4];
        let mut d = [0.0; 8];
        let loss = Crf::new(2, &transitions).learn(&mut e, &[0, 1], &mut d);
        assert!(loss.abs() < 1e-9 && e.iter().all(|d| d.abs() < 1e-6), "{loss} {e:?}");
    }
}
