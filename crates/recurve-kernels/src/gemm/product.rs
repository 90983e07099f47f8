//! Products of whole matrices.
//!
//! The work is cut over rows or over panels of columns, never over K: every element of the result is
//! one chain of additions, the same for any number of threads and for any batch around it.

use crate::Engine;
use crate::element::Element;
use crate::gemm::half::{Sums, add_product};
use crate::gemm::packed::{Matrix, Packed};
use crate::gemm::tile::{Ahead, Cut, ROOM, Tile, Tiles, WIDTH};
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
const DEPTH: usize = 1024;
/// Rows of the left operand that are copied together.
const HEIGHT: usize = 120;
/// Distance of copied rows: not a power of two, so that they do not push each other out of the cache.
const ROW: usize = DEPTH + 16;
/// Panels from which on copying a left operand that lies in rows is worth while.
const MANY: usize = 8;

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
    assert!(
        width == 0 || b.lanes() == engine.lanes::<E>(),
        "the right operand is packed for the vectors of the engine"
    );
    assert!(
        width == 0 || b.half.is_some() == engine.halves::<E>().is_some(),
        "the right operand is packed for the precision of the engine"
    );
    assert!(c.rows().width() == width && c.rows().count() >= height, "the result has room");
    if height == 0 || width == 0 {
        return;
    }
    let stride = c.rows().stride();
    let halves = engine.halves::<E>().filter(|_| b.half.is_some());
    if halves.is_some() || a.columns == 0 {
        begin(start, height, c);
    }
    // SAFETY: the pointer comes from the exclusive borrow `c`, whose rows reach as far: there are
    // `height` of them at least, and `width` elements of the last.
    let sums = Shared::new(unsafe {
        std::slice::from_raw_parts_mut(c.pointer(), (height - 1) * stride + width)
    });
    let threads = engine.threads_for(2 * height * width * a.columns);
    if let (Some(b), Some(halves)) = (&b.half, halves) {
        // SAFETY: the pointer comes from the exclusive borrow `c`, and the numbers are `f32`: `halves`
        // says so.
        let data = unsafe {
            std::slice::from_raw_parts_mut(sums.at(0).cast::<f32>(), (height - 1) * stride + width)
        };
        let sums = Sums { data: Shared::new(data), stride, width };
        return add_product(&halves, threads, a.of_f32(), b, &sums);
    }
    let task = Task { tiles: E::compiled(engine.isa()).tiles, a, b, start, sums, stride };
    let by_panels = b.panels().count() >= 2 * engine.threads() && width > height;
    together(threads, |member: Member<'_>| {
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
    start: Start<'a, E>,
    sums: Shared<'a, E>,
    stride: usize,
}

impl<E: Element> Task<'_, E> {
    /// Adds the product to `rows` of the columns of `panels`.
    ///
    /// # Safety
    /// Nobody else touches these sums meanwhile.
    unsafe fn run(&self, rows: Range<usize>, panels: Range<usize>) {
        if self.a.column_stride == 1 && panels.len() < MANY {
            for k in (0..self.a.columns).step_by(DEPTH) {
                let start = self.a.data[rows.start * self.a.row_stride + k..].as_ptr();
                let left = Left { start, row: self.a.row_stride, k: 1 };
                // SAFETY: the caller's promise.
                unsafe { self.stretch(&rows, &panels, k, &left) }
            }
            return;
        }
        E::with_copies(|copy| {
            copy.resize(HEIGHT * ROW);
            let pieces = rows.len().div_ceil(HEIGHT);
            let bound = |at: usize| rows.start + rows.len() * at / pieces;
            for at in 0..pieces {
                let rows = bound(at)..bound(at + 1);
                for k in (0..self.a.columns).step_by(DEPTH) {
                    let left = self.copy_left(copy, &rows, k);
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

    /// Copies rows of the left operand: as `[rows][depth]` where they lie so, else as `[depth][rows]`.
    fn copy_left(&self, copy: &mut [E], rows: &Range<usize>, k: usize) -> Left<E> {
        let (a, depth) = (&self.a, self.depth(k));
        let start = rows.start * a.row_stride + k * a.column_stride;
        if a.column_stride == 1 {
            for (r, to) in copy.chunks_exact_mut(ROW).take(rows.len()).enumerate() {
                to[..depth].copy_from_slice(&a.data[start + r * a.row_stride..][..depth]);
            }
            return Left { start: copy.as_ptr(), row: ROW, k: 1 };
        }
        for (at, to) in copy.chunks_exact_mut(rows.len()).take(depth).enumerate() {
            let from = &a.data[start + at * a.column_stride..];
            if a.row_stride == 1 {
                to.copy_from_slice(&from[..rows.len()]);
            } else {
                for (r, to) in to.iter_mut().enumerate() {
                    *to = from[r * a.row_stride];
                }
            }
        }
        Left { start: copy.as_ptr(), row: 1, k: rows.len() }
    }

    /// Adds the products of one stretch of K.
    ///
    /// # Safety
    /// As for [`Task::run`].
    unsafe fn stretch(&self, rows: &Range<usize>, panels: &Range<usize>, k: usize, left: &Left<E>) {
        let (all, lanes) = (self.b.panels(), self.tiles.lanes);
        let zeros = [E::default(); WIDTH];
        for panel in panels.clone() {
            let (column, vectors) = (all.first(panel) * lanes, all.vectors(panel));
            let width = (vectors * lanes).min(self.b.columns() - column);
            // SAFETY: the sums of these rows and columns are inside the result, and the caller's own.
            unsafe {
                let c = self.sums.at(rows.start * self.stride + column);
                // Later stretches add to what the first one wrote.
                let (start, start_row) = match self.start {
                    Start::Zero if k == 0 => (zeros.as_ptr(), 0),
                    Start::Bias(bias) if k == 0 => (bias[column..column + width].as_ptr(), 0),
                    _ => (c.cast_const(), self.stride),
                };
                let tile = Tile {
                    a: left.start,
                    a_row: left.row,
                    a_k: left.k,
                    a_segment: 0,
                    b: self.b.panel(panel, k),
                    b_k: vectors * lanes,
                    b_segment: 0,
                    length: self.depth(k),
                    segments: 1,
                    c,
                    c_row: self.stride,
                    start,
                    start_row,
                    ahead: Ahead::nothing(c),
                };
                self.tiles.cut(rows.len(), vectors, |Cut { first, rows, .. }| {
                    let a = left.start.add(first * left.row);
                    let (c, start) = (c.add(first * self.stride), start.add(first * start_row));
                    let tile = Tile { a, c, start, ..tile };
                    if width == vectors * lanes {
                        self.tiles.run(rows, vectors, &tile);
                    } else {
                        self.edge(tile, rows, vectors, width);
                    }
                });
            }
        }
    }

    /// A tile that is wider than the result: the sums go by way of a whole one.
    ///
    /// # Safety
    /// As for [`Task::run`].
    unsafe fn edge(&self, tile: Tile<E>, rows: usize, vectors: usize, width: usize) {
        let mut room = [E::default(); ROOM];
        let (whole, c_row) = (room.as_mut_ptr(), vectors * self.tiles.lanes);
        // SAFETY: the caller's promise; there is room for the largest tile.
        unsafe {
            for r in 0..rows {
                let start = tile.start.add(r * tile.start_row);
                whole.add(r * c_row).copy_from_nonoverlapping(start, width);
            }
            let inside = Tile { c: whole, c_row, start: whole, start_row: c_row, ..tile };
            self.tiles.run(rows, vectors, &inside);
            for r in 0..rows {
                tile.c.add(r * tile.c_row).copy_from_nonoverlapping(whole.add(r * c_row), width);
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
