//! The steps backward.

use super::{HalfWeights, Own, Shape};
use crate::element::Element;
use crate::half::convert::Round;
use crate::half::product::{Product, pieces, stretches};
use crate::half::{Bench, COLUMNS, Tile};
use crate::memory::{RowsMut, Shared};
use crate::pool::{Member, together};
use crate::recurrent::backward::Errors;
use crate::recurrent::cell::Units;
use crate::recurrent::errors::ErrorPlaces;
use crate::recurrent::places::Places;
use crate::recurrent::tape::{GatePlan, Tape};
use crate::recurrent::weights::{Part, WeightsMut};
use crate::recurrent::{RecurrentLayer, Sequences, Split};
use std::ops::Range;

impl<E: Element> RecurrentLayer<E> {
    /// As [`RecurrentLayer::backward`], with products of `bf16`.
    pub(in crate::recurrent) fn backward_half(
        &self,
        weights: &HalfWeights,
        batch: &Sequences<'_, E>,
        tape: &mut Tape<E>,
        errors: Errors<'_, E>,
        gradients: WeightsMut<'_, E>,
    ) {
        let (layout, steps) = (&self.layout, batch.steps);
        let shape = Shape::new(layout, steps.rows());
        assert!(
            tape.half.x.len() == shape.rows * shape.x
                && tape.half.h.len() == shape.h_rows(layout) * shape.h,
            "the tape holds a forward pass with products of `bf16`"
        );
        let mut room = std::mem::take(&mut tape.room);
        room.start(layout, steps.batch(), errors.d_last);
        let mut half = std::mem::take(&mut tape.half);
        let d_width = layout.columns * shape.units;
        super::forward::begin(&mut half.d_columns, shape.d, d_width, steps.rows(), shape.rows);
        half.zeros.resize(GROUP * COLUMNS);
        let (split, threads) = self.half_plan(steps);
        let peepholes = &self.weights.peepholes;
        let places = Places::new(layout, &self.cell, batch, peepholes, (GatePlan::Kept, tape));
        let pass = Backward {
            weights,
            shape,
            errors: ErrorPlaces {
                places: &places,
                dy: errors.dy,
                d_h: Shared::new(&mut room.d_h),
                d_c: Shared::new(&mut room.d_c),
            },
            d_operand: Shared::new(&mut room.d_operand),
            d_columns: Shared::new(&mut half.d_columns),
            zeros: &half.zeros,
            vectors: layout.lanes / self.tiles.lanes,
            places: &places,
        };
        together(threads, |member| {
            // SAFETY: as in the forward pass.
            unsafe { pass.run(member, split) }
        });
        if let Some(mut dx) = errors.dx {
            let operations = 2 * steps.rows() * layout.gates * layout.hidden * layout.input;
            pass.input_errors(self.engine.threads_for(operations), &mut dx);
        }
        room.leave(layout, steps.batch(), errors.d_initial);
        tape.room = room;
        self.gradients_half(weights, batch, (tape, &mut half), gradients);
        tape.half = half;
    }
}

struct Backward<'a, E: Element> {
    weights: &'a HalfWeights,
    shape: Shape,
    errors: ErrorPlaces<'a, E>,
    d_operand: Shared<'a, E>,
    d_columns: Shared<'a, u16>,
    zeros: &'a [f32],
    /// Vectors of the cell's functions in a column tile.
    vectors: usize,
    places: &'a Places<'a, E>,
}

/// Column tiles that meet all sequences before the next ones do.
const GROUP: usize = 4;

/// What is multiplied: the gradients of some columns, with the weights packed for backward.
struct Source<'a> {
    part: Part,
    weights: &'a [u16],
    /// Whether to add to what is there.
    add: bool,
}

/// # Safety
/// Each method: nobody else touches the columns and gradients of the sequences, blocks and tiles it
/// is given, and what it only reads no other member writes meanwhile.
impl<E: Element> Backward<'_, E> {
    unsafe fn run(&self, member: Member<'_>, split: Split) {
        let (places, layout, cell) = (self.places, self.places.layout, self.places.cell);
        let own = Own::new(layout, places.steps, split, member);
        let mut bench = self.weights.halves.bench();
        let meet = || {
            if split == Split::Units && layout.recurrent_gates > 0 {
                member.meet();
            }
        };
        let first = Part::first(cell, layout);
        let second = Part::second(cell, layout);
        // The columns whose gradients are known before the second operand's is.
        let early =
            if layout.second > 0 { second.column..layout.columns } else { 0..layout.columns };
        let late = 0..layout.columns - early.len();
        let first = Source { part: first, weights: &self.weights.first_back, add: true };
        let second = Source { part: second, weights: &self.weights.second_back, add: false };
        for t in (0..places.steps.count()).rev() {
            let alive = places.alive(t, &own.sequences);
            // SAFETY: see the impl.
            unsafe {
                for block in own.blocks.clone() {
                    if alive.is_empty() {
                        break;
                    }
                    (cell.backward)(&self.units(t, block, &alive));
                    self.round_columns(t, block, &alive, early.clone());
                }
                if layout.second > 0 {
                    meet();
                    self.to_units(&mut bench, &second, self.d_operand, (t, &alive), &own);
                    for block in own.blocks.clone() {
                        if alive.is_empty() {
                            break;
                        }
                        let mut units = self.units(t, block, &alive);
                        let place = alive.start * layout.h_row() + block * layout.unit;
                        units.operand = self.d_operand.at(place);
                        (cell.operand_backward)(&units);
                        self.round_columns(t, block, &alive, late.clone());
                    }
                }
                meet();
                self.to_units(&mut bench, &first, self.errors.d_h, (t, &alive), &own);
                self.errors.leave(t, &own.sequences, own.blocks.clone());
            }
        }
    }

    unsafe fn units(&self, t: usize, block: usize, alive: &Range<usize>) -> Units<E> {
        // SAFETY: see the impl.
        let mut units = unsafe { self.errors.units(t, block, alive) };
        units.vectors *= self.vectors;
        units
    }

    /// The gradients of some columns of a block as operand.
    unsafe fn round_columns(
        &self,
        t: usize,
        block: usize,
        alive: &Range<usize>,
        columns: Range<usize>,
    ) {
        let layout = self.places.layout;
        let row = self.places.steps.first_row(t) + alive.start;
        // SAFETY: see the impl.
        unsafe {
            let from = self.places.columns(t, block, alive.start);
            for column in columns {
                let place = row * self.shape.d + column * self.shape.units + block * layout.unit;
                (self.weights.halves.convert.round)(&Round {
                    from: from.add(column * layout.unit).cast_const().cast(),
                    from_row: layout.row(),
                    to: self.d_columns.at(place),
                    to_row: self.shape.d,
                    rows: alive.len(),
                    count: layout.unit,
                    padded: layout.unit,
                });
            }
        }
    }

    /// A product that gives something for every unit, `[B, H]`, at step `t`.
    unsafe fn to_units(
        &self,
        bench: &mut Bench,
        source: &Source<'_>,
        to: Shared<'_, E>,
        (t, alive): (usize, &Range<usize>),
        own: &Own,
    ) {
        let (layout, shape) = (self.places.layout, &self.shape);
        let depth = shape.back_depth(&source.part);
        for k in stretches(depth) {
            for first in own.tiles.clone().step_by(GROUP) {
                let tiles = GROUP.min(own.tiles.end - first);
                let weights = &source.weights[(first * depth + k.start) * COLUMNS..];
                // All sequences, while the weights of these tiles are near.
                for piece in pieces(alive.len()) {
                    let b = alive.start + piece.start;
                    let row = self.places.steps.first_row(t) + b;
                    // SAFETY: see the impl.
                    unsafe {
                        let c = to.at(b * layout.h_row() + first * COLUMNS).cast::<f32>();
                        let add = source.add || k.start > 0;
                        let column = source.part.column * shape.units;
                        let tile = Tile {
                            a: self.d_columns.at(row * shape.d + column + k.start),
                            a_row: shape.d,
                            b: weights.as_ptr(),
                            b_tile: depth * COLUMNS,
                            depth: k.len(),
                            c,
                            c_row: layout.h_row(),
                            start: if add { c } else { self.zeros.as_ptr() },
                            start_row: if add { layout.h_row() } else { 0 },
                        };
                        bench.run(piece.len(), tiles, &tile);
                    }
                }
            }
        }
    }

    /// The gradient of the input: `dx = w^T d_columns`, over all rows.
    fn input_errors(&self, threads: usize, dx: &mut RowsMut<'_, E>) {
        let (layout, shape) = (self.places.layout, &self.shape);
        let (rows, row) = (self.places.steps.rows(), dx.rows().stride());
        if rows == 0 {
            return;
        }
        let tiles = layout.input.div_ceil(COLUMNS);
        let len = (rows - 1) * row + tiles * COLUMNS;
        // SAFETY: `dx` is borrowed exclusively and is this long (checked).
        let to = Shared::new(unsafe { std::slice::from_raw_parts_mut(dx.pointer(), len) });
        let part = Part::input(self.places.cell, layout);
        let depth = shape.back_depth(&part);
        let zeros = vec![0.0; tiles * COLUMNS];
        together(threads, |member: Member<'_>| {
            let mut bench = self.weights.halves.bench();
            // SAFETY: members have rows of their own; rows of `dx` have room for whole tiles.
            unsafe {
                let tile = Tile {
                    a: self.d_columns.at(part.column * shape.units),
                    a_row: shape.d,
                    b: self.weights.w_back.as_ptr(),
                    b_tile: depth * COLUMNS,
                    depth,
                    c: to.at(0).cast(),
                    c_row: row,
                    start: zeros.as_ptr(),
                    start_row: 0,
                };
                let product = Product { tile, width: tiles * COLUMNS };
                product.run(&mut bench, member.share(rows, 8), 0..tiles);
            }
        });
        let steps = self.places.steps;
        for t in (0..steps.count()).filter(|_| layout.passed) {
            for (b, block) in
                (0..steps.active(t)).flat_map(|b| (0..layout.blocks).map(move |block| (b, block)))
            {
                // SAFETY: nobody else is at work; `dx` has a row for every row of the steps.
                unsafe {
                    let to = to.at((steps.first_row(t) + b) * row);
                    self.places.add_passed(t, block, b, to);
                }
            }
        }
    }
}
