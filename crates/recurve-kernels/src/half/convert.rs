//! Making operands of `bf16` products.
//!
//! Numbers are rounded to the nearest, ties to even; what is too large for `bf16` becomes infinite, and
//! NaN stays NaN.

use super::plain;
use crate::detect::Isa;
use crate::isa::{Entry, entry};

/// Rounds `count` numbers of each of some rows, and writes zeros after them up to `padded`.
pub(crate) struct Round {
    pub(crate) from: *const f32,
    pub(crate) from_row: usize,
    pub(crate) to: *mut u16,
    pub(crate) to_row: usize,
    pub(crate) rows: usize,
    pub(crate) count: usize,
    pub(crate) padded: usize,
}

/// Two rows of `f32` to one row of pairs of a right operand: number `n` of both goes to tile `n / 16`,
/// place `n % 16`. A null pointer stands for zeros; tiles are filled up with zeros.
pub(crate) struct PairNumbers {
    pub(crate) from: [*const f32; 2],
    pub(crate) width: usize,
    pub(crate) to: *mut u16,
    /// The distance of tiles.
    pub(crate) tile: usize,
}

/// Rows of `bf16`, a multiple of 2, to a right operand over those rows: 16 columns of them to
/// `[rows/2][16][2]`, for `tiles` tiles.
pub(crate) struct PairRows {
    pub(crate) from: *const u16,
    pub(crate) from_row: usize,
    pub(crate) rows: usize,
    pub(crate) to: *mut u16,
    pub(crate) tile: usize,
    pub(crate) tiles: usize,
}

/// Up to 16 rows of `depth` numbers of `f32`, the columns of a right operand, to one tile of it:
/// `[K/2][16][2]`, K rounded up to 32; what no row fills is zero.
pub(crate) struct PackColumns {
    pub(crate) from: *const f32,
    pub(crate) from_row: usize,
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    pub(crate) to: *mut u16,
}

/// 16 columns of rows of `bf16`, a multiple of 32 rows, turned: `[16][rows]`. Adds each column's numbers
/// to `sums`, row by row.
pub(crate) struct Turn {
    pub(crate) from: *const u16,
    pub(crate) from_row: usize,
    pub(crate) rows: usize,
    pub(crate) to: *mut u16,
    pub(crate) to_row: usize,
    pub(crate) sums: *mut f32,
}

/// The conversions of one way; each is safe to call where what its argument describes is readable and
/// writable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Converters {
    pub(crate) round: Entry<Round>,
    pub(crate) pair_numbers: Entry<PairNumbers>,
    pub(crate) pair_rows: Entry<PairRows>,
    pub(crate) pack_columns: Entry<PackColumns>,
    pub(crate) turn: Entry<Turn>,
}

impl Converters {
    /// Ordinary instructions.
    pub(super) fn plain(isa: Isa) -> Self {
        Self {
            round: entry::<f32, plain::Rounding>(isa),
            pair_numbers: entry::<f32, plain::PairingNumbers>(isa),
            pair_rows: entry::<f32, plain::PairingRows>(isa),
            pack_columns: entry::<f32, plain::Packing>(isa),
            turn: entry::<f32, plain::Turning>(isa),
        }
    }
}
