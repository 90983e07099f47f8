//! The vanilla recurrent network (Elman 1990).
//!
//! ```text
//! h = φ(w x + r h' + b)        φ is tanh, or max(0, ·) (Le, Jaitly & Hinton 2015), or what is chosen
//! ```

use crate::{Activation, Activations, Cell, Chosen, Lanes, Role, Tanh};

/// The vanilla cell. One column, one state `h`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rnn<A = Tanh>(pub A);

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

/// The candidate's function of a choice, its sum within bounds: what a vanilla cell takes of it.
impl Activation for Chosen {
    #[inline(always)]
    fn forward<V: Lanes>(self, sum: V) -> V {
        let [value] = self.values([Role::Candidate], [sum]);
        value
    }
    #[inline(always)]
    fn derivative<V: Lanes>(self, y: V) -> V {
        let [derivative] = self.derivatives([Role::Candidate], [y]);
        derivative
    }
}
