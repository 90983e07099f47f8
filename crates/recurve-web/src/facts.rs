//! What a cell consists of, in words for the page: its gates, what each does, how each is squashed.
//!
//! A cell that is not listed here is shown by its states alone; nothing is guessed about its gates.

use serde::Serialize;

/// How a sum becomes a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Squash {
    /// From 0 to 1.
    Sigmoid,
    /// From -1 to 1.
    Tanh,
    /// From 0 up.
    Relu,
}

/// One gate of a cell.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Gate {
    /// Its letter.
    pub(crate) name: &'static str,
    /// Its name in words.
    pub(crate) title: &'static str,
    /// How its sum is squashed.
    pub(crate) squash: Squash,
    /// Which rows of `w` and `r` are its own, in units of `H`.
    pub(crate) rows: usize,
    /// The row of the peephole weights that it sees the cell state through.
    pub(crate) peephole: Option<usize>,
    /// What it does, where it acts.
    pub(crate) says: &'static str,
}

/// What there is to say about a cell.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Facts {
    /// What people call the cell.
    pub(crate) title: &'static str,
    /// Its gates, in the order of the weights.
    pub(crate) gates: &'static [Gate],
    /// The gate whose silence silences the unit: where it is 0 from the start, so are all states.
    pub(crate) candidate: usize,
    /// The gate that decides how much of the past is kept, if it has weights of its own.
    pub(crate) keeps: Option<usize>,
    /// Whether there is a cell state beside `h`.
    pub(crate) has_c: bool,
    /// Whether the gates see the cell state.
    pub(crate) peepholes: bool,
    /// Whether the forget gate is `1 - i`.
    pub(crate) coupled: bool,
    /// The equations of one step.
    pub(crate) equations: &'static [&'static str],
}

const I: &str = "The input gate decides how much of the candidate is written into the cell state. \
                 Closed (0), it protects the memory from an input that does not matter.";
const F: &str = "The forget gate decides how much of the old cell state is kept. Open (1), the memory \
                 passes unchanged, and so does the error on its way back.";
const G: &str = "The candidate is what could be written now: what a vanilla cell would have made its \
                 whole state.";
const O: &str = "The output gate decides how much of the cell state is shown to the rest of the network. \
                 Closed (0), the unit remembers without telling.";
const CI: &str =
    "The input gate writes the candidate, and forgets exactly as much as it writes: f = 1 - i.";
const R: &str = "The reset gate decides how much of the past the candidate sees. Closed (0), the unit \
                 starts afresh.";
const Z: &str = "The update gate decides how much of the old state is kept. Near 1 the unit holds its \
                 value; near 0 it takes over the candidate.";
const N: &str = "The candidate is the new value, mixed with the old one as the update gate says.";
const A: &str = "The only sum of the cell: input and old state together make the whole new state at every \
                 step. Nothing protects what should be remembered.";

const fn gate(
    name: &'static str,
    title: &'static str,
    squash: Squash,
    rows: usize,
    says: &'static str,
) -> Gate {
    Gate { name, title, squash, rows, peephole: None, says }
}

const fn seeing(gate: Gate, peephole: usize) -> Gate {
    Gate { peephole: Some(peephole), ..gate }
}

const LSTM: [Gate; 4] = [
    gate("i", "input gate", Squash::Sigmoid, 0, I),
    gate("f", "forget gate", Squash::Sigmoid, 1, F),
    gate("g", "candidate", Squash::Tanh, 2, G),
    gate("o", "output gate", Squash::Sigmoid, 3, O),
];
const LSTM_SEES: [Gate; 4] = [seeing(LSTM[0], 0), seeing(LSTM[1], 1), LSTM[2], seeing(LSTM[3], 2)];
const COUPLED: [Gate; 3] = [
    gate("i", "input gate", Squash::Sigmoid, 0, CI),
    gate("g", "candidate", Squash::Tanh, 1, G),
    gate("o", "output gate", Squash::Sigmoid, 2, O),
];
const COUPLED_SEES: [Gate; 3] = [seeing(COUPLED[0], 0), COUPLED[1], seeing(COUPLED[2], 1)];
const GRU: [Gate; 3] = [
    gate("r", "reset gate", Squash::Sigmoid, 0, R),
    gate("z", "update gate", Squash::Sigmoid, 1, Z),
    gate("n", "candidate", Squash::Tanh, 2, N),
];
const RNN: [Gate; 1] = [gate("a", "sum", Squash::Tanh, 0, A)];
const RELU: [Gate; 1] = [gate("a", "sum", Squash::Relu, 0, A)];

const LSTM_EQUATIONS: &[&str] = &["c = f∘c′ + i∘g", "h = o∘tanh(c)"];
const GRU_EQUATIONS: &[&str] = &["h = (1 − z)∘n + z∘h′"];

/// What is known about the cell of this name.
pub(crate) fn of(cell: &str) -> Option<Facts> {
    let lstm = Facts {
        title: "LSTM",
        gates: &LSTM,
        candidate: 2,
        keeps: Some(1),
        has_c: true,
        peepholes: false,
        coupled: false,
        equations: LSTM_EQUATIONS,
    };
    let coupled = Facts {
        title: "LSTM with coupled gates",
        gates: &COUPLED,
        candidate: 1,
        keeps: None,
        coupled: true,
        equations: &["c = (1 − i)∘c′ + i∘g", "h = o∘tanh(c)"],
        ..lstm
    };
    let gru = Facts {
        title: "GRU",
        gates: &GRU,
        candidate: 2,
        keeps: Some(1),
        has_c: false,
        equations: GRU_EQUATIONS,
        ..lstm
    };
    let rnn = Facts {
        title: "vanilla RNN",
        gates: &RNN,
        candidate: 0,
        keeps: None,
        equations: &["h = tanh(w x + r h′ + b)"],
        ..gru
    };
    Some(match cell {
        "lstm" => lstm,
        "lstm-peephole" => {
            Facts { title: "LSTM with peepholes", gates: &LSTM_SEES, peepholes: true, ..lstm }
        }
        "lstm-coupled" => coupled,
        "lstm-coupled-peephole" => Facts {
            title: "LSTM with coupled gates and peepholes",
            gates: &COUPLED_SEES,
            peepholes: true,
            ..coupled
        },
        "gru" => gru,
        "gru-reset-before" => Facts { title: "GRU, reset before the product", ..gru },
        "rnn-tanh" => rnn,
        "rnn-relu" => Facts {
            title: "vanilla RNN with ReLU",
            gates: &RELU,
            equations: &["h = max(0, w x + r h′ + b)"],
            ..rnn
        },
        _ => return None,
    })
}
