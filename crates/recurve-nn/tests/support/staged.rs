//! Recurrent layers in whose steps more happens than a cell, and the mLSTM.

use recurve_nn::{CellKind, Recurrent};

/// One of every option, and of what people combine, of `hidden` units, an even number.
pub(crate) fn staged(hidden: usize) -> Vec<Recurrent> {
    use CellKind::{
        Gru, Lstm, LstmCoupled, LstmCoupledPeephole, LstmPeephole, Mlstm, MlstmExponential, RnnTanh,
    };
    let of = |cell| Recurrent::new(cell, hidden);
    let mut stacks = vec![
        of(Lstm).projection(hidden / 2),
        Recurrent {
            clip_state: Some(0.3),
            projection_clip: Some(0.2),
            ..of(LstmPeephole).projection(hidden - 1)
        },
        Recurrent { clip_state: Some(0.3), ..of(LstmCoupled) },
        Recurrent { gate_recurrence: true, ..of(Lstm) },
        Recurrent {
            gate_recurrence: true,
            zoneout_cell: 0.3,
            ..of(LstmPeephole).projection(hidden / 2)
        },
        Recurrent { zoneout: 0.2, ..of(Gru) },
        Recurrent { zoneout: 0.2, ..of(RnnTanh) },
        Recurrent { zoneout: 0.2, zoneout_cell: 0.4, ..of(LstmPeephole) },
        Recurrent { zoneout: 0.4, projection_clip: Some(0.2), ..of(Lstm).projection(hidden - 1) },
        Recurrent { candidate_dropout: 0.3, ..of(Lstm) },
        Recurrent { candidate_dropout: 0.3, ..of(LstmCoupledPeephole) },
        Recurrent { candidate_dropout: 0.3, zoneout: 0.3, ..of(Gru) },
        Recurrent {
            recurrent_dropout: 0.3,
            candidate_dropout: 0.2,
            zoneout: 0.2,
            zoneout_cell: 0.1,
            ..of(LstmPeephole).projection(hidden - 1).layer_norm()
        },
        of(Mlstm),
        of(MlstmExponential).heads(hidden / 2),
    ];
    stacks
        .extend([RnnTanh, Lstm, LstmPeephole, LstmCoupled, Gru].map(|cell| of(cell).layer_norm()));
    let dropped = |cell| Recurrent { recurrent_dropout: 0.4, ..of(cell) };
    stacks.extend([RnnTanh, Lstm, Gru].map(dropped));
    stacks
}
