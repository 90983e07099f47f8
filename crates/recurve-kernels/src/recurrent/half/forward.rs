//! The steps forward.

use super::weights::tiles;
use super::{HalfWeights, Own, Shape};
use crate::element::Element;
use crate::half::convert::Round;
use crate::half::product::{Product, pieces, stretches};
use crate::half::{Bench, COLUMNS, Tile};
use crate::memory::{Buffer, Rows, Shared};
use crate::pool::{Member, together};
use crate::recurrent::forward::Keep;
use crate::recurrent::places::Places;
use crate::recurrent::tape::{GatePlan, Tape};
use crate::recurrent::weights::Part;
use crate::recurrent::{RecurrentLayer, Sequences, Split};
use std::ops::Range;

/// Rows whose input product is formed at a time: as many as stay in cache until their step.
const CHUNK: usize = 192;

impl<E: Element> RecurrentLayer<E> {
    /// As [`RecurrentLayer::forward`], with products of `bf16`. The columns cannot be computed again.
    pub(in crate::recurrent) fn forward_half(
        &self,
        weights: &HalfWeights,
        batch: &Sequences<'_, E>,
        keep: Keep,
        tape: &mut Tape<E>,
    ) {
        assert!(keep != Keep::States, "with products of `bf16`, columns are kept or nothing is");
        let (layout, steps) = (&self.layout, batch.steps);
        let shape = Shape::new(layout, steps.rows());
        let chunk = (CHUNK / steps.batch().max(1)).max(1);
        let plan = if keep == Keep::Columns { GatePlan::Kept } else { GatePlan::Chunk(chunk) };
        tape.prepare(layout, batch, plan.len(layout, steps));
        tape.kept = keep;
        let mut half = std::mem::take(&mut tape.half);
        let rows = steps.rows();
        begin(&mut half.x, shape.x, layout.input, rows, shape.rows);
        let h_rows = shape.h_rows(layout);
        begin(&mut half.h, shape.h, layout.h_width(), rows.min(h_rows), h_rows);
        let second = if layout.second > 0 { shape.rows } else { 0 };
        begin(&mut half.operand, shape.h, layout.h_width(), rows.min(second), second);
        let (split, threads) = self.half_plan(steps);
        let pass = Forward {
            weights,
            bias: &self.weights.bias,
            input: batch.x,
            shape,
            chunk,
            x: Shared::new(&mut half.x),
            h: Shared::new(&mut half.h),
            operand: Shared::new(&mut half.operand),
            vectors: layout.lanes / self.tiles.lanes,
            places: Places::new(layout, &self.cell, batch, &self.weights.peepholes, (plan, tape)),
        };
        together(threads, |member| {
            // SAFETY: `Own` gives every member sequences or blocks of its own; where it reads what
            // another wrote, they met in between.
            unsafe { pass.run(member, split) }
        });
        tape.half = half;
    }
}

/// Makes room for `[all][row]`, zero where no number will be written: beyond `width` rounded up to whole
/// vectors, and beyond `rows`.
pub(super) fn begin(to: &mut Buffer<u16>, row: usize, width: usize, rows: usize, all: usize) {
    to.resize(all * row);
    let written = width.next_multiple_of(COLUMNS);
    if written < row {
        for row in to.chunks_exact_mut(row) {
            row[written..].fill(0);
        }
    }
    to[rows * row..].fill(0);
}

struct Forward<'a, E: Element> {
    weights: &'a HalfWeights,
    bias: &'a [E],
    input: Rows<'a, E>,
    shape: Shape,
    chunk: usize,
    x: Shared<'a, u16>,
    h: Shared<'a, u16>,
    operand: Shared<'a, u16>,
    /// Vectors of the cell's functions in a column tile.
    vectors: usize,
    places: Places<'a, E>,
}

/// One recurrent product: its columns, its weights and its left operand.
struct Source<'a> {
    part: Part,
    weights: &'a [u16],
    operand: Shared<'a, u16>,
}

type Function<E> = crate::isa::Entry<crate::recurrent::cell::Units<E>>;

/// # Safety
/// Each method: nobody else touches the columns and states of the sequences and blocks it is given,
/// and what it only reads no other member writes meanwhile.
impl<E: Element> Forward<'_, E> {
    unsafe fn run(&self, member: Member<'_>, split: Split) {
        let steps = self.places.steps;
        let own = Own::new(self.places.layout, steps, split, member);
        let mut bench = self.weights.halves.bench();
        let waits = split == Split::Units && self.places.layout.recurrent_gates > 0;
        // SAFETY: see the impl.
        unsafe {
            self.round_input(member.share(steps.rows(), 1));
            if steps.count() > 0 {
                self.enter(0, &own);
            }
            // The input was shared out by rows, whoever works on them.
            member.meet();
            for begin in (0..steps.count()).step_by(self.chunk) {
                let end = (begin + self.chunk).min(steps.count());
                self.input_product(&mut bench, begin..end, &own);
                for t in begin..end {
                    let meet = || {
                        if waits {
                            member.meet();
                        }
                    };
                    self.step(&mut bench, t, &own, &meet);
                    if t + 1 < steps.count() {
                        self.enter(t + 1, &own);
                    }
                    meet();
                }
            }
        }
    }

    unsafe fn round_input(&self, rows: Range<usize>) {
        let input = &self.input;
        // SAFETY: `x` has all rows of the steps (checked), the operand room for them.
        unsafe {
            (self.weights.halves.convert.round)(&Round {
                from: input.pointer().add(rows.start * input.stride()).cast(),
                from_row: input.stride(),
                to: self.x.at(rows.start * self.shape.x),
                to_row: self.shape.x,
                rows: rows.len(),
                count: input.width(),
                padded: self.shape.x,
            });
        }
    }

    /// The states before step `t`, and `h` of them as operand.
    unsafe fn enter(&self, t: usize, own: &Own) {
        let places = &self.places;
        let alive = places.alive(t, &own.sequences);
        if alive.is_empty() {
            return;
        }
        // SAFETY: see the impl.
        unsafe {
            places.enter(t, &own.sequences, own.blocks.clone());
            let operand = places.layout.recurrent_gates > 0;
            for block in own.blocks.clone().filter(|_| operand) {
                let from = places.h_before(t, alive.start);
                self.round_units(from, &self.h, t, block, &alive);
            }
        }
    }

    /// Rounds the units of a block, for the sequences `alive` at step `t`.
    unsafe fn round_units(
        &self,
        from: *const E,
        to: &Shared<'_, u16>,
        t: usize,
        block: usize,
        alive: &Range<usize>,
    ) {
        let (layout, row) = (self.places.layout, self.places.steps.first_row(t) + alive.start);
        let (unit, count) = (block * layout.unit, layout.vectors(block) * layout.lanes);
        // SAFETY: see the impl.
        unsafe {
            (self.weights.halves.convert.round)(&Round {
                from: from.add(unit).cast(),
                from_row: layout.h_row(),
                to: to.at(row * self.shape.h + unit),
                to_row: self.shape.h,
                rows: alive.len(),
                count,
                padded: count,
            });
        }
    }

    /// `columns = b + w x` for the steps of a chunk. Where few sequences would leave tiles empty, they
    /// run along time instead.
    unsafe fn input_product(&self, bench: &mut Bench, chunk: Range<usize>, own: &Own) {
        let (layout, steps) = (self.places.layout, self.places.steps);
        let batch = steps.batch();
        let few = own.sequences.len() < COLUMNS / 2;
        let along_time = few && chunk.len() > 1 && steps.active(chunk.end - 1) == batch;
        for block in own.blocks.clone() {
            if along_time {
                for b in own.sequences.clone() {
                    let rows = (batch * self.shape.x, batch * layout.blocks * layout.row());
                    // SAFETY: see the impl.
                    unsafe { self.input_rows(bench, block, (chunk.start, b), chunk.len(), rows) }
                }
            } else {
                for t in chunk.clone() {
                    let alive = self.places.alive(t, &own.sequences);
                    let rows = (self.shape.x, layout.row());
                    // SAFETY: see the impl.
                    unsafe { self.input_rows(bench, block, (t, alive.start), alive.len(), rows) }
                }
            }
        }
    }

    /// The same for `count` rows of a block, from sequence `b` at step `t` on, `x_row` and `c_row` apart.
    unsafe fn input_rows(
        &self,
        bench: &mut Bench,
        block: usize,
        (t, b): (usize, usize),
        count: usize,
        (x_row, c_row): (usize, usize),
    ) {
        if count == 0 {
            return;
        }
        let layout = self.places.layout;
        let input = Part::input(self.places.cell, layout);
        let (width, tiles) = (input.width(layout), tiles(layout, &input));
        let bias = &self.bias[block * layout.row()..][..layout.row()];
        let row = self.places.steps.first_row(t) + b;
        // SAFETY: the operand has all rows of the steps, the weights all of the block.
        unsafe {
            let c = self.places.columns(t, block, b);
            if width < layout.row() {
                let apart = x_row / self.shape.x * self.input.stride();
                let first = self.input.pointer().add(row * self.input.stride());
                for at in 0..count {
                    let x = first.add(at * apart);
                    self.places.start_others(c.add(at * c_row), block, bias, x);
                }
            }
            let tile = Tile {
                a: self.x.at(row * self.shape.x),
                a_row: x_row,
                b: self.weights.w[block * tiles * self.shape.x * COLUMNS..].as_ptr(),
                b_tile: self.shape.x * COLUMNS,
                depth: self.shape.x,
                c: c.cast(),
                c_row,
                start: bias.as_ptr().cast(),
                start_row: 0,
            };
            Product { tile, width }.run(bench, 0..count, 0..tiles);
        }
    }

    unsafe fn step(&self, bench: &mut Bench, t: usize, own: &Own, meet: &impl Fn()) {
        let (places, cell) = (&self.places, self.places.cell);
        let alive = places.alive(t, &own.sequences);
        let first = Source {
            part: Part::first(cell, places.layout),
            weights: &self.weights.first,
            operand: self.h,
        };
        // SAFETY: see the impl.
        unsafe {
            if places.layout.second == 0 {
                self.recurrent(bench, &first, (t, &alive), own, cell.forward);
                return;
            }
            self.recurrent(bench, &first, (t, &alive), own, cell.operand);
            if !alive.is_empty() {
                for block in own.blocks.clone() {
                    let from = places.operand(t, alive.start).cast_const();
                    self.round_units(from, &self.operand, t, block, &alive);
                }
            }
            meet();
            let second = Source {
                part: Part::second(cell, places.layout),
                weights: &self.weights.second,
                operand: self.operand,
            };
            self.recurrent(bench, &second, (t, &alive), own, cell.forward);
        }
    }

    /// `columns += r operand`, then the cell's `function`, for some sequences at step `t`.
    unsafe fn recurrent(
        &self,
        bench: &mut Bench,
        source: &Source<'_>,
        (t, alive): (usize, &Range<usize>),
        own: &Own,
        function: Function<E>,
    ) {
        let (places, layout, depth) = (&self.places, self.places.layout, self.shape.h);
        if source.part.gates.is_empty() {
            for block in own.blocks.clone() {
                // SAFETY: see the impl.
                unsafe {
                    let mut units = places.units(t, block, alive);
                    units.vectors *= self.vectors;
                    function(&units);
                }
            }
            return;
        }
        let tiles = tiles(layout, &source.part);
        for k in stretches(depth) {
            for block in own.blocks.clone() {
                let weights = &source.weights[block * tiles * depth * COLUMNS..];
                // All sequences, while the weights of the block are near.
                for piece in pieces(alive.len()) {
                    let rows = alive.start + piece.start..alive.start + piece.end;
                    let row = places.steps.first_row(t) + rows.start;
                    // SAFETY: see the impl; the operand has a row for every living sequence.
                    unsafe {
                        let c = places.columns(t, block, rows.start);
                        let c = c.add(source.part.column * layout.unit).cast::<f32>();
                        let tile = Tile {
                            a: source.operand.at(row * depth + k.start),
                            a_row: depth,
                            b: weights[k.start * COLUMNS..].as_ptr(),
                            b_tile: depth * COLUMNS,
                            depth: k.len(),
                            c,
                            c_row: layout.row(),
                            start: c,
                            start_row: layout.row(),
                        };
                        bench.run(rows.len(), tiles, &tile);
                        if k.end == depth {
                            let mut units = places.units(t, block, &rows);
                            units.vectors *= self.vectors;
                            function(&units);
                        }
                    }
                }
            }
        }
    }
}
