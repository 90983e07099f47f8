//! The minimal gated unit (Zhou, Wu, Zhang & Zhou 2016): a GRU whose one gate both hides and replaces.
//!
//! ```text
//! f = σ(w_f x + r_f h' + b_f)            how much of the past is replaced, and seen by the candidate
//! n = tanh(w_n x + r_n (f∘h') + b_n)     the candidate
//! h = (1 − f)∘h' + f∘n
//! ```

use crate::{Cell, Lanes};

/// The minimal gated unit. Gates f n, columns `n_x f n_h`, one state `h`.
///
/// The two parts of the candidate stand apart, so that one has room, on the way back, for the part of the
/// gate's gradient that is known before the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct MinimalGated;

impl Cell for MinimalGated {
    type Columns<V: Lanes> = [V; 3];
    type States<V: Lanes> = [V; 1];
    type Peepholes<V: Lanes> = [V; 0];
    const INPUT: &'static [usize] = &[1, 0];
    const RECURRENT: &'static [usize] = &[0, 1];
    const SECOND: usize = 1;

    #[inline(always)]
    fn operand<V: Lanes>(self, [n_x, f, n_h]: [V; 3], [h_before]: [V; 1]) -> ([V; 3], V) {
        let f = f.sigmoid();
        ([n_x, f, n_h], f * h_before)
    }

    #[inline(always)]
    fn operand_backward<V: Lanes>(
        self,
        [d_gate, f, d_n]: [V; 3],
        [h_before]: [V; 1],
        d_operand: V,
    ) -> ([V; 3], V) {
        let d_f = d_operand.mul_add(h_before, d_gate) * f * (f.like(1.0) - f);
        ([d_n, d_f, d_n], d_operand * f)
    }

    #[inline(always)]
    fn forward<V: Lanes>(
        self,
        [n_x, f, n_h]: [V; 3],
        _: [V; 0],
        [h_before]: [V; 1],
    ) -> ([V; 3], [V; 1]) {
        let n = (n_x + n_h).tanh();
        ([n, f, n], [f.mul_add(n, (f.like(1.0) - f) * h_before)])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [n, f, _]: [V; 3],
        _: [V; 0],
        [h_before]: [V; 1],
        _: [V; 1],
        [dh]: [V; 1],
    ) -> ([V; 3], [V; 1]) {
        let one = f.like(1.0);
        ([dh * (n - h_before), f, dh * f * (one - n * n)], [dh * (one - f)])
    }
}
