//! The gradients of the weights: large products over all steps and sequences.
//!
//! A gradient `[G*H, I]` is formed as it lies in the model: its left operand are the gradients of the
//! columns, turned; its right operand the rows of `x` or `h`, in pairs. Both are copies of what the
//! steps multiplied. The gradients of the biases are sums of the rounded gradients of the columns, which
//! pass by when they are turned.

use super::{HalfTape, HalfWeights, Shape};
use crate::element::{Element, as_f32_mut};
use crate::half::convert::{PairRows, Turn};
use crate::half::product::Product;
use crate::half::{Bench, COLUMNS, DEPTH, Halves, Tile};
use crate::memory::{Buffer, Shared};
use crate::pool::{Member, together};
use crate::recurrent::layout::Layout;
use crate::recurrent::places::Places;
use crate::recurrent::tape::{GatePlan, Tape};
use crate::recurrent::weights::{Part, WeightsMut};
use crate::recurrent::{RecurrentLayer, Sequences};
use std::ops::Range;

/// Rows that are summed over while they stand turned in the second cache. The order of a sum follows
/// from the shape alone.
const CHUNK: usize = 2048;
/// Units of one column that are turned together.
const UNITS: usize = 256;
/// Distance of turned units: a line more than a chunk, so that they do not all fall into the same sets
/// of a cache.
const TURNED: usize = CHUNK + DEPTH;

/// One matrix: its part, its right operand, and where its gradient goes.
struct Matrix<'a> {
    part: Part,
    pairs: &'a [u16],
    to: Shared<'a, f32>,
}

struct Gradients<'a> {
    halves: &'a Halves,
    layout: &'a Layout,
    shape: Shape,
    d_columns: &'a [u16],
    turned: Shared<'a, u16>,
    d_bias: Shared<'a, f32>,
    zeros: &'a [f32],
}

impl<E: Element> RecurrentLayer<E> {
    /// Forms all gradients that are wanted.
    pub(super) fn gradients_half(
        &self,
        weights: &HalfWeights,
        batch: &Sequences<'_, E>,
        (tape, half): (&mut Tape<E>, &mut HalfTape),
        to: WeightsMut<'_, E>,
    ) {
        let (layout, cell, steps) = (&self.layout, &self.cell, batch.steps);
        self.peepholes_half(batch, tape, to.p);
        let [w, r, b, b_r] = [to.w, to.r, to.b, to.b_r].map(as_f32_mut);
        if steps.rows() == 0 {
            for gradient in [w, r, b, b_r] {
                gradient.fill(0.0);
            }
            return;
        }
        let shape = Shape::new(layout, steps.rows());
        let threads = self.engine.threads_for(self.operations(steps));
        half.turned.resize(threads * UNITS * TURNED);
        half.d_bias.resize(layout.columns * shape.units);
        half.d_bias.fill(0.0);
        half.zeros.resize(layout.input.max(layout.hidden).next_multiple_of(COLUMNS));
        let rows = Operands { halves: &weights.halves, threads, rows: shape.rows };
        rows.pair(&half.x, (shape.x, layout.input), &mut half.x_pairs);
        if layout.recurrent_gates > 0 {
            rows.pair(&half.h, (shape.h, layout.hidden), &mut half.h_pairs);
        }
        if layout.second > 0 {
            rows.pair(&half.operand, (shape.h, layout.hidden), &mut half.operand_pairs);
        }
        let (w, r) = (Shared::new(w), Shared::new(r));
        let input = Part::input(cell, layout);
        let (first, second) = (Part::first(cell, layout), Part::second(cell, layout));
        let matrices = [
            Matrix { part: input, pairs: &half.x_pairs, to: w },
            Matrix { part: first, pairs: &half.h_pairs, to: r },
            Matrix { part: second, pairs: &half.operand_pairs, to: r },
        ];
        let gradients = Gradients {
            halves: &weights.halves,
            layout,
            shape,
            d_columns: &half.d_columns,
            turned: Shared::new(&mut half.turned),
            d_bias: Shared::new(&mut half.d_bias),
            zeros: &half.zeros,
        };
        together(threads, |member| {
            // SAFETY: members have units of their own of each column.
            unsafe { gradients.run(&matrices, member) }
        });
        let biases = [(input, true), (first, false), (second, false)];
        for (part, is_input) in biases {
            let to = if is_input { &mut *b } else { &mut *b_r };
            if to.is_empty() {
                continue;
            }
            for (at, gate) in part.gates.iter().enumerate() {
                let from = &half.d_bias[(part.column + at) * shape.units..][..layout.hidden];
                to[gate * layout.hidden..][..layout.hidden].copy_from_slice(from);
            }
        }
    }

    fn peepholes_half(&self, batch: &Sequences<'_, E>, tape: &mut Tape<E>, to: &mut [E]) {
        let (layout, cell) = (&self.layout, &self.cell);
        if to.is_empty() {
            return;
        }
        let row = cell.peepholes * layout.unit;
        let mut sums = std::mem::take(&mut tape.room.d_peepholes);
        sums.resize(layout.blocks * row);
        sums.fill(E::default());
        let shared = Shared::new(&mut sums);
        let peepholes = &self.weights.peepholes;
        let places = Places::new(layout, cell, batch, peepholes, (GatePlan::Kept, tape));
        let threads = self.engine.threads_for(batch.steps.rows() * layout.hidden * 16);
        together(threads, |member: Member<'_>| {
            for block in member.share(layout.blocks, 1) {
                for t in 0..batch.steps.count() {
                    // SAFETY: the block is this member's own.
                    unsafe {
                        let mut units = places.units(t, block, &(0..batch.steps.active(t)));
                        units.vectors *= layout.lanes / self.tiles.lanes;
                        units.d_peepholes = shared.at(block * row);
                        (cell.peepholes_backward)(&units);
                    }
                }
            }
        });
        for (at, value) in to.iter_mut().enumerate() {
            let (k, unit) = (at / layout.hidden, at % layout.hidden);
            let block = unit / layout.unit;
            *value = sums[block * row + k * layout.unit + unit % layout.unit];
        }
        tape.room.d_peepholes = sums;
    }
}

/// Operands of the steps, to be right operands over rows.
struct Operands<'a> {
    halves: &'a Halves,
    threads: usize,
    rows: usize,
}

impl Operands<'_> {
    /// `[rows][row]` to `[tile][rows/2][16][2]`, for the tiles of `width` columns.
    fn pair(&self, from: &[u16], (row, width): (usize, usize), to: &mut Buffer<u16>) {
        let tiles = width.div_ceil(COLUMNS);
        to.resize(tiles * self.rows * COLUMNS);
        let to = Shared::new(to);
        together(self.threads, |member: Member<'_>| {
            let rows = member.share(self.rows, 2);
            // SAFETY: members have pairs of rows of their own.
            unsafe {
                (self.halves.convert.pair_rows)(&PairRows {
                    from: from[rows.start * row..].as_ptr(),
                    from_row: row,
                    rows: rows.len(),
                    to: to.at(rows.start * COLUMNS),
                    tile: self.rows * COLUMNS,
                    tiles,
                });
            }
        });
    }
}

/// # Safety
/// Each method: nobody else touches the gradients and sums of the units it is given.
impl Gradients<'_> {
    unsafe fn run(&self, matrices: &[Matrix<'_>], member: Member<'_>) {
        let mut bench = self.halves.bench();
        let units = self.shape.units;
        let own = member.share(self.layout.columns * units, COLUMNS);
        let mut begin = own.start;
        while begin < own.end {
            let (column, unit) = (begin / units, begin % units);
            let end = (begin + UNITS).min((column + 1) * units).min(own.end);
            let run = unit..unit + end - begin;
            for first in (0..self.shape.rows).step_by(CHUNK) {
                let rows = first..(first + CHUNK).min(self.shape.rows);
                // SAFETY: see the impl; every member turns in its own part of the copies.
                unsafe {
                    let turned = self.turned.at(member.index * UNITS * TURNED);
                    self.turn(column, &run, &rows, turned);
                    for matrix in matrices {
                        self.add(matrix, column, &run, &rows, (&mut bench, turned));
                    }
                }
            }
            begin = end;
        }
    }

    /// The gradients of some units of a column over some rows, `[unit][rows]`, and their sums.
    unsafe fn turn(&self, column: usize, run: &Range<usize>, rows: &Range<usize>, to: *mut u16) {
        let place = column * self.shape.units;
        for row in rows.clone().step_by(DEPTH) {
            for unit in run.clone().step_by(COLUMNS) {
                // SAFETY: see the impl.
                unsafe {
                    (self.halves.convert.turn)(&Turn {
                        from: self.d_columns[row * self.shape.d + place + unit..].as_ptr(),
                        from_row: self.shape.d,
                        rows: DEPTH,
                        to: to.add((unit - run.start) * TURNED + row - rows.start),
                        to_row: TURNED,
                        sums: self.d_bias.at(place + unit),
                    });
                }
            }
        }
    }

    /// Adds the products of some rows to the gradients of the weights of some units of a column.
    unsafe fn add(
        &self,
        matrix: &Matrix<'_>,
        column: usize,
        run: &Range<usize>,
        rows: &Range<usize>,
        (bench, turned): (&mut Bench, *const u16),
    ) {
        let (part, layout) = (&matrix.part, self.layout);
        let of_part = part.column..part.column + part.gates.len();
        let real = run.start.min(layout.hidden)..run.end.min(layout.hidden);
        if matrix.to.is_empty() || !of_part.contains(&column) || real.is_empty() {
            return;
        }
        let first = part.gates[column - part.column] * layout.hidden + real.start;
        // SAFETY: see the impl; the gradient has a row for every unit of every gate.
        unsafe {
            let c = matrix.to.at(first * part.depth);
            let begin = rows.start == 0;
            let tile = Tile {
                a: turned,
                a_row: TURNED,
                b: matrix.pairs[rows.start * COLUMNS..].as_ptr(),
                b_tile: self.shape.rows * COLUMNS,
                depth: rows.len(),
                c,
                c_row: part.depth,
                start: if begin { self.zeros.as_ptr() } else { c },
                start_row: if begin { 0 } else { part.depth },
            };
            let tiles = part.depth.div_ceil(COLUMNS);
            Product { tile, width: part.depth }.run(bench, 0..real.len(), 0..tiles);
        }
    }
}
