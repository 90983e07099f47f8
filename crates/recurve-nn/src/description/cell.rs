//! The recurrent cells by name, and what can be chosen of them.

use crate::cells::{self, AnyCell};
use crate::error::{Error, Result};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};

/// The recurrent cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// The vanilla RNN with tanh (Elman 1990).
    RnnTanh,
    /// The vanilla RNN with max(x, 0).
    RnnRelu,
    /// The LSTM with a forget gate (Gers, Schmidhuber & Cummins 2000).
    Lstm,
    /// The LSTM whose gates see the cell state (Gers & Schmidhuber 2000).
    LstmPeephole,
    /// The LSTM with `f = 1 - i`.
    LstmCoupled,
    /// The LSTM with `f = 1 - i` whose gates see the cell state.
    LstmCoupledPeephole,
    /// The LSTM with peepholes and without input gate: NIG of Greff et al. (2017).
    LstmNig,
    /// The LSTM with peepholes and without forget gate: NFG, the cell of 1997.
    LstmNfg,
    /// The LSTM with peepholes and without output gate: NOG.
    LstmNog,
    /// The LSTM with peepholes and without activation of the candidate: NIAF.
    LstmNiaf,
    /// The LSTM with peepholes and without activation of what is shown: NOAF.
    LstmNoaf,
    /// The GRU with the reset after the recurrent product, as in cuDNN and PyTorch.
    Gru,
    /// The GRU with the reset before the recurrent product (Cho et al. 2014).
    GruResetBefore,
    /// The minimal gated unit (Zhou et al. 2016).
    MinimalGated,
    /// The independently recurrent network with max(x, 0) (Li et al. 2018).
    IndRnn,
    /// The sLSTM of xLSTM with an exponential input gate (Beck et al. 2024).
    Slstm,
    /// The sLSTM with an exponential forget gate too.
    SlstmExponential,
    /// The mLSTM of xLSTM (Beck et al. 2024), whose memory is a matrix per head; its forget gate is a
    /// logistic function.
    Mlstm,
    /// The mLSTM whose forget gate is an exponential.
    MlstmExponential,
    /// The quasi-recurrent network with fo-pooling (Bradbury et al. 2017).
    Qrnn,
    /// The simple recurrent unit (Lei et al. 2018), for as many units as inputs.
    Sru,
    /// The simple recurrent unit whose highway has a projection of its own.
    SruProjected,
    /// The minimal GRU, its candidate positive (Feng et al. 2024).
    MinGru,
    /// The minimal LSTM, its candidate positive (Feng et al. 2024).
    MinLstm,
    /// A cell that the program brought: see [`CellKind::own`].
    Own(OwnCell),
}

/// A cell that is not one of this library.
#[derive(Clone, Copy)]
pub struct OwnCell {
    pub(crate) name: &'static str,
    pub(crate) cell: &'static dyn AnyCell,
}

impl PartialEq for OwnCell {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OwnCell {}

impl std::fmt::Debug for OwnCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl CellKind {
    /// All cells of this library.
    pub const ALL: [Self; 24] = [
        Self::RnnTanh,
        Self::RnnRelu,
        Self::Lstm,
        Self::LstmPeephole,
        Self::LstmCoupled,
        Self::LstmCoupledPeephole,
        Self::LstmNig,
        Self::LstmNfg,
        Self::LstmNog,
        Self::LstmNiaf,
        Self::LstmNoaf,
        Self::Gru,
        Self::GruResetBefore,
        Self::MinimalGated,
        Self::IndRnn,
        Self::Slstm,
        Self::SlstmExponential,
        Self::Mlstm,
        Self::MlstmExponential,
        Self::Qrnn,
        Self::Sru,
        Self::SruProjected,
        Self::MinGru,
        Self::MinLstm,
    ];

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::RnnTanh => "rnn-tanh",
            Self::RnnRelu => "rnn-relu",
            Self::Lstm => "lstm",
            Self::LstmPeephole => "lstm-peephole",
            Self::LstmCoupled => "lstm-coupled",
            Self::LstmCoupledPeephole => "lstm-coupled-peephole",
            Self::LstmNig => "lstm-nig",
            Self::LstmNfg => "lstm-nfg",
            Self::LstmNog => "lstm-nog",
            Self::LstmNiaf => "lstm-niaf",
            Self::LstmNoaf => "lstm-noaf",
            Self::Gru => "gru",
            Self::GruResetBefore => "gru-reset-before",
            Self::MinimalGated => "minimal-gated",
            Self::IndRnn => "ind-rnn",
            Self::Slstm => "slstm",
            Self::SlstmExponential => "slstm-exponential",
            Self::Mlstm => "mlstm",
            Self::MlstmExponential => "mlstm-exponential",
            Self::Qrnn => "qrnn",
            Self::Sru => "sru",
            Self::SruProjected => "sru-projected",
            Self::MinGru => "min-gru",
            Self::MinLstm => "min-lstm",
            Self::Own(own) => own.name,
        }
    }

    /// The cell of a name: one of this library, or one that the program brought.
    ///
    /// # Errors
    /// Where there is none; the message lists those there are.
    pub fn named(name: &str) -> Result<Self> {
        let own = cells::own();
        let all = || Self::ALL.into_iter().chain(own.iter().copied());
        all().find(|kind| kind.name() == name).ok_or_else(|| {
            let names: Vec<_> = all().map(Self::name).collect();
            Error::new(format!(
                "unknown cell `{name}`; there are {} (a program that brings a cell of its own does so \
                 before it reads a model)",
                names.join(", ")
            ))
        })
    }

    /// Brings a cell of one's own, to be used like any other: in descriptions, in files of models, in
    /// training and in streams. It runs on vectors like those of this library.
    ///
    /// Brought again under the same name, a cell that carries no value is what it was.
    ///
    /// # Errors
    /// Where the name is empty, has other characters than small letters, digits and `-`, or is that of
    /// another cell.
    pub fn own<C: recurve_cell::Cell>(name: &str, cell: C) -> Result<Self> {
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(letter) {
            return Err(Error::new(format!(
                "a cell called `{name}`; names are of small letters, digits and `-`"
            )));
        }
        if Self::ALL.iter().any(|kind| kind.name() == name) {
            return Err(Error::new(format!("a cell called `{name}` is part of this library")));
        }
        cells::bring(name, cell)
    }

    /// Gates of the input product: the weights `w` are `[G*H, I]`.
    pub fn gates(self) -> usize {
        cells::of_kind(self).gates
    }

    /// Gates of the recurrent product: the weights `r` are `[G*H, H]`. 0 for a cell without one.
    pub fn recurrent_gates(self) -> usize {
        cells::of_kind(self).recurrent_gates
    }

    /// States of a unit, `h` among them.
    pub fn states(self) -> usize {
        cells::of_kind(self).states
    }

    /// Weights that a unit has for itself alone.
    pub fn peepholes(self) -> usize {
        cells::of_kind(self).peepholes
    }

    /// The gate that decides how much of the old cell state is kept, if there is one, and the sign with which
    /// its bias keeps more: where `f = 1 − i`, that is the input gate, and less of it.
    pub fn forget_gate(self) -> Option<(usize, f64)> {
        match self {
            Self::Lstm | Self::LstmPeephole | Self::LstmNiaf | Self::LstmNoaf => Some((1, 1.0)),
            Self::LstmNog | Self::Slstm | Self::Sru | Self::SruProjected => Some((1, 1.0)),
            Self::LstmNig | Self::Qrnn | Self::MinLstm => Some((0, 1.0)),
            Self::LstmCoupled | Self::LstmCoupledPeephole => Some((0, -1.0)),
            _ => None,
        }
    }
}

impl Serialize for CellKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for CellKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).map_err(D::Error::custom)
    }
}

/// A function between a sum and a value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Activation {
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `tanh(x)`
    Tanh,
    /// `max(x, 0)`
    Relu,
    /// `x`
    Linear,
    /// `x`, from 0 to 6.
    Relu6,
    /// `x`, from -1 to 1.
    HardTanh,
    /// `alpha x + beta`, from 0 to 1. Keras 1 and 2 and ONNX have 0.2 and 0.5, Keras 3 and PyTorch 1/6 and
    /// 0.5.
    HardSigmoid {
        /// The slope.
        alpha: f64,
        /// The value at 0.
        beta: f64,
    },
    /// `alpha x + beta`
    Affine {
        /// The slope.
        alpha: f64,
        /// The value at 0.
        beta: f64,
    },
    /// `x / (1 + |x|)`
    Softsign,
    /// `log(1 + exp(x))`
    Softplus,
    /// `x` above 0, `alpha (exp(x) - 1)` below; `alpha` is not negative.
    Elu {
        /// What is reached far below 0, without its sign.
        alpha: f64,
    },
    /// The self-normalising ELU, 1.0507 times that with an alpha of 1.6733 (Klambauer et al. 2017).
    Selu,
    /// `x` above 0, `alpha x` below; `alpha` is not negative.
    LeakyRelu {
        /// The slope below 0.
        alpha: f64,
    },
    /// `x` from `alpha` on, else 0.
    ThresholdedRelu {
        /// Where it begins.
        alpha: f64,
    },
    /// `alpha tanh(beta x)`; `alpha` is not 0.
    ScaledTanh {
        /// The bound of the value.
        alpha: f64,
        /// What the sum is multiplied by.
        beta: f64,
    },
}

/// The functions of a cell, where they are not its own. A vanilla cell and the independently recurrent one
/// have a candidate only, a GRU gates and a candidate, an LSTM all three.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Activations {
    /// Of the gates.
    pub gate: Activation,
    /// Of the candidate.
    pub candidate: Activation,
    /// Of what is shown of the cell state.
    pub output: Activation,
}

impl Default for Activations {
    /// Those of the LSTM.
    fn default() -> Self {
        Self { gate: Activation::Sigmoid, candidate: Activation::Tanh, output: Activation::Tanh }
    }
}
