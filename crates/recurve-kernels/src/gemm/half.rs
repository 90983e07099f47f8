//! Products of whole matrices with both operands rounded to `bf16`.
//!
//! The right operand is rounded when it is packed, the left one when it is multiplied: once per product,
//! by all threads together. The rest is [`crate::half`].

use crate::gemm::packed::Matrix;
use crate::half::convert::{PackColumns, PairNumbers, Round, Turn};
use crate::half::product::Product;
use crate::half::{COLUMNS, DEPTH, Halves, Tile};
use crate::memory::{Buffer, Shared};
use crate::pool::{Member, together};
use std::cell::RefCell;

/// A matrix `[K, N]` as a right operand.
#[derive(Debug, Default)]
pub(crate) struct HalfPacked {
    data: Buffer<u16>,
}

impl HalfPacked {
    /// Packs `matrix`, one of whose strides is 1, with `threads`.
    pub(crate) fn pack(&mut self, halves: &Halves, threads: usize, matrix: Matrix<'_, f32>) {
        let depth = matrix.rows.next_multiple_of(DEPTH);
        let tiles = matrix.columns.div_ceil(COLUMNS);
        self.data.resize(tiles * depth * COLUMNS);
        let to = Shared::new(&mut self.data);
        let from = matrix.data;
        together(threads, |member: Member<'_>| {
            if matrix.column_stride == 1 {
                for pair in member.share(depth / 2, 8) {
                    let row = |k: usize| {
                        let row = from.get(k * matrix.row_stride..).filter(|_| k < matrix.rows);
                        row.map_or(std::ptr::null(), <[f32]>::as_ptr)
                    };
                    // SAFETY: rows lie in the matrix; every pair has a place of its own in each tile.
                    unsafe {
                        (halves.convert.pair_numbers)(&PairNumbers {
                            from: [row(2 * pair), row(2 * pair + 1)],
                            width: matrix.columns,
                            to: to.at(pair * 2 * COLUMNS),
                            tile: depth * COLUMNS,
                        });
                    }
                }
            } else {
                for tile in member.share(tiles, 1) {
                    // SAFETY: the columns lie in the matrix, one after the other along K; every tile has
                    // a place of its own.
                    unsafe {
                        (halves.convert.pack_columns)(&PackColumns {
                            from: from[tile * COLUMNS * matrix.column_stride..].as_ptr(),
                            from_row: matrix.column_stride,
                            rows: (matrix.columns - tile * COLUMNS).min(COLUMNS),
                            depth: matrix.rows,
                            to: to.at(tile * depth * COLUMNS),
                        });
                    }
                }
            }
        });
    }
}

/// The sums of a product: where they are, the distance of their rows, how many columns they have.
pub(crate) struct Sums<'a> {
    pub(crate) data: Shared<'a, f32>,
    pub(crate) stride: usize,
    pub(crate) width: usize,
}

/// Memory of a thread for left operands, kept from product to product.
#[derive(Default)]
struct Left {
    rows: Buffer<u16>,
    turned: Buffer<u16>,
}

/// Adds `a b` to `sums`, with `threads`.
///
/// One stride of `a` is 1.
pub(crate) fn add_product(
    halves: &Halves,
    threads: usize,
    a: Matrix<'_, f32>,
    b: &HalfPacked,
    sums: &Sums<'_>,
) {
    thread_local! {
        static LEFT: RefCell<Left> = RefCell::default();
    }
    LEFT.with_borrow_mut(|left| {
        let depth = a.columns.next_multiple_of(DEPTH);
        let stride = depth + DEPTH;
        let operand = if a.column_stride == 1 {
            left.rows.resize(a.rows * stride);
            round(halves, threads, a, depth, (Shared::new(&mut left.rows), stride));
            &left.rows
        } else {
            // As it lies in memory, then turned.
            let width = a.rows.next_multiple_of(COLUMNS);
            left.rows.resize(depth * width);
            left.rows[a.columns * width..].fill(0);
            round(halves, threads, a.transposed(), width, (Shared::new(&mut left.rows), width));
            left.turned.resize(width * stride);
            turn(halves, threads, (&left.rows, width, depth), &mut left.turned);
            &left.turned
        };
        let tiles = sums.width.div_ceil(COLUMNS);
        let by_tiles = sums.width > a.rows;
        together(threads, |member: Member<'_>| {
            let mut bench = halves.bench();
            let (rows, tiles) = if by_tiles {
                (0..a.rows, member.share(tiles, 2))
            } else {
                (member.share(a.rows, 8), 0..tiles)
            };
            // SAFETY: the operands have all rows and columns of the sums, and members have sums of
            // their own.
            unsafe {
                let c = sums.data.at(0);
                let tile = Tile {
                    a: operand.as_ptr(),
                    a_row: stride,
                    b: b.data.as_ptr(),
                    b_tile: depth * COLUMNS,
                    depth,
                    c,
                    c_row: sums.stride,
                    start: c,
                    start_row: sums.stride,
                };
                Product { tile, width: sums.width }.run(&mut bench, rows, tiles);
            }
        });
    });
}

/// The rows of `from`, filled up with zeros to `padded`.
fn round(
    halves: &Halves,
    threads: usize,
    from: Matrix<'_, f32>,
    padded: usize,
    (to, stride): (Shared<'_, u16>, usize),
) {
    together(threads, |member: Member<'_>| {
        let rows = member.share(from.rows, 1);
        if rows.is_empty() {
            return;
        }
        // SAFETY: the rows lie in the matrix, and each belongs to one member.
        unsafe {
            (halves.convert.round)(&Round {
                from: from.data[rows.start * from.row_stride..].as_ptr(),
                from_row: from.row_stride,
                to: to.at(rows.start * stride),
                to_row: stride,
                rows: rows.len(),
                count: from.columns,
                padded,
            });
        }
    });
}

/// `[depth][width]` to `[width][depth]`, rows a stretch further apart than they are long.
fn turn(
    halves: &Halves,
    threads: usize,
    (from, width, depth): (&[u16], usize, usize),
    to: &mut Buffer<u16>,
) {
    let to = Shared::new(to);
    let stride = depth + DEPTH;
    together(threads, |member: Member<'_>| {
        for first in member.share(width, COLUMNS).step_by(COLUMNS) {
            let mut sums = [0.0; COLUMNS];
            // SAFETY: 16 columns of all rows, and rows of the result that belong to one member.
            unsafe {
                (halves.convert.turn)(&Turn {
                    from: from[first..].as_ptr(),
                    from_row: width,
                    rows: depth,
                    to: to.at(first * stride),
                    to_row: stride,
                    sums: sums.as_mut_ptr(),
                });
            }
        }
    });
}
