//! Where sequences begin and end, and in which order they are read.

/// A batch of sequences over the same `T` steps.
///
/// Sequence `b` is real at the steps `0..length(b)`; what lies after is padding, which is neither read
/// nor learned from.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a> {
    /// Steps, `T`.
    pub steps: usize,
    /// Sequences, `B`.
    pub batch: usize,
    /// `[B]` real steps of each sequence, at most `T`; `None` if all have `T`.
    pub lengths: Option<&'a [usize]>,
    /// `[T, B]` true where a new sequence starts at this step: nothing is carried over the border
    /// between this step and the one before it. `None` if there is none.
    pub resets: Option<&'a [bool]>,
    /// Read each sequence from its own last real step to its first.
    pub reverse: bool,
}

impl<'a> Sequences<'a> {
    /// `batch` sequences of `steps` steps, read forward, without resets.
    pub fn new(steps: usize, batch: usize) -> Self {
        Self { steps, batch, lengths: None, resets: None, reverse: false }
    }

    /// The real steps of sequence `b`.
    pub fn length(&self, b: usize) -> usize {
        self.lengths.map_or(self.steps, |lengths| lengths[b])
    }

    /// The steps of sequence `b` in the order in which they are read.
    pub fn order(&self, b: usize) -> impl DoubleEndedIterator<Item = usize> + use<'a> {
        let (length, reverse) = (self.length(b), self.reverse);
        (0..length).map(move |nth| if reverse { length - 1 - nth } else { nth })
    }

    /// Whether step `t` of sequence `b` starts from a zero state, whatever was read before it.
    ///
    /// A border before step `t` is crossed on reading `t` forward, and on reading `t - 1` in reverse.
    pub fn starts_anew(&self, t: usize, b: usize) -> bool {
        let Some(resets) = self.resets else {
            return false;
        };
        if self.reverse {
            t + 1 < self.length(b) && resets[(t + 1) * self.batch + b]
        } else {
            resets[t * self.batch + b]
        }
    }

    pub(super) fn check(&self) {
        let Self { steps, batch, .. } = *self;
        if let Some(lengths) = self.lengths {
            super::check("lengths", lengths.len(), "[B]", batch);
            for (b, &length) in lengths.iter().enumerate() {
                assert!(
                    length <= steps,
                    "lengths[{b}] is {length}, expected at most the {steps} steps of the batch"
                );
            }
        }
        if let Some(resets) = self.resets {
            super::check("resets", resets.len(), "[T, B]", steps * batch);
        }
    }
}
