//! Generators of long-time-lag tasks: made data on which a plain recurrent network fails and a gated
//! one does not (Hochreiter, Schmidhuber 1997, and successors).
//!
//! Sample `k` of seed `s` is always the same, whatever was drawn before it: the generator is
//! counter-based (ChaCha8), keyed by task and seed, with the sample as its stream. So a batch is
//! described by its first sample, training can resume anywhere, and a test set is any range of
//! samples that training does not reach.

mod agreement;
mod brackets;
mod classic;
mod context;

pub use agreement::{Agreement, SentenceBatch};
pub use brackets::{BracketBatch, Brackets};
pub use classic::{Counting, EmbeddedReber, StringBatch, TwoSequences, TwoSequencesBatch};
pub use context::{Context, ContextBatch, Side};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// The generator of one sample of one task.
fn sample_rng(task: u8, seed: u64, sample: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = task;
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(sample);
    rng
}

/// The adding problem: two marked numbers of a long sequence are to be added.
///
/// A sequence has `steps` pairs: a number drawn from `[0, 1)` and a mark, which is 1 at one step of
/// the first half and one of the second half, else 0. The target is the sum of the two marked
/// numbers. Always answering 1 has a mean squared error of 1/6.
///
/// Hochreiter, Schmidhuber (1997), experiment 4, in the form of Le, Jaitly, Hinton (2015).
#[derive(Clone, Copy, Debug)]
pub struct Adding {
    /// Steps `T`, at least 2.
    pub steps: usize,
    /// The seed.
    pub seed: u64,
}

/// A batch of the adding problem.
#[derive(Clone, Debug, PartialEq)]
pub struct AddingBatch {
    /// Numbers and marks `[T,B,2]`.
    pub x: Vec<f32>,
    /// Sums `[B]`.
    pub y: Vec<f32>,
}

impl Adding {
    /// The samples `first..first + batch`.
    ///
    /// # Panics
    ///
    /// `steps` is below 2: there is no room for two marks.
    pub fn batch(&self, first: u64, batch: usize) -> AddingBatch {
        assert!(self.steps >= 2, "the adding problem needs two steps at least");
        let mut x = vec![0.0; self.steps * batch * 2];
        let mut y = vec![0.0; batch];
        for (lane, sum) in y.iter_mut().enumerate() {
            let mut rng = sample_rng(1, self.seed, first.wrapping_add(lane as u64));
            let half = self.steps / 2;
            let marked = [pick(&mut rng, 0..half), pick(&mut rng, half..self.steps)];
            for step in 0..self.steps {
                let number: f32 = rng.random();
                let at = (step * batch + lane) * 2;
                x[at] = number;
                if marked.contains(&step) {
                    x[at + 1] = 1.0;
                    *sum += number;
                }
            }
        }
        AddingBatch { x, y }
    }
}

/// The temporal order problem: in which order did the rare symbols come?
///
/// A sequence begins with `E`, ends with `B`, and between them holds `a b c d` drawn at random,
/// except for one `X` or `Y` in each of the windows. The class is the order of those symbols, read
/// as a binary number with `X = 0`, first symbol highest.
///
/// Hochreiter, Schmidhuber (1997), experiment 6.
#[derive(Clone, Debug)]
pub struct TemporalOrder {
    /// The shortest and the longest sequence.
    pub lengths: (usize, usize),
    /// The steps, counted from 0, first and last, in which each `X` or `Y` stands. Windows do not
    /// overlap and lie between the first and the last step of the shortest sequence.
    pub windows: Vec<(usize, usize)>,
    /// The seed.
    pub seed: u64,
}

/// A batch of the temporal order problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBatch {
    /// Steps `T` of the longest sequence in the batch.
    pub steps: usize,
    /// Symbols `[T,B]`, below [`TemporalOrder::SYMBOLS`]; the steps beyond a sequence's length hold 0
    /// and mean nothing.
    pub x: Vec<u32>,
    /// Steps of each sequence `[B]`.
    pub lengths: Vec<usize>,
    /// Classes `[B]`, below [`TemporalOrder::classes`].
    pub y: Vec<u32>,
}

impl TemporalOrder {
    /// The symbols `a b c d X Y E B`, tokens 0 to 7.
    pub const SYMBOLS: usize = 8;
    const X: u32 = 4;
    const START: u32 = 6;
    const END: u32 = 7;

    /// Experiment 6a: two symbols, four classes, 100 to 110 steps.
    pub fn two_symbols(seed: u64) -> Self {
        Self { lengths: (100, 110), windows: vec![(10, 20), (50, 60)], seed }
    }

    /// Experiment 6b: three symbols, eight classes, 100 to 110 steps.
    pub fn three_symbols(seed: u64) -> Self {
        Self { lengths: (100, 110), windows: vec![(10, 20), (33, 43), (66, 76)], seed }
    }

    /// Four symbols, sixteen classes, 100 to 110 steps; harder than those of the paper.
    pub fn four_symbols(seed: u64) -> Self {
        let windows = vec![(10, 20), (30, 40), (50, 60), (70, 80)];
        Self { lengths: (100, 110), windows, seed }
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        1 << self.windows.len()
    }

    /// The samples `first..first + batch`.
    ///
    /// # Panics
    ///
    /// The lengths are out of order, there are more than 16 windows, or they overlap or do not fit.
    pub fn batch(&self, first: u64, batch: usize) -> OrderBatch {
        let (shortest, longest) = self.lengths;
        assert!(shortest <= longest && self.windows.len() <= 16, "sizes in order");
        let mut free = 1;
        for &(start, end) in &self.windows {
            assert!(free <= start && start <= end && end + 1 < shortest, "windows in order");
            free = end + 1;
        }
        let mut samples = Vec::with_capacity(batch);
        let mut y = Vec::with_capacity(batch);
        for lane in 0..batch {
            let mut rng = sample_rng(2, self.seed, first.wrapping_add(lane as u64));
            let length = pick(&mut rng, shortest..longest + 1);
            let mut symbols: Vec<u32> = (0..length).map(|_| rng.random_range(0..4)).collect();
            symbols[0] = Self::START;
            symbols[length - 1] = Self::END;
            let mut class = 0;
            for &(start, end) in &self.windows {
                let bit = rng.random_range(0..2);
                symbols[pick(&mut rng, start..end + 1)] = Self::X + bit;
                class = 2 * class + bit;
            }
            samples.push(symbols);
            y.push(class);
        }
        let lengths: Vec<usize> = samples.iter().map(Vec::len).collect();
        let steps = lengths.iter().copied().max().unwrap_or(0);
        let at = |step: usize| samples.iter().map(move |s| s.get(step).copied().unwrap_or(0));
        OrderBatch { steps, x: (0..steps).flat_map(at).collect(), lengths, y }
    }
}

/// Copy memory: ten symbols are to be repeated after a long pause.
///
/// A sequence has `pause + 20` steps: ten symbols from 0 to 7, `pause - 1` blanks (8), a delimiter
/// (9), ten blanks. The target is `pause + 10` blanks, then the ten symbols. Guessing them at random
/// has a cross-entropy of `10 ln 8 / (pause + 20)` nats per step.
///
/// Arjovsky, Shah, Bengio (2016), after Hochreiter, Schmidhuber (1997).
#[derive(Clone, Copy, Debug)]
pub struct CopyMemory {
    /// The pause, at least 1 step.
    pub pause: usize,
    /// The seed.
    pub seed: u64,
}

/// A batch of copy memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyBatch {
    /// Symbols `[T,B]`, `T = pause + 20`.
    pub x: Vec<u32>,
    /// What is to be answered at each step `[T,B]`.
    pub y: Vec<u32>,
}

impl CopyMemory {
    /// Tokens: eight symbols, blank, delimiter.
    pub const SYMBOLS: usize = 10;
    /// How many symbols are to be remembered.
    pub const LENGTH: usize = 10;
    const BLANK: u32 = 8;
    const DELIMITER: u32 = 9;

    /// Steps `T` of a sequence.
    pub fn steps(&self) -> usize {
        self.pause + 2 * Self::LENGTH
    }

    /// The cross-entropy in nats per step of remembering nothing.
    pub fn baseline(&self) -> f64 {
        Self::LENGTH as f64 * 8_f64.ln() / self.steps() as f64
    }

    /// The samples `first..first + batch`.
    ///
    /// # Panics
    ///
    /// `pause` is 0.
    pub fn batch(&self, first: u64, batch: usize) -> CopyBatch {
        assert!(self.pause >= 1, "copy memory needs a pause of one step at least");
        let mut x = vec![Self::BLANK; self.steps() * batch];
        let mut y = x.clone();
        let delimiter = Self::LENGTH + self.pause - 1;
        for lane in 0..batch {
            let mut rng = sample_rng(3, self.seed, first.wrapping_add(lane as u64));
            for step in 0..Self::LENGTH {
                let symbol = rng.random_range(0..Self::BLANK);
                x[step * batch + lane] = symbol;
                y[(delimiter + 1 + step) * batch + lane] = symbol;
            }
            x[delimiter * batch + lane] = Self::DELIMITER;
        }
        CopyBatch { x, y }
    }
}

/// A number of a range, the same on every machine.
fn pick(rng: &mut ChaCha8Rng, range: Range<usize>) -> usize {
    rng.random_range(range.start as u64..range.end as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_does_not_depend_on_its_batch() {
        let adding = Adding { steps: 20, seed: 5 };
        let (all, one) = (adding.batch(10, 4), adding.batch(12, 1));
        assert_eq!(all.y[2], one.y[0]);
        for step in 0..20 {
            assert_eq!(all.x[(step * 4 + 2) * 2..][..2], one.x[step * 2..][..2]);
        }
        let order = TemporalOrder::two_symbols(5);
        assert_eq!(order.batch(10, 4).y[2], order.batch(12, 1).y[0]);
        assert_eq!(order.batch(10, 4).lengths[2], order.batch(12, 1).lengths[0]);
        let copy = CopyMemory { pause: 3, seed: 5 };
        let (all, one) = (copy.batch(10, 4), copy.batch(12, 1));
        assert!(all.x.iter().skip(2).step_by(4).eq(&one.x));
        assert_ne!(all, copy.batch(11, 4));
        assert_ne!(all, CopyMemory { pause: 3, seed: 6 }.batch(10, 4));
    }

    #[test]
    fn adding_adds_one_number_of_each_half() {
        let (steps, batch) = (11, 500);
        let made = Adding { steps, seed: 1 }.batch(0, batch);
        for lane in 0..batch {
            let at = |step: usize| &made.x[(step * batch + lane) * 2..][..2];
            let marked: Vec<usize> = (0..steps).filter(|&step| at(step)[1] == 1.0).collect();
            assert!(marked.len() == 2 && marked[0] < 5 && marked[1] >= 5, "{marked:?}");
            assert_eq!(made.y[lane], at(marked[0])[0] + at(marked[1])[0]);
        }
        let error: f32 = made.y.iter().map(|y| (y - 1.0).powi(2)).sum::<f32>() / batch as f32;
        assert!((error - 1.0 / 6.0).abs() < 0.03, "{error}");
    }

    #[test]
    fn temporal_order_names_the_order_of_the_rare_symbols() {
        for (task, classes) in
            [(TemporalOrder::two_symbols(1), 4), (TemporalOrder::three_symbols(1), 8)]
        {
            let batch = 400;
            let made = task.batch(0, batch);
            assert_eq!(task.classes(), classes);
            for lane in 0..batch {
                let symbols: Vec<u32> =
                    (0..made.lengths[lane]).map(|step| made.x[step * batch + lane]).collect();
                assert!((100..=110).contains(&symbols.len()));
                assert_eq!((symbols[0], symbols[symbols.len() - 1]), (6, 7));
                let rare: Vec<usize> =
                    (0..symbols.len()).filter(|&s| matches!(symbols[s], 4 | 5)).collect();
                assert_eq!(rare.len(), task.windows.len());
                let mut class = 0;
                for (&step, &(start, end)) in rare.iter().zip(&task.windows) {
                    assert!((start..=end).contains(&step));
                    class = 2 * class + symbols[step] - 4;
                }
                assert_eq!(made.y[lane], class);
            }
            assert!((0..classes as u32).all(|class| made.y.contains(&class)));
        }
    }

    #[test]
    fn copy_memory_repeats_after_the_delimiter() {
        let task = CopyMemory { pause: 5, seed: 1 };
        let made = task.batch(0, 1);
        assert_eq!((made.x.len(), made.y.len()), (25, 25));
        assert!(made.x[..10].iter().all(|&symbol| symbol < 8));
        assert_eq!(made.x[10..15], [8, 8, 8, 8, 9]);
        assert!(made.x[15..].iter().chain(&made.y[..15]).all(|&symbol| symbol == 8));
        assert_eq!(made.y[15..], made.x[..10]);
        assert!((task.baseline() - 10.0 * 8_f64.ln() / 25.0).abs() < 1e-12);
    }
}
