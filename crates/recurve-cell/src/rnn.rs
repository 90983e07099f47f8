//! The vanilla recurrent network (Elman 1990).
//!
//! ```text
//! h = φ(w x + r h' + b)        φ is tanh, or max(0, ·) (Le, Jaitly & Hinton 2015)
//! ```

use crate::{Cell, Lanes};

/// The activation of a vanilla cell, such as [`Tanh`] or [`Relu`].
pub trait Activation: Copy + Send + Sync + 'static {
    /// `φ(sum)`.
    fn forward<V: Lanes>(self, sum: V) -> V;
    /// `φ'(sum)`, from `h = φ(sum)`.
    fn derivative<V: Lanes>(self, h: V) -> V;
}

/// The hyperbolic tangent: `h` stays between -1 and 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tanh;

/// `max(0, ·)`: the derivative is 1 or 0 (0 at the kink), and `h` is unbounded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Relu;

impl Activation for Tanh {
    #[inline(always)]
    fn forward<V: Lanes>(self, sum: V) -> V {
        sum.tanh()
    }
    #[inline(always)]
    fn derivative<V: Lanes>(self, h: V) -> V {
        h.like(1.0) - h * h
    }
}

impl Activation for Relu {
    #[inline(always)]
    fn forward<V: Lanes>(self, sum: V) -> V {
        sum.relu()
    }
    #[inline(always)]
    fn derivative<V: Lanes>(self, h: V) -> V {
        h.positive()
    }
}

/// The vanilla cell. One column, one state `h`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rnn<A: Activation = Tanh>(pub A);

impl<A: Activation> Cell for Rnn<A> {
    type Columns<V: Lanes> = [V; 1];
    type States<V: Lanes> = [V; 1];
    type Peepholes<V: Lanes> = [V; 0];
    const INPUT: &'static [usize] = &[0];
    const RECURRENT: &'static [usize] = &[0];

    #[inline(always)]
    fn forward<V: Lanes>(self, [sum]: [V; 1], _: [V; 0], _: [V; 1]) -> ([V; 1], [V; 1]) {
        let h = self.0.forward(sum);
        ([h], [h])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [h]: [V; 1],
        _: [V; 0],
        _: [V; 1],
        _: [V; 1],
        [dh]: [V; 1],
    ) -> ([V; 1], [V; 1]) {
        ([dh * self.0.derivative(h)], [h.like(0.0)])
    }
}
