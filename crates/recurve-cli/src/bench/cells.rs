//! Every cell, and every option of a step, beside the plain LSTM.
//!
//! Two questions. Of gates, normalised, projected, masked and dropped steps: how much of the LSTM's rate of
//! products is left at a size where products should be nearly all (T 50, B 64, I and H 256)? Of cells without a
//! recurrent product: how many times sooner is a step of one long sequence done (T 2048, B 1)? That depends on
//! whether the LSTM's recurrent weights fit into the near caches, so it is asked for I and H of 256, 512 and 1024.
//! Each is measured in turns with the LSTM, so that a clock that drifts drifts for both.

use super::shapes::{Shape, shape};
use crate::args::{Lengths, Mode, Stages};
use recurve_nn::CellKind;
use serde::Serialize;

/// What is measured beside an LSTM.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    /// Its name.
    pub(crate) name: String,
    /// What is timed.
    pub(crate) shape: Shape,
    /// What is compared.
    pub(crate) by: By,
}

/// What of two measurements is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum By {
    /// The rate of products: the contender's over the LSTM's.
    Rate,
    /// The time of a step: the LSTM's over the contender's.
    Time,
}

impl By {
    /// What the quotient should be at least.
    pub(crate) fn wanted(self) -> f64 {
        match self {
            Self::Rate => 0.8,
            Self::Time => 5.0,
        }
    }
}

impl Contender {
    /// The LSTM that it is measured with.
    pub(crate) fn lstm(&self) -> Shape {
        match self.by {
            By::Rate => short(self.shape.mode, CellKind::Lstm),
            By::Time => Shape { cell: CellKind::Lstm, ..self.shape },
        }
    }
}

fn short(mode: Mode, cell: CellKind) -> Shape {
    shape(mode, cell, [50, 64, 256, 256, 1])
}

/// The cells without a recurrent product in this mode, training or inference.
pub(crate) fn scans(mode: Mode) -> Vec<Contender> {
    let of = |cell: CellKind| {
        [256, 512, 1024].map(|units| Contender {
            name: format!("{}, {units} units", cell.name()),
            shape: shape(mode, cell, [2048, 1, units, units, 1]),
            by: By::Time,
        })
    };
    CellKind::ALL.into_iter().filter(|cell| cell.recurrent_gates() == 0).flat_map(of).collect()
}

/// The cells with gates, and the options of a step, in this mode, training or inference.
pub(crate) fn gates(mode: Mode) -> Vec<Contender> {
    let gated = |cell: &CellKind| *cell != CellKind::Lstm && cell.recurrent_gates() > 0;
    let cells = CellKind::ALL.into_iter().filter(gated);
    let of_cell = |cell: CellKind| Contender {
        name: cell.name().to_owned(),
        shape: short(mode, cell),
        by: By::Rate,
    };
    let none = Stages::default();
    let in_both = [
        ("clip_state", Stages { clip_state: Some(3.0), ..none }),
        ("projection to 128", Stages { projection: Some(128), ..none }),
        ("layer_norm", Stages { layer_norm: true, ..none }),
        ("gate_recurrence", Stages { gate_recurrence: true, ..none }),
        ("zoneout", Stages { zoneout: 0.1, ..none }),
        ("zoneout_cell", Stages { zoneout_cell: 0.1, ..none }),
    ];
    let in_training = [
        ("recurrent_dropout", Stages { recurrent_dropout: 0.2, ..none }),
        ("candidate_dropout", Stages { candidate_dropout: 0.2, ..none }),
        ("weight_dropout", Stages { weight_dropout: 0.2, ..none }),
    ];
    let trains = mode == Mode::Train;
    let stages = in_both.into_iter().chain(in_training.into_iter().filter(move |_| trains));
    let plain = short(mode, CellKind::Lstm);
    let staged = stages.map(|(name, stages)| (format!("lstm, {name}"), Shape { stages, ..plain }));
    let norm = Stages { layer_norm: true, ..none };
    let gru = Shape { stages: norm, ..short(mode, CellKind::Gru) };
    let others = [
        ("gru, layer_norm", gru),
        ("lstm, lengths", Shape { lengths: Some(Lengths::Uniform), ..plain }),
        ("lstm, mask with gaps", Shape { lengths: Some(Lengths::Gaps), ..plain }),
        ("lstm, both directions", Shape { bidirectional: true, ..plain }),
    ];
    let others = others.map(|(name, shape)| (name.to_owned(), shape));
    let options = staged.chain(others);
    let options = options.map(|(name, shape)| Contender { name, shape, by: By::Rate });
    cells.map(of_cell).chain(options).collect()
}

/// What came out: a JSON line.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Beside {
    /// The contender.
    pub(crate) name: String,
    /// Training or inference.
    pub(crate) mode: Mode,
    /// What is compared.
    pub(crate) by: By,
    /// GFLOP/s of products, or microseconds of a step: of the contender and of the LSTM.
    pub(crate) values: [f64; 2],
    /// The quotient; higher is better.
    pub(crate) quotient: f64,
    /// What it should be at least.
    pub(crate) wanted: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::in_turns;
    use recurve_nn::Engine;

    #[test]
    fn cells_are_compared_with_an_lstm_of_their_size() {
        for mode in [Mode::Train, Mode::Infer] {
            let all: Vec<Contender> = gates(mode).into_iter().chain(scans(mode)).collect();
            for cell in CellKind::ALL {
                assert!(cell == CellKind::Lstm || all.iter().any(|one| one.shape.cell == cell));
            }
            for one in scans(mode) {
                let shape = Shape { steps: 3, input: 6, hidden: 6, ..one.shape };
                let small = Contender { shape, ..one };
                assert_eq!(small.lstm(), Shape { cell: CellKind::Lstm, ..shape });
                let engine = Engine::detect().expect("an instruction set");
                let beside = in_turns(&small, engine, 0.0).expect("a sound shape");
                let quotient = beside.values[1] / beside.values[0];
                assert!((beside.quotient / quotient - 1.0).abs() < 0.02, "{beside:?}");
            }
        }
    }
}
