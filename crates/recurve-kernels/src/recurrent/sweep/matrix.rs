//! Weights as sweeps read them.

use crate::detect::Isa;
use crate::element::Element;
use crate::engine::Precision;
use crate::isa::Entry;
use crate::memory::Buffer;
use crate::recurrent::layout::Layout;
use crate::recurrent::sweep::kernel::{Form, Sweep, sweep_of};
use crate::recurrent::sweep::narrow::{bf16_of, int8_of, int8_scale};
use crate::recurrent::weights::Part;
use std::ops::Range;

/// A matrix in 8 or 16 bits: `[block][K in groups][columns][unit][group]`, where a group of weights of a
/// column, two of 16 bits or four of 8, fills a lane. Empty where the weights are in the layer's own
/// numbers, packed as for all other products.
#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) form: Form,
    /// Lines of memory, whatever stands in them.
    data: Buffer<f32>,
    /// Per column.
    scales: Buffer<f32>,
    /// Per column -128 times the sum of its weights: what the 128 in every left operand adds.
    offsets: Vec<i32>,
}

impl Default for Matrix {
    fn default() -> Self {
        Self { form: Form::Full, data: Buffer::new(), scales: Buffer::new(), offsets: vec![] }
    }
}

/// A layer's input of fewer values is multiplied as it is by weights of 8 bits: the product is cheap, and
/// features may differ by magnitudes, while a rounded row has one scale.
const NARROW_INPUT: usize = 64;

impl Matrix {
    /// The form of the input weights of a layer.
    pub(super) fn form_of_input(precision: Precision, input: usize) -> Form {
        match precision {
            Precision::Int8 if input < NARROW_INPUT => Form::Full,
            _ => Self::form(precision),
        }
    }

    /// The form of other weights.
    pub(super) fn form(precision: Precision) -> Form {
        match precision {
            Precision::Full => Form::Full,
            Precision::Bf16 => Form::Halves,
            Precision::Int8 => Form::Bytes,
        }
    }

    /// A part of the weights.
    pub(super) fn new<E: Element>(form: Form, layout: &Layout, part: &Part, from: &[E]) -> Self {
        let mut matrix = Self { form, ..Self::default() };
        match form {
            Form::Full => {}
            Form::Halves => matrix.pack_halves(layout, part, from),
            Form::Bytes => matrix.pack_bytes(layout, part, from),
        }
        matrix
    }

    /// `K` as the sweep counts it.
    pub(super) fn depth(&self, part: &Part) -> usize {
        if self.form == Form::Bytes { part.depth.next_multiple_of(4) } else { part.depth }
    }

    fn lines(&self, layout: &Layout, part: &Part) -> usize {
        let group = if self.form == Form::Bytes { 4 } else { 2 };
        part.depth.div_ceil(group) * part.width(layout)
    }

    fn pack_halves<E: Element>(&mut self, layout: &Layout, part: &Part, from: &[E]) {
        let lines = self.lines(layout, part);
        self.data.resize(layout.blocks * lines);
        let width = part.width(layout);
        each_row(layout, part, from, |block, place, row| {
            let to = &mut self.data[block * lines..][..lines];
            for (pair, to) in row.chunks(2).zip(to.chunks_exact_mut(width)) {
                let half = |at: usize| pair.get(at).map_or(0, |w| bf16_of(w.to_f64() as f32));
                let ([a, b], [c, d]) = (half(0).to_ne_bytes(), half(1).to_ne_bytes());
                to[place] = f32::from_bits(u32::from_ne_bytes([a, b, c, d]));
            }
        });
    }

    fn pack_bytes<E: Element>(&mut self, layout: &Layout, part: &Part, from: &[E]) {
        let (lines, width) = (self.lines(layout, part), part.width(layout));
        self.data.resize(layout.blocks * lines);
        self.scales.resize(layout.blocks * width);
        self.offsets = vec![0; layout.blocks * width];
        let mut values = vec![];
        each_row(layout, part, from, |block, place, row| {
            values.clear();
            values.extend(row.iter().map(|w| w.to_f64() as f32));
            let scale = int8_scale(&values);
            self.scales[block * width + place] = scale;
            let to = &mut self.data[block * lines..][..lines];
            for (group, to) in values.chunks(4).zip(to.chunks_exact_mut(width)) {
                let mut bytes = [0; 4];
                for (byte, value) in bytes.iter_mut().zip(group) {
                    let weight = int8_of(*value, scale);
                    *byte = weight as u8;
                    self.offsets[block * width + place] -= 128 * i32::from(weight);
                }
                to[place] = f32::from_bits(u32::from_ne_bytes(bytes));
            }
        });
    }

    /// The matrix and its sweep. `full` holds the weights where they are in the layer's own numbers.
    pub(super) fn factor<'a, E: Element>(
        &'a self,
        isa: Isa,
        layout: &Layout,
        part: Part,
        full: &'a [E],
    ) -> Factor<'a, E> {
        let width = part.width(layout);
        let (weights, block) = match self.form {
            Form::Full => (full.as_ptr().cast(), part.depth * width * size_of::<E>()),
            _ => (self.data.as_ptr().cast(), self.lines(layout, &part) * size_of::<f32>()),
        };
        Factor {
            matrix: self,
            run: sweep_of(isa, self.form, part.vectors(layout)),
            depth: self.depth(&part),
            width,
            vectors: part.vectors(layout),
            bytes: block * layout.blocks,
            weights,
            block,
            part,
            life: std::marker::PhantomData,
        }
    }
}

/// A matrix ready to be multiplied.
pub(super) struct Factor<'a, E> {
    pub(super) matrix: &'a Matrix,
    run: Entry<Sweep<E>>,
    pub(super) part: Part,
    pub(super) depth: usize,
    pub(super) width: usize,
    pub(super) vectors: usize,
    /// All of it, in bytes.
    pub(super) bytes: usize,
    weights: *const u8,
    block: usize,
    life: std::marker::PhantomData<&'a [E]>,
}

// SAFETY: what the pointer leads to is borrowed and only read.
unsafe impl<E: Sync> Sync for Factor<'_, E> {}

/// The left side of a product, its result and what that starts from. The pointers are to the first row;
/// those of results and starts, to the first column of the part in the first of the blocks.
pub(super) struct Sides<E> {
    pub(super) rows: usize,
    pub(super) left: *const u8,
    pub(super) left_row: usize,
    pub(super) left_scales: *const f32,
    pub(super) c: *mut E,
    pub(super) c_row: usize,
    pub(super) c_block: usize,
    pub(super) start: *const E,
    pub(super) start_row: usize,
    pub(super) start_block: usize,
}

impl<E: Element> Factor<'_, E> {
    /// Whether the left side is in 8 bits.
    pub(super) fn is_bytes(&self) -> bool {
        self.matrix.form == Form::Bytes
    }

    /// The columns of `blocks`: `c = start + left · weights`.
    ///
    /// # Safety
    /// The left side has `depth` values in each row; results and starts have the columns of the part in
    /// every block; nobody else touches the results.
    pub(super) unsafe fn sweep(&self, blocks: &Range<usize>, sides: &Sides<E>) {
        let first = blocks.start * self.width;
        let is_bytes = self.is_bytes();
        let scales = if is_bytes { self.matrix.scales[first..].as_ptr() } else { std::ptr::null() };
        let offsets =
            if is_bytes { self.matrix.offsets[first..].as_ptr() } else { std::ptr::null() };
        let sweep = Sweep {
            rows: sides.rows,
            blocks: blocks.len(),
            depth: self.depth,
            left: sides.left,
            left_row: sides.left_row,
            weights: self.weights.wrapping_add(blocks.start * self.block),
            weights_block: self.block,
            c: sides.c,
            c_row: sides.c_row,
            c_block: sides.c_block,
            start: sides.start,
            start_row: sides.start_row,
            start_block: sides.start_block,
            scales,
            left_scales: sides.left_scales,
            offsets,
        };
        // SAFETY: the caller's promise; the blocks are those of the matrix, and the entry was made for
        // an `Isa` that is there.
        unsafe { (self.run)(&sweep) }
    }
}

/// Calls `then` with block, place in the block, and weights of every row of a part.
fn each_row<E: Element>(
    layout: &Layout,
    part: &Part,
    from: &[E],
    mut then: impl FnMut(usize, usize, &[E]),
) {
    for (column, gate) in part.gates.iter().enumerate() {
        for unit in 0..layout.hidden {
            let (block, at) = (unit / layout.unit, unit % layout.unit);
            let row = &from[(gate * layout.hidden + unit) * part.depth..][..part.depth];
            then(block, column * layout.unit + at, row);
        }
    }
}
