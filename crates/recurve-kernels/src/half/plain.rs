//! The emulation: `bf16` in ordinary Rust, the definition of what the other ways compute.
//!
//! The product of two `bf16` has 16 digits and is exact in `f32`, so multiplying and adding rounds once.

use super::convert::{PackColumns, PairNumbers, PairRows, Round, Turn};
use super::{COLUMNS, DEPTH, Piece, Tile};
use crate::detect::Isa;
use crate::isa::{Entry, Kernel, Simd, entry};

/// The nearest `bf16`, ties to even.
#[inline(always)]
pub(crate) fn rounded(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        // Quiet, with its sign; the digits below would round to infinity.
        return (bits >> 16) as u16 | 0x40;
    }
    (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The value of a `bf16`.
#[inline(always)]
pub(crate) fn value(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

pub(super) struct Rounding;

impl Kernel<f32> for Rounding {
    type Args = Round;
    /// # Safety
    /// As [`Converters`](super::convert::Converters).
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = f32>>(args: &Round) {
        for row in 0..args.rows {
            // SAFETY: the caller's promise.
            unsafe {
                let (from, to) =
                    (args.from.add(row * args.from_row), args.to.add(row * args.to_row));
                for at in 0..args.count {
                    *to.add(at) = rounded(*from.add(at));
                }
                for at in args.count..args.padded {
                    *to.add(at) = 0;
                }
            }
        }
    }
}

pub(super) struct PairingNumbers;

impl Kernel<f32> for PairingNumbers {
    type Args = PairNumbers;
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = f32>>(args: &PairNumbers) {
        for n in 0..args.width.next_multiple_of(COLUMNS) {
            for (at, from) in args.from.iter().enumerate() {
                let zero = n >= args.width || from.is_null();
                // SAFETY: the caller's promise.
                unsafe {
                    let number = if zero { 0 } else { rounded(*from.add(n)) };
                    *args.to.add(n / COLUMNS * args.tile + n % COLUMNS * 2 + at) = number;
                }
            }
        }
    }
}

pub(super) struct PairingRows;

impl Kernel<f32> for PairingRows {
    type Args = PairRows;
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = f32>>(args: &PairRows) {
        for tile in 0..args.tiles {
            for row in 0..args.rows {
                for n in 0..COLUMNS {
                    // SAFETY: the caller's promise.
                    unsafe {
                        let number = *args.from.add(row * args.from_row + tile * COLUMNS + n);
                        let pair = tile * args.tile + row / 2 * 2 * COLUMNS;
                        *args.to.add(pair + 2 * n + row % 2) = number;
                    }
                }
            }
        }
    }
}

pub(super) struct Packing;

impl Kernel<f32> for Packing {
    type Args = PackColumns;
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = f32>>(args: &PackColumns) {
        for k in 0..args.depth.next_multiple_of(DEPTH) {
            for n in 0..COLUMNS {
                let zero = k >= args.depth || n >= args.rows;
                // SAFETY: the caller's promise.
                unsafe {
                    let number =
                        if zero { 0 } else { rounded(*args.from.add(n * args.from_row + k)) };
                    *args.to.add(k / 2 * 2 * COLUMNS + 2 * n + k % 2) = number;
                }
            }
        }
    }
}

pub(super) struct Turning;

impl Kernel<f32> for Turning {
    type Args = Turn;
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = f32>>(args: &Turn) {
        for row in 0..args.rows {
            for n in 0..COLUMNS {
                // SAFETY: the caller's promise.
                unsafe {
                    let number = *args.from.add(row * args.from_row + n);
                    *args.to.add(n * args.to_row + row) = number;
                    *args.sums.add(n) += value(number);
                }
            }
        }
    }
}

struct Product;

impl Kernel<f32> for Product {
    type Args = Piece;
    /// # Safety
    /// As [`Bench::run`](super::Bench::run).
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = f32>>(piece: &Piece) {
        for at in 0..piece.tiles {
            let tile = piece.tile.columns_from(at);
            for row in 0..piece.rows {
                // SAFETY: the caller's promise.
                unsafe { sums(&tile.rows_from(row)) }
            }
        }
    }
}

/// One row and one column tile.
#[inline(always)]
unsafe fn sums(tile: &Tile) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = tile.start.cast::<[f32; COLUMNS]>().read();
        for k in 0..tile.depth / 2 {
            let left = [value(*tile.a.add(2 * k)), value(*tile.a.add(2 * k + 1))];
            let right = tile.b.add(k * 2 * COLUMNS).cast::<[[u16; 2]; COLUMNS]>().read();
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum += left[0] * value(right[0]);
                *sum += left[1] * value(right[1]);
            }
        }
        tile.c.cast::<[f32; COLUMNS]>().write(sums);
    }
}

/// The product with the vectors that the compiler makes for `isa`.
pub(super) fn tile(isa: Isa) -> Entry<Piece> {
    entry::<f32, Product>(isa)
}
