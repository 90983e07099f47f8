//! The steps backward, then the gradients of the weights.

use super::forward::{set, strip, strip_mut};
use super::plan::Plan;
use super::shares::Shares;
use super::step::{Masks, Zone};
use super::step_back::{Group, Stage};
use super::{GROUP, Staged, Tape, moments};
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
                self.step_back(batch, t, &errors);
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

    /// Step `t`: from the gradients of the states after it to those of the sums and of the states before it.
    fn step_back(&mut self, batch: &Sequences<'_, E>, t: usize, errors: &Errors<'_, E>) {
        let (plan, tape, room) = (&self.plan, &mut self.tape, &mut self.room);
        let (first, alive) = (batch.steps.first_row(t), batch.steps.active(t));
        let fed = plan.fed_back.len();
        let zone = |at: usize, stride: usize| {
            let mask = tape.zones[at].get(first * stride..).unwrap_or(&[]);
            Zone::new(plan.zoneout[at], true, mask, stride)
        };
        // What was clipped is told by what came out, which stands apart where zoneout changed it after.
        let clipped = match &tape.projected {
            apart if !apart.is_empty() => strip(apart, first, plan.out_row),
            _ => strip(tape.y.rows().data(), first, tape.y.rows().stride()),
        };
        let stage = Stage {
            plan,
            functions: &self.functions,
            weights: &self.weights,
            isa: self.engine.isa(),
            dy: strip(errors.dy.data(), first, errors.dy.stride()),
            clipped,
            h_in: strip(&tape.h_in, first, plan.out_row),
            c_in: strip(&tape.c_in, first, plan.unit),
            c: strip(&tape.c, first, plan.unit),
            moments: strip(&tape.moments, first, moments(plan)),
            zones: [zone(0, plan.out_row), zone(1, plan.unit)],
            resets: batch.resets.get(first..).unwrap_or(&[]),
            masks: Masks::new(plan, &tape.masks, &tape.mask_of, first),
            zeros: &room.zeros,
        };
        let mut all = Group {
            columns: strip_mut(&mut tape.columns, first, alive, plan.row()),
            of_input: strip_mut(&mut tape.of_input, first, alive, plan.input_row()),
            of_recurrent: strip_mut(&mut tape.of_recurrent, first, alive, plan.recurrent_row()),
            d_out: strip_mut(&mut room.d_out, first, alive, plan.out_row),
            d_c: strip_mut(&mut room.d_c, 0, alive, plan.unit),
            d_h: strip_mut(&mut room.d_h, 0, alive, plan.out_row),
            d_inner: strip_mut(&mut room.d_inner, 0, alive, plan.unit),
            d_direct: strip_mut(&mut room.d_direct, 0, alive, plan.unit),
            d_kept: strip_mut(&mut room.d_kept, 0, alive, plan.unit),
            extra: strip_mut(&mut room.extra, 0, alive, fed * plan.unit),
            d_gates: strip_mut(&mut room.d_gates, 0, alive, fed * plan.hidden),
            d_operand: strip_mut(&mut room.d_operand, 0, alive, plan.operand_row()),
        };
        let mut sums = StripMut { data: &mut room.sums, stride: plan.sums() };
        let shares = Shares::new(self.engine, plan, alive);
        let split = |rows: usize| (all.split(rows), sums.split(rows.div_ceil(GROUP)));
        each(shares.threads, shares.all(split), |(begin, rows, (own, sums))| {
            stage.run(shares.engine, (begin, rows), own, sums);
        });
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
        let d = of_input(plan, tape, rows).transposed();
        self.weights.write_input((engine, plan), &mut room.product, gradients, |to| {
            let mut to = RowsMut::new(to, plan.input, plan.input);
            product(engine, d, &room.packed, Start::Zero, &mut to);
        });

        let operand = if tape.operand.is_empty() {
            Matrix::new(&tape.h_in, rows, plan.operand, plan.out_row)
        } else {
            Matrix::new(&tape.operand, rows, plan.operand, plan.operand_row())
        };
        room.packed.pack(engine, operand);
        let width = plan.recurrent_row();
        let d = if plan.norm {
            Matrix::new(&tape.of_recurrent, rows, width, width)
        } else {
            let place = plan.recurrent_columns.start * plan.unit;
            Matrix::new(&tape.columns[place..], rows, width, plan.row())
        };
        self.weights.write_recurrent((engine, plan), &mut room.product, gradients, |to| {
            let mut to = RowsMut::new(to, plan.operand, plan.operand);
            product(engine, d.transposed(), &room.packed, Start::Zero, &mut to);
        });

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
        self.weights.write_sums((engine, plan), all, gradients);
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
