//! The weights of a layer as the kernels read them.

use crate::Engine;
use crate::element::Element;
use crate::gemm::packed::Panels;
use crate::memory::{Buffer, Shared};
use crate::pool::{Member, together};
use crate::recurrent::cell::CellKernels;
use crate::recurrent::layout::Layout;
use std::ops::Range;

/// The weights of a layer and direction, row-major, gates in the order of the cell. An empty slice
/// stands for zeros.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, E> {
    /// Input weights `[G*H, I]`.
    pub w: &'a [E],
    /// Recurrent weights `[G*H, H]`, of the gates that have them.
    pub r: &'a [E],
    /// Bias of the input product `[G*H]`.
    pub b: &'a [E],
    /// Bias of the recurrent product `[G*H]`.
    pub b_r: &'a [E],
    /// Peephole weights, `[PEEPHOLES*H]`.
    pub p: &'a [E],
}

/// The gradients of [`Weights`], to be overwritten; an empty slice for what is not wanted.
#[derive(Debug)]
pub struct WeightsMut<'a, E> {
    /// As [`Weights::w`].
    pub w: &'a mut [E],
    /// As [`Weights::r`].
    pub r: &'a mut [E],
    /// As [`Weights::b`].
    pub b: &'a mut [E],
    /// As [`Weights::b_r`].
    pub b_r: &'a mut [E],
    /// As [`Weights::p`].
    pub p: &'a mut [E],
}

impl<E: Element> WeightsMut<'_, E> {
    /// # Panics
    /// Where a gradient that is wanted has not the size of its weights.
    pub(crate) fn check(&self, cell: &CellKernels<E>, layout: &Layout) {
        let rows = layout.gates * layout.hidden;
        let recurrent = layout.recurrent_gates * layout.hidden;
        let sizes = [
            ("w is [G*H, I]", self.w.len(), rows * layout.input),
            ("r is [G*H, H]", self.r.len(), recurrent * layout.hidden),
            ("b is [G*H]", self.b.len(), rows),
            ("b_r is [G*H]", self.b_r.len(), recurrent),
            ("p is [PEEPHOLES*H]", self.p.len(), cell.peepholes * layout.hidden),
        ];
        for (what, len, expected) in sizes {
            assert!([0, expected].contains(&len), "the gradient of {what}");
        }
    }
}

/// One matrix of the layer: some gates of `w` or `r`, in the columns they go to.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    /// The gate of each column.
    pub(crate) gates: &'static [usize],
    /// The first column in a block's row.
    pub(crate) column: usize,
    /// Columns of the canonical matrix: `I` or `H`.
    pub(crate) depth: usize,
}

/// A panel of the weights packed for forward.
pub(crate) struct PanelPlace {
    pub(crate) block: usize,
    pub(crate) vectors: usize,
    /// Where its columns are in a row of the block.
    pub(crate) column: usize,
    /// Where it begins among the packed weights, and the panel that is read after it.
    pub(crate) first: usize,
    pub(crate) next: usize,
}

impl Part {
    pub(crate) fn input<E: Element>(cell: &CellKernels<E>, layout: &Layout) -> Self {
        Self { gates: cell.input, column: 0, depth: layout.input }
    }
    pub(crate) fn first<E: Element>(cell: &CellKernels<E>, layout: &Layout) -> Self {
        let (gates, column) = (&cell.recurrent[..layout.first()], layout.recurrent());
        Self { gates, column, depth: layout.hidden }
    }
    pub(crate) fn second<E: Element>(cell: &CellKernels<E>, layout: &Layout) -> Self {
        let (gates, column) = (&cell.recurrent[layout.first()..], layout.columns - layout.second);
        Self { gates, column, depth: layout.hidden }
    }
    /// Elements of a packed row: the part's columns of one block.
    pub(crate) fn width(&self, layout: &Layout) -> usize {
        self.gates.len() * layout.unit
    }
    /// Vectors of a packed row.
    pub(crate) fn vectors(&self, layout: &Layout) -> usize {
        self.width(layout) / layout.lanes
    }
    /// The panels that a packed row is cut into.
    pub(crate) fn panels(&self, layout: &Layout) -> Panels {
        Panels::even(self.vectors(layout))
    }
    /// Where panel `at` of `block` begins among the weights packed for forward.
    pub(crate) fn panel(&self, layout: &Layout, block: usize, at: usize) -> usize {
        (block * self.vectors(layout) + self.panels(layout).first(at)) * layout.lanes * self.depth
    }
    /// Panel `at` of `block`; `next` is the block that is read after this one.
    pub(crate) fn place(
        &self,
        layout: &Layout,
        block: usize,
        next: usize,
        at: usize,
    ) -> PanelPlace {
        let panels = self.panels(layout);
        let first = self.panel(layout, block, at);
        let more = at + 1 < panels.count();
        PanelPlace {
            block,
            vectors: panels.vectors(at),
            column: self.column * layout.unit + panels.first(at) * layout.lanes,
            first,
            next: if more {
                self.panel(layout, block, at + 1)
            } else {
                self.panel(layout, next, 0)
            },
        }
    }
    /// Real units of `block`.
    fn units(layout: &Layout, block: usize) -> usize {
        layout.unit.min(layout.hidden - block * layout.unit)
    }

    /// `[block][panel][depth][panel's vectors]` for the forward product.
    pub(crate) fn pack_forward<E: Element>(
        &self,
        layout: &Layout,
        from: &[E],
        to: Shared<'_, E>,
        blocks: Range<usize>,
    ) {
        let (lanes, panels) = (layout.lanes, self.panels(layout));
        for (block, at) in blocks.flat_map(|block| (0..panels.count()).map(move |at| (block, at))) {
            let width = panels.vectors(at) * lanes;
            // SAFETY: the panel lies inside the buffer, and its block is this member's own.
            let panel = unsafe {
                let start = to.at(self.panel(layout, block, at));
                std::slice::from_raw_parts_mut(start, self.depth * width)
            };
            for v in 0..panels.vectors(at) {
                let first = (panels.first(at) + v) * lanes;
                let (gate, unit) = (self.gates[first / layout.unit], first % layout.unit);
                let units = Self::units(layout, block).saturating_sub(unit).min(lanes);
                let row = gate * layout.hidden + block * layout.unit + unit;
                let rows = if units > 0 {
                    &from[row * self.depth..(row + units) * self.depth]
                } else {
                    &[]
                };
                transpose(rows, self.depth, &mut panel[v * lanes..], width);
            }
        }
    }

    /// `[panel][block][column][unit][panel's vectors]` for the product back to `dx` or `dh`.
    pub(crate) fn pack_backward<E: Element>(
        &self,
        layout: &Layout,
        panels: Panels,
        from: &[E],
        to: Shared<'_, E>,
        own: Range<usize>,
    ) {
        let height = layout.blocks * self.width(layout);
        for panel in own {
            let (first, width) =
                (panels.first(panel) * layout.lanes, panels.vectors(panel) * layout.lanes);
            // SAFETY: the panel lies inside the buffer, and is this member's own.
            let rows =
                unsafe { std::slice::from_raw_parts_mut(to.at(first * height), width * height) };
            let real = width.min(self.depth - first);
            for (at, row) in rows.chunks_exact_mut(width).enumerate() {
                let (block, place) = (at / self.width(layout), at % self.width(layout));
                let unit = block * layout.unit + place % layout.unit;
                if unit < layout.hidden {
                    let gate = self.gates[place / layout.unit];
                    let from = &from[(gate * layout.hidden + unit) * self.depth + first..][..real];
                    row[..real].copy_from_slice(from);
                    row[real..].fill(E::default());
                } else {
                    row.fill(E::default());
                }
            }
        }
    }

    /// The reverse of [`Part::pack_forward`] for a gradient `[block][depth + 1][columns][unit]`, whose
    /// last row is the gradient of the bias.
    pub(crate) fn unpack<E: Element>(
        &self,
        layout: &Layout,
        from: &[E],
        to: Shared<'_, E>,
        bias: Shared<'_, E>,
        blocks: Range<usize>,
    ) {
        let width = self.width(layout);
        for block in blocks {
            let panel = &from[block * (self.depth + 1) * width..][..(self.depth + 1) * width];
            for (column, gate) in self.gates.iter().enumerate() {
                let (units, first) =
                    (Self::units(layout, block), gate * layout.hidden + block * layout.unit);
                // SAFETY: a gradient has a row for every unit of every gate (checked where the call came
                // in); the rows of a gate's units belong to its block alone, and a block to one member.
                unsafe {
                    if !to.is_empty() {
                        let rows = std::slice::from_raw_parts_mut(
                            to.at(first * self.depth),
                            units * self.depth,
                        );
                        untranspose(&panel[column * layout.unit..], width, rows, self.depth);
                    }
                    if !bias.is_empty() {
                        let from = &panel[self.depth * width + column * layout.unit..][..units];
                        std::slice::from_raw_parts_mut(bias.at(first), units).copy_from_slice(from);
                    }
                }
            }
        }
    }
}

/// Rows of the long side that are handled together, so that both sides stay in the nearest cache.
const BLOCK: usize = 16;

/// `to[k * stride + row] = from[row * depth + k]`; what no row fills stays zero.
fn transpose<E: Element>(from: &[E], depth: usize, to: &mut [E], stride: usize) {
    for begin in (0..depth).step_by(BLOCK) {
        let end = (begin + BLOCK).min(depth);
        for (row, from) in from.chunks_exact(depth).enumerate() {
            for (k, value) in from[begin..end].iter().enumerate() {
                to[(begin + k) * stride + row] = *value;
            }
        }
    }
}

/// `to[row * depth + k] = from[k * stride + row]`.
fn untranspose<E: Element>(from: &[E], stride: usize, to: &mut [E], depth: usize) {
    for begin in (0..depth).step_by(BLOCK) {
        let end = (begin + BLOCK).min(depth);
        for (row, to) in to.chunks_exact_mut(depth).enumerate() {
            for (k, value) in to[begin..end].iter_mut().enumerate() {
                *value = from[(begin + k) * stride + row];
            }
        }
    }
}

/// The packed weights of a layer and direction.
#[derive(Debug, Default)]
pub(crate) struct PackedWeights<E: Element> {
    pub(crate) w: Buffer<E>,
    pub(crate) first: Buffer<E>,
    pub(crate) second: Buffer<E>,
    pub(crate) w_back: Buffer<E>,
    pub(crate) first_back: Buffer<E>,
    pub(crate) second_back: Buffer<E>,
    /// `[block][columns][unit]`.
    pub(crate) bias: Buffer<E>,
    /// `[block][peepholes][unit]`.
    pub(crate) peepholes: Buffer<E>,
}

impl<E: Element> PackedWeights<E> {
    pub(crate) fn pack(
        &mut self,
        engine: Engine,
        cell: &CellKernels<E>,
        layout: &Layout,
        weights: Weights<'_, E>,
        backward: bool,
    ) {
        let (w, first, second) =
            (Part::input(cell, layout), Part::first(cell, layout), Part::second(cell, layout));
        let forward = |part: &Part, buffer: &mut Buffer<E>| {
            buffer.resize(layout.blocks * part.depth * part.width(layout))
        };
        forward(&w, &mut self.w);
        forward(&first, &mut self.first);
        forward(&second, &mut self.second);
        if backward {
            let back = |part: &Part, panels: Panels, buffer: &mut Buffer<E>| {
                buffer.resize(
                    panels.first(panels.count())
                        * layout.lanes
                        * layout.blocks
                        * part.width(layout),
                );
            };
            back(&w, layout.x_panels(), &mut self.w_back);
            back(&first, layout.h_panels(), &mut self.first_back);
            back(&second, layout.h_panels(), &mut self.second_back);
        }
        self.pack_vectors(cell, layout, weights);
        let size = self.w.len() + self.first.len();
        let to = [&mut self.w, &mut self.first, &mut self.second].map(|buffer| Shared::new(buffer));
        let back = [&mut self.w_back, &mut self.first_back, &mut self.second_back]
            .map(|buffer| Shared::new(buffer));
        together(engine.threads_for(size * 8), |member: Member<'_>| {
            let blocks = member.share(layout.blocks, 1);
            w.pack_forward(layout, weights.w, to[0], blocks.clone());
            first.pack_forward(layout, weights.r, to[1], blocks.clone());
            second.pack_forward(layout, weights.r, to[2], blocks);
            if backward {
                let (x, h) = (layout.x_panels(), layout.h_panels());
                w.pack_backward(layout, x, weights.w, back[0], member.share(x.count(), 1));
                first.pack_backward(layout, h, weights.r, back[1], member.share(h.count(), 1));
                second.pack_backward(layout, h, weights.r, back[2], member.share(h.count(), 1));
            }
        });
    }

    pub(super) fn pack_vectors(
        &mut self,
        cell: &CellKernels<E>,
        layout: &Layout,
        weights: Weights<'_, E>,
    ) {
        let hidden = layout.hidden;
        self.bias.resize(layout.blocks * layout.row());
        self.bias.fill(E::default());
        let mut add = |bias: &[E], gates: &[usize], column: usize| {
            if bias.is_empty() {
                return;
            }
            for (at, gate) in gates.iter().enumerate() {
                for unit in 0..hidden {
                    let place = unit / layout.unit * layout.row()
                        + (column + at) * layout.unit
                        + unit % layout.unit;
                    self.bias[place] = self.bias[place] + bias[gate * hidden + unit];
                }
            }
        };
        add(weights.b, cell.input, 0);
        add(weights.b_r, cell.recurrent, layout.recurrent());
        let row = cell.peepholes * layout.unit;
        self.peepholes.resize(layout.blocks * row);
        for (at, weight) in weights.p.iter().enumerate() {
            let (k, unit) = (at / hidden, at % hidden);
            self.peepholes[unit / layout.unit * row + k * layout.unit + unit % layout.unit] =
                *weight;
        }
    }
}
