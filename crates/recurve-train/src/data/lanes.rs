//! Contiguous batches for truncated backpropagation through time.
//!
//! The stream of tokens is cut into `B` lanes of equal length that lie one after the other in the
//! text. Batch `k` holds steps `kT..(k+1)T` of every lane, so it continues batch `k - 1` lane by
//! lane and the state can be carried over. The last batch of an epoch is shorter where `T` does not
//! divide the lane; nothing is padded. Fewer than `B` tokens at the end fit into no lane and are
//! left out; [`Lanes::unused`] says how many.

use crate::error::{Error, Result};

/// A token stream cut into lanes.
#[derive(Clone, Copy, Debug)]
pub struct Lanes<'a> {
    tokens: &'a [u32],
    lanes: usize,
    steps: usize,
}

/// Inputs and the tokens that follow them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBatch {
    /// Steps `T` in this batch; less than asked only in the last batch of an epoch.
    pub steps: usize,
    /// Inputs `[T,B]`.
    pub x: Vec<u32>,
    /// The next token of each input `[T,B]`.
    pub y: Vec<u32>,
}

impl<'a> Lanes<'a> {
    /// Cuts a stream into `lanes` (`B`) lanes, read `steps` (`T`) at a time.
    ///
    /// # Errors
    ///
    /// Either number is zero, or there are too few tokens for one step in every lane.
    pub fn new(tokens: &'a [u32], lanes: usize, steps: usize) -> Result<Self> {
        if lanes == 0 || steps == 0 {
            return Err(Error::usage("batch size and steps must be at least 1"));
        }
        if tokens.len() <= lanes {
            return Err(Error::usage(format!(
                "{} tokens are too few for a batch of {lanes}, expected at least {}; give more text \
                 or a smaller batch",
                tokens.len(),
                lanes + 1
            )));
        }
        Ok(Self { tokens, lanes, steps })
    }

    /// Steps in a whole lane.
    pub fn lane_steps(&self) -> usize {
        (self.tokens.len() - 1) / self.lanes
    }

    /// Batches in an epoch.
    pub fn batches(&self) -> usize {
        self.lane_steps().div_ceil(self.steps)
    }

    /// Tokens predicted in an epoch.
    pub fn predicted(&self) -> usize {
        self.lane_steps() * self.lanes
    }

    /// Tokens at the end of the stream that are never predicted; fewer than there are lanes.
    pub fn unused(&self) -> usize {
        self.tokens.len() - 1 - self.predicted()
    }

    /// A batch, `index < batches()`. State is carried from the batch before it; batch 0 starts
    /// from the initial state.
    pub fn batch(&self, index: usize) -> TokenBatch {
        let start = index * self.steps;
        let steps = self.steps.min(self.lane_steps() - start);
        let mut x = Vec::with_capacity(steps * self.lanes);
        let mut y = Vec::with_capacity(steps * self.lanes);
        for step in start..start + steps {
            for lane in 0..self.lanes {
                let at = lane * self.lane_steps() + step;
                x.push(self.tokens[at]);
                y.push(self.tokens[at + 1]);
            }
        }
        TokenBatch { steps, x, y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lanes_by_hand() {
        let tokens: Vec<u32> = (0..12).collect();
        let lanes = Lanes::new(&tokens, 2, 3).unwrap();
        assert_eq!((lanes.batches(), lanes.predicted(), lanes.unused()), (2, 10, 1));
        let first = TokenBatch { steps: 3, x: vec![0, 5, 1, 6, 2, 7], y: vec![1, 6, 2, 7, 3, 8] };
        let last = TokenBatch { steps: 2, x: vec![3, 8, 4, 9], y: vec![4, 9, 5, 10] };
        assert_eq!([lanes.batch(0), lanes.batch(1)], [first, last]);
        assert!(Lanes::new(&tokens, 12, 3).is_err());
        assert!(Lanes::new(&tokens, 0, 3).is_err() && Lanes::new(&tokens, 2, 0).is_err());
    }

    proptest! {
        #[test]
        fn every_token_but_the_unused_is_predicted_once(
            count in 2_u32..300, lanes in 1_usize..9, steps in 1_usize..20,
        ) {
            let tokens: Vec<u32> = (0..count).collect();
            prop_assume!(tokens.len() > lanes);
            let cut = Lanes::new(&tokens, lanes, steps).unwrap();
            let mut last: Vec<u32> = Vec::new();
            let mut predicted: Vec<u32> = Vec::new();
            for index in 0..cut.batches() {
                let batch = cut.batch(index);
                prop_assert_eq!(batch.x.len(), batch.steps * lanes);
                if !last.is_empty() {
                    prop_assert_eq!(&batch.x[..lanes], &last[..], "lane by lane");
                }
                last = batch.y[batch.y.len() - lanes..].to_vec();
                predicted.extend(&batch.y);
            }
            predicted.sort_unstable();
            prop_assert!(cut.unused() < lanes);
            prop_assert!(predicted.into_iter().eq(1..=cut.predicted() as u32));
        }
    }
}
