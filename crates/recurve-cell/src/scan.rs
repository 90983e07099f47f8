//! Cells without a recurrent product: their gates depend on the input alone, or on a unit's own state.
//!
//! All products are formed before the loop, for all steps at once; what is left of a step is a handful of
//! operations per unit. The papers run such a loop as a parallel scan over time, which adds in another
//! order: a prefix of a sequence then has other bits than the same steps alone. Here the steps are taken one
//! after the other and units side by side, so streams equal batches to the bit, and the loop costs less than
//! the products anyway.

use crate::{Cell, Lanes};

/// The minimal GRU (Feng, Tung, Ahmed, Bengio & Hajimirsadeghi 2024). Columns z g, one state `h`.
///
/// ```text
/// z = σ(w_z x + b_z)        how much is replaced
/// g = φ(w_g x + b_g)        the candidate: φ(a) = a + ½ for a ≥ 0, σ(a) below
/// h = (1 − z)∘h' + z∘g
/// ```
///
/// φ is the paper's form for the scan in logarithms, where candidates are positive.
#[derive(Clone, Copy, Debug, Default)]
pub struct MinGru;

/// The minimal LSTM (Feng et al. 2024). Columns f i g, one state `h`.
///
/// ```text
/// f = σ(w_f x + b_f)    i = σ(w_i x + b_i)    g = φ(w_g x + b_g), φ as for MinGru
/// h = (f∘h' + i∘g) / (f + i)
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MinLstm;

/// The pooling of the quasi-recurrent network with forget and output gate, "fo" (Bradbury, Merity, Xiong &
/// Socher 2017, equation 4). Columns f z o, states h c.
///
/// ```text
/// f = σ(w_f x + b_f)    z = tanh(w_z x + b_z)    o = σ(w_o x + b_o)
/// c = f∘c' + (1 − f)∘z
/// h = o∘c
/// ```
///
/// In the paper `x` is a window over the last steps of the input: the layer makes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Qrnn;

/// The simple recurrent unit (Lei, Zhang, Wang, Dai & Artzi 2018, equations 1 to 4). Columns u f r x, states
/// h c, own weights v_f v_r.
///
/// ```text
/// u = w_u x + b_u
/// f = σ(w_f x + v_f∘c' + b_f)
/// r = σ(w_r x + v_r∘c' + b_r)
/// c = f∘c' + (1 − f)∘u
/// h = r∘c + (1 − r)∘s
/// ```
///
/// `s` is the input itself in [`Sru`], for as many units as inputs; in [`SruProjected`] it is `w_s x + b_s`,
/// the paper's way where the two differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sru;

/// See [`Sru`]. Gates u f r s.
#[derive(Clone, Copy, Debug, Default)]
pub struct SruProjected;

/// `a + ½` above 0, `σ(a)` below: positive, and as good as linear where it counts.
#[inline(always)]
fn positive_candidate<V: Lanes>(a: V) -> V {
    let above = a.positive();
    above.mul_add(a + a.like(0.5), (a.like(1.0) - above) * a.sigmoid())
}

/// Its derivative, from its value.
#[inline(always)]
fn positive_candidate_derivative<V: Lanes>(g: V) -> V {
    let above = (g - g.like(0.5)).positive();
    let one = g.like(1.0);
    above + (one - above) * g * (one - g)
}

impl Cell for MinGru {
    type Columns<V: Lanes> = [V; 2];
    type States<V: Lanes> = [V; 1];
    type Peepholes<V: Lanes> = [V; 0];
    const INPUT: &'static [usize] = &[0, 1];
    const RECURRENT: &'static [usize] = &[];

    #[inline(always)]
    fn forward<V: Lanes>(self, [z, g]: [V; 2], _: [V; 0], [h]: [V; 1]) -> ([V; 2], [V; 1]) {
        let (z, g) = (z.sigmoid(), positive_candidate(g));
        ([z, g], [z.mul_add(g, (z.like(1.0) - z) * h)])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [z, g]: [V; 2],
        _: [V; 0],
        [h_before]: [V; 1],
        _: [V; 1],
        [dh]: [V; 1],
    ) -> ([V; 2], [V; 1]) {
        let kept = z.like(1.0) - z;
        let d_z = dh * (g - h_before) * z * kept;
        ([d_z, dh * z * positive_candidate_derivative(g)], [dh * kept])
    }
}

impl Cell for MinLstm {
    type Columns<V: Lanes> = [V; 3];
    type States<V: Lanes> = [V; 1];
    type Peepholes<V: Lanes> = [V; 0];
    const INPUT: &'static [usize] = &[0, 1, 2];
    const RECURRENT: &'static [usize] = &[];

    #[inline(always)]
    fn forward<V: Lanes>(self, [f, i, g]: [V; 3], _: [V; 0], [h]: [V; 1]) -> ([V; 3], [V; 1]) {
        let (f, i, g) = (f.sigmoid(), i.sigmoid(), positive_candidate(g));
        ([f, i, g], [f.mul_add(h, i * g) / (f + i)])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [f, i, g]: [V; 3],
        _: [V; 0],
        [h_before]: [V; 1],
        _: [V; 1],
        [dh]: [V; 1],
    ) -> ([V; 3], [V; 1]) {
        let one = f.like(1.0);
        let keep = f / (f + i);
        let write = one - keep;
        let d_share = dh * (h_before - g) * keep * write;
        let d_g = dh * write * positive_candidate_derivative(g);
        ([d_share * (one - f), -d_share * (one - i), d_g], [dh * keep])
    }
}

impl Cell for Qrnn {
    type Columns<V: Lanes> = [V; 3];
    type States<V: Lanes> = [V; 2];
    type Peepholes<V: Lanes> = [V; 0];
    const INPUT: &'static [usize] = &[0, 1, 2];
    const RECURRENT: &'static [usize] = &[];

    #[inline(always)]
    fn forward<V: Lanes>(self, [f, z, o]: [V; 3], _: [V; 0], [_, c]: [V; 2]) -> ([V; 3], [V; 2]) {
        let (f, z, o) = (f.sigmoid(), z.tanh(), o.sigmoid());
        let c = f.mul_add(c, (f.like(1.0) - f) * z);
        ([f, z, o], [o * c, c])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [f, z, o]: [V; 3],
        _: [V; 0],
        [_, c_before]: [V; 2],
        [_, c]: [V; 2],
        [dh, dc]: [V; 2],
    ) -> ([V; 3], [V; 2]) {
        let one = f.like(1.0);
        let d_o = dh * c * o * (one - o);
        let dc = dh.mul_add(o, dc);
        let d_f = dc * (c_before - z) * f * (one - f);
        let d_z = dc * (one - f) * (one - z * z);
        ([d_f, d_z, d_o], [f.like(0.0), dc * f])
    }
}

/// What the two forms of the SRU have in common: from `u f r s`, `v_f v_r` and `c'`.
#[inline(always)]
fn sru<V: Lanes>([u, f, r, s]: [V; 4], [v_f, v_r]: [V; 2], c: V) -> ([V; 4], [V; 2]) {
    let (f, r) = (v_f.mul_add(c, f).sigmoid(), v_r.mul_add(c, r).sigmoid());
    let one = f.like(1.0);
    let c = f.mul_add(c, (one - f) * u);
    ([u, f, r, s], [r.mul_add(c, (one - r) * s), c])
}

/// Its reverse.
#[inline(always)]
fn sru_backward<V: Lanes>(
    [u, f, r, s]: [V; 4],
    [v_f, v_r]: [V; 2],
    [c_before, c]: [V; 2],
    [dh, dc]: [V; 2],
) -> ([V; 4], [V; 2]) {
    let one = f.like(1.0);
    let d_r = dh * (c - s) * r * (one - r);
    let dc = dh.mul_add(r, dc);
    let d_f = dc * (c_before - u) * f * (one - f);
    let dc_before = v_r.mul_add(d_r, v_f.mul_add(d_f, dc * f));
    ([dc * (one - f), d_f, d_r, dh * (one - r)], [f.like(0.0), dc_before])
}

macro_rules! sru {
    ($name:ident, input $input:expr, passed $passed:expr) => {
        impl Cell for $name {
            type Columns<V: Lanes> = [V; 4];
            type States<V: Lanes> = [V; 2];
            type Peepholes<V: Lanes> = [V; 2];
            const INPUT: &'static [usize] = $input;
            const RECURRENT: &'static [usize] = &[];
            const PASSED: bool = $passed;

            #[inline(always)]
            fn forward<V: Lanes>(
                self,
                columns: [V; 4],
                v: [V; 2],
                [_, c]: [V; 2],
            ) -> ([V; 4], [V; 2]) {
                sru(columns, v, c)
            }

            #[inline(always)]
            fn backward<V: Lanes>(
                self,
                kept: [V; 4],
                v: [V; 2],
                [_, c_before]: [V; 2],
                [_, c]: [V; 2],
                d_after: [V; 2],
            ) -> ([V; 4], [V; 2]) {
                sru_backward(kept, v, [c_before, c], d_after)
            }

            #[inline(always)]
            fn peepholes_backward<V: Lanes>(
                self,
                [_, d_f, d_r, _]: [V; 4],
                [_, c_before]: [V; 2],
                _: [V; 2],
            ) -> [V; 2] {
                [d_f * c_before, d_r * c_before]
            }
        }
    };
}
sru!(Sru, input & [0, 1, 2], passed true);
sru!(SruProjected, input & [0, 1, 2, 3], passed false);
