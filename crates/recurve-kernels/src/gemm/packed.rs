//! The right operand of a product, laid out as the tiles read it.

use crate::Engine;
use crate::element::Element;
use crate::gemm::half::HalfPacked;
use crate::gemm::tile::VECTORS;
use crate::memory::{Buffer, Shared};
use crate::pool::{Member, together};

/// A matrix `[rows, columns]` anywhere in memory; strides may describe it transposed.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, E> {
    pub(crate) data: &'a [E],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a, E: Copy + 'static> Matrix<'a, E> {
    /// `rows` rows of `columns` elements, the rows `stride` apart.
    ///
    /// # Panics
    /// Where the data are too short.
    pub fn new(data: &'a [E], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(rows == 0 || stride >= columns && data.len() >= (rows - 1) * stride + columns);
        Self { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The same numbers, where they are `f32`.
    pub(super) fn of_f32(self) -> Matrix<'a, f32> {
        let data = crate::element::as_f32(self.data);
        let Self { rows, columns, row_stride, column_stride, .. } = self;
        Matrix { data, rows, columns, row_stride, column_stride }
    }

    /// The transposed matrix, in the same memory.
    pub fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// `vectors` vectors cut into panels, none wider than a tile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panels {
    vectors: usize,
    count: usize,
    /// Vectors of a panel; the first `wider` have one more.
    width: usize,
    wider: usize,
}

impl Panels {
    /// Panels as even as possible.
    pub(crate) fn even(vectors: usize) -> Self {
        let count = vectors.div_ceil(VECTORS).max(1);
        Self { vectors, count: count.min(vectors), width: vectors / count, wider: vectors % count }
    }
    /// Panels of `width` vectors; the last may be narrower.
    pub(crate) fn fixed(vectors: usize, width: usize) -> Self {
        Self { vectors, count: vectors.div_ceil(width), width, wider: 0 }
    }
    pub(crate) fn count(self) -> usize {
        self.count
    }
    /// The first vector of panel `at`; for `at == count()`, the end.
    pub(crate) fn first(self, at: usize) -> usize {
        (at * self.width + at.min(self.wider)).min(self.vectors)
    }
    pub(crate) fn vectors(self, at: usize) -> usize {
        self.first(at + 1) - self.first(at)
    }
}

/// A matrix `[K, N]` packed as the right operand of products: panels of up to four vectors of
/// columns, each panel `[K][vectors][lanes]`, zero beyond column N.
#[derive(Debug)]
pub struct Packed<E: Element> {
    data: Buffer<E>,
    depth: usize,
    columns: usize,
    lanes: usize,
    /// The same of `bf16`, instead, where the engine asks for products of such.
    pub(super) half: Option<HalfPacked>,
}

impl<E: Element> Default for Packed<E> {
    fn default() -> Self {
        Self { data: Buffer::new(), depth: 0, columns: 0, lanes: 1, half: None }
    }
}

impl<E: Element> Packed<E> {
    /// `K`.
    pub fn depth(&self) -> usize {
        self.depth
    }
    /// `N`.
    pub fn columns(&self) -> usize {
        self.columns
    }
    /// Elements of the vectors that it is packed for.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes
    }
    pub(crate) fn panels(&self) -> Panels {
        Panels::even(self.columns.div_ceil(self.lanes))
    }
    /// Panel `at`, from row `k` on.
    pub(crate) fn panel(&self, at: usize, k: usize) -> *const E {
        let panels = self.panels();
        let first = panels.first(at) * self.depth + k * panels.vectors(at);
        self.data[first * self.lanes..].as_ptr()
    }

    /// Packs `matrix` in place of what was here.
    ///
    /// # Panics
    /// Where products of `bf16` are asked for with other numbers than `f32`.
    pub fn pack(&mut self, engine: Engine, matrix: Matrix<'_, E>) {
        (self.depth, self.columns) = (matrix.rows, matrix.columns);
        self.lanes = engine.lanes::<E>();
        if let Some(halves) = engine.halves::<E>() {
            let threads = engine.threads_for(matrix.rows * matrix.columns * 8);
            return self.half.get_or_insert_default().pack(&halves, threads, matrix.of_f32());
        }
        self.half = None;
        let panels = self.panels();
        self.data.resize(panels.first(panels.count()) * self.depth * self.lanes);
        let (lanes, depth) = (self.lanes, self.depth);
        let threads = engine.threads_for(self.data.len() * 8);
        let data = Shared::new(&mut self.data);
        let pack = |member: Member<'_>| {
            for at in member.share(panels.count(), 1) {
                let width = panels.vectors(at) * lanes;
                // SAFETY: a panel lies inside the buffer, and each belongs to one member.
                let panel = unsafe {
                    let start = data.at(panels.first(at) * depth * lanes);
                    std::slice::from_raw_parts_mut(start, width * depth)
                };
                fill(panel, width, panels.first(at) * lanes, matrix);
            }
        };
        together(threads, pack);
    }
}

/// Rows copied at a time where the source is transposed, so that both sides stay in cache.
const BLOCK: usize = 16;

fn fill<E: Element>(panel: &mut [E], width: usize, first: usize, matrix: Matrix<'_, E>) {
    let real = width.min(matrix.columns.saturating_sub(first));
    if real < width {
        panel.fill(E::default());
    }
    if matrix.column_stride == 1 {
        for (k, row) in panel.chunks_exact_mut(width).enumerate() {
            row[..real].copy_from_slice(&matrix.data[k * matrix.row_stride + first..][..real]);
        }
    } else {
        for block in (0..matrix.rows).step_by(BLOCK) {
            let end = (block + BLOCK).min(matrix.rows);
            for n in 0..real {
                let from = (first + n) * matrix.column_stride;
                for k in block..end {
                    panel[k * width + n] = matrix.data[from + k * matrix.row_stride];
                }
            }
        }
    }
}
