//! The gated recurrent unit (Cho et al. 2014), in both of its forms.
//!
//! ```text
//! r = σ(w_r x + r_r h' + b_r)                 the reset gate: how much of the past the candidate sees
//! z = σ(w_z x + r_z h' + b_z)                 the update gate: how much of the past to keep
//! n = tanh(w_n x + b_n + r∘(r_n h' + b'_n))   the candidate, reset after the product: Gru
//! n = tanh(w_n x + b_n + r_n (r∘h'))          the candidate, reset before the product: GruResetBefore
//! h = (1 − z)∘n + z∘h'
//! ```
//!
//! The paper resets before the product. cuDNN and PyTorch reset after it: then one product with `h'`
//! gives all three gates, but the recurrent part of the candidate, with a bias of its own, stays apart
//! from the input part until the reset gate is known. The paper's first version swaps `z` and `1 − z`;
//! here `z` near 1 always means to keep.

use crate::{Activations, Cell, Lanes, Role, Standard};

/// The GRU cell, reset after the product. Gates r z n, columns `n_x r z n_h`, one state `h`.
///
/// `n_x` is the input part of the candidate and `n_h` its recurrent part. What is kept is `n r z n_h`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gru<A: Activations = Standard>(pub A);

impl<A: Activations> Cell for Gru<A> {
    type Columns<V: Lanes> = [V; 4];
    type States<V: Lanes> = [V; 1];
    type Peepholes<V: Lanes> = [V; 0];
    const INPUT: &'static [usize] = &[2, 0, 1];
    const RECURRENT: &'static [usize] = &[0, 1, 2];

    #[inline(always)]
    fn forward<V: Lanes>(
        self,
        [n_x, r, z, n_h]: [V; 4],
        _: [V; 0],
        [h_before]: [V; 1],
    ) -> ([V; 4], [V; 1]) {
        let [r, z] = self.0.values([Role::Gate; 2], [r, z]);
        let [n] = self.0.values([Role::Candidate], [r.mul_add(n_h, n_x)]);
        ([n, r, z, n_h], [blend(z, n, h_before)])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [n, r, z, n_h]: [V; 4],
        _: [V; 0],
        [h_before]: [V; 1],
        _: [V; 1],
        [dh]: [V; 1],
    ) -> ([V; 4], [V; 1]) {
        let (d_n, d_z, dh_before) = blend_backward(self.0, z, n, h_before, dh);
        let [slope] = self.0.derivatives([Role::Gate], [r]);
        let d_r = d_n * n_h * slope;
        ([d_n, d_r, d_z, d_n * r], [dh_before])
    }
}

/// The GRU cell, reset before the product. Columns r z n, one state `h`.
///
/// The product for the candidate needs `r∘h'`, so it is formed after the reset gate is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct GruResetBefore<A: Activations = Standard>(pub A);

impl<A: Activations> Cell for GruResetBefore<A> {
    type Columns<V: Lanes> = [V; 3];
    type States<V: Lanes> = [V; 1];
    type Peepholes<V: Lanes> = [V; 0];
    const INPUT: &'static [usize] = &[0, 1, 2];
    const RECURRENT: &'static [usize] = &[0, 1, 2];
    const SECOND: usize = 1;

    #[inline(always)]
    fn operand<V: Lanes>(self, [r, z, n]: [V; 3], [h_before]: [V; 1]) -> ([V; 3], V) {
        let [r] = self.0.values([Role::Gate], [r]);
        ([r, z, n], r * h_before)
    }

    #[inline(always)]
    fn operand_backward<V: Lanes>(
        self,
        [r, d_z, d_n]: [V; 3],
        [h_before]: [V; 1],
        d_operand: V,
    ) -> ([V; 3], V) {
        let [slope] = self.0.derivatives([Role::Gate], [r]);
        let d_r = d_operand * h_before * slope;
        ([d_r, d_z, d_n], d_operand * r)
    }

    #[inline(always)]
    fn forward<V: Lanes>(
        self,
        [r, z, n]: [V; 3],
        _: [V; 0],
        [h_before]: [V; 1],
    ) -> ([V; 3], [V; 1]) {
        let [z, n] = self.0.values([Role::Gate, Role::Candidate], [z, n]);
        ([r, z, n], [blend(z, n, h_before)])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [r, z, n]: [V; 3],
        _: [V; 0],
        [h_before]: [V; 1],
        _: [V; 1],
        [dh]: [V; 1],
    ) -> ([V; 3], [V; 1]) {
        let (d_n, d_z, dh_before) = blend_backward(self.0, z, n, h_before, dh);
        ([r, d_z, d_n], [dh_before])
    }
}

/// `h = (1 − z)∘n + z∘h'`.
#[inline(always)]
fn blend<V: Lanes>(z: V, n: V, h_before: V) -> V {
    z.mul_add(h_before, (z.like(1.0) - z) * n)
}

/// From `dh`: the gradients before the activations of `n` and `z`, and the direct part of `dh'`.
#[inline(always)]
fn blend_backward<V: Lanes>(
    functions: impl Activations,
    z: V,
    n: V,
    h_before: V,
    dh: V,
) -> (V, V, V) {
    let [slope_z, slope_n] = functions.derivatives([Role::Gate, Role::Candidate], [z, n]);
    let d_n = dh * (z.like(1.0) - z) * slope_n;
    let d_z = dh * (h_before - n) * slope_z;
    (d_n, d_z, dh * z)
}
