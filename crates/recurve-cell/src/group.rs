//! A fixed number of values that belong together: the gates of a unit, its states, its peepholes.

mod sealed {
    pub trait Sealed {}
    impl<V, const N: usize> Sealed for [V; N] {}
}

/// An array whose length the cell chose: `[V; 4]` for the gates of an LSTM, `[V; 0]` for nothing.
///
/// Arrays alone are groups: kernels that read and write memory rely on it that a group has as many
/// values as it says, whatever it is a group of.
pub trait Group<V>: Copy + sealed::Sealed {
    /// How many values.
    const LEN: usize;
    /// Builds the group from the value at each index.
    fn from_fn(value: impl FnMut(usize) -> V) -> Self;
    /// The values in order.
    fn values(&self) -> &[V];
}

impl<V: Copy, const N: usize> Group<V> for [V; N] {
    const LEN: usize = N;
    #[inline(always)]
    fn from_fn(value: impl FnMut(usize) -> V) -> Self {
        core::array::from_fn(value)
    }
    #[inline(always)]
    fn values(&self) -> &[V] {
        self
    }
}
