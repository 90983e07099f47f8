//! What is to be learned in an experiment: samples that a generator makes, and how answers are judged.

use crate::error::Result;
use crate::loss::{IGNORE, Loss, Outputs, Targets};
use recurve_nn::{Batch, Description, Input, Order, Pooling, Recurrent};

/// A task whose samples are made, each the same whenever it is made.
pub trait Problem: Sync {
    /// What one step is.
    fn reads(&self) -> Reads;
    /// Numbers of an answer: classes, or values.
    fn outputs(&self) -> usize;
    /// Whether a sequence has one answer, at its end, or each step has one.
    fn answers(&self) -> Answers;
    /// Whether there are only so many samples, so that training sees them again and again. A score is then that of
    /// the moment at which the samples that choose were best, and lower is better.
    fn limited(&self) -> bool {
        false
    }
    /// The samples `first..first + count` of `seed`.
    fn make(&self, seed: u64, first: u64, count: usize) -> Made;
}

/// What one step of a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// A symbol, read through vectors of `embedding` numbers.
    Tokens {
        /// How many symbols there are.
        vocabulary: usize,
        /// The length of the vectors.
        embedding: usize,
    },
    /// Numbers.
    Values {
        /// How many.
        width: usize,
    },
}

/// Where the answers of a problem stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// One after the last step.
    Last,
    /// One at every step, though not all need count.
    EveryStep,
}

/// Some samples, time-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Steps of the longest.
    pub steps: usize,
    /// How many.
    pub batch: usize,
    /// What is read.
    pub x: MadeInput,
    /// Steps of each; all `steps` if absent.
    pub lengths: Option<Vec<usize>>,
    /// What should be answered.
    pub y: MadeAnswers,
}

/// What samples are read as.
#[derive(Clone, Debug, PartialEq)]
pub enum MadeInput {
    /// Symbols `[T, B]`.
    Tokens(Vec<u32>),
    /// Numbers `[T, B, I]`.
    Values(Vec<f32>),
}

/// What should be answered: `[B]` or `[T, B]`, as the problem has it.
#[derive(Clone, Debug, PartialEq)]
pub enum MadeAnswers {
    /// The right class, or [`IGNORE`].
    Classes(Vec<u32>),
    /// One number.
    Values(Vec<f32>),
    /// What is true of a step: some statements, none excluding another.
    Marks {
        /// How many statements.
        width: usize,
        /// 1 where one is true, 0 where not: `[.., width]`.
        marks: Vec<f32>,
    },
}

impl Made {
    /// The samples as a batch.
    pub fn batch(&self) -> Batch<'_, f32> {
        let input = match &self.x {
            MadeInput::Tokens(tokens) => Input::Tokens(tokens),
            MadeInput::Values(values) => Input::Values(values),
        };
        Batch { lengths: self.lengths.as_deref(), ..Batch::new(self.steps, self.batch, input) }
    }

    /// What should be answered, in the order in which a network gives its outputs.
    pub(super) fn targets(&self, answers: Answers, order: &Order) -> MadeAnswers {
        match (answers, &self.y) {
            (Answers::Last, y) => y.clone(),
            (Answers::EveryStep, MadeAnswers::Classes(classes)) => {
                let mut rows = vec![];
                order.gather(classes, &mut rows);
                MadeAnswers::Classes(rows)
            }
            (Answers::EveryStep, MadeAnswers::Values(values)) => {
                let mut rows = vec![];
                order.gather(values, &mut rows);
                MadeAnswers::Values(rows)
            }
            (Answers::EveryStep, MadeAnswers::Marks { width, marks }) => {
                let (mut steps, mut rows) = (vec![], vec![]);
                let places: Vec<usize> = (0..marks.len() / width).collect();
                order.gather(&places, &mut steps);
                for step in steps {
                    rows.extend_from_slice(&marks[step * width..][..*width]);
                }
                MadeAnswers::Marks { width: *width, marks: rows }
            }
        }
    }
}

impl MadeAnswers {
    /// What is minimised.
    pub(super) fn loss(&self) -> Loss {
        match self {
            Self::Classes(_) => Loss::CrossEntropy { label_smoothing: 0.0 },
            Self::Values(_) => Loss::Mse {},
            Self::Marks { .. } => Loss::BinaryCrossEntropy {},
        }
    }

    pub(super) fn as_targets(&self) -> Targets<'_, f32> {
        match self {
            Self::Classes(classes) => Targets::Classes(classes),
            Self::Values(values) | Self::Marks { marks: values, .. } => Targets::Values(values),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Values(values) => values.len(),
            Self::Marks { width, marks } => marks.len() / width,
        }
    }

    /// Of classes, the share that is answered right; of numbers, the mean squared error; of statements, the
    /// negative log-likelihood of all those of a step, in nats.
    pub(super) fn score(&self, outputs: &[f32]) -> Result<f64> {
        let width = outputs.len() / self.len().max(1);
        match self {
            Self::Values(_) => {
                let outputs = Outputs::new(outputs, width);
                Ok(self.loss().forward(outputs, self.as_targets())?.mean)
            }
            Self::Marks { .. } => {
                let outputs = Outputs::new(outputs, width);
                Ok(self.loss().forward(outputs, self.as_targets())?.mean * width as f64)
            }
            Self::Classes(classes) => {
                let rows = outputs.chunks_exact(width).zip(classes);
                let asked = rows.filter(|(_, class)| **class != IGNORE);
                let (right, all) = asked.fold((0_u32, 0_u32), |(right, all), (row, class)| {
                    (right + u32::from(largest(row) == *class as usize), all + 1)
                });
                Ok(f64::from(right) / f64::from(all))
            }
        }
    }
}

/// The place of the largest number, the first of equals.
fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (at, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = at;
        }
    }
    best
}

/// A model for a problem: its stacks between what is read and an answer.
pub(super) fn description(problem: &dyn Problem, stacks: &[Recurrent]) -> Description {
    let mut description = match problem.reads() {
        Reads::Tokens { vocabulary, embedding } => {
            Description::tokens(vocabulary).embedding(embedding)
        }
        Reads::Values { width } => Description::values(width),
    };
    for stack in stacks {
        description = description.recurrent(stack.clone());
    }
    if problem.answers() == Answers::Last {
        description = description.pool(Pooling::Last);
    }
    description.linear(problem.outputs())
}
