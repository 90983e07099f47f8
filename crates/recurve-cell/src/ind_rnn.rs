//! The independently recurrent network (Li, Li, Cook, Zhu & Gao 2018): a unit sees its own past only.
//!
//! ```text
//! h = φ(w x + u∘h' + b)        φ is max(0, ·), or tanh; u is a vector
//! ```
//!
//! Units of a layer meet in the layer above. With one weight per unit, how long a unit remembers is read
//! off that weight: over T steps it passes `u^T` of an error, so `|u| ≤ 2^(1/T)` bounds what explodes, and
//! a rectifier lets deep stacks of such layers train. There is no recurrent product: nothing waits for the
//! step before but a multiplication.

use crate::{Activation, Cell, Lanes, Relu};

/// The independently recurrent cell. One column, one state `h`, one weight `u` per unit.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndRnn<A = Relu>(pub A);

impl<A: Activation> Cell for IndRnn<A> {
    type Columns<V: Lanes> = [V; 1];
    type States<V: Lanes> = [V; 1];
    type Peepholes<V: Lanes> = [V; 1];
    const INPUT: &'static [usize] = &[0];
    const RECURRENT: &'static [usize] = &[];

    #[inline(always)]
    fn forward<V: Lanes>(self, [sum]: [V; 1], [u]: [V; 1], [h]: [V; 1]) -> ([V; 1], [V; 1]) {
        let h = self.0.forward(u.mul_add(h, sum));
        ([h], [h])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [h]: [V; 1],
        [u]: [V; 1],
        _: [V; 1],
        _: [V; 1],
        [dh]: [V; 1],
    ) -> ([V; 1], [V; 1]) {
        let d = dh * self.0.derivative(h);
        ([d], [d * u])
    }

    #[inline(always)]
    fn peepholes_backward<V: Lanes>(self, [d]: [V; 1], [h]: [V; 1], _: [V; 1]) -> [V; 1] {
        [d * h]
    }
}
