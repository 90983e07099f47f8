//! Some steps of the mLSTM together, forward and backward.
//!
//! With `F` the running sum of `ln f` over the chunk, what step `s` wrote reaches step `j ≥ s` with the
//! weight `A[j,s] = exp(F_j − F_s + ln i_s − m_j)`, and the memory before the chunk with
//! `a_j = exp(F_j + m₀ − m_j)`. Then, with rows for steps,
//!
//! ```text
//! P = (Q Kᵀ)∘A      numerator = P V + a (Q C₀ᵀ)      normaliser = P 1 + a (Q n₀)
//! C₁ = a_L C₀ + Σ_s A[L,s] v_s k_sᵀ                   n₁ = a_L n₀ + Σ_s A[L,s] k_s
//! ```
//!
//! No output depends on `m`: backward holds it fixed. Only what leaves the layer does: of memories that are
//! stored as `C e⁻ᵐ`, the gradient reaches the gates through `m` too, by way of the larger of its two
//! sides; [`Room::start_backward`] and [`Room::end_backward`] see to that.

use super::Shape;
use super::step::{dot, log_forget, sigmoid};
use recurve_kernels::{
    Element, Engine, Loops, Matrix, Packed, RowsMut, Start, exp_nonpositive, product,
};

/// What a thread works with.
pub(super) struct Room<E: Element> {
    engine: Engine,
    shape: Shape,
    packed: Packed<E>,
    gates: Gates,
    /// `A` and `P`, and their gradients, `[L, L]`.
    decay: Vec<E>,
    scores: Vec<E>,
    d_scores: Vec<E>,
    /// The numerators and their gradients, products with the memory, and room, `[L, d]`.
    numerator: Vec<E>,
    d_numerator: Vec<E>,
    from_memory: Vec<E>,
    rows: Vec<E>,
    /// Per step: the normaliser before its size is taken, and the gradient of it.
    normaliser: Vec<E>,
    d_normaliser: Vec<E>,
    /// Per head, what still flows back through `m`.
    through_m: Vec<f64>,
}

/// A weight beside others of which the largest is near 1, or 0 where it is far below what a sum can hold:
/// products with what `f32` cannot hold as a normal number take many times as long.
#[inline(always)]
fn weight(value: f64) -> f64 {
    if value < 1e-30 { 0.0 } else { value }
}

/// The gates of the steps of a chunk and a head.
#[derive(Default)]
struct Gates {
    log_i: Vec<f64>,
    log_f: Vec<f64>,
    /// The running sum of `log_f`.
    sum: Vec<f64>,
    /// `m` before the chunk, and after each step.
    m: Vec<f64>,
    /// `a`.
    carry: Vec<f64>,
    /// The gradients of `log_i` and `log_f`.
    d_i: Vec<f64>,
    d_f: Vec<f64>,
}

/// Where the columns of a head are, in rows of `n`.
#[derive(Clone, Copy)]
struct Columns<'a, E> {
    data: &'a [E],
    shape: Shape,
    head: usize,
}

impl<'a, E: Element> Columns<'a, E> {
    fn steps(&self) -> usize {
        self.data.len() / self.shape.columns()
    }
    fn offset(&self, kind: usize) -> usize {
        kind * self.shape.hidden + self.head * self.shape.size()
    }
    /// q k v o of all steps: 0 to 3.
    fn matrix(&self, kind: usize) -> Matrix<'a, E> {
        Matrix::new(
            &self.data[self.offset(kind)..],
            self.steps(),
            self.shape.size(),
            self.shape.columns(),
        )
    }
    fn row(&self, kind: usize, step: usize) -> &'a [E] {
        &self.data[step * self.shape.columns() + self.offset(kind)..][..self.shape.size()]
    }
    /// i or f before its function: 0 or 1.
    fn gate(&self, kind: usize, step: usize) -> f64 {
        let gates = 4 * self.shape.hidden + kind * self.shape.heads + self.head;
        self.data[step * self.shape.columns() + gates].to_f64()
    }
}

impl Gates {
    fn fill<E: Element>(&mut self, columns: &Columns<'_, E>, m: f64) {
        self.log_i.clear();
        self.log_f.clear();
        self.sum.clear();
        self.m.clear();
        self.carry.clear();
        self.m.push(m);
        let (mut sum, mut stable) = (0.0, m);
        for step in 0..columns.steps() {
            let (i, f) = (columns.gate(0, step), columns.gate(1, step));
            let f = log_forget(columns.shape.exponential, f);
            sum += f;
            stable = (f + stable).max(i);
            self.log_i.push(i);
            self.log_f.push(f);
            self.sum.push(sum);
            self.m.push(stable);
            self.carry.push(weight((sum + m - stable).exp()));
        }
    }
}

/// The rows of `A` up to the diagonal, zeros after it.
struct Decay<'a, E> {
    gates: &'a Gates,
    to: &'a mut [E],
}

impl<E: Element> Loops for Decay<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let gates = self.gates;
        let len = gates.sum.len();
        for (j, row) in self.to.chunks_exact_mut(len).enumerate() {
            let (head, tail) = row.split_at_mut(j + 1);
            let at = gates.sum[j] - gates.m[j + 1];
            for ((to, sum), i) in head.iter_mut().zip(&gates.sum).zip(&gates.log_i) {
                *to = E::from_f64(weight(exp_nonpositive((at - sum + i).min(0.0))));
            }
            tail.fill(E::default());
        }
    }
}

/// `to = σ(o) numerator / size`, row by row.
struct Outputs<'a, E> {
    columns: Columns<'a, E>,
    numerator: &'a [E],
    inverse: &'a [E],
    y: &'a mut [E],
}

impl<E: Element> Loops for Outputs<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (d, hidden) = (self.columns.shape.size(), self.columns.shape.hidden);
        for (step, y) in self.y.chunks_exact_mut(hidden).enumerate() {
            let (o, numerator) = (self.columns.row(3, step), &self.numerator[step * d..][..d]);
            let inverse = self.inverse[step];
            let y = &mut y[self.columns.head * d..][..d];
            for ((y, o), numerator) in y.iter_mut().zip(o).zip(numerator) {
                *y = sigmoid(*o) * (*numerator * inverse);
            }
        }
    }
}

/// The reverse of [`Outputs`]: the gradients of the output gate and of the numerators; and of each
/// step, that of the size which divides.
struct OutputsBackward<'a, E> {
    columns: Columns<'a, E>,
    numerator: &'a [E],
    inverse: &'a [E],
    dy: &'a [E],
    d_columns: &'a mut [E],
    d_numerator: &'a mut [E],
    d_size: &'a mut [E],
}

impl<E: Element> Loops for OutputsBackward<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let shape = self.columns.shape;
        let (d, n, o_at) = (shape.size(), shape.columns(), self.columns.offset(3));
        for step in 0..self.columns.steps() {
            let o = self.columns.row(3, step);
            let numerator = &self.numerator[step * d..][..d];
            let dy = &self.dy[step * shape.hidden + self.columns.head * d..][..d];
            let d_o = &mut self.d_columns[step * n + o_at..][..d];
            let d_numerator = &mut self.d_numerator[step * d..][..d];
            let inverse = self.inverse[step];
            for at in 0..d {
                let o = sigmoid(o[at]);
                let d = dy[at] * o * inverse;
                d_o[at] = dy[at] * numerator[at] * inverse * o * (E::from_f64(1.0) - o);
                d_numerator[at] = d;
            }
            self.d_size[step] = -(dot(d_numerator, numerator) * inverse);
        }
    }
}

/// `to[row] += scale[row] * from[row]`.
fn add_scaled<E: Element>(to: &mut [E], from: &[E], width: usize, scale: impl Fn(usize) -> E) {
    for (row, (to, from)) in to.chunks_exact_mut(width).zip(from.chunks_exact(width)).enumerate() {
        let scale = scale(row);
        for (to, from) in to.iter_mut().zip(from) {
            *to = *to + scale * *from;
        }
    }
}

impl<E: Element> Room<E> {
    pub(super) fn new(engine: Engine, shape: Shape) -> Self {
        let zeros = |len| vec![E::default(); len];
        let chunk = shape.chunk();
        let (square, rows) = (zeros(chunk * chunk), zeros(chunk * shape.size()));
        Self {
            engine,
            shape,
            packed: Packed::default(),
            gates: Gates::default(),
            decay: square.clone(),
            scores: square.clone(),
            d_scores: square,
            numerator: rows.clone(),
            d_numerator: rows.clone(),
            from_memory: rows.clone(),
            rows,
            normaliser: zeros(chunk),
            d_normaliser: zeros(chunk),
            through_m: vec![0.0; shape.heads],
        }
    }

    /// `to = start + left right`, rows of `to` without gaps.
    fn multiply(
        &mut self,
        left: Matrix<'_, E>,
        right: Matrix<'_, E>,
        start: Start<'_, E>,
        to: &mut [E],
        width: usize,
    ) {
        self.packed.pack(self.engine, right);
        product(self.engine, left, &self.packed, start, &mut RowsMut::new(to, width, width));
    }

    /// Fills gates, `A`, `P`, numerators, products with the memory and normalisers of a head; gives the
    /// inverse of what divides each step.
    fn inside(&mut self, columns: &Columns<'_, E>, memory: &[E]) -> Vec<E> {
        let (len, d) = (columns.steps(), self.shape.size());
        let (c, rest) = memory.split_at(d * d);
        let (n, m) = rest.split_at(d);
        self.gates.fill(columns, m[0].to_f64());
        let isa = self.engine.isa();
        isa.run(Decay { gates: &self.gates, to: &mut self.decay[..len * len] });
        let mut scores = std::mem::take(&mut self.scores);
        self.multiply(
            columns.matrix(0),
            columns.matrix(1).transposed(),
            Start::Zero,
            &mut scores[..len * len],
            len,
        );
        for (score, decay) in scores[..len * len].iter_mut().zip(&self.decay) {
            *score = *score * *decay;
        }
        let mut numerator = std::mem::take(&mut self.numerator);
        let p = Matrix::new(&scores, len, len, len);
        self.multiply(p, columns.matrix(2), Start::Zero, &mut numerator[..len * d], d);
        let mut from_memory = std::mem::take(&mut self.from_memory);
        let c = Matrix::new(c, d, d, d);
        self.multiply(
            columns.matrix(0),
            c.transposed(),
            Start::Zero,
            &mut from_memory[..len * d],
            d,
        );
        let carry = |step: usize| E::from_f64(self.gates.carry[step]);
        add_scaled(&mut numerator[..len * d], &from_memory[..len * d], d, carry);
        let mut inverse = Vec::with_capacity(len);
        for step in 0..len {
            let sum = scores[step * len..][..=step].iter().fold(E::default(), |sum, p| sum + *p);
            self.normaliser[step] = sum + carry(step) * dot(n, columns.row(0, step));
            let floor = (-self.gates.m[step + 1]).exp();
            inverse.push(E::from_f64(1.0 / self.normaliser[step].to_f64().abs().max(floor)));
        }
        (self.scores, self.numerator, self.from_memory) = (scores, numerator, from_memory);
        inverse
    }

    /// The outputs of a chunk `[L, H]`; replaces the memory before it by that after it.
    pub(super) fn forward(&mut self, columns: &[E], memory: &mut [E], y: &mut [E]) {
        let (shape, d) = (self.shape, self.shape.size());
        for (head, memory) in memory.chunks_exact_mut(shape.head()).enumerate() {
            let columns = Columns { data: columns, shape, head };
            let len = columns.steps();
            let inverse = self.inside(&columns, memory);
            self.engine.isa().run(Outputs {
                columns,
                numerator: &self.numerator,
                inverse: &inverse,
                y: &mut *y,
            });
            let last = &self.decay[(len - 1) * len..][..len];
            let mut rows = std::mem::take(&mut self.rows);
            let carry = E::from_f64(self.gates.carry[len - 1]);
            let (c, rest) = memory.split_at_mut(d * d);
            for value in c.iter_mut().chain(&mut rest[..d]) {
                *value = carry * *value;
            }
            for (step, weight) in last.iter().enumerate() {
                let (k, v) = (columns.row(1, step), columns.row(2, step));
                for (n, k) in rest[..d].iter_mut().zip(k) {
                    *n = *n + *weight * *k;
                }
                for (to, v) in rows[step * d..][..d].iter_mut().zip(v) {
                    *to = *weight * *v;
                }
            }
            rest[d] = E::from_f64(self.gates.m[len]);
            let written = Matrix::new(&rows, len, d, d).transposed();
            self.multiply(written, columns.matrix(1), Start::Sums, c, d);
            self.rows = rows;
        }
    }

    /// Begins a sequence at its end: from the gradient of the memory as it is stored to that of one with
    /// `m` fixed.
    pub(super) fn start_backward(&mut self, memory: &[E], d_memory: &mut [E]) {
        let heads = memory
            .chunks_exact(self.shape.head())
            .zip(d_memory.chunks_exact_mut(self.shape.head()));
        for (through, (memory, d)) in self.through_m.iter_mut().zip(heads) {
            let size = memory.len() - 1;
            *through = d[size].to_f64() - dot(&memory[..size], &d[..size]).to_f64();
            d[size] = E::default();
        }
    }

    /// A new sequence began: nothing flows further back.
    pub(super) fn forget(&mut self) {
        self.through_m.fill(0.0);
    }

    /// Ends a sequence at its beginning, where the memory was `before`: to the gradient of the memory as
    /// it is stored.
    pub(super) fn end_backward(&mut self, before: &[E], d_memory: &mut [E]) {
        let heads = before
            .chunks_exact(self.shape.head())
            .zip(d_memory.chunks_exact_mut(self.shape.head()));
        for (through, (memory, d)) in self.through_m.iter().zip(heads) {
            let size = memory.len() - 1;
            d[size] = E::from_f64(through + dot(&memory[..size], &d[..size]).to_f64());
        }
    }

    /// The gradients of the columns of a chunk from those of its outputs; replaces that of the memory
    /// after it by that of the memory before it, which was `memory`.
    pub(super) fn backward(
        &mut self,
        columns: &[E],
        memory: &[E],
        dy: &[E],
        d_memory: &mut [E],
        d_columns: &mut [E],
    ) {
        let shape = self.shape;
        let heads = memory.chunks_exact(shape.head()).zip(d_memory.chunks_exact_mut(shape.head()));
        for (head, (memory, d_memory)) in heads.enumerate() {
            let columns = Columns { data: columns, shape, head };
            let inverse = self.inside(&columns, memory);
            self.outputs_backward(&columns, &inverse, dy, d_columns);
            self.scores_backward(&columns);
            self.columns_backward(&columns, memory, d_memory, d_columns);
            self.gates_backward(&columns, memory, d_memory, d_columns);
            self.memory_backward(&columns, d_memory);
        }
    }

    fn outputs_backward(
        &mut self,
        columns: &Columns<'_, E>,
        inverse: &[E],
        dy: &[E],
        d_columns: &mut [E],
    ) {
        self.engine.isa().run(OutputsBackward {
            columns: *columns,
            numerator: &self.numerator,
            inverse,
            dy,
            d_columns,
            d_numerator: &mut self.d_numerator,
            d_size: &mut self.d_normaliser,
        });
        for step in 0..columns.steps() {
            let normaliser = self.normaliser[step].to_f64();
            let d = &mut self.d_normaliser[step];
            if normaliser.abs() <= (-self.gates.m[step + 1]).exp() {
                *d = E::default();
            } else if normaliser < 0.0 {
                *d = -*d;
            }
        }
    }

    /// The gradient of `P`, in place of which that of `Q Kᵀ` is left; of the exponents of `A`, the sums
    /// that gates need.
    fn scores_backward(&mut self, columns: &Columns<'_, E>) {
        let (len, d) = (columns.steps(), self.shape.size());
        let mut d_scores = std::mem::take(&mut self.d_scores);
        let d_numerator = std::mem::take(&mut self.d_numerator);
        let left = Matrix::new(&d_numerator, len, d, d);
        self.multiply(
            left,
            columns.matrix(2).transposed(),
            Start::Zero,
            &mut d_scores[..len * len],
            len,
        );
        let gates = &mut self.gates;
        gates.d_i.clear();
        gates.d_f.clear();
        gates.d_i.resize(len, 0.0);
        gates.d_f.resize(len, 0.0);
        for j in 0..len {
            let row = j * len..j * len + len;
            let d_row = &mut d_scores[row.clone()];
            let (scores, decay) = (&self.scores[row.clone()], &self.decay[row]);
            for (s, ((d_score, score), decay)) in
                d_row.iter_mut().zip(scores).zip(decay).take(j + 1).enumerate()
            {
                let d = *d_score + self.d_normaliser[j];
                let exponent = (d * *score).to_f64();
                gates.d_i[s] += exponent;
                gates.d_f[j] += exponent;
                gates.d_f[s] -= exponent;
                *d_score = d * *decay;
            }
            d_row[j + 1..].fill(E::default());
        }
        (self.d_scores, self.d_numerator) = (d_scores, d_numerator);
    }

    /// The gradients of queries, keys and values.
    fn columns_backward(
        &mut self,
        columns: &Columns<'_, E>,
        memory: &[E],
        d_memory: &[E],
        d_columns: &mut [E],
    ) {
        let (len, d, n_row) = (columns.steps(), self.shape.size(), self.shape.columns());
        let (c, n) = memory.split_at(d * d);
        let (d_c, d_n) = d_memory.split_at(d * d);
        let (c, d_c) = (Matrix::new(c, d, d, d), Matrix::new(d_c, d, d, d));
        let (d_scores, d_numerator, scores) = (
            std::mem::take(&mut self.d_scores),
            std::mem::take(&mut self.d_numerator),
            std::mem::take(&mut self.scores),
        );
        let mut inner = std::mem::take(&mut self.rows);
        let mut outer = vec![E::default(); len * d];
        let square = |data| Matrix::new(data, len, len, len);
        let flow = Matrix::new(&d_numerator, len, d, d);
        let last: Vec<E> = self.decay[(len - 1) * len..][..len].to_vec();
        let carry: Vec<E> = self.gates.carry.iter().map(|a| E::from_f64(*a)).collect();
        // Values: Pᵀ dN + A_L (dC k).
        self.multiply(square(&scores).transposed(), flow, Start::Zero, &mut inner[..len * d], d);
        self.multiply(columns.matrix(1), d_c.transposed(), Start::Zero, &mut outer, d);
        for step in 0..len {
            // What the last step kept of this one also depends on its gates.
            let exponent = dot(&outer[step * d..][..d], columns.row(2, step))
                + dot(&d_n[..d], columns.row(1, step));
            let exponent = (last[step] * exponent).to_f64();
            self.gates.d_i[step] += exponent;
            self.gates.d_f[len - 1] += exponent;
            self.gates.d_f[step] -= exponent;
        }
        add_scaled(&mut inner[..len * d], &outer, d, |step| last[step]);
        write(&inner, d, d_columns, (columns.offset(2), n_row));
        // Queries: dS K + a (dN C₀ + dz n₀).
        self.multiply(square(&d_scores), columns.matrix(1), Start::Zero, &mut inner[..len * d], d);
        self.multiply(flow, c, Start::Zero, &mut outer, d);
        for (step, row) in outer.chunks_exact_mut(d).enumerate() {
            for (to, n) in row.iter_mut().zip(n) {
                *to = *to + self.d_normaliser[step] * *n;
            }
        }
        add_scaled(&mut inner[..len * d], &outer, d, |step| carry[step]);
        write(&inner, d, d_columns, (columns.offset(0), n_row));
        // Keys: dSᵀ Q + A_L (dCᵀ v + dn).
        self.multiply(
            square(&d_scores).transposed(),
            columns.matrix(0),
            Start::Zero,
            &mut inner[..len * d],
            d,
        );
        self.multiply(columns.matrix(2), d_c, Start::Zero, &mut outer, d);
        for row in outer.chunks_exact_mut(d) {
            for (to, d_n) in row.iter_mut().zip(d_n) {
                *to = *to + *d_n;
            }
        }
        add_scaled(&mut inner[..len * d], &outer, d, |step| last[step]);
        write(&inner, d, d_columns, (columns.offset(1), n_row));
        self.rows = inner;
        (self.d_scores, self.d_numerator, self.scores) = (d_scores, d_numerator, scores);
    }

    /// The gradients of the gates.
    fn gates_backward(
        &mut self,
        columns: &Columns<'_, E>,
        memory: &[E],
        d_memory: &[E],
        d_columns: &mut [E],
    ) {
        let (len, d, shape) = (columns.steps(), self.shape.size(), self.shape);
        let n = &memory[d * d..][..d];
        for step in 0..len {
            let rows = step * d..(step + 1) * d;
            let read = dot(&self.d_numerator[rows.clone()], &self.from_memory[rows])
                + self.d_normaliser[step] * dot(n, columns.row(0, step));
            self.gates.d_f[step] += self.gates.carry[step] * read.to_f64();
        }
        let size = memory.len() - 1;
        let kept = dot(&memory[..size], &d_memory[..size]).to_f64();
        let gates = &mut self.gates;
        gates.d_f[len - 1] += gates.carry[len - 1] * kept;
        // From the running sums to the gates of each step.
        let mut sum = 0.0;
        for d in gates.d_f.iter_mut().rev() {
            sum += *d;
            *d = sum;
        }
        let through = &mut self.through_m[columns.head];
        for step in (0..len).rev() {
            if gates.log_i[step] >= gates.log_f[step] + gates.m[step] {
                gates.d_i[step] += std::mem::take(through);
                break;
            }
            gates.d_f[step] += *through;
        }
        for step in 0..len {
            let row = &mut d_columns[step * shape.columns() + 4 * shape.hidden..];
            let f = columns.gate(1, step);
            let slope = if shape.exponential { 1.0 } else { 1.0 / (1.0 + f.exp()) };
            row[columns.head] = E::from_f64(gates.d_i[step]);
            row[shape.heads + columns.head] = E::from_f64(gates.d_f[step] * slope);
        }
    }

    /// The gradient of the memory before the chunk in place of that after it.
    fn memory_backward(&mut self, columns: &Columns<'_, E>, d_memory: &mut [E]) {
        let (len, d) = (columns.steps(), self.shape.size());
        let carry: Vec<E> = self.gates.carry.iter().map(|a| E::from_f64(*a)).collect();
        let (d_c, d_n) = d_memory.split_at_mut(d * d);
        for value in d_c.iter_mut().chain(&mut d_n[..d]) {
            *value = carry[len - 1] * *value;
        }
        for (step, carry) in carry.iter().enumerate() {
            let weight = *carry * self.d_normaliser[step];
            for (to, q) in d_n.iter_mut().zip(columns.row(0, step)) {
                *to = *to + weight * *q;
            }
        }
        let mut rows = std::mem::take(&mut self.rows);
        rows[..len * d].fill(E::default());
        add_scaled(&mut rows[..len * d], &self.d_numerator[..len * d], d, |step| carry[step]);
        let left = Matrix::new(&rows, len, d, d).transposed();
        self.multiply(left, columns.matrix(0), Start::Sums, d_c, d);
        self.rows = rows;
    }
}

/// Rows of `d` to places in the rows of the columns.
fn write<E: Element>(from: &[E], d: usize, to: &mut [E], (offset, row): (usize, usize)) {
    for (to, from) in to.chunks_exact_mut(row).zip(from.chunks_exact(d)) {
        to[offset..][..d].copy_from_slice(from);
    }
}
