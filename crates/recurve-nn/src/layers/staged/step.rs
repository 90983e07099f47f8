//! A group of sequences at one step forward: from the sums of the products to the states.

use super::forward::grid;
use super::inverses;
use super::norm::Normalise;
use super::plan::{Functions, Plan};
use super::weights::StageWeights;
use recurve_kernels::{Element, Isa, Strip, StripMut, UnitRows};

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

/// What a step writes of some sequences.
pub(super) struct Group<'a, E> {
    pub(super) columns: StripMut<'a, E>,
    pub(super) of_recurrent: StripMut<'a, E>,
    pub(super) inverse: StripMut<'a, E>,
    pub(super) c: StripMut<'a, E>,
    pub(super) c_norm: StripMut<'a, E>,
    pub(super) h: StripMut<'a, E>,
    pub(super) next_c: StripMut<'a, E>,
    pub(super) next_h: StripMut<'a, E>,
    pub(super) next_gates: StripMut<'a, E>,
}

impl<'a, E> Group<'a, E> {
    pub(super) fn split(&mut self, rows: usize) -> Group<'a, E> {
        Group {
            columns: self.columns.split(rows),
            of_recurrent: self.of_recurrent.split(rows),
            inverse: self.inverse.split(rows),
            c: self.c.split(rows),
            c_norm: self.c_norm.split(rows),
            h: self.h.split(rows),
            next_c: self.next_c.split(rows),
            next_h: self.next_h.split(rows),
            next_gates: self.next_gates.split(rows),
        }
    }
}

/// What is the same for all groups of a step.
pub(super) struct Stage<'a, E: Element> {
    pub(super) plan: &'a Plan,
    pub(super) functions: &'a Functions<E>,
    pub(super) weights: &'a StageWeights<E>,
    pub(super) isa: Isa,
    pub(super) h_in: Strip<'a, E>,
    pub(super) c_in: Strip<'a, E>,
    pub(super) zones: [Zone<'a, E>; 2],
    pub(super) zeros: &'a [E],
}

/// A strip from row `first` on.
pub(super) fn from<E>(strip: Strip<'_, E>, first: usize) -> Strip<'_, E> {
    Strip { data: strip.data.get(first * strip.stride..).unwrap_or(&[]), stride: strip.stride }
}

impl<E: Element> Stage<'_, E> {
    /// The rows of sequences from `begin` on.
    pub(super) fn run(&self, begin: usize, rows: usize, mut group: Group<'_, E>) {
        let plan = self.plan;
        if plan.norm {
            self.normalise(rows, &mut group);
        }
        let (h_in, c_in) = (from(self.h_in, begin), from(self.c_in, begin));
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
        let own =
            UnitRows { rows, hidden: plan.hidden, unit: plan.unit, peepholes: of_main, before };
        self.functions.main.step(own, group.columns.borrow(), after);
        if let (Some(output), Some(column)) = (&self.functions.output, plan.output_column) {
            self.arguments(rows, column + 1, &mut group);
            let stride = group.columns.stride;
            let columns = StripMut { data: &mut group.columns.data[column * plan.unit..], stride };
            let before = [group.c.strip(), Strip::none()];
            let rows = UnitRows { peepholes: of_output, before, ..own };
            output.step(rows, columns, [group.h.borrow(), StripMut::none()]);
        }
        self.carry(begin, rows, (h_in, c_in), group);
    }

    /// Adds the normalised sums of the recurrent product.
    fn normalise(&self, rows: usize, group: &mut Group<'_, E>) {
        let (plan, grid) = (self.plan, grid(self.plan));
        let places =
            plan.recurrent_columns.start * plan.unit..plan.recurrent_columns.end * plan.unit;
        let first = plan.input_parts.len();
        for row in 0..rows {
            let sums = &mut group.of_recurrent.data[row * group.of_recurrent.stride..]
                [..plan.recurrent_row()];
            let parts = &plan.recurrent_parts;
            let inverse =
                &mut group.inverse.data[row * group.inverse.stride + first..][..parts.len()];
            let to = &mut group.columns.data[row * group.columns.stride..][places.clone()];
            let gain = &self.weights.gain_recurrent;
            self.isa.run(Normalise { grid, parts, row: sums, inverse, gain, bias: None, to });
        }
    }

    /// The arguments of the output's tanh: `c`, or `c` normalised.
    fn arguments(&self, rows: usize, column: usize, group: &mut Group<'_, E>) {
        let plan = self.plan;
        for row in 0..rows {
            let c = &group.c.data[row * plan.unit..][..plan.unit];
            let to = &mut group.columns.data[row * group.columns.stride + column * plan.unit..]
                [..plan.unit];
            if !plan.norm {
                to.copy_from_slice(c);
                continue;
            }
            let normal = &mut group.c_norm.data[row * plan.unit..][..plan.unit];
            normal.copy_from_slice(c);
            let last = inverses(plan) - 1;
            let inverse = &mut group.inverse.data[row * group.inverse.stride + last..][..1];
            #[allow(clippy::single_range_in_vec_init, reason = "one part, of one column")]
            let parts = &[0..1];
            let [gain, bias] = self.weights.norm_c.each_ref().map(|of| &of[..]);
            let (grid, bias) = (grid(plan), Some(bias));
            self.isa.run(Normalise { grid, parts, row: normal, inverse, gain, bias, to });
        }
    }

    /// Zoneout, and the states for the next step.
    fn carry(
        &self,
        begin: usize,
        rows: usize,
        (h_in, c_in): (Strip<'_, E>, Strip<'_, E>),
        mut group: Group<'_, E>,
    ) {
        let plan = self.plan;
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
}
