//! Which sequences are alive at which step.

/// The steps of a batch of sequences of different lengths, the longest first.
///
/// Step `t` concerns the first `active(t)` sequences only. Data of the batch are rows without
/// padding: those of step 0, then those of step 1, and so on, so that time and memory are
/// proportional to the sum of the lengths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    lengths: Vec<usize>,
    active: Vec<usize>,
    first: Vec<usize>,
    before: Vec<usize>,
}

impl Steps {
    /// `batch` sequences of `steps` steps.
    pub fn uniform(steps: usize, batch: usize) -> Self {
        Self::of_lengths(vec![steps; batch])
    }

    /// Sequences of these lengths.
    ///
    /// # Panics
    /// Where the lengths are not sorted, the longest first.
    pub fn of_lengths(lengths: Vec<usize>) -> Self {
        assert!(lengths.is_sorted_by(|a, b| a >= b), "the longest sequence comes first");
        let steps = lengths.first().copied().unwrap_or(0);
        let mut active = vec![0; steps];
        let mut end = lengths.len();
        for (t, active) in active.iter_mut().enumerate() {
            while end > 0 && lengths[end - 1] <= t {
                end -= 1;
            }
            *active = end;
        }
        let running = |counts: &[usize]| {
            let mut sum = 0;
            let sums = counts.iter().map(|n| {
                sum += n;
                sum
            });
            std::iter::once(0).chain(sums).collect::<Vec<_>>()
        };
        Self { first: running(&active), before: running(&lengths), lengths, active }
    }

    /// Steps of the longest sequence.
    pub fn count(&self) -> usize {
        self.active.len()
    }
    /// Sequences, those of length 0 included.
    pub fn batch(&self) -> usize {
        self.lengths.len()
    }
    /// The length of each sequence.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }
    /// Sequences that step `t` concerns.
    pub fn active(&self, t: usize) -> usize {
        self.active.get(t).copied().unwrap_or(0)
    }
    /// The row of sequence 0 at step `t`.
    pub fn first_row(&self, t: usize) -> usize {
        self.first[t]
    }
    /// All rows: the sum of the lengths.
    pub fn rows(&self) -> usize {
        self.first[self.count()]
    }

    /// The sequence where part `at` of `parts` parts of equal work begins.
    pub(crate) fn bound(&self, at: usize, parts: usize) -> usize {
        if at == parts {
            return self.batch();
        }
        let work = self.rows() * at / parts;
        self.before.partition_point(|sum| *sum < work).min(self.batch())
    }
}

#[cfg(test)]
mod tests {
    use super::Steps;

    #[test]
    fn rows_are_those_of_living_sequences() {
        let steps = Steps::of_lengths(vec![4, 2, 2, 1, 0]);
        assert_eq!((0..5).map(|t| steps.active(t)).collect::<Vec<_>>(), [4, 3, 1, 1, 0]);
        assert_eq!((0..5).map(|t| steps.first_row(t)).collect::<Vec<_>>(), [0, 4, 7, 8, 9]);
        assert_eq!((steps.count(), steps.batch(), steps.rows()), (4, 5, 9));
    }

    #[test]
    fn parts_have_nearly_equal_work_and_cover_all() {
        let steps = Steps::of_lengths(vec![10, 9, 5, 5, 4, 3, 2, 2]);
        let bounds: Vec<_> = (0..=2).map(|at| steps.bound(at, 2)).collect();
        assert_eq!((bounds[0], bounds[2]), (0, 8));
        let work: usize = steps.lengths()[..bounds[1]].iter().sum();
        assert!((18..=26).contains(&work), "{work}");
    }
}
