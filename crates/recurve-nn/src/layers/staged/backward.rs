//! The steps backward, then the gradients of the weights.

use super::forward::{Zone, from, grid, set, strip, strip_mut, threads};
use super::norm::{AddScaled, NormaliseBackward};
use super::plan::{Functions, Plan};
use super::weights::StageWeights;
use super::{GROUP, Room, Staged, Tape, inverses};
use recurve_kernels::profile::span;
use recurve_kernels::{
    Element, Errors, Isa, Matrix, RowsMut, Sequences, Start, Steps, Strip, StripMut, UnitRows,
    each, product,
};

/// Columns of sums that one thread forms at a time.
const COLUMNS: usize = 64;

impl<E: Element> Staged<E> {
    /// Reverses the last forward pass, which was for training, over the same batch. In `errors`, the
    /// gradients beside those of `h` are those of all that is carried. Overwrites the gradients of the
    /// layer's weights among those of the model.
    ///
    /// # Panics
    /// Where the last pass was not for training.
    pub(crate) fn backward(
        &mut self,
        batch: &Sequences<'_, E>,
        mut errors: Errors<'_, E>,
        gradients: &mut [E],
    ) {
        assert!(self.kept, "backward follows a forward pass for training");
        self.kept = false;
        let steps = batch.steps;
        self.start(steps, &errors);
        {
            let _span = span("steps");
            for t in (0..steps.count()).rev() {
                self.outputs_back(steps, t, &errors);
                self.columns_back(steps, t);
                self.operand_back(batch, t);
            }
        }
        self.finish(steps, &mut errors);
        if steps.rows() == 0 {
            return self.weights.clear(gradients);
        }
        if let Some(dx) = &mut errors.dx {
            let _span = span("dx");
            let d = of_input(&self.plan, &self.tape, steps.rows());
            product(self.engine, d, &self.weights.w_back, Start::Zero, dx);
        }
        let _span = span("weights");
        self.weights_back(batch, gradients);
    }

    /// Starts from the gradients of what was left.
    fn start(&mut self, steps: &Steps, errors: &Errors<'_, E>) {
        let (plan, room, count) = (&self.plan, &mut self.room, steps.batch());
        let fed = plan.fed_back.len() * plan.hidden;
        room.d_h.resize(count * plan.out_row);
        room.d_c.resize(if plan.has_c { count * plan.unit } else { 0 });
        room.d_gates.resize(count * fed);
        let [d_h, carried] = errors.d_last;
        for b in 0..count {
            set(
                &mut room.d_h[b * plan.out_row..][..plan.out_row],
                d_h.get(b * plan.out..),
                plan.out,
            );
            let own = carried.get(b * plan.carried()..);
            if plan.has_c {
                set(&mut room.d_c[b * plan.unit..][..plan.unit], own, plan.hidden);
            }
            if fed > 0 {
                let gates = own.and_then(|own| own.get(plan.hidden..));
                set(&mut room.d_gates[b * fed..][..fed], gates, fed);
            }
        }
        let square = count * plan.unit;
        for buffer in [&mut room.d_inner, &mut room.d_direct, &mut room.d_kept] {
            buffer.resize(square);
            buffer.fill(E::default());
        }
        room.extra.resize(square * plan.fed_back.len());
        room.d_operand.resize(count * plan.operand_row());
        room.d_out.resize(if plan.projection { steps.rows() * plan.out_row } else { 0 });
        let groups = count.div_ceil(GROUP);
        room.sums.resize(groups * plan.sums());
        room.sums.fill(E::default());
    }

    /// From the gradients of the states after step `t` to that of the output of the cell, in `d_inner`;
    /// `d_h` keeps what reaches `h'` past the cell.
    fn outputs_back(&mut self, steps: &Steps, t: usize, errors: &Errors<'_, E>) {
        let (plan, tape, room) = (&self.plan, &self.tape, &mut self.room);
        let (first, alive) = (steps.first_row(t), steps.active(t));
        let mask = tape.zones[0].get(first * plan.out_row..).unwrap_or(&[]);
        let zone = Zone::new(plan.zoneout[0], true, mask, plan.out_row);
        let limit = E::from_f64(plan.projection_clip);
        let clipped = if tape.projected.is_empty() { None } else { Some(&tape.projected) };
        for b in 0..alive {
            let d_h = &mut room.d_h[b * plan.out_row..][..plan.out];
            let to = if plan.projection {
                &mut room.d_out[(first + b) * plan.out_row..][..plan.out_row]
            } else {
                &mut room.d_inner[b * plan.unit..][..plan.unit]
            };
            for ((to, d_h), dy) in to.iter_mut().zip(&*d_h).zip(errors.dy.row(first + b)) {
                *to = *d_h + *dy;
            }
            to[plan.out..].fill(E::default());
            zone.part(b, &mut to[..plan.out], d_h);
            if plan.projection_clip.is_finite() {
                let y = match clipped {
                    Some(projected) => &projected[(first + b) * plan.out_row..][..plan.out],
                    None => tape.y.rows().row(first + b),
                };
                for (d, y) in to.iter_mut().zip(y) {
                    if *y >= limit || *y <= -limit {
                        *d = E::default();
                    }
                }
            }
        }
        if plan.projection {
            let d = &room.d_out[first * plan.out_row..];
            let d = Matrix::new(d, alive, plan.out, plan.out_row);
            let mut to = RowsMut::new(&mut room.d_inner, plan.hidden, plan.unit);
            product(self.engine, d, &self.weights.projection_back, Start::Zero, &mut to);
        }
    }

    /// From the gradient of the output of the cell at step `t` to those of the sums, and of `c'`.
    fn columns_back(&mut self, steps: &Steps, t: usize) {
        let (plan, tape, room) = (&self.plan, &mut self.tape, &mut self.room);
        let Tape { columns, of_input, of_recurrent, inverse, h_in, c_in, c, c_norm, zones, .. } =
            tape;
        let Room { d_c, d_gates, d_inner, d_direct, d_kept, d_h, extra, sums, zeros, .. } = room;
        let (first, alive) = (steps.first_row(t), steps.active(t));
        let fed = plan.fed_back.len();
        let mut strips = Group {
            columns: strip_mut(columns, first, alive, plan.row()),
            of_input: strip_mut(of_input, first, alive, plan.input_row()),
            of_recurrent: strip_mut(of_recurrent, first, alive, plan.recurrent_row()),
            d_c: strip_mut(d_c, 0, alive, plan.unit),
            d_h: strip_mut(d_h, 0, alive, plan.out_row),
            d_inner: strip_mut(d_inner, 0, alive, plan.unit),
            d_direct: strip_mut(d_direct, 0, alive, plan.unit),
            d_kept: strip_mut(d_kept, 0, alive, plan.unit),
            extra: strip_mut(extra, 0, alive, fed * plan.unit),
            d_gates: strip_mut(d_gates, 0, alive, fed * plan.hidden),
        };
        let mask = zones[1].get(first * plan.unit..).unwrap_or(&[]);
        let stage = Stage {
            plan,
            functions: &self.functions,
            weights: &self.weights,
            isa: self.engine.isa(),
            h_in: strip(h_in, first, plan.out_row),
            c_in: strip(c_in, first, plan.unit),
            c: strip(c, first, plan.unit),
            c_norm: strip(c_norm, first, plan.unit),
            inverse: strip(inverse, first, inverses(plan)),
            zone: Zone::new(plan.zoneout[1], true, mask, plan.unit),
            zeros,
        };
        let mut sums = StripMut { data: sums, stride: plan.sums() };
        let groups = (0..alive).step_by(GROUP).map(|begin| {
            let rows = GROUP.min(alive - begin);
            (begin, rows, strips.split(rows), sums.split(1).data)
        });
        each(threads(self.engine, alive * plan.row()), groups, |(begin, rows, group, sums)| {
            stage.run(begin, rows, group, sums);
        });
    }

    /// From the gradients of the sums of step `t` to those of the states before it.
    fn operand_back(&mut self, batch: &Sequences<'_, E>, t: usize) {
        let (plan, tape, room) = (&self.plan, &self.tape, &mut self.room);
        let (first, alive) = (batch.steps.first_row(t), batch.steps.active(t));
        let width = plan.recurrent_row();
        let d = if plan.norm {
            Matrix::new(&tape.of_recurrent[first * width..], alive, width, width)
        } else {
            let place = first * plan.row() + plan.recurrent_columns.start * plan.unit;
            Matrix::new(&tape.columns[place..], alive, width, plan.row())
        };
        let mut to = RowsMut::new(&mut room.d_operand, plan.operand, plan.operand_row());
        product(self.engine, d, &self.weights.r_back, Start::Zero, &mut to);
        let fed = plan.fed_back.len() * plan.hidden;
        for b in 0..alive {
            let row = first + b;
            let d = &room.d_operand[b * plan.operand_row()..][..plan.operand];
            let (d, d_gates) = d.split_at(plan.out);
            let d_h = &mut room.d_h[b * plan.out_row..][..plan.out];
            let gates = &mut room.d_gates[b * fed..][..fed];
            gates.copy_from_slice(d_gates);
            if batch.resets.get(row) == Some(&true) {
                d_h.fill(E::default());
                gates.fill(E::default());
                if plan.has_c {
                    room.d_c[b * plan.unit..][..plan.unit].fill(E::default());
                }
            } else if tape.masks.is_empty() {
                for (to, d) in d_h.iter_mut().zip(d) {
                    *to = *to + *d;
                }
            } else {
                let mask = &tape.masks[tape.mask_of[row] * plan.out_row..];
                for ((to, d), mask) in d_h.iter_mut().zip(d).zip(mask) {
                    *to = *to + *d * *mask;
                }
            }
        }
    }

    /// Writes the gradients of the initial states.
    fn finish(&self, steps: &Steps, errors: &mut Errors<'_, E>) {
        let (plan, room) = (&self.plan, &self.room);
        let [d_h, carried] = &mut errors.d_initial;
        let fed = plan.fed_back.len() * plan.hidden;
        for (b, to) in d_h.chunks_exact_mut(plan.out).take(steps.batch()).enumerate() {
            to.copy_from_slice(&room.d_h[b * plan.out_row..][..plan.out]);
        }
        for (b, to) in carried.chunks_exact_mut(plan.carried().max(1)).enumerate() {
            to[..plan.hidden].copy_from_slice(&room.d_c[b * plan.unit..][..plan.hidden]);
            to[plan.hidden..].copy_from_slice(&room.d_gates[b * fed..][..fed]);
        }
    }

    fn weights_back(&mut self, batch: &Sequences<'_, E>, gradients: &mut [E]) {
        let (engine, plan, tape, room) = (self.engine, &self.plan, &self.tape, &mut self.room);
        let rows = batch.steps.rows();
        // d_w = d_sumsᵀ x, and d_r alike.
        room.packed.pack(engine, Matrix::new(batch.x.data(), rows, plan.input, batch.x.stride()));
        room.product.resize(plan.input_row() * plan.input);
        let d = of_input(plan, tape, rows).transposed();
        let mut to = RowsMut::new(&mut room.product, plan.input, plan.input);
        product(engine, d, &room.packed, Start::Zero, &mut to);
        self.weights.write_input(plan, &room.product, gradients);

        let operand = if tape.operand.is_empty() {
            Matrix::new(&tape.h_in, rows, plan.operand, plan.out_row)
        } else {
            Matrix::new(&tape.operand, rows, plan.operand, plan.operand_row())
        };
        room.packed.pack(engine, operand);
        room.product.resize(plan.recurrent_row() * plan.operand);
        let width = plan.recurrent_row();
        let d = if plan.norm {
            Matrix::new(&tape.of_recurrent, rows, width, width)
        } else {
            let place = plan.recurrent_columns.start * plan.unit;
            Matrix::new(&tape.columns[place..], rows, width, plan.row())
        };
        let mut to = RowsMut::new(&mut room.product, plan.operand, plan.operand);
        product(engine, d.transposed(), &room.packed, Start::Zero, &mut to);
        self.weights.write_recurrent(plan, &room.product, gradients);

        if plan.projection {
            room.packed.pack(engine, Matrix::new(&tape.inner, rows, plan.hidden, plan.unit));
            let d = Matrix::new(&room.d_out, rows, plan.out, plan.out_row).transposed();
            let to = self.weights.projection_mut(gradients);
            let mut to = RowsMut::new(to, plan.hidden, plan.hidden);
            product(engine, d, &room.packed, Start::Zero, &mut to);
        }
        let row = plan.row();
        room.product.resize(row);
        let columns = &tape.columns;
        let pieces = room.product.chunks_mut(COLUMNS).enumerate();
        each(engine.threads_over(rows * row), pieces, |(at, sums)| {
            sums.fill(E::default());
            for columns in columns[..rows * row].chunks_exact(row) {
                for (sum, d) in sums.iter_mut().zip(&columns[at * COLUMNS..]) {
                    *sum = *sum + *d;
                }
            }
        });
        self.weights.write_biases(plan, &room.product, gradients);
        if plan.sums() > 0 {
            let (all, groups) = room.sums.split_at_mut(plan.sums());
            for group in groups.chunks_exact(plan.sums()) {
                for (sum, d) in all.iter_mut().zip(group) {
                    *sum = *sum + *d;
                }
            }
            self.weights.write_sums(plan, all, gradients);
        }
    }
}

/// The gradients of the sums of the input product.
fn of_input<'a, E: Element>(plan: &Plan, tape: &'a Tape<E>, rows: usize) -> Matrix<'a, E> {
    let width = plan.input_row();
    if plan.norm {
        Matrix::new(&tape.of_input, rows, width, width)
    } else {
        let place = plan.input_columns.start * plan.unit;
        Matrix::new(&tape.columns[place..], rows, width, plan.row())
    }
}

impl<E: Element> Zone<'_, E> {
    /// The reverse of [`Zone::mix`]: leaves in `d` what goes on, and in `kept` what reaches the value before
    /// the step.
    fn part(self, at: usize, d: &mut [E], kept: &mut [E]) {
        match self {
            Self::None => kept.fill(E::default()),
            Self::Mean(share) => {
                for (d, kept) in d.iter_mut().zip(kept) {
                    *kept = *d * share;
                    *d = *d - *kept;
                }
            }
            Self::Mask(mask) => {
                let mask = &mask.data[at * mask.stride..];
                for ((d, kept), flag) in d.iter_mut().zip(kept).zip(mask) {
                    let stays = *flag == E::default();
                    (*kept, *d) = if stays { (*d, E::default()) } else { (E::default(), *d) };
                }
            }
        }
    }
}

/// What a step changes of some sequences.
struct Group<'a, E> {
    columns: StripMut<'a, E>,
    of_input: StripMut<'a, E>,
    of_recurrent: StripMut<'a, E>,
    d_c: StripMut<'a, E>,
    d_h: StripMut<'a, E>,
    d_inner: StripMut<'a, E>,
    d_direct: StripMut<'a, E>,
    d_kept: StripMut<'a, E>,
    extra: StripMut<'a, E>,
    d_gates: StripMut<'a, E>,
}

impl<'a, E> Group<'a, E> {
    fn split(&mut self, rows: usize) -> Group<'a, E> {
        Group {
            columns: self.columns.split(rows),
            of_input: self.of_input.split(rows),
            of_recurrent: self.of_recurrent.split(rows),
            d_c: self.d_c.split(rows),
            d_h: self.d_h.split(rows),
            d_inner: self.d_inner.split(rows),
            d_direct: self.d_direct.split(rows),
            d_kept: self.d_kept.split(rows),
            extra: self.extra.split(rows),
            d_gates: self.d_gates.split(rows),
        }
    }
}

/// What is the same for all groups of a step.
struct Stage<'a, E: Element> {
    plan: &'a Plan,
    functions: &'a Functions<E>,
    weights: &'a StageWeights<E>,
    isa: Isa,
    h_in: Strip<'a, E>,
    c_in: Strip<'a, E>,
    c: Strip<'a, E>,
    c_norm: Strip<'a, E>,
    inverse: Strip<'a, E>,
    zone: Zone<'a, E>,
    zeros: &'a [E],
}

impl<E: Element> Stage<'_, E> {
    fn run(&self, begin: usize, rows: usize, mut group: Group<'_, E>, sums: &mut [E]) {
        let plan = self.plan;
        let gains = if plan.norm { plan.sums() - self.peepholes() } else { 0 };
        let (of_gains, of_peepholes) = sums.split_at_mut(gains);
        if plan.has_c {
            for row in 0..rows {
                let own = row * plan.unit..row * plan.unit + plan.hidden;
                self.zone.part(
                    begin + row,
                    &mut group.d_c.data[own.clone()],
                    &mut group.d_kept.data[own],
                );
            }
        }
        group.d_direct.data.fill(E::default());
        if plan.output_column.is_some() {
            let of_c = of_gains.len().saturating_sub(2 * plan.unit);
            self.output_back(begin, rows, &mut group, (&mut of_gains[of_c..], of_peepholes));
        }
        self.gates_back(rows, &mut group);
        self.main_back(begin, rows, &mut group, of_peepholes);
        if plan.has_c {
            for (to, kept) in group.d_c.data.iter_mut().zip(&*group.d_kept.data) {
                *to = *to + *kept;
            }
        }
        if plan.norm {
            self.normalise_back(begin, rows, &mut group, of_gains);
        }
    }

    fn peepholes(&self) -> usize {
        (self.plan.peepholes[0] + self.plan.peepholes[1]) * self.plan.unit
    }

    /// Through an output that is apart: adds to the gradient of `c`.
    fn output_back(
        &self,
        begin: usize,
        rows: usize,
        group: &mut Group<'_, E>,
        (of_c, of_peepholes): (&mut [E], &mut [E]),
    ) {
        let plan = self.plan;
        let (Some(output), Some(column)) = (&self.functions.output, plan.output_column) else {
            return;
        };
        let split = plan.peepholes[0] * plan.unit;
        let c = from(self.c, begin);
        let stride = group.columns.stride;
        let mut columns = StripMut { data: &mut group.columns.data[column * plan.unit..], stride };
        let own = UnitRows {
            rows,
            hidden: plan.hidden,
            unit: plan.unit,
            peepholes: &self.weights.peepholes[split..],
            before: [c, Strip::none()],
        };
        let d_states = [group.d_direct.borrow(), StripMut::none()];
        output.step_back(
            own,
            columns.borrow(),
            [c, Strip::none()],
            group.d_inner.strip(),
            d_states,
        );
        if plan.peepholes[1] > 0 {
            output.add_peepholes(
                own,
                columns.borrow(),
                [c, Strip::none()],
                &mut of_peepholes[split..],
            );
        }
        for row in 0..rows {
            let d = &columns.data[row * stride + plan.unit..][..plan.unit];
            let d_c = &mut group.d_c.data[row * plan.unit..][..plan.unit];
            let direct = &group.d_direct.data[row * plan.unit..][..plan.unit];
            if plan.norm {
                let normal = &from(self.c_norm, begin + row).data[..plan.unit];
                let inverse = &from(self.inverse, begin + row).data[inverses(plan) - 1..][..1];
                // The normalised row has done its service as soon as its gradient is known.
                let room = &mut group.d_inner.data[row * plan.unit..][..plan.unit];
                room.copy_from_slice(normal);
                let (d_gain, d_shift) = of_c.split_at_mut(plan.unit);
                for (to, d) in d_shift.iter_mut().zip(d) {
                    *to = *to + *d;
                }
                #[allow(clippy::single_range_in_vec_init, reason = "one part, of one column")]
                let parts = &[0..1];
                let gain = &self.weights.norm_c[0];
                let grid = grid(plan);
                self.isa.run(NormaliseBackward {
                    grid,
                    parts,
                    gain,
                    d,
                    row: &mut *room,
                    inverse,
                    d_gain,
                });
                for ((to, d), direct) in d_c.iter_mut().zip(&*room).zip(direct) {
                    *to = *to + *d + *direct;
                }
            } else {
                for ((to, d), direct) in d_c.iter_mut().zip(d).zip(direct) {
                    *to = *to + *d + *direct;
                }
            }
        }
    }

    /// Of gates that are fed back: their gradients before their function, in `extra`, and by way of the
    /// peephole of the output gate to `c`.
    fn gates_back(&self, rows: usize, group: &mut Group<'_, E>) {
        let plan = self.plan;
        let one = E::from_f64(1.0);
        for (at, column) in plan.fed_back.iter().enumerate() {
            for row in 0..rows {
                let place = row * group.columns.stride + column * plan.unit;
                let gate = &group.columns.data[place..][..plan.hidden];
                let d = &group.d_gates.data[row * group.d_gates.stride + at * plan.hidden..];
                let to = &mut group.extra.data[row * group.extra.stride + at * plan.unit..];
                for ((to, gate), d) in to.iter_mut().zip(gate).zip(d) {
                    *to = *d * *gate * (one - *gate);
                }
                if at == 2 && plan.peepholes[0] > 0 {
                    let to = &mut group.d_c.data[row * plan.unit..][..plan.hidden];
                    let extra = &group.extra.data[row * group.extra.stride + 2 * plan.unit..];
                    let gain = &self.weights.peepholes[2 * plan.unit..];
                    self.isa.run(AddScaled { gain, row: extra, to });
                }
            }
        }
    }

    /// Through the cell: the gradients of its columns, of `c'` and, where it sees `h'` beside the products,
    /// of that.
    fn main_back(
        &self,
        begin: usize,
        rows: usize,
        group: &mut Group<'_, E>,
        of_peepholes: &mut [E],
    ) {
        let plan = self.plan;
        let (h_in, c_in, c) = (from(self.h_in, begin), from(self.c_in, begin), from(self.c, begin));
        let zeros = Strip { data: self.zeros, stride: 0 };
        let main = &self.functions.main;
        let (before, after) = match plan.output_column {
            Some(_) => ([c_in, Strip::none()], [c, Strip::none()]),
            None if plan.has_c => ([zeros, c_in], [zeros, c]),
            // What such a cell kept tells all of its output.
            None => ([h_in, Strip::none()], [zeros, Strip::none()]),
        };
        let own = UnitRows {
            rows,
            hidden: plan.hidden,
            unit: plan.unit,
            peepholes: &self.weights.peepholes[..plan.peepholes[0] * plan.unit],
            before,
        };
        let dy = if plan.output_column.is_some() { zeros } else { group.d_inner.strip() };
        let d_states = match plan.output_column {
            Some(_) => [group.d_c.borrow(), StripMut::none()],
            None => [group.d_direct.borrow(), group.d_c.borrow()],
        };
        main.step_back(own, group.columns.borrow(), after, dy, d_states);
        self.add_gates(rows, group);
        if plan.peepholes[0] > 0 {
            main.add_peepholes(own, group.columns.borrow(), after, of_peepholes);
        }
        if !plan.has_c {
            for row in 0..rows {
                let direct = &group.d_direct.data[row * plan.unit..][..plan.hidden];
                let d_h = &mut group.d_h.data[row * plan.out_row..];
                for (to, d) in d_h.iter_mut().zip(direct) {
                    *to = *to + *d;
                }
            }
        }
    }

    /// Adds the gradients of gates that were fed back to those of the columns and, by way of the peepholes of
    /// the first two, of `c'`.
    fn add_gates(&self, rows: usize, group: &mut Group<'_, E>) {
        let plan = self.plan;
        for (at, column) in plan.fed_back.iter().enumerate() {
            for row in 0..rows {
                let extra =
                    &group.extra.data[row * group.extra.stride + at * plan.unit..][..plan.hidden];
                let to = &mut group.columns.data[row * group.columns.stride + column * plan.unit..];
                for (to, d) in to.iter_mut().zip(extra) {
                    *to = *to + *d;
                }
                if at < 2 && plan.peepholes[0] > 0 {
                    let to = &mut group.d_c.data[row * plan.unit..][..plan.hidden];
                    let gain = &self.weights.peepholes[at * plan.unit..];
                    self.isa.run(AddScaled { gain, row: extra, to });
                }
            }
        }
    }

    /// From the gradients of the columns to those of the sums of both products.
    fn normalise_back(
        &self,
        begin: usize,
        rows: usize,
        group: &mut Group<'_, E>,
        of_gains: &mut [E],
    ) {
        let (plan, grid) = (self.plan, grid(self.plan));
        let (of_input, of_recurrent) = of_gains.split_at_mut(plan.input_row());
        let split = plan.input_parts.len();
        for row in 0..rows {
            let columns = &group.columns.data[row * group.columns.stride..][..plan.row()];
            let inverse = from(self.inverse, begin + row).data;
            self.isa.run(NormaliseBackward {
                grid,
                parts: &plan.input_parts,
                gain: &self.weights.gain_input,
                d: &columns[plan.input_columns.start * plan.unit..][..plan.input_row()],
                row: &mut group.of_input.data[row * plan.input_row()..][..plan.input_row()],
                inverse: &inverse[..split],
                d_gain: &mut *of_input,
            });
            self.isa.run(NormaliseBackward {
                grid,
                parts: &plan.recurrent_parts,
                gain: &self.weights.gain_recurrent,
                d: &columns[plan.recurrent_columns.start * plan.unit..][..plan.recurrent_row()],
                row: &mut group.of_recurrent.data[row * plan.recurrent_row()..]
                    [..plan.recurrent_row()],
                inverse: &inverse[split..split + plan.recurrent_parts.len()],
                d_gain: &mut *of_recurrent,
            });
        }
    }
}
