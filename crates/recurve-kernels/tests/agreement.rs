//! The kernels compute what the reference computes, on every instruction set of the machine.

#[path = "../../recurve-cell/tests/cells/mod.rs"]
mod cells;
mod support;

use cells::every_cell;
use recurve_cell::Cell;
use recurve_kernels::{Engine, Isa, Keep};
use support::{Case, computed, computed_keeping, differences, expected, expected_in};

/// Sizes on both sides of every tile, and batches from none to several tiles high.
fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [1, 7, 8, 15, 16, 17, 31, 32, 33, 64, 127, 129]
        .iter()
        .map(|&h| Case::new(5, h, &[4, 4, 4]))
        .collect();
    cases.extend([1, 8, 17, 33, 65, 130].map(|i| Case::new(i, 19, &[3; 2])));
    cases.extend([1, 2, 6, 7, 13, 25, 50].map(|b| Case::new(9, 21, &vec![5; b])));
    cases.extend([
        Case::new(4, 18, &[9, 9, 7, 6, 6, 2, 1]),
        Case::new(4, 18, &[3, 2, 0, 0]),
        Case::new(3, 34, &[40]),
        Case::new(3, 34, &[300]),
        Case::new(6, 40, &[90; 9]),
        Case::new(3, 10, &[800, 770, 3]),
        Case::new(5, 20, &[8, 8, 5, 5, 1]).with_resets(),
        Case::new(5, 33, &[6, 6, 6]).with_resets(),
    ]);
    cases
}

/// Within the tolerance, or four times as far as the reference itself is when it computes in the same
/// precision: over hundreds of steps a state that never decays gathers more than that.
fn check<C: Cell>(name: &str, cell: C) {
    for case in cases() {
        let expected = expected(cell, &case);
        let narrow = differences(&expected_in::<f32, C>(cell, &case), &expected);
        for isa in Isa::available() {
            let engine = Engine::new(isa);
            let wide = differences(&computed::<f64, C>(cell, &case, engine), &expected);
            let single = differences(&computed::<f32, C>(cell, &case, engine), &expected);
            for (at, (result, _)) in expected.iter().enumerate() {
                let what = format!("{name} {isa} {case:?}: {result}");
                assert!(wide[at] <= 1e-12, "f64 {what} {:e}", wide[at]);
                let bound = f64::max(1e-5, 4.0 * narrow[at]);
                assert!(single[at] <= bound, "f32 {what} {:e}, at most {bound:e}", single[at]);
            }
        }
    }
}

every_cell!(check);

/// The number of threads changes nothing, not a bit; nor does it matter whether the columns were kept or
/// are computed again.
mod bits {
    use super::*;

    every_cell!(check);

    fn check<C: Cell>(name: &str, cell: C) {
        same_bits(name, cell);
        same_bits_again(name, cell);
    }
}

fn same_bits<C: Cell>(name: &str, cell: C) {
    for case in Case::worth_threads() {
        for isa in Isa::available() {
            let one = computed::<f32, C>(cell, &case, Engine::new(isa));
            let two = computed::<f32, C>(cell, &case, Engine::new(isa).with_threads(2));
            assert!(one == two, "{name} {isa} {case:?}");
        }
    }
}

fn same_bits_again<C: Cell>(name: &str, cell: C) {
    let cases = [
        Case::new(9, 21, &[5; 13]),
        Case::new(6, 40, &[90; 9]),
        Case::new(3, 10, &[800, 770, 3]),
        Case::new(64, 420, &[30, 30, 29, 5, 1]).with_resets(),
        Case::new(7, 35, &[200, 180, 170, 3, 1, 0]).with_resets(),
        Case::new(40, 130, &[40; 40]),
    ];
    for case in cases {
        for isa in Isa::available() {
            let kept = computed::<f32, C>(cell, &case, Engine::new(isa));
            for threads in [1, 2] {
                let engine = Engine::new(isa).with_threads(threads);
                let again = computed_keeping::<f32, C>(cell, &case, engine, Keep::States);
                assert!(kept == again, "{name} {isa} {threads} threads {case:?}");
            }
        }
    }
}
