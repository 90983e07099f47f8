//! How good a model is at filling blanks, in numbers that serialise.

use crate::error::Result;
use crate::metrics;
use crate::task::{Report, Skill, better, csv_of};
use serde::Serialize;

/// A model measured on the blanks of one part of a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FillReport {
    /// `test`, `validation`, `training` or `all`.
    pub part: String,
    /// What a token is: `character`, `byte`, `word` or `subword`.
    pub unit: String,
    /// Tokens of the part.
    pub tokens: usize,
    /// Those that were hidden.
    pub blanks: usize,
    /// Mean cross-entropy of the hidden tokens in nats.
    pub nats: f64,
    /// The same as perplexity.
    pub perplexity: f64,
    /// The share of the blanks whose likeliest token is the right one.
    pub accuracy: f64,
    /// The token frequencies of the training part.
    pub unigram: Option<NaiveFill>,
    /// The frequencies after the token before a blank; where that is hidden too, of all tokens.
    pub bigram: Option<NaiveFill>,
    /// The skill in cross-entropy against both.
    pub skills: Vec<Skill>,
    /// What was said of each blank.
    #[serde(skip)]
    pub guesses: Vec<Guess>,
}

/// What counting says of the same blanks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NaiveFill {
    /// Mean cross-entropy in nats.
    pub nats: f64,
    /// The share of the blanks whose most frequent token is the right one.
    pub accuracy: f64,
}

impl NaiveFill {
    /// Of the cross-entropy of each blank, and whether it was met.
    pub(super) fn of(guesses: impl Iterator<Item = (f64, bool)>) -> Self {
        let (mut nats, mut right, mut count) = (0.0, 0.0, 0.0_f64);
        for (own, met) in guesses {
            (nats, right, count) = (nats + own, right + f64::from(u8::from(met)), count + 1.0);
        }
        Self { nats: nats / count.max(1.0), accuracy: right / count.max(1.0) }
    }
}

/// What was said of one blank.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guess {
    /// The place of the token in the part, from 1.
    pub index: usize,
    /// What stands there.
    pub actual: String,
    /// The likeliest token.
    pub predicted: String,
    /// The cross-entropy of what stands there, in nats.
    pub nats: f64,
}

impl FillReport {
    pub(super) fn new(
        (part, unit): (&str, &str),
        tokens: usize,
        guesses: Vec<Guess>,
        [unigram, bigram]: [Option<NaiveFill>; 2],
    ) -> Self {
        let count = guesses.len().max(1) as f64;
        let nats = guesses.iter().map(|guess| guess.nats).sum::<f64>() / count;
        let right = guesses.iter().filter(|guess| guess.actual == guess.predicted).count();
        let against = |name: &str, naive: Option<NaiveFill>| Skill::of(name, nats, naive?.nats);
        Self {
            part: part.to_owned(),
            unit: unit.to_owned(),
            tokens,
            blanks: guesses.len(),
            nats,
            perplexity: metrics::perplexity(nats),
            accuracy: right as f64 / count,
            unigram,
            bigram,
            skills: [against("unigram", unigram), against("bigram", bigram)]
                .into_iter()
                .flatten()
                .collect(),
            guesses,
        }
    }
}

impl Report for FillReport {
    fn summary(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} part, {} blanks in {} {}s: {:.4} nats per blank · perplexity {:.3} · {:.1} % right",
            self.part,
            self.blanks,
            self.tokens,
            self.unit,
            self.nats,
            self.perplexity,
            100.0 * self.accuracy
        )];
        for (name, naive) in [("unigram", self.unigram), ("bigram", self.bigram)] {
            let skill = self.skills.iter().find(|skill| skill.baseline == name);
            if let (Some(naive), Some(skill)) = (naive, skill) {
                lines.push(format!(
                    "  {name} {:.4} nats per blank · {:.1} % right · model {}",
                    naive.nats,
                    100.0 * naive.accuracy,
                    better(skill.skill, "it")
                ));
            }
        }
        lines
    }

    fn headline(&self) -> String {
        format!(
            "{:.1} % of the {} blanks of the {} part right, {:.3} nats per blank",
            100.0 * self.accuracy,
            self.blanks,
            self.part,
            self.nats
        )
    }

    fn skills(&self) -> &[Skill] {
        &self.skills
    }

    fn naive(&self) -> &'static [&'static str] {
        &["bigram", "unigram"]
    }

    fn predictions(&self) -> Result<Option<Vec<u8>>> {
        csv_of(|writer| self.guesses.iter().try_for_each(|guess| writer.serialize(guess))).map(Some)
    }
}
