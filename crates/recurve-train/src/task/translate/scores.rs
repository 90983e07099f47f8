//! BLEU and chrF: how alike two texts are.

use std::collections::HashMap;
use std::hash::Hash;

/// The longest runs of words that BLEU counts, and of characters that chrF counts.
const WORDS: usize = 4;
const CHARACTERS: usize = 6;
/// How much more recall counts than precision, squared: chrF2.
const RECALL: f64 = 4.0;

/// How often each run of `length` items stands in a list.
fn runs<T: Hash + Eq>(items: &[T], length: usize) -> HashMap<&[T], usize> {
    let mut counts = HashMap::new();
    for run in items.windows(length) {
        *counts.entry(run).or_default() += 1;
    }
    counts
}

/// Runs in what was said, in what is right, and in both.
fn shared<T: Hash + Eq>(said: &[T], right: &[T], length: usize) -> [usize; 3] {
    let (own, theirs) = (runs(said, length), runs(right, length));
    let both = own.iter().map(|(run, count)| theirs.get(run).map_or(0, |other| *other.min(count)));
    [own.values().sum(), theirs.values().sum(), both.sum()]
}

/// BLEU over all pairs, said and right, from 0 to 100: the geometric mean of how many runs of 1 to 4 words
/// are right, times a penalty for being too short (Papineni et al. 2002). Words stand between blanks; there is
/// no smoothing, so it is 0 where no run of 4 is right, and none where nothing is long enough to hold one.
pub(super) fn bleu(pairs: &[(&str, &str)]) -> Option<f64> {
    let mut counts = [[0; 3]; WORDS];
    let (mut said_length, mut right_length) = (0, 0);
    for (said, right) in pairs {
        let said: Vec<&str> = said.split_whitespace().collect();
        let right: Vec<&str> = right.split_whitespace().collect();
        said_length += said.len();
        right_length += right.len();
        for (length, counts) in (1..).zip(&mut counts) {
            let own = shared(&said, &right, length);
            counts.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        }
    }
    if counts[WORDS - 1][1] == 0 {
        return None;
    }
    if counts.iter().any(|[said, _, both]| *said == 0 || *both == 0) {
        return Some(0.0);
    }
    let logs: f64 = counts.iter().map(|[said, _, both]| (*both as f64 / *said as f64).ln()).sum();
    let short = (1.0 - right_length as f64 / said_length.max(1) as f64).min(0.0);
    Some(100.0 * (logs / WORDS as f64 + short).exp())
}

/// chrF2 over all pairs, said and right, from 0 to 100: precision and recall of runs of 1 to 6 characters,
/// blanks left out, recall counting twice (Popović 2015, 2017).
pub(super) fn chrf(pairs: &[(&str, &str)]) -> f64 {
    let mut counts = [[0; 3]; CHARACTERS];
    for (said, right) in pairs {
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<Vec<_>>();
        let (said, right) = (letters(said), letters(right));
        for (length, counts) in (1..).zip(&mut counts) {
            let own = shared(&said, &right, length);
            counts.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        }
    }
    let used: Vec<&[usize; 3]> = counts.iter().filter(|c| c[0] > 0 && c[1] > 0).collect();
    let mean = |of: usize| {
        let shares = used.iter().map(|counts| counts[2] as f64 / counts[of] as f64);
        shares.sum::<f64>() / used.len().max(1) as f64
    };
    let (precision, recall) = (mean(0), mean(1));
    if precision + recall == 0.0 {
        return 0.0;
    }
    100.0 * (1.0 + RECALL) * precision * recall / (RECALL * precision + recall)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        // 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 fours; the lengths are equal.
        let pair = [("the cat sat on a mat", "the cat sat on the mat")];
        let expected = 100.0 * (5.0 / 6.0 * 3.0 / 5.0 * 2.0 / 4.0 * 1.0 / 3.0_f64).powf(0.25);
        assert!((bleu(&pair).unwrap() - expected).abs() < 1e-9);
        // Half as long: e^(1 - 8/4).
        let short = [("a b c d", "a b c d e f g h")];
        assert!((bleu(&short).unwrap() - 100.0 * (-1.0_f64).exp()).abs() < 1e-9);
        assert_eq!(bleu(&[("a b", "a b")]), None);
        assert_eq!(bleu(&[("x y", "a b c d")]), Some(0.0));
        // "abc" for "abd": 2 of 3 letters, 1 of 2 pairs, 0 of 1 triples.
        let mean = (2.0 / 3.0 + 0.5) / 3.0;
        assert!((chrf(&[("abc", "ab d")]) - 100.0 * mean).abs() < 1e-9);
        assert_eq!(chrf(&[("x", "y")]), 0.0);
    }

    proptest! {
        #[test]
        fn what_is_right_is_100_and_nothing_is_more(said in "[ab ]{0,20}", right in "[ab ]{1,20}") {
            let pair = [(said.as_str(), right.as_str())];
            prop_assert!((0.0..=100.0 + 1e-9).contains(&chrf(&pair)));
            prop_assert!(bleu(&pair).is_none_or(|b| (0.0..=100.0 + 1e-9).contains(&b)));
            let same = [(right.as_str(), right.as_str())];
            if !right.trim().is_empty() {
                prop_assert!((chrf(&same) - 100.0).abs() < 1e-9);
            }
            prop_assert!(bleu(&same).is_none_or(|b| (b - 100.0).abs() < 1e-9));
        }
    }
}
