//! What a layer kept of a forward pass, unit by unit, for those who want to look at it.

use crate::element::Element;
use crate::recurrent::RecurrentLayer;
use crate::recurrent::forward::Keep;
use crate::recurrent::layout::state_rows;
use crate::recurrent::steps::Steps;
use crate::recurrent::tape::{GatePlan, Tape};

impl<E: Element> RecurrentLayer<E> {
    /// Columns of a unit that the cell keeps of a step, and its states.
    pub fn kept(&self) -> (usize, usize) {
        (self.layout.columns, self.layout.states)
    }

    /// Copies what a forward pass over `steps` that kept columns left on the tape: each column of the cell
    /// as it was kept, activated, to `columns [COLUMNS][rows, H]`, and each state after its step to
    /// `states [STATES][rows, H]`, rows in the order of the steps.
    ///
    /// # Panics
    /// Where the tape does not hold such a pass, products were not in full precision, or a size does not
    /// fit.
    pub fn read(&self, tape: &Tape<E>, steps: &Steps, columns: &mut [E], states: &mut [E]) {
        let l = &self.layout;
        let size = steps.rows() * l.hidden;
        assert!(tape.kept == Keep::Columns && self.half.is_none(), "the tape holds all columns");
        assert_eq!(tape.gates.len(), GatePlan::Kept.len(l, steps), "the tape is of these steps");
        assert_eq!(
            (columns.len(), states.len()),
            (l.columns * size, l.states * size),
            "room for all"
        );
        for t in 0..steps.count() {
            let gates = GatePlan::Kept.gates(l, steps, t);
            let (first, rows) = state_rows(steps, t + 1);
            for b in 0..steps.active(t) {
                let row = steps.first_row(t) + b;
                for unit in 0..l.hidden {
                    let (block, at) = (unit / l.unit, unit % l.unit);
                    let to = row * l.hidden + unit;
                    for column in 0..l.columns {
                        let from = gates.start + block * gates.block + b * l.row();
                        columns[column * size + to] = tape.gates[from + column * l.unit + at];
                    }
                    states[to] = tape.output().row(row)[unit];
                    for state in 1..l.states {
                        let from = first * l.c_row() + (block * rows + b) * l.c_unit();
                        let value = tape.c[from + (state - 1) * l.unit + at];
                        states[state * size + to] = value;
                    }
                }
            }
        }
    }
}
