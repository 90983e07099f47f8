//! AVX512-BF16: products of pairs of `bf16`, and conversions from `f32`, on vectors of AVX-512.

use crate::half::convert::{Converters, PackColumns, PairNumbers, PairRows, Round, Turn};
use crate::half::{COLUMNS, Piece, Tile};
use core::arch::x86_64::*;

/// The functions of this file, for a machine that has AVX512-BF16.
pub(crate) fn converters() -> Converters {
    Converters { round, pair_numbers, pair_rows, pack_columns, turn }
}

/// `count` of 16 lanes.
fn lanes(count: usize) -> __mmask16 {
    if count >= 16 { 0xffff } else { (1 << count) - 1 }
}

/// Two vectors of `f32` to one of `bf16`, `low` first.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn both(low: __m512, high: __m512) -> __m512i {
    // SAFETY: a vector of 32 halves is 512 bits, whatever its type.
    unsafe { core::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
}

/// Two vectors of 16 `bf16`, one after the other, to pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn paired(halves: __m512i) -> __m512i {
    let mut order = [0_u16; 32];
    for (at, place) in order.iter_mut().enumerate() {
        *place = (at / 2 + 16 * (at % 2)) as u16;
    }
    // SAFETY: the array has 64 bytes.
    let order = unsafe { _mm512_loadu_si512(order.as_ptr().cast()) };
    _mm512_permutexvar_epi16(order, halves)
}

/// Rows of a square of 16 × 16 32-bit numbers to its columns.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(rows: [__m512i; 16]) -> [__m512i; 16] {
    let mut a = rows;
    let mut b = rows;
    // Within 128 bits: numbers, then pairs of numbers.
    for at in (0..16).step_by(2) {
        b[at] = _mm512_unpacklo_epi32(a[at], a[at + 1]);
        b[at + 1] = _mm512_unpackhi_epi32(a[at], a[at + 1]);
    }
    for at in (0..16).step_by(4) {
        a[at] = _mm512_unpacklo_epi64(b[at], b[at + 2]);
        a[at + 1] = _mm512_unpackhi_epi64(b[at], b[at + 2]);
        a[at + 2] = _mm512_unpacklo_epi64(b[at + 1], b[at + 3]);
        a[at + 3] = _mm512_unpackhi_epi64(b[at + 1], b[at + 3]);
    }
    // Quarters: `a[4 r + c]` holds column c of each quarter for the rows 4 r to 4 r + 3.
    for c in 0..4 {
        let low = _mm512_shuffle_i32x4::<0x88>(a[c], a[4 + c]);
        let high = _mm512_shuffle_i32x4::<0xdd>(a[c], a[4 + c]);
        let low_two = _mm512_shuffle_i32x4::<0x88>(a[8 + c], a[12 + c]);
        let high_two = _mm512_shuffle_i32x4::<0xdd>(a[8 + c], a[12 + c]);
        b[c] = _mm512_shuffle_i32x4::<0x88>(low, low_two);
        b[8 + c] = _mm512_shuffle_i32x4::<0xdd>(low, low_two);
        b[4 + c] = _mm512_shuffle_i32x4::<0x88>(high, high_two);
        b[12 + c] = _mm512_shuffle_i32x4::<0xdd>(high, high_two);
    }
    b
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn round(args: &Round) {
    if args.count == 16 && args.padded == 16 {
        for row in 0..args.rows {
            // SAFETY: the caller's promise.
            unsafe {
                let numbers = _mm512_loadu_ps(args.from.add(row * args.from_row));
                let halves = _mm512_castsi512_si256(both(numbers, numbers));
                _mm256_storeu_si256(args.to.add(row * args.to_row).cast(), halves);
            }
        }
        return;
    }
    for row in 0..args.rows {
        // SAFETY: the caller's promise; masks keep to the numbers there are.
        unsafe {
            let (from, to) = (args.from.add(row * args.from_row), args.to.add(row * args.to_row));
            let mut at = 0;
            while at + 32 <= args.count {
                let halves =
                    both(_mm512_loadu_ps(from.add(at)), _mm512_loadu_ps(from.add(at + 16)));
                _mm512_storeu_si512(to.add(at).cast(), halves);
                at += 32;
            }
            while at < args.padded {
                let real = lanes(args.count.saturating_sub(at));
                let zero = _mm512_setzero_ps();
                let halves = both(_mm512_maskz_loadu_ps(real, from.wrapping_add(at)), zero);
                let halves = _mm512_castsi512_si256(halves);
                _mm256_mask_storeu_epi16(to.add(at).cast(), lanes(args.padded - at), halves);
                at += 16;
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn pair_numbers(args: &PairNumbers) {
    for tile in 0..args.width.div_ceil(COLUMNS) {
        let at = tile * COLUMNS;
        let real = lanes(args.width - at);
        // SAFETY: the caller's promise; masks keep to the numbers there are.
        unsafe {
            let [low, high] = args.from.map(|from| {
                let here = if from.is_null() { 0 } else { real };
                _mm512_maskz_loadu_ps(here, from.wrapping_add(at))
            });
            _mm512_storeu_si512(args.to.add(tile * args.tile).cast(), paired(both(low, high)));
        }
    }
}

/// 16 `bf16` of each of two rows, as pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn pair_of_rows(from: *const u16, row: usize) -> __m512i {
    // SAFETY: the caller promises 16 numbers of two rows.
    unsafe {
        let low = _mm512_castsi256_si512(_mm256_loadu_si256(from.cast()));
        let high = _mm256_loadu_si256(from.add(row).cast());
        paired(_mm512_inserti64x4::<1>(low, high))
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn pair_rows(args: &PairRows) {
    for row in (0..args.rows).step_by(2) {
        for tile in 0..args.tiles {
            // SAFETY: the caller's promise.
            unsafe {
                let from = args.from.add(row * args.from_row + tile * COLUMNS);
                let to = args.to.add(tile * args.tile + row * COLUMNS);
                _mm512_storeu_si512(to.cast(), pair_of_rows(from, args.from_row));
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn pack_columns(args: &PackColumns) {
    for k in (0..args.depth).step_by(32) {
        let (first, second) = (lanes(args.depth - k), lanes(args.depth.saturating_sub(k + 16)));
        let mut rows = [_mm512_setzero_si512(); 16];
        for (n, row) in rows.iter_mut().enumerate().take(args.rows) {
            // SAFETY: the caller's promise; masks keep to the numbers there are.
            unsafe {
                let from = args.from.add(n * args.from_row + k);
                let low = _mm512_maskz_loadu_ps(first, from);
                let high = _mm512_maskz_loadu_ps(second, from.wrapping_add(16));
                *row = both(low, high);
            }
        }
        for (at, pairs) in transposed(rows).into_iter().enumerate() {
            // SAFETY: the tile has room for K rounded up to 32.
            unsafe { _mm512_storeu_si512(args.to.add((k / 2 + at) * 32).cast(), pairs) }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn turn(args: &Turn) {
    // SAFETY: the caller promises room for 16 sums.
    let mut sums = unsafe { _mm512_loadu_ps(args.sums) };
    let upper = _mm512_set1_epi32(-0x1_0000);
    for first in (0..args.rows).step_by(32) {
        let mut pairs = [_mm512_setzero_si512(); 16];
        for (at, pair) in pairs.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *pair = unsafe {
                pair_of_rows(args.from.add((first + 2 * at) * args.from_row), args.from_row)
            };
            sums = _mm512_add_ps(sums, _mm512_castsi512_ps(_mm512_slli_epi32::<16>(*pair)));
            sums = _mm512_add_ps(sums, _mm512_castsi512_ps(_mm512_and_si512(*pair, upper)));
        }
        for (n, rows) in transposed(pairs).into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { _mm512_storeu_si512(args.to.add(n * args.to_row + first).cast(), rows) }
        }
    }
    // SAFETY: as above.
    unsafe { _mm512_storeu_ps(args.sums, sums) }
}

/// Rows of a block of sums in registers.
const HEIGHT: usize = 6;

/// A product, see [`Bench::run`](crate::half::Bench::run).
///
/// # Safety
/// AVX512-BF16 exists; what the fields describe is readable, the sums writable.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(crate) unsafe fn tile(piece: &Piece) {
    for first in (0..piece.tiles).step_by(4) {
        let columns = piece.tile.columns_from(first);
        // SAFETY: the caller's promise.
        unsafe {
            match piece.tiles - first {
                1 => rows::<1>(piece.rows, &columns),
                2 => rows::<2>(piece.rows, &columns),
                3 => rows::<3>(piece.rows, &columns),
                _ => rows::<4>(piece.rows, &columns),
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn rows<const TILES: usize>(rows: usize, tile: &Tile) {
    for first in (0..rows).step_by(HEIGHT) {
        let tile = tile.rows_from(first);
        // SAFETY: the caller's promise.
        unsafe {
            match rows - first {
                1 => sums::<1, TILES>(&tile),
                2 => sums::<2, TILES>(&tile),
                3 => sums::<3, TILES>(&tile),
                4 => sums::<4, TILES>(&tile),
                5 => sums::<5, TILES>(&tile),
                _ => sums::<HEIGHT, TILES>(&tile),
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn sums<const HEIGHT: usize, const TILES: usize>(tile: &Tile) {
    let mut sums = [[_mm512_setzero_ps(); TILES]; HEIGHT];
    // SAFETY: every address is one that the caller vouches for; vectors of 32 halves are 512 bits,
    // whatever their type.
    unsafe {
        for (r, row) in sums.iter_mut().enumerate() {
            for (n, sum) in row.iter_mut().enumerate() {
                *sum = _mm512_loadu_ps(tile.start.add(r * tile.start_row + n * COLUMNS));
            }
        }
        for k in (0..tile.depth).step_by(2) {
            let mut right = [_mm512_setzero_si512(); TILES];
            for (n, right) in right.iter_mut().enumerate() {
                *right = _mm512_loadu_si512(tile.b.add(n * tile.b_tile + k * COLUMNS).cast());
            }
            for (r, row) in sums.iter_mut().enumerate() {
                let pair = tile.a.add(r * tile.a_row + k).cast::<i32>().read_unaligned();
                let left = _mm512_set1_epi32(pair);
                for (sum, right) in row.iter_mut().zip(right) {
                    let halves = core::mem::transmute::<__m512i, __m512bh>;
                    *sum = _mm512_dpbf16_ps(*sum, halves(left), halves(right));
                }
            }
        }
        for (r, row) in sums.iter().enumerate() {
            for (n, sum) in row.iter().enumerate() {
                _mm512_storeu_ps(tile.c.add(r * tile.c_row + n * COLUMNS), *sum);
            }
        }
    }
}
