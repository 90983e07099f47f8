//! Batches as callers have them, and the order in which the layers see them.

use crate::error::{Error, Result};
use recurve_kernels::Steps;

/// A batch of sequences, time-major.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a, E> {
    /// Steps of the longest sequence: `T`.
    pub steps: usize,
    /// Sequences: `B`.
    pub batch: usize,
    /// What stands at each step.
    pub input: Input<'a, E>,
    /// Steps of each sequence `[B]`, at most `T`, in any order; all `T` if absent. What stands beyond
    /// a sequence's end is not read.
    pub lengths: Option<&'a [usize]>,
    /// `[T, B]`: whether a new sequence starts at this step, so that the states are zero before it.
    pub resets: Option<&'a [bool]>,
}

/// The input of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a, E> {
    /// `[T, B, I]` numbers.
    Values(&'a [E]),
    /// `[T, B]` tokens.
    Tokens(&'a [u32]),
}

impl<'a, E> Batch<'a, E> {
    /// `batch` sequences of `steps` steps.
    pub fn new(steps: usize, batch: usize, input: Input<'a, E>) -> Self {
        Self { steps, batch, input, lengths: None, resets: None }
    }
    /// The same with lengths.
    #[must_use]
    pub fn lengths(self, lengths: &'a [usize]) -> Self {
        Self { lengths: Some(lengths), ..self }
    }
    /// The same with resets.
    #[must_use]
    pub fn resets(self, resets: &'a [bool]) -> Self {
        Self { resets: Some(resets), ..self }
    }
}

/// How a batch is laid out inside: the longest sequence first, and one row for each real step.
#[derive(Clone, Debug)]
pub struct Order {
    steps: Steps,
    /// The caller's sequence at each place.
    sequence: Vec<usize>,
    /// For each row, the row of the mirrored step of the same sequence.
    mirror: Vec<usize>,
    given: (usize, usize, Option<Vec<usize>>),
}

impl Order {
    pub(crate) fn new(steps: usize, batch: usize, lengths: Option<&[usize]>) -> Result<Self> {
        let given = (steps, batch, lengths.map(<[usize]>::to_vec));
        let lengths = match lengths {
            None => vec![steps; batch],
            Some(lengths) if lengths.len() != batch => {
                let found = lengths.len();
                return Err(Error::new(format!(
                    "{found} lengths for a batch of {batch} sequences"
                )));
            }
            Some(lengths) => lengths.to_vec(),
        };
        if let Some(at) = lengths.iter().position(|length| *length > steps) {
            let length = lengths[at];
            return Err(Error::new(format!(
                "sequence {at} has length {length} in a batch of {steps} steps"
            )));
        }
        let mut sequence: Vec<usize> = (0..batch).collect();
        sequence.sort_by_key(|b| std::cmp::Reverse(lengths[*b]));
        let steps = Steps::of_lengths(sequence.iter().map(|b| lengths[*b]).collect());
        let mirror = (0..steps.count())
            .flat_map(|t| (0..steps.active(t)).map(move |b| (t, b)))
            .map(|(t, b)| steps.first_row(steps.lengths()[b] - 1 - t) + b)
            .collect();
        Ok(Self { steps, sequence, mirror, given })
    }

    pub(crate) fn is_of(&self, steps: usize, batch: usize, lengths: Option<&[usize]>) -> bool {
        let (s, b, l) = &self.given;
        (*s, *b, l.as_deref()) == (steps, batch, lengths)
    }

    /// The steps as the layers see them.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }
    /// Rows: the sum of the lengths.
    pub fn rows(&self) -> usize {
        self.steps.rows()
    }
    /// The caller's sequence at each place.
    pub fn sequences(&self) -> &[usize] {
        &self.sequence
    }
    pub(crate) fn mirror(&self) -> &[usize] {
        &self.mirror
    }
    /// Every row with its step and the caller's sequence: `(row, t, b)`.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..self.steps.count()).flat_map(move |t| {
            let first = self.steps.first_row(t);
            (0..self.steps.active(t)).map(move |at| (first + at, t, self.sequence[at]))
        })
    }

    /// The step and the caller's sequence of a row.
    pub(crate) fn place(&self, row: usize) -> (usize, usize) {
        let (mut low, mut high) = (0, self.steps.count());
        while high - low > 1 {
            let middle = (low + high) / 2;
            if self.steps.first_row(middle) <= row { low = middle } else { high = middle }
        }
        (low, self.sequence[row - self.steps.first_row(low)])
    }

    /// The values of the rows out of `[T, B]`.
    pub fn gather<V: Copy>(&self, from: &[V], to: &mut Vec<V>) {
        let batch = self.sequence.len();
        to.clear();
        to.extend(self.places().map(|(_, t, b)| from[t * batch + b]));
    }
}
