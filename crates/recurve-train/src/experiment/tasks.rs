//! The made tasks of the literature as problems.

use super::problem::{Answers, Made, MadeAnswers, MadeInput, Problem, Reads};
use crate::generate::{Adding, CopyMemory, TemporalOrder};

/// The sum of two marked numbers; the score is the mean squared error, 1/6 for always saying 1.
pub(super) struct AddingProblem {
    pub(super) steps: usize,
}

impl Problem for AddingProblem {
    fn reads(&self) -> Reads {
        Reads::Values { width: 2 }
    }
    fn outputs(&self) -> usize {
        1
    }
    fn answers(&self) -> Answers {
        Answers::Last
    }
    fn make(&self, seed: u64, first: u64, count: usize) -> Made {
        let made = Adding { steps: self.steps, seed }.batch(first, count);
        Made {
            steps: self.steps,
            batch: count,
            x: MadeInput::Values(made.x),
            lengths: None,
            y: MadeAnswers::Values(made.y),
        }
    }
}

/// In which order two rare symbols came; the score is the share of right answers, 1/4 for guessing.
pub(super) struct OrderProblem {
    pub(super) steps: usize,
}

impl OrderProblem {
    /// The windows of the paper's 100 steps, as far along in `steps`.
    fn task(&self, seed: u64) -> TemporalOrder {
        let at = |share: usize| share * self.steps / 100;
        TemporalOrder {
            lengths: (self.steps, self.steps + self.steps / 10),
            windows: vec![(at(10), at(20)), (at(50), at(60))],
            seed,
        }
    }
}

impl Problem for OrderProblem {
    fn reads(&self) -> Reads {
        Reads::Tokens { vocabulary: TemporalOrder::SYMBOLS, embedding: TemporalOrder::SYMBOLS }
    }
    fn outputs(&self) -> usize {
        self.task(0).classes()
    }
    fn answers(&self) -> Answers {
        Answers::Last
    }
    fn make(&self, seed: u64, first: u64, count: usize) -> Made {
        let made = self.task(seed).batch(first, count);
        Made {
            steps: made.steps,
            batch: count,
            x: MadeInput::Tokens(made.x),
            lengths: Some(made.lengths),
            y: MadeAnswers::Classes(made.y),
        }
    }
}

/// Ten symbols to be repeated after a pause; the score is the share of right symbols among the ten,
/// 1/8 for guessing.
pub(super) struct CopyProblem {
    pub(super) pause: usize,
}

impl Problem for CopyProblem {
    fn reads(&self) -> Reads {
        Reads::Tokens { vocabulary: CopyMemory::SYMBOLS, embedding: CopyMemory::SYMBOLS }
    }
    fn outputs(&self) -> usize {
        CopyMemory::SYMBOLS
    }
    fn answers(&self) -> Answers {
        Answers::EveryStep
    }
    fn make(&self, seed: u64, first: u64, count: usize) -> Made {
        let task = CopyMemory { pause: self.pause, seed };
        let mut made = task.batch(first, count);
        // The blanks before the answer are no memory: they would hide in the score whether there is any.
        let answer = (self.pause + CopyMemory::LENGTH) * count;
        made.y[..answer].fill(crate::loss::IGNORE);
        Made {
            steps: task.steps(),
            batch: count,
            x: MadeInput::Tokens(made.x),
            lengths: None,
            y: MadeAnswers::Classes(made.y),
        }
    }
}
