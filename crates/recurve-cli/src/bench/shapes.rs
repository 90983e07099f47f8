//! The shapes that are timed, some with names.

use crate::args::{Lengths, Memory, Mode, Stages};
use recurve_nn::CellKind;
use serde::Serialize;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Shape {
    /// What a run does.
    pub(crate) mode: Mode,
    /// The cell.
    pub(crate) cell: CellKind,
    /// `T`
    pub(crate) steps: usize,
    /// `B`
    pub(crate) batch: usize,
    /// `I`
    pub(crate) input: usize,
    /// `H`
    pub(crate) hidden: usize,
    /// `L`
    pub(crate) layers: usize,
    /// Whether the layers read from both ends.
    pub(crate) bidirectional: bool,
    /// What happens in a step besides the cell.
    #[serde(flatten)]
    pub(crate) stages: Stages,
    /// How long the sequences are; all of `T` steps if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lengths: Option<Lengths>,
    /// What training keeps.
    pub(crate) memory: Memory,
}

const PLAIN: Stages = Stages {
    heads: None,
    projection: None,
    clip_state: None,
    layer_norm: false,
    gate_recurrence: false,
    zoneout: 0.0,
    zoneout_cell: 0.0,
    recurrent_dropout: 0.0,
    candidate_dropout: 0.0,
    weight_dropout: 0.0,
};

pub(super) const fn shape(mode: Mode, cell: CellKind, sizes: [usize; 5]) -> Shape {
    let [steps, batch, input, hidden, layers] = sizes;
    Shape {
        mode,
        cell,
        steps,
        batch,
        input,
        hidden,
        layers,
        bidirectional: false,
        stages: PLAIN,
        lengths: None,
        memory: Memory::Full,
    }
}

const fn both_ways(shape: Shape) -> Shape {
    Shape { bidirectional: true, ..shape }
}

use CellKind::{Gru, Lstm, RnnTanh};
use Mode::{Infer, Step, Train};

/// The shapes with names: sizes that people use.
pub(crate) const PRESETS: [(&str, Shape); 16] = [
    ("har", shape(Train, Lstm, [128, 64, 9, 32, 2])),
    ("forecast", shape(Train, Lstm, [168, 64, 7, 128, 1])),
    ("hydrology", shape(Train, Lstm, [365, 256, 32, 256, 1])),
    ("charlm", shape(Train, Lstm, [50, 50, 128, 512, 2])),
    ("ptb-small", shape(Train, Lstm, [20, 20, 200, 200, 2])),
    ("ptb-medium", shape(Train, Lstm, [35, 20, 650, 650, 2])),
    ("tagger", both_ways(shape(Train, Lstm, [30, 32, 300, 256, 1]))),
    ("large", shape(Train, Lstm, [50, 64, 1024, 1024, 1])),
    ("gru-mid", shape(Train, Gru, [50, 64, 256, 256, 1])),
    ("rnn-mid", shape(Train, RnnTanh, [50, 64, 256, 256, 1])),
    ("stream-128", shape(Step, Lstm, [1, 1, 128, 128, 1])),
    ("stream-512", shape(Step, Lstm, [1, 1, 512, 512, 1])),
    ("stream-1024", shape(Step, Lstm, [1, 1, 1024, 1024, 1])),
    ("seq-256", shape(Infer, Lstm, [100, 1, 256, 256, 1])),
    ("seq-512", shape(Infer, Lstm, [100, 1, 512, 512, 2])),
    ("batch-512", shape(Infer, Lstm, [50, 64, 512, 512, 1])),
];

/// The shape called `name`.
pub(crate) fn preset(name: &str) -> Option<Shape> {
    let (_, shape) = PRESETS.iter().find(|(known, _)| *known == name)?;
    Some(*shape)
}
