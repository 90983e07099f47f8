//! Products of `bf16`: both operands rounded to the upper half of an `f32`, sums in `f32`.
//!
//! Half the bytes, and on processors with AMX sixteen times the products per cycle. Three ways lead to
//! the same sums but for their last digits ([`HalfIsa`]); all read the same memory:
//!
//! - the left operand in rows, `[rows][K]`;
//! - the right operand in *column tiles* of 16, `[tile][K/2][16][2]`: two neighbours along K stand side
//!   by side, because one instruction multiplies pairs;
//! - K is a multiple of 32, padded by zeros on the right side, and by numbers on the left: a product of
//!   zero and a NaN would be a NaN. So whoever makes a left operand fills its padding.
//!
//! This module makes operands ([`convert`]) and multiplies them ([`product`]). What is kept in `bf16`
//! is an operand, never a sum: gradients, states and master weights are `f32`.

pub(crate) mod convert;
mod plain;
pub(crate) mod product;

use crate::detect::{Isa, Kind};
use crate::isa::Entry;
use convert::Converters;
use std::fmt;

/// Columns of a tile.
pub(crate) const COLUMNS: usize = 16;
/// K is a multiple of this.
pub(crate) const DEPTH: usize = 32;
/// Most rows of a product that is made at once.
pub(crate) const ROWS: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
enum Way {
    Emulated,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Amx,
}

/// How products of `bf16` are formed; evidence that this machine can.
///
/// Sums differ in their last digits from way to way. `avx512-bf16` adds the products of a pair one after
/// the other, `amx` adds 16 even and 16 odd products apart before it adds both to the sum; these two
/// take denormal numbers for zero. `emulated` adds product by product with ordinary instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct HalfIsa(Way);

impl HalfIsa {
    /// Every way that this machine has beside the vectors of `isa`, the fastest first. Only beside
    /// AVX-512 are there others than the emulation.
    pub fn available(isa: Isa) -> Vec<Self> {
        let mut found = vec![Self(Way::Emulated)];
        #[cfg(target_arch = "x86_64")]
        if isa.0 == Kind::Avx512 && is_x86_feature_detected!("avx512bf16") {
            found.push(Self(Way::Avx512));
            #[cfg(target_os = "linux")]
            if crate::isa::amx::available() {
                found.push(Self(Way::Amx));
            }
        }
        let _ = (isa, Kind::Portable);
        found.reverse();
        found
    }

    /// `amx`, `avx512-bf16` or `emulated`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Way::Emulated => "emulated",
            #[cfg(target_arch = "x86_64")]
            Way::Avx512 => "avx512-bf16",
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Way::Amx => "amx",
        }
    }
}

impl fmt::Display for HalfIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the operands of a product are. Strides count elements.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    /// Row `r` begins at `r * a_row`.
    pub(crate) a: *const u16,
    pub(crate) a_row: usize,
    /// Column tile `n` begins at `n * b_tile`.
    pub(crate) b: *const u16,
    pub(crate) b_tile: usize,
    /// K, a multiple of 32, at least 32.
    pub(crate) depth: usize,
    /// The sums: row `r` begins at `r * c_row`, its tiles follow each other.
    pub(crate) c: *mut f32,
    pub(crate) c_row: usize,
    /// What the sums start from, laid out like them: themselves, or one row for all with `start_row` 0.
    pub(crate) start: *const f32,
    pub(crate) start_row: usize,
}

impl Tile {
    /// The same from column tile `at` on.
    #[inline(always)]
    pub(crate) fn columns_from(&self, at: usize) -> Self {
        Self {
            b: self.b.wrapping_add(at * self.b_tile),
            c: self.c.wrapping_add(at * COLUMNS),
            start: self.start.wrapping_add(at * COLUMNS),
            ..*self
        }
    }

    /// The same from row `at` on.
    #[inline(always)]
    pub(crate) fn rows_from(&self, at: usize) -> Self {
        Self {
            a: self.a.wrapping_add(at * self.a_row),
            c: self.c.wrapping_add(at * self.c_row),
            start: self.start.wrapping_add(at * self.start_row),
            ..*self
        }
    }
}

/// The heights of the one or two row tiles of a product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TileRows {
    pub(crate) first: usize,
    pub(crate) second: usize,
}

impl TileRows {
    #[inline(always)]
    fn of(rows: usize) -> Self {
        debug_assert!((1..=ROWS).contains(&rows));
        let first = if rows <= 16 { rows } else { rows.div_ceil(2) };
        Self { first, second: rows - first }
    }
}

/// The functions of one way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Halves {
    way: HalfIsa,
    isa: Isa,
    pub(crate) convert: Converters,
}

impl Halves {
    /// Whether the processor multiplies `bf16`, so that both operands are worth rounding.
    pub(crate) fn has_instructions(&self) -> bool {
        self.way.0 != Way::Emulated
    }

    pub(crate) fn new(isa: Isa, way: HalfIsa) -> Self {
        let convert = match way.0 {
            Way::Emulated => Converters::plain(isa),
            #[cfg(target_arch = "x86_64")]
            Way::Avx512 => crate::isa::bf16::converters(),
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Way::Amx => crate::isa::bf16::converters(),
        };
        Self { way, isa, convert }
    }

    /// What one thread multiplies with: made where its work begins, dropped where it ends.
    pub(crate) fn bench(&self) -> Bench {
        match self.way.0 {
            Way::Emulated => Bench::Function(plain::tile(self.isa)),
            #[cfg(target_arch = "x86_64")]
            Way::Avx512 => Bench::Function(crate::isa::bf16::tile),
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Way::Amx => Bench::Amx(crate::isa::amx::Configured::new()),
        }
    }
}

/// A product of `rows` rows and `tiles` column tiles.
pub(crate) struct Piece {
    pub(crate) rows: usize,
    pub(crate) tiles: usize,
    pub(crate) tile: Tile,
}

/// The means of one thread to multiply.
pub(crate) enum Bench {
    Function(Entry<Piece>),
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Amx(crate::isa::amx::Configured),
}

impl Bench {
    /// `c = start + a b` for 1 to [`ROWS`] rows and some column tiles. Every sum is one chain in the
    /// order of K, the same for any number of rows and tiles.
    ///
    /// # Safety
    /// What the fields of `tile` describe is readable, the sums writable, and nobody else touches the
    /// sums meanwhile.
    #[inline]
    pub(crate) unsafe fn run(&mut self, rows: usize, tiles: usize, tile: &Tile) {
        debug_assert!((1..=ROWS).contains(&rows) && tile.depth >= DEPTH);
        debug_assert!(tile.depth.is_multiple_of(DEPTH));
        // SAFETY: the caller's promise; a `HalfIsa` proves that the instructions exist.
        unsafe {
            match self {
                Self::Function(run) => run(&Piece { rows, tiles, tile: *tile }),
                #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
                Self::Amx(tiles_of_thread) => tiles_of_thread.run(TileRows::of(rows), tiles, tile),
            }
        }
    }
}
