//! The pointwise functions of a cell over plain rows: for layers that arrange their steps themselves, from
//! these and from products of matrices.

use crate::element::Element;
use crate::isa::Entry;
use crate::recurrent::cell::{CellKernels, Units};
use std::ptr::{null, null_mut};

/// Rows of numbers, `stride` apart; a stride of 0 repeats one row. Empty where the cell has no such thing.
#[derive(Clone, Copy, Debug)]
pub struct Strip<'a, E> {
    /// From the first number of the first row on.
    pub data: &'a [E],
    /// The distance of the rows.
    pub stride: usize,
}

/// The same, to write.
#[derive(Debug)]
pub struct StripMut<'a, E> {
    /// From the first number of the first row on.
    pub data: &'a mut [E],
    /// The distance of the rows.
    pub stride: usize,
}

impl<'a, E> Strip<'a, E> {
    /// No rows.
    pub fn none() -> Self {
        Self { data: &[], stride: 0 }
    }
}

impl<'a, E> StripMut<'a, E> {
    /// No rows.
    pub fn none() -> Self {
        Self { data: &mut [], stride: 0 }
    }
    /// To read.
    pub fn strip(&self) -> Strip<'_, E> {
        Strip { data: self.data, stride: self.stride }
    }
    /// For a shorter time.
    pub fn borrow(&mut self) -> StripMut<'_, E> {
        StripMut { data: self.data, stride: self.stride }
    }
    /// The first `rows` rows, which are taken away.
    #[must_use]
    pub fn split(&mut self, rows: usize) -> StripMut<'a, E> {
        let at = (rows * self.stride).min(self.data.len());
        let (head, tail) = std::mem::take(&mut self.data).split_at_mut(at);
        self.data = tail;
        StripMut { data: head, stride: self.stride }
    }
}

/// One step of some sequences. Every row, here and of columns and states, has room for the units rounded up
/// to whole vectors.
#[derive(Clone, Copy, Debug)]
pub struct UnitRows<'a, E> {
    /// How many sequences.
    pub rows: usize,
    /// Units of each.
    pub hidden: usize,
    /// The distance of columns, and of peephole weights.
    pub unit: usize,
    /// Peephole weights, `unit` apart.
    pub peepholes: &'a [E],
    /// The states before the step.
    pub before: [Strip<'a, E>; 2],
}

impl<E: Element> CellKernels<E> {
    /// The order of the gates in the columns that the input product fills, the first one first.
    pub fn input_order(&self) -> &'static [usize] {
        self.input
    }
    /// The order of the gates in the columns that the recurrent product fills, the last ones.
    pub fn recurrent_order(&self) -> &'static [usize] {
        self.recurrent
    }
    /// Columns of a unit.
    pub fn columns(&self) -> usize {
        self.columns
    }
    /// Whether the operand of some columns depends on others.
    pub fn has_second_product(&self) -> bool {
        self.second > 0
    }

    /// The cell's step forward: columns become what is kept, `after` the states after it.
    ///
    /// # Panics
    /// Where rows have no room, or the cell has more than two states.
    pub fn step(
        &self,
        rows: UnitRows<'_, E>,
        columns: StripMut<'_, E>,
        mut after: [StripMut<'_, E>; 2],
    ) {
        let mut units = self.units(&rows, columns);
        for (at, strip) in after.iter_mut().enumerate().take(self.states) {
            self.check("a state after the step", &rows, strip.strip(), 0);
            (units.after[at], units.after_row[at]) = (strip.data.as_mut_ptr(), strip.stride);
        }
        self.enter(self.forward, rows.rows, &units);
    }

    /// The reverse: what was kept becomes the gradients of the columns; `d_states`, to whose first `dy`
    /// is added, the gradients of the states before the step.
    ///
    /// # Panics
    /// Where rows have no room, or the cell has more than two states.
    pub fn step_back(
        &self,
        rows: UnitRows<'_, E>,
        columns: StripMut<'_, E>,
        after: [Strip<'_, E>; 2],
        dy: Strip<'_, E>,
        d_states: [StripMut<'_, E>; 2],
    ) {
        let mut units = self.units(&rows, columns);
        self.check("dy", &rows, dy, 0);
        (units.d_output, units.d_output_row) = (dy.data.as_ptr(), dy.stride);
        for (at, d) in d_states.into_iter().enumerate().take(self.states) {
            self.check("a state after the step", &rows, after[at], 0);
            // The function reads states and writes none.
            let state = after[at].data.as_ptr().cast_mut();
            (units.after[at], units.after_row[at]) = (state, after[at].stride);
            self.check("the gradient of a state", &rows, d.strip(), 0);
            units.d_state[at] = d.data.as_mut_ptr();
            units.d_state_row[at] = d.stride;
        }
        self.enter(self.backward, rows.rows, &units);
    }

    /// Adds what a step gives to the gradients of the peephole weights, `unit` apart.
    ///
    /// # Panics
    /// Where rows have no room, or the cell has more than two states.
    pub fn add_peepholes(
        &self,
        rows: UnitRows<'_, E>,
        columns: StripMut<'_, E>,
        after: [Strip<'_, E>; 2],
        sums: &mut [E],
    ) {
        let mut units = self.units(&rows, columns);
        for (at, strip) in after.into_iter().enumerate().take(self.states) {
            self.check("a state after the step", &rows, strip, 0);
            let state = strip.data.as_ptr().cast_mut();
            (units.after[at], units.after_row[at]) = (state, strip.stride);
        }
        assert!(sums.len() >= self.peepholes * rows.unit, "sums have room for all peepholes");
        units.d_peepholes = sums.as_mut_ptr();
        self.enter(self.peepholes_backward, rows.rows, &units);
    }

    /// Rows of `width` numbers rounded up to whole vectors.
    fn width(&self, hidden: usize) -> usize {
        hidden.next_multiple_of(E::compiled(self.isa).tiles.lanes)
    }

    fn check(&self, what: &str, rows: &UnitRows<'_, E>, strip: Strip<'_, E>, offset: usize) {
        let last = rows.rows.saturating_sub(1) * strip.stride;
        let needed = if rows.rows == 0 { 0 } else { last + offset + self.width(rows.hidden) };
        assert!(strip.data.len() >= needed, "{what} has rows of whole vectors");
    }

    fn units(&self, rows: &UnitRows<'_, E>, columns: StripMut<'_, E>) -> Units<E> {
        assert!(self.states <= 2, "a cell of at most two states");
        let (width, unit) = (self.width(rows.hidden), rows.unit);
        assert!(unit >= width, "columns have room for whole vectors");
        self.check("columns", rows, columns.strip(), (self.columns - 1) * unit);
        assert!(rows.peepholes.len() >= self.peepholes * unit, "peepholes have room");
        let mut before = [null(); 2];
        for (at, strip) in rows.before.iter().enumerate().take(self.states) {
            self.check("a state before the step", rows, *strip, 0);
            before[at] = strip.data.as_ptr();
        }
        Units {
            cell: &raw const self.cell,
            rows: rows.rows,
            vectors: width / E::compiled(self.isa).tiles.lanes,
            gates: columns.data.as_mut_ptr(),
            gates_row: columns.stride,
            unit,
            peepholes: rows.peepholes.as_ptr(),
            before,
            before_row: [rows.before[0].stride, rows.before[1].stride],
            after: [null_mut(); 2],
            after_row: [0; 2],
            operand: null_mut(),
            d_output: null(),
            d_output_row: 0,
            d_state: [null_mut(); 2],
            d_state_row: [0; 2],
            d_peepholes: null_mut(),
        }
    }

    fn enter(&self, function: Entry<Units<E>>, rows: usize, units: &Units<E>) {
        if rows > 0 {
            // SAFETY: `units` and its callers checked that all rows which the function of a cell with these
            // columns, states and peepholes touches lie in slices, borrowed exclusively where they are
            // written; the function was made for an `Isa` that is there.
            unsafe { function(units) }
        }
    }
}
