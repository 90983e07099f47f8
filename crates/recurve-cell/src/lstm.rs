//! Long short-term memory (Hochreiter & Schmidhuber 1997), with the forget gate (Gers, Schmidhuber &
//! Cummins 2000) and, as an option, peepholes (Gers & Schmidhuber 2000).
//!
//! ```text
//! i = σ(w_i x + r_i h' + p_i∘c' + b_i)      how much of the candidate to write
//! f = σ(w_f x + r_f h' + p_f∘c' + b_f)      how much of the old cell state to keep
//! g = tanh(w_g x + r_g h' + b_g)            the candidate
//! c = f∘c' + i∘g                            the cell state
//! o = σ(w_o x + r_o h' + p_o∘c + b_o)       how much of the cell state to show
//! h = o∘tanh(c)
//! ```

use crate::{Activations, Cell, Group, Lanes, Role, Standard};

/// Whether the gates see the cell state: [`Sees`] (peepholes) or [`Sightless`] (none).
pub trait Peephole: Copy + Default + Send + Sync + 'static {
    /// `N` weights, or none.
    type Weights<V: Lanes, const N: usize>: Group<V>;
    /// `sum + weights[at] * c`, or `sum`.
    fn add<V: Lanes, const N: usize>(sum: V, weights: Self::Weights<V, N>, at: usize, c: V) -> V;
}

/// The gates see the cell state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sees;

/// The gates do not see the cell state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sightless;

impl Peephole for Sees {
    type Weights<V: Lanes, const N: usize> = [V; N];
    #[inline(always)]
    fn add<V: Lanes, const N: usize>(sum: V, weights: [V; N], at: usize, c: V) -> V {
        weights[at].mul_add(c, sum)
    }
}

impl Peephole for Sightless {
    type Weights<V: Lanes, const N: usize> = [V; 0];
    #[inline(always)]
    fn add<V: Lanes, const N: usize>(sum: V, _: [V; 0], _: usize, _: V) -> V {
        sum
    }
}

/// The LSTM cell. Columns i f g o, states h c, peepholes i f o.
///
/// σ and tanh may be other functions, sums and the cell state may be bounded: see
/// [`Chosen`](crate::Chosen).
#[derive(Clone, Copy, Debug, Default)]
pub struct Lstm<P: Peephole = Sightless, A: Activations = Standard>(pub P, pub A);

impl<P: Peephole, A: Activations> Cell for Lstm<P, A> {
    type Columns<V: Lanes> = [V; 4];
    type States<V: Lanes> = [V; 2];
    type Peepholes<V: Lanes> = P::Weights<V, 3>;
    const INPUT: &'static [usize] = &[0, 1, 2, 3];
    const RECURRENT: &'static [usize] = &[0, 1, 2, 3];

    #[inline(always)]
    fn forward<V: Lanes>(
        self,
        [i, f, g, o]: [V; 4],
        p: Self::Peepholes<V>,
        [_, c_before]: [V; 2],
    ) -> ([V; 4], [V; 2]) {
        let sums = [P::add(i, p, 0, c_before), P::add(f, p, 1, c_before), g];
        let [i, f, g] = self.1.values([Role::Gate, Role::Gate, Role::Candidate], sums);
        let c = self.1.bounded(f.mul_add(c_before, i * g));
        let [o, shown] = self.1.values([Role::Gate, Role::Output], [P::add(o, p, 2, c), c]);
        ([i, f, g, o], [o * shown, c])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [i, f, g, o]: [V; 4],
        p: Self::Peepholes<V>,
        [_, c_before]: [V; 2],
        [_, c]: [V; 2],
        [dh, dc]: [V; 2],
    ) -> ([V; 4], [V; 2]) {
        let [shown] = self.1.values([Role::Output], [c]);
        let [slope_i, slope_f, slope_g, slope_o, slope_c] = self.1.derivatives(
            [Role::Gate, Role::Gate, Role::Candidate, Role::Gate, Role::Output],
            [i, f, g, o, shown],
        );
        let d_o = dh * shown * slope_o;
        let dc = (dh * o).mul_add(slope_c, dc);
        let dc = self.1.bounded_backward(c, P::add(dc, p, 2, d_o));
        let d_i = dc * g * slope_i;
        let d_f = dc * c_before * slope_f;
        let d_g = dc * i * slope_g;
        let dc_before = P::add(P::add(dc * f, p, 0, d_i), p, 1, d_f);
        ([d_i, d_f, d_g, d_o], [c.like(0.0), dc_before])
    }

    #[inline(always)]
    fn peepholes_backward<V: Lanes>(
        self,
        [d_i, d_f, _, d_o]: [V; 4],
        [_, c_before]: [V; 2],
        [_, c]: [V; 2],
    ) -> Self::Peepholes<V> {
        let d = [d_i * c_before, d_f * c_before, d_o * c];
        Group::from_fn(|at| d[at])
    }
}
