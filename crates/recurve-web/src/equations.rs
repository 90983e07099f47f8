//! The equations of one unit at one step, from the sums behind its gates: those of `recurve-cell`.

use recurve_cell::{
    Cell, CoupledLstm, Gru, GruResetBefore, Lstm, Relu, Rnn, Sees, Sightless, Standard, Tanh,
};
use recurve_nn::CellKind;

/// From the two sums of each gate, the peepholes and the states before: what is shown of one unit at one
/// step, and `c`.
pub(crate) type UnitStep = fn(&dyn Fn(usize) -> [f32; 2], &[f32], [f32; 2]) -> ([f32; 4], f32);

/// What is shown of a cell.
pub(crate) struct Gates {
    /// The letters of what it gives.
    pub(crate) names: &'static [&'static str],
    /// Where a trace of the engine has each; the forget gate of coupled cells is `1 - i`.
    pub(crate) columns: &'static [usize],
    pub(crate) step: UnitStep,
}

/// The equations of a cell for one unit.
pub(crate) fn gates_of(cell: CellKind) -> Option<Gates> {
    Some(match cell.name() {
        "lstm" => Gates {
            names: &["i", "f", "g", "o"],
            columns: &[0, 1, 2, 3],
            step: |s, _, before| {
                let (gates, [_, c]) =
                    Lstm(Sightless, Standard).forward([0, 1, 2, 3].map(|k| both(s, k)), [], before);
                (gates, c)
            },
        },
        "lstm-peephole" => Gates {
            names: &["i", "f", "g", "o"],
            columns: &[0, 1, 2, 3],
            step: |s, p, before| {
                let columns = [0, 1, 2, 3].map(|k| both(s, k));
                let (gates, [_, c]) =
                    Lstm(Sees, Standard).forward(columns, [p[0], p[1], p[2]], before);
                (gates, c)
            },
        },
        "lstm-coupled" => Gates {
            names: &["i", "f", "g", "o"],
            columns: &[0, 0, 1, 2],
            step: |s, _, before| {
                let columns = [0, 1, 2].map(|k| both(s, k));
                let ([i, g, o], [_, c]) =
                    CoupledLstm(Sightless, Standard).forward(columns, [], before);
                ([i, 1.0 - i, g, o], c)
            },
        },
        "lstm-coupled-peephole" => Gates {
            names: &["i", "f", "g", "o"],
            columns: &[0, 0, 1, 2],
            step: |s, p, before| {
                let columns = [0, 1, 2].map(|k| both(s, k));
                let ([i, g, o], [_, c]) =
                    CoupledLstm(Sees, Standard).forward(columns, [p[0], p[1]], before);
                ([i, 1.0 - i, g, o], c)
            },
        },
        "gru" => Gates {
            names: &["r", "z", "n"],
            columns: &[1, 2, 0],
            step: |s, _, [h, _]| {
                let columns = [s(2)[0], both(s, 0), both(s, 1), s(2)[1]];
                let ([n, r, z, _], _) = Gru(Standard).forward(columns, [], [h]);
                ([r, z, n, 0.0], 0.0)
            },
        },
        "gru-reset-before" => Gates {
            names: &["r", "z", "n"],
            columns: &[0, 1, 2],
            step: |s, _, [h, _]| {
                let columns = [both(s, 0), both(s, 1), both(s, 2)];
                let (columns, _) = GruResetBefore(Standard).operand(columns, [h]);
                let ([r, z, n], _) = GruResetBefore(Standard).forward(columns, [], [h]);
                ([r, z, n, 0.0], 0.0)
            },
        },
        "rnn-tanh" => {
            Gates { names: &[], columns: &[], step: |s, _, [h, _]| rnn(Rnn(Tanh), both(s, 0), h) }
        }
        "rnn-relu" => {
            Gates { names: &[], columns: &[], step: |s, _, [h, _]| rnn(Rnn(Relu), both(s, 0), h) }
        }
        _ => return None,
    })
}

fn both(sums: &dyn Fn(usize) -> [f32; 2], gate: usize) -> f32 {
    let [input, recurrent] = sums(gate);
    input + recurrent
}

fn rnn<A: recurve_cell::Activation>(cell: Rnn<A>, sum: f32, h: f32) -> ([f32; 4], f32) {
    let (_, [h]) = cell.forward([sum], [], [h]);
    ([h, 0.0, 0.0, 0.0], 0.0)
}
