//! A recurrent layer whose products are of `bf16`.
//!
//! The same steps as in full precision, on the same tape: the columns, the states, the cell's functions
//! and all sums are those of `f32`. What differs is the operands. `x` is rounded once before the steps;
//! `h` is rounded after each step into the row that the next step multiplies; the gradients of the
//! columns are rounded once and serve the error of `h`, the error of `x` and the gradients of the
//! weights. An operand is `[rows][K]`, one row per row of the steps, so that what a product reads
//! before step `t`, reset states included, is row for row what the gradients need.
//!
//! Work is cut by units where the recurrent weights fill a good part of the cache of a core, since tiles
//! multiply faster than the next cache delivers; else by sequences.

mod backward;
mod forward;
mod gradients;
mod weights;

use crate::element::Element;
use crate::half::{COLUMNS, DEPTH, Halves};
use crate::memory::Buffer;
use crate::pool::Member;
use crate::recurrent::layout::Layout;
use crate::recurrent::steps::Steps;
use crate::recurrent::weights::Part;
use crate::recurrent::{RecurrentLayer, Split};
use std::ops::Range;

/// The weights of a layer as operands.
#[derive(Debug)]
pub(crate) struct HalfWeights {
    pub(super) halves: Halves,
    w: Buffer<u16>,
    first: Buffer<u16>,
    second: Buffer<u16>,
    w_back: Buffer<u16>,
    first_back: Buffer<u16>,
    second_back: Buffer<u16>,
}

impl HalfWeights {
    pub(super) fn new(halves: Halves) -> Self {
        let buffer = Buffer::new;
        Self {
            halves,
            w: buffer(),
            first: buffer(),
            second: buffer(),
            w_back: buffer(),
            first_back: buffer(),
            second_back: buffer(),
        }
    }
}

/// The operands of a pass, and room.
#[derive(Debug, Default)]
pub(crate) struct HalfTape {
    /// `x`, `h` before each step, and the operand of the second product: `[rows][K]`.
    x: Buffer<u16>,
    h: Buffer<u16>,
    operand: Buffer<u16>,
    /// The gradients of the columns: `[rows][columns][units]`.
    d_columns: Buffer<u16>,
    /// `x`, `h` and the second operand as right operands over rows.
    x_pairs: Buffer<u16>,
    h_pairs: Buffer<u16>,
    operand_pairs: Buffer<u16>,
    /// Gradients of columns turned, one part per member.
    turned: Buffer<u16>,
    d_bias: Buffer<f32>,
    zeros: Buffer<f32>,
}

/// The sizes of operands.
#[derive(Clone, Copy)]
struct Shape {
    /// Rows of the steps, rounded up so that they are a K.
    rows: usize,
    /// Distances of the rows of `x`, of `h` and of the gradients of the columns.
    x: usize,
    h: usize,
    d: usize,
    /// Units rounded up to whole blocks.
    units: usize,
}

impl Shape {
    fn new(layout: &Layout, rows: usize) -> Self {
        let padded = |depth: usize| depth.next_multiple_of(DEPTH);
        let units = layout.blocks * layout.unit;
        Self {
            rows: padded(rows),
            x: padded(layout.input),
            h: padded(layout.hidden),
            // A line more, so that the rows of a tile do not all fall into the same sets of a cache.
            d: padded(layout.columns * units) + DEPTH,
            units,
        }
    }

    /// Rows of `h` as operand: none, where nothing is multiplied with it.
    fn h_rows(&self, layout: &Layout) -> usize {
        if layout.recurrent_gates > 0 { self.rows } else { 0 }
    }

    /// K of a product with the gradients of the columns of `part`.
    fn back_depth(&self, part: &Part) -> usize {
        (part.gates.len() * self.units).next_multiple_of(DEPTH)
    }
}

/// What a member works on in a pass over the steps.
struct Own {
    sequences: Range<usize>,
    blocks: Range<usize>,
    /// Column tiles of rows of `H` that hold the units of these blocks.
    tiles: Range<usize>,
}

impl Own {
    fn new(layout: &Layout, steps: &Steps, split: Split, member: Member<'_>) -> Self {
        let (sequences, blocks) = match split {
            Split::Sequences => {
                let bound = |at| steps.bound(at, member.count);
                (bound(member.index)..bound(member.index + 1), 0..layout.blocks)
            }
            Split::Units => (0..steps.batch(), member.share(layout.blocks, 1)),
        };
        let tile = |block: usize| (block * layout.unit).min(layout.h_width()) / COLUMNS;
        Self { sequences, tiles: tile(blocks.start)..tile(blocks.end), blocks }
    }
}

/// Recurrent weights larger than this are shared out.
const CACHE: usize = 400_000;

impl<E: Element> RecurrentLayer<E> {
    fn half_plan(&self, steps: &Steps) -> (Split, usize) {
        let layout = &self.layout;
        let weights = 2 * layout.recurrent_gates * layout.hidden * layout.hidden;
        let threads = self.engine.threads_for(self.operations(steps));
        // Sequences that fill less than a tile each would leave the rest of it idle.
        let few = steps.batch() < COLUMNS * threads;
        let free = layout.recurrent_gates == 0;
        if layout.blocks >= threads && (weights > CACHE || few && (free || weights > CACHE / 8)) {
            (Split::Units, threads)
        } else {
            (Split::Sequences, threads.min(steps.batch()).max(1))
        }
    }
}
