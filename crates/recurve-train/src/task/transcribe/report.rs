//! How good a transcriber is: errors of symbols and of words, and where each symbol is heard.

use crate::error::Result;
use crate::metrics::edits;
use crate::task::{Report, Skill, better, named};
use serde::Serialize;

/// A transcriber measured on one part of its data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TranscribeReport {
    /// `test`, `validation`, `training` or `all`.
    pub part: String,
    /// Sequences measured.
    pub sequences: usize,
    /// What a symbol is: `character` or `word`.
    pub unit: String,
    /// Symbols that are right to be there.
    pub symbols: usize,
    /// Insertions, deletions and substitutions over the symbols: CER where symbols are characters.
    pub symbol_error_rate: f64,
    /// The same of words between blanks.
    pub word_error_rate: f64,
    /// The share of sequences without any error.
    pub right: f64,
    /// The text that is most frequent in the training part.
    pub most_frequent: Option<String>,
    /// The symbol error rate of always saying that.
    pub most_frequent_rate: Option<f64>,
    /// How much fewer errors than that.
    pub skills: Vec<Skill>,
    /// Where the symbols of the first sequences are heard.
    pub alignments: Vec<Alignment>,
    /// Every transcription.
    #[serde(skip)]
    pub predictions: Vec<Transcription>,
}

/// Where the symbols of a transcription are heard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alignment {
    /// The name of the sequence.
    pub id: String,
    /// Its frames.
    pub frames: usize,
    /// Each symbol with its first and last frame, from 1.
    pub symbols: Vec<(String, usize, usize)>,
}

/// One sequence and what was understood.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Transcription {
    /// Its name.
    pub id: String,
    /// What is right, where it is known.
    pub actual: Option<String>,
    /// What was understood.
    pub predicted: String,
    /// The log-probability of that.
    pub log_probability: f64,
}

/// The edits from predictions to what is right, over what there is of it.
fn rate<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
    cut: impl Fn(&str) -> Vec<String>,
) -> (f64, usize) {
    let (mut wrong, mut count) = (0, 0);
    for (said, right) in pairs {
        let (said, right) = (cut(said), cut(right));
        wrong += edits(&said, &right);
        count += right.len();
    }
    (wrong as f64 / count.max(1) as f64, count)
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl TranscribeReport {
    /// Measures transcriptions that all have a right one.
    pub(super) fn new(
        (part, unit): (&str, &str),
        predictions: Vec<Transcription>,
        alignments: Vec<Alignment>,
        most_frequent: Option<String>,
    ) -> Self {
        let symbols = |text: &str| match unit {
            "word" => words(text),
            _ => text.chars().map(String::from).collect(),
        };
        let right = |p: &'_ Transcription| p.actual.clone().unwrap_or_default();
        let rights: Vec<String> = predictions.iter().map(right).collect();
        let pairs = || {
            predictions.iter().map(|p| p.predicted.as_str()).zip(rights.iter().map(String::as_str))
        };
        let (symbol_error_rate, count) = rate(pairs(), symbols);
        let exact = pairs().filter(|(said, right)| said == right).count();
        let naive = most_frequent.as_ref().map(|text| {
            rate(rights.iter().map(|right| (text.as_str(), right.as_str())), symbols).0
        });
        let skill =
            naive.and_then(|naive| Skill::of("most frequent text", symbol_error_rate, naive));
        Self {
            part: part.to_owned(),
            sequences: predictions.len(),
            unit: unit.to_owned(),
            symbols: count,
            symbol_error_rate,
            word_error_rate: rate(pairs(), words).0,
            right: exact as f64 / predictions.len().max(1) as f64,
            most_frequent,
            most_frequent_rate: naive,
            skills: skill.into_iter().collect(),
            alignments,
            predictions,
        }
    }
}

impl Report for TranscribeReport {
    fn summary(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} part, {} sequences of {} {}s: {} error rate {:.2} % · word error rate {:.2} % · all right in {:.2} %",
            self.part,
            self.sequences,
            self.symbols,
            self.unit,
            self.unit,
            100.0 * self.symbol_error_rate,
            100.0 * self.word_error_rate,
            100.0 * self.right
        )];
        if let (Some(text), Some(rate)) = (&self.most_frequent, self.most_frequent_rate) {
            let skill = self.skills.first().map(|skill| better(skill.skill, "it"));
            lines.push(format!(
                "  always `{text}`: {} error rate {:.2} %{}",
                self.unit,
                100.0 * rate,
                skill.map_or(String::new(), |s| format!(" · in errors, the model is {s}"))
            ));
        }
        lines
    }

    fn headline(&self) -> String {
        format!(
            "{} error rate {:.2} % on the {} sequences of the {} part",
            self.unit,
            100.0 * self.symbol_error_rate,
            self.sequences,
            self.part
        )
    }

    fn measures(&self) -> Vec<(String, f64)> {
        let name = |what: &str| format!("{} {what}", self.unit);
        named([
            (&name("error rate"), Some(self.symbol_error_rate)),
            ("word error rate", Some(self.word_error_rate).filter(|_| self.unit != "word")),
            ("share all right", Some(self.right)),
            ("error rate of the most frequent text", self.most_frequent_rate),
        ])
    }

    fn skills(&self) -> &[Skill] {
        &self.skills
    }

    fn naive(&self) -> &'static [&'static str] {
        &["most frequent text"]
    }

    fn predictions(&self) -> Result<Option<Vec<u8>>> {
        csv(&self.predictions).map(Some)
    }
}

/// Transcriptions as CSV.
pub(super) fn csv(predictions: &[Transcription]) -> Result<Vec<u8>> {
    crate::task::csv_of(|writer| {
        for prediction in predictions {
            writer.serialize(prediction)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_by_hand() {
        let one = |actual: &str, predicted: &str| Transcription {
            id: String::new(),
            actual: Some(actual.to_owned()),
            predicted: predicted.to_owned(),
            log_probability: 0.0,
        };
        let all = vec![one("ab cd", "ab d"), one("xy", "xy")];
        let report =
            TranscribeReport::new(("test", "character"), all, vec![], Some("xy".to_owned()));
        assert_eq!((report.symbols, report.right), (7, 0.5));
        assert!((report.symbol_error_rate - 1.0 / 7.0).abs() < 1e-12);
        assert!((report.word_error_rate - 1.0 / 3.0).abs() < 1e-12);
        assert!((report.most_frequent_rate.unwrap() - 5.0 / 7.0).abs() < 1e-12);
    }
}
