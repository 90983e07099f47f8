//! The weights of a staged layer as its products read them, and their gradients back.

use super::plan::Plan;
use crate::parameters::Entries;
use recurve_kernels::{Buffer, Element, Engine, Matrix, Packed, each};
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

/// How rows of gates, `[G*H, depth]` as the model has them, lie as rows of columns, `[columns, unit, depth]`.
#[derive(Clone, Copy)]
struct Order<'a> {
    hidden: usize,
    unit: usize,
    /// The gate of each column.
    gates: &'a [usize],
    depth: usize,
    threads: usize,
}

impl<'a> Order<'a> {
    fn new(engine: Engine, plan: &Plan, gates: &'a [usize], depth: usize) -> Self {
        let threads = engine.threads_over(gates.len() * plan.unit * depth);
        Self { hidden: plan.hidden, unit: plan.unit, gates, depth, threads }
    }

    /// Whether both lie the same way.
    fn is_plain(self) -> bool {
        self.hidden == self.unit && self.gates.iter().enumerate().all(|(at, gate)| at == *gate)
    }

    /// Writes each row of columns by its row of the model; zeros beyond the units.
    fn spread_by<E: Element>(self, to: &mut [E], row: impl Fn(usize, &mut [E]) + Sync) {
        let Self { hidden, unit, gates, depth, threads } = self;
        each(threads, to.chunks_mut(unit * depth).zip(gates), |(to, gate)| {
            let (own, beyond) = to.split_at_mut(hidden * depth);
            for (at, to) in own.chunks_exact_mut(depth).enumerate() {
                row(gate * hidden + at, to);
            }
            beyond.fill(E::default());
        });
    }

    fn spread<E: Element>(self, from: &[E], to: &mut [E]) {
        let depth = self.depth;
        self.spread_by(to, |row, to| to.copy_from_slice(&from[row * depth..][..depth]));
    }

    /// Copies `part` of the rows of gates back, those of each of `wanted` after the other.
    fn gather_part<E: Element>(
        self,
        from: &[E],
        part: Range<usize>,
        wanted: &[usize],
        to: &mut [E],
    ) {
        let Self { hidden, unit, gates, depth, threads } = self;
        let gates = to.chunks_mut(hidden * part.len()).zip(wanted).filter_map(|(to, wanted)| {
            gates.iter().position(|gate| gate == wanted).map(|column| (to, column))
        });
        each(threads, gates, |(to, column)| {
            let from = from[column * unit * depth..].chunks_exact(depth);
            for (to, from) in to.chunks_exact_mut(part.len()).zip(from) {
                to.copy_from_slice(&from[part.clone()]);
            }
        });
    }

    fn gather<E: Element>(self, from: &[E], to: &mut [E]) {
        self.gather_part(from, 0..self.depth, &[0, 1, 2, 3][..self.gates.len()], to);
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
        let (ranges, out) = (&self.ranges, plan.out);
        let part = |range: &Range<usize>| &values[range.clone()];
        let pack = |rows: &[E], depth: usize, forward: &mut Packed<E>, back: &mut Packed<E>| {
            let matrix = Matrix::new(rows, rows.len() / depth, depth, depth);
            forward.pack(engine, matrix.transposed());
            if backward {
                back.pack(engine, matrix);
            }
        };
        let order = Order::new(engine, plan, plan.input_gates, plan.input);
        let w = part(&ranges.w);
        if order.is_plain() {
            pack(w, plan.input, &mut self.w, &mut self.w_back);
        } else {
            self.rows.resize(plan.input_row() * plan.input);
            order.spread(w, &mut self.rows);
            pack(&self.rows, plan.input, &mut self.w, &mut self.w_back);
        }

        let order = Order::new(engine, plan, plan.recurrent_gates, plan.operand);
        let (r, fed_back) = (part(&ranges.r), &plan.fed_back);
        if fed_back.is_empty() && order.is_plain() {
            pack(r, out, &mut self.r, &mut self.r_back);
        } else {
            // Beside the weights of `h'` those of the gates that are fed back, which reach the same gates only.
            let (of_gates, width) = (part(&ranges.r_gates), fed_back.len() * plan.hidden);
            self.rows.resize(plan.recurrent_row() * plan.operand);
            order.spread_by(&mut self.rows, |row, to| {
                let (to, beside) = to.split_at_mut(out);
                to.copy_from_slice(&r[row * out..][..out]);
                match fed_back.iter().position(|gate| *gate == row / plan.hidden) {
                    Some(at) => {
                        let row = at * plan.hidden + row % plan.hidden;
                        beside.copy_from_slice(&of_gates[row * width..][..width]);
                    }
                    None => beside.fill(E::default()),
                }
            });
            pack(&self.rows, plan.operand, &mut self.r, &mut self.r_back);
        }

        if plan.projection {
            let rows = part(&ranges.projection);
            let matrix = Matrix::new(rows, plan.out, plan.hidden, plan.hidden);
            self.projection.pack(engine, matrix.transposed());
            if backward {
                self.projection_back.pack(engine, matrix);
            }
        }
        self.load_vectors(engine, plan, values);
    }

    fn load_vectors(&mut self, engine: Engine, plan: &Plan, values: &[E]) {
        let part = |range: &Range<usize>| &values[range.clone()];
        let ranges = &self.ranges;
        let of = |gates| Order::new(engine, plan, gates, 1);
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
        of(&order).spread(part(&ranges.p), &mut self.peepholes);
        if plan.norm {
            self.gain_input.resize(plan.input_row());
            of(plan.input_gates).spread(part(&ranges.gain_w), &mut self.gain_input);
            self.gain_recurrent.resize(plan.recurrent_row());
            of(plan.recurrent_gates).spread(part(&ranges.gain_r), &mut self.gain_recurrent);
            if plan.has_c {
                for (to, range) in self.norm_c.iter_mut().zip([&ranges.gain_c, &ranges.shift_c]) {
                    to.resize(plan.unit);
                    of(&[0]).spread(part(range), to);
                }
            }
        }
    }

    /// Lets `form` write the gradient of `w`, `[columns, unit, depth]`: where it is to be, or by way of `room`.
    pub(super) fn write_input(
        &self,
        (engine, plan): (Engine, &Plan),
        room: &mut Buffer<E>,
        gradients: &mut [E],
        form: impl FnOnce(&mut [E]),
    ) {
        let order = Order::new(engine, plan, plan.input_gates, plan.input);
        let to = &mut gradients[self.ranges.w.clone()];
        if order.is_plain() {
            return form(to);
        }
        room.resize(plan.input_row() * plan.input);
        form(room);
        order.gather(room, to);
    }

    /// The same of `r`.
    pub(super) fn write_recurrent(
        &self,
        (engine, plan): (Engine, &Plan),
        room: &mut Buffer<E>,
        gradients: &mut [E],
        form: impl FnOnce(&mut [E]),
    ) {
        let order = Order::new(engine, plan, plan.recurrent_gates, plan.operand);
        if plan.fed_back.is_empty() && order.is_plain() {
            return form(&mut gradients[self.ranges.r.clone()]);
        }
        room.resize(plan.recurrent_row() * plan.operand);
        form(room);
        let gates = &[0, 1, 2, 3][..plan.recurrent_gates.len()];
        order.gather_part(room, 0..plan.out, gates, &mut gradients[self.ranges.r.clone()]);
        if !plan.fed_back.is_empty() {
            let to = &mut gradients[self.ranges.r_gates.clone()];
            order.gather_part(room, plan.out..plan.operand, &plan.fed_back, to);
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
    pub(super) fn write_sums(
        &self,
        (engine, plan): (Engine, &Plan),
        sums: &[E],
        gradients: &mut [E],
    ) {
        let of = |gates| Order::new(engine, plan, gates, 1);
        let (mut sums, ranges) = (sums, &self.ranges);
        let mut take = |len: usize| {
            let (head, tail) = sums.split_at(len);
            sums = tail;
            head
        };
        self.write_biases(plan, take(plan.row()), gradients);
        if plan.norm {
            let (input, recurrent) = (take(plan.input_row()), take(plan.recurrent_row()));
            of(plan.input_gates).gather(input, &mut gradients[ranges.gain_w.clone()]);
            of(plan.recurrent_gates).gather(recurrent, &mut gradients[ranges.gain_r.clone()]);
            let of_c = take(2 * plan.unit);
            if plan.has_c {
                of(&[0]).gather(of_c, &mut gradients[ranges.gain_c.clone()]);
                of(&[0]).gather(&of_c[plan.unit..], &mut gradients[ranges.shift_c.clone()]);
            }
        }
        let count = plan.peepholes[0] + plan.peepholes[1];
        let order: Vec<usize> = (0..count).collect();
        of(&order).gather(take(count * plan.unit), &mut gradients[ranges.p.clone()]);
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
