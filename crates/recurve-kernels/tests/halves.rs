//! Layers whose products are of `bf16`, by every way that the machine has.

#[path = "../../recurve-cell/tests/cells/mod.rs"]
mod cells;
mod support;

use cells::every_cell;
use recurve_cell::Cell;
use recurve_kernels::{Engine, HalfIsa, Isa, Matrix, Packed, Precision, RowsMut, Start, product};
use support::{Case, computed, differences, expected, to_bf16};

fn engines() -> Vec<Engine> {
    let of = |isa: Isa| {
        let engine = Engine::new(isa).with_precision(Precision::Bf16);
        HalfIsa::available(isa).into_iter().map(move |half| engine.with_half(half))
    };
    Isa::available().into_iter().flat_map(of).collect()
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        [1, 7, 16, 17, 33, 64, 129].iter().map(|&h| Case::new(5, h, &[4, 4, 4])).collect();
    cases.extend([1, 7, 33, 65, 130].map(|i| Case::new(i, 19, &[3; 2])));
    cases.extend([1, 13, 17, 25, 33, 50, 70].map(|b| Case::new(9, 21, &vec![5; b])));
    cases.extend([
        Case::new(4, 18, &[9, 9, 7, 6, 6, 2, 1]),
        Case::new(4, 18, &[3, 2, 0, 0]),
        Case::new(3, 34, &[40]),
        Case::new(5, 20, &[8, 8, 5, 5, 1]).with_resets(),
        Case::new(5, 33, &[6, 6, 6]).with_resets(),
        Case::new(600, 550, &[3; 3]),
    ]);
    cases
}

/// The bounds of `docs/numerics.md`: of outputs and states, and of gradients.
const FORWARD: f64 = 1.0 / 128.0;
const BACKWARD: f64 = 1.0 / 64.0;

/// Within the bounds, or four times what rounding the operands alone changes in the reference: functions
/// without a bound and states without decay pass on more of it.
fn check<C: Cell>(name: &str, cell: C) {
    let smooth = !KINKED.contains(&name);
    for case in cases() {
        let rounded = expected(cell, &case.rounded());
        let expected = expected(cell, &case);
        let sensitivity = differences(&rounded, &expected);
        for engine in engines() {
            let got = differences(&computed::<f32, C>(cell, &case, engine), &expected);
            for ((result, _), (difference, sensitivity)) in
                expected.iter().zip(got.iter().zip(&sensitivity))
            {
                let forward = ["y", "hn", "cn"].contains(result);
                let bound = if forward { FORWARD } else { BACKWARD }.max(4.0 * sensitivity);
                let what = format!("{name} {} {} {case:?}", engine.isa(), engine.half());
                // Where the derivative jumps, a rounded sum may lie on the other side of the jump.
                assert!(
                    !(forward || smooth) || *difference <= bound,
                    "{what}: {result} {difference}, at most {bound}"
                );
            }
        }
    }
}

/// Cells whose derivative jumps; that of the sLSTM, where the largest exponent passes from one term to the
/// other, which moves a common factor between the states.
const KINKED: [&str; 12] = [
    "rnn_relu",
    "rnn_chosen",
    "lstm_chosen",
    "lstm_peepholes_chosen",
    "coupled_lstm_chosen",
    "gru_chosen",
    "gru_reset_before_chosen",
    "ind_rnn",
    "slstm",
    "slstm_exponential",
    "min_gru",
    "min_lstm",
];

every_cell!(check);

/// The number of threads changes nothing, not a bit.
mod threads {
    use super::*;

    every_cell!(same_bits);
}

fn same_bits<C: Cell>(name: &str, cell: C) {
    let fastest = Isa::available()[0];
    for case in Case::worth_threads() {
        for engine in engines().into_iter().filter(|engine| engine.isa() == fastest) {
            let one = computed::<f32, C>(cell, &case, engine);
            let two = computed::<f32, C>(cell, &case, engine.with_threads(2));
            assert!(one == two, "{name} {} {} {case:?}", engine.isa(), engine.half());
        }
    }
}

/// `[rows, columns]`, stored transposed or not.
fn matrix(numbers: &[f32], (rows, columns): (usize, usize), transposed: bool) -> Matrix<'_, f32> {
    if transposed {
        Matrix::new(numbers, columns, rows, rows).transposed()
    } else {
        Matrix::new(numbers, rows, columns, columns)
    }
}

/// A product is what the rounded operands give, to the rounding of `f32`, by every way.
#[test]
fn products_equal_their_definition() {
    let shapes = [(1, 1, 1), (3, 7, 5), (17, 33, 16), (33, 65, 47), (5, 1100, 70), (70, 530, 33)];
    let numbers = |count: usize, factor: u32| -> Vec<f32> {
        let of = |at: u32| (at.wrapping_mul(factor) >> 8) as f32 / (1 << 23) as f32 - 1.0;
        (1..=count as u32).map(of).collect()
    };
    for (m, k, n) in shapes {
        let (a, b) = (numbers(m * k, 2_654_435_761), numbers(k * n, 2_246_822_519));
        for engine in engines() {
            for [left, right] in [[false, false], [true, false], [false, true], [true, true]] {
                let mut packed = Packed::default();
                packed.pack(engine, matrix(&b, (k, n), right));
                let mut c = vec![77.0_f32; m * (n + 1)];
                let bias = numbers(n, 99_991);
                let a_matrix = matrix(&a, (m, k), left);
                let mut sums = RowsMut::new(&mut c, n, n + 1);
                product(engine, a_matrix, &packed, Start::Bias(&bias), &mut sums);
                let a_at =
                    |r: usize, k_at: usize| a[if left { k_at * m + r } else { r * k + k_at }];
                let b_at = |k_at: usize, col: usize| {
                    b[if right { col * k + k_at } else { k_at * n + col }]
                };
                for (row, c) in c.chunks_exact(n + 1).enumerate() {
                    assert_eq!(c[n], 77.0, "nothing is written beyond a row");
                    for (column, got) in c[..n].iter().enumerate() {
                        let products =
                            (0..k).map(|at| to_bf16(a_at(row, at)) * to_bf16(b_at(at, column)));
                        let (sum, size) =
                            products.fold((0.0, 1.0), |(s, size), p| (s + p, size + p.abs()));
                        let error = (f64::from(*got) - sum - f64::from(bias[column])).abs();
                        assert!(
                            error <= 8.0 * f64::from(f32::EPSILON) * size,
                            "{m}×{k}×{n} {left} {right} {} [{row}, {column}]: {error:e}",
                            engine.half()
                        );
                    }
                }
            }
        }
    }
}

/// A row's sums do not depend on the rows around it.
#[test]
fn a_row_is_the_same_in_any_batch() {
    let (m, k, n) = (53, 700, 45);
    let a: Vec<f32> = (0..m * k).map(|at| (at as f32 * 0.37).sin()).collect();
    let b: Vec<f32> = (0..k * n).map(|at| (at as f32 * 0.73).cos()).collect();
    for engine in engines() {
        let mut packed = Packed::default();
        packed.pack(engine, Matrix::new(&b, k, n, n));
        let run = |rows: usize, first: usize| {
            let mut c = vec![0.0; rows * n];
            let a = Matrix::new(&a[first * k..], rows, k, k);
            product(engine, a, &packed, Start::Zero, &mut RowsMut::new(&mut c, n, n));
            c
        };
        let all = run(m, 0);
        for (first, rows) in [(0, 1), (7, 1), (11, 20), (36, 17)] {
            let expected = &all[first * n..][..rows * n];
            assert!(run(rows, first) == expected, "{} {first}", engine.half());
        }
    }
}

/// What cannot be counted as a number is passed on, and what is not there is not read.
#[test]
fn special_numbers() {
    let special = [0.0, -0.0, f32::INFINITY, f32::NAN, f32::MAX, 1.0 + f32::EPSILON, 1.005_859_4];
    for engine in engines() {
        for value in special {
            let mut packed = Packed::default();
            packed.pack(engine, Matrix::new(&[1.0_f32], 1, 1, 1));
            let mut c = [0.0];
            let sums = &mut RowsMut::new(&mut c, 1, 1);
            product(engine, Matrix::new(&[value], 1, 1, 1), &packed, Start::Zero, sums);
            let expected = to_bf16(value);
            let what = format!("{} {} {value}", engine.isa(), engine.half());
            if value.is_nan() {
                assert!(c[0].is_nan(), "{what}");
            } else {
                assert_eq!(f64::from(c[0]), expected, "{what}");
            }
        }
    }
}
