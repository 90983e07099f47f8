//! Pooling against the outputs and the states that it pools.

use crate::support;
use crate::support::{Data, Pass, Problem, Random};
use recurve_nn::{CellKind, Description, Engine, Entries, Pooling, Recurrent, State};

const STEPS: usize = 5;
/// Unsorted, and one sequence without steps.
const LENGTHS: [usize; 4] = [3, 5, 0, 1];
const HIDDEN: usize = 3;

fn pass(description: Description) -> Pass<f64> {
    let mut random = Random(4);
    let batch = LENGTHS.len();
    let width = *description.widths().unwrap().last().unwrap();
    let rows = if description.is_pooled() { batch } else { STEPS * batch };
    let problem = Problem {
        weights: random.values(Entries::of(&description).unwrap().len(), 0.7),
        steps: STEPS,
        batch,
        data: Data::Values(random.values(STEPS * batch * 2, 1.0)),
        lengths: Some(LENGTHS.to_vec()),
        resets: None,
        initial: State::zero(&description, batch),
        dy: vec![0.0; rows * width],
        d_last: State::zero(&description, batch),
        description,
    };
    problem.run(Engine::detect().unwrap())
}

#[test]
fn the_last_output_is_the_last_state_of_each_direction() {
    for cell in support::cells() {
        for directions in [1, 2] {
            let stack = Recurrent::new(cell, HIDDEN).layers(2);
            let stack = if directions == 2 { stack.bidirectional() } else { stack };
            let pooled =
                pass(Description::values(2).recurrent(stack).dropout(0.0).pool(Pooling::Last));
            let tops = &pooled.last.parts()[directions..];
            for (b, length) in LENGTHS.iter().enumerate() {
                let states = tops.iter().flat_map(|part| &part.h[b * HIDDEN..][..HIDDEN]);
                let mut expected: Vec<f64> = states.copied().collect();
                if *length == 0 {
                    expected.fill(0.0);
                }
                let width = directions * HIDDEN;
                assert_eq!(pooled.y[b * width..][..width], expected, "{cell:?} sequence {b}");
            }
        }
    }
}

/// A layer that mixes the directions has one last step only.
#[test]
fn the_last_output_of_a_linear_layer_is_that_of_the_last_step() {
    let below = || {
        let stack = Recurrent::new(CellKind::Gru, HIDDEN).bidirectional();
        Description::values(2).recurrent(stack).linear(4)
    };
    let (pooled, steps) = (pass(below().pool(Pooling::Last)), pass(below()));
    for (b, length) in LENGTHS.iter().enumerate().filter(|(_, length)| **length > 0) {
        let last = &steps.y[((length - 1) * LENGTHS.len() + b) * 4..][..4];
        assert_eq!(pooled.y[b * 4..][..4], *last, "sequence {b}");
    }
}

#[test]
fn mean_and_maximum_are_over_the_real_steps() {
    let width = 2 * HIDDEN;
    let below = || {
        let stack = Recurrent::new(CellKind::Lstm, HIDDEN).bidirectional();
        Description::values(2).recurrent(stack)
    };
    let steps = pass(below()).y;
    let (mean, max) = (pass(below().pool(Pooling::Mean)).y, pass(below().pool(Pooling::Max)).y);
    for (b, length) in LENGTHS.iter().enumerate() {
        for u in 0..width {
            let values = (0..*length).map(|t| steps[(t * LENGTHS.len() + b) * width + u]);
            let place = b * width + u;
            if *length == 0 {
                assert_eq!((mean[place], max[place]), (0.0, 0.0), "sequence {b} has no steps");
                continue;
            }
            let expected = values.clone().sum::<f64>() / *length as f64;
            assert!((mean[place] - expected).abs() < 1e-15, "sequence {b}");
            assert_eq!(max[place], values.fold(f64::MIN, f64::max), "sequence {b}");
        }
    }
}
