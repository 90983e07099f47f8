//! Products of whole matrices.
//!
//! The work is cut over rows or over panels of columns, never over K: every element of the result is
//! one chain of additions, the same for any number of threads and for any batch around it.

use crate::Engine;
use crate::element::Element;
use crate::gemm::packed::{Matrix, Packed};
use crate::gemm::tile::{Ahead, Cut, Tile, Tiles, VECTORS};
use crate::memory::{RowsMut, Shared};
use crate::pool::{Member, together};
use std::ops::Range;

/// What the sums of a product start from.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a, E> {
    /// Zero.
    Zero,
    /// One value per column: `[N]`.
    Bias(&'a [E]),
    /// What the result holds already.
    Sums,
}

/// Rows of K that a panel keeps in the nearest cache.
const DEPTH: usize = 256;
/// Rows of the left operand that are copied together where it is transposed.
const HEIGHT: usize = 240;

/// `c = start + a b`, with `a [M, K]`, `b [K, N]`, `c [M, N]`.
///
/// # Panics
/// Where the shapes do not fit each other.
pub fn product<E: Element>(
    engine: Engine,
    a: Matrix<'_, E>,
    b: &Packed<E>,
    start: Start<'_, E>,
    c: &mut RowsMut<'_, E>,
) {
    let (height, width) = (a.rows, b.columns());
    assert_eq!(a.columns, b.depth(), "the inner sizes of a product are equal");
    assert!(c.rows().width() == width && c.rows().count() >= height, "the result has room");
    if height == 0 || width == 0 {
        return;
    }
    let stride = c.rows().stride();
    begin(start, height, c);
    // SAFETY: the pointer comes from the exclusive borrow `c`.
    let sums = Shared::new(unsafe {
        std::slice::from_raw_parts_mut(c.pointer(), (height - 1) * stride + width)
    });
    let task = Task { tiles: Tiles::new(engine.isa()), a, b, sums, stride };
    let by_panels = b.panels().count() >= 2 * engine.threads() && width > height;
    together(engine.threads_for(2 * height * width * a.columns), |member: Member<'_>| {
        let (rows, panels) = if by_panels {
            (0..height, member.share(b.panels().count(), 1))
        } else {
            (member.share(height, 8), 0..b.panels().count())
        };
        // SAFETY: members have disjoint rows or disjoint columns.
        unsafe { task.run(rows, panels) }
    });
}

fn begin<E: Element>(start: Start<'_, E>, height: usize, c: &mut RowsMut<'_, E>) {
    for row in 0..height {
        match start {
            Start::Zero => c.row_mut(row).fill(E::default()),
            Start::Bias(bias) => c.row_mut(row).copy_from_slice(bias),
            Start::Sums => {}
        }
    }
}

struct Task<'a, E: Element> {
    tiles: Tiles<E>,
    a: Matrix<'a, E>,
    b: &'a Packed<E>,
    sums: Shared<'a, E>,
    stride: usize,
}

impl<E: Element> Task<'_, E> {
    /// Adds the product to `rows` of the columns of `panels`.
    ///
    /// # Safety
    /// Nobody else touches these sums meanwhile.
    unsafe fn run(&self, rows: Range<usize>, panels: Range<usize>) {
        if self.a.column_stride == 1 {
            let left = |k: usize| {
                let start = self.a.data[rows.start * self.a.row_stride + k..].as_ptr();
                Left { start, row: self.a.row_stride, k: 1 }
            };
            for k in (0..self.a.columns).step_by(DEPTH) {
                // SAFETY: the caller's promise.
                unsafe { self.stretch(&rows, &panels, k, &left(k)) }
            }
            return;
        }
        E::with_copies(|copy| {
            copy.resize(HEIGHT * DEPTH);
            for first in rows.clone().step_by(HEIGHT) {
                let rows = first..(first + HEIGHT).min(rows.end);
                for k in (0..self.a.columns).step_by(DEPTH) {
                    self.copy_left(copy, &rows, k);
                    let left = Left { start: copy.as_ptr(), row: 1, k: rows.len() };
                    // SAFETY: the caller's promise.
                    unsafe { self.stretch(&rows, &panels, k, &left) }
                }
            }
        });
    }

    /// Rows of K from `k` on that one stretch covers.
    fn depth(&self, k: usize) -> usize {
        DEPTH.min(self.a.columns - k)
    }

    /// Copies rows of a transposed left operand to `[depth][rows]`.
    fn copy_left(&self, copy: &mut [E], rows: &Range<usize>, k: usize) {
        let a = &self.a;
        for at in 0..self.depth(k) {
            let from = &a.data[(k + at) * a.column_stride + rows.start * a.row_stride..];
            let to = &mut copy[at * rows.len()..][..rows.len()];
            if a.row_stride == 1 {
                to.copy_from_slice(&from[..rows.len()]);
            } else {
                for (r, to) in to.iter_mut().enumerate() {
                    *to = from[r * a.row_stride];
                }
            }
        }
    }

    /// Adds the products of one stretch of K.
    ///
    /// # Safety
    /// As for [`Task::run`].
    unsafe fn stretch(&self, rows: &Range<usize>, panels: &Range<usize>, k: usize, left: &Left<E>) {
        for panel in panels.clone() {
            self.tiles.cut(rows.len(), self.b.panels().vectors(panel), |cut| {
                // SAFETY: the caller's promise.
                unsafe { self.tile(panel, cut.first + rows.start, cut, k, left) }
            });
        }
    }

    /// One tile: rows from `row` on of one panel. Where the panel is wider than the result, the sums
    /// go by way of `edge`.
    ///
    /// # Safety
    /// As for [`Task::run`].
    unsafe fn tile(&self, panel: usize, row: usize, cut: Cut, k: usize, left: &Left<E>) {
        let panels = self.b.panels();
        let (lanes, vectors, rows) = (self.tiles.lanes, panels.vectors(panel), cut.rows);
        let column = panels.first(panel) * lanes;
        let width = (vectors * lanes).min(self.b.columns() - column);
        let mut edge = [E::default(); 8 * VECTORS * 16];
        // SAFETY: the sums of these rows and columns are inside the result, and the caller's own; the
        // edge has room for the largest tile.
        unsafe {
            let sums = self.sums.at(row * self.stride + column);
            let whole = width == vectors * lanes;
            let (c, c_row) =
                if whole { (sums, self.stride) } else { (edge.as_mut_ptr(), vectors * lanes) };
            if !whole {
                for r in 0..rows {
                    c.add(r * c_row).copy_from_nonoverlapping(sums.add(r * self.stride), width);
                }
            }
            let tile = Tile {
                a: left.start.add(cut.first * left.row),
                a_row: left.row,
                a_k: left.k,
                a_segment: 0,
                b: self.b.panel(panel, k),
                b_k: vectors * lanes,
                b_segment: 0,
                length: self.depth(k),
                segments: 1,
                c,
                c_row,
                start: c,
                start_row: c_row,
                ahead: Ahead::nothing(c),
            };
            self.tiles.run(rows, vectors, &tile);
            if !whole {
                for r in 0..rows {
                    sums.add(r * self.stride).copy_from_nonoverlapping(c.add(r * c_row), width);
                }
            }
        }
    }
}

/// Where the left operand of a stretch begins, and the distance of its rows and of its `k`.
struct Left<E> {
    start: *const E,
    row: usize,
    k: usize,
}
