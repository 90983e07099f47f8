//! Nested brackets: which of them must close next?

use super::sample_rng;
use crate::loss::IGNORE;
use rand::RngExt;

/// Well-nested brackets of several kinds, never deeper than `deepest` (a bounded Dyck language).
///
/// At each closing bracket its kind is asked before it is shown: it is the kind of the last one that is
/// still open, which may be long past.
#[derive(Clone, Copy, Debug)]
pub struct Brackets {
    /// Kinds of brackets.
    pub kinds: usize,
    /// The most that are open at a time.
    pub deepest: usize,
    /// Steps `T`, even.
    pub steps: usize,
    /// The seed.
    pub seed: u64,
}

/// A batch of nested brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BracketBatch {
    /// Brackets `[T,B]`: kind `k` opens as `k` and closes as `kinds + k`.
    pub x: Vec<u32>,
    /// Where a closing bracket comes next, its kind `[T,B]`; else [`IGNORE`].
    pub y: Vec<u32>,
}

impl Brackets {
    /// The samples `first..first + batch`.
    ///
    /// # Panics
    /// There is no kind or no depth, or the number of steps is odd.
    pub fn batch(&self, first: u64, batch: usize) -> BracketBatch {
        assert!(self.kinds > 0 && self.deepest > 0, "brackets of some kind and depth");
        assert!(self.steps.is_multiple_of(2), "every bracket that opens closes");
        let (mut x, mut y) = (vec![0; self.steps * batch], vec![IGNORE; self.steps * batch]);
        for lane in 0..batch {
            let mut rng = sample_rng(6, self.seed, first.wrapping_add(lane as u64));
            let mut open: Vec<u32> = vec![];
            for step in 0..self.steps {
                let must_open = open.is_empty();
                let must_close = open.len() == self.deepest || open.len() == self.steps - step;
                let opens = must_open || !must_close && rng.random_range(0..2) == 0;
                let kinds = self.kinds as u32;
                x[step * batch + lane] = match open.pop() {
                    Some(kind) if !opens => {
                        if step > 0 {
                            y[(step - 1) * batch + lane] = kind;
                        }
                        kinds + kind
                    }
                    last => {
                        open.extend(last);
                        let kind = rng.random_range(0..kinds);
                        open.push(kind);
                        kind
                    }
                };
            }
        }
        BracketBatch { x, y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_nest_and_the_asked_kind_is_the_last_open_one() {
        let task = Brackets { kinds: 3, deepest: 4, steps: 40, seed: 1 };
        let batch = 30;
        let made = task.batch(5, batch);
        let mut deepest = 0;
        for lane in 0..batch {
            let mut open = vec![];
            for step in 0..task.steps {
                let bracket = made.x[step * batch + lane];
                let asked = if step > 0 { made.y[(step - 1) * batch + lane] } else { IGNORE };
                if bracket < 3 {
                    assert_eq!(asked, IGNORE);
                    open.push(bracket);
                } else {
                    assert_eq!(open.pop(), Some(bracket - 3));
                    assert_eq!(asked, bracket - 3);
                }
                deepest = deepest.max(open.len());
            }
            assert!(open.is_empty());
        }
        assert_eq!(deepest, 4);
    }
}
