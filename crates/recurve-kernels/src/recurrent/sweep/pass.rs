//! The steps of a sweep.

use crate::element::Element;
use crate::isa::Entry;
use crate::memory::{Rows, Shared};
use crate::pool::{Member, parts, share, together};
use crate::recurrent::forward::Keep;
use crate::recurrent::places::Places;
use crate::recurrent::steps::Steps;
use crate::recurrent::sweep::kernel::panels;
use crate::recurrent::sweep::matrix::{Factor, Sides};
use crate::recurrent::sweep::narrow::{Rounded, round};
use crate::recurrent::sweep::parts_of;
use crate::recurrent::tape::{GatePlan, Tape};
use crate::recurrent::{RecurrentLayer, Sequences};
use std::ops::Range;

/// Bytes of sums of the input product that are made ahead: few, as they drive weights out of the cache.
const AHEAD: usize = 512 << 10;
/// Steps ahead at least, so that weights of the input product are read for several rows at once.
const STEPS_AHEAD: usize = 24;
/// Bytes of weights that are worth a member of its own, at every step.
const SHARE: usize = 96 << 10;
/// Bytes of weights that stay in the cache of a core from one step to the next.
const NEAR: usize = 768 << 10;
/// Bytes read by a member at which it is worth waking, whatever follows: some fifty microseconds.
const LONG: usize = 2 << 20;

/// What sweeps need beside the tape: rows in 8 bits, and in which direction the last one went.
#[derive(Debug, Default)]
pub(crate) struct SweepRoom {
    bytes: Vec<u8>,
    scales: Vec<f32>,
    downwards: bool,
}

/// Where rows in 8 bits lie: those of the input, then for every member those of states.
struct ByteRows<'a> {
    bytes: Shared<'a, u8>,
    scales: Shared<'a, f32>,
    input_row: usize,
    state_row: usize,
    /// Rows of the input, and of the states of one member.
    inputs: usize,
    states: usize,
}

/// The left side of a product.
#[derive(Clone, Copy)]
struct Left {
    rows: *const u8,
    row: usize,
    scales: *const f32,
}

// SAFETY: a plain address; every use is unsafe and states who reads and writes there.
unsafe impl Sync for Left {}

struct Pass<'a, E: Element> {
    places: Places<'a, E>,
    x: Rows<'a, E>,
    bias: &'a [E],
    input: Factor<'a, E>,
    first: Factor<'a, E>,
    second: Factor<'a, E>,
    bytes: ByteRows<'a>,
    round: Entry<Rounded>,
    chunk: usize,
    downwards: bool,
    /// Whether the weights of a step stay in cache, so that no order is better than another.
    near: bool,
}

/// What a member computes: some blocks; and which rows of bytes it may write.
struct Part {
    blocks: Range<usize>,
    member: usize,
}

impl<E: Element> RecurrentLayer<E> {
    /// [`RecurrentLayer::forward`] where nothing is kept.
    pub(in crate::recurrent) fn sweep(
        &self,
        batch: &Sequences<'_, E>,
        tape: &mut Tape<E>,
        last: [&mut [E]; 2],
    ) {
        let (layout, steps) = (&self.layout, batch.steps);
        let step_bytes = steps.batch() * layout.blocks * layout.row() * size_of::<E>();
        let chunk = (AHEAD / step_bytes.max(1)).max(STEPS_AHEAD).min(steps.count().max(1));
        let plan = GatePlan::Chunk(chunk);
        tape.prepare(layout, batch, plan.len(layout, steps));
        tape.kept = Keep::Nothing;
        let mut room = std::mem::take(&mut tape.sweep);
        let downwards = room.downwards;
        let [input, first, second] = parts_of(&self.cell, layout);
        let isa = self.engine.isa();
        let full = &self.weights;
        let [w, r, r_second] = self.narrow.matrices();
        let input = w.factor(isa, layout, input, &full.w);
        let first = r.factor(isa, layout, first, &full.first);
        let second = r_second.factor(isa, layout, second, &full.second);
        let threads = self.sweepers(steps, [&input, &first, &second].map(|factor| factor.bytes));
        let pass = Pass {
            near: (input.bytes + first.bytes + second.bytes) / threads <= NEAR,
            x: batch.x,
            bias: &full.bias,
            bytes: ByteRows::new(&mut room, [&input, &first], chunk, (steps.batch(), threads)),
            input,
            first,
            second,
            round: round(isa),
            chunk,
            downwards,
            places: Places::new(layout, &self.cell, batch, &full.peepholes, (plan, tape)),
        };
        if steps.count() == 1 {
            // SAFETY: nobody else works on the tape and the room; parts have blocks of their own.
            unsafe { pass.one_step(threads) }
        } else {
            together(threads, |member| {
                let blocks = member.share(layout.blocks, 1);
                // SAFETY: members have blocks of their own; where one reads what another wrote, they
                // met in between.
                unsafe { pass.run(&Part { blocks, member: member.index }, member) }
            });
        }
        room.downwards ^= steps.count() % 2 == 1;
        tape.sweep = room;
        tape.last_states(layout, steps, last);
    }

    /// How many members share the steps: as many as have enough to read.
    fn sweepers(&self, steps: &Steps, [input, first, second]: [usize; 3]) -> usize {
        let recurrent = first + second;
        let worth = if steps.count() == 1 {
            (input + recurrent) / SHARE
        } else {
            let all = (input + recurrent) * steps.count();
            let free = self.layout.recurrent_gates == 0;
            if free { 2 * all / LONG } else { (recurrent / SHARE).min(2 * all / LONG) }
        };
        worth.min(self.engine.threads()).min(self.layout.blocks).max(1)
    }
}

impl<'a> ByteRows<'a> {
    /// SweepRoom for a chunk of the input and for states, where these factors are in 8 bits.
    fn new<E: Element>(
        room: &'a mut SweepRoom,
        [input, state]: [&Factor<'_, E>; 2],
        chunk: usize,
        (batch, members): (usize, usize),
    ) -> Self {
        let row = |factor: &Factor<'_, E>| if factor.is_bytes() { factor.depth } else { 0 };
        let (input_row, state_row, inputs) = (row(input), row(state), chunk * batch);
        // Beyond the width of a row, any bytes do: the weights there are zero.
        room.bytes.resize(inputs * input_row + members * batch * state_row, 128);
        room.scales.resize(inputs + members * batch, 0.0);
        let (bytes, scales) = (Shared::new(&mut room.bytes), Shared::new(&mut room.scales));
        Self { bytes, scales, input_row, state_row, inputs, states: batch }
    }

    /// The rows of the input.
    fn input(&self) -> (*mut u8, *mut f32) {
        // SAFETY: the start of the room.
        unsafe { (self.bytes.at(0), self.scales.at(0)) }
    }

    /// The rows of the states of `member`.
    ///
    /// # Safety
    /// The member is one that the room was made for.
    unsafe fn state(&self, member: usize) -> (*mut u8, *mut f32) {
        let row = member * self.states;
        // SAFETY: the caller's promise.
        unsafe {
            let bytes = self.bytes.at(self.inputs * self.input_row + row * self.state_row);
            (bytes, self.scales.at(self.inputs + row))
        }
    }
}

/// # Safety
/// Each method: nobody else touches the columns and states of the blocks and the rows of bytes it is
/// given, and what it only reads no other member writes meanwhile.
impl<E: Element> Pass<'_, E> {
    /// A batch of one step: its parts wait for nothing but, in cells with two products, for each other
    /// between these.
    unsafe fn one_step(&self, threads: usize) {
        let places = &self.places;
        let layout = places.layout;
        let part = |at: usize| Part { blocks: share(at, threads, layout.blocks, 1), member: 0 };
        let bytes = self.input.bytes + self.first.bytes + self.second.bytes;
        let long = bytes / threads > LONG;
        // SAFETY: see the impl.
        unsafe {
            places.enter(0, &(0..places.steps.batch()), 0..layout.blocks);
            let x = &self.input_rows(0..1, 0..places.steps.rows());
            let h = &self.state_rows(&self.first, places.h_before(0, 0), 0, 0);
            parts(threads, long, |at| self.first_half(0, &part(at), h, Some(x)));
            if layout.second > 0 {
                let operand = &self.state_rows(&self.second, places.operand(0, 0), 0, 0);
                parts(threads, long, |at| self.second_half(0, &part(at), operand));
            }
        }
    }

    unsafe fn run(&self, part: &Part, member: Member<'_>) {
        let places = &self.places;
        let (layout, steps) = (places.layout, places.steps);
        let everyone = 0..steps.batch();
        let meet = || {
            if layout.recurrent_gates > 0 {
                member.meet();
            }
        };
        // SAFETY: see the impl.
        unsafe {
            if steps.count() > 0 {
                places.enter(0, &everyone, part.blocks.clone());
                meet();
            }
            for begin in (0..steps.count()).step_by(self.chunk) {
                let end = (begin + self.chunk).min(steps.count());
                let own = member.share(self.rows_of(begin..end), 1);
                let x = self.input_rows(begin..end, own);
                if self.input.is_bytes() {
                    member.meet();
                }
                self.input_product(begin..end, part, &x);
                for t in begin..end {
                    let h = self.state_rows(&self.first, places.h_before(t, 0), t, part.member);
                    self.first_half(t, part, &h, None);
                    if layout.second > 0 {
                        member.meet();
                        let operand = places.operand(t, 0);
                        let operand = self.state_rows(&self.second, operand, t, part.member);
                        self.second_half(t, part, &operand);
                    }
                    if t + 1 < steps.count() {
                        places.enter(t + 1, &everyone, part.blocks.clone());
                    }
                    meet();
                }
                if layout.recurrent_gates == 0 && self.input.is_bytes() {
                    // Nobody rounds the next input while another multiplies this one.
                    member.meet();
                }
            }
        }
    }

    /// Rows of the steps of a chunk.
    fn rows_of(&self, chunk: Range<usize>) -> usize {
        let steps = self.places.steps;
        steps.first_row(chunk.end) - steps.first_row(chunk.start)
    }

    /// The input of a chunk as a left side; where that is in 8 bits, rounds the rows `own` of it.
    unsafe fn input_rows(&self, chunk: Range<usize>, own: Range<usize>) -> Left {
        let stride = self.x.stride();
        // SAFETY: see the impl; `x` has a row for every row of the steps (checked).
        unsafe {
            let x = self.x.pointer().add(self.places.steps.first_row(chunk.start) * stride);
            if !self.input.is_bytes() {
                let row = stride * size_of::<E>();
                return Left { rows: x.cast(), row, scales: std::ptr::null() };
            }
            let (to, scales) = self.bytes.input();
            let row = self.bytes.input_row;
            (self.round)(&Rounded {
                rows: own.len(),
                width: self.places.layout.input,
                from: x.add(own.start * stride).cast(),
                from_row: stride,
                to: to.add(own.start * row),
                to_row: row,
                scales: scales.add(own.start),
            });
            Left { rows: to, row, scales }
        }
    }

    /// The states, or the operand of the second product, of all sequences at step `t` as a left side;
    /// where that is in 8 bits, rounded to the rows of `member`.
    unsafe fn state_rows(
        &self,
        factor: &Factor<'_, E>,
        from: *const E,
        t: usize,
        member: usize,
    ) -> Left {
        let h_row = self.places.layout.h_row();
        if !factor.is_bytes() || factor.part.gates.is_empty() {
            let row = h_row * size_of::<E>();
            return Left { rows: from.cast(), row, scales: std::ptr::null() };
        }
        // SAFETY: see the impl.
        unsafe {
            let (to, scales) = self.bytes.state(member);
            let row = self.bytes.state_row;
            (self.round)(&Rounded {
                rows: self.places.steps.active(t),
                width: self.places.layout.hidden,
                from: from.cast(),
                from_row: h_row,
                to,
                to_row: row,
                scales,
            });
            Left { rows: to, row, scales }
        }
    }

    /// `columns = b + w x` for the steps of a chunk. One sequence is taken along time.
    unsafe fn input_product(&self, chunk: Range<usize>, part: &Part, x: &Left) {
        let (places, steps) = (&self.places, self.places.steps);
        let along_time = steps.batch() == 1;
        let begin = steps.first_row(chunk.start);
        for block in part.blocks.clone() {
            let block = block..block + 1;
            // SAFETY: see the impl.
            unsafe {
                if along_time {
                    let row = places.layout.blocks * places.layout.row();
                    self.input_sweep(&block, (chunk.start, chunk.len(), row), x);
                    continue;
                }
                for t in chunk.clone() {
                    let first = steps.first_row(t) - begin;
                    let rows = x.rows.wrapping_add(first * x.row);
                    let x = Left { rows, scales: x.scales.wrapping_add(first), ..*x };
                    let rows = (t, steps.active(t), places.layout.row());
                    self.input_sweep(&block, rows, &x);
                }
            }
        }
    }

    /// `columns = b + w x` of `blocks`, for `rows` rows of columns from step `t` on.
    unsafe fn input_sweep(
        &self,
        blocks: &Range<usize>,
        (t, rows, c_row): (usize, usize, usize),
        x: &Left,
    ) {
        let row = self.places.layout.row();
        let width = self.input.width;
        let bias = &self.bias[blocks.start * row..blocks.end * row];
        // SAFETY: see the impl.
        unsafe {
            let c = self.places.columns(t, blocks.start, 0);
            let c_block = self.places.block_distance(t);
            let sides = Sides {
                rows,
                left: x.rows,
                left_row: x.row,
                left_scales: x.scales,
                c,
                c_row,
                c_block,
                start: bias.as_ptr(),
                start_row: 0,
                start_block: row,
            };
            self.input.sweep(blocks, &sides);
            if width < row {
                // Rows are sequences at one step, or the steps of one sequence.
                let first = self.x.pointer().add(self.places.steps.first_row(t) * self.x.stride());
                for (block, bias) in blocks.clone().zip(bias.chunks_exact(row)) {
                    for r in 0..rows {
                        let columns = c.add((block - blocks.start) * c_block + r * c_row);
                        let x = first.add(r * self.x.stride());
                        self.places.start_others(columns, block, bias, x);
                    }
                }
            }
        }
    }

    /// `columns += r left` of `blocks` at step `t`.
    unsafe fn recurrent_sweep(
        &self,
        factor: &Factor<'_, E>,
        t: usize,
        blocks: &Range<usize>,
        left: &Left,
    ) {
        if factor.part.gates.is_empty() {
            return;
        }
        // SAFETY: see the impl.
        unsafe {
            let column = factor.part.column * self.places.layout.unit;
            let c = self.places.columns(t, blocks.start, 0).add(column);
            let (c_row, c_block) = (self.places.layout.row(), self.places.block_distance(t));
            let sides = Sides {
                rows: self.places.steps.active(t),
                left: left.rows,
                left_row: left.row,
                left_scales: left.scales,
                c,
                c_row,
                c_block,
                start: c,
                start_row: c_row,
                start_block: c_block,
            };
            factor.sweep(blocks, &sides);
        }
    }

    /// The blocks of a part in runs that fill a tile, upwards or downwards; or all at once.
    fn runs(
        &self,
        t: usize,
        blocks: &Range<usize>,
        vectors: usize,
    ) -> impl Iterator<Item = Range<usize>> + use<E> {
        let length = if self.near { blocks.len().max(1) } else { panels(vectors) };
        let blocks = blocks.clone();
        let count = blocks.len().div_ceil(length);
        let downwards = self.downwards ^ (t % 2 == 1);
        (0..count).map(move |at| {
            let at = if downwards { count - 1 - at } else { at };
            let first = blocks.start + at * length;
            first..(first + length).min(blocks.end)
        })
    }

    /// The columns of step `t`, and the cell's pointwise function as far as it needs only them. With
    /// `x`, the input product is formed too.
    unsafe fn first_half(&self, t: usize, part: &Part, h: &Left, x: Option<&Left>) {
        let places = &self.places;
        let alive = 0..places.steps.active(t);
        let two = places.layout.second > 0;
        let finish = if two { places.cell.operand } else { places.cell.forward };
        for blocks in self.runs(t, &part.blocks, self.first.vectors) {
            // SAFETY: see the impl.
            unsafe {
                if let Some(x) = x {
                    self.input_sweep(&blocks, (t, alive.end, places.layout.row()), x);
                }
                self.recurrent_sweep(&self.first, t, &blocks, h);
                for block in blocks {
                    finish(&places.units(t, block, &alive));
                }
            }
        }
    }

    /// The rest of the step for cells with a second product.
    unsafe fn second_half(&self, t: usize, part: &Part, operand: &Left) {
        let places = &self.places;
        let alive = 0..places.steps.active(t);
        for blocks in self.runs(t, &part.blocks, self.second.vectors) {
            // SAFETY: see the impl.
            unsafe {
                self.recurrent_sweep(&self.second, t, &blocks, operand);
                for block in blocks {
                    (places.cell.forward)(&places.units(t, block, &alive));
                }
            }
        }
    }
}
