//! The LSTM in two parts, and the GRU with a factor on its candidate: for steps in which something happens
//! between the equations.
//!
//! ```text
//! i = σ(w_i x + r_i h' + p_i∘c' + b_i)      f, g alike
//! c = clip(f∘c' + i∘(m∘g))                  the memory; m drops candidates (Semeniuta, Severyn & Barth 2016)
//! o = σ(w_o x + r_o h' + p_o∘c + b_o)
//! h = o∘tanh(a)                             the output; a is c, or c normalised (Ba, Kiros & Hinton 2016)
//! ```
//!
//! A layer that clips, normalises or drops runs [`Memory`] (or [`CoupledMemory`]), then what is to happen
//! to `c`, then [`Output`]. Without any of that, the two parts give what [`Lstm`](crate::Lstm) gives.

use crate::{Cell, Group, Lanes, Peephole, Sightless};

/// The value between `-limit` and `limit`.
#[inline(always)]
fn clipped<V: Lanes>(value: V, limit: f64) -> V {
    value.smaller(value.like(limit)).larger(value.like(-limit))
}

/// 1 where `clipped` changed nothing, else 0.
#[inline(always)]
fn unclipped<V: Lanes>(value: V, limit: f64) -> V {
    (value.like(limit) - value.abs()).positive()
}

/// The memory of an LSTM. Columns m i f g, the state c, peepholes i f. The first column is not a sum: the
/// layer writes the factors of the candidates there.
#[derive(Clone, Copy, Debug)]
pub struct Memory<P: Peephole = Sightless> {
    /// Whether the gates see the cell state.
    pub peephole: P,
    /// The largest size of `c`; infinite for any.
    pub clip: f64,
}

impl<P: Peephole> Cell for Memory<P> {
    type Columns<V: Lanes> = [V; 4];
    type States<V: Lanes> = [V; 1];
    type Peepholes<V: Lanes> = P::Weights<V, 2>;
    const INPUT: &'static [usize] = &[0, 1, 2];
    const RECURRENT: &'static [usize] = &[0, 1, 2];

    #[inline(always)]
    fn forward<V: Lanes>(
        self,
        [m, i, f, g]: [V; 4],
        p: Self::Peepholes<V>,
        [c_before]: [V; 1],
    ) -> ([V; 4], [V; 1]) {
        let i = P::add(i, p, 0, c_before).sigmoid();
        let f = P::add(f, p, 1, c_before).sigmoid();
        let g = g.tanh();
        let c = f.mul_add(c_before, i * (m * g));
        ([m, i, f, g], [clipped(c, self.clip)])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [m, i, f, g]: [V; 4],
        p: Self::Peepholes<V>,
        [c_before]: [V; 1],
        [c]: [V; 1],
        [dc]: [V; 1],
    ) -> ([V; 4], [V; 1]) {
        let one = c.like(1.0);
        let dc = dc * unclipped(c, self.clip);
        let d_i = dc * (m * g) * i * (one - i);
        let d_f = dc * c_before * f * (one - f);
        let d_g = dc * i * m * (one - g * g);
        let dc_before = P::add(P::add(dc * f, p, 0, d_i), p, 1, d_f);
        ([m, d_i, d_f, d_g], [dc_before])
    }

    #[inline(always)]
    fn peepholes_backward<V: Lanes>(
        self,
        [_, d_i, d_f, _]: [V; 4],
        [c_before]: [V; 1],
        _: [V; 1],
    ) -> Self::Peepholes<V> {
        let d = [d_i * c_before, d_f * c_before];
        Group::from_fn(|at| d[at])
    }
}

/// The memory of an LSTM with `f = 1 − i`. Columns m i g, the state c, peephole i.
#[derive(Clone, Copy, Debug)]
pub struct CoupledMemory<P: Peephole = Sightless> {
    /// Whether the gates see the cell state.
    pub peephole: P,
    /// The largest size of `c`; infinite for any.
    pub clip: f64,
}

impl<P: Peephole> Cell for CoupledMemory<P> {
    type Columns<V: Lanes> = [V; 3];
    type States<V: Lanes> = [V; 1];
    type Peepholes<V: Lanes> = P::Weights<V, 1>;
    const INPUT: &'static [usize] = &[0, 1];
    const RECURRENT: &'static [usize] = &[0, 1];

    #[inline(always)]
    fn forward<V: Lanes>(
        self,
        [m, i, g]: [V; 3],
        p: Self::Peepholes<V>,
        [c_before]: [V; 1],
    ) -> ([V; 3], [V; 1]) {
        let i = P::add(i, p, 0, c_before).sigmoid();
        let g = g.tanh();
        let c = (i.like(1.0) - i).mul_add(c_before, i * (m * g));
        ([m, i, g], [clipped(c, self.clip)])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [m, i, g]: [V; 3],
        p: Self::Peepholes<V>,
        [c_before]: [V; 1],
        [c]: [V; 1],
        [dc]: [V; 1],
    ) -> ([V; 3], [V; 1]) {
        let one = c.like(1.0);
        let dc = dc * unclipped(c, self.clip);
        let d_i = dc * (m * g - c_before) * i * (one - i);
        let d_g = dc * i * m * (one - g * g);
        ([m, d_i, d_g], [P::add(dc * (one - i), p, 0, d_i)])
    }

    #[inline(always)]
    fn peepholes_backward<V: Lanes>(
        self,
        [_, d_i, _]: [V; 3],
        [c_before]: [V; 1],
        _: [V; 1],
    ) -> Self::Peepholes<V> {
        Group::from_fn(|_| d_i * c_before)
    }
}

/// The output of an LSTM. Columns o a, of which the layer writes `a`; from the state c to the state h;
/// peephole o. What is kept is `o tanh(a)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Output<P: Peephole = Sightless>(pub P);

impl<P: Peephole> Cell for Output<P> {
    type Columns<V: Lanes> = [V; 2];
    type States<V: Lanes> = [V; 1];
    type Peepholes<V: Lanes> = P::Weights<V, 1>;
    const INPUT: &'static [usize] = &[0];
    const RECURRENT: &'static [usize] = &[0];

    #[inline(always)]
    fn forward<V: Lanes>(
        self,
        [o, a]: [V; 2],
        p: Self::Peepholes<V>,
        [c]: [V; 1],
    ) -> ([V; 2], [V; 1]) {
        let o = P::add(o, p, 0, c).sigmoid();
        let a = a.tanh();
        ([o, a], [o * a])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [o, a]: [V; 2],
        p: Self::Peepholes<V>,
        _: [V; 1],
        _: [V; 1],
        [dh]: [V; 1],
    ) -> ([V; 2], [V; 1]) {
        let one = o.like(1.0);
        let d_o = dh * a * o * (one - o);
        ([d_o, dh * o * (one - a * a)], [P::add(o.like(0.0), p, 0, d_o)])
    }

    #[inline(always)]
    fn peepholes_backward<V: Lanes>(
        self,
        [d_o, _]: [V; 2],
        [c]: [V; 1],
        _: [V; 1],
    ) -> Self::Peepholes<V> {
        Group::from_fn(|_| d_o * c)
    }
}

/// The GRU, reset after the product, with a factor on its candidate: `h = (1 − z)∘(m∘n) + z∘h'`. Columns
/// m n_x r z n_h, of which the layer writes the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct MaskedGru;

impl Cell for MaskedGru {
    type Columns<V: Lanes> = [V; 5];
    type States<V: Lanes> = [V; 1];
    type Peepholes<V: Lanes> = [V; 0];
    const INPUT: &'static [usize] = &[2, 0, 1];
    const RECURRENT: &'static [usize] = &[0, 1, 2];

    #[inline(always)]
    fn forward<V: Lanes>(
        self,
        [m, n_x, r, z, n_h]: [V; 5],
        _: [V; 0],
        [h_before]: [V; 1],
    ) -> ([V; 5], [V; 1]) {
        let r = r.sigmoid();
        let z = z.sigmoid();
        let n = r.mul_add(n_h, n_x).tanh();
        let h = z.mul_add(h_before, (z.like(1.0) - z) * (m * n));
        ([m, n, r, z, n_h], [h])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [m, n, r, z, n_h]: [V; 5],
        _: [V; 0],
        [h_before]: [V; 1],
        _: [V; 1],
        [dh]: [V; 1],
    ) -> ([V; 5], [V; 1]) {
        let one = z.like(1.0);
        let d_n = dh * (one - z) * m * (one - n * n);
        let d_z = dh * (h_before - m * n) * z * (one - z);
        let d_r = d_n * n_h * r * (one - r);
        ([m, d_n, d_r, d_z, d_n * r], [dh * z])
    }
}
