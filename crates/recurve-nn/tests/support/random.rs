//! Small random numbers, the same on every machine.

use recurve_nn::{Description, Element, Model};

/// A generator for test values (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// From 0 to `end - 1`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) % end as u64) as usize
    }

    /// Between `-size` and `size`, exactly an `f32`.
    pub(crate) fn values<E: Element>(&mut self, count: usize, size: f64) -> Vec<E> {
        let scale = 1 << 20;
        let mut draw = || (self.below(2 * scale) as f64 / scale as f64 - 1.0) * size;
        (0..count).map(|_| E::from_f64(f64::from(draw() as f32))).collect()
    }

    /// Tokens of a vocabulary.
    pub(crate) fn tokens(&mut self, count: usize, vocabulary: usize) -> Vec<u32> {
        (0..count).map(|_| self.below(vocabulary) as u32).collect()
    }
}

/// A model with random weights, small enough that its gates stay open.
pub(crate) fn random_model<E: Element>(description: &Description, seed: u64) -> Model<E> {
    let mut model = Model::<E>::new(description.clone()).unwrap();
    let widest = description.stacks().map(|stack| stack.hidden).max();
    let size = (1.0 / widest.unwrap_or(4) as f64).sqrt().min(0.5);
    let values = Random(seed).values(model.values().len(), size);
    model.values_mut().copy_from_slice(&values);
    model
}
