//! What a recurrent cell is: its pointwise function, forward and backward.

use crate::{Group, Lanes};

/// States of a unit, at most.
pub const MOST_STATES: usize = 4;

/// A recurrent cell, without its matrix products.
///
/// For one unit and one sequence at one step, the layer forms the *columns*: sums of the input
/// product `w x + b` and the recurrent product `r h'` (a prime marks the step before). The cell
/// turns columns and states before the step into states after it. Time, direction, stacking,
/// lengths, packing and threads belong to the layer and are the same for every cell.
///
/// The columns of a unit are numbered. The input product fills the columns from 0 on, in the order
/// [`Cell::INPUT`]; the recurrent product the columns up to the last, in the order
/// [`Cell::RECURRENT`]. Where the two overlap they are added. A cell that needs the two products of
/// a gate apart (the candidate of the GRU) therefore has one column more than gates. A cell whose
/// [`Cell::RECURRENT`] is empty has no recurrent product at all: its steps are pointwise functions alone.
///
/// A value of the type carries what is chosen when the layer is made, such as an activation; most cells
/// have nothing to choose and are of size zero.
pub trait Cell: Copy + Send + Sync + 'static {
    /// What the products give one unit, and what is kept of a step for backward: `[V; COLUMNS]`.
    type Columns<V: Lanes>: Group<V>;
    /// What a unit carries from step to step, `h` first: `[h]`, `[h, c]`, up to [`MOST_STATES`] of them.
    type States<V: Lanes>: Group<V>;
    /// Weights that a unit has for itself alone, such as those that connect its cell state to its own
    /// gates: `[V; 0]` if there are none.
    type Peepholes<V: Lanes>: Group<V>;

    /// The gate whose rows of `w` fill column 0, 1, …
    const INPUT: &'static [usize];
    /// The gate whose rows of `r` fill the columns from `COLUMNS - RECURRENT.len()` on; empty if the cell
    /// has no recurrent product.
    const RECURRENT: &'static [usize];
    /// Whether the column after those of the input product holds the input itself. Such a layer has as many
    /// units as inputs.
    const PASSED: bool = false;
    /// How many columns at the end multiply `r` with the operand of [`Cell::operand`] instead of `h'`.
    const SECOND: usize = 0;

    /// Gates of the input product: `w` is `[GATES * H, I]`.
    const GATES: usize = Self::INPUT.len();
    /// Gates of the recurrent product: `r` is `[RECURRENT_GATES * H, H]`.
    const RECURRENT_GATES: usize = Self::RECURRENT.len();
    /// Columns of a unit.
    const COLUMNS: usize = <Self::Columns<f64> as Group<f64>>::LEN;
    /// States of a unit.
    const STATES: usize = <Self::States<f64> as Group<f64>>::LEN;
    /// Peephole weights of a unit.
    const PEEPHOLES: usize = <Self::Peepholes<f64> as Group<f64>>::LEN;

    /// One step of one unit: what to keep for backward, and the states after the step.
    fn forward<V: Lanes>(
        self,
        columns: Self::Columns<V>,
        peepholes: Self::Peepholes<V>,
        before: Self::States<V>,
    ) -> (Self::Columns<V>, Self::States<V>);

    /// The reverse of [`Cell::forward`]: from what was kept, the states around the step and the
    /// gradient of the states after it, the gradient of the columns and the part of the gradient of
    /// the states before it that does not pass through `r`. A column whose gradient
    /// [`Cell::operand_backward`] will give holds what that needs.
    fn backward<V: Lanes>(
        self,
        kept: Self::Columns<V>,
        peepholes: Self::Peepholes<V>,
        before: Self::States<V>,
        after: Self::States<V>,
        d_after: Self::States<V>,
    ) -> (Self::Columns<V>, Self::States<V>);

    /// The gradient of the peephole weights that one step adds.
    fn peepholes_backward<V: Lanes>(
        self,
        d_columns: Self::Columns<V>,
        before: Self::States<V>,
        after: Self::States<V>,
    ) -> Self::Peepholes<V> {
        let _ = (d_columns, before, after);
        Group::from_fn(|_| unreachable!("a cell with peepholes has their gradient"))
    }

    /// The operand of the second product, where [`Cell::SECOND`] is not 0: from the columns that the
    /// first product completed, the columns to go on with and the operand in place of `h'`.
    fn operand<V: Lanes>(
        self,
        columns: Self::Columns<V>,
        before: Self::States<V>,
    ) -> (Self::Columns<V>, V) {
        (columns, before.values()[0])
    }

    /// The reverse of [`Cell::operand`]: completes the gradient of the columns, and gives what to add
    /// to the gradient of `h'`. The columns come as [`Cell::backward`] left them; the last
    /// [`Cell::SECOND`] are complete already, and what it returns for them is not used.
    fn operand_backward<V: Lanes>(
        self,
        columns: Self::Columns<V>,
        before: Self::States<V>,
        d_operand: V,
    ) -> (Self::Columns<V>, V) {
        let _ = before;
        (columns, d_operand)
    }
}
