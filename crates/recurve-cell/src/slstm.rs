//! The sLSTM of xLSTM (Beck et al. 2024, equations 8 to 18): an LSTM whose gates may be exponential, with
//! a normaliser and a stabiliser.
//!
//! ```text
//! i = exp(w_i x + r_i h' + b_i)             how much of the candidate to write: not bounded
//! f = σ(w_f x + r_f h' + b_f), or exp       how much of the past to keep
//! z = tanh(w_z x + r_z h' + b_z)            the candidate
//! o = σ(w_o x + r_o h' + b_o)               how much to show
//! c = f∘c' + i∘z        n = f∘n' + i        the cell state, and the sum of all weights in it
//! h = o∘c/n                                 a weighted mean of all candidates there were
//! ```
//!
//! With an exponential gate a late input can outweigh all that came before: what is stored can be revised.
//! Since only the ratio of `c` and `n` is seen, both are carried divided by `exp(m)`, where
//! `m = max(log f + m', log i)` is the largest exponent yet. So no exponential is of a number above 0, and
//! `n` is at least 1 after the first step. A state of zeros has no past: its `m'` does not count.

use crate::{Cell, Lanes};

/// The sLSTM cell. Columns i f z o, states h c n m.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SLstm {
    /// The forget gate.
    pub forget: Forget,
}

/// The forget gate of an [`SLstm`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forget {
    /// `f = σ(·)`.
    #[default]
    Sigmoid,
    /// `f = exp(·)`.
    Exponential,
}

impl Forget {
    /// `log f`.
    #[inline(always)]
    fn log<V: Lanes>(self, sum: V) -> V {
        match self {
            Self::Sigmoid => -(-sum).softplus(),
            Self::Exponential => sum,
        }
    }
    /// The derivative of `log f`.
    #[inline(always)]
    fn log_derivative<V: Lanes>(self, sum: V) -> V {
        match self {
            Self::Sigmoid => (-sum).sigmoid(),
            Self::Exponential => sum.like(1.0),
        }
    }
}

/// `(i, f, m - log i)` from `ahead = log f + m' - log i` and whether there is a past, 1 or 0.
#[inline(always)]
fn weights<V: Lanes>(ahead: V, past: V) -> (V, V, V) {
    let rise = ahead.relu() * past;
    ((-rise).exp(), (-(-ahead).relu()).exp(), rise)
}

/// What is kept: `log f + m' - log i`, the sum of `f`, z and o.
impl Cell for SLstm {
    type Columns<V: Lanes> = [V; 4];
    type States<V: Lanes> = [V; 4];
    type Peepholes<V: Lanes> = [V; 0];
    const INPUT: &'static [usize] = &[0, 1, 2, 3];
    const RECURRENT: &'static [usize] = &[0, 1, 2, 3];

    #[inline(always)]
    fn forward<V: Lanes>(
        self,
        [log_i, f_sum, z, o]: [V; 4],
        _: [V; 0],
        [_, c, n, m]: [V; 4],
    ) -> ([V; 4], [V; 4]) {
        let (z, o) = (z.tanh(), o.sigmoid());
        let ahead = self.forget.log(f_sum) + m - log_i;
        let (i, f, rise) = weights(ahead, n.positive());
        let c = f.mul_add(c, i * z);
        let n = f.mul_add(n, i);
        ([ahead, f_sum, z, o], [o * (c / n), c, n, log_i + rise])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        [ahead, f_sum, z, o]: [V; 4],
        _: [V; 0],
        [_, c_before, n_before, _]: [V; 4],
        [_, c, n, _]: [V; 4],
        [dh, dc, dn, dm]: [V; 4],
    ) -> ([V; 4], [V; 4]) {
        let one = z.like(1.0);
        let past = n_before.positive();
        let (i, f, _) = weights(ahead, past);
        let mean = c / n;
        let d_o = dh * mean * o * (one - o);
        let d_mean = dh * o / n;
        let dc = dc + d_mean;
        let dn = dn - d_mean * mean;
        let d_z = dc * i * (one - z * z);
        let d_log_i = i * dc.mul_add(z, dn);
        let d_log_f = f * dc.mul_add(c_before, dn * n_before);
        let d_ahead =
            (ahead.positive() * past).mul_add(dm - d_log_i, (-ahead).positive() * d_log_f);
        let d_f = d_ahead * self.forget.log_derivative(f_sum);
        ([dm - d_ahead, d_f, d_z, d_o], [z.like(0.0), dc * f, dn * f, d_ahead])
    }
}
