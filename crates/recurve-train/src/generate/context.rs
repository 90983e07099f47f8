//! Tags that depend on what stands before a step, behind it, or on both sides.

use super::sample_rng;
use rand::RngExt;

/// Which neighbours of a step decide its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those before it.
    Past,
    /// Those after it.
    Future,
    /// Both.
    Both,
}

/// Sequences of bits; a step is tagged 1 where most of the bits within `reach` steps on one side, or on
/// both, are 1.
///
/// Where the future decides, a network that has only read the past can do no better than guess.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Which neighbours count.
    pub side: Side,
    /// How many steps on each side, an odd number.
    pub reach: usize,
    /// Steps `T`.
    pub steps: usize,
    /// The seed.
    pub seed: u64,
}

/// A batch of tagged bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextBatch {
    /// Bits `[T,B]`.
    pub x: Vec<u32>,
    /// Tags `[T,B]`, 0 or 1.
    pub y: Vec<u32>,
}

impl Context {
    /// The samples `first..first + batch`.
    ///
    /// # Panics
    /// `reach` is even: there could be as many ones as zeros.
    pub fn batch(&self, first: u64, batch: usize) -> ContextBatch {
        assert!(self.reach % 2 == 1, "an odd number of neighbours has a majority");
        let (mut x, mut y) = (vec![0; self.steps * batch], vec![0; self.steps * batch]);
        for lane in 0..batch {
            let mut rng = sample_rng(5, self.seed, first.wrapping_add(lane as u64));
            // Bits beyond both ends, which decide there and are not shown: with them every tag is as
            // likely as the other.
            let all = self.steps + 2 * self.reach;
            let bits: Vec<u32> = (0..all).map(|_| rng.random_range(0..2)).collect();
            for step in 0..self.steps {
                let at = step + self.reach;
                let past: u32 = bits[at - self.reach..at].iter().sum();
                let future: u32 = bits[at + 1..=at + self.reach].iter().sum();
                let (ones, of) = match self.side {
                    Side::Past => (past, self.reach),
                    Side::Future => (future, self.reach),
                    // The step's own bit makes the number odd.
                    Side::Both => (past + bits[at] + future, 2 * self.reach + 1),
                };
                x[step * batch + lane] = bits[at];
                y[step * batch + lane] = u32::from(2 * ones as usize > of);
            }
        }
        ContextBatch { x, y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_majority_of_its_side() {
        let (steps, reach) = (30, 3);
        for side in [Side::Past, Side::Future, Side::Both] {
            let made = Context { side, reach, steps, seed: 1 }.batch(4, 1);
            let ones = |range: std::ops::RangeInclusive<usize>| made.x[range].iter().sum::<u32>();
            for at in reach..steps - reach {
                let (past, future) = (ones(at - reach..=at - 1), ones(at + 1..=at + reach));
                let tag = match side {
                    Side::Past => past >= 2,
                    Side::Future => future >= 2,
                    Side::Both => past + made.x[at] + future >= 4,
                };
                assert_eq!(made.y[at], u32::from(tag), "{side:?} at {at}");
            }
        }
    }

    #[test]
    fn tags_are_balanced() {
        let made = Context { side: Side::Future, reach: 3, steps: 40, seed: 2 }.batch(0, 200);
        let ones = made.y.iter().sum::<u32>();
        assert!((3_700..4_300).contains(&ones), "{ones}");
    }
}
