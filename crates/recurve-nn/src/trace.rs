//! Everything that the recurrent layers of a model did at every step, to be looked at.

/// What the recurrent layers did with a batch, from the input up; of each layer forward, then reverse.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace<E> {
    /// Each layer and direction.
    pub layers: Vec<LayerTrace<E>>,
    /// The outputs of the model, as [`Network::forward`](crate::Network::forward) gives them.
    pub outputs: Vec<E>,
}

/// One layer and direction. Rows stand in the order of [`Network::order`](crate::Network::order), in the
/// reverse direction too.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerTrace<E> {
    /// As in the names of its weights, such as `1.recurrent.0.forward`.
    pub name: String,
    /// Units: `H`.
    pub hidden: usize,
    /// Rows: the sum of the lengths.
    pub rows: usize,
    /// What the cell keeps of each step: its gates, activated, `[COLUMNS][rows, H]` in the order in which
    /// the file of the cell names them (i f g o of the LSTM; n r z and the recurrent part of n of the GRU).
    pub gates: Vec<E>,
    /// The states after each step, `h` first: `[STATES][rows, H]`.
    pub states: Vec<E>,
}

impl<E> LayerTrace<E> {
    /// Column `column` of the cell at a row: `[H]`.
    ///
    /// # Panics
    /// Where there is no such column or row.
    pub fn gate(&self, column: usize, row: usize) -> &[E] {
        self.part(&self.gates, column, row)
    }

    /// State `state` (0 is `h`, 1 is `c`) after the step of a row: `[H]`.
    ///
    /// # Panics
    /// Where there is no such state or row.
    pub fn state(&self, state: usize, row: usize) -> &[E] {
        self.part(&self.states, state, row)
    }

    fn part<'a>(&self, all: &'a [E], part: usize, row: usize) -> &'a [E] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        &all[(part * self.rows + row) * self.hidden..][..self.hidden]
    }
}
