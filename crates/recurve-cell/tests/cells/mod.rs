//! The list of cells.

/// One test for each cell there is: calls `$check(name, cell)`.
macro_rules! every_cell {
    ($check:ident) => {
        every_cell! { $check
            rnn_tanh: recurve_cell::Rnn(recurve_cell::Tanh);
            rnn_relu: recurve_cell::Rnn(recurve_cell::Relu);
            lstm: recurve_cell::Lstm(recurve_cell::Sightless);
            lstm_peepholes: recurve_cell::Lstm(recurve_cell::Sees);
            coupled_lstm: recurve_cell::CoupledLstm(recurve_cell::Sightless);
            coupled_lstm_peepholes: recurve_cell::CoupledLstm(recurve_cell::Sees);
            gru: recurve_cell::Gru;
            gru_reset_before: recurve_cell::GruResetBefore;
            ind_rnn: recurve_cell::IndRnn(recurve_cell::Relu);
            slstm: recurve_cell::SLstm { forget: recurve_cell::Forget::Sigmoid };
            slstm_exponential: recurve_cell::SLstm { forget: recurve_cell::Forget::Exponential };
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
