//! How good a language model is, beside counting, in numbers that serialise.

use crate::error::Result;
use crate::metrics;
use crate::task::{Report, Skill, better};
use serde::Serialize;

/// A language model measured on one part of a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LanguageReport {
    /// `validation`, `training` or `all`.
    pub part: String,
    /// What a token is: `character`, `byte`, `word` or `subword`.
    pub unit: String,
    /// Tokens predicted.
    pub tokens: u64,
    /// Mean cross-entropy in nats per token.
    pub nats: f64,
    /// The same in bits.
    pub bits: f64,
    /// Bits per character that the tokens stand for, which compares models of different tokens.
    pub bits_per_character: f64,
    /// The same as perplexity.
    pub perplexity: f64,
    /// Cross-entropy of the token frequencies of the training part, in nats per token.
    pub unigram: Option<f64>,
    /// The same of the frequencies after each token.
    pub bigram: Option<f64>,
    /// The skill in cross-entropy against both.
    pub skills: Vec<Skill>,
}

impl LanguageReport {
    pub(crate) fn new(
        (part, unit): (&str, &str),
        (nats, tokens, characters): (f64, u64, u64),
        (unigram, bigram): (Option<f64>, Option<f64>),
    ) -> Self {
        let against = |name: &str, baseline: Option<f64>| Skill::of(name, nats, baseline?);
        Self {
            part: part.to_owned(),
            unit: unit.to_owned(),
            tokens,
            nats,
            bits: metrics::bits(nats),
            bits_per_character: metrics::bits(nats) * tokens as f64 / characters.max(1) as f64,
            perplexity: metrics::perplexity(nats),
            unigram,
            bigram,
            skills: [against("unigram", unigram), against("bigram", bigram)]
                .into_iter()
                .flatten()
                .collect(),
        }
    }
}

impl Report for LanguageReport {
    fn summary(&self) -> Vec<String> {
        let unit = &self.unit;
        let mut lines = vec![format!(
            "{} part, {} {unit}s: {:.4} nats per {unit} · {:.4} bits · perplexity {:.3}",
            self.part, self.tokens, self.nats, self.bits, self.perplexity
        )];
        if matches!(unit.as_str(), "word" | "subword") {
            lines[0] += &format!(" · {:.4} bits per character", self.bits_per_character);
        }
        for (name, nats) in [("unigram", self.unigram), ("bigram", self.bigram)] {
            let skill = self.skills.iter().find(|skill| skill.baseline == name);
            if let (Some(nats), Some(skill)) = (nats, skill) {
                let against = better(skill.skill, "it");
                lines.push(format!("  {name} {nats:.4} nats per {unit} · model {against}"));
            }
        }
        lines
    }
    fn headline(&self) -> String {
        format!("{:.3} nats per {} on the {} part", self.nats, self.unit, self.part)
    }

    fn skills(&self) -> &[Skill] {
        &self.skills
    }

    fn naive(&self) -> &'static [&'static str] {
        &["bigram", "unigram"]
    }

    fn predictions(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
}
