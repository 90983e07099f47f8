//! The list of cells.

use recurve_cell::{Chosen, Function};

/// Functions whose derivatives have no jump where the tests look, and bounds that some values reach.
pub(crate) const BOUNDED: Chosen = Chosen {
    gate: Function::Softsign,
    candidate: Function::Elu { scale: 1.05, alpha: 1.67 },
    output: Function::Softplus,
    most_sum: 1.2,
    most_state: 0.9,
};

/// Straight pieces.
pub(crate) const STRAIGHT: Chosen = Chosen {
    gate: Function::hard_sigmoid(0.2, 0.5),
    candidate: Function::LeakyRelu { alpha: 0.2 },
    output: Function::affine(0.7, 0.1),
    most_sum: f64::INFINITY,
    most_state: f64::INFINITY,
};

/// One test for each cell there is: calls `$check(name, cell)`.
macro_rules! every_cell {
    ($check:ident) => {
        every_cell! { $check
            rnn_tanh: recurve_cell::Rnn(recurve_cell::Tanh);
            rnn_relu: recurve_cell::Rnn(recurve_cell::Relu);
            rnn_chosen: recurve_cell::Rnn(crate::cells::BOUNDED);
            lstm: recurve_cell::Lstm(recurve_cell::Sightless, recurve_cell::Standard);
            lstm_peepholes: recurve_cell::Lstm(recurve_cell::Sees, recurve_cell::Standard);
            lstm_chosen: recurve_cell::Lstm(recurve_cell::Sightless, crate::cells::STRAIGHT);
            lstm_peepholes_chosen: recurve_cell::Lstm(recurve_cell::Sees, crate::cells::BOUNDED);
            coupled_lstm: recurve_cell::CoupledLstm(recurve_cell::Sightless, recurve_cell::Standard);
            coupled_lstm_peepholes: recurve_cell::CoupledLstm(recurve_cell::Sees, recurve_cell::Standard);
            coupled_lstm_chosen: recurve_cell::CoupledLstm(recurve_cell::Sees, crate::cells::BOUNDED);
            lstm_no_input_gate: recurve_cell::LstmWithout::<{ recurve_cell::INPUT_GATE }>(recurve_cell::Sees);
            lstm_no_forget_gate: recurve_cell::LstmWithout::<{ recurve_cell::FORGET_GATE }>(recurve_cell::Sees);
            lstm_no_output_gate: recurve_cell::LstmWithout::<{ recurve_cell::OUTPUT_GATE }>(recurve_cell::Sees);
            gru: recurve_cell::Gru(recurve_cell::Standard);
            gru_chosen: recurve_cell::Gru(crate::cells::BOUNDED);
            gru_reset_before: recurve_cell::GruResetBefore(recurve_cell::Standard);
            gru_reset_before_chosen: recurve_cell::GruResetBefore(crate::cells::STRAIGHT);
            minimal_gated: recurve_cell::MinimalGated;
            ind_rnn: recurve_cell::IndRnn(recurve_cell::Relu);
            slstm: recurve_cell::SLstm { forget: recurve_cell::Forget::Sigmoid };
            slstm_exponential: recurve_cell::SLstm { forget: recurve_cell::Forget::Exponential };
            min_gru: recurve_cell::MinGru;
            min_lstm: recurve_cell::MinLstm;
            qrnn: recurve_cell::Qrnn;
            sru: recurve_cell::Sru;
            sru_projected: recurve_cell::SruProjected;
        }
    };
    ($check:ident $($test:ident: $cell:expr;)*) => {$(
        #[test]
        fn $test() {
            $check(stringify!($test), $cell);
        }
    )*};
}
pub(crate) use every_cell;
