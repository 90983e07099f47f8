//! What a Keras configuration says, in types: layers on top of each other.

use recurve_nn::{Merge, Pooling};

/// A model: its input, and its layers from the input up.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The name of the input.
    pub(super) input: String,
    pub(super) steps: Vec<Step>,
}

/// A layer.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Its name.
    pub(super) name: String,
    /// Its class in small letters, and where it stands among the layers of its class: `lstm`, 1.
    pub(super) class: (&'static str, usize),
    pub(super) kind: Kind,
    /// Inputs of the model that are the states it begins with.
    pub(super) initial: Vec<String>,
}

/// What a layer does.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A vector for every token; steps with token 0 may not count.
    Embedding { tokens: usize, width: usize, mask_zero: bool },
    /// Steps of this value alone do not count.
    Masking { value: f64 },
    /// A recurrent layer.
    Recurrent(Rnn),
    /// Two, one of which reads from the end; apart where nothing merges them.
    Bidirectional { forward: Rnn, backward: Rnn, merge: Option<Merge> },
    /// A linear layer at every step; `wrapped` by a `TimeDistributed`.
    Dense { units: usize, bias: bool, then: Activation, wrapped: bool },
    /// Over the last of `axis` axes, counted from the batch; unsaid where it is the last anyway.
    LayerNorm { epsilon: f64, gain: bool, shift: bool, axis: Option<usize> },
    /// One vector for a whole sequence.
    Pool(Pooling),
    /// A function of what comes.
    Activation(Activation),
    /// Nothing, when a model is used and not trained.
    Nothing,
}

/// A recurrent layer in one direction.
#[derive(Clone, Debug)]
pub(super) struct Rnn {
    /// One, or several on top of each other within a step.
    pub(super) cells: Vec<Cell>,
    /// Whether the cells are those of a `StackedRNNCells`.
    pub(super) stacked: bool,
    pub(super) sequences: bool,
    pub(super) backwards: bool,
    pub(super) zero_where_masked: bool,
}

/// The cell of a recurrent layer.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// Its class in small letters, and where it stands among those of its class.
    pub(super) class: (&'static str, usize),
    pub(super) form: Form,
    pub(super) units: usize,
    pub(super) activation: Activation,
    /// Of the gates.
    pub(super) gates: Activation,
    pub(super) bias: bool,
}

/// The equations of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Simple,
    Lstm,
    /// The GRU; whether the reset comes after the recurrent product, where the file says it.
    Gru {
        reset_after: Option<bool>,
    },
}

impl Form {
    pub(super) fn gates(self) -> usize {
        match self {
            Self::Simple => 1,
            Self::Gru { .. } => 3,
            Self::Lstm => 4,
        }
    }
}

/// A function, with its constants where Keras lets them be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Activation {
    Linear,
    Tanh,
    Sigmoid,
    /// `slope x + 1/2`, between 0 and 1.
    HardSigmoid {
        slope: f64,
    },
    Relu,
    /// `max(x, 0)`, at most 6.
    Relu6,
    LeakyRelu {
        slope: f64,
    },
    Elu {
        alpha: f64,
    },
    Selu,
    Softplus,
    Softsign,
    Silu,
    /// With the error function, or with its approximation by tanh.
    Gelu {
        approximate: bool,
    },
    HardTanh,
    HardSilu,
    Exponential,
    Mish,
    /// Over the values of a step.
    Softmax,
}
