//! The steps backward: errors back through time and down to the layer below.

use crate::element::Element;
use crate::gemm::tile::{Ahead, Cut, Tile, Tiles};
use crate::memory::{Rows, RowsMut, Shared};
use crate::pool::{Member, together};
use crate::recurrent::forward::{Parts, parts};
use crate::recurrent::gradients::Gradients;
use crate::recurrent::layout::Layout;
use crate::recurrent::places::Places;
use crate::recurrent::tape::{GatePlan, Tape, copy_from_blocks, copy_to_blocks};
use crate::recurrent::weights::{PackedWeights, Part, WeightsMut};
use crate::recurrent::{RecurrentLayer, Sequences, Split};
use std::ops::Range;

/// What flows backward into a layer and out of it.
#[derive(Debug)]
pub struct Errors<'a, E> {
    /// The gradient of the output: one row per row of the steps, with room for `H` rounded up to
    /// whole vectors, zero beyond `H`.
    pub dy: Rows<'a, E>,
    /// The gradients of the states after the last step of each sequence, `[B, H]` each; empty for
    /// zeros.
    pub d_last: [&'a [E]; 2],
    /// The gradient of the input, overwritten: rows with room for `I` rounded up to whole vectors;
    /// nothing where it is not wanted.
    pub dx: Option<RowsMut<'a, E>>,
    /// The gradients of the initial states, `[B, H]` each; empty where not wanted.
    pub d_initial: [&'a mut [E]; 2],
}

impl<E: Element> RecurrentLayer<E> {
    /// Reverses the [`RecurrentLayer::forward`] that filled `tape` with the same batch: the gradients
    /// of the input, of the initial states and of all weights.
    ///
    /// # Panics
    /// Where a size does not fit.
    pub fn backward(
        &self,
        batch: &Sequences<'_, E>,
        tape: &mut Tape<E>,
        mut errors: Errors<'_, E>,
        gradients: WeightsMut<'_, E>,
    ) {
        let (layout, steps) = (&self.layout, batch.steps);
        self.check(batch);
        assert!(tape.gates.len() >= GatePlan::Kept.len(layout, steps), "forward kept the gates");
        assert!(errors.dy.stride() >= layout.h_width(), "rows of dy have room for whole vectors");
        assert!(errors.dy.count() >= steps.rows(), "dy has a row for every step of every sequence");
        let count = steps.batch();
        start(layout.h_row(), layout.hidden, errors.d_last[0], count, &mut tape.d_h);
        if layout.states > 1 {
            tape.d_c.resize(count * layout.c_row());
            copy_to_blocks(layout, errors.d_last[1], count, &mut tape.d_c);
        }
        tape.d_operand.resize(if layout.second > 0 { count * layout.h_row() } else { 0 });
        let mut d_h = std::mem::take(&mut tape.d_h);
        let mut d_c = std::mem::take(&mut tape.d_c);
        let mut d_operand = std::mem::take(&mut tape.d_operand);
        let zeros = std::mem::take(&mut tape.zeros);
        let (split, threads) = self.plan(steps);
        let peepholes = &self.weights.peepholes;
        let pass = Backward {
            tiles: &self.tiles,
            weights: &self.weights,
            dy: errors.dy,
            d_h: Shared::new(&mut d_h),
            d_c: Shared::new(&mut d_c),
            d_operand: Shared::new(&mut d_operand),
            zeros: &zeros,
            places: Places::new(layout, &self.cell, batch, peepholes, (GatePlan::Kept, tape)),
        };
        together(threads, |member| {
            // SAFETY: as in the forward pass.
            unsafe { pass.run(member, split) }
        });
        if let Some(dx) = &mut errors.dx {
            assert!(dx.rows().count() >= steps.rows(), "dx has a row for every row of x");
            assert!(
                dx.rows().stride()
                    >= layout.x_panels().first(layout.x_panels().count()) * layout.lanes
            );
            pass.input_errors(
                self.engine.threads_for(steps.rows() * layout.gates * layout.hidden * 8),
                dx,
            );
        }
        let [d_h0, d_c0] = errors.d_initial;
        for (to, from) in d_h0.chunks_exact_mut(layout.hidden).zip(d_h.chunks_exact(layout.h_row()))
        {
            to.copy_from_slice(&from[..layout.hidden]);
        }
        if layout.states > 1 {
            copy_from_blocks(layout, &d_c, count, d_c0);
        }
        (tape.d_h, tape.d_c, tape.d_operand, tape.zeros) = (d_h, d_c, d_operand, zeros);
        Gradients::new(self, batch, tape).run(gradients);
    }
}

fn start<E: Element>(
    row: usize,
    hidden: usize,
    from: &[E],
    count: usize,
    to: &mut crate::Buffer<E>,
) {
    to.resize(count * row);
    to.fill(E::default());
    for (to, from) in to.chunks_exact_mut(row).zip(from.chunks_exact(hidden)) {
        to[..hidden].copy_from_slice(from);
    }
}

struct Backward<'a, E: Element> {
    tiles: &'a Tiles<E>,
    weights: &'a PackedWeights<E>,
    dy: Rows<'a, E>,
    d_h: Shared<'a, E>,
    d_c: Shared<'a, E>,
    d_operand: Shared<'a, E>,
    zeros: &'a [E],
    places: Places<'a, E>,
}

/// What is multiplied: the gradients of some columns, with the weights packed for backward.
struct Source<'a, E> {
    part: Part,
    weights: &'a [E],
    /// Whether to add to what is there.
    add: bool,
}

/// Rows of a panel of weights that stay in the second cache while all sequences use them.
const DEPTH: usize = 1024;

/// Rows of the gradient of the input that are formed together.
const ROWS: usize = 256;

impl<E> Source<'_, E> {
    /// Runs of blocks whose weights stay in cache.
    fn stretches(&self, layout: &Layout) -> impl Iterator<Item = Range<usize>> + use<E> {
        let blocks = layout.blocks;
        let count = (blocks * self.part.width(layout)).div_ceil(DEPTH).min(blocks);
        (0..count).map(move |at| blocks * at / count..blocks * (at + 1) / count)
    }
}

/// # Safety
/// Each method: nobody else touches the columns and gradients of the sequences, blocks and panels it
/// is given, and what it only reads no other member writes meanwhile.
impl<E: Element> Backward<'_, E> {
    unsafe fn run(&self, member: Member<'_>, split: Split) {
        let (places, layout) = (&self.places, self.places.layout);
        let part = parts(layout, places.steps, split, member);
        let meet = || {
            if split == Split::Units {
                member.meet();
            }
        };
        let weights = self.weights;
        let part_of = Part::first(places.cell, layout);
        let first = Source { part: part_of, weights: &weights.first_back, add: true };
        let part_of = Part::second(places.cell, layout);
        let second = Source { part: part_of, weights: &weights.second_back, add: false };
        for t in (0..places.steps.count()).rev() {
            let alive = places.alive(t, &part.sequences);
            // SAFETY: see the impl.
            unsafe {
                for block in part.blocks.clone() {
                    (places.cell.backward)(&self.units(t, block, &alive));
                }
                if layout.second > 0 {
                    meet();
                    self.to_units(&second, self.d_operand, t, &part);
                    for block in part.blocks.clone() {
                        let mut units = self.units(t, block, &alive);
                        let place = alive.start * layout.h_row() + block * layout.unit;
                        units.operand = self.d_operand.at(place);
                        (places.cell.operand_backward)(&units);
                    }
                }
                meet();
                self.to_units(&first, self.d_h, t, &part);
                self.leave(t, &part);
            }
        }
    }

    unsafe fn units(
        &self,
        t: usize,
        block: usize,
        alive: &Range<usize>,
    ) -> crate::recurrent::cell::Units<E> {
        let (layout, b, unit) = (self.places.layout, alive.start, block * self.places.layout.unit);
        // SAFETY: see the impl.
        unsafe {
            let mut units = self.places.units(t, block, alive);
            let row = self.places.steps.first_row(t) + b;
            units.d_output = self.dy.pointer().add(row * self.dy.stride() + unit);
            units.d_output_row = self.dy.stride();
            units.d_state[0] = self.d_h.at(b * layout.h_row() + unit);
            if layout.states > 1 {
                let batch = self.places.steps.batch();
                units.d_state[1] = self.d_c.at((block * batch + b) * layout.unit);
            }
            units.d_state_row = [layout.h_row(), layout.unit];
            units
        }
    }

    /// A product that gives something for every unit, `[B, H]`, at step `t`.
    unsafe fn to_units(&self, source: &Source<'_, E>, to: Shared<'_, E>, t: usize, part: &Parts) {
        let (panels, alive) =
            (self.places.layout.h_panels(), self.places.alive(t, &part.sequences));
        for stretch in source.stretches(self.places.layout) {
            for panel in part.panels.clone() {
                // SAFETY: see the impl.
                unsafe {
                    let vectors = panels.first(panel)..panels.first(panel + 1);
                    let to = (to.at(0), self.places.layout.h_row());
                    self.product(source, vectors, stretch.clone(), (t, &alive), to);
                }
            }
        }
    }

    /// The part of a product that comes from the blocks of `stretch`: some vectors of the rows `to`
    /// of the sequences alive at step `t`. The first stretch starts the sums, later ones add.
    unsafe fn product(
        &self,
        source: &Source<'_, E>,
        columns: Range<usize>,
        stretch: Range<usize>,
        (t, alive): (usize, &Range<usize>),
        (to, row): (*mut E, usize),
    ) {
        let (layout, places) = (self.places.layout, &self.places);
        let (width, lanes, vectors) = (source.part.width(layout), layout.lanes, columns.len());
        let height = layout.blocks * width;
        let weights = |first: usize| {
            let panel = first * lanes * height + stretch.start * width * vectors * lanes;
            source.weights[panel % source.weights.len()..].as_ptr()
        };
        let add = source.add || stretch.start > 0;
        self.tiles.cut(alive.len(), vectors, |Cut { at, first, rows }| {
            let b = alive.start + first;
            // SAFETY: see the impl.
            unsafe {
                let c = to.add(b * row + columns.start * lanes);
                let (start, start_row) =
                    if add { (c.cast_const(), row) } else { (self.zeros.as_ptr(), 0) };
                let tile = Tile {
                    a: places.columns(t, stretch.start, b).add(source.part.column * layout.unit),
                    a_row: layout.row(),
                    a_k: 1,
                    a_segment: places.block_distance(t),
                    b: weights(columns.start),
                    b_k: vectors * lanes,
                    b_segment: width * vectors * lanes,
                    length: width,
                    segments: stretch.len(),
                    c,
                    c_row: row,
                    start,
                    start_row,
                    ahead: Ahead::panel(
                        weights(columns.end),
                        (vectors, lanes),
                        (width, stretch.len()),
                        at,
                    ),
                };
                self.tiles.run(rows, vectors, &tile);
            }
        });
    }

    /// Where a sequence was reset before step `t`, nothing flows further back.
    unsafe fn leave(&self, t: usize, part: &Parts) {
        let (layout, places) = (self.places.layout, &self.places);
        if places.resets.is_empty() {
            return;
        }
        for b in places.alive(t, &part.sequences) {
            if places.resets[places.steps.first_row(t) + b] {
                for block in part.blocks.clone() {
                    let count = layout.vectors(block) * layout.lanes;
                    // SAFETY: see the impl.
                    unsafe {
                        let units = self.units(t, block, &(b..b + 1));
                        for d in units.d_state.into_iter().filter(|d| !d.is_null()) {
                            std::slice::from_raw_parts_mut(d, count).fill(E::default());
                        }
                    }
                }
            }
        }
    }

    /// The gradient of the input: `dx = w^T d_columns`, over all rows.
    fn input_errors(&self, threads: usize, dx: &mut RowsMut<'_, E>) {
        let (layout, steps) = (self.places.layout, self.places.steps);
        let row = dx.rows().stride();
        let panels = layout.x_panels();
        // SAFETY: `dx` is borrowed exclusively and has `steps.rows()` rows (checked).
        let to = Shared::new(unsafe {
            std::slice::from_raw_parts_mut(dx.pointer(), steps.rows() * row)
        });
        let part = Part::input(self.places.cell, layout);
        let source = Source { part, weights: &self.weights.w_back, add: false };
        together(threads, |member: Member<'_>| {
            let by_time = steps.count() >= 8 * member.count;
            let (times, sequences) = if by_time {
                (member.share(steps.count(), 1), 0..steps.batch())
            } else {
                let bound = |at| steps.bound(at, member.count);
                (0..steps.count(), bound(member.index)..bound(member.index + 1))
            };
            let mut begin = times.start;
            while begin < times.end {
                let first = steps.first_row(begin);
                let full = |t: &usize| steps.first_row(*t) - first >= ROWS;
                let end = (begin + 1..times.end).find(full).unwrap_or(times.end);
                for stretch in source.stretches(layout) {
                    for panel in 0..panels.count() {
                        for t in begin..end {
                            // SAFETY: members have disjoint steps or sequences, and `dx` a row for
                            // each.
                            unsafe {
                                let vectors = panels.first(panel)..panels.first(panel + 1);
                                let to = (to.at(steps.first_row(t) * row), row);
                                let alive = self.places.alive(t, &sequences);
                                self.product(&source, vectors, stretch.clone(), (t, &alive), to);
                            }
                        }
                    }
                }
                begin = end;
            }
        });
    }
}
