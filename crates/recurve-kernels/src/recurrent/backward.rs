//! The steps backward: errors back through time and down to the layer below.

use crate::element::Element;
use crate::gemm::tile::{Ahead, Cut, Tile, Tiles};
use crate::memory::{Rows, RowsMut, Shared};
use crate::pool::{Member, together};
use crate::profile::span;
use crate::recurrent::errors::ErrorPlaces;
use crate::recurrent::forward::{Forward, Keep, Parts, parts};
use crate::recurrent::gradients::Gradients;
use crate::recurrent::layout::Layout;
use crate::recurrent::places::Places;
use crate::recurrent::steps::Steps;
use crate::recurrent::tape::{GatePlan, Tape, scratch};
use crate::recurrent::weights::{PackedWeights, Part, WeightsMut};
use crate::recurrent::{RecurrentLayer, Sequences, Split};
use std::ops::Range;

/// What flows backward into a layer and out of it.
#[derive(Debug)]
pub struct Errors<'a, E> {
    /// The gradient of the output: one row per row of the steps, with room for `H` rounded up to
    /// whole vectors, zero beyond `H`.
    pub dy: Rows<'a, E>,
    /// The gradients of the states after the last step of each sequence, of `h [B, H]` and of the
    /// others `[S-1, B, H]`; empty for zeros.
    pub d_last: [&'a [E]; 2],
    /// The gradient of the input, overwritten: rows with room for `I` rounded up to whole vectors;
    /// nothing where it is not wanted.
    pub dx: Option<RowsMut<'a, E>>,
    /// The gradients of the initial states, in the same shapes; empty where not wanted.
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
        errors: Errors<'_, E>,
        gradients: WeightsMut<'_, E>,
    ) {
        let (layout, steps) = (&self.layout, batch.steps);
        self.check(batch);
        assert!(self.backward, "set_weights was told that backward would follow");
        tape.check(layout, batch);
        errors.check(layout, steps);
        gradients.check(&self.cell, layout);
        if let Some(half) = &self.half {
            return self.backward_half(half, batch, tape, errors, gradients);
        }
        let chunk = (ROWS / steps.batch().max(1)).max(1);
        let low = tape.kept == Keep::States;
        let plan = if low { GatePlan::Chunk(chunk) } else { GatePlan::Kept };
        tape.gates.resize(plan.len(layout, steps));
        let threads = self.engine.threads_for(self.operations(steps));
        let mut room = std::mem::take(&mut tape.room);
        room.prepare(layout, &self.cell, (steps, chunk), threads, errors.d_last);
        let copy = room.copies.len() / threads;
        {
            let peepholes = &self.weights.peepholes;
            let places = Places::new(layout, &self.cell, batch, peepholes, (plan, tape));
            let pass = Backward {
                tiles: &self.tiles,
                weights: &self.weights,
                forward: self.pass(batch, &places),
                low,
                dx: errors.dx.map(|dx| self.shared(steps, dx)),
                errors: ErrorPlaces {
                    places: &places,
                    dy: errors.dy,
                    d_h: Shared::new(&mut room.d_h),
                    d_c: Shared::new(&mut room.d_c),
                },
                d_operand: Shared::new(&mut room.d_operand),
                scratch: Shared::new(&mut room.scratch),
                zeros: &room.zeros,
                gradients: Gradients {
                    layer: self,
                    x: batch.x,
                    places: &places,
                    d_w: Shared::new(&mut room.d_w),
                    d_first: Shared::new(&mut room.d_first),
                    d_second: Shared::new(&mut room.d_second),
                    d_peepholes: Shared::new(&mut room.d_peepholes),
                    copies: Shared::new(&mut room.copies),
                    copy,
                    zeros: &room.zeros,
                },
                places: &places,
            };
            let (split, _) = self.plan(steps);
            together(threads, |member| {
                // SAFETY: as in the forward pass.
                unsafe { pass.run(member, split, chunk) }
            });
            pass.gradients.unpack(gradients, threads);
        }
        room.leave(layout, steps.batch(), errors.d_initial);
        tape.room = room;
    }

    /// The rows of the gradient of the input, for several members.
    fn shared<'a>(&self, steps: &Steps, mut dx: RowsMut<'a, E>) -> (Shared<'a, E>, usize) {
        let stride = dx.rows().stride();
        let len = extent(steps, stride, self.layout.x_width());
        // SAFETY: `dx` is borrowed exclusively for as long, and has so much room (checked).
        let rows = unsafe { std::slice::from_raw_parts_mut(dx.pointer(), len) };
        (Shared::new(rows), stride)
    }
}

impl<E: Element> Errors<'_, E> {
    /// # Panics
    /// Where a size does not fit.
    fn check(&self, layout: &Layout, steps: &Steps) {
        let has_room = |rows: Rows<'_, E>, width: usize| {
            rows.stride() >= width && rows.data().len() >= extent(steps, rows.stride(), width)
        };
        assert!(
            has_room(self.dy, layout.h_width()),
            "dy has a row with room for whole vectors for every step of every sequence"
        );
        if let Some(dx) = &self.dx {
            assert!(
                has_room(dx.rows(), layout.x_width()),
                "dx has a row with room for whole vectors for every row of x"
            );
        }
        let states = steps.batch() * layout.hidden;
        let of_c = (layout.states - 1) * states;
        let sizes = [self.d_last[0].len(), self.d_initial[0].len()];
        assert!(sizes.iter().all(|len| [0, states].contains(len)), "gradients of h are [B, H]");
        let sizes = [self.d_last[1].len(), self.d_initial[1].len()];
        assert!(sizes.iter().all(|len| [0, of_c].contains(len)), "gradients of c are [S-1, B, H]");
    }
}

/// Elements from the first of the rows of `steps` to the last that is used of the last row.
fn extent(steps: &Steps, stride: usize, width: usize) -> usize {
    steps.rows().checked_sub(1).map_or(0, |last| last * stride + width)
}

struct Backward<'a, E: Element> {
    tiles: &'a Tiles<E>,
    weights: &'a PackedWeights<E>,
    forward: Forward<'a, E>,
    /// Whether the columns are computed again.
    low: bool,
    /// The gradient of the input and the distance of its rows.
    dx: Option<(Shared<'a, E>, usize)>,
    errors: ErrorPlaces<'a, E>,
    d_operand: Shared<'a, E>,
    scratch: Shared<'a, E>,
    zeros: &'a [E],
    gradients: Gradients<'a, E>,
    places: &'a Places<'a, E>,
}

/// What is multiplied: the gradients of some columns, with the weights packed for backward.
struct Source<'a, E> {
    part: Part,
    weights: &'a [E],
    /// Whether to add to what is there.
    add: bool,
}

/// Rows of columns that are multiplied, and where the products go: those of consecutive sequences at a
/// step, or those of a sequence at consecutive steps.
struct Lines<E> {
    t: usize,
    b: usize,
    count: usize,
    /// Distance of the rows of columns.
    row: usize,
    to: *mut E,
    to_row: usize,
}

/// Rows of a panel of weights that stay in the second cache while all sequences use them.
const DEPTH: usize = 1024;

/// Rows of a chunk: its steps are gone through backward, then its gradients are summed up while its
/// columns are in cache. Chosen by the shape alone: the order of a sum must not depend on the threads.
const ROWS: usize = 768;

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
    unsafe fn run(&self, member: Member<'_>, split: Split, chunk: usize) {
        let (steps, layout) = (self.places.steps, self.places.layout);
        let part = parts(layout, steps, split, member);
        let waits = split == Split::Units && layout.recurrent_gates > 0;
        let meet = || {
            if waits {
                member.meet();
            }
        };
        for begin in (0..steps.count()).step_by(chunk).rev() {
            let times = begin..(begin + chunk).min(steps.count());
            // SAFETY: see the impl. The columns of a chunk are complete when all have met, and are
            // overwritten only after they met again.
            unsafe {
                if self.low {
                    let _span = span("gates again");
                    let scratch = self.scratch.at(member.index * scratch(layout));
                    self.forward.again(times.clone(), &part, scratch);
                }
                {
                    let _span = span("steps");
                    for t in times.clone().rev() {
                        self.step(t, &part, &meet);
                    }
                    member.meet();
                }
                if let Some(dx) = self.dx {
                    let _span = span("dx");
                    self.input_errors(&times, member, dx);
                }
                let _span = span("weights");
                self.gradients.add(times, member);
                if self.low {
                    member.meet();
                }
            }
        }
    }

    unsafe fn step(&self, t: usize, part: &Parts, meet: &impl Fn()) {
        let (places, layout, weights) = (self.places, self.places.layout, self.weights);
        let alive = places.alive(t, &part.sequences);
        let part_of = Part::first(places.cell, layout);
        let first = Source { part: part_of, weights: &weights.first_back, add: true };
        // SAFETY: see the impl.
        unsafe {
            for block in part.blocks.clone() {
                (places.cell.backward)(&self.errors.units(t, block, &alive));
            }
            if layout.second > 0 {
                meet();
                let part_of = Part::second(places.cell, layout);
                let second = Source { part: part_of, weights: &weights.second_back, add: false };
                self.to_units(&second, self.d_operand, t, part);
                for block in part.blocks.clone() {
                    let mut units = self.errors.units(t, block, &alive);
                    let place = alive.start * layout.h_row() + block * layout.unit;
                    units.operand = self.d_operand.at(place);
                    (places.cell.operand_backward)(&units);
                }
            }
            meet();
            self.to_units(&first, self.errors.d_h, t, part);
            self.errors.leave(t, &part.sequences, part.blocks.clone());
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
                    let to = to.at(alive.start * self.places.layout.h_row());
                    let lines = self.at_step(t, &alive, (to, self.places.layout.h_row()));
                    self.product(source, vectors, stretch.clone(), &lines);
                }
            }
        }
    }

    /// The lines of the sequences alive at step `t`.
    fn at_step(&self, t: usize, alive: &Range<usize>, (to, to_row): (*mut E, usize)) -> Lines<E> {
        Lines { t, b: alive.start, count: alive.len(), row: self.places.layout.row(), to, to_row }
    }

    /// The part of a product that comes from the blocks of `stretch`: some vectors of the rows that the
    /// lines go to. The first stretch starts the sums, later ones add.
    unsafe fn product(
        &self,
        source: &Source<'_, E>,
        columns: Range<usize>,
        stretch: Range<usize>,
        lines: &Lines<E>,
    ) {
        let (layout, places) = (self.places.layout, self.places);
        let (width, lanes, vectors) = (source.part.width(layout), layout.lanes, columns.len());
        let height = layout.blocks * width;
        let weights = |first: usize| {
            let panel = first * lanes * height + stretch.start * width * vectors * lanes;
            source.weights[panel % source.weights.len()..].as_ptr()
        };
        let add = source.add || stretch.start > 0;
        // SAFETY: see the impl.
        unsafe {
            let a = places.columns(lines.t, stretch.start, lines.b);
            let a = a.add(source.part.column * layout.unit).cast_const();
            let to = lines.to.add(columns.start * lanes);
            self.tiles.cut(lines.count, vectors, |Cut { at, first, rows }| {
                let c = to.add(first * lines.to_row);
                let (start, start_row) =
                    if add { (c.cast_const(), lines.to_row) } else { (self.zeros.as_ptr(), 0) };
                let tile = Tile {
                    a: a.add(first * lines.row),
                    a_row: lines.row,
                    a_k: 1,
                    a_segment: places.block_distance(lines.t),
                    b: weights(columns.start),
                    b_k: vectors * lanes,
                    b_segment: width * vectors * lanes,
                    length: width,
                    segments: stretch.len(),
                    c,
                    c_row: lines.to_row,
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
            });
        }
    }

    /// The gradient of the input, `dx = w^T d_columns`, for the steps of a chunk.
    unsafe fn input_errors(
        &self,
        times: &Range<usize>,
        member: Member<'_>,
        (to, row): (Shared<'_, E>, usize),
    ) {
        let (layout, steps) = (self.places.layout, self.places.steps);
        let panels = layout.x_panels();
        let part = Part::input(self.places.cell, layout);
        let source = Source { part, weights: &self.weights.w_back, add: false };
        let (own, sequences) = if times.len() >= 8 * member.count {
            let own = member.share(times.len(), 1);
            (times.start + own.start..times.start + own.end, 0..steps.batch())
        } else {
            let bound = |at| steps.bound(at, member.count);
            (times.clone(), bound(member.index)..bound(member.index + 1))
        };
        let batch = steps.batch();
        let few = sequences.len() * 2 < self.tiles.most_rows(panels.vectors(0));
        let along_time = few && own.len() > 1 && steps.active(times.end - 1) == batch;
        for stretch in source.stretches(layout) {
            for panel in 0..panels.count() {
                let lines = |lines: &Lines<E>| {
                    let vectors = panels.first(panel)..panels.first(panel + 1);
                    // SAFETY: members have disjoint steps or sequences, and `dx` a row for each.
                    unsafe { self.product(&source, vectors, stretch.clone(), lines) }
                };
                // SAFETY: as above.
                let to = |t: usize, b: usize| unsafe { to.at((steps.first_row(t) + b) * row) };
                if along_time {
                    for b in sequences.clone() {
                        lines(&Lines {
                            t: own.start,
                            b,
                            count: own.len(),
                            row: batch * layout.blocks * layout.row(),
                            to: to(own.start, b),
                            to_row: batch * row,
                        });
                    }
                } else {
                    for t in own.clone() {
                        let alive = self.places.alive(t, &sequences);
                        if alive.is_empty() {
                            break;
                        }
                        lines(&self.at_step(t, &alive, (to(t, alive.start), row)));
                    }
                }
            }
        }
        for t in own.filter(|_| layout.passed) {
            for b in self.places.alive(t, &sequences) {
                for block in 0..layout.blocks {
                    // SAFETY: as above.
                    unsafe {
                        let to = to.at((steps.first_row(t) + b) * row);
                        self.places.add_passed(t, block, b, to);
                    }
                }
            }
        }
    }
}
