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

use crate::{Cell, Group, Lanes};

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
#[derive(Clone, Copy, Debug, Default)]
pub struct Lstm<P: Peephole = Sightless>(pub P);

impl<P: Peephole> Cell for Lstm<P> {
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
        let i = P::add(i, p, 0, c_before).sigmoid();
        let f = P::add(f, p, 1, c_before).sigmoid();
        let g = g.tanh();
        let c = f.mul_add(c_before, i * g);
        let o = P::add(o, p, 2, c).sigmoid();
        ([i, f, g, o], [o * c.tanh(), c])
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
        let one = c.like(1.0);
        let tanh_c = c.tanh();
        let d_o = dh * tanh_c * o * (one - o);
        let dc = (dh * o).mul_add(one - tanh_c * tanh_c, dc);
        let dc = P::add(dc, p, 2, d_o);
        let d_i = dc * g * i * (one - i);
        let d_f = dc * c_before * f * (one - f);
        let d_g = dc * i * (one - g * g);
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
