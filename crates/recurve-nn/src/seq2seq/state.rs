//! What decoding carries from token to token.

use super::attend::Memory;
use super::flows::States;
use recurve_kernels::Element;

/// Sources that were read: what attention looks at, and where decoding starts.
#[derive(Clone, Debug)]
pub struct Encoded<E> {
    pub(super) memory: Memory<E>,
    /// The first states of each sequence, of all layers side by side.
    pub(super) bridged: Vec<E>,
}

impl<E> Encoded<E> {
    /// How many sources there are.
    pub fn sources(&self) -> usize {
        self.memory.starts.len() - 1
    }
    /// Steps of a source that attention sees.
    pub fn steps(&self, source: usize) -> usize {
        self.memory.steps(source).len()
    }
}

/// Hypotheses that are written, each for a source: several may be for the same. A hypothesis is a row; it
/// can be copied, and left out, by [`Decoding::select`].
#[derive(Clone, Debug)]
pub struct Decoding<E> {
    /// The source of each row.
    pub(super) sources: Vec<usize>,
    /// The states of each layer.
    pub(super) states: Vec<States<E>>,
    pub(super) hidden: usize,
    /// The attentional vector of each row `[N, A]`.
    pub(super) vectors: Vec<E>,
    /// The weights of the last step of each row `[heads, steps]`; empty before the first.
    pub(super) weights: Vec<Vec<E>>,
}

impl<E: Element> Decoding<E> {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.sources.len()
    }
    /// The source of a row.
    pub fn source(&self, row: usize) -> usize {
        self.sources[row]
    }
    /// What a row looked at in its last step: a weight for each step of its source and head,
    /// `[heads, steps]`; empty before the first step. The weights of a head add up to 1.
    pub fn attention(&self, row: usize) -> &[E] {
        &self.weights[row]
    }

    /// Keeps these rows in this order; a row may be named many times, and then goes on many times.
    ///
    /// # Panics
    /// Where there is no such row.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let (count, width) = (self.rows(), self.vectors.len() / self.rows().max(1));
        let pick = |values: &[E], width: usize| -> Vec<E> {
            rows.iter().flat_map(|row| values[row * width..][..width].iter().copied()).collect()
        };
        let states = self.states.iter().map(|states| {
            let size = (count * self.hidden).max(1);
            let part = |values: &Vec<E>| {
                values.chunks_exact(size).flat_map(|state| pick(state, self.hidden)).collect()
            };
            [part(&states[0]), part(&states[1])]
        });
        Self {
            sources: rows.iter().map(|row| self.sources[*row]).collect(),
            states: states.collect(),
            hidden: self.hidden,
            vectors: pick(&self.vectors, width),
            weights: rows.iter().map(|row| self.weights[*row].clone()).collect(),
        }
    }
}
