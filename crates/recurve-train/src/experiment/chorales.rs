//! Chorales as a problem: which notes sound next?
//!
//! Four voices as frames, one for each quarter note; a frame is 88 statements, one for each key of a piano, and
//! the answer at each step is the frame that follows (Boulanger-Lewandowski, Bengio & Vincent 2012). Unlike the
//! samples of a generator, the sequences are few: training goes through them again and again, and what is best
//! comes before the end. So a score here is that of the test part at the moment when the validation part was best.

use super::learner::{CHOOSING, MEASURING};
use super::problem::{Answers, Made, MadeAnswers, MadeInput, Problem, Reads};
use crate::data::{KEYS, Part, Roll, Rolls, shuffled, strike};
use crate::error::{Error, Result};
use std::path::Path;

/// The three parts of the data set.
pub(super) struct Chorales {
    train: Vec<Roll>,
    valid: Vec<Roll>,
    test: Vec<Roll>,
}

impl Chorales {
    /// Reads the file of the data set.
    ///
    /// # Errors
    /// It cannot be read, or is not what it should be.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let rolls = Rolls::read(path)?;
        let parts = rolls.parts.unwrap_or_default();
        let of = |part| {
            let own = rolls.pieces.iter().zip(&parts).filter(move |(_, own)| **own == part);
            own.map(|(piece, _)| piece.clone()).collect::<Vec<_>>()
        };
        let found =
            Self { train: of(Part::Train), valid: of(Part::Validation), test: of(Part::Test) };
        if [&found.train, &found.valid, &found.test].iter().any(|part| part.is_empty()) {
            let name = rolls.name;
            return Err(Error::usage(format!("{name}: train, valid and test need a piece each")));
        }
        Ok(found)
    }

    /// Sequences to train on.
    pub(super) fn training(&self) -> usize {
        self.train.len()
    }

    /// The sequences `first..first + count` of the shuffled epochs of a seed, or all of a part that is held back.
    fn chosen(&self, seed: u64, first: u64, count: usize) -> Vec<&Roll> {
        match seed {
            MEASURING => self.test.iter().collect(),
            CHOOSING => self.valid.iter().collect(),
            seed => {
                let all = self.train.len() as u64;
                let (from, to) = (first, first + count as u64);
                (from / all..=(to - 1) / all)
                    .flat_map(|epoch| {
                        let order = shuffled(seed, epoch, self.train.len());
                        order.into_iter().zip(epoch * all..)
                    })
                    .filter(|(_, at)| (from..to).contains(at))
                    .map(|(sequence, _)| &self.train[sequence])
                    .collect()
            }
        }
    }
}

impl Problem for Chorales {
    fn reads(&self) -> Reads {
        Reads::Values { width: KEYS }
    }
    fn outputs(&self) -> usize {
        KEYS
    }
    fn answers(&self) -> Answers {
        Answers::EveryStep
    }
    fn limited(&self) -> bool {
        true
    }
    fn make(&self, seed: u64, first: u64, count: usize) -> Made {
        let sequences = self.chosen(seed, first, count);
        let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.len() - 1).collect();
        let (steps, batch) = (lengths.iter().copied().max().unwrap_or(0), sequences.len());
        let mut x = vec![0.0; steps * batch * KEYS];
        let mut y = x.clone();
        for (b, sequence) in sequences.iter().enumerate() {
            for (t, frames) in sequence.windows(2).enumerate() {
                let at = (t * batch + b) * KEYS;
                strike(&frames[0], &mut x[at..][..KEYS]);
                strike(&frames[1], &mut y[at..][..KEYS]);
            }
        }
        Made {
            steps,
            batch,
            x: MadeInput::Values(x),
            lengths: Some(lengths),
            y: MadeAnswers::Marks { width: KEYS, marks: y },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::LOWEST;

    fn chorales(text: &str) -> Result<Chorales> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chorales.json");
        std::fs::write(&path, text).unwrap();
        Chorales::read(&path)
    }

    #[test]
    fn a_sample_is_a_sequence_and_the_same_one_frame_later() {
        let parts = r#"{"train": [[[21], [22, 23]], [[30], [], [108]], [[40], [41]]],
            "valid": [[[50], [51]]], "test": [[[60], [61]], [[62], [63]]]}"#;
        let chorales = chorales(parts).unwrap();
        let ones = |made: &Made, of: &[f32], t: usize, b: usize| -> Vec<usize> {
            let row = &of[(t * made.batch + b) * KEYS..][..KEYS];
            (0..KEYS).filter(|key| row[*key] == 1.0).map(|key| key + LOWEST).collect()
        };
        let both = |made: &Made, t: usize, b: usize| {
            let (MadeInput::Values(x), MadeAnswers::Marks { marks, .. }) = (&made.x, &made.y)
            else {
                panic!("{made:?}")
            };
            (ones(made, x, t, b), ones(made, marks, t, b))
        };
        assert_eq!(both(&chorales.make(MEASURING, 0, 500), 0, 1), (vec![62], vec![63]));
        assert_eq!(both(&chorales.make(CHOOSING, 0, 500), 0, 0), (vec![50], vec![51]));
        // Every epoch has each sequence once, wherever batches begin.
        for first in [0, 3, 6] {
            let made = chorales.make(7, first, 3);
            assert_eq!((made.batch, made.steps), (3, 2));
            let long = made.lengths.as_ref().unwrap().iter().position(|steps| *steps == 2).unwrap();
            assert_eq!(both(&made, 0, long), (vec![30], vec![]));
            assert_eq!(both(&made, 1, long), (vec![], vec![108]));
        }
        let (across, next) = (chorales.make(7, 2, 2), chorales.make(7, 3, 1));
        assert_eq!(both(&across, 0, 1), both(&next, 0, 0));
    }

    #[test]
    fn files_of_something_else_are_refused() {
        for (text, word) in [
            ("[1]", "piece 1"),
            (r#"{"train": [[[21],[22]]], "valid": [], "test": []}"#, "need a piece"),
            (
                r#"{"train": [[[21],[9]]], "valid": [[[50],[51]]], "test": [[[50],[51]]]}"#,
                "21 to 108",
            ),
        ] {
            let error = chorales(text).err().unwrap().to_string();
            assert!(error.contains(word) && error.contains("chorales.json"), "{error}");
        }
    }
}
