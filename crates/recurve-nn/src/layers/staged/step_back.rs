//! The reverse of [`step`](super::step): a group of sequences at one step, from the gradients of its states to
//! those of its sums.

use super::forward::{grid, threads};
use super::norm::{Add, AddScaled, MOMENTS, NormalBackward, WHOLE};
use super::plan::{Functions, Plan};
use super::shares::{cut, strips};
use super::step::{Masks, Zone, from};
use super::weights::StageWeights;
use super::{GROUP, moments};
use recurve_kernels::{
    Element, Engine, Isa, Matrix, RowsMut, Start, Strip, StripMut, UnitRows, each, product,
};

impl<E: Element> Zone<'_, E> {
    /// The reverse of [`Zone::mix`]: leaves in `d` what goes on, and in `kept` what reaches the value before
    /// the step.
    pub(super) fn part(self, at: usize, d: &mut [E], kept: &mut [E]) {
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

strips! {
    /// What a step changes of some sequences.
    Group {
        columns,
        of_input,
        of_recurrent,
        d_out,
        d_c,
        d_h,
        d_inner,
        d_direct,
        d_kept,
        extra,
        d_gates,
        d_operand,
    }
}

/// What is the same for all sequences of a step.
pub(super) struct Stage<'a, E: Element> {
    pub(super) plan: &'a Plan,
    pub(super) functions: &'a Functions<E>,
    pub(super) weights: &'a StageWeights<E>,
    pub(super) isa: Isa,
    /// The gradients of the outputs.
    pub(super) dy: Strip<'a, E>,
    /// Outputs, of which those at a limit were clipped.
    pub(super) clipped: Strip<'a, E>,
    pub(super) h_in: Strip<'a, E>,
    pub(super) c_in: Strip<'a, E>,
    pub(super) c: Strip<'a, E>,
    pub(super) moments: Strip<'a, E>,
    pub(super) zones: [Zone<'a, E>; 2],
    /// Whether a sequence started anew; empty if none did.
    pub(super) resets: &'a [bool],
    pub(super) masks: Masks<'a, E>,
    pub(super) zeros: &'a [E],
}

impl<E: Element> Stage<'_, E> {
    /// The whole step of sequences: from which on, and how many. `sums` is a row for each group of them.
    pub(super) fn run(
        &self,
        engine: Engine,
        (begin, rows): (usize, usize),
        mut own: Group<'_, E>,
        mut sums: StripMut<'_, E>,
    ) {
        self.outputs_back(engine, (begin, rows), own.borrow());
        let mut rest = own.borrow();
        let groups = cut(rows, GROUP)
            .map(|(at, rows)| (begin + at, rows, rest.split(rows), sums.split(1).data));
        each(threads(engine, rows * self.plan.row()), groups, |(begin, rows, group, sums)| {
            self.columns_back(begin, rows, group, sums);
        });
        self.operand_back(engine, (begin, rows), own);
    }

    /// From the gradients of the states after the step to that of the output of the cell, in `d_inner`;
    /// `d_h` keeps what reaches `h'` past the cell.
    fn outputs_back(&self, engine: Engine, (begin, rows): (usize, usize), mut own: Group<'_, E>) {
        let plan = self.plan;
        let limit = E::from_f64(plan.projection_clip);
        let mut to = if plan.projection { own.d_out.borrow() } else { own.d_inner.borrow() };
        for at in begin..begin + rows {
            let d_h = &mut own.d_h.split(1).data[..plan.out];
            let to = to.split(1).data;
            for ((to, d_h), dy) in to.iter_mut().zip(&*d_h).zip(from(self.dy, at).data) {
                *to = *d_h + *dy;
            }
            to[plan.out..].fill(E::default());
            self.zones[0].part(at, &mut to[..plan.out], d_h);
            if plan.projection_clip.is_finite() {
                for (d, y) in to[..plan.out].iter_mut().zip(from(self.clipped, at).data) {
                    if *y >= limit || *y <= -limit {
                        *d = E::default();
                    }
                }
            }
        }
        if plan.projection {
            let d = Matrix::new(own.d_out.data, rows, plan.out, plan.out_row);
            let mut to = RowsMut::new(own.d_inner.data, plan.hidden, plan.unit);
            product(engine, d, &self.weights.projection_back, Start::Zero, &mut to);
        }
    }

    /// From the gradient of the output of the cell to those of the sums, and of `c'`, of a group from
    /// `begin` on.
    fn columns_back(&self, begin: usize, rows: usize, mut group: Group<'_, E>, sums: &mut [E]) {
        let plan = self.plan;
        let (of_columns, sums) = sums.split_at_mut(plan.row());
        let gains = if plan.norm { sums.len() - self.peepholes() } else { 0 };
        let (of_gains, of_peepholes) = sums.split_at_mut(gains);
        if plan.has_c {
            for row in 0..rows {
                let own = row * plan.unit..row * plan.unit + plan.hidden;
                self.zones[1].part(
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
        for columns in group.columns.data.chunks(group.columns.stride) {
            self.isa.run(Add { row: &columns[..plan.row()], to: &mut *of_columns });
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
                let last = moments(plan) - MOMENTS;
                let moments = &from(self.moments, begin + row).data[last..][..MOMENTS];
                // The gradient of the output of the cell has done its service here.
                let room = &mut group.d_inner.data[row * plan.unit..][..plan.unit];
                room.copy_from_slice(&from(c, row).data[..plan.unit]);
                let (d_gain, d_shift) = of_c.split_at_mut(plan.unit);
                for (to, d) in d_shift.iter_mut().zip(d) {
                    *to = *to + *d;
                }
                let (gain, grid) = (&self.weights.norm_c[0][..], grid(plan));
                self.isa.run(NormalBackward {
                    grid,
                    parts: &WHOLE,
                    gain,
                    d,
                    row: &mut *room,
                    moments,
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
        let split = plan.input_parts.len() * MOMENTS;
        for row in 0..rows {
            let columns = &group.columns.data[row * group.columns.stride..][..plan.row()];
            let moments = from(self.moments, begin + row).data;
            self.isa.run(NormalBackward {
                grid,
                parts: &plan.input_parts,
                gain: &self.weights.gain_input,
                d: &columns[plan.input_columns.start * plan.unit..][..plan.input_row()],
                row: &mut group.of_input.data[row * plan.input_row()..][..plan.input_row()],
                moments: &moments[..split],
                d_gain: &mut *of_input,
            });
            self.isa.run(NormalBackward {
                grid,
                parts: &plan.recurrent_parts,
                gain: &self.weights.gain_recurrent,
                d: &columns[plan.recurrent_columns.start * plan.unit..][..plan.recurrent_row()],
                row: &mut group.of_recurrent.data[row * plan.recurrent_row()..]
                    [..plan.recurrent_row()],
                moments: &moments[split..split + plan.recurrent_parts.len() * MOMENTS],
                d_gain: &mut *of_recurrent,
            });
        }
    }

    /// From the gradients of the sums to those of the states before the step.
    fn operand_back(&self, engine: Engine, (begin, rows): (usize, usize), mut own: Group<'_, E>) {
        let plan = self.plan;
        let width = plan.recurrent_row();
        let d = if plan.norm {
            Matrix::new(own.of_recurrent.data, rows, width, width)
        } else {
            let place = plan.recurrent_columns.start * plan.unit;
            Matrix::new(&own.columns.data[place..], rows, width, plan.row())
        };
        let mut to = RowsMut::new(&mut *own.d_operand.data, plan.operand, plan.operand_row());
        product(engine, d, &self.weights.r_back, Start::Zero, &mut to);
        for at in begin..begin + rows {
            let (d, d_gates) = own.d_operand.split(1).data[..plan.operand].split_at(plan.out);
            let d_h = &mut own.d_h.split(1).data[..plan.out];
            let d_c = own.d_c.split(1).data;
            let gates = own.d_gates.split(1).data;
            gates.copy_from_slice(d_gates);
            if self.resets.get(at) == Some(&true) {
                [d_h, d_c, gates].into_iter().for_each(|d| d.fill(E::default()));
                continue;
            }
            match self.masks.of(at) {
                None => {
                    for (to, d) in d_h.iter_mut().zip(d) {
                        *to = *to + *d;
                    }
                }
                Some(mask) => {
                    for ((to, d), mask) in d_h.iter_mut().zip(d).zip(mask) {
                        *to = *to + *d * *mask;
                    }
                }
            }
        }
    }
}
