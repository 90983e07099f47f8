//! What models of separate sequences read: one sequence of the run's own data, or a text that a person typed.
//!
//! Of a translator the encoder is looked into; what the decoder does is told as attention and search.

use crate::subject::{Piece, Reading, less_one};
use crate::trace::Sequence;
use recurve_nn::{Engine, Model};
use recurve_train::data::Part;
use recurve_train::error::{Error, Result};
use recurve_train::model_file::ModelFile;
use recurve_train::task::Task;
use recurve_train::task::examples::{Example, Examples, Said, Which};
use serde_json::{Value, json};
use std::path::Path;

/// Sequences and what a model says about them.
pub(crate) struct ExampleSubject {
    pub(crate) examples: Examples,
    task: Task,
}

/// What is right about a sequence, as the outputs count.
#[derive(Default)]
pub(crate) struct Right {
    classes: Vec<usize>,
    pub(crate) targets: Vec<f32>,
    /// The piece in words for the page.
    pub(crate) facts: Value,
}

impl ExampleSubject {
    pub(crate) fn of(file: &ModelFile, data: Option<&Path>) -> Option<Self> {
        Some(Self { examples: Examples::of(file, data)?, task: file.task() })
    }

    pub(crate) fn describe(&self) -> Value {
        let examples = &self.examples;
        let reads = if examples.is_text() { "tokens" } else { "values" };
        let unit = if self.task == Task::Tag { "sentence" } else { "sequence" };
        json!({
            "kind": "examples", "reads": reads, "unit": unit, "total": examples.count(),
            "first": examples.first_held_out(), "typed": examples.is_text(),
            "problem": examples.problem(), "encoder": self.task == Task::Translate,
        })
    }

    fn which<'a>(&self, piece: &'a Piece) -> Which<'a> {
        match &piece.text {
            Some(text) => Which::Typed(text),
            None => Which::Own(piece.from.unwrap_or(self.examples.first_held_out())),
        }
    }

    pub(crate) fn read(&self, piece: &Piece) -> Result<Reading> {
        let which = self.which(piece);
        let example = self.examples.read(which)?;
        let sequence = Sequence::of(&example.batch());
        let Example { id, part, labels, joint, channels, actual, classes, targets, .. } = example;
        let channels: Vec<Value> =
            channels.iter().map(|(name, values)| json!({"name": name, "values": values})).collect();
        let facts = json!({
            "labels": labels, "joint": joint, "channels": channels,
            "example": {"id": id, "part": part.map(Part::name), "actual": actual},
        });
        let right = Right { classes, targets, facts };
        let from = match which {
            Which::Own(at) => Some(at),
            Which::Typed(_) => None,
        };
        Ok(Reading { piece: piece.clone(), right, ..Reading::of(sequence, from) })
    }

    /// The gradient of a loss at a row of outputs: cross-entropy of the right class (of the likeliest, where none
    /// is known for the row), squared error, or of an encoder that of a fixed direction.
    pub(crate) fn error(&self, reading: &Reading, row: usize, outputs: &[f32]) -> Vec<f32> {
        let right = &reading.right;
        match self.task {
            Task::Translate => {
                let direction = (0..outputs.len()).map(|at| ((at + 1) as f32).sin());
                let length = direction.clone().map(|d| d * d).sum::<f32>().sqrt();
                direction.map(|d| d / length).collect()
            }
            Task::Regress => {
                let wanted = |at: usize| right.targets.get(row * outputs.len() + at);
                let errors = outputs.iter().enumerate();
                let count = outputs.len() as f32;
                errors
                    .map(|(at, y)| 2.0 * (y - wanted(at).copied().unwrap_or(0.0)) / count)
                    .collect()
            }
            _ => {
                let likeliest = || {
                    (0..outputs.len())
                        .max_by(|a, b| outputs[*a].total_cmp(&outputs[*b]))
                        .unwrap_or(0)
                };
                let class = right.classes.get(row).copied().unwrap_or_else(likeliest);
                less_one(outputs, class)
            }
        }
    }

    /// What a model with these weights says about a piece.
    pub(crate) fn say(&self, model: &Model<f32>, engine: Engine, piece: &Piece) -> Result<Said> {
        self.examples.say(model, engine, self.which(piece))
    }

    /// The number of the sequence of a name.
    pub(crate) fn named(&self, id: &str) -> Result<usize> {
        let found = self.examples.named(id);
        found.ok_or_else(|| Error::usage(format!("the data of the run has no sequence `{id}`")))
    }
}
