//! Weights rounded and packed as right operands.

use super::{HalfWeights, Shape};
use crate::element::Element;
use crate::half::convert::{PackColumns, PairNumbers};
use crate::half::{COLUMNS, DEPTH, Halves};
use crate::memory::{Buffer, Shared};
use crate::pool::{Member, together};
use crate::recurrent::RecurrentLayer;
use crate::recurrent::layout::Layout;
use crate::recurrent::weights::{Part, Weights};
use std::ops::Range;

/// A matrix of weights on its way to an operand.
struct Packing<'a> {
    halves: &'a Halves,
    layout: &'a Layout,
    part: Part,
    from: *const f32,
    to: Shared<'a, u16>,
}

// SAFETY: the weights are only read, and members write parts of their own.
unsafe impl Sync for Packing<'_> {}

impl Packing<'_> {
    /// `[block][tile][K/2][16][2]`, K being I or H: for the products forward.
    fn forward(&self, blocks: Range<usize>) {
        let (layout, depth) = (self.layout, self.part.depth);
        let (tiles, size) = (tiles(layout, &self.part), depth.next_multiple_of(DEPTH) * COLUMNS);
        for at in blocks.start * tiles..blocks.end * tiles {
            let (block, place) = (at / tiles, at % tiles * COLUMNS);
            let gate = self.part.gates[place / layout.unit];
            let unit = block * layout.unit + place % layout.unit;
            // SAFETY: the rows of the units that exist lie in the matrix, the tile in the buffer.
            unsafe {
                (self.halves.convert.pack_columns)(&PackColumns {
                    from: self.from.wrapping_add((gate * layout.hidden + unit) * depth),
                    from_row: depth,
                    rows: layout.hidden.saturating_sub(unit).min(COLUMNS),
                    depth,
                    to: self.to.at(at * size),
                });
            }
        }
    }

    /// `[tile][K/2][16][2]`, K being columns and units: for the products back to `h` and `x`.
    fn backward(&self, shape: &Shape, member: Member<'_>) {
        let (layout, depth) = (self.layout, self.part.depth);
        let height = shape.back_depth(&self.part);
        for pair in member.share(height / 2, 8) {
            let (column, unit) = (2 * pair / shape.units, 2 * pair % shape.units);
            let row = |unit: usize| {
                let real = column < self.part.gates.len() && unit < layout.hidden;
                let gate = || self.part.gates[column] * layout.hidden;
                if real {
                    self.from.wrapping_add((gate() + unit) * depth)
                } else {
                    std::ptr::null()
                }
            };
            // SAFETY: rows lie in the matrix; every pair has a place of its own in each tile.
            unsafe {
                (self.halves.convert.pair_numbers)(&PairNumbers {
                    from: [row(unit), row(unit + 1)],
                    width: depth,
                    to: self.to.at(pair * 2 * COLUMNS),
                    tile: height * COLUMNS,
                });
            }
        }
    }
}

/// Column tiles of a block.
pub(super) fn tiles(layout: &Layout, part: &Part) -> usize {
    part.width(layout) / COLUMNS
}

fn room(buffer: &mut Buffer<u16>, len: usize) -> Shared<'_, u16> {
    buffer.resize(len);
    Shared::new(buffer)
}

impl<E: Element> RecurrentLayer<E> {
    /// Takes over new weights as operands.
    pub(in crate::recurrent) fn pack_half(
        &self,
        half: &mut HalfWeights,
        weights: Weights<'_, E>,
        backward: bool,
    ) {
        let (cell, layout) = (&self.cell, &self.layout);
        let shape = Shape::new(layout, 0);
        let HalfWeights { halves, w, first, second, w_back, first_back, second_back } = half;
        let matrices = [
            (Part::input(cell, layout), weights.w, w, w_back),
            (Part::first(cell, layout), weights.r, first, first_back),
            (Part::second(cell, layout), weights.r, second, second_back),
        ];
        let size = weights.w.len() + weights.r.len();
        let packings = matrices.map(|(part, from, to, back)| {
            let forward = layout.blocks * part.width(layout) * part.depth.next_multiple_of(DEPTH);
            let height = shape.back_depth(&part) * part.depth.next_multiple_of(COLUMNS);
            let packing = |to| Packing { halves, layout, part, from: from.as_ptr().cast(), to };
            let back = backward.then(|| packing(room(back, height)));
            (packing(room(to, forward)), back)
        });
        together(self.engine.threads_for(size * 8), |member: Member<'_>| {
            for (forward, backward) in &packings {
                forward.forward(member.share(layout.blocks, 1));
                if let Some(packing) = backward {
                    packing.backward(&shape, member);
                }
            }
        });
    }
}
