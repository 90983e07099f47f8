//! How good a tagger is: accuracy, and F1 of the spans that the tags mark.

use crate::error::Result;
use crate::task::{Report, Skill, better, named};
use serde::Serialize;

/// A tagger measured on one part of its data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TagReport {
    /// `test`, `validation`, `training` or `all`.
    pub part: String,
    /// Sentences measured.
    pub sentences: usize,
    /// Words measured.
    pub words: usize,
    /// The share of words whose tag is right.
    pub accuracy: f64,
    /// The share among words that the training part does not hold; none where there are none.
    pub unknown_accuracy: Option<f64>,
    /// How many words those are.
    pub unknown_words: usize,
    /// Of the spans, where the tags mark spans.
    pub spans: Option<SpanScores>,
    /// Each tag by itself.
    pub tags: Vec<TagScores>,
    /// Accuracy of always saying the most frequent tag of the word in the training part, and of all words
    /// for one that it does not hold; none where there is no training part.
    pub most_frequent: Option<f64>,
    /// The F1 of the spans of the same.
    pub most_frequent_f1: Option<f64>,
    /// How much fewer errors than that.
    pub skills: Vec<Skill>,
    /// Every word.
    #[serde(skip)]
    pub predictions: Vec<TaggedWord>,
}

/// Spans that are found where they are and as what they are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SpanScores {
    /// Of those found, the share that is right.
    pub precision: f64,
    /// Of those that are there, the share that is found.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
}

/// One tag.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TagScores {
    /// The tag.
    pub tag: String,
    /// Words of it.
    pub words: usize,
    /// Of those said to be of it, the share that is.
    pub precision: f64,
    /// Of those that are of it, the share that is found.
    pub recall: f64,
}

/// One word and what was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaggedWord {
    /// The sentence, from 1.
    pub sentence: usize,
    /// The word.
    pub word: String,
    /// Its tag, where it is known.
    pub actual: Option<String>,
    /// The tag that was said.
    pub predicted: String,
    /// Whether the training part does not hold the word.
    pub unknown: bool,
}

/// A span: the first word, the one after the last, and what it is.
type Span<'a> = (usize, usize, &'a str);

/// The spans that tags mark, in IOB, IOB2 or IOBES: `B-X` begins one, `I-X` goes on, `E-X` ends one, `S-X` is
/// a whole one, `O` is outside. `I-X` and `E-X` after anything else than the same X begin one too.
pub(super) fn spans<'a>(tags: &[&'a str]) -> Vec<Span<'a>> {
    let mut found: Vec<Span<'a>> = vec![];
    let mut open: Option<(usize, &'a str)> = None;
    for (at, tag) in tags.iter().enumerate() {
        let (sign, kind) = tag.split_once('-').unwrap_or(("O", ""));
        let goes_on = matches!(sign, "I" | "E") && open.is_some_and(|(_, own)| own == kind);
        if !goes_on {
            found.extend(open.take().map(|(first, own)| (first, at, own)));
            if matches!(sign, "B" | "I" | "E" | "S") {
                open = Some((at, kind));
            }
        }
        if matches!(sign, "E" | "S") {
            found.extend(open.take().map(|(first, own)| (first, at + 1, own)));
        }
    }
    found.extend(open.map(|(first, own)| (first, tags.len(), own)));
    found
}

/// Whether all tags are ones that mark spans.
pub(super) fn mark_spans<'a>(mut tags: impl Iterator<Item = &'a str>) -> bool {
    let mut some = false;
    let sign =
        |tag: &str| tag.split_once('-').is_some_and(|(s, _)| ["B", "I", "E", "S"].contains(&s));
    let all = tags.all(|tag| {
        some |= sign(tag);
        tag == "O" || sign(tag)
    });
    all && some
}

/// The scores of spans over sentences of `(actual, predicted)` tags.
fn span_scores(sentences: &[(Vec<&str>, Vec<&str>)]) -> SpanScores {
    let (mut right, mut said, mut there) = (0, 0, 0);
    for (actual, predicted) in sentences {
        let (actual, predicted) = (spans(actual), spans(predicted));
        right += predicted.iter().filter(|span| actual.contains(span)).count();
        said += predicted.len();
        there += actual.len();
    }
    let ratio = |a: usize, b: usize| if b == 0 { 0.0 } else { a as f64 / b as f64 };
    SpanScores {
        precision: ratio(right, said),
        recall: ratio(right, there),
        f1: ratio(2 * right, said + there),
    }
}

/// Sentences of the words of a list, each with what `of` says about a word.
fn grouped<'a>(
    words: &'a [TaggedWord],
    of: impl Fn(usize, &'a TaggedWord) -> &'a str,
) -> Vec<(Vec<&'a str>, Vec<&'a str>)> {
    let mut sentences: Vec<(Vec<&str>, Vec<&str>)> = vec![];
    let mut last = 0;
    for (at, word) in words.iter().enumerate() {
        if word.sentence != last {
            sentences.push((vec![], vec![]));
            last = word.sentence;
        }
        if let Some((actual, said)) = sentences.last_mut() {
            actual.push(word.actual.as_deref().unwrap_or("O"));
            said.push(of(at, word));
        }
    }
    sentences
}

impl TagReport {
    /// Measures predictions that all have a right answer, beside those of the most frequent tags.
    pub(super) fn new(
        part: &str,
        predictions: Vec<TaggedWord>,
        most_frequent: Option<Vec<&str>>,
    ) -> Self {
        let right = |word: &TaggedWord| word.actual.as_ref() == Some(&word.predicted);
        let total = predictions.len().max(1) as f64;
        let accuracy = predictions.iter().filter(|word| right(word)).count() as f64 / total;
        let unknown: Vec<&TaggedWord> = predictions.iter().filter(|word| word.unknown).collect();
        let unknown_right = unknown.iter().filter(|word| right(word)).count();
        let actual = || predictions.iter().filter_map(|word| word.actual.as_deref());
        let with_spans = mark_spans(actual());
        let spans =
            with_spans.then(|| span_scores(&grouped(&predictions, |_, word| &word.predicted)));
        let mut names: Vec<&str> = actual().collect();
        names.sort_unstable();
        names.dedup();
        let ratio = |a: usize, b: usize| if b == 0 { 0.0 } else { a as f64 / b as f64 };
        let tags = names.iter().map(|name| {
            let own = predictions.iter().filter(|word| word.actual.as_deref() == Some(name));
            let said = predictions.iter().filter(|word| word.predicted == *name).count();
            let own: Vec<&TaggedWord> = own.collect();
            let hit = own.iter().filter(|word| right(word)).count();
            TagScores {
                tag: (*name).to_owned(),
                words: own.len(),
                precision: ratio(hit, said),
                recall: ratio(hit, own.len()),
            }
        });
        let tags = tags.collect();
        let naive = most_frequent.as_ref().map(|tags| {
            let hit =
                predictions.iter().zip(tags).filter(|(w, t)| w.actual.as_deref() == Some(**t));
            hit.count() as f64 / total
        });
        let naive_f1 = most_frequent
            .as_ref()
            .filter(|_| with_spans)
            .map(|tags| span_scores(&grouped(&predictions, |at, _| tags[at])).f1);
        let name = "most frequent tag";
        let skill = match (spans, naive_f1, naive) {
            (Some(own), Some(naive), _) => Skill::of(name, 1.0 - own.f1, 1.0 - naive),
            (None, _, Some(naive)) => Skill::of(name, 1.0 - accuracy, 1.0 - naive),
            _ => None,
        };
        Self {
            part: part.to_owned(),
            sentences: predictions.last().map_or(0, |_| grouped(&predictions, |_, _| "O").len()),
            words: predictions.len(),
            accuracy,
            unknown_accuracy: (!unknown.is_empty()).then(|| ratio(unknown_right, unknown.len())),
            unknown_words: unknown.len(),
            spans,
            tags,
            most_frequent: naive,
            most_frequent_f1: naive_f1,
            skills: skill.into_iter().collect(),
            predictions,
        }
    }
}

impl Report for TagReport {
    fn summary(&self) -> Vec<String> {
        let unknown = self.unknown_accuracy.map_or(String::new(), |accuracy| {
            format!(
                " · {accuracy:.4} on the {} words that training does not hold",
                self.unknown_words
            )
        });
        let mut lines = vec![format!(
            "{} part, {} words in {} sentences: accuracy {:.4}{unknown}",
            self.part, self.words, self.sentences, self.accuracy
        )];
        if let Some(spans) = self.spans {
            lines.push(format!(
                "spans: F1 {:.4} · precision {:.4} · recall {:.4}",
                spans.f1, spans.precision, spans.recall
            ));
        }
        if let Some(naive) = self.most_frequent {
            let f1 = self.most_frequent_f1.map_or(String::new(), |f1| format!(" · F1 {f1:.4}"));
            let skill = self.skills.first().map(|skill| better(skill.skill, "it"));
            lines.push(format!(
                "  most frequent tag of each word: accuracy {naive:.4}{f1}{}",
                skill.map_or(String::new(), |s| format!(" · in errors, the model is {s}"))
            ));
        }
        lines
    }

    fn headline(&self) -> String {
        let what = match self.spans {
            Some(spans) => format!("span F1 {:.2} %", 100.0 * spans.f1),
            None => format!("accuracy {:.2} %", 100.0 * self.accuracy),
        };
        format!("{what} on the {} words of the {} part", self.words, self.part)
    }

    fn measures(&self) -> Vec<(String, f64)> {
        named([
            ("span F1", self.spans.map(|spans| spans.f1)),
            ("accuracy", Some(self.accuracy)),
            ("accuracy on unknown words", self.unknown_accuracy),
            ("accuracy of the most frequent tags", self.most_frequent),
        ])
    }

    fn skills(&self) -> &[Skill] {
        &self.skills
    }

    fn naive(&self) -> &'static [&'static str] {
        &["most frequent tag"]
    }

    fn predictions(&self) -> Result<Option<Vec<u8>>> {
        csv(&self.predictions).map(Some)
    }
}

/// Tagged words as CSV.
pub(super) fn csv(words: &[TaggedWord]) -> Result<Vec<u8>> {
    let known = words.iter().any(|word| word.actual.is_some());
    crate::task::csv_of(|writer| {
        let mut head = vec!["sentence", "word"];
        head.extend(known.then_some("actual"));
        head.push("predicted");
        writer.write_record(&head)?;
        for word in words {
            let mut row = vec![word.sentence.to_string(), word.word.clone()];
            row.extend(known.then(|| word.actual.clone().unwrap_or_default()));
            row.push(word.predicted.clone());
            writer.write_record(&row)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_the_usual_schemes() {
        assert_eq!(spans(&["B-A", "I-A", "O", "B-B"]), [(0, 2, "A"), (3, 4, "B")]);
        assert_eq!(spans(&["B-A", "B-A", "I-B"]), [(0, 1, "A"), (1, 2, "A"), (2, 3, "B")]);
        assert_eq!(spans(&["S-A", "B-A", "E-A", "I-A"]), [(0, 1, "A"), (1, 3, "A"), (3, 4, "A")]);
        assert_eq!(spans(&["I-A", "I-A", "O"]), [(0, 2, "A")]);
        assert!(mark_spans(["O", "B-X"].into_iter()));
        assert!(!mark_spans(["O", "NOUN"].into_iter()) && !mark_spans(["O"].into_iter()));
    }

    #[test]
    fn scores_by_hand() {
        let word = |sentence, actual: &str, predicted: &str| TaggedWord {
            sentence,
            word: "w".to_owned(),
            actual: Some(actual.to_owned()),
            predicted: predicted.to_owned(),
            unknown: sentence == 2,
        };
        let words = vec![
            word(1, "B-A", "B-A"),
            word(1, "I-A", "I-A"),
            word(2, "B-B", "O"),
            word(2, "O", "B-B"),
        ];
        let report = TagReport::new("test", words, Some(vec!["O", "O", "B-B", "O"]));
        assert_eq!((report.accuracy, report.sentences, report.words), (0.5, 2, 4));
        assert_eq!(report.unknown_accuracy, Some(0.0));
        let spans = report.spans.unwrap();
        assert_eq!((spans.precision, spans.recall, spans.f1), (0.5, 0.5, 0.5));
        assert_eq!((report.most_frequent, report.most_frequent_f1), (Some(0.5), Some(2.0 / 3.0)));
        assert!((report.skills[0].skill + 0.5).abs() < 1e-12);
    }
}
