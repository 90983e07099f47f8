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
    /// `[T, B]`: whether a new sequence starts at this step, so that the states before it are the initial
    /// ones: zero, or learned.
    pub resets: Option<&'a [bool]>,
    /// `[T, B]`: whether there is something at this step. What is not there is not read, gives no output
    /// and leaves all states as they are; a reset there happens before the next step that is there.
    pub mask: Option<&'a [bool]>,
}

/// The input of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a, E> {
    /// `[T, B, I]` numbers.
    Values(&'a [E]),
    /// `[T, B]` tokens.
    Tokens(&'a [u32]),
    /// `[T, B]` words.
    Words(Words<'a>),
}

/// Words of a batch: each has a token and a form, and a form has letters. Words that are written alike
/// share a form, so that its letters are read once.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// `[T, B]`: the token of each word.
    pub tokens: &'a [u32],
    /// `[T, B]`: the form of each word, below `F`.
    pub forms: &'a [u32],
    /// `[letters of the longest form, F]`.
    pub letters: &'a [u32],
    /// `[F]`: the letters of each form, at least 1.
    pub lengths: &'a [usize],
}

impl<'a, E> Batch<'a, E> {
    /// `batch` sequences of `steps` steps.
    pub fn new(steps: usize, batch: usize, input: Input<'a, E>) -> Self {
        Self { steps, batch, input, lengths: None, resets: None, mask: None }
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
    /// The same with steps that are not there.
    #[must_use]
    pub fn mask(self, mask: &'a [bool]) -> Self {
        Self { mask: Some(mask), ..self }
    }
}

/// How a batch is laid out inside: the longest sequence first, and one row for each real step.
///
/// Steps that a mask leaves out have no row: for the layers, a sequence is as long as it has real steps.
#[derive(Clone, Debug)]
pub struct Order {
    steps: Steps,
    /// The caller's sequence at each place.
    sequence: Vec<usize>,
    /// For each row, the row of the mirrored step of the same sequence.
    mirror: Vec<usize>,
    /// For each row, the caller's step, where a mask makes it another than the layers'.
    times: Vec<usize>,
    given: (usize, usize, Option<Vec<usize>>, Option<Vec<bool>>),
}

impl Order {
    pub(crate) fn new(
        steps: usize,
        batch: usize,
        lengths: Option<&[usize]>,
        mask: Option<&[bool]>,
    ) -> Result<Self> {
        let given = (steps, batch, lengths.map(<[usize]>::to_vec), mask.map(<[bool]>::to_vec));
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
        // The caller's steps of each sequence, where they are not simply the first.
        let real: Option<Vec<Vec<usize>>> = mask.map(|mask| {
            let steps = |b: usize| (0..lengths[b]).filter(move |t| mask[t * batch + b]).collect();
            (0..batch).map(steps).collect()
        });
        let lengths = match &real {
            Some(real) => real.iter().map(Vec::len).collect(),
            None => lengths,
        };
        let mut sequence: Vec<usize> = (0..batch).collect();
        sequence.sort_by_key(|b| std::cmp::Reverse(lengths[*b]));
        let steps = Steps::of_lengths(sequence.iter().map(|b| lengths[*b]).collect());
        let rows = || (0..steps.count()).flat_map(|t| (0..steps.active(t)).map(move |at| (t, at)));
        let mirror =
            rows().map(|(t, at)| steps.first_row(steps.lengths()[at] - 1 - t) + at).collect();
        let times = match &real {
            Some(real) => rows().map(|(t, at)| real[sequence[at]][t]).collect(),
            None => vec![],
        };
        Ok(Self { steps, sequence, mirror, times, given })
    }

    pub(crate) fn is_of<E>(&self, batch: &Batch<'_, E>) -> bool {
        let (steps, count, lengths, mask) = &self.given;
        (*steps, *count) == (batch.steps, batch.batch)
            && lengths.as_deref() == batch.lengths
            && mask.as_deref() == batch.mask
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

    /// The caller's step of a row that is step `t` of the layers.
    fn time(&self, row: usize, t: usize) -> usize {
        self.times.get(row).copied().unwrap_or(t)
    }

    /// Every row with the caller's step and sequence: `(row, t, b)`.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..self.steps.count()).flat_map(move |t| {
            let first = self.steps.first_row(t);
            (0..self.steps.active(t))
                .map(move |at| (first + at, self.time(first + at, t), self.sequence[at]))
        })
    }

    /// The caller's step and sequence of a row.
    pub(crate) fn place(&self, row: usize) -> (usize, usize) {
        let (t, at) = self.inner_place(row);
        (self.time(row, t), self.sequence[at])
    }

    /// The step of the layers, and the place of its sequence, of a row.
    pub(crate) fn inner_place(&self, row: usize) -> (usize, usize) {
        let (mut low, mut high) = (0, self.steps.count());
        while high - low > 1 {
            let middle = (low + high) / 2;
            if self.steps.first_row(middle) <= row { low = middle } else { high = middle }
        }
        (low, row - self.steps.first_row(low))
    }

    /// The values of the rows out of `[T, B]`.
    pub fn gather<V: Copy>(&self, from: &[V], to: &mut Vec<V>) {
        let batch = self.sequence.len();
        to.clear();
        to.extend(self.places().map(|(_, t, b)| from[t * batch + b]));
    }

    /// Whether a new sequence starts at each row: at its step, or at one before that is not there.
    pub(crate) fn gather_resets(&self, from: &[bool], to: &mut Vec<bool>) {
        let batch = self.sequence.len();
        to.clear();
        for t in 0..self.steps.count() {
            let first = self.steps.first_row(t);
            for at in 0..self.steps.active(t) {
                let last = self.time(first + at, t);
                let before = t.checked_sub(1).map(|t| self.time(self.steps.first_row(t) + at, t));
                let since = before.map_or(0, |before| before + 1);
                to.push((since..=last).any(|t| from[t * batch + self.sequence[at]]));
            }
        }
    }
}
