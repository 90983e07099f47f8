//! How good a classifier is: accuracy, F1, and who is taken for whom.

use crate::error::Result;
use crate::task::{Report, Skill, better, named};
use serde::Serialize;
use serde_json::{Map, Value};

/// A classifier measured on one part of its data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassifyReport {
    /// `test`, `validation`, `training` or `all`.
    pub part: String,
    /// Sequences measured.
    pub sequences: usize,
    /// The share that is right.
    pub accuracy: f64,
    /// The mean of the F1 of the classes that occur.
    pub macro_f1: f64,
    /// Mean cross-entropy in nats.
    pub nats: f64,
    /// Each class by itself.
    pub classes: Vec<ClassReport>,
    /// `[actual][predicted]`, in the order of the classes.
    pub confusion: Vec<Vec<usize>>,
    /// The class that is most frequent in the training part.
    pub majority: String,
    /// The share that is right where that is always said.
    pub majority_accuracy: f64,
    /// How much fewer errors than always saying that.
    pub skills: Vec<Skill>,
    /// Every prediction.
    #[serde(skip)]
    pub predictions: Vec<ClassPrediction>,
}

/// One class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// Its name.
    pub class: String,
    /// Sequences of it.
    pub sequences: usize,
    /// Of those said to be of it, the share that is.
    pub precision: f64,
    /// Of those that are of it, the share that is found.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
}

/// What is said about one sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassPrediction {
    /// Its name.
    pub id: String,
    /// Its class, where it is known.
    pub actual: Option<String>,
    /// The class that is most probable.
    pub predicted: String,
    /// The probability of each class.
    pub probabilities: Vec<f64>,
}

impl ClassifyReport {
    /// Measures predictions. `actual` are classes by number; `majority` that of the training part.
    pub(super) fn new(
        part: &str,
        (names, majority): (&[String], usize),
        actual: &[usize],
        predictions: Vec<ClassPrediction>,
    ) -> Self {
        let count = names.len();
        let mut confusion = vec![vec![0; count]; count];
        let mut nats = 0.0;
        for (prediction, &actual) in predictions.iter().zip(actual) {
            let said = names.iter().position(|name| *name == prediction.predicted).unwrap_or(0);
            confusion[actual][said] += 1;
            nats -= prediction.probabilities[actual].max(f64::MIN_POSITIVE).ln();
        }
        let total = actual.len().max(1) as f64;
        let ratio = |a: usize, b: usize| if b == 0 { 0.0 } else { a as f64 / b as f64 };
        let classes: Vec<ClassReport> = names
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let right = confusion[at][at];
                let own: usize = confusion[at].iter().sum();
                let said: usize = confusion.iter().map(|row| row[at]).sum();
                ClassReport {
                    class: name.clone(),
                    sequences: own,
                    precision: ratio(right, said),
                    recall: ratio(right, own),
                    f1: ratio(2 * right, own + said),
                }
            })
            .collect();
        let right: usize = (0..count).map(|at| confusion[at][at]).sum();
        let seen: Vec<f64> =
            classes.iter().filter(|class| class.sequences > 0).map(|class| class.f1).collect();
        let accuracy = right as f64 / total;
        let majority_accuracy = actual.iter().filter(|at| **at == majority).count() as f64 / total;
        let skill = Skill::of("majority class", 1.0 - accuracy, 1.0 - majority_accuracy);
        Self {
            part: part.to_owned(),
            sequences: actual.len(),
            accuracy,
            macro_f1: seen.iter().sum::<f64>() / seen.len().max(1) as f64,
            nats: nats / total,
            classes,
            confusion,
            majority: names[majority].clone(),
            majority_accuracy,
            skills: skill.into_iter().collect(),
            predictions,
        }
    }
}

impl Report for ClassifyReport {
    fn summary(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} part, {} sequences of {} classes: accuracy {:.4} · macro F1 {:.4} · {:.4} nats",
            self.part,
            self.sequences,
            self.classes.len(),
            self.accuracy,
            self.macro_f1,
            self.nats
        )];
        let skill = self.skills.first().map(|skill| better(skill.skill, "it"));
        lines.push(format!(
            "  always `{}`: accuracy {:.4}{}",
            self.majority,
            self.majority_accuracy,
            skill.map_or(String::new(), |skill| format!(" · in errors, the model is {skill}"))
        ));
        let mut wrong: Vec<(usize, usize, usize)> = vec![];
        for (actual, row) in self.confusion.iter().enumerate() {
            for (said, count) in row.iter().enumerate() {
                if actual != said && *count > 0 {
                    wrong.push((*count, actual, said));
                }
            }
        }
        wrong.sort_by(|a, b| b.0.cmp(&a.0).then(a.cmp(b)));
        for (count, actual, said) in wrong.into_iter().take(3) {
            let (actual, said) = (&self.classes[actual].class, &self.classes[said].class);
            lines.push(format!("  {count} × `{actual}` taken for `{said}`"));
        }
        lines
    }

    fn headline(&self) -> String {
        format!(
            "accuracy {:.1} % on the {} sequences of the {} part",
            100.0 * self.accuracy,
            self.sequences,
            self.part
        )
    }

    fn measures(&self) -> Vec<(String, f64)> {
        named([
            ("accuracy", Some(self.accuracy)),
            ("macro F1", Some(self.macro_f1)),
            ("nats", Some(self.nats)),
            ("accuracy of the majority class", Some(self.majority_accuracy)),
        ])
    }

    fn skills(&self) -> &[Skill] {
        &self.skills
    }

    fn naive(&self) -> &'static [&'static str] {
        &["majority class"]
    }

    fn predictions(&self) -> Result<Option<Vec<u8>>> {
        let names: Vec<String> = self.classes.iter().map(|class| class.class.clone()).collect();
        csv(&names, &self.predictions).map(Some)
    }
}

/// Predictions as CSV.
pub(super) fn csv(names: &[String], predictions: &[ClassPrediction]) -> Result<Vec<u8>> {
    let known = predictions.iter().any(|prediction| prediction.actual.is_some());
    crate::task::csv_of(|writer| {
        let mut head = vec!["id".to_owned()];
        head.extend(known.then(|| "actual".to_owned()));
        head.push("predicted".to_owned());
        head.extend(names.iter().map(|name| format!("p({name})")));
        writer.write_record(&head)?;
        for prediction in predictions {
            let mut row = vec![prediction.id.clone()];
            row.extend(known.then(|| prediction.actual.clone().unwrap_or_default()));
            row.push(prediction.predicted.clone());
            row.extend(prediction.probabilities.iter().map(|p| format!("{p:.6}")));
            writer.write_record(&row)?;
        }
        Ok(())
    })
}

/// A prediction as JSON.
pub(super) fn json(names: &[String], prediction: &ClassPrediction) -> Value {
    let pairs = names.iter().cloned().zip(prediction.probabilities.iter().map(|p| (*p).into()));
    serde_json::json!({
        "id": prediction.id,
        "actual": prediction.actual,
        "predicted": prediction.predicted,
        "probabilities": pairs.collect::<Map<String, Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_hand() {
        let names = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let said = |class: usize| ClassPrediction {
            id: String::new(),
            actual: None,
            predicted: names[class].clone(),
            probabilities: vec![0.5, 0.25, 0.25],
        };
        let predictions = [0, 0, 1, 1].map(said).to_vec();
        let report = ClassifyReport::new("test", (&names, 0), &[0, 1, 1, 1], predictions);
        assert_eq!(report.accuracy, 0.75);
        assert_eq!((report.classes[0].precision, report.classes[0].recall), (0.5, 1.0));
        assert!((report.classes[1].f1 - 0.8).abs() < 1e-12);
        assert!((report.macro_f1 - (2.0 / 3.0 + 0.8) / 2.0).abs() < 1e-12);
        assert_eq!(report.confusion[1], [1, 2, 0]);
        assert_eq!(report.majority_accuracy, 0.25);
        assert!((report.skills[0].skill - 2.0 / 3.0).abs() < 1e-12);
        assert!((report.nats - (2.0_f64.ln() + 3.0 * 4.0_f64.ln()) / 4.0).abs() < 1e-12);
        assert!(report.summary()[2].contains("1 × `b` taken for `a`"));
    }
}
