//! Where training stands in the data, exactly enough to go on from there.
//!
//! The order of an epoch is a function of the seed and the epoch's number alone, not of a generator
//! that was carried along. So a [`Position`] of two numbers resumes the order bit for bit.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How many batches have been taken: whole epochs, and batches of the current one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Epochs completed.
    pub epoch: u64,
    /// Batches taken in the current epoch.
    pub batch: u64,
}

impl Position {
    /// Counts one batch of an epoch of `batches`; true where that ended the epoch.
    pub fn advance(&mut self, batches: usize) -> bool {
        self.batch += 1;
        let ended = self.batch >= batches as u64;
        if ended {
            *self = Self { epoch: self.epoch + 1, batch: 0 };
        }
        ended
    }
}

/// The numbers `0..count` in the random order of this seed and epoch (Fisher-Yates).
pub fn shuffled(seed: u64, epoch: u64, count: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, rng.random_range(0..=last as u64) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_permutation_of_its_seed_and_epoch() {
        let order = shuffled(7, 3, 100);
        assert_eq!(order, shuffled(7, 3, 100));
        assert_ne!(order, shuffled(7, 4, 100));
        assert_ne!(order, shuffled(8, 3, 100));
        let mut sorted = order;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..100));
        assert!(shuffled(7, 0, 0).is_empty());
    }

    #[test]
    fn a_position_counts_epochs() {
        let mut position = Position::default();
        let ends: Vec<bool> = (0..5).map(|_| position.advance(2)).collect();
        assert_eq!(ends, [false, true, false, true, false]);
        assert_eq!(position, Position { epoch: 2, batch: 1 });
    }
}
