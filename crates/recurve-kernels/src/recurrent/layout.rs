//! Where a layer's quantities lie.
//!
//! Units stand in *blocks* of `unit` units, so many that the columns of a block fill a tile: 16 units
//! of an LSTM with AVX-512, whose four gates are the tile's four vectors. At step `t`, block `n`,
//! sequence `b` holds its columns one after the other, `[columns][unit]`. In this layout the sums of
//! a tile are the columns of its units, the gradients of the columns are the left operand of the
//! products for `dh` and `dx` and the right operand of those for `dw` and `dr`; nothing is repacked.
//!
//! `h` lies in rows `[H]`, as the left operand of the next step's product and as the output; `c` and
//! further states, which only the pointwise functions touch, block by block:
//! `[block][sequence][states][unit]`.

use crate::Engine;
use crate::element::Element;
use crate::gemm::packed::Panels;
use crate::gemm::tile::VECTORS;
use crate::recurrent::cell::CellKernels;
use crate::recurrent::steps::Steps;
use std::ops::Range;

/// Elements after which addresses share the lines of the nearest cache, for `f32` in half of it.
const ALIAS: usize = 512;

/// The sizes of a layer and of its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// `I` and `H`.
    pub(crate) input: usize,
    pub(crate) hidden: usize,
    pub(crate) gates: usize,
    /// Gates that have recurrent weights; 0 if no step waits for a product.
    pub(crate) recurrent_gates: usize,
    pub(crate) columns: usize,
    /// Whether the column after those of the input product holds the input itself.
    pub(crate) passed: bool,
    /// Columns at the end whose product has an operand of its own.
    pub(crate) second: usize,
    pub(crate) states: usize,
    pub(crate) lanes: usize,
    /// Units of a block, and blocks.
    pub(crate) unit: usize,
    pub(crate) blocks: usize,
}

impl Layout {
    pub(crate) fn new<E: Element>(
        cell: &CellKernels<E>,
        engine: Engine,
        input: usize,
        hidden: usize,
    ) -> Self {
        let lanes = engine.row_lanes::<E>();
        let vectors = hidden.div_ceil(lanes);
        let across = (VECTORS / cell.gates).max(1);
        let across =
            (1..=across).min_by_key(|&n| (vectors.next_multiple_of(n) * 8 / n.min(3), across - n));
        let across = across.unwrap_or(1);
        Self {
            input,
            hidden,
            gates: cell.gates,
            recurrent_gates: cell.recurrent_gates,
            columns: cell.columns,
            passed: cell.passed,
            second: cell.second,
            states: cell.states,
            lanes,
            unit: across * lanes,
            blocks: vectors.div_ceil(across),
        }
    }

    /// Elements of one sequence in one block.
    pub(crate) fn row(&self) -> usize {
        self.columns * self.unit
    }
    /// `H` rounded up to whole vectors.
    pub(crate) fn h_width(&self) -> usize {
        self.hidden.next_multiple_of(self.lanes)
    }
    /// `I` rounded up to whole vectors.
    pub(crate) fn x_width(&self) -> usize {
        self.input.next_multiple_of(self.lanes)
    }
    /// Distance of the rows of `h`. The rows of a tile are read side by side; if they were a multiple
    /// of 2 KiB apart, they would all fall into the same few lines of the nearest cache.
    pub(crate) fn h_row(&self) -> usize {
        let width = self.h_width();
        if width.is_multiple_of(ALIAS) { width + self.lanes } else { width }
    }
    /// Elements of the states but `h`, for one sequence in one block.
    pub(crate) fn c_unit(&self) -> usize {
        (self.states - 1) * self.unit
    }
    /// The same in all blocks.
    pub(crate) fn c_row(&self) -> usize {
        self.blocks * self.c_unit()
    }
    /// The first column that the recurrent product adds to.
    pub(crate) fn recurrent(&self) -> usize {
        self.columns - self.recurrent_gates
    }
    /// Columns of the first recurrent product.
    pub(crate) fn first(&self) -> usize {
        self.recurrent_gates - self.second
    }
    /// The units of block `at` that there are.
    pub(crate) fn units(&self, at: usize) -> Range<usize> {
        at * self.unit..((at + 1) * self.unit).min(self.hidden)
    }
    /// Vectors of block `at` that hold real units.
    pub(crate) fn vectors(&self, at: usize) -> usize {
        let left = (self.hidden - at * self.unit).div_ceil(self.lanes);
        left.min(self.unit / self.lanes)
    }
    /// Panels of the product that gives `dh`: whole blocks.
    pub(crate) fn h_panels(&self) -> Panels {
        let vectors = self.hidden.div_ceil(self.lanes);
        let across = self.unit / self.lanes;
        if across > 1 { Panels::fixed(vectors, across) } else { Panels::even(vectors) }
    }
    /// The blocks that `panels` of [`Layout::h_panels`] cover.
    pub(crate) fn blocks_of(&self, panels: Range<usize>) -> Range<usize> {
        let across = self.unit / self.lanes;
        let first = |at| self.h_panels().first(at).div_ceil(across);
        first(panels.start)..first(panels.end)
    }
    /// Panels of the product that gives `dx`.
    pub(crate) fn x_panels(&self) -> Panels {
        Panels::even(self.input.div_ceil(self.lanes))
    }
}

/// Where the columns of a step are: as many blocks as the layer has, `block` elements apart.
#[derive(Clone, Copy)]
pub(crate) struct Gates {
    pub(crate) start: usize,
    pub(crate) block: usize,
}

/// Rows of the state buffers: the initial states of all sequences, then the states after each step.
pub(crate) fn state_rows(steps: &Steps, at: usize) -> (usize, usize) {
    if at == 0 {
        (0, steps.batch())
    } else {
        (steps.batch() + steps.first_row(at - 1), steps.active(at - 1))
    }
}
