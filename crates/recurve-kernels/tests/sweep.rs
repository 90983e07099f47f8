//! Forward passes that nothing is kept of, in every precision: the same bits alone and in a batch, step by
//! step and at once, on any number of threads; and how far narrow weights are from the reference.

#[path = "../../recurve-cell/tests/cells/mod.rs"]
mod cells;
#[allow(dead_code, reason = "shared with other tests")]
mod support;

use cells::every_cell;
use recurve_cell::{Cell, Real};
use recurve_kernels::{Element, Engine, Isa, Precision};
use support::{Case, Results, computed, expected, inferred, inferred_of};

/// The bound of outputs, and how many times the sensitivity of a case it may be.
const NARROW: [(Precision, f64, f64); 2] =
    [(Precision::Bf16, 0.01, 4.0), (Precision::Int8, 0.04, 16.0)];

fn engines() -> impl Iterator<Item = Engine> {
    Isa::available()
        .into_iter()
        .flat_map(|isa| [1, 2].map(|threads| Engine::new(isa).with_threads(threads)))
}

/// Sizes on both sides of every block and run of blocks, and of pairs and fours of weights.
fn lone_cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        [1, 7, 17, 33, 64, 129].iter().map(|&hidden| Case::new(5, hidden, &[4])).collect();
    cases.extend([1, 2, 63, 64, 65, 67, 130].map(|input| Case::new(input, 21, &[3])));
    cases.extend([Case::new(4, 40, &[1]), Case::new(3, 18, &[70])]);
    cases.extend([Case::new(70, 250, &[12]), Case::new(5, 300, &[5]).with_resets()]);
    cases
}

fn batch_cases() -> Vec<Case> {
    vec![
        Case::new(5, 18, &[4, 4]),
        Case::new(66, 34, &[6, 6, 6]),
        Case::new(67, 35, &[9, 9, 7, 6, 6, 2, 1]),
        Case::new(4, 18, &[3, 2, 0, 0]),
        Case::new(65, 40, &[30; 13]).with_resets(),
        Case::new(70, 260, &[7, 5, 5, 2]).with_resets(),
    ]
}

/// Outputs and last states, without what only training gives.
fn outputs<E: Element>(mut all: Results<E>) -> Results<E> {
    all.truncate(3);
    all
}

/// A lone sequence that is swept has the bits of the same sequence that training would keep.
fn full<C: Cell>(name: &str, cell: C) {
    for case in lone_cases().into_iter().chain(batch_cases()) {
        for engine in engines() {
            let what = format!("{name} {engine:?} {case:?}");
            let kept = outputs(computed::<f32, C>(cell, &case, engine));
            for window in [0, 1, 3] {
                let swept = inferred::<f32, C>(cell, &case, engine, window);
                assert!(swept == kept, "{what} in windows of {window}");
            }
        }
    }
    let case = Case::new(9, 37, &[5]);
    for engine in engines() {
        let kept = outputs(computed::<f64, C>(cell, &case, engine));
        assert!(inferred::<f64, C>(cell, &case, engine, 1) == kept, "{name} {engine:?} f64");
    }
}

mod what_is_not_kept_has_the_same_bits {
    use super::*;

    every_cell!(full);
}

/// Threads and windows change no bit, in every precision.
fn same_bits<C: Cell>(name: &str, cell: C) {
    for (precision, ..) in NARROW {
        for case in lone_cases().into_iter().chain(batch_cases()) {
            for isa in Isa::available() {
                let engine = Engine::new(isa).with_precision(precision);
                let one = inferred::<f32, C>(cell, &case, engine, 0);
                let two = engine.with_threads(2);
                for (engine, window) in [(two, 0), (engine, 1), (two, 1), (two, 4)] {
                    let other = inferred::<f32, C>(cell, &case, engine, window);
                    assert!(other == one, "{name} {engine:?} {case:?} in windows of {window}");
                }
            }
        }
    }
}

mod narrow_weights_give_the_same_bits {
    use super::*;

    every_cell!(same_bits);
}

/// Nor do the sequences around one, with weights in 8 bits.
fn same_bits_alone<C: Cell>(name: &str, cell: C) {
    for case in batch_cases() {
        for isa in Isa::available() {
            let engine = Engine::new(isa).with_precision(Precision::Int8);
            let together = inferred::<f32, C>(cell, &case, engine, 0);
            let (h, all) = (case.hidden, case.lengths.len());
            for (b, length) in case.lengths.iter().enumerate() {
                let alone = inferred_of::<f32, C>(cell, &case, engine, 0, b..b + 1);
                for t in 0..*length {
                    let row = &together[0].1[(t * all + b) * h..][..h];
                    assert!(alone[0].1[t * h..][..h] == *row, "{name} {isa} {case:?} {b} at {t}");
                }
            }
        }
    }
}

mod the_sequences_around_one_change_no_bit_of_it {
    use super::*;

    every_cell!(same_bits_alone);
}

/// The largest difference from the reference; in parts of the largest value, where that is above 1.
fn difference<E: Real>(got: &Results<E>, expected: &Results<f64>) -> f64 {
    let mut worst = 0.0_f64;
    for ((_, got), (_, expected)) in got.iter().zip(expected) {
        let largest = expected.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
        for (g, e) in got.iter().zip(expected) {
            assert!(g.to_f64().is_finite());
            worst = worst.max((g.to_f64() - e).abs() / largest);
        }
    }
    worst
}

/// Within the bounds, or so many times what rounding the operands to `bf16` changes in the reference.
fn bounds<C: Cell>(name: &str, cell: C) {
    for case in lone_cases().into_iter().chain(batch_cases()) {
        let rounded = outputs(expected(cell, &case.rounded()));
        let expected = outputs(expected(cell, &case));
        let sensitivity = difference(&rounded, &expected);
        for isa in Isa::available() {
            for (precision, bound, times) in NARROW {
                let engine = Engine::new(isa).with_precision(precision);
                let got = difference(&inferred::<f32, C>(cell, &case, engine, 0), &expected);
                let bound = f64::max(bound, times * sensitivity);
                assert!(
                    got <= bound,
                    "{name} {precision:?} {isa} {case:?}: {got}, at most {bound}"
                );
            }
        }
    }
}

mod narrow_weights_stay_near_the_reference {
    use super::*;

    every_cell!(bounds);
}
