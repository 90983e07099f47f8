//! The weights of a staged layer as its products read them, and their gradients back.

use super::plan::Plan;
use crate::parameters::Entries;
use recurve_kernels::{Buffer, Element, Engine, Matrix, Packed};
use std::ops::Range;

/// Where the weights of a direction lie among those of the model; empty where there are none.
#[derive(Clone, Debug)]
pub(crate) struct StageRanges {
    w: Range<usize>,
    r: Range<usize>,
    b: Range<usize>,
    b_r: Range<usize>,
    p: Range<usize>,
    r_gates: Range<usize>,
    projection: Range<usize>,
    gain_w: Range<usize>,
    gain_r: Range<usize>,
    gain_c: Range<usize>,
    shift_c: Range<usize>,
}

impl StageRanges {
    pub(crate) fn new(entries: &Entries, prefix: &str) -> Self {
        let range = |name: &str| {
            entries.get(&format!("{prefix}.{name}")).map_or(0..0, |entry| entry.range.clone())
        };
        Self {
            w: range("w"),
            r: range("r"),
            b: range("b"),
            b_r: range("b_r"),
            p: range("p"),
            r_gates: range("r_gates"),
            projection: range("projection"),
            gain_w: range("gain_w"),
            gain_r: range("gain_r"),
            gain_c: range("gain_c"),
            shift_c: range("shift_c"),
        }
    }
}

/// Weights ready to be multiplied.
pub(super) struct StageWeights<E: Element> {
    ranges: StageRanges,
    pub(super) w: Packed<E>,
    pub(super) w_back: Packed<E>,
    pub(super) r: Packed<E>,
    pub(super) r_back: Packed<E>,
    pub(super) projection: Packed<E>,
    pub(super) projection_back: Packed<E>,
    /// Of all columns.
    pub(super) bias: Buffer<E>,
    /// Of the first function, then of the output.
    pub(super) peepholes: Buffer<E>,
    pub(super) gain_input: Buffer<E>,
    pub(super) gain_recurrent: Buffer<E>,
    /// Gain and shift of `c`.
    pub(super) norm_c: [Buffer<E>; 2],
    rows: Buffer<E>,
}

/// Rows of gates `[G*H, depth]` as rows of columns `[columns, unit, depth]`, zero beyond the units.
fn spread<E: Element>(
    from: &[E],
    (hidden, unit): (usize, usize),
    gates: &[usize],
    depth: usize,
    to: &mut [E],
) {
    for (column, gate) in gates.iter().enumerate() {
        let to = &mut to[column * unit * depth..(column + 1) * unit * depth];
        let from = &from[gate * hidden * depth..(gate + 1) * hidden * depth];
        to[..from.len()].copy_from_slice(from);
        to[from.len()..].fill(E::default());
    }
}

/// Whether rows of gates are rows of columns as they stand.
fn is_arranged((hidden, unit): (usize, usize), gates: &[usize]) -> bool {
    hidden == unit && gates.iter().enumerate().all(|(column, gate)| column == *gate)
}

/// Rows of gates as rows of columns: as they stand, or [`spread`] in `room`.
fn arranged<'a, E: Element>(
    from: &'a [E],
    at: (usize, usize),
    gates: &[usize],
    depth: usize,
    room: &'a mut Buffer<E>,
) -> &'a [E] {
    if is_arranged(at, gates) {
        return from;
    }
    room.resize(gates.len() * at.1 * depth);
    spread(from, at, gates, depth, room);
    room
}

/// The reverse of [`spread`].
fn gather<E: Element>(
    from: &[E],
    (hidden, unit): (usize, usize),
    gates: &[usize],
    depth: usize,
    to: &mut [E],
) {
    for (column, gate) in gates.iter().enumerate() {
        let from = &from[column * unit * depth..][..hidden * depth];
        to[gate * hidden * depth..][..from.len()].copy_from_slice(from);
    }
}

impl<E: Element> StageWeights<E> {
    pub(super) fn new(ranges: StageRanges) -> Self {
        let (packed, buffer) = (Packed::default, Buffer::new);
        Self {
            ranges,
            w: packed(),
            w_back: packed(),
            r: packed(),
            r_back: packed(),
            projection: packed(),
            projection_back: packed(),
            bias: buffer(),
            peepholes: buffer(),
            gain_input: buffer(),
            gain_recurrent: buffer(),
            norm_c: [buffer(), buffer()],
            rows: buffer(),
        }
    }

    pub(super) fn load(&mut self, engine: Engine, plan: &Plan, values: &[E], backward: bool) {
        let part = |range: &Range<usize>| &values[range.clone()];
        let (at, ranges) = ((plan.hidden, plan.unit), &self.ranges);
        let pack = |rows: &[E], depth: usize, forward: &mut Packed<E>, back: &mut Packed<E>| {
            let matrix = Matrix::new(rows, rows.len() / depth, depth, depth);
            forward.pack(engine, matrix.transposed());
            if backward {
                back.pack(engine, matrix);
            }
        };
        let w = arranged(part(&ranges.w), at, plan.input_gates, plan.input, &mut self.rows);
        pack(w, plan.input, &mut self.w, &mut self.w_back);

        let joined = Self::joined(plan, part(&ranges.r), part(&ranges.r_gates));
        let r = if plan.fed_back.is_empty() { part(&ranges.r) } else { &joined };
        let r = arranged(r, at, plan.recurrent_gates, plan.operand, &mut self.rows);
        pack(r, plan.operand, &mut self.r, &mut self.r_back);

        if plan.projection {
            let rows = part(&ranges.projection);
            let matrix = Matrix::new(rows, plan.out, plan.hidden, plan.hidden);
            self.projection.pack(engine, matrix.transposed());
            if backward {
                self.projection_back.pack(engine, matrix);
            }
        }
        self.load_vectors(plan, values);
    }

    fn load_vectors(&mut self, plan: &Plan, values: &[E]) {
        let part = |range: &Range<usize>| &values[range.clone()];
        let (at, ranges) = ((plan.hidden, plan.unit), &self.ranges);
        self.bias.resize(plan.row());
        self.bias.fill(E::default());
        let biases = [
            (&ranges.b, &plan.input_columns, plan.input_gates),
            (&ranges.b_r, &plan.recurrent_columns, plan.recurrent_gates),
        ];
        for (range, columns, gates) in biases {
            for (column, gate) in columns.clone().zip(gates).filter(|_| !range.is_empty()) {
                let from = &part(range)[gate * plan.hidden..][..plan.hidden];
                for (to, b) in self.bias[column * plan.unit..].iter_mut().zip(from) {
                    *to = *to + *b;
                }
            }
        }
        let count = plan.peepholes[0] + plan.peepholes[1];
        let order: Vec<usize> = (0..count).collect();
        self.peepholes.resize(count * plan.unit);
        spread(part(&ranges.p), at, &order, 1, &mut self.peepholes);
        if plan.norm {
            self.gain_input.resize(plan.input_row());
            spread(part(&ranges.gain_w), at, plan.input_gates, 1, &mut self.gain_input);
            self.gain_recurrent.resize(plan.recurrent_row());
            spread(part(&ranges.gain_r), at, plan.recurrent_gates, 1, &mut self.gain_recurrent);
            if plan.has_c {
                for (to, range) in self.norm_c.iter_mut().zip([&ranges.gain_c, &ranges.shift_c]) {
                    to.resize(plan.unit);
                    spread(part(range), at, &[0], 1, to);
                }
            }
        }
    }

    /// The recurrent weights side by side with those of the gates that are fed back, which reach the same
    /// gates only.
    fn joined(plan: &Plan, r: &[E], r_gates: &[E]) -> Vec<E> {
        let (hidden, fed) = (plan.hidden, plan.fed_back.len());
        if fed == 0 {
            return vec![];
        }
        let mut joined = vec![E::default(); plan.recurrent_gates.len() * hidden * plan.operand];
        for (row, to) in joined.chunks_exact_mut(plan.operand).enumerate() {
            to[..plan.out].copy_from_slice(&r[row * plan.out..][..plan.out]);
            if let Some(at) = plan.fed_back.iter().position(|gate| *gate == row / hidden) {
                let width = fed * hidden;
                let row = at * hidden + row % hidden;
                to[plan.out..].copy_from_slice(&r_gates[row * width..][..width]);
            }
        }
        joined
    }

    /// Lets `form` write the gradient of `w`, `[columns, unit, depth]`: where it is to be, or by way of `room`.
    pub(super) fn write_input(
        &self,
        plan: &Plan,
        room: &mut Buffer<E>,
        gradients: &mut [E],
        form: impl FnOnce(&mut [E]),
    ) {
        let (at, to) = ((plan.hidden, plan.unit), &mut gradients[self.ranges.w.clone()]);
        if is_arranged(at, plan.input_gates) {
            return form(to);
        }
        room.resize(plan.input_row() * plan.input);
        form(room);
        gather(room, at, plan.input_gates, plan.input, to);
    }

    /// The same of `r`.
    pub(super) fn write_recurrent(
        &self,
        plan: &Plan,
        room: &mut Buffer<E>,
        gradients: &mut [E],
        form: impl FnOnce(&mut [E]),
    ) {
        let (at, depth, gates) = ((plan.hidden, plan.unit), plan.operand, plan.recurrent_gates);
        let plain = plan.fed_back.is_empty();
        if plain && is_arranged(at, gates) {
            return form(&mut gradients[self.ranges.r.clone()]);
        }
        room.resize(plan.recurrent_row() * depth);
        form(room);
        if plain {
            return gather(room, at, gates, depth, &mut gradients[self.ranges.r.clone()]);
        }
        let mut joined = vec![E::default(); gates.len() * plan.hidden * depth];
        gather(room, at, gates, depth, &mut joined);
        let width = plan.fed_back.len() * plan.hidden;
        for (row, from) in joined.chunks_exact(depth).enumerate() {
            let to = &mut gradients[self.ranges.r.clone()][row * plan.out..][..plan.out];
            to.copy_from_slice(&from[..plan.out]);
            if let Some(at) = plan.fed_back.iter().position(|gate| *gate == row / plan.hidden) {
                let row = at * plan.hidden + row % plan.hidden;
                let to = &mut gradients[self.ranges.r_gates.clone()][row * width..][..width];
                to.copy_from_slice(&from[plan.out..]);
            }
        }
    }

    /// The gradient of the projection, to write.
    pub(super) fn projection_mut<'a>(&self, gradients: &'a mut [E]) -> &'a mut [E] {
        &mut gradients[self.ranges.projection.clone()]
    }

    /// Writes the gradients of biases from the sums of those of the columns.
    fn write_biases(&self, plan: &Plan, sums: &[E], gradients: &mut [E]) {
        let biases = [
            (&self.ranges.b, &plan.input_columns, plan.input_gates),
            (&self.ranges.b_r, &plan.recurrent_columns, plan.recurrent_gates),
        ];
        for (range, columns, gates) in biases {
            for (column, gate) in columns.clone().zip(gates).filter(|_| !range.is_empty()) {
                let to = &mut gradients[range.clone()][gate * plan.hidden..][..plan.hidden];
                to.copy_from_slice(&sums[column * plan.unit..][..plan.hidden]);
            }
        }
    }

    /// Writes the gradients of biases, gains and peepholes from their sums, in the order of [`Plan::sums`]: of
    /// the columns; of the gains of the input, of the recurrent product, of `c` and its shift; of the peepholes.
    pub(super) fn write_sums(&self, plan: &Plan, sums: &[E], gradients: &mut [E]) {
        let at = (plan.hidden, plan.unit);
        let (mut sums, ranges) = (sums, &self.ranges);
        let mut take = |len: usize| {
            let (head, tail) = sums.split_at(len);
            sums = tail;
            head
        };
        self.write_biases(plan, take(plan.row()), gradients);
        if plan.norm {
            let (input, recurrent) = (take(plan.input_row()), take(plan.recurrent_row()));
            gather(input, at, plan.input_gates, 1, &mut gradients[ranges.gain_w.clone()]);
            gather(recurrent, at, plan.recurrent_gates, 1, &mut gradients[ranges.gain_r.clone()]);
            let of_c = take(2 * plan.unit);
            if plan.has_c {
                gather(of_c, at, &[0], 1, &mut gradients[ranges.gain_c.clone()]);
                gather(&of_c[plan.unit..], at, &[0], 1, &mut gradients[ranges.shift_c.clone()]);
            }
        }
        let count = plan.peepholes[0] + plan.peepholes[1];
        let order: Vec<usize> = (0..count).collect();
        gather(take(count * plan.unit), at, &order, 1, &mut gradients[ranges.p.clone()]);
    }

    /// Sets all gradients of the layer to zero.
    pub(super) fn clear(&self, gradients: &mut [E]) {
        let r = &self.ranges;
        for range in [
            &r.w,
            &r.r,
            &r.b,
            &r.b_r,
            &r.p,
            &r.r_gates,
            &r.projection,
            &r.gain_w,
            &r.gain_r,
            &r.gain_c,
            &r.shift_c,
        ] {
            gradients[range.clone()].fill(E::default());
        }
    }
}
