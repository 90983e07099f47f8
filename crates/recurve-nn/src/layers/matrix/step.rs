//! One step of the mLSTM from a memory that is kept.

use super::Shape;
use recurve_kernels::{Element, Loops, exp_nonpositive};

/// One step of one sequence: its columns, its memory, which is replaced, and its output.
pub(super) struct Step<'a, E> {
    pub(super) shape: Shape,
    pub(super) columns: &'a [E],
    pub(super) memory: &'a mut [E],
    pub(super) y: &'a mut [E],
}

/// Sums that a product adds up side by side.
const LANES: usize = 16;

/// `Σ a b`, in an order that does not depend on the instruction set.
#[inline(always)]
pub(super) fn dot<E: Element>(a: &[E], b: &[E]) -> E {
    let mut sums = [E::default(); LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum = *sum + *a * *b;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| *a * *b);
    rest.chain(sums).fold(E::default(), |sum, value| sum + value)
}

/// The logistic function, in arithmetic that the compiler can turn into vectors.
#[inline(always)]
pub(super) fn sigmoid<E: Element>(x: E) -> E {
    let x = x.to_f64();
    let small = exp_nonpositive(-x.abs());
    let of_size = 1.0 / (1.0 + small);
    E::from_f64(if x < 0.0 { small * of_size } else { of_size })
}

/// The logarithm of the forget gate.
#[inline(always)]
pub(super) fn log_forget(exponential: bool, column: f64) -> f64 {
    if exponential { column } else { column.min(0.0) - (-column.abs()).exp().ln_1p() }
}

impl<E: Element> Loops for Step<'_, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { shape, columns, memory, y } = self;
        let (d, hidden) = (shape.size(), shape.hidden);
        for (head, memory) in memory.chunks_exact_mut(shape.head()).enumerate() {
            let column = |kind: usize| &columns[kind * hidden + head * d..][..d];
            let (q, k, v, o) = (column(0), column(1), column(2), column(3));
            let gate = |kind: usize| columns[4 * hidden + kind * shape.heads + head].to_f64();
            let (c, rest) = memory.split_at_mut(d * d);
            let (n, m) = rest.split_at_mut(d);
            let log_f = log_forget(shape.exponential, gate(1));
            let stable = (log_f + m[0].to_f64()).max(gate(0));
            let keep = E::from_f64((log_f + m[0].to_f64() - stable).exp());
            let write = E::from_f64((gate(0) - stable).exp());
            m[0] = E::from_f64(stable);
            for (n, k) in n.iter_mut().zip(k) {
                *n = keep * *n + write * *k;
            }
            let size = dot(n, q).to_f64().abs().max((-stable).exp());
            let inverse = E::from_f64(1.0 / size);
            let y = &mut y[head * d..][..d];
            for ((row, v), (y, o)) in c.chunks_exact_mut(d).zip(v).zip(y.iter_mut().zip(o)) {
                let write = write * *v;
                for (c, k) in row.iter_mut().zip(k) {
                    *c = keep * *c + write * *k;
                }
                *y = sigmoid(*o) * (dot(row, q) * inverse);
            }
        }
    }
}
