//! Some sequences at one step forward: from the states before it to those after.

use super::forward::{grid, threads};
use super::norm::{AddNormal, MOMENTS, Moments, Normal, WHOLE};
use super::plan::{Functions, Plan};
use super::shares::{cut, strips};
use super::weights::StageWeights;
use super::{GROUP, moments};
use recurve_kernels::{
    Element, Engine, Isa, Matrix, RowsMut, Start, Strip, StripMut, UnitRows, each, product,
};

/// How a value after a step is mixed with that before it.
#[derive(Clone, Copy)]
pub(super) enum Zone<'a, E> {
    None,
    /// So much of the value before: what zoneout is on average.
    Mean(E),
    /// Where a row holds 0, the value before the step stays.
    Mask(Strip<'a, E>),
}

impl<'a, E: Element> Zone<'a, E> {
    /// What the rows of a step are mixed with.
    pub(super) fn new(rate: f64, train: bool, mask: &'a [E], stride: usize) -> Self {
        match (rate > 0.0, train) {
            (false, _) => Self::None,
            (true, false) => Self::Mean(E::from_f64(rate)),
            (true, true) => Self::Mask(Strip { data: mask, stride }),
        }
    }

    /// `after` mixed with `before`, of row `at`.
    #[inline]
    pub(super) fn mix(self, at: usize, before: &[E], after: &mut [E]) {
        match self {
            Self::None => {}
            Self::Mean(share) => {
                for (after, before) in after.iter_mut().zip(before) {
                    *after = *after + share * (*before - *after);
                }
            }
            Self::Mask(mask) => {
                let mask = &mask.data[at * mask.stride..];
                for ((after, before), flag) in after.iter_mut().zip(before).zip(mask) {
                    *after = if *flag > E::default() { *after } else { *before };
                }
            }
        }
    }
}

/// Factors of `h'` in the recurrent product, of the rows of a step.
#[derive(Clone, Copy)]
pub(super) struct Masks<'a, E> {
    rows: Strip<'a, E>,
    /// Which of them each row has; empty for none.
    of: &'a [usize],
}

impl<'a, E> Masks<'a, E> {
    /// From row `first` of the tape on.
    pub(super) fn new(plan: &Plan, masks: &'a [E], of: &'a [usize], first: usize) -> Self {
        let of = if masks.is_empty() { &[] } else { &of[first..] };
        Self { rows: Strip { data: masks, stride: plan.out_row }, of }
    }

    /// That of row `at` of the step.
    pub(super) fn of(self, at: usize) -> Option<&'a [E]> {
        Some(&self.rows.data[self.of.get(at)? * self.rows.stride..])
    }
}

strips! {
    /// What a step writes of some sequences.
    Group {
        h_in,
        c_in,
        operand,
        columns,
        of_input,
        of_recurrent,
        moments,
        c,
        h,
        y,
        projected,
        next_c,
        next_h,
        next_gates,
    }
}

/// What is the same for all sequences of a step.
pub(super) struct Stage<'a, E: Element> {
    pub(super) plan: &'a Plan,
    pub(super) functions: &'a Functions<E>,
    pub(super) weights: &'a StageWeights<E>,
    pub(super) isa: Isa,
    pub(super) zones: [Zone<'a, E>; 2],
    /// Whether a sequence starts anew; empty if none does.
    pub(super) resets: &'a [bool],
    pub(super) masks: Masks<'a, E>,
    pub(super) zeros: &'a [E],
}

/// A strip from row `first` on.
pub(super) fn from<E>(strip: Strip<'_, E>, first: usize) -> Strip<'_, E> {
    Strip { data: strip.data.get(first * strip.stride..).unwrap_or(&[]), stride: strip.stride }
}

impl<E: Element> Stage<'_, E> {
    /// The whole step of `rows` sequences from `begin` on; `engine` forms their products.
    pub(super) fn run(&self, engine: Engine, begin: usize, rows: usize, mut own: Group<'_, E>) {
        self.enter(begin, rows, own.borrow());
        self.product(engine, rows, own.borrow());
        let mut rest = own.borrow();
        let groups = cut(rows, GROUP).map(|(at, rows)| (begin + at, rows, rest.split(rows)));
        each(threads(engine, rows * self.plan.row()), groups, |(begin, rows, group)| {
            self.columns(begin, rows, group);
        });
        if self.plan.projection {
            self.project(engine, begin, rows, own);
        }
    }

    /// The states before the step, and the operand of the recurrent product.
    fn enter(&self, begin: usize, rows: usize, mut own: Group<'_, E>) {
        let plan = self.plan;
        for at in begin..begin + rows {
            let reset = self.resets.get(at) == Some(&true);
            let copy = |to: &mut [E], from: &[E]| {
                if reset {
                    to.fill(E::default());
                } else {
                    to.copy_from_slice(from);
                }
            };
            let (h, before) = (own.h_in.split(1).data, own.next_h.split(1).data);
            if !h.is_empty() {
                copy(h, before);
            }
            copy(own.c_in.split(1).data, own.next_c.split(1).data);
            let gates = own.next_gates.split(1).data;
            let operand = own.operand.split(1).data;
            if !operand.is_empty() {
                let (of_h, rest) = operand.split_at_mut(plan.out);
                copy(of_h, &before[..plan.out]);
                if let Some(mask) = self.masks.of(at) {
                    for (to, mask) in of_h.iter_mut().zip(mask) {
                        *to = *to * *mask;
                    }
                }
                copy(&mut rest[..gates.len()], gates);
            }
        }
    }

    fn product(&self, engine: Engine, rows: usize, own: Group<'_, E>) {
        let plan = self.plan;
        let operand = if own.operand.data.is_empty() {
            Matrix::new(own.h_in.data, rows, plan.operand, plan.out_row)
        } else {
            Matrix::new(own.operand.data, rows, plan.operand, plan.operand_row())
        };
        let (width, r) = (plan.recurrent_row(), &self.weights.r);
        if plan.norm {
            let mut to = RowsMut::new(own.of_recurrent.data, width, width);
            product(engine, operand, r, Start::Zero, &mut to);
        } else {
            let place = plan.recurrent_columns.start * plan.unit;
            let mut to = RowsMut::new(&mut own.columns.data[place..], width, plan.row());
            product(engine, operand, r, Start::Sums, &mut to);
        }
    }

    /// From the sums to the states, of a group from `begin` on.
    fn columns(&self, begin: usize, rows: usize, mut group: Group<'_, E>) {
        let plan = self.plan;
        if plan.norm {
            self.normalise(rows, &mut group);
        }
        let (h_in, c_in) = (group.h_in.strip(), group.c_in.strip());
        let peepholes = plan.peepholes[0] * plan.unit;
        let (of_main, of_output) = self.weights.peepholes.split_at(peepholes);
        let (h, c) = (&mut group.h, &mut group.c);
        // An LSTM does not see `h'` beside its products, and there may be none of this width.
        let no_h = Strip { data: self.zeros, stride: 0 };
        let (before, after) = match plan.output_column {
            Some(_) => ([c_in, Strip::none()], [c.borrow(), StripMut::none()]),
            None if plan.has_c => ([no_h, c_in], [h.borrow(), c.borrow()]),
            None => ([h_in, Strip::none()], [h.borrow(), StripMut::none()]),
        };
        let own = UnitRows { peepholes: of_main, before, ..self.unit_rows(rows) };
        self.functions.main.step(own, group.columns.borrow(), after);
        if let (Some(output), Some(column)) = (&self.functions.output, plan.output_column) {
            self.arguments(rows, column + 1, &mut group);
            let stride = group.columns.stride;
            let columns = StripMut { data: &mut group.columns.data[column * plan.unit..], stride };
            let before = [group.c.strip(), Strip::none()];
            let own = UnitRows { peepholes: of_output, before, ..self.unit_rows(rows) };
            output.step(own, columns, [group.h.borrow(), StripMut::none()]);
        }
        self.carry(begin, rows, group);
    }

    fn unit_rows(&self, rows: usize) -> UnitRows<'_, E> {
        let before = [Strip::none(), Strip::none()];
        let (hidden, unit) = (self.plan.hidden, self.plan.unit);
        UnitRows { rows, hidden, unit, peepholes: &[], before }
    }

    /// The columns: the sums of both products, normalised, and the bias.
    fn normalise(&self, rows: usize, group: &mut Group<'_, E>) {
        let (plan, weights, grid) = (self.plan, self.weights, grid(self.plan));
        let split = plan.input_parts.len() * MOMENTS;
        for row in 0..rows {
            let of_input = &group.of_input.data[row * plan.input_row()..][..plan.input_row()];
            let width = plan.recurrent_row();
            let of_recurrent = &group.of_recurrent.data[row * width..][..width];
            let moments = &mut group.moments.data[row * group.moments.stride..];
            let (first, second) = moments.split_at_mut(split);
            let parts = &plan.recurrent_parts[..];
            let to = &mut second[..parts.len() * MOMENTS];
            self.isa.run(Moments { grid, parts, row: of_recurrent, to });
            let rows = [
                Normal {
                    parts: &plan.input_parts,
                    row: of_input,
                    moments: first,
                    gain: &weights.gain_input,
                    first: plan.input_columns.start,
                },
                Normal {
                    parts,
                    row: of_recurrent,
                    moments: second,
                    gain: &weights.gain_recurrent,
                    first: plan.recurrent_columns.start,
                },
            ];
            let to = &mut group.columns.data[row * plan.row()..][..plan.row()];
            self.isa.run(AddNormal { grid, bias: &weights.bias, rows, to });
        }
    }

    /// The arguments of the output's tanh: `c`, or `c` normalised.
    fn arguments(&self, rows: usize, column: usize, group: &mut Group<'_, E>) {
        let (plan, grid) = (self.plan, grid(self.plan));
        for row in 0..rows {
            let c = &group.c.data[row * plan.unit..][..plan.unit];
            let to = &mut group.columns.data[row * plan.row() + column * plan.unit..][..plan.unit];
            if !plan.norm {
                to.copy_from_slice(c);
                continue;
            }
            let last = moments(plan) - MOMENTS;
            let moments = &mut group.moments.data[row * group.moments.stride + last..][..MOMENTS];
            self.isa.run(Moments { grid, parts: &WHOLE, row: c, to: moments });
            let [gain, bias] = self.weights.norm_c.each_ref().map(|of| &of[..]);
            let rows = [Normal { parts: &WHOLE, row: c, moments, gain, first: 0 }];
            self.isa.run(AddNormal { grid, bias, rows, to });
        }
    }

    /// Zoneout, and the states for the next step.
    fn carry(&self, begin: usize, rows: usize, mut group: Group<'_, E>) {
        let plan = self.plan;
        let (h_in, c_in) = (group.h_in.strip(), group.c_in.strip());
        for row in 0..rows {
            if plan.has_c {
                let to = &mut group.next_c.data[row * plan.unit..][..plan.unit];
                to.copy_from_slice(&group.c.data[row * plan.unit..][..plan.unit]);
                let before = &c_in.data[row * plan.unit..][..plan.hidden];
                self.zones[1].mix(begin + row, before, &mut to[..plan.hidden]);
            }
            if !plan.projection {
                let y = &mut group.h.data[row * group.h.stride..][..plan.hidden];
                self.zones[0].mix(begin + row, &h_in.data[row * h_in.stride..], y);
                group.next_h.data[row * plan.out_row..][..plan.hidden].copy_from_slice(y);
            }
            let gates = group.next_gates.split(1).data;
            for (to, column) in gates.chunks_exact_mut(plan.hidden).zip(&plan.fed_back) {
                let from = row * group.columns.stride + column * plan.unit;
                to.copy_from_slice(&group.columns.data[from..][..plan.hidden]);
            }
        }
    }

    /// `h = w_p (o∘tanh(c))`, clipped and mixed.
    fn project(&self, engine: Engine, begin: usize, rows: usize, mut own: Group<'_, E>) {
        let plan = self.plan;
        let inner = Matrix::new(own.h.data, rows, plan.hidden, plan.unit);
        let mut to = RowsMut::new(&mut *own.y.data, plan.out, own.y.stride);
        product(engine, inner, &self.weights.projection, Start::Zero, &mut to);
        let limit = E::from_f64(plan.projection_clip);
        for at in begin..begin + rows {
            let y = &mut own.y.split(1).data[..plan.out];
            if plan.projection_clip.is_finite() {
                for y in &mut *y {
                    *y = if *y > limit {
                        limit
                    } else if *y < -limit {
                        -limit
                    } else {
                        *y
                    };
                }
            }
            let projected = own.projected.split(1).data;
            if !projected.is_empty() {
                projected[..plan.out].copy_from_slice(y);
            }
            self.zones[0].mix(at, own.h_in.split(1).data, y);
            own.next_h.split(1).data[..plan.out].copy_from_slice(y);
        }
    }
}
