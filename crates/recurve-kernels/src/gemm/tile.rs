//! The one inner loop: a tile of sums kept in registers over the whole of K.
//!
//! A tile is `ROWS × VECTORS` registers. For each `k`, it reads `VECTORS` registers of the packed
//! right operand and one number per row of the left operand, and adds their products. Every output
//! is one chain of additions in the order of `k`, whatever the size of the tile it falls in: results
//! do not depend on the batch, on how the work is cut, or on the number of threads.

use crate::detect::Isa;
use crate::element::Element;
use crate::isa::{Entry, Kernel, Simd, entry};

/// Where the operands of a tile are. Strides count elements. `k` runs over `segments` stretches of
/// `length`.
#[derive(Clone, Copy)]
pub(crate) struct Tile<E> {
    /// The left operand: row `r`, segment `s`, `k` is at `s * a_segment + r * a_row + k * a_k`.
    pub(crate) a: *const E,
    pub(crate) a_row: usize,
    pub(crate) a_k: usize,
    pub(crate) a_segment: usize,
    /// The right operand: `VECTORS` registers at `s * b_segment + k * b_k`.
    pub(crate) b: *const E,
    pub(crate) b_k: usize,
    pub(crate) b_segment: usize,
    pub(crate) length: usize,
    pub(crate) segments: usize,
    /// The sums: row `r` is `VECTORS` registers at `r * c_row`.
    pub(crate) c: *mut E,
    pub(crate) c_row: usize,
    /// What the sums start from: `r * start_row` further on; the sums themselves to add to them, or
    /// a row of biases with `start_row` 0.
    pub(crate) start: *const E,
    pub(crate) start_row: usize,
    /// What will be read soon.
    pub(crate) ahead: Ahead<E>,
}

/// One line of memory to fetch for each `k`, so that it is near when a later tile reads it. Weights
/// that are larger than the cache come from afar once per step: without this, the first tile of every
/// panel waits for them.
#[derive(Clone, Copy)]
pub(crate) struct Ahead<E> {
    start: *const E,
    k: usize,
    segment: usize,
}

impl<E> Ahead<E> {
    /// Nothing new: a line that is there anyway.
    pub(crate) fn nothing(near: *const E) -> Self {
        Self { start: near, k: 0, segment: 0 }
    }

    /// The part of the next panel, `panel` of `vectors` vectors, that tile `at` of this one fetches, in
    /// tiles of `segments` times `length` products. The first tiles fetch all of it.
    pub(crate) fn panel(
        panel: *const E,
        (vectors, lanes): (usize, usize),
        (length, segments): (usize, usize),
        at: usize,
    ) -> Self {
        if at >= vectors {
            return Self::nothing(panel);
        }
        let start = panel.wrapping_add(at * length * segments * lanes);
        Self { start, k: lanes, segment: length * lanes }
    }

    /// Line `at` of each row of a right operand.
    pub(crate) fn rows(start: *const E, (k, segment): (usize, usize)) -> Self {
        Self { start, k, segment }
    }
}

struct TileKernel<const ROWS: usize, const VECTORS: usize>;

impl<E: Element, const ROWS: usize, const VECTORS: usize> Kernel<E> for TileKernel<ROWS, VECTORS> {
    type Args = Tile<E>;

    /// # Safety
    /// All that the fields of the tile describe is readable, the sums writable.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = E>>(tile: &Tile<E>) {
        if ROWS * VECTORS > V::SUMS {
            // `most_rows` never asks for such a tile; not compiling it keeps the program small.
            return;
        }
        // SAFETY: every address is one that the caller vouches for.
        unsafe {
            let zero = V::splat(E::default());
            let mut sums = [[zero; VECTORS]; ROWS];
            for at in 0..ROWS * VECTORS {
                let (r, v) = (at / VECTORS, at % VECTORS);
                V::near(tile.start.add(r * tile.start_row + v * V::LANES));
            }
            for s in 0..tile.segments {
                let mut a = tile.a.add(s * tile.a_segment);
                let mut b = tile.b.add(s * tile.b_segment);
                let mut ahead = tile.ahead.start.wrapping_add(s * tile.ahead.segment);
                for _ in 0..tile.length {
                    let mut right = [zero; VECTORS];
                    for (v, register) in right.iter_mut().enumerate() {
                        *register = V::load(b.add(v * V::LANES));
                        V::near(b.wrapping_add(SOON / VECTORS * tile.b_k + v * V::LANES));
                    }
                    for (r, row) in sums.iter_mut().enumerate() {
                        let left = V::splat(*a.add(r * tile.a_row));
                        for (sum, register) in row.iter_mut().zip(right) {
                            *sum = left.mul_add(register, *sum);
                        }
                    }
                    V::fetch(ahead);
                    ahead = ahead.wrapping_add(tile.ahead.k);
                    a = a.wrapping_add(tile.a_k);
                    b = b.wrapping_add(tile.b_k);
                }
            }
            for (r, row) in sums.iter().enumerate() {
                for (v, sum) in row.iter().enumerate() {
                    let start = V::load(tile.start.add(r * tile.start_row + v * V::LANES));
                    (start + *sum).store(tile.c.add(r * tile.c_row + v * V::LANES));
                }
            }
        }
    }
}

/// Vectors of the right operand between the one that is read and the one that is called near. The
/// operand comes from the second cache: without this the sums wait for it, most where weights are
/// read once per step.
const SOON: usize = 32;

/// Most rows and vectors of a tile on any instruction set.
const MOST_ROWS: usize = 8;
pub(crate) const VECTORS: usize = 4;

/// Elements of a row of the widest tile.
pub(crate) const WIDTH: usize = VECTORS * 16;

/// Elements of the largest tile.
pub(crate) const ROOM: usize = 24 * 16;

/// Some rows of many.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    /// Which cut this is.
    pub(crate) at: usize,
    pub(crate) first: usize,
    pub(crate) rows: usize,
}

/// The tiles of one instruction set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles<E: Element> {
    /// Lanes of a register.
    pub(crate) lanes: usize,
    sums: usize,
    kernels: [[Entry<Tile<E>>; MOST_ROWS]; VECTORS],
}

impl<E: Element> Tiles<E> {
    pub(crate) fn new(isa: Isa) -> Self {
        macro_rules! tiles_of {
            ($vectors:literal: $($rows:literal)*) => {
                [$(entry::<E, TileKernel<$rows, $vectors>>(isa)),*]
            };
        }
        let (lanes, sums) = lanes_and_sums::<E>(isa);
        Self {
            lanes,
            sums,
            kernels: [
                tiles_of!(1: 1 2 3 4 5 6 7 8),
                tiles_of!(2: 1 2 3 4 5 6 7 8),
                tiles_of!(3: 1 2 3 4 5 6 7 8),
                tiles_of!(4: 1 2 3 4 5 6 7 8),
            ],
        }
    }

    /// The most rows of a tile that is `vectors` wide.
    #[inline]
    pub(crate) fn most_rows(&self, vectors: usize) -> usize {
        (self.sums / vectors).min(MOST_ROWS)
    }

    /// Computes a tile of `rows` rows and `vectors` vectors.
    ///
    /// # Safety
    /// `rows` is at least 1 and at most `most_rows(vectors)`; all that the fields of the tile
    /// describe is readable, the sums writable, and nobody else touches the sums meanwhile.
    #[inline]
    pub(crate) unsafe fn run(&self, rows: usize, vectors: usize, tile: &Tile<E>) {
        debug_assert!(rows >= 1 && rows <= self.most_rows(vectors));
        // SAFETY: the caller's promise; the table was made from an `Isa`, so the instructions exist.
        unsafe { self.kernels[vectors - 1][rows - 1](tile) }
    }

    /// Cuts `count` rows into tiles of nearly equal height and calls `tile` for each.
    #[inline]
    pub(crate) fn cut(&self, count: usize, vectors: usize, mut tile: impl FnMut(Cut)) {
        let pieces = count.div_ceil(self.most_rows(vectors));
        if pieces == 0 {
            return;
        }
        let (height, higher) = (count / pieces, count % pieces);
        let mut first = 0;
        for at in 0..pieces {
            let rows = height + usize::from(at < higher);
            tile(Cut { at, first, rows });
            first += rows;
        }
    }
}

/// Lanes of a register, and how many registers a tile may fill.
pub(crate) fn lanes_and_sums<E: Element>(isa: Isa) -> (usize, usize) {
    use crate::detect::Kind;
    fn of<V: Simd>() -> (usize, usize) {
        (V::LANES, V::SUMS)
    }
    match isa.0 {
        Kind::Portable => of::<crate::isa::Array4<E>>(),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => of::<E::Avx2>(),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => of::<E::Avx512>(),
    }
}
