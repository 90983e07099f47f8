//! The steps forward.

use super::norm::{Grid, Moments};
use super::plan::Plan;
use super::shares::Shares;
use super::step::{Group, Masks, Stage, Zone};
use super::{Numbering, Staged, Tape, moments};
use crate::layers::Mode;
use crate::layers::dropout::{Factors, Kind};
use recurve_kernels::profile::span;
use recurve_kernels::{
    Element, Engine, Matrix, RowsMut, Sequences, Start, Steps, Strip, StripMut, each, product,
};
use std::ops::Range;

/// Rows of `stride` numbers from row `first` on.
pub(super) fn strip<E>(data: &[E], first: usize, stride: usize) -> Strip<'_, E> {
    Strip { data: data.get(first * stride..).unwrap_or(&[]), stride }
}

/// The same, to write.
pub(super) fn strip_mut<E>(
    data: &mut [E],
    first: usize,
    rows: usize,
    stride: usize,
) -> StripMut<'_, E> {
    if data.is_empty() {
        return StripMut::none();
    }
    StripMut { data: &mut data[first * stride..(first + rows) * stride], stride }
}

impl<E: Element> Staged<E> {
    /// Takes over the weights of the model.
    pub(crate) fn load(&mut self, values: &[E], backward: bool) {
        self.weights.load(self.engine, &self.plan, values, backward);
        self.kept = false;
    }

    /// Runs all steps. `last` receives `h [B, out]` and what is carried beside it after the last step of
    /// each sequence; `sequence` says which sequence of the caller stands at each place.
    pub(crate) fn forward(
        &mut self,
        batch: &Sequences<'_, E>,
        mode: Mode,
        sequences: Numbering<'_>,
        last: [&mut [E]; 2],
    ) {
        self.kept = mode != Mode::Infer;
        self.prepare(batch, mode);
        {
            let _span = span("noise");
            self.draw(batch, mode, sequences);
        }
        let steps = batch.steps;
        let chunk = chunk(&self.plan, steps);
        for begin in (0..steps.count()).step_by(chunk) {
            let times = begin..(begin + chunk).min(steps.count());
            // What nothing is kept of needs no more room than a chunk.
            self.base = if self.kept { 0 } else { steps.first_row(begin) };
            {
                let _span = span("input product");
                self.input_product(batch, times.clone(), mode, sequences);
            }
            let _span = span("steps");
            for t in times {
                self.step(batch, t);
            }
        }
        self.leave(steps, last);
    }

    /// Makes room, and starts from the initial states.
    fn prepare(&mut self, batch: &Sequences<'_, E>, mode: Mode) {
        let (plan, tape, room) = (&self.plan, &mut self.tape, &mut self.room);
        let (steps, count) = (batch.steps, batch.steps.batch());
        let train = mode != Mode::Infer;
        let most = chunk(plan, steps).min(steps.count());
        let rows = if train { steps.rows() } else { steps.first_row(most) };
        let of_c = if plan.has_c { rows * plan.unit } else { 0 };
        tape.columns.resize(rows * plan.row());
        tape.of_input.resize(if plan.norm { rows * plan.input_row() } else { 0 });
        tape.of_recurrent.resize(if plan.norm { rows * plan.recurrent_row() } else { 0 });
        tape.moments.resize(if plan.norm { rows * moments(plan) } else { 0 });
        tape.c_in.resize(of_c);
        tape.c.resize(of_c);
        let plain = plan.is_plain_operand() || !train && plan.fed_back.is_empty();
        tape.operand.resize(if plain { 0 } else { rows * plan.operand_row() });
        let read = plain || !plan.has_c || plan.zoneout[0] > 0.0;
        tape.h_in.resize(if read { rows * plan.out_row } else { 0 });
        tape.inner.resize(if plan.projection { rows * plan.unit } else { 0 });
        let both = plan.projection_clip.is_finite() && plan.zoneout[0] > 0.0;
        tape.projected.resize(if both { rows * plan.out_row } else { 0 });
        tape.y.resize(steps.rows());
        room.h.resize(count * plan.out_row);
        room.c.resize(if plan.has_c { count * plan.unit } else { 0 });
        room.gates.resize(count * plan.fed_back.len() * plan.hidden);
        let [h, carried] = batch.initial;
        let fed = plan.fed_back.len() * plan.hidden;
        for b in 0..count {
            set(&mut room.h[b * plan.out_row..][..plan.out_row], h.get(b * plan.out..), plan.out);
            let own = carried.get(b * plan.carried()..);
            if plan.has_c {
                set(&mut room.c[b * plan.unit..][..plan.unit], own, plan.hidden);
            }
            if fed > 0 {
                let gates = own.and_then(|own| own.get(plan.hidden..));
                set(&mut room.gates[b * fed..][..fed], gates, fed);
            }
        }
    }

    fn draw(&mut self, batch: &Sequences<'_, E>, mode: Mode, sequences: Numbering<'_>) {
        let (plan, tape, steps) = (&self.plan, &mut self.tape, batch.steps);
        tape.masks.resize(0);
        let Mode::Train(noise) = mode else { return };
        let threads = |len: usize| self.engine.threads_over(len);
        for (zone, rate) in plan.zoneout.iter().enumerate().filter(|(_, rate)| **rate > 0.0) {
            let (width, stride) = [(plan.out, plan.out_row), (plan.hidden, plan.unit)][zone];
            let kind = [Kind::Zoneout, Kind::ZoneoutCell][zone];
            let source = Factors::new(noise, kind, self.id, *rate);
            let flags = &mut tape.zones[zone];
            flags.resize(steps.rows() * stride);
            each(threads(flags.len()), flags.chunks_exact_mut(stride).enumerate(), |(row, to)| {
                fill(&source, stream(steps, sequences, row), &mut to[..width]);
            });
        }
        if plan.recurrent_dropout > 0.0 {
            tape.mask_of.clear();
            tape.mask_places.clear();
            for t in 0..steps.count() {
                for b in 0..steps.active(t) {
                    let row = steps.first_row(t) + b;
                    let starts = t == 0 || batch.resets.get(row) == Some(&true);
                    if starts {
                        tape.mask_places.push(sequences.stream(t, b));
                    }
                    let of = if starts {
                        tape.mask_places.len() - 1
                    } else {
                        tape.mask_of[steps.first_row(t - 1) + b]
                    };
                    tape.mask_of.push(of);
                }
            }
            let rate = plan.recurrent_dropout;
            let source = Factors::new(noise, Kind::Recurrent, self.id, rate);
            let places = &tape.mask_places;
            tape.masks.resize(places.len() * plan.out_row);
            let masks = tape.masks.chunks_exact_mut(plan.out_row).zip(places);
            each(threads(places.len() * plan.out_row), masks, |(to, place)| {
                fill(&source, *place, &mut to[..plan.out]);
            });
        }
    }

    /// `w x + b` of the steps of a chunk, or `w x` and its moments where it is to be normalised; and factors of
    /// candidates.
    fn input_product(
        &mut self,
        batch: &Sequences<'_, E>,
        times: Range<usize>,
        mode: Mode,
        sequences: Numbering<'_>,
    ) {
        let (plan, weights, steps) = (&self.plan, &self.weights, batch.steps);
        let (row, own) = (plan.row(), &plan.input_columns);
        let all = steps.first_row(times.start)..steps.first_row(times.end);
        let (rows, first) = (all.len(), all.start - self.base);
        if rows == 0 {
            return;
        }
        let stride = batch.x.stride();
        let x = Matrix::new(&batch.x.data()[all.start * stride..], rows, plan.input, stride);
        let tape = &mut self.tape;
        let bias = &weights.bias;
        let places = own.start * plan.unit..own.end * plan.unit;
        if plan.norm {
            let width = plan.input_row();
            let mut to = RowsMut::new(&mut tape.of_input[first * width..], width, width);
            product(self.engine, x, &weights.w, Start::Zero, &mut to);
        } else {
            let columns = &mut tape.columns[first * row + places.start..];
            let mut to = RowsMut::new(columns, places.len(), row);
            product(self.engine, x, &weights.w, Start::Bias(&bias[places.clone()]), &mut to);
        }
        let numbers = match mode {
            Mode::Train(noise) if plan.candidate_dropout > 0.0 => {
                Some(Factors::new(noise, Kind::Candidates, self.id, plan.candidate_dropout))
            }
            _ => None,
        };
        // The argument of an output is written when it is known.
        let known = row - if plan.output_column.is_some() { plan.unit } else { 0 };
        let others = |columns: &mut [E], at: usize| {
            if !plan.norm {
                columns[..places.start].copy_from_slice(&bias[..places.start]);
                columns[places.end..known].copy_from_slice(&bias[places.end..known]);
            }
            if plan.factors {
                let factors = &mut columns[..plan.unit];
                match &numbers {
                    Some(numbers) => {
                        let stream = stream(steps, sequences, all.start + at);
                        fill(numbers, stream, &mut factors[..plan.hidden]);
                    }
                    None => factors.fill(E::from_f64(1.0)),
                }
            }
        };
        if places.len() == row && !plan.norm {
            return;
        }
        let threads = self.engine.threads_over(rows * row);
        let columns = &mut tape.columns[first * row..(first + rows) * row];
        let pieces = columns.chunks_mut(row * ROWS).enumerate();
        each(threads, pieces, |(piece, columns)| {
            for (at, columns) in columns.chunks_exact_mut(row).enumerate() {
                others(columns, piece * ROWS + at);
            }
        });
        if plan.norm {
            let (width, count) = (plan.input_row(), moments(plan));
            let sums = tape.of_input[first * width..].chunks(width * ROWS);
            let to = tape.moments[first * count..(first + rows) * count].chunks_mut(count * ROWS);
            let (isa, grid, parts) = (self.engine.isa(), grid(plan), &plan.input_parts[..]);
            each(threads, sums.zip(to), |(sums, to)| {
                for (row, to) in sums.chunks_exact(width).zip(to.chunks_exact_mut(count)) {
                    isa.run(Moments { grid, parts, row, to });
                }
            });
        }
    }

    /// Step `t`: every sequence by itself, those of a thread together.
    fn step(&mut self, batch: &Sequences<'_, E>, t: usize) {
        let (plan, tape, room) = (&self.plan, &mut self.tape, &mut self.room);
        let (row, alive) = (batch.steps.first_row(t), batch.steps.active(t));
        let (first, stride) = (row - self.base, tape.y.rows().stride());
        let Tape { zones, masks, mask_of, .. } = tape;
        let stage = Stage {
            plan,
            functions: &self.functions,
            weights: &self.weights,
            isa: self.engine.isa(),
            zones: [
                Zone::new(
                    plan.zoneout[0],
                    self.kept,
                    zones[0].get(first * plan.out_row..).unwrap_or(&[]),
                    plan.out_row,
                ),
                Zone::new(
                    plan.zoneout[1],
                    self.kept,
                    zones[1].get(first * plan.unit..).unwrap_or(&[]),
                    plan.unit,
                ),
            ],
            resets: batch.resets.get(row..).unwrap_or(&[]),
            masks: Masks::new(plan, masks, mask_of, first),
            zeros: &room.zeros,
        };
        let y = strip_mut(tape.y.data_mut(), row, alive, stride);
        let inner = strip_mut(&mut tape.inner, first, alive, plan.unit);
        let (h, y) = if plan.projection { (inner, y) } else { (y, inner) };
        let mut all = Group {
            h_in: strip_mut(&mut tape.h_in, first, alive, plan.out_row),
            c_in: strip_mut(&mut tape.c_in, first, alive, plan.unit),
            operand: strip_mut(&mut tape.operand, first, alive, plan.operand_row()),
            columns: strip_mut(&mut tape.columns, first, alive, plan.row()),
            of_input: strip_mut(&mut tape.of_input, first, alive, plan.input_row()),
            of_recurrent: strip_mut(&mut tape.of_recurrent, first, alive, plan.recurrent_row()),
            moments: strip_mut(&mut tape.moments, first, alive, moments(plan)),
            c: strip_mut(&mut tape.c, first, alive, plan.unit),
            h,
            y,
            projected: strip_mut(&mut tape.projected, first, alive, plan.out_row),
            next_c: strip_mut(&mut room.c, 0, alive, plan.unit),
            next_h: strip_mut(&mut room.h, 0, alive, plan.out_row),
            next_gates: strip_mut(&mut room.gates, 0, alive, plan.fed_back.len() * plan.hidden),
        };
        let shares = Shares::new(self.engine, plan, alive);
        each(shares.threads, shares.all(|rows| all.split(rows)), |(begin, rows, own)| {
            stage.run(shares.engine, begin, rows, own);
        });
    }

    fn leave(&self, steps: &Steps, last: [&mut [E]; 2]) {
        let (plan, room) = (&self.plan, &self.room);
        let [h, carried] = last;
        let fed = plan.fed_back.len() * plan.hidden;
        for (b, to) in h.chunks_exact_mut(plan.out).take(steps.batch()).enumerate() {
            to.copy_from_slice(&room.h[b * plan.out_row..][..plan.out]);
        }
        for (b, to) in carried.chunks_exact_mut(plan.carried().max(1)).enumerate() {
            to[..plan.hidden].copy_from_slice(&room.c[b * plan.unit..][..plan.hidden]);
            to[plan.hidden..].copy_from_slice(&room.gates[b * fed..][..fed]);
        }
    }
}

/// Numbers of the rows of a chunk, about: those of the input product are used while they are near.
const NEAR: usize = 1 << 19;

/// Steps whose input products are formed together.
fn chunk(plan: &Plan, steps: &Steps) -> usize {
    let norm = if plan.norm { plan.input_row() + plan.recurrent_row() } else { 0 };
    (NEAR / (steps.batch().max(1) * (plan.row() + norm))).max(1)
}

/// Rows of columns that are prepared together.
const ROWS: usize = 16;

/// The threads that a step over `numbers` is worth.
pub(super) fn threads(engine: Engine, numbers: usize) -> usize {
    engine.threads_over(4 * numbers)
}

pub(super) fn grid(plan: &Plan) -> Grid {
    Grid { hidden: plan.hidden, unit: plan.unit }
}

/// The stream of numbers of a row.
fn stream(steps: &Steps, sequences: Numbering<'_>, row: usize) -> u64 {
    let (mut low, mut high) = (0, steps.count());
    while high - low > 1 {
        let middle = (low + high) / 2;
        if steps.first_row(middle) <= row { low = middle } else { high = middle }
    }
    sequences.stream(low, row - steps.first_row(low))
}

fn fill<E: Element>(source: &Factors<E>, stream: u64, to: &mut [E]) {
    let mut next = source.of(stream);
    to.iter_mut().for_each(|factor| *factor = next());
}

/// The first `width` of `from`, or zeros, with zeros after them.
pub(super) fn set<E: Element>(to: &mut [E], from: Option<&[E]>, width: usize) {
    match from.filter(|from| from.len() >= width) {
        Some(from) => to[..width].copy_from_slice(&from[..width]),
        None => to[..width].fill(E::default()),
    }
    to[width..].fill(E::default());
}
