//! Recurrent steps with functions and limits that the cells of Recurve do not have.
//!
//! The equations are those of the cells; only the functions are the operator's own, and what goes into
//! those of gates and candidates may be limited. The product of the inputs is made for all steps at once.

use super::function::Function;
use super::recurrent::{DirectionWeights, Family, RecurrentOp, Sequences};
use recurve_kernels::{Matrix, Packed, RowsMut, Start, product};
use recurve_nn::{Element, Engine};

/// One direction.
#[derive(Debug)]
pub(super) struct Plain<E: Element> {
    family: Family,
    functions: Vec<Function>,
    clip: Option<E>,
    coupled: bool,
    hidden: usize,
    input: usize,
    w: Packed<E>,
    /// All gates, or without the candidate where the reset comes before its product.
    r: Packed<E>,
    /// The candidate's, where it is apart.
    r_n: Packed<E>,
    b: Vec<E>,
    b_r: Vec<E>,
    p: Vec<E>,
}

impl<E: Element> Plain<E> {
    pub(super) fn new(
        engine: Engine,
        op: &RecurrentOp,
        at: usize,
        hidden: usize,
        weights: DirectionWeights,
    ) -> Self {
        let (gates, count) = (op.family.gates(), op.family.functions());
        let rows = gates * hidden;
        let input = weights.w.len() / rows;
        let narrow = |values: &[f64]| values.iter().map(|v| E::from_f64(*v)).collect::<Vec<E>>();
        let (w, r) = (narrow(&weights.w), narrow(&weights.r));
        let pack = |values: &[E], rows: usize, columns: usize| {
            let mut packed = Packed::default();
            if rows > 0 {
                packed.pack(engine, Matrix::new(values, rows, columns, columns).transposed());
            }
            packed
        };
        let before = op.family == Family::Gru { reset_after: false };
        let first = if before { 2 * hidden } else { rows };
        let or_zeros = |values: &[f64], size: usize| {
            if values.is_empty() { vec![E::default(); size] } else { narrow(values) }
        };
        Self {
            family: op.family,
            functions: op.functions[at * count..][..count].to_vec(),
            clip: op.clip.map(E::from_f64),
            coupled: op.coupled,
            hidden,
            input,
            w: pack(&w, rows, input),
            r: pack(&r[..first * hidden], first, hidden),
            r_n: pack(&r[first * hidden..], rows - first, hidden),
            b: or_zeros(&weights.b, rows),
            b_r: or_zeros(&weights.b_r, rows),
            p: or_zeros(&weights.p, 3 * hidden),
        }
    }

    fn limited(&self, x: E) -> E {
        match self.clip {
            Some(limit) if x > limit => limit,
            Some(limit) if x < -limit => -limit,
            _ => x,
        }
    }
    /// A function of the cell, after the limit.
    fn function(&self, at: usize, x: E) -> E {
        self.functions[at].of(self.limited(x))
    }

    /// Runs sequences; `place` gets the step, the sequence and its `h`.
    pub(super) fn run(
        &self,
        engine: Engine,
        sequences: Sequences<'_, E>,
        place: &mut impl FnMut(usize, usize, &[E]),
    ) {
        let Sequences { x, steps, batch, lengths, h, c } = sequences;
        let (hidden, rows) = (self.hidden, self.b.len());
        let apart = self.r_n.columns();
        let mut sums = vec![E::default(); steps * batch * rows];
        let input = Matrix::new(x, steps * batch, self.input, self.input);
        product(
            engine,
            input,
            &self.w,
            Start::Bias(&self.b),
            &mut RowsMut::new(&mut sums, rows, rows),
        );
        let first = rows - apart;
        let mut recurrent = vec![E::default(); batch * first];
        let mut candidate = vec![E::default(); batch * apart];
        let mut gates = vec![E::default(); batch * rows];
        for t in 0..steps {
            let multiply = |from: &[E], packed: &Packed<E>, bias: &[E], to: &mut [E]| {
                let width = packed.columns();
                let from = Matrix::new(from, batch, hidden, hidden);
                product(
                    engine,
                    from,
                    packed,
                    Start::Bias(bias),
                    &mut RowsMut::new(to, width, width),
                );
            };
            multiply(h, &self.r, &self.b_r[..first], &mut recurrent);
            let alive = |b: usize| lengths.get(b).is_none_or(|length| t < *length);
            for b in 0..batch {
                let wx = &sums[(t * batch + b) * rows..][..rows];
                let rh = &recurrent[b * first..][..first];
                let to = &mut gates[b * rows..][..rows];
                match self.family {
                    Family::Gru { .. } => {
                        for u in 0..2 * hidden {
                            to[u] = self.function(0, wx[u] + rh[u]);
                        }
                        for u in 2 * hidden..rows {
                            let own =
                                if apart == 0 { to[u - 2 * hidden] * rh[u] } else { E::default() };
                            to[u] = wx[u] + own;
                        }
                    }
                    _ => (0..rows).for_each(|u| to[u] = wx[u] + rh[u]),
                }
            }
            if apart > 0 {
                let reset: Vec<E> = (0..batch * hidden)
                    .map(|at| gates[at / hidden * rows + at % hidden] * h[at])
                    .collect();
                multiply(&reset, &self.r_n, &self.b_r[first..], &mut candidate);
                for (at, value) in candidate.iter().enumerate() {
                    let to = &mut gates[at / hidden * rows + 2 * hidden + at % hidden];
                    *to = *to + *value;
                }
            }
            for b in (0..batch).filter(|b| alive(*b)) {
                let own = b * hidden..(b + 1) * hidden;
                let gates = &gates[b * rows..][..rows];
                self.step(gates, &mut h[own.clone()], &mut c[own.clone()]);
                place(t, b, &h[own]);
            }
        }
    }

    /// The new states of one sequence, from the sums of its gates.
    fn step(&self, gates: &[E], h: &mut [E], c: &mut [E]) {
        let hidden = self.hidden;
        let one = E::from_f64(1.0);
        for u in 0..hidden {
            let gate = |at: usize| gates[at * hidden + u];
            let peep = |at: usize| self.p[at * hidden + u];
            match self.family {
                Family::Rnn => h[u] = self.function(0, gate(0)),
                Family::Gru { .. } => {
                    let (z, n) = (gate(1), self.function(1, gate(2)));
                    h[u] = (one - z) * n + z * h[u];
                }
                Family::Lstm => {
                    let i = self.function(0, gate(0) + peep(0) * c[u]);
                    let f = if self.coupled {
                        one - i
                    } else {
                        self.function(0, gate(1) + peep(1) * c[u])
                    };
                    c[u] = f * c[u] + i * self.function(1, gate(2));
                    let o = self.function(0, gate(3) + peep(2) * c[u]);
                    h[u] = o * self.functions[2].of(c[u]);
                }
            }
        }
    }
}
