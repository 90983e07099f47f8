//! One step against the textbooks: the concatenated product `W·[h', x]` and the equations of each cell,
//! written out once more with the standard library.

mod support;

use recurve_cell::reference::Layer;
use recurve_cell::{Cell, CoupledLstm, Gru, GruResetBefore, Lstm, Real};
use recurve_cell::{Relu, Rnn, Sees, Sightless, Standard, Tanh};
use support::{Net, Parameters, Random, Size};

const SIZE: Size = Size { inputs: 3, hidden: 4 };

/// One textbook step: weights, `x`, `h'` and `c'` (empty without cell state) to `[h, c]`.
type Textbook = fn(&Parameters<f64>, &[f64], &[f64], &[f64]) -> Vec<f64>;

/// `W_gate·[h', x] + b + b_r` with `W = [r w]`, for every unit.
fn concatenated(weights: &Parameters<f64>, gate: usize, h: &[f64], x: &[f64]) -> Vec<f64> {
    let joined = [h, x].concat();
    (gate * SIZE.hidden..(gate + 1) * SIZE.hidden)
        .map(|row| {
            let r = &weights.r[row * SIZE.hidden..][..SIZE.hidden];
            let w = &weights.w[row * SIZE.inputs..][..SIZE.inputs];
            let product: f64 = [r, w].concat().iter().zip(&joined).map(|(w, v)| w * v).sum();
            product + weights.b[row] + weights.b_r[row]
        })
        .collect()
}

/// The two products of a gate apart, each with its bias.
fn split(weights: &Parameters<f64>, gate: usize, h: &[f64], x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (no_h, no_x) = (vec![0.0; h.len()], vec![0.0; x.len()]);
    let rows = gate * SIZE.hidden..(gate + 1) * SIZE.hidden;
    let input = concatenated(weights, gate, &no_h, x);
    let recurrent = concatenated(weights, gate, h, &no_x);
    (
        zip(&input, &weights.b_r[rows.clone()], |sum, other| sum - other),
        zip(&recurrent, &weights.b[rows], |sum, other| sum - other),
    )
}

fn zip(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    zip(a, b, |a, b| a + b)
}

fn mul(a: &[f64], b: &[f64]) -> Vec<f64> {
    zip(a, b, |a, b| a * b)
}

fn sigmoid(a: &[f64]) -> Vec<f64> {
    a.iter().map(|a| 1.0 / (1.0 + (-a).exp())).collect()
}

fn tanh(a: &[f64]) -> Vec<f64> {
    a.iter().map(|a| f64::tanh(*a)).collect()
}

fn rnn_tanh(weights: &Parameters<f64>, x: &[f64], h: &[f64], _: &[f64]) -> Vec<f64> {
    tanh(&concatenated(weights, 0, h, x))
}

fn rnn_relu(weights: &Parameters<f64>, x: &[f64], h: &[f64], _: &[f64]) -> Vec<f64> {
    concatenated(weights, 0, h, x).iter().map(|a| a.max(0.0)).collect()
}

/// `peephole k` of every unit times the cell state; zero for a cell without.
fn peephole(weights: &Parameters<f64>, k: usize, c: &[f64]) -> Vec<f64> {
    if weights.p.is_empty() {
        return vec![0.0; c.len()];
    }
    mul(&weights.p[k * SIZE.hidden..][..SIZE.hidden], c)
}

fn lstm(weights: &Parameters<f64>, x: &[f64], h: &[f64], c: &[f64]) -> Vec<f64> {
    let sum = |gate| concatenated(weights, gate, h, x);
    let i = sigmoid(&add(&sum(0), &peephole(weights, 0, c)));
    let f = sigmoid(&add(&sum(1), &peephole(weights, 1, c)));
    let g = tanh(&sum(2));
    let c = add(&mul(&f, c), &mul(&i, &g));
    let o = sigmoid(&add(&sum(3), &peephole(weights, 2, &c)));
    [mul(&o, &tanh(&c)), c].concat()
}

fn coupled_lstm(weights: &Parameters<f64>, x: &[f64], h: &[f64], c: &[f64]) -> Vec<f64> {
    let sum = |gate| concatenated(weights, gate, h, x);
    let i = sigmoid(&add(&sum(0), &peephole(weights, 0, c)));
    let f: Vec<f64> = i.iter().map(|i| 1.0 - i).collect();
    let g = tanh(&sum(1));
    let c = add(&mul(&f, c), &mul(&i, &g));
    let o = sigmoid(&add(&sum(2), &peephole(weights, 1, &c)));
    [mul(&o, &tanh(&c)), c].concat()
}

fn gru(weights: &Parameters<f64>, x: &[f64], h: &[f64], _: &[f64]) -> Vec<f64> {
    let r = sigmoid(&concatenated(weights, 0, h, x));
    let z = sigmoid(&concatenated(weights, 1, h, x));
    let (n_x, n_h) = split(weights, 2, h, x);
    let n = tanh(&add(&n_x, &mul(&r, &n_h)));
    add(&zip(&z, &n, |z, n| (1.0 - z) * n), &mul(&z, h))
}

fn gru_reset_before(weights: &Parameters<f64>, x: &[f64], h: &[f64], _: &[f64]) -> Vec<f64> {
    let r = sigmoid(&concatenated(weights, 0, h, x));
    let z = sigmoid(&concatenated(weights, 1, h, x));
    let n = tanh(&concatenated(weights, 2, &mul(&r, h), x));
    add(&zip(&z, &n, |z, n| (1.0 - z) * n), &mul(&z, h))
}

/// One step of the reference layer in the precision `F`, from the same numbers.
fn step<C: Cell, F: Real>(
    cell: C,
    weights: &Parameters<f64>,
    x: &[f64],
    state: &[f64],
) -> Vec<f64> {
    let convert = |values: &[f64]| values.iter().map(|v| F::from_f64(*v)).collect::<Vec<F>>();
    let mut parts = weights.parts().map(convert).into_iter();
    let weights = Parameters::build::<C>(SIZE, |_| parts.next().unwrap());
    let mut state = convert(state);
    let mut kept = convert(&vec![0.0; Layer::<C, F>::KEPT * SIZE.hidden]);
    let net = Net { cell, size: SIZE, weights: &weights };
    net.layer().step(&convert(x), &mut state, &mut kept);
    state.iter().map(|v| v.to_f64()).collect()
}

fn check<C: Cell>(cell: C, textbook: Textbook) {
    for seed in 0..20 {
        let mut random = Random(seed);
        let weights = Parameters::build::<C>(SIZE, |count| random.values(count));
        let x: Vec<f64> = random.values(SIZE.inputs);
        let before: Vec<f64> = random.values(C::STATES * SIZE.hidden);
        let (h, c) = before.split_at(SIZE.hidden);
        let expected = textbook(&weights, &x, h, c);
        let found = step::<C, f64>(cell, &weights, &x, &before);
        let rounded = step::<C, f32>(cell, &weights, &x, &before);
        assert_eq!(found.len(), expected.len());
        for (at, expected) in expected.iter().enumerate() {
            let (f64, f32) = (found[at], rounded[at]);
            assert!((f64 - expected).abs() < 1e-14, "f64: {f64}, {expected}");
            assert!((f32 - expected).abs() < 2e-6, "f32: {f32}, {expected}");
        }
    }
}

macro_rules! textbooks {
    ($($test:ident: $cell:expr, $textbook:ident;)*) => {
        mod a_step_is_the_textbook_s {$(
            #[test]
            fn $test() {
                use super::*;
                check($cell, super::$textbook);
            }
        )*}
    };
}

textbooks! {
    rnn_tanh: Rnn(Tanh), rnn_tanh;
    rnn_relu: Rnn(Relu), rnn_relu;
    lstm: Lstm(Sightless, Standard), lstm;
    lstm_peepholes: Lstm(Sees, Standard), lstm;
    coupled_lstm: CoupledLstm(Sightless, Standard), coupled_lstm;
    coupled_lstm_peepholes: CoupledLstm(Sees, Standard), coupled_lstm;
    gru: Gru(Standard), gru;
    gru_reset_before: GruResetBefore(Standard), gru_reset_before;
}
