//! The steps backward, then the gradients of the weights.

use super::forward::{set, strip, strip_mut, threads};
use super::plan::Plan;
use super::step::Zone;
use super::step_back::{Group, Stage};
use super::{GROUP, Room, Staged, Tape, inverses};
use recurve_kernels::profile::span;
use recurve_kernels::{
    Element, Errors, Matrix, RowsMut, Sequences, Start, Steps, StripMut, each, product,
};

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
        let (all, groups) = room.sums.split_at_mut(plan.sums());
        for group in groups.chunks_exact(plan.sums()) {
            for (sum, d) in all.iter_mut().zip(group) {
                *sum = *sum + *d;
            }
        }
        self.weights.write_sums(plan, all, gradients);
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
