//! The gradients of the weights: large products over all steps and sequences.

use crate::element::Element;
use crate::gemm::tile::{Ahead, Tile};
use crate::memory::{Rows, Shared};
use crate::pool::{Member, together};
use crate::recurrent::RecurrentLayer;
use crate::recurrent::layout::Layout;
use crate::recurrent::places::Places;
use crate::recurrent::weights::{Part, WeightsMut};
use std::ops::Range;

/// Rows of a gradient that are formed together, at most.
const TILE: usize = 8;

/// Sequences below which the columns of a block are copied together: those of one step are so few that
/// every line of memory would come from another page, once for each tile.
const FEW: usize = 8;

/// Elements of the copies of one member, for `rows` rows of a chunk of `batch` sequences: whole vectors.
pub(super) fn copies(layout: &Layout, rows: usize, batch: usize) -> usize {
    let columns = if batch < FEW { layout.row() } else { 0 };
    (rows * (columns + layout.input.max(layout.hidden) + 1)).next_multiple_of(layout.lanes)
}

/// The left operand of a gradient.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    Input,
    State,
    Second,
}

/// Some rows of a gradient, for one block of units.
struct Piece<E> {
    block: usize,
    /// The block that comes next, and which piece of this block this is.
    next: usize,
    at: usize,
    rows: usize,
    left: *const E,
    to: *mut E,
}

pub(super) struct Gradients<'a, E: Element> {
    pub(super) layer: &'a RecurrentLayer<E>,
    pub(super) x: Rows<'a, E>,
    pub(super) places: &'a Places<'a, E>,
    pub(super) d_w: Shared<'a, E>,
    pub(super) d_first: Shared<'a, E>,
    pub(super) d_second: Shared<'a, E>,
    pub(super) d_peepholes: Shared<'a, E>,
    pub(super) copies: Shared<'a, E>,
    /// Elements of the copies of one member.
    pub(super) copy: usize,
    pub(super) zeros: &'a [E],
}

impl<E: Element> Gradients<'_, E> {
    /// Adds what the steps of a chunk give. The chunk at the end of the sequences comes first, and
    /// starts the sums.
    ///
    /// # Safety
    /// The columns of the chunk hold their gradients, and nobody writes them meanwhile.
    pub(super) unsafe fn add(&self, times: Range<usize>, member: Member<'_>) {
        let (cell, layout) = (&self.layer.cell, &self.layer.layout);
        // SAFETY: members have their own rows or blocks of each gradient.
        unsafe {
            self.sum(Part::input(cell, layout), Operand::Input, self.d_w, (&times, member));
            self.sum(Part::first(cell, layout), Operand::State, self.d_first, (&times, member));
            if layout.second > 0 {
                let second = Part::second(cell, layout);
                self.sum(second, Operand::Second, self.d_second, (&times, member));
            }
            if cell.peepholes > 0 {
                self.peepholes(&times, member.share(layout.blocks, 1));
            }
        }
    }

    /// `gradient[block][k] += Σ operand[row][k] d_columns[row][block]`, over the rows of a chunk.
    unsafe fn sum(
        &self,
        part: Part,
        operand: Operand,
        to: Shared<'_, E>,
        (times, member): (&Range<usize>, Member<'_>),
    ) {
        let (layout, steps) = (&self.layer.layout, self.places.steps);
        if part.gates.is_empty() {
            return;
        }
        let height = part.depth + 1;
        let most = self.layer.tiles.most_rows(part.vectors(layout)).min(TILE);
        let pieces = height.div_ceil(most);
        let bound = |piece: usize| height * piece / pieces;
        let even = pieces.is_multiple_of(member.count) || pieces >= 4 * member.count;
        let (pieces, blocks) = if even {
            (member.share(pieces, 1), 0..layout.blocks)
        } else {
            (0..pieces, member.share(layout.blocks, 1))
        };
        if pieces.is_empty() || blocks.is_empty() {
            return;
        }
        let depth = steps.first_row(times.end) - steps.first_row(times.start);
        let rows = bound(pieces.start)..bound(pieces.end);
        let few = steps.batch() < FEW;
        // SAFETY: every member has its own part of the copies, large enough for a chunk.
        unsafe {
            let together = self.copies.at(member.index * self.copy);
            let copy = together.add(if few { depth * part.width(layout) } else { 0 });
            for piece in pieces.clone() {
                let own = bound(piece)..bound(piece + 1);
                let at = (own.start - rows.start) * depth;
                self.copy_operand(operand, times.clone(), &own, part.depth, copy.add(at));
            }
            for block in blocks.clone() {
                if few {
                    self.copy_columns(&part, times.clone(), block, together);
                }
                for (at, piece) in pieces.clone().enumerate() {
                    let own = bound(piece)..bound(piece + 1);
                    let piece = Piece {
                        block,
                        next: if block + 1 < blocks.end { block + 1 } else { blocks.start },
                        at,
                        rows: own.len(),
                        left: copy.add((own.start - rows.start) * depth),
                        to: to.at((block * height + own.start) * part.width(layout)),
                    };
                    if few {
                        self.tile_together(&part, (times, depth), &piece, together);
                    } else {
                        self.tile(&part, times, &piece);
                    }
                }
            }
        }
    }

    /// The columns of a block of every row, `[row][width]`.
    unsafe fn copy_columns(&self, part: &Part, times: Range<usize>, block: usize, mut to: *mut E) {
        let (layout, width) = (&self.layer.layout, part.width(&self.layer.layout));
        for t in times {
            for b in 0..self.places.steps.active(t) {
                // SAFETY: the columns are there, and `to` has room for all rows of them.
                unsafe {
                    let from = self.places.columns(t, block, b).add(part.column * layout.unit);
                    to.copy_from_nonoverlapping(from, width);
                    to = to.add(width);
                }
            }
        }
    }

    /// One tile of a gradient over the steps of a chunk, whose columns were copied together.
    unsafe fn tile_together(
        &self,
        part: &Part,
        (times, depth): (&Range<usize>, usize),
        piece: &Piece<E>,
        columns: *const E,
    ) {
        let (width, vectors) = (part.width(&self.layer.layout), part.vectors(&self.layer.layout));
        let begins = times.end == self.places.steps.count();
        let (start, start_row) =
            if begins { (self.zeros.as_ptr(), 0) } else { (piece.to.cast_const(), width) };
        let tile = Tile {
            a: piece.left,
            a_row: 1,
            a_k: piece.rows,
            a_segment: 0,
            b: columns,
            b_k: width,
            b_segment: 0,
            length: depth,
            segments: 1,
            c: piece.to,
            c_row: width,
            start,
            start_row,
            ahead: Ahead::nothing(columns),
        };
        // SAFETY: see `sum`.
        unsafe { self.layer.tiles.run(piece.rows, vectors, &tile) }
    }

    /// Elements `own` of the operand of every row, `[row][own]`; element `depth` is 1, for the bias.
    unsafe fn copy_operand(
        &self,
        operand: Operand,
        times: Range<usize>,
        own: &Range<usize>,
        depth: usize,
        mut to: *mut E,
    ) {
        let (steps, places) = (self.places.steps, self.places);
        let real = own.end.min(depth) - own.start;
        for t in times {
            // SAFETY: the operand has a row for every living sequence, `to` room for all of them.
            unsafe {
                let (mut from, stride) = match operand {
                    Operand::Input => (
                        self.x.pointer().add(steps.first_row(t) * self.x.stride()),
                        self.x.stride(),
                    ),
                    Operand::State => (places.h_before(t, 0), places.layout.h_row()),
                    Operand::Second => (places.operand(t, 0).cast_const(), places.layout.h_row()),
                };
                from = from.add(own.start);
                let alive = steps.active(t);
                if real == own.len() {
                    copy_rows(from, stride, alive, to, real);
                } else {
                    for b in 0..alive {
                        to.add(b * own.len()).copy_from_nonoverlapping(from.add(b * stride), real);
                        *to.add(b * own.len() + real) = self.one();
                    }
                }
                to = to.add(alive * own.len());
            }
        }
    }

    fn one(&self) -> E {
        E::from_f64(1.0)
    }

    /// One tile of a gradient over the steps of a chunk; stretches of steps with the same sequences
    /// alive are one product.
    unsafe fn tile(&self, part: &Part, times: &Range<usize>, piece: &Piece<E>) {
        let (layout, steps) = (&self.layer.layout, self.places.steps);
        let (width, vectors) = (part.width(layout), part.vectors(layout));
        let (mut left, mut t) = (piece.left, times.start);
        while t < times.end {
            let alive = steps.active(t);
            let same = (t..times.end).take_while(|&s| steps.active(s) == alive).count();
            // SAFETY: see `add` and `sum`.
            unsafe {
                let columns = |block| {
                    self.places.columns(t, block, 0).add(part.column * layout.unit).cast_const()
                };
                let begins = t == times.start && times.end == steps.count();
                let (start, start_row) =
                    if begins { (self.zeros.as_ptr(), 0) } else { (piece.to.cast_const(), width) };
                let b_segment = layout.blocks * self.places.block_distance(t);
                let b = columns(piece.block);
                let tile = Tile {
                    a: left,
                    a_row: 1,
                    a_k: piece.rows,
                    a_segment: alive * piece.rows,
                    b,
                    b_k: layout.row(),
                    b_segment,
                    length: alive,
                    segments: same,
                    c: piece.to,
                    c_row: width,
                    start,
                    start_row,
                    ahead: if piece.at < vectors {
                        let line = columns(piece.next).wrapping_add(piece.at * layout.lanes);
                        Ahead::rows(line, (layout.row(), b_segment))
                    } else {
                        Ahead::nothing(b)
                    },
                };
                self.layer.tiles.run(piece.rows, vectors, &tile);
                left = left.add(same * alive * piece.rows);
            }
            t += same;
        }
    }

    unsafe fn peepholes(&self, times: &Range<usize>, blocks: Range<usize>) {
        let (layout, cell) = (&self.layer.layout, &self.layer.cell);
        for block in blocks {
            for t in times.clone() {
                // SAFETY: the block is this member's own.
                unsafe {
                    let mut units = self.places.units(t, block, &(0..self.places.steps.active(t)));
                    units.d_peepholes = self.d_peepholes.at(block * cell.peepholes * layout.unit);
                    (cell.peepholes_backward)(&units);
                }
            }
        }
    }

    /// Writes the gradients where they are wanted.
    pub(super) fn unpack(&self, to: WeightsMut<'_, E>, threads: usize) {
        let (cell, layout) = (&self.layer.cell, &self.layer.layout);
        let hidden = layout.hidden;
        for (at, value) in to.p.iter_mut().enumerate() {
            let (k, unit) = (at / hidden, at % hidden);
            let place =
                (unit / layout.unit * cell.peepholes + k) * layout.unit + unit % layout.unit;
            // SAFETY: the place lies in the buffer; all members are done.
            *value = unsafe { *self.d_peepholes.at(place) };
        }
        let empty = self.places.steps.count() == 0;
        let [w, r, b, b_r] = [to.w, to.r, to.b, to.b_r].map(|slice| {
            if empty {
                slice.fill(E::default());
            }
            Shared::new(slice)
        });
        if empty {
            return;
        }
        let packed = |part: Part, from: Shared<'_, E>| {
            let len = layout.blocks * (part.depth + 1) * part.width(layout);
            // SAFETY: the buffer has this length; all members are done writing it.
            unsafe { std::slice::from_raw_parts(from.at(0).cast_const(), len) }
        };
        together(threads, |member: Member<'_>| {
            let blocks = member.share(layout.blocks, 1);
            let (input, first) = (Part::input(cell, layout), Part::first(cell, layout));
            input.unpack(layout, packed(input, self.d_w), w, b, blocks.clone());
            first.unpack(layout, packed(first, self.d_first), r, b_r, blocks.clone());
            if layout.second > 0 {
                let second = Part::second(cell, layout);
                second.unpack(layout, packed(second, self.d_second), r, b_r, blocks);
            }
        });
    }
}

/// `rows` rows of `width` elements, `stride` apart, to `[row][width]`.
unsafe fn copy_rows<E: Element>(
    from: *const E,
    stride: usize,
    rows: usize,
    to: *mut E,
    width: usize,
) {
    #[inline(always)]
    unsafe fn of<E: Element, const WIDTH: usize>(
        from: *const E,
        stride: usize,
        rows: usize,
        to: *mut E,
    ) {
        for b in 0..rows {
            // SAFETY: the caller's promise.
            unsafe { to.add(b * WIDTH).copy_from_nonoverlapping(from.add(b * stride), WIDTH) }
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        match width {
            1 => of::<E, 1>(from, stride, rows, to),
            2 => of::<E, 2>(from, stride, rows, to),
            3 => of::<E, 3>(from, stride, rows, to),
            4 => of::<E, 4>(from, stride, rows, to),
            5 => of::<E, 5>(from, stride, rows, to),
            6 => of::<E, 6>(from, stride, rows, to),
            7 => of::<E, 7>(from, stride, rows, to),
            _ => of::<E, TILE>(from, stride, rows, to),
        }
    }
}
