//! How good a translator is: errors of symbols and words, BLEU and chrF, and what it looked at.

use super::scores::{bleu, chrf};
use crate::data::TokenKind;
use crate::error::Result;
use crate::metrics::edits;
use crate::task::sequences::Written;
use crate::task::{Report, Skill, better, named};
use serde::Serialize;

/// Translations whose attention is in a report.
const SHOWN: usize = 6;
/// Steps of a source and symbols of a target beyond which attention is not shown.
const WIDEST: usize = 40;

/// A translator measured on one part of its data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TranslateReport {
    /// `test`, `validation`, `training` or `all`.
    pub part: String,
    /// Sequences measured.
    pub sequences: usize,
    /// What a symbol is: `character` or `word`.
    pub unit: String,
    /// Symbols that are right to be there.
    pub symbols: usize,
    /// Insertions, deletions and substitutions over the symbols: PER where they are phones.
    pub symbol_error_rate: f64,
    /// The share of sequences with any error: WER of grapheme-to-phoneme conversion.
    pub sequence_error_rate: f64,
    /// The share of sequences without any.
    pub right: f64,
    /// BLEU of the words between blanks, from 0 to 100; none where no target has four.
    pub bleu: Option<f64>,
    /// chrF2 of the characters, from 0 to 100.
    pub chrf: f64,
    /// The target that is most frequent in the training part.
    pub most_frequent: Option<String>,
    /// The symbol error rate of always writing that.
    pub most_frequent_rate: Option<f64>,
    /// How much fewer errors than that.
    pub skills: Vec<Skill>,
    /// What the first translations looked at.
    pub attention: Vec<Attended>,
    /// Every translation.
    #[serde(skip)]
    pub predictions: Vec<Translation>,
}

/// What a translation looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attended {
    /// The name of the sequence.
    pub id: String,
    /// The tokens of the source, or the numbers of its steps.
    pub source: Vec<String>,
    /// The symbols, and the end.
    pub target: Vec<String>,
    /// For each symbol and the end a weight for each step of the source; they add up to 1.
    pub weights: Vec<Vec<f32>>,
}

/// One sequence and what was written for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Translation {
    /// Its name.
    pub id: String,
    /// The source, where it is a text.
    pub source: Option<String>,
    /// What is right, where it is known.
    pub actual: Option<String>,
    /// What was written.
    pub predicted: String,
    /// The log-probability of that.
    pub log_probability: f64,
    /// What it looked at.
    #[serde(skip)]
    pub attended: Attended,
}

impl TranslateReport {
    /// Measures translations that all have a right one.
    pub(super) fn new(
        (part, written): (&str, &Written),
        predictions: Vec<Translation>,
        most_frequent: Option<String>,
    ) -> Self {
        let kind = written.kind;
        let pairs: Vec<(&str, &str)> = predictions
            .iter()
            .map(|own| (own.predicted.as_str(), own.actual.as_deref().unwrap_or_default()))
            .collect();
        // Compared as symbols, so that blanks between words count nothing.
        let cut: Vec<(Vec<String>, Vec<String>)> =
            pairs.iter().map(|(said, right)| (kind.cut(said), kind.cut(right))).collect();
        let symbols: usize = cut.iter().map(|(_, right)| right.len()).sum();
        let wrong: usize = cut.iter().map(|(said, right)| edits(said, right)).sum();
        let rate = |wrong: usize| wrong as f64 / symbols.max(1) as f64;
        let exact = cut.iter().filter(|(said, right)| said == right).count();
        let naive = most_frequent.as_ref().map(|text| {
            let text = kind.cut(text);
            rate(cut.iter().map(|(_, right)| edits(&text, right)).sum())
        });
        let skill = naive.and_then(|naive| Skill::of("most frequent text", rate(wrong), naive));
        let right = exact as f64 / predictions.len().max(1) as f64;
        let (bleu, chrf) = (bleu(&pairs), chrf(&pairs));
        let fits = |own: &&Attended| own.source.len() <= WIDEST && own.target.len() <= WIDEST;
        let attention = predictions.iter().map(|own| &own.attended).filter(fits);
        Self {
            part: part.to_owned(),
            sequences: predictions.len(),
            unit: if kind == TokenKind::Characters { "character" } else { "word" }.to_owned(),
            symbols,
            symbol_error_rate: rate(wrong),
            sequence_error_rate: 1.0 - right,
            right,
            bleu,
            chrf,
            most_frequent_rate: naive,
            most_frequent,
            skills: skill.into_iter().collect(),
            attention: attention.take(SHOWN).cloned().collect(),
            predictions,
        }
    }
}

impl Report for TranslateReport {
    fn summary(&self) -> Vec<String> {
        let bleu = self.bleu.map_or_else(String::new, |bleu| format!(" · BLEU {bleu:.2}"));
        let mut lines = vec![format!(
            "{} part, {} sequences of {} {}s: {} error rate {:.2} % · {:.2} % not all right{bleu} · chrF {:.2}",
            self.part,
            self.sequences,
            self.symbols,
            self.unit,
            self.unit,
            100.0 * self.symbol_error_rate,
            100.0 * self.sequence_error_rate,
            self.chrf
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
            "{} error rate {:.2} %, {:.2} % of the {} sequences of the {} part not all right",
            self.unit,
            100.0 * self.symbol_error_rate,
            100.0 * self.sequence_error_rate,
            self.sequences,
            self.part
        )
    }

    fn measures(&self) -> Vec<(String, f64)> {
        let name = |what: &str| format!("{} {what}", self.unit);
        named([
            (&name("error rate"), Some(self.symbol_error_rate)),
            ("sequence error rate", Some(self.sequence_error_rate)),
            ("BLEU", self.bleu),
            ("chrF", Some(self.chrf)),
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

/// Translations as CSV.
pub(super) fn csv(predictions: &[Translation]) -> Result<Vec<u8>> {
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
        let one = |actual: &str, predicted: &str| Translation {
            id: String::new(),
            source: None,
            actual: Some(actual.to_owned()),
            predicted: predicted.to_owned(),
            log_probability: 0.0,
            attended: Attended {
                id: String::new(),
                source: vec![],
                target: vec![],
                weights: vec![],
            },
        };
        let written =
            Written { kind: TokenKind::Spaced, symbols: Vec::<String>::new().into(), longest: 3 };
        let all = vec![one("k a t", "k  a t"), one("d o g", "d o"), one("a", "o k")];
        let report = TranslateReport::new(("test", &written), all, Some("a".to_owned()));
        assert_eq!((report.symbols, report.sequences), (7, 3));
        assert!((report.symbol_error_rate - 3.0 / 7.0).abs() < 1e-12);
        assert!((report.sequence_error_rate - 2.0 / 3.0).abs() < 1e-12);
        assert!((report.most_frequent_rate.unwrap() - 5.0 / 7.0).abs() < 1e-12);
        assert_eq!(report.bleu, None);
        let csv = String::from_utf8(report.predictions().unwrap().unwrap()).unwrap();
        assert!(csv.starts_with("id,source,actual,predicted,log_probability\n"), "{csv}");
    }
}
