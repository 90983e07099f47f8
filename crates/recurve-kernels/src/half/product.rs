//! Products of whole matrices of `bf16`, for the part of one thread.

use super::{Bench, COLUMNS, ROWS, Tile};
use std::ops::Range;

/// Rows of K that are summed before the next: the left operand of a piece stays in the nearest cache
/// while it meets all columns.
pub(crate) const STRETCH: usize = 512;
/// Rows whose sums stay in the second cache from stretch to stretch.
const BLOCK: usize = 256;

/// Where a product is, and how many columns its sums have.
pub(crate) struct Product {
    /// From row 0 and column tile 0 on.
    pub(crate) tile: Tile,
    /// Columns of the sums: nothing is read or written beyond them, though tiles may be.
    pub(crate) width: usize,
}

/// Cuts `count` rows into pieces of nearly equal height, none higher than a product may be.
#[inline]
pub(crate) fn pieces(count: usize) -> impl Iterator<Item = Range<usize>> {
    let pieces = count.div_ceil(ROWS);
    (0..pieces).map(move |at| count * at / pieces..count * (at + 1) / pieces)
}

/// The stretches of K.
#[inline]
pub(crate) fn stretches(depth: usize) -> impl Iterator<Item = Range<usize>> {
    (0..depth).step_by(STRETCH).map(move |k| k..(k + STRETCH).min(depth))
}

impl Product {
    /// Forms the sums of some rows and some column tiles.
    ///
    /// # Safety
    /// What the fields describe is readable, the sums writable, and nobody else touches these sums
    /// meanwhile.
    pub(crate) unsafe fn run(&self, bench: &mut Bench, rows: Range<usize>, tiles: Range<usize>) {
        let whole = tiles.start..tiles.end.min(self.width / COLUMNS).max(tiles.start);
        for first in rows.clone().step_by(BLOCK) {
            let block = first..(first + BLOCK).min(rows.end);
            for k in stretches(self.tile.depth) {
                for piece in pieces(block.len()) {
                    let tile = self.stretch(k.clone()).rows_from(block.start + piece.start);
                    // SAFETY: the caller's promise.
                    unsafe {
                        if !whole.is_empty() {
                            let tile = tile.columns_from(whole.start);
                            bench.run(piece.len(), whole.len(), &tile);
                        }
                        for at in whole.end..tiles.end {
                            let columns = self.width - at * COLUMNS;
                            edge(bench, piece.len(), columns, &tile.columns_from(at));
                        }
                    }
                }
            }
        }
    }

    /// The part of a stretch of K: the first starts the sums, later ones add.
    #[inline]
    fn stretch(&self, k: Range<usize>) -> Tile {
        let tile = &self.tile;
        let (start, start_row) = if k.start == 0 {
            (tile.start, tile.start_row)
        } else {
            (tile.c.cast_const(), tile.c_row)
        };
        Tile {
            a: tile.a.wrapping_add(k.start),
            b: tile.b.wrapping_add(k.start * COLUMNS),
            depth: k.len(),
            start,
            start_row,
            ..*tile
        }
    }
}

/// A tile of which only the first `columns` columns exist.
unsafe fn edge(bench: &mut Bench, rows: usize, columns: usize, tile: &Tile) {
    let mut sums = [0.0_f32; ROWS * COLUMNS];
    // SAFETY: the caller vouches for the columns that exist; the array has room for the highest piece.
    unsafe {
        for row in 0..rows {
            let from = tile.start.add(row * tile.start_row);
            sums.as_mut_ptr().add(row * COLUMNS).copy_from_nonoverlapping(from, columns);
        }
        let c = sums.as_mut_ptr();
        let own = Tile { c, c_row: COLUMNS, start: c, start_row: COLUMNS, ..*tile };
        bench.run(rows, 1, &own);
        for row in 0..rows {
            let to = tile.c.add(row * tile.c_row);
            to.copy_from_nonoverlapping(c.add(row * COLUMNS).cast_const(), columns);
        }
    }
}
