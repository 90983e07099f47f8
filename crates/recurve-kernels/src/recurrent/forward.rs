//! The steps forward.

use crate::element::Element;
use crate::gemm::tile::{Ahead, Cut, Tile, Tiles};
use crate::memory::Rows;
use crate::pool::{Member, together};
use crate::profile::span;
use crate::recurrent::cell::Units;
use crate::recurrent::layout::Layout;
use crate::recurrent::places::Places;
use crate::recurrent::steps::Steps;
use crate::recurrent::tape::{GatePlan, Tape};
use crate::recurrent::weights::{PackedWeights, PanelPlace, Part};
use crate::recurrent::{RecurrentLayer, Sequences, Split};
use std::ops::Range;

/// Rows whose input product is formed at a time: as many as stay in cache until their step.
const CHUNK: usize = 192;

/// What a forward pass keeps for the backward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Keep {
    /// Nothing: there will be none.
    #[default]
    Nothing,
    /// The states. The columns are computed again, chunk by chunk, when they are needed: a third more
    /// work in a fraction of the memory.
    States,
    /// The states and the columns of every step.
    Columns,
}

impl<E: Element> RecurrentLayer<E> {
    /// Runs all steps. The output is [`Tape::output`]; the states after the last step of each
    /// sequence go to `last`, `h [B, H]` and the others `[S-1, B, H]`, where that is not empty. Unless `keep` is
    /// [`Keep::Nothing`], the tape is ready for [`RecurrentLayer::backward`].
    ///
    /// # Panics
    /// Where a size does not fit.
    pub fn forward(
        &self,
        batch: &Sequences<'_, E>,
        keep: Keep,
        tape: &mut Tape<E>,
        last: [&mut [E]; 2],
    ) {
        let (layout, steps) = (&self.layout, batch.steps);
        self.check(batch);
        if keep == Keep::Nothing && self.is_swept(steps.batch()) {
            return self.sweep(batch, tape, last);
        }
        if let Some(half) = &self.half {
            self.forward_half(half, batch, keep, tape);
            return tape.last_states(layout, steps, last);
        }
        assert!(!self.narrow.is_narrow(), "weights in few bits are loaded for inference");
        let chunk = (CHUNK / steps.batch().max(1)).max(1);
        let plan = if keep == Keep::Columns { GatePlan::Kept } else { GatePlan::Chunk(chunk) };
        tape.prepare(layout, batch, plan.len(layout, steps));
        tape.kept = keep;
        let (split, threads) = self.plan(steps);
        let places = Places::new(layout, &self.cell, batch, &self.weights.peepholes, (plan, tape));
        let pass = self.pass(batch, &places);
        together(threads, |member| {
            // SAFETY: `parts` gives every member sequences or blocks of its own; where it reads what
            // another wrote, they met in between.
            unsafe { pass.run(member, split, chunk) }
        });
        tape.last_states(layout, steps, last);
    }

    pub(super) fn pass<'a>(
        &'a self,
        batch: &Sequences<'a, E>,
        places: &'a Places<'a, E>,
    ) -> Forward<'a, E> {
        Forward { tiles: &self.tiles, weights: &self.weights, x: batch.x, places }
    }

    pub(super) fn check(&self, batch: &Sequences<'_, E>) {
        let (layout, steps) = (&self.layout, batch.steps);
        let states = steps.batch() * layout.hidden;
        let others = (layout.states - 1) * states;
        assert!(!self.weights.bias.is_empty(), "the layer has weights");
        assert_eq!(batch.x.width(), layout.input, "x has rows of I");
        assert!(batch.x.count() >= steps.rows(), "x has a row for every step of every sequence");
        assert!([0, states].contains(&batch.initial[0].len()), "the initial h is [B, H]");
        assert!([0, others].contains(&batch.initial[1].len()), "the initial c is [S-1, B, H]");
        assert!([0, steps.rows()].contains(&batch.resets.len()), "resets has one flag per row");
    }
}

/// The part of a member: sequences, blocks of units, and the panels that give these units.
pub(super) struct Parts {
    pub(super) sequences: Range<usize>,
    pub(super) blocks: Range<usize>,
    pub(super) panels: Range<usize>,
}

impl Parts {
    /// The block that follows `block` in this part, at the next step if it is the last.
    pub(super) fn after(&self, block: usize) -> usize {
        if block + 1 < self.blocks.end { block + 1 } else { self.blocks.start }
    }
}

pub(super) fn parts(layout: &Layout, steps: &Steps, split: Split, member: Member<'_>) -> Parts {
    let panels = layout.h_panels().count();
    match split {
        Split::Sequences => Parts {
            sequences: steps.bound(member.index, member.count)
                ..steps.bound(member.index + 1, member.count),
            blocks: 0..layout.blocks,
            panels: 0..panels,
        },
        Split::Units => {
            let panels = member.share(panels, 1);
            let blocks = layout.blocks_of(panels.clone());
            Parts { sequences: 0..steps.batch(), blocks, panels }
        }
    }
}

pub(super) struct Forward<'a, E: Element> {
    tiles: &'a Tiles<E>,
    weights: &'a PackedWeights<E>,
    x: Rows<'a, E>,
    places: &'a Places<'a, E>,
}

/// Some rows of a tile: those of sequences from `b` on at step `t`, or of sequence `b` from step `t` on.
struct Stripe {
    t: usize,
    b: usize,
    rows: usize,
    /// Which tile of the block this is.
    at: usize,
    x_row: usize,
    gates_row: usize,
}

/// One recurrent product: its columns, its weights and its left operand, by sequence.
struct Product<'a, E> {
    part: Part,
    weights: &'a [E],
    operand: *const E,
}

/// # Safety
/// Each method: nobody else touches the columns and states of the sequences and blocks it is given,
/// and what it only reads no other member writes meanwhile.
impl<E: Element> Forward<'_, E> {
    unsafe fn run(&self, member: Member<'_>, split: Split, chunk: usize) {
        let steps = self.places.steps;
        let part = parts(self.places.layout, steps, split, member);
        let waits = split == Split::Units && self.places.layout.recurrent_gates > 0;
        let meet = || {
            if waits {
                member.meet();
            }
        };
        // SAFETY: see the impl.
        unsafe {
            if steps.count() > 0 {
                self.places.enter(0, &part.sequences, part.blocks.clone());
                meet();
            }
            for begin in (0..steps.count()).step_by(chunk) {
                let end = (begin + chunk).min(steps.count());
                {
                    let _span = span("input product");
                    self.input_product(begin..end, &part);
                }
                let _span = span("steps");
                for t in begin..end {
                    self.step(t, &part, &meet);
                    if t + 1 < steps.count() {
                        self.places.enter(t + 1, &part.sequences, part.blocks.clone());
                    }
                    meet();
                }
            }
        }
    }

    /// `columns = b + w x` for the steps of a chunk. Where tiles of few sequences would be low, they
    /// run along time instead.
    unsafe fn input_product(&self, chunk: Range<usize>, part: &Parts) {
        let (layout, steps, x_row) = (self.places.layout, self.places.steps, self.x.stride());
        let input = Part::input(self.places.cell, layout);
        let (batch, panels) = (steps.batch(), input.panels(layout));
        let vectors = input.vectors(layout);
        let few = part.sequences.len() * 2 < self.tiles.most_rows(panels.vectors(0));
        let along_time = few && chunk.len() > 1 && steps.active(chunk.end - 1) == batch;
        for block in part.blocks.clone() {
            let next = part.after(block);
            if vectors * layout.lanes < layout.row() {
                // SAFETY: see the impl.
                unsafe { self.start_others(block, &chunk, part) }
            }
            for panel in 0..panels.count() {
                let place = input.place(layout, block, next, panel);
                let stripe = |stripe| {
                    // SAFETY: see the impl.
                    unsafe { self.input_stripe(&place, stripe) }
                };
                if along_time {
                    let (x_row, gates_row) = (batch * x_row, batch * layout.blocks * layout.row());
                    for b in part.sequences.clone() {
                        self.tiles.cut(chunk.len(), place.vectors, |cut| {
                            let t = chunk.start + cut.first;
                            stripe(Stripe { t, b, rows: cut.rows, at: cut.at, x_row, gates_row });
                        });
                    }
                } else {
                    for t in chunk.clone() {
                        let alive = self.places.alive(t, &part.sequences);
                        self.tiles.cut(alive.len(), place.vectors, |Cut { at, first, rows }| {
                            let b = alive.start + first;
                            let at = at + if t == chunk.start { 0 } else { vectors };
                            stripe(Stripe { t, b, rows, at, x_row, gates_row: layout.row() });
                        });
                    }
                }
            }
        }
    }

    /// The columns that the input product leaves alone.
    unsafe fn start_others(&self, block: usize, chunk: &Range<usize>, part: &Parts) {
        let (places, row) = (self.places, self.places.layout.row());
        let bias = &self.weights.bias[block * row..][..row];
        for t in chunk.clone() {
            for b in places.alive(t, &part.sequences) {
                // SAFETY: see the impl.
                unsafe {
                    let x = self.x.pointer().add((places.steps.first_row(t) + b) * self.x.stride());
                    places.start_others(places.columns(t, block, b), block, bias, x);
                }
            }
        }
    }

    unsafe fn input_stripe(&self, place: &PanelPlace, stripe: Stripe) {
        let layout = self.places.layout;
        let width = place.vectors * layout.lanes;
        let bias = self.weights.bias[place.block * layout.row() + place.column..].as_ptr();
        // SAFETY: `x` has all rows of the steps (checked), the weights all of the block.
        unsafe {
            let first = self.places.steps.first_row(stripe.t) + stripe.b;
            let tile = Tile {
                a: self.x.pointer().add(first * self.x.stride()),
                a_row: stripe.x_row,
                a_k: 1,
                a_segment: 0,
                b: self.weights.w[place.first..].as_ptr(),
                b_k: width,
                b_segment: 0,
                length: layout.input,
                segments: 1,
                c: self.places.columns(stripe.t, place.block, stripe.b).add(place.column),
                c_row: stripe.gates_row,
                start: bias,
                start_row: 0,
                ahead: Ahead::panel(
                    self.weights.w[place.next..].as_ptr(),
                    (place.vectors, layout.lanes),
                    (layout.input, 1),
                    stripe.at,
                ),
            };
            self.tiles.run(stripe.rows, place.vectors, &tile);
        }
    }

    unsafe fn step(&self, t: usize, part: &Parts, meet: &impl Fn()) {
        let cell = self.places.cell;
        let alive = self.places.alive(t, &part.sequences);
        // SAFETY: see the impl.
        unsafe {
            let first = self.first(t);
            for block in part.blocks.clone() {
                self.recurrent_product(&first, t, (block, part.after(block)), &alive);
                let finish = if self.two() { cell.operand } else { cell.forward };
                finish(&self.places.units(t, block, &alive));
            }
            if self.two() {
                meet();
                let second = self.second(t);
                for block in part.blocks.clone() {
                    self.recurrent_product(&second, t, (block, part.after(block)), &alive);
                    (cell.forward)(&self.places.units(t, block, &alive));
                }
            }
        }
    }

    /// Computes the columns of the steps of a chunk again, from the states that were kept. What the
    /// cells write beside the columns is known already and goes to `scratch`, which has room for a
    /// block's units.
    pub(super) unsafe fn again(&self, chunk: Range<usize>, part: &Parts, scratch: *mut E) {
        let cell = self.places.cell;
        // SAFETY: see the impl.
        unsafe {
            self.input_product(chunk.clone(), part);
            let finish = if self.two() { cell.operand } else { cell.forward };
            self.again_product(&chunk, part, |t| self.first(t), finish, scratch);
            if self.two() {
                self.again_product(&chunk, part, |t| self.second(t), cell.forward, scratch);
            }
        }
    }

    /// One product of [`Forward::again`]. As no step waits for another, each block of weights serves
    /// all of them at once.
    unsafe fn again_product<'p>(
        &self,
        chunk: &Range<usize>,
        part: &Parts,
        product: impl Fn(usize) -> Product<'p, E>,
        finish: unsafe fn(&Units<E>),
        scratch: *mut E,
    ) where
        E: 'p,
    {
        for block in part.blocks.clone() {
            for t in chunk.clone() {
                let alive = self.places.alive(t, &part.sequences);
                // SAFETY: see the impl.
                unsafe {
                    self.recurrent_product(&product(t), t, (block, part.after(block)), &alive);
                    let mut units = self.places.units(t, block, &alive);
                    (units.after, units.after_row) = ([scratch; 2], [0; 2]);
                    units.operand = scratch;
                    finish(&units);
                }
            }
        }
    }

    /// Whether the cell has a second recurrent product.
    fn two(&self) -> bool {
        self.places.layout.second > 0
    }

    unsafe fn first(&self, t: usize) -> Product<'_, E> {
        let part = Part::first(self.places.cell, self.places.layout);
        // SAFETY: see the impl.
        let operand = unsafe { self.places.h_before(t, 0) };
        Product { part, weights: &self.weights.first, operand }
    }

    unsafe fn second(&self, t: usize) -> Product<'_, E> {
        let part = Part::second(self.places.cell, self.places.layout);
        // SAFETY: see the impl.
        let operand = unsafe { self.places.operand(t, 0) };
        Product { part, weights: &self.weights.second, operand }
    }

    /// `columns += r operand`.
    unsafe fn recurrent_product(
        &self,
        product: &Product<'_, E>,
        t: usize,
        (block, next): (usize, usize),
        alive: &Range<usize>,
    ) {
        let (layout, h_row) = (self.places.layout, self.places.layout.h_row());
        if product.part.gates.is_empty() {
            return;
        }
        for panel in 0..product.part.panels(layout).count() {
            let place = product.part.place(layout, block, next, panel);
            self.tiles.cut(alive.len(), place.vectors, |Cut { at, first, rows }| {
                let b = alive.start + first;
                // SAFETY: see the impl; the operand has a row for every living sequence.
                unsafe {
                    let c = self.places.columns(t, block, b).add(place.column);
                    let tile = Tile {
                        a: product.operand.add(b * h_row),
                        a_row: h_row,
                        a_k: 1,
                        a_segment: 0,
                        b: product.weights[place.first..].as_ptr(),
                        b_k: place.vectors * layout.lanes,
                        b_segment: 0,
                        length: layout.hidden,
                        segments: 1,
                        c,
                        c_row: layout.row(),
                        start: c,
                        start_row: layout.row(),
                        ahead: Ahead::panel(
                            product.weights[place.next..].as_ptr(),
                            (place.vectors, layout.lanes),
                            (layout.hidden, 1),
                            at,
                        ),
                    };
                    self.tiles.run(rows, place.vectors, &tile);
                }
            });
        }
    }
}
