//! Products of whole matrices.
//!
//! The work is cut over rows or over panels of columns, never over K: every element of the result is
//! one chain of additions, the same for any number of threads and for any batch around it.

use crate::Engine;
use crate::element::Element;
use crate::gemm::packed::{Matrix, Packed};
use crate::gemm::tile::{Ahead, Cut, Tile, Tiles, VECTORS};
use crate::memory::{Buffer, RowsMut, Shared};
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
        let transposed = self.a.column_stride != 1;
        let mut copy = Buffer::new();
        if transposed {
            copy.resize(HEIGHT * DEPTH);
        }
        let height = if transposed { HEIGHT } else { usize::MAX };
        let mut first = rows.start;
        while first < rows.end {
            let count = height.min(rows.end - first);
            for k in (0..self.a.columns).step_by(DEPTH) {
                let depth = DEPTH.min(self.a.columns - k);
                let left = if transposed {
                    self.copy_left(&mut copy, first, count, k, depth);
                    Left { start: copy.as_ptr(), row: 1, k: count }
                } else {
                    let start = self.a.data[first * self.a.row_stride + k..].as_ptr();
                    Left { start, row: self.a.row_stride, k: 1 }
                };
                for panel in panels.clone() {
                    // SAFETY: the caller's promise.
                    unsafe { self.panel(panel, first, count, k, depth, &left) }
                }
            }
            first += count;
        }
    }

    /// Copies `count` rows of a transposed left operand to `[depth][count]`.
    fn copy_left(&self, copy: &mut [E], first: usize, count: usize, k: usize, depth: usize) {
        let a = &self.a;
        for at in 0..depth {
            let from = &a.data[(k + at) * a.column_stride + first * a.row_stride..];
            let to = &mut copy[at * count..][..count];
            if a.row_stride == 1 {
                to.copy_from_slice(&from[..count]);
            } else {
                for (r, to) in to.iter_mut().enumerate() {
                    *to = from[r * a.row_stride];
                }
            }
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the ranges of one block; a struct would only rename them"
    )]
    unsafe fn panel(
        &self,
        panel: usize,
        first: usize,
        count: usize,
        k: usize,
        depth: usize,
        left: &Left<E>,
    ) {
        let panels = self.b.panels();
        let (lanes, vectors) = (self.tiles.lanes, panels.vectors(panel));
        let column = panels.first(panel) * lanes;
        let width = (vectors * lanes).min(self.b.columns() - column);
        let mut edge = [E::default(); 8 * VECTORS * 16];
        self.tiles.cut(count, vectors, |Cut { first: r, rows, .. }| {
            // SAFETY: the sums of these rows and columns are inside the result, and the caller's own;
            // where the panel is wider than the result, they go by way of `edge`.
            unsafe {
                let sums = self.sums.at((first + r) * self.stride + column);
                let whole = width == vectors * lanes;
                let (c, c_row) =
                    if whole { (sums, self.stride) } else { (edge.as_mut_ptr(), vectors * lanes) };
                if !whole {
                    for row in 0..rows {
                        sums.add(row * self.stride)
                            .copy_to_nonoverlapping(c.add(row * c_row), width);
                    }
                }
                self.tiles.run(
                    rows,
                    vectors,
                    &Tile {
                        a: left.start.add(r * left.row),
                        a_row: left.row,
                        a_k: left.k,
                        a_segment: 0,
                        b: self.b.panel(panel, k),
                        b_k: vectors * lanes,
                        b_segment: 0,
                        length: depth,
                        segments: 1,
                        c,
                        c_row,
                        start: c,
                        start_row: c_row,
                        ahead: Ahead::nothing(c),
                    },
                );
                if !whole {
                    for row in 0..rows {
                        sums.add(row * self.stride)
                            .copy_from_nonoverlapping(c.add(row * c_row), width);
                    }
                }
            }
        });
    }
}

struct Left<E> {
    start: *const E,
    row: usize,
    k: usize,
}
