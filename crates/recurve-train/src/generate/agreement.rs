//! Sentences whose next word was decided long before: does the verb agree with its subject?
//!
//! "The cat, which already ate the fish near the dogs, was full", but "the cats, which already ate the
//! fish near the dogs, were full". Between subject and verb stand other nouns of either number, so
//! that the last noun tells nothing. The second theme is a country that decides a language: "I grew up
//! in france, where the birds often saw the girl, so i speak fluent french". A sample is two such
//! sentences; the second one has a subject of its own, so what was kept for the first must go.
//!
//! After the examples with which tutorials introduce the LSTM; as a test of networks, Linzen, Dupoux
//! & Goldberg (2016).

use super::sample_rng;
use crate::loss::IGNORE;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Sentences of which one word depends on a word `gap` words before it.
#[derive(Clone, Copy, Debug)]
pub struct Agreement {
    /// The fewest and the most words between the deciding word and the asked one.
    pub gaps: (usize, usize),
    /// The seed.
    pub seed: u64,
}

/// A batch of sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentenceBatch {
    /// Words `T` of the longest sample.
    pub steps: usize,
    /// Words `[T,B]`, places in [`Agreement::words`]; beyond a sample's length they mean nothing.
    pub x: Vec<u32>,
    /// The next word where it is asked for `[T,B]`, else [`IGNORE`].
    pub y: Vec<u32>,
    /// Words of each sample `[B]`.
    pub lengths: Vec<usize>,
}

const NOUNS: [[&str; 2]; 8] = [
    ["cat", "cats"],
    ["dog", "dogs"],
    ["bird", "birds"],
    ["girl", "girls"],
    ["boy", "boys"],
    ["teacher", "teachers"],
    ["farmer", "farmers"],
    ["neighbour", "neighbours"],
];
const BE: [&str; 2] = ["was", "were"];
const COUNTRIES: [[&str; 2]; 6] = [
    ["france", "french"],
    ["spain", "spanish"],
    ["italy", "italian"],
    ["germany", "german"],
    ["japan", "japanese"],
    ["greece", "greek"],
];
const ADJECTIVES: [&str; 5] = ["full", "happy", "tired", "asleep", "late"];
const VERBS: [&str; 5] = ["ate", "saw", "heard", "liked", "followed"];
const PREPOSITIONS: [&str; 4] = ["near", "behind", "without", "like"];
const ADVERBS: [&str; 5] = ["already", "often", "quietly", "still", "perhaps"];
const OTHERS: [&str; 13] =
    ["the", ",", "which", "where", "and", ".", "i", "grew", "up", "in", "so", "speak", "fluent"];

impl Agreement {
    /// The words; a token is a place in this list.
    pub fn words() -> Vec<&'static str> {
        let pairs = NOUNS.iter().chain(&COUNTRIES).flatten();
        let others = [&BE[..], &ADJECTIVES, &VERBS, &PREPOSITIONS, &ADVERBS, &OTHERS].concat();
        pairs.copied().chain(others).collect()
    }

    /// The samples `first..first + batch`.
    ///
    /// # Panics
    /// The gaps are out of order.
    pub fn batch(&self, first: u64, batch: usize) -> SentenceBatch {
        assert!(self.gaps.0 <= self.gaps.1, "gaps in order");
        let words = Self::words();
        let token = |word: &str| match words.iter().position(|known| *known == word) {
            Some(at) => at as u32,
            None => unreachable!("`{word}` is made of the lists above"),
        };
        let samples: Vec<Sample> =
            (0..batch).map(|lane| self.sample(first.wrapping_add(lane as u64))).collect();
        let lengths: Vec<usize> = samples.iter().map(|sample| sample.words.len()).collect();
        let steps = lengths.iter().copied().max().unwrap_or(0);
        let (mut x, mut y) = (vec![0; steps * batch], vec![IGNORE; steps * batch]);
        for (lane, sample) in samples.iter().enumerate() {
            for (step, word) in sample.words.iter().enumerate() {
                x[step * batch + lane] = token(word);
            }
            for &asked in &sample.asked {
                y[(asked - 1) * batch + lane] = token(sample.words[asked]);
            }
        }
        SentenceBatch { steps, x, y, lengths }
    }

    fn sample(&self, sample: u64) -> Sample {
        let mut rng = sample_rng(4, self.seed, sample);
        let mut made = Sample { words: vec![], asked: vec![] };
        for _ in 0..2 {
            let (shortest, longest) = (self.gaps.0 as u64, self.gaps.1 as u64);
            let gap = rng.random_range(shortest..=longest) as usize;
            if rng.random_range(0..2) == 0 {
                made.agreement(gap, &mut rng);
            } else {
                made.language(gap, &mut rng);
            }
        }
        made
    }
}

/// Words, and which of them are asked for.
struct Sample {
    words: Vec<&'static str>,
    asked: Vec<usize>,
}

impl Sample {
    /// "the cat , which … , was full ."
    fn agreement(&mut self, gap: usize, rng: &mut ChaCha8Rng) {
        let number = rng.random_range(0..2_usize);
        self.words.extend(["the", one_of(&NOUNS, rng)[number]]);
        match gap {
            // Not even one phrase fits between commas.
            0..4 => self.adverbs(gap, rng),
            _ => {
                self.words.extend([",", "which"]);
                self.clause(gap - 3, rng);
                self.words.push(",");
            }
        }
        self.ask(BE[number]);
        self.words.extend([one_of(&ADJECTIVES, rng), "."]);
    }

    /// "i grew up in france , where … , so i speak fluent french ."
    fn language(&mut self, gap: usize, rng: &mut ChaCha8Rng) {
        let [country, language] = one_of(&COUNTRIES, rng);
        self.words.extend(["i", "grew", "up", "in", country]);
        let end = ["so", "i", "speak", "fluent"];
        match gap {
            0..4 => self.words.extend(&end[4 - gap..]),
            4 => self.words.extend(end),
            5..8 => {
                self.words.push(",");
                self.adverbs(gap - 5, rng);
                self.words.extend(end);
            }
            _ => {
                self.words.extend([",", "where"]);
                self.clause(gap - 7, rng);
                self.words.push(",");
                self.words.extend(end);
            }
        }
        self.ask(language);
        self.words.push(".");
    }

    fn ask(&mut self, word: &'static str) {
        self.asked.push(self.words.len());
        self.words.push(word);
    }

    /// `length` words about other nouns.
    fn clause(&mut self, length: usize, rng: &mut ChaCha8Rng) {
        let mut left = length;
        let mut begins = true;
        while left > 0 {
            let phrase = if begins { rng.random_range(0..2) } else { rng.random_range(0..4) };
            let before = self.words.len();
            let noun = one_of(&NOUNS, rng)[rng.random_range(0..2_usize)];
            match phrase {
                1 if left >= 4 => {
                    self.words.extend([one_of(&ADVERBS, rng), one_of(&VERBS, rng), "the", noun]);
                }
                2 if left >= 4 => self.words.extend(["and", one_of(&VERBS, rng), "the", noun]),
                3 if left >= 3 => self.words.extend([one_of(&PREPOSITIONS, rng), "the", noun]),
                0 if left >= 3 && begins => self.words.extend([one_of(&VERBS, rng), "the", noun]),
                _ => self.words.push(one_of(&ADVERBS, rng)),
            }
            left -= self.words.len() - before;
            begins = false;
        }
    }

    fn adverbs(&mut self, count: usize, rng: &mut ChaCha8Rng) {
        self.words.extend((0..count).map(|_| one_of(&ADVERBS, rng)));
    }
}

fn one_of<T: Copy>(all: &[T], rng: &mut ChaCha8Rng) -> T {
    all[super::pick(rng, 0..all.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of the second to last asked place back to the deciding word, of every sample.
    fn decided(gap: usize) -> Vec<(String, String)> {
        let words = Agreement::words();
        let batch = 50;
        let made = Agreement { gaps: (gap, gap), seed: 3 }.batch(7, batch);
        let mut pairs = vec![];
        for lane in 0..batch {
            let mut asked = 0;
            for step in 0..made.lengths[lane] {
                let y = made.y[step * batch + lane];
                if y == IGNORE {
                    continue;
                }
                asked += 1;
                assert_eq!(made.x[(step + 1) * batch + lane], y, "the asked word comes next");
                let decides = made.x[(step - gap) * batch + lane];
                pairs.push((words[decides as usize].to_owned(), words[y as usize].to_owned()));
            }
            assert_eq!(asked, 2);
        }
        pairs
    }

    #[test]
    fn the_deciding_word_stands_exactly_the_gap_before_the_asked_one() {
        for gap in (0..=12).chain([20, 40, 61]) {
            for (decides, asked) in decided(gap) {
                let noun = NOUNS.iter().find_map(|noun| noun.iter().position(|n| *n == decides));
                let country = COUNTRIES.iter().find(|country| country[0] == decides);
                match (noun, country) {
                    (Some(number), None) => assert_eq!(asked, BE[number]),
                    (None, Some(country)) => assert_eq!(asked, country[1]),
                    _ => panic!("gap {gap}: `{decides}` decides nothing"),
                }
            }
        }
    }

    #[test]
    fn other_nouns_do_not_give_the_answer_away() {
        let words = Agreement::words();
        let batch = 400;
        let made = Agreement { gaps: (20, 40), seed: 1 }.batch(0, batch);
        let (mut same, mut all) = (0, 0);
        for lane in 0..batch {
            let mut last = None;
            for step in 0..made.lengths[lane] {
                let word = words[made.x[step * batch + lane] as usize];
                let number = NOUNS.iter().find_map(|noun| noun.iter().position(|n| *n == word));
                last = number.or(last);
                let y = made.y[step * batch + lane];
                if let Some(number) = BE.iter().position(|be| words.get(y as usize) == Some(be)) {
                    all += 1;
                    same += usize::from(last == Some(number));
                }
            }
        }
        let share = f64::from(same as u32) / f64::from(all as u32);
        assert!(all > 300 && (0.4..0.6).contains(&share), "{share} of {all}");
    }
}
