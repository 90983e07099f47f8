//! The inner loop of a sweep: some rows times all columns of a run of blocks.
//!
//! One row gives few sums per block, fewer than multiplications are under way at a time. A sweep of one
//! row therefore holds the sums of several blocks at once. What it never does is cut K: in floating point
//! every output is one chain of additions in the order of K from zero, and what was there is added at the
//! end, as in all other products.

use crate::detect::Isa;
use crate::element::Element;
use crate::isa::{Entry, Kernel, Narrow, NarrowKernel, Simd, entry, narrow_entry};
use std::any::TypeId;
use std::marker::PhantomData;

/// Where the operands of a sweep are. Strides of the sums count elements, those of the operands bytes.
pub(crate) struct Sweep<E> {
    pub(super) rows: usize,
    pub(super) blocks: usize,
    /// Products per sum; of bytes, a multiple of four.
    pub(super) depth: usize,
    pub(super) left: *const u8,
    pub(super) left_row: usize,
    pub(super) weights: *const u8,
    pub(super) weights_block: usize,
    pub(super) c: *mut E,
    pub(super) c_row: usize,
    pub(super) c_block: usize,
    /// What is added to: the sums themselves, or biases with `start_row` 0.
    pub(super) start: *const E,
    pub(super) start_row: usize,
    pub(super) start_block: usize,
    /// Of bytes: what a sum of integers is multiplied by, per column and per row, and begins with.
    pub(super) scales: *const f32,
    pub(super) left_scales: *const f32,
    pub(super) offsets: *const i32,
}

/// What a product is made of: how the operands of a form are read, multiplied and added up.
///
/// # Safety
/// All methods: the addresses are those of a sweep whose memory is there, and the instructions of the
/// type exist.
trait Product<E> {
    type Sum: Copy;
    type Left: Copy;
    const LANES: usize;
    /// Registers of sums that leave room for operands.
    const SUMS: usize;
    /// Products per lane and addition of a register, and the bytes of that register.
    const GROUP: usize;
    const BYTES: usize;
    /// Bytes of a left operand.
    const LEFT: usize;

    unsafe fn begin(sweep: &Sweep<E>, column: usize) -> Self::Sum;
    unsafe fn left(from: *const u8) -> Self::Left;
    /// The left operand at the end of a row that is no multiple of `GROUP` long.
    unsafe fn last(from: *const u8) -> Self::Left;
    unsafe fn add(sum: Self::Sum, weights: *const u8, left: Self::Left) -> Self::Sum;
    unsafe fn end(sweep: &Sweep<E>, sum: Self::Sum, at: At<E>);
}

/// The place of one register of results.
struct At<E> {
    row: usize,
    column: usize,
    c: *mut E,
    start: *const E,
}

impl<E> At<E> {
    /// Vector `v` of a row and block.
    ///
    /// # Safety
    /// They are in the sweep.
    #[inline(always)]
    unsafe fn new<P: Product<E>, const VECTORS: usize>(
        sweep: &Sweep<E>,
        row: usize,
        block: usize,
        v: usize,
    ) -> Self {
        let v = v * P::LANES;
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                row,
                column: block * VECTORS * P::LANES + v,
                c: sweep.c.add(row * sweep.c_row + block * sweep.c_block + v),
                start: sweep.start.add(row * sweep.start_row + block * sweep.start_block + v),
            }
        }
    }
}

/// Both operands in the layer's own numbers.
struct Full<V>(PhantomData<V>);

impl<E: Element, V: Simd<Elem = E>> Product<E> for Full<V> {
    type Sum = V;
    type Left = V;
    const LANES: usize = V::LANES;
    const SUMS: usize = V::SUMS;
    const GROUP: usize = 1;
    const BYTES: usize = V::LANES * size_of::<E>();
    const LEFT: usize = size_of::<E>();

    #[inline(always)]
    unsafe fn begin(_: &Sweep<E>, _: usize) -> V {
        // SAFETY: see the trait.
        unsafe { V::splat(E::default()) }
    }
    #[inline(always)]
    unsafe fn left(from: *const u8) -> V {
        // SAFETY: see the trait.
        unsafe { V::splat(*from.cast()) }
    }
    #[inline(always)]
    unsafe fn last(from: *const u8) -> V {
        // SAFETY: see the trait.
        unsafe { Self::left(from) }
    }
    #[inline(always)]
    unsafe fn add(sum: V, weights: *const u8, left: V) -> V {
        // SAFETY: see the trait.
        unsafe { left.mul_add(V::load(weights.cast()), sum) }
    }
    #[inline(always)]
    unsafe fn end(_: &Sweep<E>, sum: V, at: At<E>) {
        // SAFETY: see the trait.
        unsafe { (V::load(at.start) + sum).store(at.c) }
    }
}

/// Weights in `bf16`, two of a column side by side; all else in `f32`.
struct Halves<N>(PhantomData<N>);

impl<N: Narrow> Product<f32> for Halves<N> {
    type Sum = N::Floats;
    type Left = [N::Floats; 2];
    const LANES: usize = N::Floats::LANES;
    const SUMS: usize = N::Floats::SUMS;
    const GROUP: usize = 2;
    const BYTES: usize = Self::LANES * 4;
    const LEFT: usize = 8;

    #[inline(always)]
    unsafe fn begin(_: &Sweep<f32>, _: usize) -> N::Floats {
        // SAFETY: see the trait.
        unsafe { Simd::splat(0.0) }
    }
    #[inline(always)]
    unsafe fn left(from: *const u8) -> [N::Floats; 2] {
        let from = from.cast::<f32>();
        // SAFETY: see the trait.
        unsafe { [Simd::splat(*from), Simd::splat(*from.add(1))] }
    }
    #[inline(always)]
    unsafe fn last(from: *const u8) -> [N::Floats; 2] {
        // SAFETY: see the trait.
        unsafe { [Simd::splat(*from.cast::<f32>()), Simd::splat(0.0)] }
    }
    #[inline(always)]
    unsafe fn add(sum: N::Floats, weights: *const u8, left: [N::Floats; 2]) -> N::Floats {
        use recurve_cell::Lanes;
        // SAFETY: see the trait.
        let [even, odd] = unsafe { N::widen(weights.cast()) };
        left[1].mul_add(odd, left[0].mul_add(even, sum))
    }
    #[inline(always)]
    unsafe fn end(_: &Sweep<f32>, sum: N::Floats, at: At<f32>) {
        // SAFETY: see the trait.
        unsafe { (N::Floats::load(at.start) + sum).store(at.c) }
    }
}

/// Both operands in 8 bits, four of a column side by side; sums are integers.
struct Bytes<N>(PhantomData<N>);

impl<N: Narrow> Product<f32> for Bytes<N> {
    type Sum = N::Sums;
    type Left = u32;
    const LANES: usize = N::Floats::LANES;
    const SUMS: usize = N::Floats::SUMS;
    const GROUP: usize = 4;
    const BYTES: usize = Self::LANES * 4;
    const LEFT: usize = 4;

    #[inline(always)]
    unsafe fn begin(sweep: &Sweep<f32>, column: usize) -> N::Sums {
        // SAFETY: see the trait.
        unsafe { N::sums(sweep.offsets.add(column)) }
    }
    #[inline(always)]
    unsafe fn left(from: *const u8) -> u32 {
        // SAFETY: see the trait.
        unsafe { u32::from_le_bytes(from.cast::<[u8; 4]>().read()) }
    }
    #[inline(always)]
    unsafe fn last(from: *const u8) -> u32 {
        // SAFETY: see the trait; rows of bytes are whole groups.
        unsafe { Self::left(from) }
    }
    #[inline(always)]
    unsafe fn add(sums: N::Sums, weights: *const u8, left: u32) -> N::Sums {
        // SAFETY: see the trait.
        unsafe { N::add(sums, weights.cast(), left) }
    }
    #[inline(always)]
    unsafe fn end(sweep: &Sweep<f32>, sums: N::Sums, at: At<f32>) {
        use recurve_cell::Lanes;
        // SAFETY: see the trait.
        unsafe {
            let scale = N::Floats::load(sweep.scales.add(at.column))
                * N::Floats::splat(*sweep.left_scales.add(at.row));
            N::floats(sums).mul_add(scale, Simd::load(at.start)).store(at.c);
        }
    }
}

/// The results of `ROWS` rows from `row` on and `PANELS` blocks from `block` on.
///
/// # Safety
/// All that the sweep describes is readable, the sums writable, and the instructions of `P` exist.
#[inline(always)]
unsafe fn tile<
    E: Copy,
    P: Product<E>,
    const VECTORS: usize,
    const ROWS: usize,
    const PANELS: usize,
>(
    sweep: &Sweep<E>,
    row: usize,
    block: usize,
) {
    if ROWS * VECTORS * PANELS > P::SUMS {
        // `run` never asks for such a tile; not compiling it keeps the program small.
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        let first = At::new::<P, VECTORS>(sweep, row, block, 0);
        let mut sums = [[[P::begin(sweep, first.column); VECTORS]; PANELS]; ROWS];
        for (r, sums) in sums.iter_mut().enumerate() {
            for (p, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    let at = At::new::<P, VECTORS>(sweep, row + r, block + p, v);
                    *sum = P::begin(sweep, at.column);
                }
            }
        }
        let mut left = sweep.left.add(row * sweep.left_row);
        let mut weights = sweep.weights.add(block * sweep.weights_block);
        for _ in 0..sweep.depth / P::GROUP {
            let mut lefts = [P::left(left); ROWS];
            for (r, to) in lefts.iter_mut().enumerate().skip(1) {
                *to = P::left(left.add(r * sweep.left_row));
            }
            add::<E, P, VECTORS, ROWS, PANELS>(&mut sums, (weights, sweep.weights_block), lefts);
            left = left.add(P::LEFT);
            weights = weights.add(VECTORS * P::BYTES);
        }
        if !sweep.depth.is_multiple_of(P::GROUP) {
            let mut lefts = [P::last(left); ROWS];
            for (r, to) in lefts.iter_mut().enumerate().skip(1) {
                *to = P::last(left.add(r * sweep.left_row));
            }
            add::<E, P, VECTORS, ROWS, PANELS>(&mut sums, (weights, sweep.weights_block), lefts);
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (p, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    P::end(sweep, sum, At::new::<P, VECTORS>(sweep, row + r, block + p, v));
                }
            }
        }
    }
}

/// Adds the products of one group of every column.
///
/// # Safety
/// As for [`tile`].
#[allow(
    clippy::needless_range_loop,
    reason = "iterators over three levels are not unrolled into registers"
)]
#[inline(always)]
unsafe fn add<E, P: Product<E>, const VECTORS: usize, const ROWS: usize, const PANELS: usize>(
    sums: &mut [[[P::Sum; VECTORS]; PANELS]; ROWS],
    (weights, block): (*const u8, usize),
    left: [P::Left; ROWS],
) {
    for p in 0..PANELS {
        for v in 0..VECTORS {
            for r in 0..ROWS {
                // SAFETY: the caller's promise.
                unsafe {
                    let weights = weights.add(p * block + v * P::BYTES);
                    sums[r][p][v] = P::add(sums[r][p][v], weights, left[r]);
                }
            }
        }
    }
}

/// Rows of the highest tile.
const ROWS: usize = 6;

/// Registers of sums in a tile of one row.
const ACROSS: usize = 8;

/// Blocks that a tile of one row takes at once, where a block is `vectors` wide.
pub(super) fn panels(vectors: usize) -> usize {
    match vectors {
        1 => 8,
        2 => 4,
        _ => 2,
    }
}

/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn run<E: Copy, P: Product<E>, const VECTORS: usize>(sweep: &Sweep<E>) {
    // SAFETY: the caller's promise.
    unsafe {
        if sweep.rows == 1 {
            let mut block = 0;
            while block < sweep.blocks {
                let left = sweep.blocks - block;
                if left >= 8 && VECTORS * 8 <= ACROSS {
                    tile::<E, P, VECTORS, 1, 8>(sweep, 0, block);
                    block += 8;
                } else if left >= 4 && VECTORS * 4 <= ACROSS {
                    tile::<E, P, VECTORS, 1, 4>(sweep, 0, block);
                    block += 4;
                } else if left >= 2 {
                    tile::<E, P, VECTORS, 1, 2>(sweep, 0, block);
                    block += 2;
                } else {
                    tile::<E, P, VECTORS, 1, 1>(sweep, 0, block);
                    block += 1;
                }
            }
            return;
        }
        let pieces = sweep.rows.div_ceil((P::SUMS / VECTORS).min(ROWS));
        for block in 0..sweep.blocks {
            for at in 0..pieces {
                let row = sweep.rows * at / pieces;
                match sweep.rows * (at + 1) / pieces - row {
                    1 => tile::<E, P, VECTORS, 1, 1>(sweep, row, block),
                    2 => tile::<E, P, VECTORS, 2, 1>(sweep, row, block),
                    3 => tile::<E, P, VECTORS, 3, 1>(sweep, row, block),
                    4 => tile::<E, P, VECTORS, 4, 1>(sweep, row, block),
                    5 => tile::<E, P, VECTORS, 5, 1>(sweep, row, block),
                    _ => tile::<E, P, VECTORS, 6, 1>(sweep, row, block),
                }
            }
        }
    }
}

struct FullKernel<const VECTORS: usize>;

impl<E: Element, const VECTORS: usize> Kernel<E> for FullKernel<VECTORS> {
    type Args = Sweep<E>;
    /// # Safety
    /// All that the sweep describes is readable, the sums writable.
    #[inline(always)]
    unsafe fn run<V: Simd<Elem = E>>(sweep: &Sweep<E>) {
        // SAFETY: the caller's promise.
        unsafe { run::<E, Full<V>, VECTORS>(sweep) }
    }
}

struct HalvesKernel<const VECTORS: usize>;

impl<const VECTORS: usize> NarrowKernel for HalvesKernel<VECTORS> {
    type Args = Sweep<f32>;
    /// # Safety
    /// As for [`FullKernel`].
    #[inline(always)]
    unsafe fn run<N: Narrow>(sweep: &Sweep<f32>) {
        // SAFETY: the caller's promise.
        unsafe { run::<f32, Halves<N>, VECTORS>(sweep) }
    }
}

struct BytesKernel<const VECTORS: usize>;

impl<const VECTORS: usize> NarrowKernel for BytesKernel<VECTORS> {
    type Args = Sweep<f32>;
    /// # Safety
    /// As for [`FullKernel`].
    #[inline(always)]
    unsafe fn run<N: Narrow>(sweep: &Sweep<f32>) {
        // SAFETY: the caller's promise.
        unsafe { run::<f32, Bytes<N>, VECTORS>(sweep) }
    }
}

/// The form of a matrix of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Full,
    Halves,
    Bytes,
}

/// The sweeps over matrices in the layer's own numbers, by the vectors of a block.
pub(crate) fn full_sweeps<E: Element>(isa: Isa) -> [Entry<Sweep<E>>; 4] {
    [
        entry::<E, FullKernel<1>>(isa),
        entry::<E, FullKernel<2>>(isa),
        entry::<E, FullKernel<3>>(isa),
        entry::<E, FullKernel<4>>(isa),
    ]
}

fn narrow_sweep(isa: Isa, form: Form, vectors: usize) -> Entry<Sweep<f32>> {
    macro_rules! of {
        ($kernel:ident) => {
            match vectors {
                1 => narrow_entry::<$kernel<1>>(isa),
                2 => narrow_entry::<$kernel<2>>(isa),
                3 => narrow_entry::<$kernel<3>>(isa),
                _ => narrow_entry::<$kernel<4>>(isa),
            }
        };
    }
    match form {
        Form::Full => full_sweeps(isa)[vectors.max(1) - 1],
        Form::Halves => of!(HalvesKernel),
        Form::Bytes => of!(BytesKernel),
    }
}

/// The sweep over a matrix of `form` whose blocks are `vectors` wide: 1 to 4, or 0 for a matrix that is not
/// there.
///
/// # Panics
/// For a narrow form of anything but `f32`.
pub(super) fn sweep_of<E: Element>(isa: Isa, form: Form, vectors: usize) -> Entry<Sweep<E>> {
    if form == Form::Full {
        return E::compiled(isa).sweeps[vectors.max(1) - 1];
    }
    let narrow = narrow_sweep(isa, form, vectors);
    assert_eq!(TypeId::of::<E>(), TypeId::of::<f32>(), "narrow weights are weights of f32");
    // SAFETY: `E` is `f32`, so both are the same type.
    unsafe { std::mem::transmute::<Entry<Sweep<f32>>, Entry<Sweep<E>>>(narrow) }
}
