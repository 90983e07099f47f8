//! The LSTM without one of its gates: three of the variants of "LSTM: A Search Space Odyssey" (Greff,
//! Srivastava, Koutník, Steunebrink & Schmidhuber 2017, section 3).
//!
//! ```text
//! NIG   i = 1      all of the candidate is written
//! NFG   f = 1      nothing is ever forgotten: the cell of 1997
//! NOG   o = 1      all of the cell state is shown
//! ```
//!
//! What is left is as in [`Lstm`](crate::Lstm), with peepholes in the paper. Of the paper's other variants,
//! NP has no peepholes, CIFG is [`CoupledLstm`](crate::CoupledLstm), and NIAF and NOAF have no activation of
//! the candidate or of what is shown: [`Function::LINEAR`](crate::Function::LINEAR).

use crate::{Activations, Cell, Group, Lanes, Peephole, Role, Sees, Standard};

/// The input gate is the one that is missing.
pub const INPUT_GATE: usize = 0;
/// The forget gate is the one that is missing.
pub const FORGET_GATE: usize = 1;
/// The output gate is the one that is missing.
pub const OUTPUT_GATE: usize = 2;

/// The LSTM cell without gate `GATE`: [`INPUT_GATE`], [`FORGET_GATE`] or [`OUTPUT_GATE`]. Columns: those of i
/// f g o that are there; states h c; peepholes: those of i f o that are there.
#[derive(Clone, Copy, Debug, Default)]
pub struct LstmWithout<const GATE: usize, P: Peephole = Sees>(pub P);

impl<const GATE: usize, P: Peephole> LstmWithout<GATE, P> {
    /// i f g o from the three columns, 1 for the gate that is not there.
    #[inline(always)]
    fn all<V: Lanes>([a, b, c]: [V; 3]) -> [V; 4] {
        let one = a.like(1.0);
        match GATE {
            INPUT_GATE => [one, a, b, c],
            FORGET_GATE => [a, one, b, c],
            _ => [a, b, c, one],
        }
    }

    /// The reverse of [`LstmWithout::all`].
    #[inline(always)]
    fn present<V: Lanes>([i, f, g, o]: [V; 4]) -> [V; 3] {
        match GATE {
            INPUT_GATE => [f, g, o],
            FORGET_GATE => [i, g, o],
            _ => [i, f, g],
        }
    }

    /// `sum` and what gate `gate` (of i f o) sees of the cell state, if it is there.
    #[inline(always)]
    fn sees<V: Lanes>(sum: V, p: P::Weights<V, 2>, gate: usize, c: V) -> V {
        if gate == GATE { sum } else { P::add(sum, p, gate - usize::from(gate > GATE), c) }
    }

    /// The value of gate `gate`.
    #[inline(always)]
    fn gate<V: Lanes>(sum: V, gate: usize) -> V {
        if gate == GATE { sum } else { sum.sigmoid() }
    }
}

impl<const GATE: usize, P: Peephole> Cell for LstmWithout<GATE, P> {
    type Columns<V: Lanes> = [V; 3];
    type States<V: Lanes> = [V; 2];
    type Peepholes<V: Lanes> = P::Weights<V, 2>;
    const INPUT: &'static [usize] = &[0, 1, 2];
    const RECURRENT: &'static [usize] = &[0, 1, 2];

    #[inline(always)]
    fn forward<V: Lanes>(
        self,
        columns: [V; 3],
        p: Self::Peepholes<V>,
        [_, c_before]: [V; 2],
    ) -> ([V; 3], [V; 2]) {
        let [i, f, g, o] = Self::all(columns);
        let i = Self::gate(Self::sees(i, p, INPUT_GATE, c_before), INPUT_GATE);
        let f = Self::gate(Self::sees(f, p, FORGET_GATE, c_before), FORGET_GATE);
        let g = g.tanh();
        let c = f.mul_add(c_before, i * g);
        let o = Self::gate(Self::sees(o, p, OUTPUT_GATE, c), OUTPUT_GATE);
        (Self::present([i, f, g, o]), [o * c.tanh(), c])
    }

    #[inline(always)]
    fn backward<V: Lanes>(
        self,
        kept: [V; 3],
        p: Self::Peepholes<V>,
        [_, c_before]: [V; 2],
        [_, c]: [V; 2],
        [dh, dc]: [V; 2],
    ) -> ([V; 3], [V; 2]) {
        let [i, f, g, o] = Self::all(kept);
        let shown = c.tanh();
        let [slope_i, slope_f, slope_g, slope_o, slope_c] = Standard.derivatives(
            [Role::Gate, Role::Gate, Role::Candidate, Role::Gate, Role::Output],
            [i, f, g, o, shown],
        );
        let d_o = dh * shown * slope_o;
        let dc = Self::sees((dh * o).mul_add(slope_c, dc), p, OUTPUT_GATE, d_o);
        let d_i = dc * g * slope_i;
        let d_f = dc * c_before * slope_f;
        let dc_before = Self::sees(dc * f, p, INPUT_GATE, d_i);
        let dc_before = Self::sees(dc_before, p, FORGET_GATE, d_f);
        (Self::present([d_i, d_f, dc * i * slope_g, d_o]), [c.like(0.0), dc_before])
    }

    #[inline(always)]
    fn peepholes_backward<V: Lanes>(
        self,
        d_columns: [V; 3],
        [_, c_before]: [V; 2],
        [_, c]: [V; 2],
    ) -> Self::Peepholes<V> {
        let [d_i, d_f, _, d_o] = Self::all(d_columns);
        let d = Self::present([d_i * c_before, d_f * c_before, c, d_o * c]);
        // The candidate has none: it stands third where the output gate is missing, else second.
        Group::from_fn(|at| if GATE == OUTPUT_GATE || at == 0 { d[at] } else { d[at + 1] })
    }
}
