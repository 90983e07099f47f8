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
//! A layer that normalises or drops candidates runs [`Memory`] (or [`CoupledMemory`]), then what is to happen
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

/// The memory of an LSTM. Columns i f g, the state c, peepholes i f.
#[derive(Clone, Copy, Debug)]
pub struct Memory<P: Peephole = Sightless> {
    /// Whether the gates see the cell state.
    pub peephole: P,
    /// The largest size of `c`; infinite for any.
    pub clip: f64,
}

/// The memory of an LSTM with `f = 1 − i`. Columns i g, the state c, peephole i.
#[derive(Clone, Copy, Debug)]
pub struct CoupledMemory<P: Peephole = Sightless> {
    /// Whether the gates see the cell state.
    pub peephole: P,
    /// The largest size of `c`; infinite for any.
    pub clip: f64,
}

/// A memory with factors of its candidates, in a column before the others. It is not a sum: the layer writes
/// the factors there.
#[derive(Clone, Copy, Debug)]
pub struct Masked<M>(pub M);

impl<P: Peephole> Memory<P> {
    #[inline(always)]
    fn remember<V: Lanes>(
        self,
        m: V,
        [i, f, g]: [V; 3],
        p: P::Weights<V, 2>,
        c_before: V,
    ) -> ([V; 3], [V; 1]) {
        let i = P::add(i, p, 0, c_before).sigmoid();
        let f = P::add(f, p, 1, c_before).sigmoid();
        let g = g.tanh();
        let c = f.mul_add(c_before, i * (m * g));
        ([i, f, g], [clipped(c, self.clip)])
    }

    #[inline(always)]
    fn back<V: Lanes>(
        self,
        m: V,
        [i, f, g]: [V; 3],
        p: P::Weights<V, 2>,
        [c_before, c, dc]: [V; 3],
    ) -> ([V; 3], [V; 1]) {
        let one = c.like(1.0);
        let dc = dc * unclipped(c, self.clip);
        let d_i = dc * (m * g) * i * (one - i);
        let d_f = dc * c_before * f * (one - f);
        let d_g = dc * i * m * (one - g * g);
        ([d_i, d_f, d_g], [P::add(P::add(dc * f, p, 0, d_i), p, 1, d_f)])
    }
}

impl<P: Peephole> CoupledMemory<P> {
    #[inline(always)]
    fn remember<V: Lanes>(
        self,
        m: V,
        [i, g]: [V; 2],
        p: P::Weights<V, 1>,
        c_before: V,
    ) -> ([V; 2], [V; 1]) {
        let i = P::add(i, p, 0, c_before).sigmoid();
        let g = g.tanh();
        let c = (i.like(1.0) - i).mul_add(c_before, i * (m * g));
        ([i, g], [clipped(c, self.clip)])
    }

    #[inline(always)]
    fn back<V: Lanes>(
        self,
        m: V,
        [i, g]: [V; 2],
        p: P::Weights<V, 1>,
        [c_before, c, dc]: [V; 3],
    ) -> ([V; 2], [V; 1]) {
        let one = c.like(1.0);
        let dc = dc * unclipped(c, self.clip);
        let d_i = dc * (m * g - c_before) * i * (one - i);
        let d_g = dc * i * m * (one - g * g);
        ([d_i, d_g], [P::add(dc * (one - i), p, 0, d_i)])
    }
}

/// A memory without factors, and the same with them before its columns.
macro_rules! memory {
    ($memory:ident, [$($column:ident),+], columns $count:literal of $masked:literal, peepholes $peepholes:literal,
     $of_peepholes:expr) => {
        impl<P: Peephole> Cell for $memory<P> {
            type Columns<V: Lanes> = [V; $count];
            type States<V: Lanes> = [V; 1];
            type Peepholes<V: Lanes> = P::Weights<V, $peepholes>;
            const INPUT: &'static [usize] = Masked::<Self>::INPUT;
            const RECURRENT: &'static [usize] = Masked::<Self>::RECURRENT;

            #[inline(always)]
            fn forward<V: Lanes>(
                self,
                columns: [V; $count],
                p: Self::Peepholes<V>,
                [c_before]: [V; 1],
            ) -> ([V; $count], [V; 1]) {
                self.remember(c_before.like(1.0), columns, p, c_before)
            }

            #[inline(always)]
            fn backward<V: Lanes>(
                self,
                columns: [V; $count],
                p: Self::Peepholes<V>,
                [c_before]: [V; 1],
                [c]: [V; 1],
                [dc]: [V; 1],
            ) -> ([V; $count], [V; 1]) {
                self.back(c.like(1.0), columns, p, [c_before, c, dc])
            }

            #[inline(always)]
            fn peepholes_backward<V: Lanes>(
                self,
                columns: [V; $count],
                [c_before]: [V; 1],
                _: [V; 1],
            ) -> Self::Peepholes<V> {
                let d = $of_peepholes(columns);
                Group::from_fn(|at| d[at] * c_before)
            }
        }

        impl<P: Peephole> Cell for Masked<$memory<P>> {
            type Columns<V: Lanes> = [V; $masked];
            type States<V: Lanes> = [V; 1];
            type Peepholes<V: Lanes> = P::Weights<V, $peepholes>;
            const INPUT: &'static [usize] = &[0, 1, 2].split_at($count).0;
            const RECURRENT: &'static [usize] = Self::INPUT;

            #[inline(always)]
            fn forward<V: Lanes>(
                self,
                [m, $($column),+]: [V; $masked],
                p: Self::Peepholes<V>,
                [c_before]: [V; 1],
            ) -> ([V; $masked], [V; 1]) {
                let ([$($column),+], c) = self.0.remember(m, [$($column),+], p, c_before);
                ([m, $($column),+], c)
            }

            #[inline(always)]
            fn backward<V: Lanes>(
                self,
                [m, $($column),+]: [V; $masked],
                p: Self::Peepholes<V>,
                [c_before]: [V; 1],
                [c]: [V; 1],
                [dc]: [V; 1],
            ) -> ([V; $masked], [V; 1]) {
                let ([$($column),+], d) = self.0.back(m, [$($column),+], p, [c_before, c, dc]);
                ([m, $($column),+], d)
            }

            #[inline(always)]
            fn peepholes_backward<V: Lanes>(
                self,
                [_, $($column),+]: [V; $masked],
                c_before: [V; 1],
                c: [V; 1],
            ) -> Self::Peepholes<V> {
                self.0.peepholes_backward([$($column),+], c_before, c)
            }
        }
    };
}

memory!(Memory, [i, f, g], columns 3 of 4, peepholes 2, |[i, f, _]: [V; 3]| [i, f]);
memory!(CoupledMemory, [i, g], columns 2 of 3, peepholes 1, |[i, _]: [V; 2]| [i]);

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
