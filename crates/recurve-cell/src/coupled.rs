//! The LSTM with coupled input and forget gates (Greff et al. 2017, section 3): what is written
//! replaces what is forgotten, with one gate less to learn.
//!
//! ```text
//! i = σ(w_i x + r_i h' + p_i∘c' + b_i)      how much of the cell state to replace
//! g = tanh(w_g x + r_g h' + b_g)            the candidate
//! c = (1 − i)∘c' + i∘g                      the cell state: between the old one and the candidate
//! o = σ(w_o x + r_o h' + p_o∘c + b_o)       how much of the cell state to show
//! h = o∘tanh(c)
//! ```

use crate::{Activations, Cell, Group, Lanes, Peephole, Role, Sightless, Standard};

/// The LSTM cell with `f = 1 − i`. Columns i g o, states h c, peepholes i o.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoupledLstm<P: Peephole = Sightless, A: Activations = Standard>(pub P, pub A);

impl<P: Peephole, A: Activations> Cell for CoupledLstm<P, A> {
    type Columns<V: Lanes> = [V; 3];
    type States<V: Lanes> = [V; 2];
    type Peepholes<V: Lanes> = P::Weights<V, 2>;
    const INPUT: &'static [usize] = &[0, 1, 2];
    const RECURRENT: &'static [usize] = &[0, 1, 2];

    #[inline(always)]
    fn forward<V: Lanes>(
        self,
        [i, g, o]: [V; 3],
        p: Self::Peepholes<V>,
        [_, c_before]: [V; 2],
    ) -> ([V; 3], [V; 2]) {
        let sums = [P::add(i, p, 0, c_before), g];
        let [i, g] = self.1.values([Role::Gate, Role::Candidate], sums);
        let c = self.1.bounded((i.like(1.0) - i).mul_add(c_before, i * g));
        let [o, shown] = self.1.values([Role::Gate, Role::Output], [P::add(o, p, 1, c), c]);
        ([i, g, o], [o * shown, c])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [i, g, o]: [V; 3],
        p: Self::Peepholes<V>,
        [_, c_before]: [V; 2],
        [_, c]: [V; 2],
        [dh, dc]: [V; 2],
    ) -> ([V; 3], [V; 2]) {
        let [shown] = self.1.values([Role::Output], [c]);
        let [slope_i, slope_g, slope_o, slope_c] = self
            .1
            .derivatives([Role::Gate, Role::Candidate, Role::Gate, Role::Output], [i, g, o, shown]);
        let d_o = dh * shown * slope_o;
        let dc = (dh * o).mul_add(slope_c, dc);
        let dc = self.1.bounded_backward(c, P::add(dc, p, 1, d_o));
        let d_i = dc * (g - c_before) * slope_i;
        let d_g = dc * i * slope_g;
        let dc_before = P::add(dc * (c.like(1.0) - i), p, 0, d_i);
        ([d_i, d_g, d_o], [c.like(0.0), dc_before])
    }

    #[inline(always)]
    fn peepholes_backward<V: Lanes>(
        self,
        [d_i, _, d_o]: [V; 3],
        [_, c_before]: [V; 2],
        [_, c]: [V; 2],
    ) -> Self::Peepholes<V> {
        let d = [d_i * c_before, d_o * c];
        Group::from_fn(|at| d[at])
    }
}
